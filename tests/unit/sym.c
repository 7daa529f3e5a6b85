/* Breakpad's symbol files: read from text, made an index of, and CFI. */
#include "../../lib/unwind/walk.h"
#include "mutate.h"

#include <time.h>

#define LLVMFuzzerTestOneInput fuzz_sym
#include "../fuzz/sym.c"

#define MODULE "MODULE Linux x86_64 33221100554477668899AABBCCDDEEFF0 a b\n"

static const char whole[] = MODULE
	"INFO CODE_ID 00112233445566778899AABBCCDDEEFF01234567\n"
	"INFO GENERATOR somebody\n"
	"FILE 0 /src/a file.c\r\n"
	"FILE 7 b.c\n"
	"INLINE_ORIGIN 3 inner(int, char)\n"
	"INLINE_ORIGIN 4 outer()\n"
	"FUNC m 1000 100 8 main thing\n"
	"INLINE 0 12 0 4 1010 20 1080 8\n"
	"INLINE 1 34 7 3 1018 4\n"
	"1000 10 11 0\n"
	"1010 8 21 7\n"
	"1018 4 31 7\n"
	"101c 4 0 7\n"
	"1020 10 22 7\n"
	"1030 10 0 0\n"
	"1080 80 15 0\n"
	"PUBLIC m 800 0 before\n"
	"PUBLIC 1200 0 _behind\n"
	"STACK WIN 4 1000 1 0 0 0 0 0 0 1 $eip\n"
	"STACK CFI INIT 1000 100 .cfa: $rsp 8 + .ra: .cfa -8 + ^\n"
	"STACK CFI 1004 .cfa: $rsp 16 + $rbx: .cfa -16 + ^\n"
	"STACK CFI 1040 .cfa: $rsp 24 + ^ 8 + $rbp: .cfa 8 - ^ 16 @\n";

static struct sym_file as_file(const char *text)
{
	return (struct sym_file){ .bytes = text, .len = strlen(text) };
}

/* The index of what TEXT, all of a file, has of names. */
static struct index *open_names(const char *text)
{
	static struct writer bytes;
	struct sym_file file = as_file(text);
	struct index *index = NULL;

	writer_fini(&bytes);
	if (CHECK(make_sym_index(&file, &bytes)))
		index = index_memory(bytes.bytes, bytes.len, NULL);
	CHECK(index != NULL);
	return index;
}

/* The name by a PUBLIC at OFFSET, or NULL. */
static const char *public_at(struct index *index, uint64_t offset,
			     bool *icf_out)
{
	struct index_symbol symbol;

	if (!index_symbol(index, offset, &symbol))
		return NULL;
	CHECK(symbol.is_public && !symbol.sized);
	*icf_out = symbol.icf;
	return symbol.name;
}

/* The levels as text, innermost first: "name file:line". */
static const char *levels_at(struct index *names, uint64_t offset)
{
	static char text[1024];
	struct level levels[8];
	size_t n = index_levels(names, offset, levels, 8), len = 0;

	text[0] = '\0';
	for (size_t i = 0; i < n; i++)
		len += (size_t)snprintf(text + len, sizeof(text) - len,
			"%s%s %s:%u%s%s", i ? ", " : "",
			levels[i].function ? levels[i].function : "?",
			levels[i].file ? levels[i].file : "?", levels[i].line,
			levels[i].approximate ? " about" : "",
			levels[i].icf ? " folded" : "");
	return text;
}

static void looks_up(void)
{
	struct index *names = open_names(whole);

	CHECK_STRING(levels_at(names, 0x1000),
		     "main thing /src/a file.c:11 folded");
	CHECK_STRING(levels_at(names, 0x1010),
		     "outer() b.c:21, main thing /src/a file.c:12 folded");
	CHECK_STRING(levels_at(names, 0x101b),
		     "inner(int, char) b.c:31, outer() b.c:34, "
		     "main thing /src/a file.c:12 folded");
	CHECK_STRING(levels_at(names, 0x1087),
		     "outer() /src/a file.c:15, "
		     "main thing /src/a file.c:12 folded");
	CHECK_STRING(levels_at(names, 0x1088),
		     "main thing /src/a file.c:15 folded");
	CHECK_STRING(levels_at(names, 0x1050), "main thing ?:0 folded");
	CHECK_STRING(levels_at(names, 0xfff), "");
	CHECK_STRING(levels_at(names, 0x1100), "");
	CHECK_STRING(levels_at(names, UINT64_C(0x100001000)), "");
	index_close(names);
}

