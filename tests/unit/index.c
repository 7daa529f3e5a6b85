/* The index of a module: what is told to a build comes back from its bytes, and
 * nothing else does, whatever becomes of these. */
#include "../../symbolizer/index/build.h"
#include "index_repair.h"
#include "index_says.h"
#include "mutate.h"

enum { BASE = 0x400000 };

static const struct build_module MODULE = {
	.build_id = { .len = 4, .bytes = { 1, 2, 3, 4 } }, .base = BASE,
	.source = "/usr/lib/debug/module",
};

/* What TELL says, as the bytes of an index. */
static void write_index(void tell(struct build *build), struct writer *out)
{
	struct build *build = build_new();

	writer_init(out, 1 << 28);
	tell(build);
	CHECK(build_write(build, &MODULE, out));
	build_free(build);
}

/* [START, END) is of SCOPE, or of none, at FILE and LINE. */
static void tell_row(struct build *build, uint64_t start, uint64_t end,
		     uint32_t scope, const char *file, uint32_t line)
{
	const struct build_row row = {
		start, (uint32_t)(end - start), scope,
		file ? build_file(build, file) : 0, line,
	};

	build_add(build, &row);
}

static uint32_t tell_function(struct build *build, const char *name,
			      uint64_t entry)
{
	return build_scope(build, build_function(build, name, false), entry);
}

static uint32_t tell_inlined(struct build *build, uint32_t parent,
			     const char *name, const char *file, uint32_t line)
{
	return build_inlined(build, parent, build_function(build, name, false),
			     file ? build_file(build, file) : 0, line);
}

static void with_index(void tell(struct build *build),
		       void check(struct index *index))
{
	struct writer bytes;
	struct index *index;

	write_index(tell, &bytes);
	index = index_memory(bytes.bytes, bytes.len, NULL);
	if (CHECK(index != NULL))
		check(index);
	CHECK(!index || !index_is_damaged(index));
	index_close(index);
	writer_fini(&bytes);
}

/* What is told comes back */

static void tell_rows(struct build *build)
{
	uint32_t main_ = tell_function(build, "main", 0x1000);
	uint32_t middle = tell_inlined(build, main_, "middle", "main.c", 21);
	uint32_t leaf = tell_inlined(build, middle, "leaf", "middle.h", 7);

	tell_row(build, 0x1030, 0x1040, main_, "main.c", 30);
	tell_row(build, 0x1010, 0x1020, leaf, "leaf.h", 3);
	tell_row(build, 0x1020, 0x1030, middle, "middle.h", 8);
	tell_row(build, 0x1000, 0x1010, main_, "main.c", 20);
	tell_row(build, 0x1040, 0x1050, main_, "main.c",
		 30 | BUILD_APPROXIMATE);
	tell_row(build, 0x1050, 0x1060, main_, NULL, 0);
	tell_row(build, 0x2000, 0x2010, 0, "asm.S", 5);
	tell_row(build, 0x2010, 0x2020, tell_function(build, "f", 0x2010),
		 "f.c", 0);
}

static void check_rows(struct index *index)
{
	check_at(index, 0, "");
	check_at(index, 0xfff, "");
	check_at(index, 0x1000, "main main.c:20");
	check_at(index, 0x100f, "main main.c:20");
	check_at(index, 0x1010,
		 "leaf leaf.h:3 < middle middle.h:7 < main main.c:21");
	check_at(index, 0x102f, "middle middle.h:8 < main main.c:21");
	check_at(index, 0x1030, "main main.c:30");
	check_at(index, 0x1040, "main main.c:30~");
	check_at(index, 0x1050, "main ?:0");
	check_at(index, 0x1060, "");
	check_at(index, 0x1fff, "");
	check_at(index, 0x2000, "? asm.S:5");
	check_at(index, 0x2010, "f f.c:0");
	check_at(index, 0x2020, "");
	check_at(index, UINT64_MAX, "");
	CHECK_NUMBER(index_base(index), BASE);
	CHECK_STRING(index_source(index), MODULE.source);
	CHECK(index_has_lines(index));
	CHECK_BYTES(index_build_id(index)->bytes, index_build_id(index)->len,
		    MODULE.build_id.bytes, MODULE.build_id.len);
}

