/* Symbols and DWARF, looked up in the one file that is certainly there with
 * both: this program. */
#include "../../symbolizer/demangle.h"
#include "../../symbolizer/lookup.h"
#include "test.h"

static struct report report;
static struct module self;

/* Where this very line is. */
#define HERE(name) \
	__asm__ volatile(".globl " name "\n" name ": nop" ::: "memory")

extern const char place_in_plain[], place_in_inlined[];
extern const char __ehdr_start[]; /* the linker's */
int plain(int n);
int host(int n);

static int plain_line, inlined_line, call_line;
static volatile int sink;

__attribute__((noinline)) int plain(int n)
{
	sink = n;
	plain_line = __LINE__; HERE("place_in_plain");
	return sink + 1;
}

static inline __attribute__((always_inline)) void inlined(int n)
{
	sink = n;
	inlined_line = __LINE__; HERE("place_in_inlined");
	sink = n + 1;
}

__attribute__((noinline)) int host(int n)
{
	call_line = __LINE__; inlined(n);
	return sink;
}

/* This program as a module, based where it is loaded. */
static void find_self(void)
{
	struct elf_file file;

	report_init(&report, NULL);
	self.base = (uintptr_t)__ehdr_start;
	self.size = 1;
	self.path = "/proc/self/exe";
	if (CHECK(elf_file_open(self.path, &file, NULL))) {
		self.build_id = file.build_id;
		elf_file_close(&file);
	}
	CHECK(self.build_id.len > 0);
}

/* The names at ADDRESS of this process; their number. */
static size_t names_at(const char *address, struct name *names, size_t max)
{
	struct finder *finder = finder_new(NULL, 0, NULL);
	struct lookup *lookup = lookup_open(finder, &self, false);
	struct writer out;
	struct reader r;
	size_t n;

	writer_init(&out, 1 << 20);
	lookup_write(lookup, (uint64_t)(uintptr_t)address - self.base, &out);
	CHECK_NUMBER(lookup_status(lookup), SYMBOLS_FOUND);
	reader_init(&r, out.bytes, out.len);
	n = reader_count(&r, max, 16);
	for (size_t i = 0; i < n; i++)
		lookup_read_name(&r, &report, &names[i]);
	CHECK(!r.bad && reader_left(&r) == 0);
	writer_fini(&out);
	lookup_close(lookup);
	finder_free(finder);
	return n;
}

static bool ends_with(const char *text, const char *end)
{
	size_t len = text ? strlen(text) : 0;

	return len >= strlen(end) && !strcmp(text + len - strlen(end), end);
}

static void plain_function(void)
{
	struct name names[8];

	plain(1);
	if (!CHECK_NUMBER(names_at(place_in_plain, names, 8), 1))
		return;
	CHECK_STRING(names[0].function, "plain");
	CHECK(ends_with(names[0].file, "tests/unit/symbols.c"));
	CHECK_NUMBER(names[0].line, plain_line);
	CHECK_NUMBER(names[0].flags, 0);
}

static void inlined_function(void)
{
	struct name names[8];

	host(1);
	if (!CHECK_NUMBER(names_at(place_in_inlined, names, 8), 2))
		return;
	CHECK_STRING(names[0].function, "inlined");
	CHECK_NUMBER(names[0].line, inlined_line);
	CHECK_STRING(names[1].function, "host");
	CHECK_NUMBER(names[1].line, call_line);
	CHECK(ends_with(names[1].file, "tests/unit/symbols.c"));
}

static void nowhere(void)
{
	struct name names[8];

	CHECK_NUMBER(names_at((const char *)(uintptr_t)self.base, names, 8),
		     0);
}

static void other_build_id(void)
{
	struct finder *finder = finder_new(NULL, 0, NULL);
	struct module other = self;
	struct lookup *lookup;

	other.build_id.bytes[0] ^= 1;
	lookup = lookup_open(finder, &other, false);
	CHECK_NUMBER(lookup_status(lookup), SYMBOLS_MISSING);
	CHECK(lookup_debug_path(lookup) == NULL);
	lookup_close(lookup);
	other.build_id.len = 0;
	lookup = lookup_open(finder, &other, false);
	CHECK_NUMBER(lookup_status(lookup), SYMBOLS_NONE);
	lookup_close(lookup);
	finder_free(finder);
}