/* Code of line 0 has the line before it in the same call, if there is one. */
static void lines_of_zero(void)
{
	struct index *names = open_names(whole);

	CHECK_STRING(levels_at(names, 0x101c),
		     "outer() b.c:21 about, "
		     "main thing /src/a file.c:12 folded");
	CHECK_STRING(levels_at(names, 0x1030),
		     "main thing /src/a file.c:11 about folded");
	index_close(names);
	names = open_names(MODULE "FILE 0 a.c\nFUNC 10 10 0 f\n10 10 0 0\n");
	CHECK_STRING(levels_at(names, 0x18), "f a.c:0");
	index_close(names);
}

static void publics(void)
{
	struct index *names = open_names(whole);
	bool icf = false;

	CHECK_STRING(public_at(names, 0x7ff, &icf), NULL);
	CHECK_STRING(public_at(names, 0x800, &icf), "before");
	CHECK(icf);
	CHECK_STRING(public_at(names, 0xfff, &icf), "before");
	CHECK_STRING(public_at(names, 0x1180, &icf), NULL);
	CHECK_STRING(public_at(names, 0x9999, &icf), "_behind");
	CHECK(!icf);
	index_close(names);
}

/* They do not say in which file a call is. */
static void old_inlines(void)
{
	struct index *names = open_names(MODULE
		"FILE 1 a.c\nINLINE_ORIGIN 0 1 in\nINLINE_ORIGIN 1 -1 deep er\n"
		"FUNC 10 20 0 f\nINLINE 0 5 0 14 8\nINLINE 1 6 1 18 4\n"
		"10 20 7 1\n");

	CHECK_STRING(levels_at(names, 0x1a),
		     "deep er a.c:7, in a.c:6, f a.c:5");
	CHECK_STRING(levels_at(names, 0x14), "in a.c:7, f a.c:5");
	index_close(names);
	names = open_names(MODULE "INLINE_ORIGIN 0 in\nFUNC 10 20 0 f\n"
			   "INLINE 0 5 -1 0 14 8\n");
	CHECK_STRING(levels_at(names, 0x14), "in ?:0, f ?:5");
	index_close(names);
}

/* What dump_syms sorts need not be; what overlaps goes; the first counts. */
static void any_order(void)
{
	struct index *names = open_names(MODULE
		"FUNC 300 10 0 third\n308 8 2 5\n300 8 1 2\n"
		"FUNC 100 10 0 first\n104 4 9 2\n"
		"FUNC 108 100 0 overlapping\n108 100 3 2\n"
		"FUNC 200 0 0 empty\n"
		"FILE 5 five\nFILE 2 two\nFILE 2 again\n"
		"PUBLIC 400 0 one\nPUBLIC 400 0 other\nPUBLIC 50 0 low\n");
	bool icf;

	CHECK_STRING(levels_at(names, 0x300), "third two:1");
	CHECK_STRING(levels_at(names, 0x30f), "third five:2");
	CHECK_STRING(levels_at(names, 0x106), "first two:9");
	CHECK_STRING(levels_at(names, 0x120), "");
	CHECK_STRING(public_at(names, 0x400, &icf), "one");
	CHECK_STRING(public_at(names, 0x60, &icf), "low");
	index_close(names);
}

static void any_ends(void)
{
	struct index *names = open_names("MODULE\r\nFUNC 10 10 0 f\r\r\n\n"
					    "\r\n10  10  3  0\nFILE 0 x");

	CHECK_STRING(levels_at(names, 0x10), "f x:3");
	index_close(names);
	names = open_names("");
	CHECK_STRING(levels_at(names, 0x10), "");
	index_close(names);
}

/* TEXT has one bad line, number LINE. */
static void is_bad(const char *text, enum sym_part part, size_t line,
		   const char *why)
{
	struct sym sym;

	if (!CHECK(sym_parse(text, strlen(text), part, &sym, NULL)))
		return;
	CHECK_NUMBER(sym.trouble.n, 1);
	CHECK_NUMBER(sym.trouble.first, line);
	CHECK_STRING(sym.trouble.why, why);
	sym_free(&sym);
}