static void rows(void)
{
	with_index(tell_rows, check_rows);
}

static void check_few(struct index *index)
{
	struct level levels[2];

	CHECK_NUMBER(index_levels(index, 0x1010, levels, 2), 2);
	CHECK_STRING(levels[1].function, "middle");
	CHECK_NUMBER(index_levels(index, 0x1010, levels, 0), 0);
}

static void few_levels(void)
{
	with_index(tell_rows, check_few);
}

static void check_entries(struct index *index)
{
	uint64_t entry = 0;

	CHECK(index_entry(index, 0x1015, &entry));
	CHECK_NUMBER(entry, 0x1000);
	CHECK(index_entry(index, 0x1055, &entry));
	CHECK_NUMBER(entry, 0x1000);
	CHECK(index_entry(index, 0x201f, &entry));
	CHECK_NUMBER(entry, 0x2010);
	CHECK(!index_entry(index, 0x2000, &entry)); /* of no function */
	CHECK(!index_entry(index, 0x1060, &entry));
}

static void entries(void)
{
	with_index(tell_rows, check_entries);
}

static void tell_overlaps(struct build *build)
{
	uint32_t f = tell_function(build, "f", 0x1000);

	tell_row(build, 0x1010, 0x1020, f, "a.c", 2); /* all below the next */
	tell_row(build, 0x1000, 0x1030, f, "a.c", 1);
	tell_row(build, 0x1000, 0x1040, f, "a.c", 3); /* said later */
	tell_row(build, 0x1038, 0x1050, f, "a.c", 4);
	tell_row(build, 0x1050, 0x1050, f, "a.c", 5); /* of no length */
	tell_row(build, UINT64_MAX - 8, 8, f, "a.c", 6); /* has no end */
}

static void check_overlaps(struct index *index)
{
	check_at(index, 0x1000, "f a.c:1");
	check_at(index, 0x102f, "f a.c:1");
	check_at(index, 0x1030, "f a.c:3");
	check_at(index, 0x103f, "f a.c:3");
	check_at(index, 0x1040, "f a.c:4");
	check_at(index, 0x1050, "");
	check_at(index, UINT64_MAX - 8, "");
}

static void overlaps(void)
{
	with_index(tell_overlaps, check_overlaps);
}

static void tell_names(struct build *build)
{
	uint32_t plain = build_function(build, "f", false);
	uint32_t linkage = build_function(build, "f", true);

	CHECK(plain != linkage);
	CHECK_NUMBER(build_function(build, "f", true), linkage);
	CHECK_NUMBER(build_function(build, "", true), 0);
	CHECK_NUMBER(build_file(build, "a.c"), build_file(build, "a.c"));
	CHECK_NUMBER(build_file(build, ""), 0);
	tell_row(build, 0x1000, 0x1010, build_scope(build, plain, 0x1000),
		 "a.c", 1);
	tell_row(build, 0x1010, 0x1020, build_scope(build, linkage, 0x1010),
		 "a.c", 1);
	tell_row(build, 0x1020, 0x1030, build_scope(build, 0, 0x1020), "a.c",
		 1);
}

static void check_names(struct index *index)
{
	struct level level;

	CHECK_NUMBER(index_levels(index, 0x1000, &level, 1), 1);
	CHECK(!level.is_linkage);
	CHECK_NUMBER(index_levels(index, 0x1010, &level, 1), 1);
	CHECK(level.is_linkage);
	CHECK_NUMBER(index_levels(index, 0x1020, &level, 1), 1);
	CHECK(level.function == NULL && level.line == 1);
}

static void names(void)
{
	with_index(tell_names, check_names);
}

/* Much of everything, that differs in all ways: a function each 64 bytes, calls
 * inlined into it, and rows of a few bytes, but for some places. */

enum { FUNCTIONS = 1500, SLOT = 64, DEPTH = 6, MUCH_AT = 0x10000 };

static uint32_t mixed(uint32_t n)
{
	n = (n ^ n >> 15) * 0x2c1b3c6du;
	n = (n ^ n >> 12) * 0x297a2d39u;
	return n ^ n >> 15;
}

static uint32_t line_of(uint32_t n)
{
	uint32_t line = mixed(n) >> (mixed(n + 1) % 28 + 2);

	return line > 0 ? line : 1;
}

