/* CIEs, FDEs and expressions by themselves: what is refused, and what the
 * operations compute. */
#include <dwarf.h>

#include "../../lib/unwind/entry.h"
#include "../../lib/unwind/expr.h"
#include "test.h"

#define CHECK_PROGRAM(holds, ...)                                              \
	do {                                                                   \
		static const uint8_t program_[] = { __VA_ARGS__ };             \
		CHECK_NUMBER(entry_check_program(program_, sizeof(program_)),  \
			     holds);                                           \
	} while (0)

static void test_leb128(void)
{
	static const uint8_t bytes[] = {
		0x00, 0x7f, 0xe5, 0x8e, 0x26, 0xff, 0xff, 0xff, 0xff, 0xff,
		0xff, 0xff, 0xff, 0xff, 0x01, 0x40, 0xc0, 0xbb, 0x78, 0x80,
	};
	struct reader r;

	reader_init(&r, bytes, sizeof(bytes));
	CHECK_NUMBER(reader_uleb(&r), 0);
	CHECK_NUMBER(reader_sleb(&r), -1);
	CHECK_NUMBER(reader_uleb(&r), 624485);
	CHECK_NUMBER(reader_uleb(&r), UINT64_MAX);
	CHECK_NUMBER(reader_sleb(&r), -64);
	CHECK_NUMBER(reader_sleb(&r), -123456);
	CHECK(!r.bad);
	reader_uleb(&r);
	CHECK(r.bad);
}

static void test_endless_leb128(void)
{
	uint8_t bytes[64];
	struct reader r;

	memset(bytes, 0x80, sizeof(bytes));
	reader_init(&r, bytes, sizeof(bytes));
	reader_uleb(&r);
	CHECK(r.bad);
	reader_init(&r, bytes, sizeof(bytes));
	reader_sleb(&r);
	CHECK(r.bad);
}

static void test_programs(void)
{
	CHECK_PROGRAM(true, DW_CFA_nop, DW_CFA_def_cfa, 7, 8,
		      DW_CFA_offset | 16, 1, DW_CFA_advance_loc4, 1, 0, 0, 0,
		      DW_CFA_remember_state, DW_CFA_restore_state,
		      DW_CFA_GNU_args_size, 0x80, 0x01);
	CHECK_PROGRAM(false, DW_CFA_advance_loc2, 1);
	CHECK_PROGRAM(false, DW_CFA_def_cfa, 7);
	CHECK_PROGRAM(false, DW_CFA_restore_state);
	CHECK_PROGRAM(false, DW_CFA_set_loc, 0, 0, 0, 0, 0, 0, 0, 0);
	CHECK_PROGRAM(false, 0x3f);
	/* libdw would allocate two gigabytes for this one. */
	CHECK_PROGRAM(false, DW_CFA_undefined, 0xff, 0xff, 0xff, 0x3f);
	CHECK_PROGRAM(false, DW_CFA_def_cfa_expression, 0);
	CHECK_PROGRAM(false, DW_CFA_def_cfa_expression, 2, DW_OP_lit0);
	CHECK_PROGRAM(false, DW_CFA_def_cfa_expression, 1, DW_OP_const1u);
	CHECK_PROGRAM(false, DW_CFA_def_cfa_expression, 5, DW_OP_call4, 0, 0,
		      0, 0);
	CHECK_PROGRAM(true, DW_CFA_val_expression, 3, 2, DW_OP_breg7, 8);
}

static void test_remember_bomb(void)
{
	uint8_t program[ENTRY_MAX_REMEMBER + 1];

	memset(program, DW_CFA_remember_state, sizeof(program));
	CHECK(!entry_check_program(program, sizeof(program)));
	CHECK(entry_check_program(program, sizeof(program) - 1));
}

static bool parse_cie(const void *bytes, size_t len, struct cie *cie)
{
	struct reader r;

	reader_init(&r, bytes, len);
	return entry_cie(&r, cie);
}

