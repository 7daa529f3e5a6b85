/* Functions that a linker has made one: which names come back from an index. */
#include "../../symbolizer/index/build.h"
#include "../../symbolizer/index/index.h"
#include "test.h"

/* Sixteen bytes of code. */
static void tell_function(struct build *build, const char *name, uint64_t entry)
{
	const struct build_row row = {
		.start = entry, .len = 16,
		.scope = build_scope(build, build_function(build, name, 0),
				     entry),
	};

	build_add(build, &row);
}

static void tell_folded(struct build *build)
{
	static const struct symbol symbols[] = {
		{ 0x7000, 0x7010, "lost", NULL, 1, 0, true },
		{ 0x7000, 0x7010, "alias", NULL, 1, 0, true },
		{ 0x7000, 0x7020, "larger", NULL, 1, 0, true },
		{ 0x9000, 0x9010, "alone", NULL, 1, 0, true },
	};
	struct symtab symtab = { .symbols = malloc(sizeof(symbols)),
				 .len = sizeof(symbols) / sizeof(symbols[0]) };
	char name[16];

	memcpy(symtab.symbols, symbols, sizeof(symbols));
	symtab_finish(&symtab);
	build_symbols(build, &symtab);
	symtab_fini(&symtab);
	tell_function(build, "one", 0x6000);
	tell_function(build, "two", 0x7000);
	tell_function(build, "many", 0x8000);
	build_folded(build, 0x6000, "one", 0); /* the same again */
	build_folded(build, 0x6000, "other", BUILD_LINKAGE);
	build_folded(build, 0x6000, "other", BUILD_LINKAGE);
	build_folded(build, 0x6008, "nobody's", 0);
	build_dropped(build, "lost", 0x10);
	build_dropped(build, "two", 0x10);
	build_dropped(build, "larger", 0x10);
	build_dropped(build, "alone", 0x10);
	build_dropped(build, "gone", 0x10);
	for (int i = 0; i < 3 * INDEX_MAX_ALIASES; i++) {
		snprintf(name, sizeof(name), "many%d", i);
		build_folded(build, 0x8000, name, 0);
	}
}

static void check_aliases(struct index *index, uint64_t address,
			  const char *wanted)
{
	struct index_alias aliases[INDEX_MAX_ALIASES];
	size_t n = index_aliases(index, address, aliases), len = 0;
	char text[64] = "";

	for (size_t i = 0; i < n && len < sizeof(text); i++)
		len += (size_t)snprintf(text + len, sizeof(text) - len,
					"%s%s", aliases[i].name,
					aliases[i].is_linkage ? "! " : " ");
	if (!CHECK_STRING(text, wanted))
		printf("# at %#" PRIx64 "\n", address);
}

static void check_folded(struct index *index)
{
	struct index_alias aliases[INDEX_MAX_ALIASES];

	check_aliases(index, 0x6000, "other! ");
	check_aliases(index, 0x600f, "other! ");
	check_aliases(index, 0x6010, "");
	check_aliases(index, 0x7004, "lost! ");
	check_aliases(index, 0x9000, "");
	CHECK_NUMBER(index_aliases(index, 0x8000, aliases), INDEX_MAX_ALIASES);
	CHECK(strncmp(aliases[0].name, "many", 4) == 0);
}

static void folded(void)
{
	const struct build_module module = { .source = "" };
	struct build *build = build_new();
	struct index *index;
	struct writer bytes;

	writer_init(&bytes, 1 << 24);
	tell_folded(build);
	CHECK(build_write(build, &module, &bytes));
	build_free(build);
	index = index_memory(bytes.bytes, bytes.len, NULL);
	if (CHECK(index != NULL))
		check_folded(index);
	index_close(index);
	writer_fini(&bytes);
}

static const struct test tests[] = {
	{ "other names of functions that were made one come back", folded },
};

int main(void)
{
	return TEST_RUN(tests);
}