static const char *file_of(uint32_t n)
{
	static char path[32];

	snprintf(path, sizeof(path), "%u.c", mixed(n) % 20000);
	return path;
}

static const char *function_of(uint32_t n)
{
	static char name[32];

	snprintf(name, sizeof(name), "f%u", n % 700);
	return name;
}

static unsigned depth_of(uint32_t n)
{
	return mixed(n) % DEPTH;
}

/* Of slot N: its function, what is inlined there, and a row of 16 bytes in
 * each; behind the last is a hole. */
static void tell_much(struct build *build)
{
	for (uint32_t n = 0; n < FUNCTIONS; n++) {
		uint64_t at = MUCH_AT + (uint64_t)n * SLOT * 4;
		uint32_t scope = tell_function(build, function_of(n), at);

		for (unsigned i = 0; i <= depth_of(n); i++) {
			uint32_t key = n * 16 + i;

			tell_row(build, at + 16 * i, at + 16 * (i + 1), scope,
				 file_of(key), line_of(key));
			scope = tell_inlined(build, scope, function_of(key),
					     file_of(key + 8),
					     line_of(key + 8));
		}
	}
}

/* What slot N has at its row number AT. */
static void wanted_at(uint32_t n, unsigned at, char *out, size_t cap)
{
	size_t len = 0;

	for (unsigned i = at + 1; i-- > 0;) {
		uint32_t key = n * 16 + i;
		uint32_t place = i == at ? key : key + 8;

		len += (size_t)snprintf(out + len, cap - len, "%s%s %s:%u",
					i < at ? " < " : "",
					function_of(i > 0 ? key - 1 : n),
					file_of(place), line_of(place));
	}
}

static void check_much(struct index *index)
{
	char wanted[512];

	for (uint32_t n = 0; n < FUNCTIONS && test_holds; n++) {
		uint64_t at = MUCH_AT + (uint64_t)n * SLOT * 4;

		for (unsigned i = 0; i <= depth_of(n); i++) {
			wanted_at(n, i, wanted, sizeof(wanted));
			check_at(index, at + 16 * i, wanted);
			check_at(index, at + 16 * i + 15, wanted);
		}
		check_at(index, at + 16 * (depth_of(n) + 1), "");
	}
}

static void much(void)
{
	with_index(tell_much, check_much);
}

/* A row is coded by what differs from the one before: rows that change one
 * thing, the other, and nothing, at each place of a block. */
static void tell_lines(struct build *build)
{
	uint32_t f = tell_function(build, "f", 0), g;

	g = tell_inlined(build, f, "g", NULL, 0);
	for (uint32_t i = 0; i < 3000; i++) {
		uint32_t line = i % 5 == 0 ? 1 : 1000 + i * (i % 3 ? 1 : 1000);

		tell_row(build, i * 1000, (i + 1) * 1000, i % 7 < 3 ? f : g,
			 i % 11 < 9 ? "a.c" : "b.c",
			 i % 13 == 0 ? line | BUILD_APPROXIMATE : line);
	}
}

static void check_lines(struct index *index)
{
	for (uint32_t i = 0; i < 3000; i++) {
		uint32_t line = i % 5 == 0 ? 1 : 1000 + i * (i % 3 ? 1 : 1000);
		char wanted[64];

		snprintf(wanted, sizeof(wanted), "%s %s:%u%s%s",
			 i % 7 < 3 ? "f" : "g", i % 11 < 9 ? "a.c" : "b.c",
			 line, i % 13 == 0 ? "~" : "",
			 i % 7 < 3 ? "" : " < f ?:0");
		check_at(index, i * 1000 + i % 1000, wanted);
	}
}

static void lines(void)
{
	with_index(tell_lines, check_lines);
}

/* Symbols */

static void check_symbol(struct index *index, uint64_t address,
			 const char *wanted)
{
	struct index_symbol symbol;
	char text[64] = "";

	if (index_symbol(index, address, &symbol))
		snprintf(text, sizeof(text), "%s %#" PRIx64 "%s%s%s",
			 symbol.name, symbol.start, symbol.sized ? "" : "~",
			 symbol.file ? " " : "",
			 symbol.file ? symbol.file : "");
	if (!CHECK_STRING(text, wanted))
		printf("# at %#" PRIx64 "\n", address);
}

