/* The minidump codec: what goes in comes out, what other tools insist on is
 * there, and no small file makes a large report. */
#include "../../lib/report/minidump.h"
#include "../../lib/report/siginfo.h"
#include "sample.h"
#include "test.h"

/* REPORT's dump; the caller frees it. */
static struct writer encode(const struct report *report)
{
	struct error err = { ERR_NONE, "" };
	struct writer w;

	writer_init(&w, MAX_REPORT_BYTES);
	if (!minidump_encode(report, &w, &err))
		CHECK_STRING(err.text, "");
	return w;
}

static void round_trip(const struct report *wanted)
{
	struct error err = { ERR_NONE, "" };
	struct writer w = encode(wanted);
	struct report found;

	if (minidump_decode(w.bytes, w.len, &found, &err)) {
		sample_compare(&found, wanted);
		report_free(&found);
	} else {
		CHECK_STRING(err.text, "");
	}
	writer_fini(&w);
}

static void keeps_every_field(void)
{
	struct report report;

	sample_make(&report);
	round_trip(&report);
	report_free(&report);
}

static void keeps_what_is_not_known(void)
{
	struct report report;

	report_init(&report, NULL);
	report.arch = "x86_64";
	round_trip(&report);
	report_free(&report);
}

static void is_the_same_twice(void)
{
	struct report report;
	struct writer a, b;

	sample_make(&report);
	a = encode(&report);
	b = encode(&report);
	CHECK_BYTES(a.bytes, a.len, b.bytes, b.len);
	writer_fini(&a);
	writer_fini(&b);
	report_free(&report);
}

static void puts_the_crashed_thread_first(void)
{
	struct report report, found;
	struct thread other;
	struct writer w;

	sample_make(&report);
	other = report.threads[0];
	report.threads[0] = report.threads[1];
	report.threads[1] = other;
	w = encode(&report);
	if (CHECK(minidump_decode(w.bytes, w.len, &found, NULL))) {
		CHECK_NUMBER(found.threads[0].tid, 4243);
		CHECK_NUMBER(found.threads[1].tid, 4242);
		CHECK_NUMBER(found.threads[2].tid, 4244);
		report_free(&found);
	}
	writer_fini(&w);
	report_free(&report);
}

static void appends_to_what_is_there(void)
{
	struct report report, found;
	struct writer w;

	sample_make(&report);
	writer_init(&w, MAX_REPORT_BYTES);
	writer_bytes(&w, "before", 6);
	CHECK(minidump_encode(&report, &w, NULL));
	CHECK_BYTES(w.bytes, 6, "before", 6);
	if (CHECK(minidump_decode(w.bytes + 6, w.len - 6, &found, NULL))) {
		sample_compare(&found, &report);
		report_free(&found);
	}
	writer_fini(&w);
	report_free(&report);
}

/* The offset of the stream's directory entry, or 0. */
static size_t entry_of(const struct writer *w, uint32_t type)
{
	struct reader r;

	reader_init(&r, w->bytes, w->len);
	reader_skip(&r, 8);
	for (size_t n = reader_u32(&r), i = 0; i < n; i++) {
		struct reader at = reader_at(&r, 32 + 12 * i, 4);

		if (reader_u32(&at) == type)
			return 32 + 12 * i;
	}
	return 0;
}

static uint32_t u32_at(const struct writer *w, size_t offset)
{
	struct reader r;

	reader_init(&r, w->bytes, w->len);
	reader_skip(&r, offset);
	return reader_u32(&r);
}