static void test_cies(void)
{
	static const char gcc[] = "\1zPLR\0\1\x78\x10\7\x9b\1\2\3\4\x1b\x1b"
				  "\xc\7\x8";
	static const char signal[] = "\1zRS\0\1\x78\x10\1\x1b";
	static const char dwarf4[] = "\4\0\x8\0\1\x78\x10";
	static const char *const bad[] = {
		"\2zR\0\1\x78\x10\1\x1b",    /* version */
		"\1eh\0\1\x78\x10\1\x1b",    /* augmentation of gcc 2 */
		"\1zzzzzzzzzz",              /* no end to it */
		"\1zR\0\1\x78\x10\x40\x1b",  /* longer than the entry */
		"\1zP\0\1\x78\x10\2\x01\2",  /* LEB128 personality */
		"\3\0\1\x78\xff\x7f\x11",    /* return register */
	};
	struct cie cie;

	if (CHECK(parse_cie(gcc, sizeof(gcc) - 1, &cie))) {
		CHECK_NUMBER(cie.encoding, 0x1b);
		CHECK_NUMBER(cie.data_align, -8);
		CHECK_NUMBER(cie.program_len, 3);
		CHECK(!cie.is_signal);
	}
	CHECK(parse_cie(signal, sizeof(signal) - 1, &cie) && cie.is_signal);
	CHECK(parse_cie(dwarf4, sizeof(dwarf4) - 1, &cie) &&
	      !cie.has_augmentation);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (parse_cie(bad[i], 12, &cie))
			CHECK_STRING(bad[i], NULL);
}

/* What expressions see: registers 0 to 15 hold 100 to 115, and at address
 * 1000 the bytes 1 to 8. */
static size_t read_bytes(void *context, uint64_t address, void *to, size_t len)
{
	static const uint8_t bytes[] = { 1, 2, 3, 4, 5, 6, 7, 0xf8 };
	size_t skip = (size_t)(address - 1000);

	(void)context;
	if (address < 1000 || skip >= sizeof(bytes))
		return 0;
	if (len > sizeof(bytes) - skip)
		len = sizeof(bytes) - skip;
	memcpy(to, bytes + skip, len);
	return len;
}

static bool run(const Dwarf_Op *ops, size_t n, uint64_t *value)
{
	struct registers registers = { .valid = 0xffff };
	struct memory memory;
	const struct expr_context context = {
		.memory = &memory, .registers = &registers,
		.cfa = 0xcfa, .has_cfa = true,
	};
	bool ok;

	for (uint64_t i = 0; i < 16; i++)
		registers.value[i] = 100 + i;
	memory_init(&memory, read_bytes, NULL);
	ok = expr_run(ops, n, &context, value);
	memory_fini(&memory);
	return ok;
}

#define OP_(atom, number, number2, offset, ...)                                \
	{ atom, number, number2, offset }
#define OP(...) OP_(__VA_ARGS__, 0, 0, 0, 0)
#define CHECK_EXPR(wanted, ...)                                                \
	do {                                                                   \
		static const Dwarf_Op ops_[] = { __VA_ARGS__ };                \
		uint64_t value_ = 0;                                           \
		if (CHECK(run(ops_, sizeof(ops_) / sizeof(ops_[0]), &value_))) \
			CHECK_NUMBER(value_, wanted);                          \
	} while (0)
#define CHECK_NO_EXPR(...)                                                     \
	do {                                                                   \
		static const Dwarf_Op ops_[] = { __VA_ARGS__ };                \
		uint64_t value_;                                               \
		CHECK(!run(ops_, sizeof(ops_) / sizeof(ops_[0]), &value_));    \
	} while (0)
#define NUMBER(n) { DW_OP_const8s, (uint64_t)(n), 0, 0 }