static void bad_lines(void)
{
	is_bad("MODULE\nFUNC 10 1g 0 f\n", SYM_NAMES, 2, "no address and size");
	is_bad("FUNC 100000000 1 0 f\n", SYM_NAMES, 1, "no address and size");
	is_bad("FUNC 1 1 name\n", SYM_NAMES, 1, "no size of parameters");
	is_bad("FUNC 1 1 0 f\n1 1 1\n", SYM_NAMES, 2, "no line and file");
	is_bad("FUNC 1 1 0 f\n1 1 1 1 1\n", SYM_NAMES, 2, "no line and file");
	is_bad("FUNC 1 1 0 f\n1 1 -1 1\n", SYM_NAMES, 2, "no line and file");
	is_bad("FUNC 1 1 0 f\nnonsense\n", SYM_NAMES, 2, "no address and size");
	is_bad("FUNC 1 1 0 f\nFUNCTION 1 1 0 f\n", SYM_NAMES, 2,
	       "no address and size");
	is_bad("1 1 1 1\n", SYM_NAMES, 1, "a line of no function");
	is_bad("FUNC 1 1 0 f\nPUBLIC 1 0 p\n1 1 1 1", SYM_NAMES, 3,
	       "a line of no function");
	is_bad("INLINE 0 1 2 3 4 5\n", SYM_NAMES, 1,
	       "an inlined call in no function");
	is_bad("FUNC 1 1 0 f\nINLINE 0 1 2 3\n", SYM_NAMES, 2,
	       "no address and size");
	is_bad("FUNC 1 1 0 f\nINLINE 0 1 2 3 4 z\n", SYM_NAMES, 2,
	       "no address and size");
	is_bad("FILE x a\n", SYM_NAMES, 1, "no number of a file");
	is_bad("FILE 4294967296 a\n", SYM_NAMES, 1, "no number of a file");
	is_bad("FILE 1 \n", SYM_NAMES, 1, "no name");
	is_bad("INLINE_ORIGIN 1\n", SYM_NAMES, 1, "no name");
	is_bad("PUBLIC 1 0 \n", SYM_NAMES, 1, "no name");
	is_bad("\nMODULE a\n", SYM_NAMES, 2, "MODULE is not the first");
	is_bad("STACK FOO\n", SYM_RULES, 1, "neither CFI nor WIN");
	is_bad("STACK CFI 1 .cfa: 1\n", SYM_RULES, 1,
	       "no STACK CFI INIT before it");
	is_bad("STACK CFI INIT 1 .cfa: 1\n", SYM_RULES, 1,
	       "no address and size");
	is_bad("STACK CFI INIT 1 1\n", SYM_RULES, 1, "no rules");
	is_bad("STACK CFI INIT 1 0 .cfa: 1\n", SYM_RULES, 1, "of no size");
}

/* Lines behind a bad FUNC are not the function's before it. */
static void what_hangs_on_it(void)
{
	static const char text[] =
		"FUNC 10 10 0 f\n10 10 1 1\n"
		"FUNC x 10 0 g\n20 10 2 1\nINLINE 0 1 1 1 1 1";
	struct sym sym;
	char sentence[SYM_TROUBLE];

	if (!CHECK(sym_parse(text, strlen(text), SYM_NAMES, &sym, NULL)))
		return;
	CHECK_NUMBER(sym.nfunctions, 1);
	CHECK_NUMBER(sym.functions[0].nlines, 1);
	CHECK_NUMBER(sym.trouble.n, 3);
	sym_say_trouble(&sym.trouble, sentence);
	CHECK_STRING(sentence, "3 lines left out of its symbol file, the first "
		     "is 3: no address and size");
	sym_free(&sym);
}

static void too_large(void)
{
	struct error err;
	struct sym sym;

	CHECK(!sym_parse("", SYM_MAX_TEXT + 1, SYM_NAMES, &sym, &err));
	CHECK_NUMBER(err.code, ERR_TOO_LARGE);
}

