/* Breakpad's symbol files, as they are written: of indexes, and of CFI. */
#include "../../symbolizer/symrules.h"
#include "../../symbolizer/symwrite.h"
#include "test.h"

#include <dwarf.h>

#define LLVMFuzzerTestOneInput fuzz_sym
#include "../fuzz/sym.c"

#define HEAD                                                                   \
	"MODULE Linux x86_64 33221100554477668899AABBCCDDEEFF0 a.out\n"        \
	"INFO CODE_ID 00112233445566778899AABBCCDDEEFF01234567\n"

/* What is written of the index that TEXT makes; free() it. */
static char *rewrite(const char *text)
{
	struct sym_file file = { .bytes = text, .len = strlen(text) };
	struct symrules_left left = { 0 };
	struct index *index;
	struct writer bytes;
	struct sym_id id;
	char *out = NULL;
	size_t len;
	FILE *to = open_memstream(&out, &len);

	CHECK(make_sym_index(&file, &bytes));
	index = index_memory(bytes.bytes, bytes.len, NULL);
	CHECK(sym_read_id(text, strlen(text), &id));
	if (CHECK(index != NULL && to != NULL))
		CHECK(symwrite(index, &id, "a.out", to, &left, NULL));
	CHECK_NUMBER(left.rows + left.rules, 0);
	fclose(to);
	index_close(index);
	writer_fini(&bytes);
	return out;
}

static void becomes(const char *text, const char *wanted)
{
	char *found = rewrite(text);

	CHECK_STRING(found, wanted);
	free(found);
}

static void stays_the_same(void)
{
	static const char text[] = HEAD
		"FILE 0 /src/a file.c\n"
		"FILE 1 b.c\n"
		"INLINE_ORIGIN 0 outer()\n"
		"INLINE_ORIGIN 1 inner(int, char)\n"
		"FUNC m 1000 100 0 main thing\n"
		"INLINE 0 12 0 0 1010 20 1080 8\n"
		"INLINE 1 34 1 1 1018 4\n"
		"1000 10 11 0\n"
		"1010 8 21 1\n"
		"1018 4 31 1\n"
		"101c 4 0 1\n"
		"1020 10 22 1\n"
		"1030 10 0 0\n"
		"1080 80 15 0\n"
		"FUNC 2000 10 0 <name omitted>\n"
		"2000 10 0 1\n"
		"PUBLIC m 800 0 before\n"
		"PUBLIC 3000 0 _behind\n"
		"STACK CFI INIT 1000 100 .cfa: $rsp 8 + .ra: .cfa -8 + ^\n"
		"STACK CFI 1004 $rbx: .cfa -16 + ^ .cfa: $rsp 16 +\n"
		"STACK CFI 1040 $rbp: .cfa 8 - ^ 16 @ .cfa: $rsp 24 + ^ 8 +\n"
		"STACK CFI 1050 $rbp: $rbp $rbx: $rbx .cfa: $rsp 8 +\n"
		"STACK CFI 1060 $r12: $rax $r13: .undef $rax: .cfa 8 +\n"
		"STACK CFI INIT 2000 10 .cfa: $rbp 16 + .ra: .undef\n";

	becomes(text, text);
}

/* Other people's order, and what changes nothing. */
static void says_it_once(void)
{
	becomes("MODULE Linux x86_64 33221100554477668899AABBCCDDEEFF0 other\n"
		"INFO GENERATOR somebody\n"
		"FILE 7 never.c\nFILE 5 a.c\n"
		"FUNC 30 8 4 _Z1fi\n30 4 3 5\n34 4 3 5\n"
		"FUNC 10 10 0 g\n18 8 2 5\n10 8 1 5\n"
		"PUBLIC 18 0 hidden\nPUBLIC 1c 0 seen behind it\n",
		"MODULE Linux x86_64 33221100554477668899AABBCCDDEEFF0 a.out\n"
		"FILE 0 a.c\n"
		"FUNC 10 10 0 g\n10 8 1 0\n18 8 2 0\n"
		"FUNC 30 8 0 f(int)\n30 8 3 0\n"
		"PUBLIC 20 0 seen behind it\n");
}

