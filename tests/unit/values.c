/* Where values lie: each operation of an expression, location lists, and what
 * the caller says of a function's entry. The DWARF is written here. */
#include "values_image.h"

#include "../../symbolizer/values/lists.h"
#include "mutate.h"

/* Operations */

/* What a location gives: of a number in memory its address. */
struct case_of {
	const char *what;
	uint8_t expr[24];
	size_t len;
	enum piece_kind kind;
	uint64_t value; /* or why it is absent */
};

#define EXPR(...) { __VA_ARGS__ }, sizeof((uint8_t[]){ __VA_ARGS__ })

#define MEMORY PIECE_MEMORY
#define VALUE PIECE_VALUE
#define ABSENT PIECE_ABSENT

/* Offsets of the unit's base types, as one byte of ULEB128. */
enum { HEAD_LEN = 12, T_INT = HEAD_LEN + 1 + 17, T_UCHAR = T_INT + 7,
       T_FLOAT = T_UCHAR + 17, T_DOUBLE = T_FLOAT + 9 };

static const struct case_of cases[] = {
	{ "addr", EXPR(DW_OP_addr, 0x34, 0x12, 0, 0, 0, 0, 0, 0),
	  MEMORY, BIAS + 0x1234 },
	{ "const1u", EXPR(DW_OP_const1u, 0xff), MEMORY, 0xff },
	{ "const1s", EXPR(DW_OP_const1s, 0xff), MEMORY, UINT64_MAX },
	{ "const2u", EXPR(DW_OP_const2u, 0xff, 0xff), MEMORY, 0xffff },
	{ "const2s", EXPR(DW_OP_const2s, 0xfe, 0xff), MEMORY, UINT64_MAX - 1 },
	{ "const4u", EXPR(DW_OP_const4u, 1, 2, 3, 0xff), MEMORY, 0xff030201 },
	{ "const4s", EXPR(DW_OP_const4s, 0, 0, 0, 0xff), MEMORY,
	  0xffffffffff000000 },
	{ "const8u", EXPR(DW_OP_const8u, 1, 2, 3, 4, 5, 6, 7, 8), MEMORY,
	  0x0807060504030201 },
	{ "constu", EXPR(DW_OP_constu, 0x81, 1), MEMORY, 129 },
	{ "consts", EXPR(DW_OP_consts, 0x7f), MEMORY, UINT64_MAX },
	{ "lit", EXPR(DW_OP_lit31), MEMORY, 31 },
	{ "reg", EXPR(DW_OP_reg3), PIECE_REGISTER, 3 },
	{ "regx", EXPR(DW_OP_regx, 40), PIECE_REGISTER, 40 },
	{ "breg", EXPR(DW_OP_breg3, 0x7f), MEMORY, 0x102 },
	{ "bregx", EXPR(DW_OP_bregx, 12, 2), MEMORY, 0x10e },
	{ "bregx of no number", EXPR(DW_OP_bregx, 60, 2), ABSENT,
	  ABSENT_NOT_CAPTURED },
	{ "fbreg", EXPR(DW_OP_fbreg, 0x70), MEMORY, CFA - 16 },
	{ "call_frame_cfa", EXPR(DW_OP_call_frame_cfa), MEMORY, CFA },
	{ "stack_value", EXPR(DW_OP_lit5, DW_OP_stack_value), VALUE, 5 },
	{ "implicit_value", EXPR(DW_OP_implicit_value, 2, 7, 8), PIECE_BYTES,
	  2 },
	{ "dup", EXPR(DW_OP_lit2, DW_OP_dup, DW_OP_plus), MEMORY, 4 },
	{ "drop", EXPR(DW_OP_lit2, DW_OP_lit3, DW_OP_drop), MEMORY, 2 },
	{ "over", EXPR(DW_OP_lit9, DW_OP_lit3, DW_OP_over, DW_OP_minus),
	  MEMORY, (uint64_t)-6 },
	{ "pick", EXPR(DW_OP_lit9, DW_OP_lit3, DW_OP_lit4, DW_OP_pick, 2),
	  MEMORY, 9 },
	{ "swap", EXPR(DW_OP_lit9, DW_OP_lit3, DW_OP_swap, DW_OP_minus),
	  MEMORY, (uint64_t)-6 },
	{ "rot",
	  EXPR(DW_OP_lit1, DW_OP_lit2, DW_OP_lit3, DW_OP_rot, DW_OP_drop),
	  MEMORY, 1 },
	{ "deref", EXPR(DW_OP_fbreg, 0, DW_OP_deref), MEMORY,
	  0x4746454443424140 },
	{ "deref_size", EXPR(DW_OP_fbreg, 0, DW_OP_deref_size, 2), MEMORY,
	  0x4140 },
	{ "deref of no memory", EXPR(DW_OP_lit8, DW_OP_deref), ABSENT,
	  ABSENT_NOT_CAPTURED },
	{ "abs", EXPR(DW_OP_const1s, 0xfb, DW_OP_abs), MEMORY, 5 },
	{ "neg", EXPR(DW_OP_lit5, DW_OP_neg), MEMORY, (uint64_t)-5 },
	{ "not", EXPR(DW_OP_lit0, DW_OP_not), MEMORY, UINT64_MAX },
	{ "and", EXPR(DW_OP_lit6, DW_OP_lit3, DW_OP_and), MEMORY, 2 },
	{ "or", EXPR(DW_OP_lit6, DW_OP_lit3, DW_OP_or), MEMORY, 7 },
	{ "xor", EXPR(DW_OP_lit6, DW_OP_lit3, DW_OP_xor), MEMORY, 5 },
	{ "mul", EXPR(DW_OP_lit6, DW_OP_lit3, DW_OP_mul), MEMORY, 18 },
	{ "div, with a sign", EXPR(DW_OP_const1s, 0xf9, DW_OP_lit2, DW_OP_div),
	  MEMORY, (uint64_t)-3 },
	{ "div by -1", EXPR(DW_OP_const8u, 0, 0, 0, 0, 0, 0, 0, 0x80,
			    DW_OP_const1s, 0xff, DW_OP_div),
	  MEMORY, UINT64_C(1) << 63 },
	{ "div by 0", EXPR(DW_OP_lit1, DW_OP_lit0, DW_OP_div), ABSENT,
	  ABSENT_NOT_UNDERSTOOD },
	{ "mod, without one", EXPR(DW_OP_const1s, 0xff, DW_OP_lit16, DW_OP_mod),
	  MEMORY, 15 },
	{ "plus_uconst", EXPR(DW_OP_lit6, DW_OP_plus_uconst, 0x80, 1), MEMORY,
	  134 },
	{ "shl", EXPR(DW_OP_lit1, DW_OP_const1u, 63, DW_OP_shl), MEMORY,
	  UINT64_C(1) << 63 },
	{ "shl too far", EXPR(DW_OP_lit1, DW_OP_const1u, 64, DW_OP_shl),
	  MEMORY, 0 },
	{ "shr", EXPR(DW_OP_const1s, 0xf0, DW_OP_const1u, 60, DW_OP_shr),
	  MEMORY, 15 },
	{ "shra", EXPR(DW_OP_const1s, 0xf0, DW_OP_lit4, DW_OP_shra), MEMORY,
	  UINT64_MAX },
	{ "lt, with a sign", EXPR(DW_OP_const1s, 0xff, DW_OP_lit0, DW_OP_lt),
	  MEMORY, 1 },
	{ "ge", EXPR(DW_OP_lit1, DW_OP_lit1, DW_OP_ge), MEMORY, 1 },
	{ "gt", EXPR(DW_OP_lit1, DW_OP_lit1, DW_OP_gt), MEMORY, 0 },
	{ "le", EXPR(DW_OP_lit1, DW_OP_lit1, DW_OP_le), MEMORY, 1 },
	{ "eq", EXPR(DW_OP_lit1, DW_OP_lit2, DW_OP_eq), MEMORY, 0 },
	{ "ne", EXPR(DW_OP_lit1, DW_OP_lit2, DW_OP_ne), MEMORY, 1 },
	{ "skip", EXPR(DW_OP_lit1, DW_OP_skip, 1, 0, DW_OP_lit2), MEMORY, 1 },
	{ "bra taken",
	  EXPR(DW_OP_lit7, DW_OP_lit1, DW_OP_bra, 1, 0, DW_OP_lit2), MEMORY,
	  7 },
	{ "bra not taken",
	  EXPR(DW_OP_lit7, DW_OP_lit0, DW_OP_bra, 1, 0, DW_OP_lit2), MEMORY,
	  2 },
	{ "a jump out of it", EXPR(DW_OP_lit7, DW_OP_skip, 9, 0), ABSENT,
	  ABSENT_NOT_UNDERSTOOD },
	{ "no end", EXPR(DW_OP_skip, 0xfd, 0xff), ABSENT,
	  ABSENT_NOT_UNDERSTOOD },
	{ "nop", EXPR(DW_OP_lit7, DW_OP_nop), MEMORY, 7 },
	{ "nothing", EXPR(DW_OP_nop), ABSENT, ABSENT_OPTIMIZED_OUT },
	{ "too few", EXPR(DW_OP_lit7, DW_OP_plus), ABSENT,
	  ABSENT_NOT_UNDERSTOOD },
	{ "none of DWARF's", EXPR(DW_OP_lit1, 0x01), ABSENT,
	  ABSENT_NOT_UNDERSTOOD },
	{ "cut short", EXPR(DW_OP_const4u, 1, 2), ABSENT,
	  ABSENT_NOT_UNDERSTOOD },
	{ "form_tls_address", EXPR(DW_OP_const1u, 8, DW_OP_form_tls_address),
	  ABSENT, ABSENT_THREAD_LOCAL },
	{ "implicit_pointer", EXPR(DW_OP_implicit_pointer, 1, 0, 0, 0, 0),
	  ABSENT, ABSENT_SYNTHETIC },
	{ "const_type", EXPR(DW_OP_const_type, T_INT, 4, 0xff, 0xff, 0xff, 0xff,
			     DW_OP_convert, 0),
	  MEMORY, UINT64_MAX },
	{ "convert to fewer bits", EXPR(DW_OP_const2u, 0x34, 0x12,
					DW_OP_convert, T_UCHAR,
					DW_OP_stack_value),
	  VALUE, 0x34 },
	{ "convert to a float",
	  EXPR(DW_OP_const_type, T_INT, 4, 3, 0, 0, 0, DW_OP_convert, T_FLOAT,
	       DW_OP_stack_value),
	  VALUE, 0x40400000 },
	{ "a float to a number",
	  EXPR(DW_OP_const_type, T_FLOAT, 4, 0, 0, 0x20, 0xc0, DW_OP_convert,
	       T_INT, DW_OP_stack_value),
	  VALUE, 0xfffffffe },
	{ "reinterpret",
	  EXPR(DW_OP_const_type, T_FLOAT, 4, 0, 0, 0x40, 0x40,
	       DW_OP_reinterpret, T_INT, DW_OP_stack_value),
	  VALUE, 0x40400000 },
	{ "plus of doubles",
	  EXPR(DW_OP_const_type, T_DOUBLE, 8, 0, 0, 0, 0, 0, 0, 0xf8, 0x3f,
	       DW_OP_dup, DW_OP_plus, DW_OP_stack_value),
	  VALUE, 0x4008000000000000 },
	{ "arithmetic within the type",
	  EXPR(DW_OP_const_type, T_UCHAR, 1, 0xff, DW_OP_dup, DW_OP_plus,
	       DW_OP_stack_value),
	  VALUE, 0xfe },
	{ "half an address",
	  EXPR(DW_OP_breg7, 12, DW_OP_constu, 0xff, 0xff, 0xff, 0xff, 0x0f,
	       DW_OP_and, DW_OP_stack_value),
	  ABSENT, ABSENT_NOT_UNDERSTOOD },
	{ "an address as a smaller number",
	  EXPR(DW_OP_fbreg, 0, DW_OP_lit1, DW_OP_plus, DW_OP_convert, T_INT,
	       DW_OP_stack_value),
	  ABSENT, ABSENT_NOT_UNDERSTOOD },
	{ "an address, aligned by shifts",
	  EXPR(DW_OP_breg7, 13, DW_OP_lit2, DW_OP_shr, DW_OP_lit2, DW_OP_shl),
	  MEMORY, 0x114 },
	{ "the upper half of an address",
	  EXPR(DW_OP_breg7, 13, DW_OP_const1u, 32, DW_OP_shr), ABSENT,
	  ABSENT_NOT_UNDERSTOOD },
	{ "an aligned address", EXPR(DW_OP_breg7, 13, DW_OP_const1s, 0xf0,
				     DW_OP_and),
	  MEMORY, 0x110 },
	{ "numbers of two types",
	  EXPR(DW_OP_const_type, T_UCHAR, 1, 0xff, DW_OP_lit1, DW_OP_plus),
	  ABSENT, ABSENT_NOT_UNDERSTOOD },
	{ "regval_type", EXPR(DW_OP_regval_type, 3, T_UCHAR, DW_OP_stack_value),
	  VALUE, 3 },
	{ "deref_type",
	  EXPR(DW_OP_fbreg, 0, DW_OP_deref_type, 4, T_INT, DW_OP_stack_value),
	  VALUE, 0x43424140 },
	{ "a type that is none", EXPR(DW_OP_lit1, DW_OP_convert, 1), ABSENT,
	  ABSENT_NOT_UNDERSTOOD },
};