static void identity(void)
{
	struct build_id id, shorter = { 8, "\0\x11\"3DUfw" };
	char text[SYM_DEBUG_ID];
	struct sym_id has;

	build_id_parse("00112233445566778899aabbccddeeff01234567", &id);
	sym_id_of(&id, &has);
	sym_debug_id(&has, text);
	CHECK_STRING(text, "33221100554477668899AABBCCDDEEFF0");
	sym_id_of(&shorter, &has);
	sym_debug_id(&has, text);
	CHECK_STRING(text, "33221100554477660000000000000000" "0");
	has.age = 0x1f;
	sym_debug_id(&has, text);
	CHECK_STRING(text, "33221100554477660000000000000000" "1F");
	CHECK(sym_read_id(whole, strlen(whole), &has));
	CHECK(sym_id_matches(&id, &has));
	CHECK(!sym_id_matches(&shorter, &has));
	id.bytes[19] ^= 1; /* its last byte is in CODE_ID alone */
	CHECK(!sym_id_matches(&id, &has));
	id.len = 16;
	CHECK(sym_id_matches(&id, &has));
	CHECK(sym_read_id(MODULE, strlen(MODULE), &has));
	CHECK_NUMBER(has.code.len, 0);
	id.len = 20;
	CHECK(sym_id_matches(&id, &has));
	has.age = 1;
	CHECK(!sym_id_matches(&id, &has));
	id.len = 0;
	has = (struct sym_id){ 0 };
	CHECK(!sym_id_matches(&id, &has));
	CHECK(!sym_read_id("", 0, &has));
	CHECK(!sym_read_id("MODULE a b 332211 x", 19, &has));
	CHECK(!sym_read_id("FUNC 1 1 0 f\n" MODULE, 60, &has));
}

/* Rules: a caller's registers, in a world where each word holds ten times its
 * own address. */

enum { RSP = 0x1100, RBP = 0x1808, RBX = 0x77, CFA = RSP + 8, AT = 0x500 };

static size_t read_tenfold(void *context, uint64_t address, void *to,
			   size_t len)
{
	uint64_t value = 10 * address;

	(void)context;
	if (address < 0x1000 || address >= 0x3000)
		return 0;
	if (len > sizeof(value))
		len = sizeof(value);
	memcpy(to, &value, len);
	return len;
}

/* Use the rules that TEXT, all of a file, has for OFFSET. */
static enum apply_result apply(const char *text, uint64_t offset,
			       struct sym_trouble *trouble_out,
			       struct registers *caller_out, uint64_t *cfa_out)
{
	struct unwind_module module = {
		.base = SYM_BASE, .end = SYM_END, .elf_fd = -1, .debug_fd = -1,
		.frames = get_sym_frames,
	};
	struct registers regs = {
		.valid = REG_BIT(R_SP) | REG_BIT(R_FP) | REG_BIT(R_RBX) |
			 REG_BIT(R_PC),
		.value = { [R_SP] = RSP, [R_FP] = RBP, [R_RBX] = RBX,
			   [R_PC] = SYM_BASE + offset },
	};
	struct cursor cursor = { .regs = regs, .exact = true };
	enum apply_result result = APPLY_NO_VALUE;
	struct sym_file file = as_file(text);
	struct unwind *unwind;
	const struct row *row;
	struct sym sym;

	*trouble_out = (struct sym_trouble){ 0 };
	if (!sym_file_parse(&file, SYM_RULES, &sym, NULL))
		return result;
	writer_init(&sym_frames, 1 << 20);
	symframes_make(&sym, &sym_frames, &sym.trouble);
	*trouble_out = sym.trouble;
	sym_free(&sym);
	unwind = unwind_new(&module, 1, NULL, 0, read_tenfold, NULL);
	row = walk_row(unwind, &cursor);
	if (row)
		result = walk_apply(unwind, row, &regs, caller_out, cfa_out);
	unwind_free(unwind);
	writer_fini(&sym_frames);
	return result;
}

/* The CFA by RULE, or 0. */
static uint64_t cfa_by(const char *rule)
{
	struct sym_trouble trouble;
	struct registers caller;
	uint64_t cfa = 0;
	char text[256];

	snprintf(text, sizeof(text), "STACK CFI INIT 500 10 .cfa: %s .ra: 1\n",
		 rule);
	if (apply(text, AT, &trouble, &caller, &cfa) != APPLY_OK)
		return 0;
	return cfa;
}