/* Breakpad's reader wants what is inlined behind what it is inlined into. */
static void order_of_inlines(void)
{
	becomes(HEAD
		"INLINE_ORIGIN 1 a\nINLINE_ORIGIN 2 b\nINLINE_ORIGIN 3 c\n"
		"INLINE_ORIGIN 4 d\n"
		"FUNC 10 40 0 f\n"
		"INLINE 0 1 9 1 10 8 20 10\n"
		"INLINE 0 2 9 3 18 8 30 10\n"
		"INLINE 1 3 9 2 28 8\n"
		"INLINE 2 4 9 4 2c 4\n"
		"INLINE 1 5 9 2 38 8\n",
		HEAD
		"INLINE_ORIGIN 0 a\nINLINE_ORIGIN 1 c\nINLINE_ORIGIN 2 b\n"
		"INLINE_ORIGIN 3 d\n"
		"FUNC 10 40 0 f\n"
		"INLINE 0 1 4294967295 0 10 8 20 10\n"
		"INLINE 1 3 4294967295 2 28 8\n"
		"INLINE 2 4 4294967295 3 2c 4\n"
		"INLINE 0 2 4294967295 1 18 8 30 10\n"
		"INLINE 1 5 4294967295 2 38 8\n");
}

static void names_end_no_line(void)
{
	becomes(HEAD "FUNC 10 10 0 a\tb\x1b[0m\rc\n",
		HEAD "FUNC 10 10 0 a?b?[0m?c\n");
}

/* Rules */

/* What is written of an FDE whose program is the LEN bytes at PROGRAM. */
static char *say_rules(const void *program, size_t len,
		       struct symrules_left *left)
{
	static const uint8_t cie[] = {
		14, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 3, '\0', 1, 0x78, R_PC,
		DW_CFA_def_cfa, R_SP, 8, DW_CFA_offset | R_PC, 1,
	};
	struct writer frames;
	char *out = NULL;
	size_t out_len;
	FILE *to = open_memstream(&out, &out_len);

	*left = (struct symrules_left){ 0 };
	writer_init(&frames, 1 << 16);
	writer_bytes(&frames, cie, sizeof(cie));
	writer_u32(&frames, (uint32_t)(4 + 16 + len));
	writer_u32(&frames, 0);
	writer_u64(&frames, 0x100);
	writer_u64(&frames, 0x40);
	writer_bytes(&frames, program, len);
	symrules_write(frames.bytes, frames.len, to, left);
	writer_fini(&frames);
	fclose(to);
	return out;
}

#define FIRST "STACK CFI INIT 100 40 .cfa: "
#define RETURN " .ra: .cfa -8 + ^\n"

static void check_rules(const void *program, size_t len, const char *wanted,
			size_t wanted_rows, size_t wanted_rules)
{
	struct symrules_left left;
	char *found = say_rules(program, len, &left);

	CHECK_STRING(found, wanted);
	CHECK_NUMBER(left.rows, wanted_rows);
	CHECK_NUMBER(left.rules, wanted_rules);
	free(found);
}

#define CHECK_RULES(wanted, wanted_rows, wanted_rules, ...)                    \
	do {                                                                   \
		static const uint8_t program_[] = { __VA_ARGS__ };             \
		check_rules(program_, sizeof(program_), wanted, wanted_rows,   \
			    wanted_rules);                                     \
	} while (0)

static void usual_rules(void)
{
	CHECK_RULES(FIRST "$rsp 8 +" RETURN, 0, 0, DW_CFA_nop);
	CHECK_RULES(FIRST "$rsp 8 +" RETURN
		    "STACK CFI 101 $rbp: .cfa -16 + ^ .cfa: $rsp 16 +\n"
		    "STACK CFI 104 .cfa: $rbp 16 +\n"
		    "STACK CFI 110 $rbp: $rbp .cfa: $rsp 8 +\n", 0, 0,
		    DW_CFA_advance_loc | 1, DW_CFA_def_cfa_offset, 16,
		    DW_CFA_offset | R_RBP, 2, DW_CFA_advance_loc | 3,
		    DW_CFA_def_cfa_register, R_RBP, DW_CFA_advance_loc | 12,
		    DW_CFA_restore | R_RBP, DW_CFA_def_cfa, R_SP, 8);
	CHECK_RULES("STACK CFI INIT 100 40 .cfa: $rsp 8 + .ra: .undef\n", 0, 0,
		    DW_CFA_undefined, R_PC);
}