/* A unit with the base types that the cases speak of, and f. */
static struct code *open_types(struct image *image)
{
	struct writer *info = image_section(image, "info");
	size_t start;

	put_values_abbrevs(image);
	start = put_values_unit(image, 5, DW_LANG_C11);
	CHECK_NUMBER(put_base(info, "int", DW_ATE_signed, 4), T_INT);
	CHECK_NUMBER(put_base(info, "unsigned char", DW_ATE_unsigned_char, 1),
		     T_UCHAR);
	CHECK_NUMBER(put_base(info, "float", DW_ATE_float, 4), T_FLOAT);
	put_base(info, "double", DW_ATE_float, 8);
	put_code(info, "f", CODE_AT, CODE_LEN);
	writer_u16(info, 0);
	end_length(info, 4, start);
	return image_open(image, false, NULL) ? code_of(image->dwarf) : NULL;
}

static void operations(void)
{
	struct image image = { 0 };
	struct code *code = open_types(&image);
	struct values_thread thread;

	values_thread_init(&thread, code, 8);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct case_of *one = &cases[i];
		unsigned steps = PLACE_MAX_STEPS;
		const struct evaluation evaluation = {
			.target = &thread.target, .steps_left = &steps,
			.unit = thread.frames[0].function.unit,
		};
		struct place place;
		struct reader expr;
		bool holds;

		reader_init(&expr, one->expr, one->len);
		place_find(&evaluation, expr, &place);
		holds = CHECK_NUMBER(place.pieces[0].kind, one->kind);
		if (one->kind == PIECE_ABSENT)
			holds &= CHECK_NUMBER(place.pieces[0].why, one->value);
		else
			holds &= CHECK_NUMBER(place.pieces[0].value,
					      one->value);
		if (!holds)
			printf("# of %s\n", one->what);
	}
	code_close(code);
	image_fini(&image);
}