/* What a lost child leaves half-written, or a hostile one writes. */
static void cut_answers(void)
{
	struct writer out;
	struct name name;
	struct reader r;

	writer_init(&out, 4096);
	lookup_write_text(&out, "function");
	lookup_write_text(&out, NULL);
	writer_u32(&out, 3);
	writer_u32(&out, 0);
	writer_u32(&out, 1);
	lookup_write_text(&out, "alias");
	for (size_t len = 0; len <= out.len; len++) {
		reader_init(&r, out.bytes, len);
		lookup_read_name(&r, &report, &name);
		CHECK(r.bad == (len < out.len));
	}
	CHECK_STRING(name.function, "function");
	CHECK(name.file == NULL);
	if (CHECK_NUMBER(name.naliases, 1))
		CHECK_STRING(name.aliases[0], "alias");
	memset(out.bytes, 0xff, 4);
	reader_init(&r, out.bytes, out.len);
	lookup_read_name(&r, &report, &name);
	CHECK(r.bad);
	writer_fini(&out);
}

static void demangles(const char *name, const char *wanted)
{
	char out[SYMBOLIZE_MAX_NAME];

	demangle(name, out, sizeof(out));
	CHECK_STRING(out, wanted);
}

static void demangling(void)
{
	demangles("_ZN5known6Ledger4postEPNS_7AccountEl",
		  "known::Ledger::post(known::Account*, long)");
	demangles("_ZN3foo3barE", "foo::bar");
	demangles("_Z1fv.cold", "f() [clone .cold]");
	demangles("_ZN4core3ptr13read_volatile17h0123456789abcdefE",
		  "core::ptr::read_volatile");
	demangles("_RNvCs1234_7mycrate3foo", "mycrate::foo");
	demangles("_D3std5stdio7writelnFZv", "std.stdio.writeln()");
	demangles("main", "main");
	demangles("_start", "_start");
	demangles("_Z", "_Z");
	demangles("__libc_start_main", "__libc_start_main");
	demangles("", "");
}

/* A few bytes that stand for very many: what fits is kept, quickly. */
static void demangling_bombs(void)
{
	char name[DEMANGLE_MAX_INPUT], out[256];
	size_t len;

	/* Each T_ of a pack stands for all before it. */
	len = (size_t)snprintf(name, sizeof(name), "_Z1fI");
	for (int i = 0; i < 60; i++)
		len += (size_t)snprintf(name + len, sizeof(name) - len,
					"St4pairI%s%sE", i ? "S_" : "i",
					i ? "S0_" : "i");
	snprintf(name + len, sizeof(name) - len, "EvT_");
	demangle(name, out, sizeof(out));
	CHECK(strlen(out) < sizeof(out));
	memset(name, 'P', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	memcpy(name, "_Z1fP", 5);
	demangle(name, out, sizeof(out));
	CHECK_NUMBER(strlen(out), sizeof(out) - 1);
	CHECK_STRING(out + sizeof(out) - 4, "...");
	for (size_t i = 0; i + 1 < sizeof(name); i++)
		name[i] = "_RNv"[i % 4];
	demangle(name, out, sizeof(out));
	CHECK_NUMBER(strlen(out), sizeof(out) - 1);
}

static const struct test tests[] = {
	{ "a plain function has name, file and line", plain_function },
	{ "an inlined one comes before its host, with its call's line",
	  inlined_function },
	{ "where no function is, none is named", nowhere },
	{ "another build-id finds nothing", other_build_id },
	{ "a cut or forged answer is noticed", cut_answers },
	{ "C++, Rust and D are demangled, the rest stays", demangling },
	{ "demangling is bounded", demangling_bombs },
};

int main(void)
{
	int status;

	find_self();
	status = TEST_RUN(tests);
	report_free(&report);
	return status;
}