static void tell_symbols(struct build *build)
{
	static struct symbol symbols[] = {
		{ 0x1000, 0x1100, "outer", NULL, 1, 0, true },
		{ 0x1010, 0x1020, "inner", "a.c", 1, SYMTAB_RANK_LOCAL,
		  true },
		{ 0x1010, 0x1020, "alias", NULL, 1, 1, true },
		{ 0x1040, 0x1200, "label", NULL, 1, 0, false },
		{ 0x1180, 0x1180, "nothing", NULL, 1, 0, true },
		{ 0x2000, UINT64_MAX, "endless", NULL, 1, 0, false },
	};
	struct symtab symtab = { .symbols = malloc(sizeof(symbols)),
				 .len = sizeof(symbols) / sizeof(symbols[0]) };

	memcpy(symtab.symbols, symbols, sizeof(symbols));
	symtab_finish(&symtab);
	build_symbols(build, &symtab);
	symtab_fini(&symtab);
}

static void check_symbols(struct index *index)
{
	check_symbol(index, 0xfff, "");
	check_symbol(index, 0x1000, "outer 0x1000");
	check_symbol(index, 0x1010, "alias 0x1010");
	check_symbol(index, 0x101f, "alias 0x1010");
	check_symbol(index, 0x1020, "outer 0x1000");
	check_symbol(index, 0x1040, "outer 0x1000");
	check_symbol(index, 0x10ff, "outer 0x1000");
	check_symbol(index, 0x1100, "label 0x1040~");
	check_symbol(index, 0x117f, "label 0x1040~");
	check_symbol(index, 0x1180, "");
	check_symbol(index, 0x2000, "endless 0x2000~");
	check_symbol(index, 0x100001ffe, "endless 0x2000~");
	check_at(index, 0x1000, "");
	CHECK(!index_has_lines(index));
}

static void symbols(void)
{
	with_index(tell_symbols, check_symbols);
}

/* Tail calls */

static void tell_tails(struct build *build)
{
	static const struct build_call calls[] = {
		{ 0x1000, 0x1008, 0x2000, 0, false }, /* main calls b */
		{ 0x1000, 0x1010, 0x3000, 0, false }, /* and c */
		{ 0x2000, 0x2010, 0x3000, 0, true },  /* b goes on to c, */
		{ 0x2000, 0x2020, 0x4000, 0, true },  /* or to d, */
		{ 0x2000, 0x2030, 0, 0, true },       /* or somewhere */
		{ 0x4000, 0x4010, 0x3000, 0, true },  /* d: who knows all? */
	};

	build_entry(build, 0x1000, true);
	build_entry(build, 0x2000, true);
	build_entry(build, 0x3000, true);
	build_entry(build, 0x4000, false);
	build_entry(build, 0, true);
	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
		build_call(build, &calls[i]);
}

static bool has_tail(const struct index_tail *tails, size_t n,
		     uint64_t return_pc, uint64_t callee, bool is_end)
{
	for (size_t i = 0; i < n; i++)
		if (tails[i].return_pc == return_pc)
			return tails[i].callee == callee &&
			       tails[i].is_end == is_end;
	return false;
}

static void check_tails(struct index *index)
{
	struct index_tail tails[8];
	uint64_t callee = 0;
	size_t n;

	CHECK(index_call(index, 0x1008, &callee));
	CHECK_NUMBER(callee, 0x2000);
	CHECK(!index_call(index, 0x1009, &callee));
	CHECK(!index_call(index, 0x1010, &callee)); /* c has no tail calls */
	n = index_tails(index, 0x2000, tails, 8);
	CHECK_NUMBER(n, 3);
	CHECK(has_tail(tails, n, 0x2010, 0x3000, false));
	CHECK(has_tail(tails, n, 0x2020, 0x4000, false));
	CHECK(has_tail(tails, n, 0x2030, 0, true));
	CHECK_NUMBER(index_tails(index, 0x2000, tails, 2), 2);
	CHECK_NUMBER(index_tails(index, 0x3000, tails, 8), 0);
	CHECK_NUMBER(index_tails(index, 0x4000, tails, 8), 0);
	CHECK_NUMBER(index_tails(index, 0x1fff, tails, 8), 0);
}