/* The bytes that EXPR's value of SIZE bytes has, in hex, "--" for each that is
 * not known. */
static void check_bytes(struct values_thread *thread, size_t frame,
			const uint8_t *bytes, size_t len, size_t size,
			const char *wanted)
{
	unsigned steps = PLACE_MAX_STEPS;
	const struct evaluation evaluation = {
		.target = &thread->target, .frame = frame,
		.unit = thread->frames[0].function.unit, .steps_left = &steps,
	};
	struct contents contents;
	struct place place;
	struct reader expr;
	char text[64] = "";

	reader_init(&expr, bytes, len);
	place_find(&evaluation, expr, &place);
	if (!CHECK(place_contents(&evaluation, &place, size, &contents)))
		return;
	for (size_t i = 0; i < size; i++)
		snprintf(text + 2 * i, 3,
			 contents.why[i] == ABSENT_NOT ? "%02x" : "--",
			 contents.bytes[i]);
	CHECK_STRING(text, wanted);
	contents_fini(&contents);
}

static void pieces(void)
{
	static const uint8_t whole[] = { DW_OP_reg3 };
	static const uint8_t two[] = {
		DW_OP_reg3, DW_OP_piece, 2, DW_OP_piece, 1, DW_OP_fbreg, 0,
		DW_OP_piece, 2,
	};
	static const uint8_t address[] = { DW_OP_fbreg, 0, DW_OP_stack_value };
	static const uint8_t bits[] = {
		DW_OP_const1u, 0x2d, DW_OP_stack_value, DW_OP_bit_piece, 4, 2,
		DW_OP_lit3, DW_OP_stack_value, DW_OP_bit_piece, 4, 0,
	};
	static const uint8_t lost[] = {
		DW_OP_lit8, DW_OP_deref, DW_OP_stack_value, DW_OP_piece, 1,
		DW_OP_lit7, DW_OP_stack_value, DW_OP_piece, 1,
	};
	static const uint8_t vector[] = { DW_OP_reg17 };
	static const uint8_t edge[] = {
		DW_OP_constu, 0xfc, 0xe1, 0x01,
	};
	static const uint8_t scratch[] = { DW_OP_reg0 };
	struct image image = { 0 };
	struct code *code = open_types(&image);
	struct values_thread thread;

	values_thread_init(&thread, code, 8);
	for (size_t i = 0; i < 16; i++)
		values_fpstate[160 + i] = (uint8_t)(0xa0 + i);
	check_bytes(&thread, 0, whole, sizeof(whole), 4, "03010000");
	check_bytes(&thread, 0, two, sizeof(two), 6, "0301--4041--");
	check_bytes(&thread, 0, address, sizeof(address), 8,
		    "4070000000000000");
	check_bytes(&thread, 0, address, sizeof(address), 4, "--------");
	check_bytes(&thread, 0, bits, sizeof(bits), 1, "3b");
	check_bytes(&thread, 0, lost, sizeof(lost), 2, "--07");
	check_bytes(&thread, 0, vector, sizeof(vector), 4, "a0a1a2a3");
	check_bytes(&thread, 0, edge, sizeof(edge), 8, "fcfdfeff--------");
	check_bytes(&thread, 0, scratch, sizeof(scratch), 2, "0001");
	check_bytes(&thread, 1, scratch, sizeof(scratch), 2, "----");
	check_bytes(&thread, 1, whole, sizeof(whole), 2, "0301");
	check_bytes(&thread, 1, vector, sizeof(vector), 2, "----");
	code_close(code);
	image_fini(&image);
}