static void has_what_readers_insist_on(void)
{
	struct report report;
	struct writer w;
	size_t threads, system, misc, memory, exception, modules, unloaded;

	sample_make(&report);
	w = encode(&report);
	CHECK_NUMBER(u32_at(&w, 4) & 0xffff, 0xa793);
	threads = u32_at(&w, entry_of(&w, 3) + 8);
	CHECK_NUMBER(u32_at(&w, entry_of(&w, 3) + 4), 4 + 48 * 3);
	modules = u32_at(&w, entry_of(&w, 4) + 8);
	/* lldb takes the first module for the program. */
	CHECK_NUMBER(u32_at(&w, modules + 4), 0x55554000);
	unloaded = u32_at(&w, entry_of(&w, 14) + 8);
	CHECK_NUMBER(u32_at(&w, entry_of(&w, 14) + 4), 12 + 24 * 2);
	CHECK_NUMBER(u32_at(&w, unloaded), 12); /* where the first begins */
	CHECK_NUMBER(u32_at(&w, unloaded + 4), 24);
	CHECK_NUMBER(u32_at(&w, unloaded + 8), 2);
	CHECK_NUMBER(u32_at(&w, unloaded + 12), 0xe0000000);
	CHECK_NUMBER(u32_at(&w, unloaded + 20), 0x5000);
	CHECK_NUMBER(u32_at(&w, u32_at(&w, unloaded + 32)), 2 * 14);
	memory = u32_at(&w, entry_of(&w, 5) + 8);
	CHECK_NUMBER(u32_at(&w, memory), 4);
	/* The stack's bytes are there once, and pointed to twice. */
	CHECK_NUMBER(u32_at(&w, memory + 16), u32_at(&w, threads + 4 + 36));
	exception = u32_at(&w, entry_of(&w, 6) + 8);
	CHECK_NUMBER(u32_at(&w, exception + 8), 11);
	CHECK_NUMBER(u32_at(&w, exception + 12), 1);
	CHECK_NUMBER(u32_at(&w, exception + 24), 0x76543210);
	CHECK_NUMBER(u32_at(&w, exception + 164),
		     u32_at(&w, threads + 4 + 44));
	CHECK_NUMBER(u32_at(&w, u32_at(&w, exception + 164) + 0x30) & 0x100000,
		     0x100000);
	CHECK_NUMBER(u32_at(&w, threads + 4 + 40), 1232 + 100);
	system = u32_at(&w, entry_of(&w, 7) + 8);
	CHECK_NUMBER(u32_at(&w, system) & 0xffff, 9);
	CHECK_NUMBER(u32_at(&w, system + 20), 0x8201);
	CHECK(u32_at(&w, system + 24) != 0);
	misc = u32_at(&w, entry_of(&w, 15) + 8);
	CHECK_NUMBER(u32_at(&w, misc + 8), 4242);
	CHECK(entry_of(&w, MINIDUMP_EPITAPH_STREAM) != 0);
	writer_fini(&w);
	report_free(&report);
}

static void has_no_environment(void)
{
	struct report report;
	struct writer w;

	sample_make(&report);
	w = encode(&report);
	CHECK_NUMBER(entry_of(&w, 0x47670007), 0);
	writer_fini(&w);
	report_free(&report);
}

static void replaces_what_is_not_utf8(void)
{
	struct report report, found;
	struct writer w;

	report_init(&report, NULL);
	report.exe = "/tmp/\xff\xc3(\xed\xa0\x80";
	report.reason = "\xf0\x9f\x90";
	w = encode(&report);
	if (CHECK(minidump_decode(w.bytes, w.len, &found, NULL))) {
		CHECK_STRING(found.exe, "/tmp/\xef\xbf\xbd\xef\xbf\xbd("
			     "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd");
		CHECK_STRING(found.reason, "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf"
			     "\xbd");
		report_free(&found);
	}
	writer_fini(&w);
	report_free(&report);
}

static void refuses(const struct report *report, size_t limit,
		    enum error_code code)
{
	struct error err = { ERR_NONE, "" };
	struct writer w;

	writer_init(&w, limit);
	writer_bytes(&w, "before", 6);
	CHECK(!minidump_encode(report, &w, &err));
	CHECK_NUMBER(err.code, code);
	CHECK_NUMBER(w.len, 6);
	writer_fini(&w);
}