static void tails(void)
{
	with_index(tell_tails, check_tails);
}

/* Limits */

static void tell_limits(struct build *build)
{
	static char endless[1 << 20];
	uint32_t scope = tell_function(build, "f", 0x1000);

	memset(endless, 'x', sizeof(endless) - 1);
	tell_row(build, 0x1000, 0x1010, tell_function(build, endless, 0x1000),
		 "a.c", 1);
	for (int i = 0; i < 100000; i++)
		scope = tell_inlined(build, scope, "f", "a.c", 1);
	tell_row(build, 0x1010, 0x1020, scope, "a.c", 1);
}

static void check_limits(struct index *index)
{
	struct level level;
	uint64_t entry;

	if (CHECK_NUMBER(index_levels(index, 0x1000, &level, 1), 1) &&
	    CHECK(level.function != NULL))
		CHECK_NUMBER(strlen(level.function), INDEX_CHUNK - 1);
	CHECK(!index_entry(index, 0x1010, &entry));
}

static void limits(void)
{
	with_index(tell_limits, check_limits);
}

/* Damage */

enum { BULK = 50000, BULK_AT = 0x200000, BULK_SYMBOLS = 2000 };

/* A function around all, and one in each 64 bytes of it. */
static void tell_bulk_symbols(struct build *build)
{
	struct symtab symtab = {
		.symbols = calloc(BULK_SYMBOLS, sizeof(struct symbol)),
		.len = BULK_SYMBOLS,
	};

	for (uint64_t i = 0; i < BULK_SYMBOLS; i++)
		symtab.symbols[i] = (struct symbol){
			.start = BULK_AT + 64 * i,
			.end = BULK_AT + 64 * (i == 0 ? BULK_SYMBOLS : i + 1),
			.name = i % 2 ? "odd" : "even", .sized = true,
		};
	symtab_finish(&symtab);
	build_symbols(build, &symtab);
	symtab_fini(&symtab);
}

/* So much of everything that each table is longer than a chunk. */
static void tell_all(struct build *build)
{
	uint32_t f = tell_function(build, "f", BULK_AT);
	uint32_t g = tell_inlined(build, f, "g", "a.c", 1);

	tell_much(build);
	tell_rows(build);
	tell_tails(build);
	tell_bulk_symbols(build);
	build_folded(build, 0x1000, "f", 0);
	for (uint64_t i = 0; i < BULK; i++)
		tell_row(build, BULK_AT + 4 * i, BULK_AT + 4 * i + 4,
			 i % 2 ? f : g, "a.c", 1);
	for (uint32_t i = 0; i < 3000; i++) {
		const struct build_call call = {
			.caller = 0x2000, .return_pc = BULK_AT + i,
			.callee = 0x2000, .is_tail = i % 2,
		};

		build_call(build, &call);
	}
}

/* Everything that there is to ask, and what an index that is whole says. */
struct asked {
	uint64_t address;
	struct level levels[SAYS_LEVELS];
	size_t nlevels, ntails, naliases;
	struct index_alias aliases[INDEX_MAX_ALIASES];
	struct index_symbol symbol;
	struct index_tail tails[128];
	uint64_t entry, callee;
	bool has_symbol, has_entry, has_callee;
};

static void ask(struct index *index, uint64_t address, struct asked *out)
{
	memset(out, 0, sizeof(*out));
	out->address = address;
	out->nlevels = index_levels(index, address, out->levels, SAYS_LEVELS);
	out->has_symbol = index_symbol(index, address, &out->symbol);
	out->has_entry = index_entry(index, address, &out->entry);
	out->has_callee = index_call(index, address, &out->callee);
	out->ntails = index_tails(index, address, out->tails, 128);
	out->naliases = index_aliases(index, address, out->aliases);
}

static bool is_text(const char *found, const char *wanted)
{
	return !found || (wanted && strcmp(found, wanted) == 0);
}

static bool is_level(const struct level *found, const struct level *wanted)
{
	return is_text(found->function, wanted->function) &&
	       is_text(found->file, wanted->file) &&
	       found->line == wanted->line &&
	       found->approximate == wanted->approximate;
}