/* Lists */

static void put_listed(struct image *image, unsigned version)
{
	struct writer *info = image_section(image, "info");
	size_t start;
	uint32_t type;

	put_values_abbrevs(image);
	start = put_values_unit(image, version, DW_LANG_C11);
	type = put_base(info, "int", DW_ATE_signed, 4);
	put_code(info, "f", CODE_AT, CODE_LEN);
	put_named(info, A_LISTED, "x", type);
	writer_u32(info, 0);
	writer_u16(info, 0);
	end_length(info, 4, start);
}

/* What x is in f at OFFSET. */
static void check_listed(struct image *image, uint64_t offset,
			 const char *wanted)
{
	struct code *code = image->dwarf ? code_of(image->dwarf) : NULL;
	struct values_thread thread;
	char *text;

	if (!CHECK(code != NULL))
		return;
	values_thread_init(&thread, code, offset);
	text = values_text(&thread, 0);
	CHECK_STRING(text, wanted);
	free(text);
	code_close(code);
}

static void put_entry(struct writer *w, uint8_t literal)
{
	writer_uleb(w, 2);
	writer_u8(w, (uint8_t)(DW_OP_lit0 + literal));
	writer_u8(w, DW_OP_stack_value);
}

static void lists(void)
{
	struct image image = { 0 };
	struct writer *w = image_section(&image, "loclists");

	put_listed(&image, 5);
	writer_u8(w, DW_LLE_GNU_view_pair);
	writer_u16(w, 0);
	writer_u8(w, DW_LLE_offset_pair); /* from the unit's base */
	writer_uleb(w, 0);
	writer_uleb(w, 8);
	put_entry(w, 1);
	writer_u8(w, DW_LLE_start_length);
	writer_u64(w, CODE_AT + 8);
	writer_uleb(w, 8);
	put_entry(w, 2);
	writer_u8(w, DW_LLE_default_location);
	put_entry(w, 9);
	writer_u8(w, DW_LLE_base_address);
	writer_u64(w, CODE_AT + 0x20);
	writer_u8(w, DW_LLE_offset_pair);
	writer_uleb(w, 0);
	writer_uleb(w, 4);
	put_entry(w, 3);
	writer_u8(w, DW_LLE_start_end);
	writer_u64(w, CODE_AT + 0x30);
	writer_u64(w, CODE_AT + 0x31);
	writer_uleb(w, 0);
	writer_u8(w, DW_LLE_end_of_list);
	image_open(&image, false, NULL);
	check_listed(&image, 7, "*x=1");
	check_listed(&image, 8, "*x=2");
	check_listed(&image, 0x20, "*x=3");
	check_listed(&image, 0x24, "*x=9");
	check_listed(&image, 0x30, "*x=<optimized out>");
	image_fini(&image);
}