static void test_arithmetic(void)
{
	static const struct {
		uint8_t atom;
		int64_t a, b, wanted;
	} table[] = {
		{ DW_OP_and, 12, 10, 8 },
		{ DW_OP_div, -7, 2, -3 },
		{ DW_OP_div, INT64_MIN, -1, INT64_MIN },
		{ DW_OP_minus, 5, 7, -2 },
		{ DW_OP_mod, 7, 3, 1 },
		{ DW_OP_mul, -3, 4, -12 },
		{ DW_OP_or, 12, 10, 14 },
		{ DW_OP_plus, INT64_MAX, 1, INT64_MIN },
		{ DW_OP_shl, 1, 63, INT64_MIN },
		{ DW_OP_shl, 1, 64, 0 },
		{ DW_OP_shr, -1, 63, 1 },
		{ DW_OP_shr, -1, 64, 0 },
		{ DW_OP_shra, -16, 2, -4 },
		{ DW_OP_shra, -16, 200, -1 },
		{ DW_OP_shra, -16, 0, -16 },
		{ DW_OP_xor, 12, 10, 6 },
		{ DW_OP_eq, 1, 1, 1 },
		{ DW_OP_ge, -1, 1, 0 },
		{ DW_OP_gt, 1, -1, 1 },
		{ DW_OP_le, 1, 1, 1 },
		{ DW_OP_lt, -1, 1, 1 },
		{ DW_OP_ne, 1, 1, 0 },
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		const Dwarf_Op ops[] = {
			NUMBER(table[i].a), NUMBER(table[i].b),
			OP(table[i].atom),
		};
		uint64_t value = 0;

		CHECK(run(ops, 3, &value));
		if (!CHECK_NUMBER(value, table[i].wanted))
			printf("# operation %#x\n", table[i].atom);
	}
}

static void test_operations(void)
{
	CHECK_EXPR(0x04030201, OP(DW_OP_const2u, 1000),
		   OP(DW_OP_deref_size, 4));
	CHECK_EXPR(0xf807060504030201, OP(DW_OP_const2u, 1000),
		   OP(DW_OP_deref));
	CHECK_EXPR(-5, NUMBER(5), OP(DW_OP_neg));
	CHECK_EXPR(5, NUMBER(-5), OP(DW_OP_abs));
	CHECK_EXPR(-6, NUMBER(5), OP(DW_OP_not));
	CHECK_EXPR(17, OP(DW_OP_lit17));
	CHECK_EXPR(99, OP(DW_OP_breg7, (uint64_t)-8));
	CHECK_EXPR(110, OP(DW_OP_bregx, 3, 7));
	CHECK_EXPR(0xcfa + 16, OP(DW_OP_call_frame_cfa),
		   OP(DW_OP_plus_uconst, 16), OP(DW_OP_stack_value));
	CHECK_EXPR(1, OP(DW_OP_lit1), OP(DW_OP_lit2), OP(DW_OP_swap));
	CHECK_EXPR(1, OP(DW_OP_lit1), OP(DW_OP_lit2), OP(DW_OP_drop));
	CHECK_EXPR(4, OP(DW_OP_lit2), OP(DW_OP_dup), OP(DW_OP_plus));
	CHECK_EXPR(1, OP(DW_OP_lit1), OP(DW_OP_lit2), OP(DW_OP_over));
	CHECK_EXPR(1, OP(DW_OP_lit1), OP(DW_OP_lit2), OP(DW_OP_lit3),
		   OP(DW_OP_pick, 2));
	/* 1 2 3 becomes 3 1 2: 2 is on top, 1 below it. */
	CHECK_EXPR(2, OP(DW_OP_lit1), OP(DW_OP_lit2), OP(DW_OP_lit3),
		   OP(DW_OP_rot));
	CHECK_EXPR((uint64_t)-1, OP(DW_OP_lit1), OP(DW_OP_lit2),
		   OP(DW_OP_lit3), OP(DW_OP_rot), OP(DW_OP_minus));
}