static void encode_holds_to_limits(void)
{
	struct report report;

	sample_make(&report);
	refuses(&report, 2000, ERR_TOO_LARGE);
	report.threads[0].xstate_len = MAX_XSTATE + 1;
	refuses(&report, MAX_REPORT_BYTES, ERR_TOO_LARGE);
	report.threads[0].xstate_len = 0;
	report.modules[1].size = 0;
	refuses(&report, MAX_REPORT_BYTES, ERR_BAD_DATA);
	report.modules[1].size = 1;
	report.modules[1].base = 1;
	refuses(&report, MAX_REPORT_BYTES, ERR_BAD_DATA);
	report.modules[1].base = 0x555555554000;
	report.unloaded[1].size = 0;
	refuses(&report, MAX_REPORT_BYTES, ERR_BAD_DATA);
	report.nunloaded = MAX_UNLOADED + 1;
	refuses(&report, MAX_REPORT_BYTES, ERR_TOO_LARGE);
	report.nunloaded = 0;
	report.nmodules = MAX_MODULES + 1;
	refuses(&report, MAX_REPORT_BYTES, ERR_TOO_LARGE);
	report.nmodules = 0;
	report.nthreads = MAX_THREADS + 1;
	refuses(&report, MAX_REPORT_BYTES, ERR_TOO_LARGE);
	report_free(&report);
}

/* A dump made by hand, of one stream. */
static void header(struct writer *w, uint32_t type, uint32_t size)
{
	writer_u32(w, 0x504d444d);
	writer_u32(w, 0xa793);
	writer_u32(w, 1);
	writer_u32(w, 32);
	writer_zero(w, 16);
	writer_u32(w, type);
	writer_u32(w, size);
	writer_u32(w, 44);
}

static void shared_stacks_are_free(void)
{
	enum { STACK = 1 << 20 };
	struct error err = { ERR_NONE, "" };
	struct report found;
	struct writer w;
	uint32_t rva = 44 + 4 + 48 * MAX_THREADS;

	writer_init(&w, MAX_REPORT_BYTES);
	header(&w, 3, 4 + 48 * MAX_THREADS);
	writer_u32(&w, MAX_THREADS);
	for (uint32_t i = 0; i < MAX_THREADS; i++) {
		writer_u32(&w, i);
		writer_zero(&w, 20);
		writer_u64(&w, 0x1000);
		writer_u32(&w, STACK);
		writer_u32(&w, rva);
		writer_zero(&w, 8);
	}
	writer_zero(&w, STACK);
	if (CHECK(minidump_decode(w.bytes, w.len, &found, &err))) {
		CHECK_NUMBER(found.nthreads, MAX_THREADS);
		CHECK_NUMBER(found.threads[4095].stack.len, STACK);
		/* All 4 GiB of them are the same bytes. */
		CHECK(found.threads[0].stack.bytes ==
		      found.threads[4095].stack.bytes);
		report_free(&found);
	}
	writer_fini(&w);
}

static void shared_names_have_a_limit(void)
{
	enum { MODULES = 8000, NAME = 100000 };
	struct error err = { ERR_NONE, "" };
	struct report found;
	struct writer w;

	writer_init(&w, MAX_REPORT_BYTES);
	writer_u32(&w, 0x504d444d);
	writer_u32(&w, 0xa793);
	writer_u32(&w, 2);
	writer_u32(&w, 32);
	writer_zero(&w, 16);
	writer_u32(&w, 3); /* no threads */
	writer_u32(&w, 4);
	writer_u32(&w, 56);
	writer_u32(&w, 4);
	writer_u32(&w, 4 + 108 * MODULES);
	writer_u32(&w, 64);
	writer_zero(&w, 8);
	writer_u32(&w, MODULES);
	for (uint32_t i = 0; i < MODULES; i++) {
		writer_zero(&w, 20);
		writer_u32(&w, 64 + 4 + 108 * MODULES);
		writer_zero(&w, 84);
	}
	writer_u32(&w, NAME);
	for (size_t i = 0; i < NAME / 2; i++)
		writer_u16(&w, 'x');
	CHECK(!minidump_decode(w.bytes, w.len, &found, &err));
	CHECK_NUMBER(err.code, ERR_TOO_LARGE);
	writer_fini(&w);
}

/* A thread list of CLAIMED threads in a dump that has bytes for one. */
static void count_is_refused(uint32_t claimed, enum error_code code)
{
	struct error err = { ERR_NONE, "" };
	struct report found;
	struct writer w;

	writer_init(&w, MAX_REPORT_BYTES);
	header(&w, 3, 4 + 48);
	writer_u32(&w, claimed);
	writer_zero(&w, 48);
	CHECK(!minidump_decode(w.bytes, w.len, &found, &err));
	CHECK_NUMBER(err.code, code);
	writer_fini(&w);
}