static void old_lists(void)
{
	struct image image = { 0 };
	struct writer *w = image_section(&image, "loc");

	put_listed(&image, 4);
	writer_u64(w, 0);
	writer_u64(w, 8);
	writer_u16(w, 2);
	writer_u8(w, DW_OP_lit1);
	writer_u8(w, DW_OP_stack_value);
	writer_u64(w, UINT64_MAX);
	writer_u64(w, CODE_AT + 0x20);
	writer_u64(w, 0);
	writer_u64(w, 8);
	writer_u16(w, 2);
	writer_u8(w, DW_OP_lit2);
	writer_u8(w, DW_OP_stack_value);
	writer_u64(w, 0);
	writer_u64(w, 0);
	image_open(&image, false, NULL);
	check_listed(&image, 0, "*x=1");
	check_listed(&image, 8, "*x=<optimized out>");
	check_listed(&image, 0x27, "*x=2");
	image_fini(&image);
}

/* Entry values */

/* g calls f with VALUE in rdi, and f has nothing of that but its entry. */
static struct code *open_entry(struct image *image, const uint8_t *value,
			       size_t len, bool calls_other)
{
	static const uint8_t entry[] = {
		DW_OP_entry_value, 1, DW_OP_reg5, DW_OP_stack_value,
	};
	static const uint8_t rdi[] = { DW_OP_reg5 };
	struct writer *info = image_section(image, "info");
	uint32_t type, f, other;
	size_t start;

	put_values_abbrevs(image);
	start = put_values_unit(image, 5, DW_LANG_C11);
	type = put_base(info, "int", DW_ATE_signed, 4);
	f = put_code(info, "f", CODE_AT, CODE_LEN);
	put_named(info, A_PARAMETER, "n", type);
	put_block(info, entry, sizeof(entry));
	writer_u8(info, 0);
	other = put_code(info, "other", 0x3000, 16);
	writer_u8(info, 0);
	put_code(info, "g", CALLER_AT, 0x100);
	writer_uleb(info, A_CALL);
	writer_u64(info, RETURN_PC);
	writer_u32(info, calls_other ? other : f);
	writer_uleb(info, A_PASSED);
	put_block(info, rdi, sizeof(rdi));
	put_block(info, value, len);
	writer_u8(info, 0);
	writer_u16(info, 0);
	end_length(info, 4, start);
	return image_open(image, false, NULL) ? code_of(image->dwarf) : NULL;
}