static void cfa_rules(void)
{
	CHECK_NUMBER(cfa_by("$rsp 8 +"), RSP + 8);
	CHECK_NUMBER(cfa_by("rsp 8 +"), RSP + 8);
	CHECK_NUMBER(cfa_by("$rsp -8 -"), RSP + 8);
	CHECK_NUMBER(cfa_by("$rsp 70000 +"), RSP + 70000);
	CHECK_NUMBER(cfa_by("$rbp"), RBP);
	CHECK_NUMBER(cfa_by("8 $rsp +"), RSP + 8);
	CHECK_NUMBER(cfa_by("$rsp 8 + ^"), 10 * (RSP + 8));
	CHECK_NUMBER(cfa_by("$rbp 16 @"), RBP / 16 * 16);
	CHECK_NUMBER(cfa_by("4096"), 4096);
	CHECK_NUMBER(cfa_by(".cfa"), 0);
	CHECK_NUMBER(cfa_by(".undef"), 0);
	CHECK_NUMBER(cfa_by("$rsp 8"), 0);
	CHECK_NUMBER(cfa_by("$xmm0 8 +"), 0);
	CHECK_NUMBER(cfa_by("$r12 8 +"), 0); /* its value is not known */
	CHECK_NUMBER(cfa_by("$rsp 99999999999999999999 +"), 0);
}

/* What RULE makes of rbx; 0 where that is not known. */
static uint64_t rbx_by(const char *rule)
{
	struct sym_trouble trouble;
	struct registers caller;
	uint64_t cfa;
	char text[256];

	snprintf(text, sizeof(text), "STACK CFI INIT 500 10 .cfa: $rsp 8 + "
		 ".ra: .cfa 8 - ^ $rbx: %s\n", rule);
	if (!CHECK_NUMBER(apply(text, AT, &trouble, &caller, &cfa), APPLY_OK))
		return 0;
	CHECK_NUMBER(caller.value[R_PC], 10 * RSP);
	return caller.valid >> R_RBX & 1 ? caller.value[R_RBX] : 0;
}

static void register_rules(void)
{
	CHECK_NUMBER(rbx_by(".cfa 16 - ^"), 10 * (CFA - 16));
	CHECK_NUMBER(rbx_by(".cfa -16 + ^"), 10 * (CFA - 16));
	CHECK_NUMBER(rbx_by(".cfa ^"), 10 * CFA);
	CHECK_NUMBER(rbx_by(".cfa 40 +"), CFA + 40);
	CHECK_NUMBER(rbx_by(".cfa"), CFA);
	CHECK_NUMBER(rbx_by("$rbx"), RBX);
	CHECK_NUMBER(rbx_by("$rbp"), RBP);
	CHECK_NUMBER(rbx_by("$rsp 8 + ^"), 10 * (RSP + 8));
	CHECK_NUMBER(rbx_by("$rbp .cfa -"), RBP - CFA);
	CHECK_NUMBER(rbx_by("-7 2 *"), -14);
	CHECK_NUMBER(rbx_by("100 7 /"), 14);
	CHECK_NUMBER(rbx_by("100 7 %"), 2);
	CHECK_NUMBER(rbx_by("107 16 @"), 96);
	CHECK_NUMBER(rbx_by("1 2 3 4 5 + + + +"), 15);
}

/* As for rust-minidump: it is the one register that is then not known. */
static void rules_without_a_value(void)
{
	static const char *const rules[] = {
		".undef", "1 .undef +", "+", "1 +", "1 2", "^", "$kitties",
		".ra", "1 0 /", "1 0 %", "1 0 @", "$rip 1 =", "64 ^",
		"9223372036854775808",
	};

	for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++)
		if (!CHECK_NUMBER(rbx_by(rules[i]), 0))
			printf("# \"%s\"\n", rules[i]);
}

static void unknown_registers(void)
{
	struct sym_trouble trouble;
	struct registers caller;
	uint64_t cfa;

	CHECK_NUMBER(apply("STACK CFI INIT 500 10 $st0: 1 + .cfa: $rsp 8 + "
			   ".ra: 5 $averylongname: 3 $rbx:$rbp: 7",
			   AT, &trouble, &caller, &cfa), APPLY_OK);
	CHECK_NUMBER(trouble.n, 0);
	CHECK_NUMBER(caller.value[R_RBX], RBX);
	CHECK_NUMBER(caller.value[R_FP], RBP);
}