static void expressions(void)
{
	/* A linkage table's, as ld writes it. */
	CHECK_RULES(FIRST "$rsp 8 + $rip 16 % 5 + 16 / 8 * +" RETURN, 0, 0,
		    DW_CFA_def_cfa_expression, 11, DW_OP_breg7, 8, DW_OP_breg16,
		    0, DW_OP_lit15, DW_OP_and, DW_OP_lit11, DW_OP_ge,
		    DW_OP_lit3, DW_OP_shl, DW_OP_plus);
	CHECK_RULES(FIRST "$rbp -8 + ^" RETURN, 0, 0, DW_CFA_def_cfa_expression,
		    3, DW_OP_breg6, 0x78, DW_OP_deref);
	CHECK_RULES(FIRST "$rsp 16 @ 40 +" RETURN, 0, 0,
		    DW_CFA_def_cfa_expression, 7, DW_OP_breg7, 0,
		    DW_OP_const1s, 0xf0, DW_OP_and, DW_OP_plus_uconst, 40);
	CHECK_RULES(FIRST "$rsp 8 @" RETURN, 0, 0,
		    DW_CFA_def_cfa_expression, 7, DW_OP_breg7, 0, DW_OP_lit8,
		    DW_OP_over, DW_OP_swap, DW_OP_mod, DW_OP_minus);
	/* A register's: with the CFA, without it, and where it is kept. */
	CHECK_RULES("STACK CFI INIT 100 40 $r12: .cfa 4 * $r13: $rsp 7 + $rbx: "
		    "$rsp 40 + ^ .cfa: $rsp 8 +" RETURN, 0, 0,
		    DW_CFA_val_expression, R_R12, 2, DW_OP_lit4, DW_OP_mul,
		    DW_CFA_val_expression, R_R13, 2, DW_OP_breg7, 7,
		    DW_CFA_expression, R_RBX, 2, DW_OP_breg7, 40);
}

/* Where nobody knows how large a value is, what it is compared with cannot be
 * said by arithmetic. */
static void no_words(void)
{
	CHECK_RULES("", 1, 0, DW_CFA_def_cfa_expression, 4, DW_OP_breg7, 8,
		    DW_OP_lit3, DW_OP_ge);
	CHECK_RULES("", 1, 0, DW_CFA_def_cfa_expression, 7, DW_OP_breg7, 0,
		    DW_OP_lit15, DW_OP_and, DW_OP_const1u, 17, DW_OP_ge);
	CHECK_RULES("", 1, 0, DW_CFA_def_cfa_expression, 4, DW_OP_breg7, 8,
		    DW_OP_dup, DW_OP_plus);
	CHECK_RULES("", 1, 0, DW_CFA_def_cfa_expression, 1, DW_OP_plus);
	CHECK_RULES("STACK CFI INIT 100 40 $rbx: .undef .cfa: $rsp 8 +" RETURN,
		    0, 1, DW_CFA_val_expression, R_RBX, 2, DW_OP_lit6,
		    DW_OP_xor);
}

/* The code of a row that cannot be said has no rules; that behind it has. */
static void goes_on(void)
{
	CHECK_RULES("STACK CFI INIT 100 4 .cfa: $rsp 8 +" RETURN
		    "STACK CFI INIT 108 38 $rbx: .cfa -16 + ^ .cfa: $rsp 24 +"
		    RETURN, 1, 0,
		    DW_CFA_advance_loc | 4, DW_CFA_def_cfa_expression, 1,
		    DW_OP_neg, DW_CFA_offset | R_RBX, 2,
		    DW_CFA_advance_loc | 4, DW_CFA_def_cfa, R_SP, 24);
}

static void bad_programs(void)
{
	CHECK_RULES("", 1, 0, DW_CFA_def_cfa, 7);
	CHECK_RULES("", 1, 0, DW_CFA_restore_state);
}

int main(void)
{
	static const struct test tests[] = {
		{ "what is read and written again is the same",
		  stays_the_same },
		{ "what is said twice or by nothing is written once or not",
		  says_it_once },
		{ "calls that were inlined come behind those they are in",
		  order_of_inlines },
		{ "no name ends a line or drives a terminal",
		  names_end_no_line },
		{ "rows of CFI become STACK CFI, with what changes",
		  usual_rules },
		{ "expressions become Breakpad's, by arithmetic where need be",
		  expressions },
		{ "rules that there are no words for are left out and counted",
		  no_words },
		{ "rules go on behind a row that is left out", goes_on },
		{ "a program that makes no sense has no rules", bad_programs },
	};

	return TEST_RUN(tests);
}