static uint64_t calls_elsewhere(void *context, uint64_t address)
{
	(void)context;
	(void)address;
	return 0x123456;
}

static bool always_reenters(void *context, uint64_t address)
{
	(void)context;
	(void)address;
	return true;
}

enum how { HOW_USUAL, HOW_OTHER_CALLEE, HOW_REENTERED };

static void check_entry(const uint8_t *value, size_t len, enum how how,
			const char *wanted)
{
	struct image image = { 0 };
	struct code *code = open_entry(&image, value, len,
				       how == HOW_OTHER_CALLEE);
	struct values_thread thread;
	char *text;

	values_thread_init(&thread, code, 8);
	if (how == HOW_OTHER_CALLEE)
		thread.target.call = calls_elsewhere;
	if (how == HOW_REENTERED)
		thread.target.reenters = always_reenters;
	text = values_text(&thread, 0);
	CHECK_STRING(text, wanted);
	free(text);
	code_close(code);
	image_fini(&image);
}

static void entry_values(void)
{
	static const uint8_t constant[] = { DW_OP_const1u, 42 };
	static const uint8_t kept[] = { DW_OP_breg3, 1 };
	static const uint8_t scratch[] = { DW_OP_breg2, 1 };
	static const uint8_t memory[] = { DW_OP_fbreg, 0, DW_OP_deref };
	static const uint8_t unchanging[] = {
		DW_OP_addr, 0, 0x30, 0, 0, 0, 0, 0, 0, DW_OP_deref_size, 1,
	};
	static const uint8_t nested[] = { DW_OP_entry_value, 1, DW_OP_reg5 };

	check_entry(constant, sizeof(constant), HOW_USUAL, "n=42");
	check_entry(kept, sizeof(kept), HOW_USUAL, "n=260");
	check_entry(scratch, sizeof(scratch), HOW_USUAL, "n=<clobbered>");
	check_entry(memory, sizeof(memory), HOW_USUAL, "n=<clobbered>");
	check_entry(unchanging, sizeof(unchanging), HOW_USUAL, "n=99");
	check_entry(nested, sizeof(nested), HOW_USUAL, "n=<clobbered>");
}