static void counts_are_held_to_what_is_there(void)
{
	count_is_refused(2, ERR_BAD_DATA);
	count_is_refused(MAX_THREADS, ERR_BAD_DATA);
	count_is_refused(MAX_THREADS + 1, ERR_TOO_LARGE);
	count_is_refused(0xffffffff, ERR_TOO_LARGE);
}

static void a_padded_list_is_read(void)
{
	struct report found;
	struct writer w;

	writer_init(&w, MAX_REPORT_BYTES);
	header(&w, 3, 8 + 48);
	writer_u32(&w, 1);
	writer_u32(&w, 0);
	writer_u32(&w, 4711);
	writer_zero(&w, 44);
	if (CHECK(minidump_decode(w.bytes, w.len, &found, NULL))) {
		CHECK_NUMBER(found.threads[0].tid, 4711);
		report_free(&found);
	}
	writer_fini(&w);
}

/* In others' dumps the crashed thread may stand anywhere. */
static void moves_the_crashed_thread_to_the_front(void)
{
	struct report report, found;
	struct writer w;

	sample_make(&report);
	w = encode(&report);
	writer_patch_u32(&w, u32_at(&w, entry_of(&w, 6) + 8), 4244);
	if (CHECK(minidump_decode(w.bytes, w.len, &found, NULL))) {
		CHECK_NUMBER(found.threads[0].tid, 4244);
		CHECK(found.threads[0].crashed);
		CHECK_NUMBER(found.threads[1].tid, 4243);
		CHECK(!found.threads[1].crashed);
		CHECK_NUMBER(found.threads[2].tid, 4242);
		/* Its registers are the exception's. */
		CHECK_BYTES(found.threads[0].fpstate, 512,
			    report.threads[0].fpstate, 512);
		report_free(&found);
	}
	writer_fini(&w);
	report_free(&report);
}

/* A build-id of LEN as Breakpad wrote it once, in a GUID's sixteen bytes. */
static void guid_is_read(size_t len, size_t wanted)
{
	struct report report, found;
	struct writer w;
	size_t module;

	sample_make(&report);
	report.modules[1].build_id.len = 16;
	memset(report.modules[1].build_id.bytes + len, 0, 16 - len);
	w = encode(&report);
	module = u32_at(&w, entry_of(&w, 4) + 8) + 4;
	writer_patch_u32(&w, u32_at(&w, module + 80), 0x53445352);
	if (CHECK(minidump_decode(w.bytes, w.len, &found, NULL))) {
		CHECK_BYTES(found.modules[1].build_id.bytes,
			    found.modules[1].build_id.len,
			    report.modules[1].build_id.bytes, wanted);
		report_free(&found);
	}
	writer_fini(&w);
	report_free(&report);
}

static void build_ids_come_from_guids(void)
{
	guid_is_read(16, 16);
	guid_is_read(9, 16);
	guid_is_read(8, 8);
	guid_is_read(0, 0);
}

static void says_what_is_no_minidump(void)
{
	struct error err = { ERR_NONE, "" };
	struct report found;

	CHECK(!minidump_decode("", 0, &found, &err));
	CHECK_NUMBER(err.code, ERR_BAD_DATA);
	CHECK_STRING(err.text, "not a minidump");
	CHECK(!minidump_decode("MDMP\x94\xa7\0\0\0\0\0\0\0\0\0\0"
			       "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
			       32, &found, &err));
	CHECK_NUMBER(err.code, ERR_UNSUPPORTED);
	CHECK_STRING(err.text, "minidump version 0xa794");
}

static void says_which_machine_it_cannot_read(void)
{
	struct error err = { ERR_NONE, "" };
	struct report report, found;
	struct writer w;

	sample_make(&report);
	w = encode(&report);
	w.bytes[u32_at(&w, entry_of(&w, 7) + 8)] = 12;
	CHECK(!minidump_decode(w.bytes, w.len, &found, &err));
	CHECK_NUMBER(err.code, ERR_UNSUPPORTED);
	CHECK(strstr(err.text, "another machine: ARM64") != NULL);
	writer_fini(&w);
	report_free(&report);
}