/* Offsets are those of the bytes: bra and skip are three long. */
static void test_branches(void)
{
	CHECK_EXPR(7, OP(DW_OP_lit1, 0, 0, 0), OP(DW_OP_bra, 1, 0, 1),
		   OP(DW_OP_lit5, 0, 0, 4), OP(DW_OP_lit7, 0, 0, 5));
	CHECK_EXPR(5, OP(DW_OP_lit5, 0, 0, 0), OP(DW_OP_lit0, 0, 0, 1),
		   OP(DW_OP_bra, 1, 0, 2), OP(DW_OP_skip, 1, 0, 5),
		   OP(DW_OP_lit9, 0, 0, 8));
	/* Into the middle of something. */
	CHECK_NO_EXPR(OP(DW_OP_lit5, 0, 0, 0), OP(DW_OP_skip, 1, 0, 1),
		      OP(DW_OP_const2u, 1, 0, 4), OP(DW_OP_nop, 0, 0, 7));
	CHECK_NO_EXPR(OP(DW_OP_lit5, 0, 0, 0),
		      OP(DW_OP_skip, (uint64_t)-9, 0, 1));
}

static void test_no_end(void)
{
	CHECK_NO_EXPR(OP(DW_OP_lit5, 0, 0, 0),
		      OP(DW_OP_skip, (uint64_t)-3, 0, 1));
	CHECK_NO_EXPR(OP(DW_OP_lit5, 0, 0, 0),
		      OP(DW_OP_skip, (uint64_t)-4, 0, 1));
}

static void test_nonsense(void)
{
	CHECK_NO_EXPR(OP(DW_OP_plus));
	CHECK_NO_EXPR(OP(DW_OP_lit0), OP(DW_OP_lit0), OP(DW_OP_div));
	CHECK_NO_EXPR(OP(DW_OP_lit0), OP(DW_OP_lit0), OP(DW_OP_mod));
	CHECK_NO_EXPR(OP(DW_OP_lit0), OP(DW_OP_deref));
	CHECK_NO_EXPR(OP(DW_OP_const2u, 1004), OP(DW_OP_deref));
	CHECK_NO_EXPR(OP(DW_OP_const2u, 1000), OP(DW_OP_deref_size, 9));
	CHECK_NO_EXPR(OP(DW_OP_breg16, 0));
	CHECK_NO_EXPR(OP(DW_OP_bregx, 1000, 0));
	CHECK_NO_EXPR(OP(DW_OP_lit0), OP(DW_OP_pick, 1));
	CHECK_NO_EXPR(OP(DW_OP_lit0), OP(DW_OP_drop));
	CHECK_NO_EXPR(OP(DW_OP_nop));
	CHECK_NO_EXPR(OP(DW_OP_lit0), OP(DW_OP_call4));
}

static void test_full_stack(void)
{
	Dwarf_Op ops[EXPR_MAX_STACK + 1];
	uint64_t value;

	memset(ops, 0, sizeof(ops));
	for (size_t i = 0; i <= EXPR_MAX_STACK; i++)
		ops[i].atom = DW_OP_lit3;
	CHECK(run(ops, EXPR_MAX_STACK, &value));
	CHECK(!run(ops, EXPR_MAX_STACK + 1, &value));
}

static const struct test tests[] = {
	{ "LEB128 numbers are read, and their end is seen", test_leb128 },
	{ "a LEB128 number that does not end is bad", test_endless_leb128 },
	{ "CFA programs that libdw could not take are refused",
	  test_programs },
	{ "states are not remembered without bound", test_remember_bomb },
	{ "CIEs of gcc, of signal frames and of DWARF 4 are read, others not",
	  test_cies },
	{ "operations on two values compute what DWARF says",
	  test_arithmetic },
	{ "the other operations do, too", test_operations },
	{ "branches lead to operations, and nowhere else", test_branches },
	{ "an expression that goes round for ever is stopped", test_no_end },
	{ "expressions without sense have no value", test_nonsense },
	{ "the stack of an expression has an end", test_full_stack },
};

int main(void)
{
	return TEST_RUN(tests);
}