static bool are_tails(const struct asked *found, const struct asked *wanted)
{
	if (found->ntails == 1 && found->tails[0].return_pc == 0)
		return true; /* who knows? */
	return found->ntails == wanted->ntails &&
	       memcmp(found->tails, wanted->tails,
		      found->ntails * sizeof(found->tails[0])) == 0;
}

static bool is_alias(const struct index_alias *found,
		     const struct asked *wanted)
{
	for (size_t i = 0; i < wanted->naliases; i++)
		if (strcmp(wanted->aliases[i].name, found->name) == 0)
			return found->is_linkage ==
			       wanted->aliases[i].is_linkage;
	return false;
}

/* Either as it was, or nothing: texts may be missing by themselves. */
static void check_less(const struct asked *found, const struct asked *wanted)
{
	bool holds = are_tails(found, wanted);

	holds &= found->naliases <= wanted->naliases;
	for (size_t i = 0; holds && i < found->naliases; i++)
		holds &= is_alias(&found->aliases[i], wanted);
	if (found->nlevels > 0)
		holds &= found->nlevels == wanted->nlevels;
	for (size_t i = 0; holds && i < found->nlevels; i++)
		holds &= is_level(&found->levels[i], &wanted->levels[i]);
	if (found->has_symbol)
		holds &= wanted->has_symbol &&
			 found->symbol.start == wanted->symbol.start &&
			 is_text(found->symbol.name, wanted->symbol.name) &&
			 is_text(found->symbol.file, wanted->symbol.file);
	if (found->has_entry)
		holds &= wanted->has_entry && found->entry == wanted->entry;
	if (found->has_callee)
		holds &= wanted->has_callee && found->callee == wanted->callee;
	if (!CHECK(holds))
		printf("# at %#" PRIx64 "\n", wanted->address);
}

static const uint64_t PLACES[] = {
	0, 0x1000, 0x1018, 0x1025, 0x1048, 0x2000, 0x2008, 0x2010, 0x3000,
	0x4000, MUCH_AT + 5, MUCH_AT + 0x5018, MUCH_AT + 0x15428,
	MUCH_AT + 0x25400, MUCH_AT + 0x3c008, MUCH_AT + 0x5d900 + 3, BULK_AT,
	BULK_AT + 1000, BULK_AT + 2998, BULK_AT + 0x9004, BULK_AT + 0x1f008,
	BULK_AT + 0x2f000, BULK_AT + 4 * BULK - 1, UINT64_MAX,
};

enum { NPLACES = sizeof(PLACES) / sizeof(PLACES[0]) };

static void flipped_bytes(void)
{
	static struct asked wanted[NPLACES];
	struct writer bytes;
	struct index *index;
	size_t refused = 0, damaged = 0, tried = 0;

	write_index(tell_all, &bytes);
	CHECK(bytes.len > 20 * INDEX_CHUNK);
	index = index_memory(bytes.bytes, bytes.len, NULL);
	for (size_t i = 0; i < NPLACES; i++)
		ask(index, PLACES[i], &wanted[i]);
	/* In each chunk some bytes, in the head and the sums each one. */
	for (size_t at = 0; at < bytes.len && test_holds; tried++) {
		struct asked found;
		struct index *bad;

		bytes.bytes[at] ^= (uint8_t)(1u << at % 8);
		bad = index_memory(bytes.bytes, bytes.len, NULL);
		for (size_t i = 0; bad && i < NPLACES; i++) {
			ask(bad, PLACES[i], &found);
			check_less(&found, &wanted[i]);
		}
		damaged += bad && index_is_damaged(bad);
		refused += !bad;
		index_close(bad);
		bytes.bytes[at] ^= (uint8_t)(1u << at % 8);
		at += at < 512 || at + 256 > bytes.len ? 1 : 1009;
	}
	CHECK(refused >= 512); /* the head, and more */
	CHECK(damaged > 100 && refused + damaged < tried);
	index_close(index);
	writer_fini(&bytes);
}

static void cut_files(void)
{
	struct writer bytes;

	write_index(tell_all, &bytes);
	for (size_t len = 0; len < bytes.len; len += len < 600 ? 1 : 4099)
		CHECK(index_memory(bytes.bytes, len, NULL) == NULL);
	for (size_t cut = 1; cut < 40; cut++)
		CHECK(index_memory(bytes.bytes, bytes.len - cut, NULL) == NULL);
	writer_fini(&bytes);
}