static void reads_a_64_bit_memory_list(void)
{
	struct report found;
	struct writer w;

	writer_init(&w, MAX_REPORT_BYTES);
	writer_u32(&w, 0x504d444d);
	writer_u32(&w, 0xa793);
	writer_u32(&w, 2);
	writer_u32(&w, 32);
	writer_zero(&w, 16);
	writer_u32(&w, 3); /* no threads */
	writer_u32(&w, 4);
	writer_u32(&w, 56);
	writer_u32(&w, 9);
	writer_u32(&w, 48);
	writer_u32(&w, 64);
	writer_zero(&w, 8);
	writer_u64(&w, 2);
	writer_u64(&w, 112);
	writer_u64(&w, 0x1000);
	writer_u64(&w, 3);
	writer_u64(&w, 0x2000);
	writer_u64(&w, 4);
	writer_bytes(&w, "abcdefg", 7);
	if (CHECK(minidump_decode(w.bytes, w.len, &found, NULL)) &&
	    CHECK_NUMBER(found.nmemory, 2)) {
		CHECK_NUMBER(found.memory[1].address, 0x2000);
		CHECK_BYTES(found.memory[0].bytes, found.memory[0].len, "abc",
			    3);
		CHECK_BYTES(found.memory[1].bytes, found.memory[1].len, "defg",
			    4);
		report_free(&found);
	}
	w.bytes[64 + 24] = 9; /* one range beyond the end */
	CHECK(!minidump_decode(w.bytes, w.len, &found, NULL));
	writer_fini(&w);
}

static void leaves_out_frames_above_the_limit(void)
{
	enum { THREADS = 200 };
	struct report report, found;
	struct writer w;

	sample_make(&report);
	report.nthreads = THREADS;
	report.threads = report_alloc(&report,
				      THREADS * sizeof(struct thread));
	for (size_t i = 0; i < THREADS; i++) {
		report.threads[i].tid = (uint32_t)i + 1;
		sample_frames(&report, &report.threads[i], MAX_FRAMES);
	}
	report.threads[THREADS - 1].crashed = true;
	w = encode(&report);
	if (CHECK(minidump_decode(w.bytes, w.len, &found, NULL))) {
		CHECK_NUMBER(found.threads[0].tid, THREADS);
		CHECK_NUMBER(found.threads[0].nframes, MAX_FRAMES);
		CHECK_NUMBER(found.threads[127].nframes, MAX_FRAMES);
		CHECK_NUMBER(found.threads[128].nframes, 0);
		CHECK(found.threads[128].truncated != NULL);
		CHECK_NUMBER(found.threads[128].depth, MAX_FRAMES + 40000);
		report_free(&found);
	}
	writer_fini(&w);
	report_free(&report);
}

int main(void)
{
	static const struct test tests[] = {
		{ "a report comes back with every field", keeps_every_field },
		{ "what is not known stays unknown", keeps_what_is_not_known },
		{ "the same report gives the same bytes", is_the_same_twice },
		{ "the crashed thread comes first",
		  puts_the_crashed_thread_first },
		{ "a dump is appended to what the buffer holds",
		  appends_to_what_is_there },
		{ "a dump has what lldb and Breakpad insist on",
		  has_what_readers_insist_on },
		{ "a dump has no environment stream", has_no_environment },
		{ "bytes that are not UTF-8 are replaced",
		  replaces_what_is_not_utf8 },
		{ "encoding holds to the limits and takes back its bytes",
		  encode_holds_to_limits },
		{ "frames beyond a report's limit are left out, and it says so",
		  leaves_out_frames_above_the_limit },
		{ "4096 threads may share one megabyte of stack",
		  shared_stacks_are_free },
		{ "a name shared too often is too large",
		  shared_names_have_a_limit },
		{ "counts are held to limits and to the bytes there are",
		  counts_are_held_to_what_is_there },
		{ "a list that is padded to eight bytes is read",
		  a_padded_list_is_read },
		{ "the crashed thread is moved to the front",
		  moves_the_crashed_thread_to_the_front },
		{ "build-ids in Breakpad's older records are read",
		  build_ids_come_from_guids },
		{ "what is no minidump is called so",
		  says_what_is_no_minidump },
		{ "a dump of another machine is refused by its name",
		  says_which_machine_it_cannot_read },
		{ "a 64-bit memory list is read", reads_a_64_bit_memory_list },
	};

	return TEST_RUN(tests);
}