/* Breakpad goes on by other means; the table says that there is no more. */
static void the_end(void)
{
	struct sym_trouble trouble;
	struct registers caller;
	uint64_t cfa;

	CHECK_NUMBER(apply("STACK CFI INIT 500 10 .cfa: $rsp .ra: .undef", AT,
			   &trouble, &caller, &cfa), APPLY_END);
}

static const char changes[] =
	"STACK CFI INIT 500 400 .cfa: $rsp 8 + .ra: 5\n"
	"STACK CFI 501 .cfa: $rsp 16 + $rbx: 11\n"
	"STACK CFI 501 .cfa: $rsp 99 +\n"
	"STACK CFI 4ff .cfa: $rsp 99 +\n"
	"STACK CFI 900 .cfa: $rsp 99 +\n"
	"STACK CFI 600 $rbx: 22 +\n"
	"STACK CFI 700 .cfa: $rsp 24 + $rbx: $rbx\n"
	"STACK CFI 800 .cfa: $rsp +\n"
	"STACK CFI 810 .cfa: $rsp 32 +\n";

static void rows_of(uint64_t offset, uint64_t wanted_cfa, uint64_t wanted_rbx)
{
	struct sym_trouble trouble;
	struct registers caller;
	uint64_t cfa;

	CHECK_NUMBER(apply(changes, offset, &trouble, &caller, &cfa), APPLY_OK);
	CHECK_NUMBER(cfa, wanted_cfa);
	CHECK_NUMBER(caller.valid >> R_RBX & 1 ? caller.value[R_RBX] : 0,
		     wanted_rbx);
}

/* One that is out of order is left out; without a CFA nothing follows. */
static void rows(void)
{
	struct sym_trouble trouble;
	struct registers caller;
	uint64_t cfa;

	rows_of(0x500, RSP + 8, RBX);
	rows_of(0x501, RSP + 16, 11);
	rows_of(0x5ff, RSP + 16, 11);
	rows_of(0x600, RSP + 16, 0);
	rows_of(0x700, RSP + 24, RBX);
	rows_of(0x7ff, RSP + 24, RBX);
	CHECK_NUMBER(apply(changes, 0x800, &trouble, &caller, &cfa),
		     APPLY_NO_VALUE);
	CHECK_NUMBER(trouble.n, 5);
	CHECK_NUMBER(trouble.first, 3);
	CHECK_STRING(trouble.why, "an address out of order");
	CHECK_NUMBER(apply(changes, 0x815, &trouble, &caller, &cfa),
		     APPLY_NO_VALUE);
}

static void not_a_row(const char *rules, const char *why)
{
	struct sym_trouble trouble;
	struct registers caller;
	char text[256];
	uint64_t cfa;

	snprintf(text, sizeof(text), "STACK CFI INIT 500 10 %s\n", rules);
	CHECK_NUMBER(apply(text, AT, &trouble, &caller, &cfa), APPLY_NO_VALUE);
	CHECK_NUMBER(trouble.n, 1);
	CHECK_STRING(trouble.why, why);
}

static void no_rows(void)
{
	not_a_row(".cfa: $rsp 8 +", "no rule for .ra");
	not_a_row(".ra: $rip", "no rule for .cfa");
	not_a_row("$rsp 8 +", "no register's name first");
	not_a_row(".cfa: .ra: 5", "a register without an expression");
	not_a_row(".cfa: 1 .ra: 5 $rbx: ", "a register without an expression");
	not_a_row(".cfa: $rsp 8 + .ra: 1 +", "an operator without values");
	not_a_row(".cfa: .cfa 8 + .ra: 5", "a CFA made of itself");
}