static void entry_of_another(void)
{
	static const uint8_t constant[] = { DW_OP_const1u, 42 };

	check_entry(constant, sizeof(constant), HOW_OTHER_CALLEE,
		    "n=<clobbered>");
	check_entry(constant, sizeof(constant), HOW_REENTERED,
		    "n=<clobbered>");
}

/* Before a function has stored what it was given, its frame holds something
 * else. */
static void prologue(void)
{
	static const uint8_t below[] = { DW_OP_fbreg, 0x70 };
	static const uint8_t above[] = { DW_OP_fbreg, 8 };
	static const uint8_t in_register[] = { DW_OP_reg5 };
	struct image image = { 0 };
	struct writer *info = image_section(&image, "info");
	struct values_thread thread;
	struct code *code;
	uint32_t type;
	size_t start;
	char *text;

	put_values_abbrevs(&image);
	start = put_values_unit(&image, 5, DW_LANG_C11);
	type = put_base(info, "int", DW_ATE_signed, 4);
	put_code(info, "f", CODE_AT, CODE_LEN);
	put_named(info, A_PARAMETER, "stored", type);
	put_block(info, below, sizeof(below));
	put_named(info, A_PARAMETER, "passed", type);
	put_block(info, above, sizeof(above));
	put_named(info, A_PARAMETER, "kept", type);
	put_block(info, in_register, sizeof(in_register));
	writer_u16(info, 0);
	end_length(info, 4, start);
	code = image_open(&image, false, NULL) ? code_of(image.dwarf) : NULL;
	values_thread_init(&thread, code, 0);
	thread.frames[0].is_prologue = true;
	text = values_text(&thread, 0);
	CHECK_STRING(text, "stored=<not set yet>, passed=1263159624, kept=261");
	free(text);
	code_close(code);
	image_fini(&image);
}