static void other_versions(void)
{
	struct error err = { .code = ERR_NONE };
	struct writer bytes;
	struct index *index;

	write_index(tell_rows, &bytes);
	bytes.bytes[8]++; /* the version */
	index_repair(bytes.bytes, bytes.len);
	CHECK(index_memory(bytes.bytes, bytes.len, &err) == NULL);
	CHECK_NUMBER(err.code, ERR_BAD_DATA);
	bytes.bytes[8]--;
	bytes.bytes[0]++; /* the magic */
	index_repair(bytes.bytes, bytes.len);
	CHECK(index_memory(bytes.bytes, bytes.len, NULL) == NULL);
	bytes.bytes[0]--;
	index_repair(bytes.bytes, bytes.len);
	index = index_memory(bytes.bytes, bytes.len, NULL);
	CHECK(index != NULL);
	index_close(index);
	writer_fini(&bytes);
}

static void files(void)
{
	char path[] = "/tmp/index.XXXXXX";
	int fd = mkstemp(path);
	struct writer bytes;
	struct index *index;

	write_index(tell_rows, &bytes);
	if (!CHECK(fd >= 0))
		return;
	CHECK(index_open(path, NULL) == NULL); /* nothing in it */
	CHECK(write(fd, bytes.bytes, bytes.len) == (ssize_t)bytes.len);
	index = index_open(path, NULL);
	if (CHECK(index != NULL))
		check_rows(index);
	index_close(index);
	close(fd);
	unlink(path);
	CHECK(index_open(path, NULL) == NULL);
	CHECK(index_open("/tmp", NULL) == NULL);
	writer_fini(&bytes);
}

/* One whose checksums are right is not believed either. What is before the
 * strings is less than a chunk, so TABLES bytes of that and the strings are
 * mutated, and not the padding between them. */

static size_t tables;

static void try_repaired(const uint8_t *bytes, size_t len)
{
	size_t gap = len > tables ? INDEX_CHUNK - tables : 0;
	uint8_t *copy = calloc(1, len + gap + 1);
	static struct asked found;
	struct index *index;

	memcpy(copy, bytes, gap ? tables : len);
	if (gap)
		memcpy(copy + INDEX_CHUNK, bytes + tables, len - tables);
	len += gap;
	if (len > INDEX_HEAD)
		index_repair(copy, len);
	index = index_memory(copy, len, NULL);
	for (size_t i = 0; index && i < NPLACES; i++)
		ask(index, PLACES[i], &found);
	index_close(index);
	free(copy);
}

static void tell_little(struct build *build)
{
	tell_rows(build);
	tell_symbols(build);
	tell_tails(build);
}

static void repaired(void)
{
	struct writer bytes;

	write_index(tell_little, &bytes);
	tables = INDEX_CHUNK;
	while (bytes.bytes[tables - 1] == 0)
		tables--;
	CHECK(tables > INDEX_HEAD + 200 && tables < 2000);
	memmove(bytes.bytes + tables, bytes.bytes + INDEX_CHUNK,
		bytes.len - INDEX_CHUNK);
	bytes.len -= INDEX_CHUNK - tables;
	CHECK(bytes.len < 2500);
	mutate_all(bytes.bytes, bytes.len, try_repaired);
	writer_fini(&bytes);
}

static const struct test tests[] = {
	{ "each address has the row that was told, and holes have none", rows },
	{ "no more levels are written than there is room for", few_levels },
	{ "the function around an address begins where it was told", entries },
	{ "of rows that overlap the first counts", overlaps },
	{ "functions and files are numbered once", names },
	{ "much of everything comes back", much },
	{ "lines come back, whatever changes", lines },
	{ "the best symbol is found", symbols },
	{ "tail calls and what leads to them come back", tails },
	{ "names without end are cut, and chains are none", limits },
	{ "a byte that is flipped costs answers, and changes none",
	  flipped_bytes },
	{ "an index that is cut is none", cut_files },
	{ "an index of another version is none", other_versions },
	{ "an index is read from its file", files },
	{ "an index with the right checksums is not believed", repaired },
};

int main(void)
{
	return TEST_RUN(tests);
}