/* A row or a function that is longer than any, by one repeated rule. */
static void long_rules(void)
{
	size_t cap = 4 << 20, len;
	char *text = malloc(cap);
	struct sym_trouble trouble;
	struct registers caller;
	uint64_t cfa;

	len = (size_t)snprintf(text, cap, "STACK CFI INIT 500 90000 .cfa: 1 "
			       ".ra: 2 $rbx:");
	for (int i = 0; i < 100; i++)
		len += (size_t)snprintf(text + len, cap - len, " 1");
	apply(text, AT, &trouble, &caller, &cfa);
	CHECK_STRING(trouble.why, "an expression too long");
	len = (size_t)snprintf(text, cap, "STACK CFI INIT 500 90000 .cfa: 1 "
			       ".ra: 2\n");
	for (unsigned i = 1; i < 40000; i++)
		len += (size_t)snprintf(text + len, cap - len,
					"STACK CFI %x $rbx: %u\n", 0x500 + i,
					i);
	CHECK_NUMBER(apply(text, 0x500 + 100, &trouble, &caller, &cfa),
		     APPLY_OK);
	CHECK_NUMBER(caller.value[R_RBX], 100);
	CHECK_STRING(trouble.why, "more rules than a function may have");
	CHECK_NUMBER(apply(text, 0x500 + 39000, &trouble, &caller, &cfa),
		     APPLY_NO_VALUE);
	free(text);
}

static const void *get_frames_slowly(void *opaque, size_t *len_out)
{
	const struct timespec while_it_reads = { 2, 100000000 };

	nanosleep(&while_it_reads, NULL);
	return get_sym_frames(opaque, len_out);
}

/* More than all the walks of a report may take together. */
static void slow_reading(void)
{
	struct unwind_module module = {
		.base = SYM_BASE, .end = SYM_END, .elf_fd = -1, .debug_fd = -1,
		.frames = get_frames_slowly,
	};
	struct registers regs = {
		.valid = REG_BIT(R_SP) | REG_BIT(R_PC),
		.value = { [R_SP] = RSP, [R_PC] = SYM_BASE + AT },
	};
	static const char text[] = "STACK CFI INIT 0 1000 .cfa: $rsp 8 + "
				   ".ra: 0";
	struct unwind_result result;
	struct frame frames[4];
	struct unwind *unwind;
	struct sym sym;

	if (!CHECK(sym_parse(text, strlen(text), SYM_RULES, &sym, NULL)))
		return;
	writer_init(&sym_frames, 1 << 20);
	symframes_make(&sym, &sym_frames, &sym.trouble);
	unwind = unwind_new(&module, 1, NULL, 0, read_tenfold, NULL);
	for (int i = 0; i < 2; i++) {
		unwind_thread(unwind, &regs, frames, 4, &result);
		CHECK_STRING(result.truncated, NULL);
	}
	unwind_free(unwind);
	writer_fini(&sym_frames);
	sym_free(&sym);
}

static void try_mutation(const uint8_t *bytes, size_t len)
{
	fuzz_sym(bytes, len);
}

static void mutations(void)
{
	mutate_all((const uint8_t *)whole, sizeof(whole) - 1, try_mutation);
}

static const struct test tests[] = {
	{ "functions, inlined calls and lines are found by address",
	  looks_up },
	{ "code of line 0 has the nearest line before it", lines_of_zero },
	{ "a PUBLIC reaches to the next function", publics },
	{ "inlined calls of the old form are in the line's file",
	  old_inlines },
	{ "records may come in any order, and the first one counts",
	  any_order },
	{ "lines may end in any way, and numbers have spaces", any_ends },
	{ "a bad line is counted, with its number and reason", bad_lines },
	{ "what hangs on a bad line goes with it", what_hangs_on_it },
	{ "more than four gigabytes are refused", too_large },
	{ "a file is told by its GUID, and by all of the build-id if it has it",
	  identity },
	{ "a CFA is a register plus a number, or any expression", cfa_rules },
	{ "a register has the value that its expression gives",
	  register_rules },
	{ "an expression without a value costs its register alone",
	  rules_without_a_value },
	{ "rules of registers that we do not follow are passed over",
	  unknown_registers },
	{ "a return address that is undefined is the end", the_end },
	{ "a row holds until the next one", rows },
	{ "a row that cannot be had is told with its reason", no_rows },
	{ "expressions, rows and functions are bounded", long_rules },
	{ "the time that the rules take is no time of the walk's",
	  slow_reading },
	{ "no mutation of a file does harm", mutations },
};

int main(void)
{
	return TEST_RUN(tests);
}