/* Everything at once, for the mutations. */
static void put_everything(struct image *image)
{
	static const uint8_t at_base[] = { DW_OP_fbreg, 0 };
	static const uint8_t in_pieces[] = {
		DW_OP_reg3, DW_OP_piece, 4, DW_OP_breg5, 0, DW_OP_piece, 4,
	};
	struct writer *info = image_section(image, "info");
	struct writer *lists_section = image_section(image, "loclists");
	uint32_t integer, letter, pointer, array, structure;
	size_t start;

	put_values_abbrevs(image);
	start = put_values_unit(image, 5, DW_LANG_C_plus_plus_14);
	integer = put_base(info, "int", DW_ATE_signed, 4);
	letter = put_base(info, "char", DW_ATE_signed_char, 1);
	pointer = put_reference_to(info, A_POINTER, letter);
	array = put_reference_to(info, A_ARRAY, integer);
	writer_uleb(info, A_RANGE);
	writer_sleb(info, 3);
	writer_u8(info, 0);
	structure = put_sized(info, A_STRUCT, "pair", 8);
	put_named(info, A_MEMBER, "a", integer);
	writer_u8(info, 0);
	put_named(info, A_BITS, "b", integer);
	writer_u8(info, 3);
	writer_u8(info, 33);
	writer_u8(info, 0);
	put_code(info, "f", CODE_AT, CODE_LEN);
	put_named(info, A_PARAMETER, "s", pointer);
	put_block(info, at_base, sizeof(at_base));
	put_named(info, A_VARIABLE, "v", array);
	put_block(info, at_base, sizeof(at_base));
	put_named(info, A_VARIABLE, "p", structure);
	put_block(info, in_pieces, sizeof(in_pieces));
	put_named(info, A_LISTED, "l", integer);
	writer_u32(info, 0);
	put_named(info, A_LOST, "o", integer);
	writer_u16(info, 0);
	end_length(info, 4, start);
	writer_u8(lists_section, DW_LLE_offset_pair);
	writer_uleb(lists_section, 0);
	writer_uleb(lists_section, 0x40);
	put_entry(lists_section, 4);
	writer_u8(lists_section, DW_LLE_end_of_list);
}

static void try_file(const uint8_t *bytes, size_t len)
{
	struct elf_file file;
	struct dwarf_file *dwarf = NULL;
	struct code *code;
	struct values_thread thread;
	uint8_t *copy = malloc(len + 1);
	struct writer out;

	memcpy(copy, bytes, len);
	if (elf_file_memory("mutated", copy, len, &file, NULL)) {
		dwarf = dwarf_file_open(&file, false, NULL);
		code = dwarf ? code_of(dwarf) : NULL;
		values_thread_init(&thread, code, 8);
		writer_init(&out, 1 << 20);
		if (thread.frames[0].has_function)
			variables_write(&thread.target, 0, &out);
		writer_fini(&out);
		code_close(code);
		dwarf_file_close(dwarf);
		elf_file_close(&file);
	}
	free(copy);
}

static void mutations(void)
{
	struct image image = { 0 };
	struct code *code;
	struct values_thread thread;
	char *text;

	put_everything(&image);
	code = image_open(&image, false, NULL) ? code_of(image.dwarf) : NULL;
	values_thread_init(&thread, code, 8);
	text = values_text(&thread, 0);
	CHECK_STRING(text, "s=0x4746454443424140, "
			   "*v={1128415552, 1195787588, 1263159624, "
			   "1330531660}, "
			   "*p={a = 259, b = <not captured>}, *l=4, "
			   "*o=<optimized out>");
	free(text);
	mutate_all(image.elf.bytes, image.elf.len, try_file);
	code_close(code);
	image_fini(&image);
}

int main(void)
{
	static const struct test tests[] = {
		{ "each operation gives what DWARF says", operations },
		{ "pieces make a value, and what is lost stays so", pieces },
		{ "a location list of DWARF 5 is for one address", lists },
		{ "so is one of DWARF 4", old_lists },
		{ "what a function was called with is asked of its caller",
		  entry_values },
		{ "but not of one that has called another, or might have",
		  entry_of_another },
		{ "what a function has yet to store is not shown", prologue },
		{ "no mutation of a file hangs, leaks or reads beyond it",
		  mutations },
	};

	return TEST_RUN(tests);
}
