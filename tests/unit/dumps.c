/* Other people's dumps, with the facts that are known of them; see
 * tests/data/README.md for whose they are. */
#include <fcntl.h>
#include <unistd.h>

#include "../../lib/report/minidump.h"
#include "test.h"

/* What to expect of one dump; TEXT is of the error, where there is one. */
struct dump {
	const char *name;
	enum error_code code;
	const char *text;
	int signal, si_code;
	bool has_address;
	uint64_t address, rip;
	uint32_t tid;
	size_t threads, modules, memory;
	uint64_t stack_len;
	const char *kernel, *exe, *build_id;
};

static const struct dump dumps[] = {
	{ .name = "linux-mini.dmp", .signal = 11, .has_address = true,
	  .address = 0x45, .rip = 0x401d72, .tid = 1304, .threads = 1,
	  .modules = 8, .memory = 1, .stack_len = 0x3000,
	  .kernel = "4.9.60-linuxkit-aufs", .exe = "/work/linux/build/crash",
	  .build_id = "f1c3bcc0279865fe3058404b2831d9e64135386c" },
	{ .name = "linux_inline.dmp", .signal = 4, .si_code = 2,
	  .has_address = true, .address = 0x2161b6, .rip = 0x2161b6,
	  .tid = 2146002, .threads = 1, .modules = 8, .stack_len = 0x3ee0,
	  .kernel = "5.10.28",
	  .exe = "/usr/local/google/home/zequanwu/src/crashpad/crashpad/out/"
		 "Default/linux_inline",
	  .build_id = "10faa6bbaab83db3" },
	/* Before BpEL: sixteen bytes of the build-id in an RSDS record. */
	{ .name = "linux_null_read_av.dmp", .signal = 11, .has_address = true,
	  .rip = 0x402170, .tid = 11506, .threads = 1, .modules = 8,
	  .memory = 1, .stack_len = 0x2000,
	  .kernel = "3.3.8-gcg-201308121035",
	  .exe = "/home/mattdr/crashing-programs/null_read_av",
	  .build_id = "68197d7b0dffae474366e9c3a7e1b675" },
	{ .name = "linux_divide_by_zero.dmp", .signal = 8, .has_address = true,
	  .address = 0x401f27, .rip = 0x401f27, .tid = 20043, .threads = 1,
	  .modules = 8, .memory = 1, .stack_len = 0x3000,
	  .kernel = "3.13.0-53-generic",
	  .exe = "/usr/local/google/home/liuandrew/Documents/breakpad_test/"
		 "driver",
	  .build_id = "7b4fc0b72a5caf80870a1c234668a0de" },
	/* What stands in si_addr's place is the sender: not an address. */
	{ .name = "linux_raise_sigabrt.dmp", .signal = 6,
	  .rip = 0x7f5aa172c20b, .tid = 23526, .threads = 1, .modules = 8,
	  .memory = 1, .stack_len = 0x2000, .kernel = "3.13.0-55-generic",
	  .exe = "/usr/local/google/home/liuandrew/Documents/breakpad_test/"
		 "stream_test/driver",
	  .build_id = "d8f81f0ce948b937210994411b72a435" },
	{ .name = "simple-crashpad.dmp", .code = ERR_UNSUPPORTED,
	  .text = "another system than Linux: platform 0x8101" },
	{ .name = "invalid-range.dmp", .code = ERR_BAD_DATA,
	  .text = "a minidump without threads" },
	{ .name = "invalid-record-count.dmp", .code = ERR_BAD_DATA,
	  .text = "a minidump without threads" },
};

static size_t read_dump(const char *name, uint8_t *to, size_t size)
{
	char path[4096];
	ssize_t len = -1;
	int fd;

	snprintf(path, sizeof(path), TESTS "/data/minidumps/%s", name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		len = read(fd, to, size);
		close(fd);
	}
	if (!CHECK(len > 0))
		printf("# %s\n", path);
	return len > 0 ? (size_t)len : 0;
}

static void check_facts(const struct dump *d, const struct report *r)
{
	char id[2 * MAX_BUILD_ID + 1];
	const struct thread *t = report_crashed_thread(r);

	CHECK_NUMBER(r->tier, 0);
	CHECK_STRING(r->id, "");
	CHECK_STRING(r->arch, "x86_64");
	CHECK_NUMBER(r->signal, d->signal);
	CHECK_NUMBER(r->code, d->si_code);
	CHECK_NUMBER(r->has_address, d->has_address);
	CHECK_NUMBER(r->address, d->address);
	CHECK_STRING(r->kernel, d->kernel);
	CHECK_STRING(r->exe, d->exe);
	CHECK_NUMBER(r->nmemory, d->memory);
	if (CHECK_NUMBER(r->nthreads, d->threads) && CHECK(t != NULL)) {
		CHECK_NUMBER(t->tid, d->tid);
		CHECK_NUMBER(t->registers.value[R_RIP], d->rip);
		CHECK_NUMBER(t->stack.len, d->stack_len);
		CHECK(t->fpstate != NULL);
	}
	if (CHECK_NUMBER(r->nmodules, d->modules)) {
		build_id_format(&r->modules[0].build_id, id);
		CHECK_STRING(id, d->build_id);
	}
}

static void decode(const struct dump *d)
{
	static uint8_t bytes[1 << 20];
	struct error err = { ERR_NONE, "" };
	size_t len = read_dump(d->name, bytes, sizeof(bytes));
	struct report report;

	if (minidump_decode(bytes, len, &report, &err)) {
		CHECK_NUMBER(ERR_NONE, d->code);
		check_facts(d, &report);
		report_free(&report);
		return;
	}
	CHECK_NUMBER(err.code, d->code);
	if (!CHECK(d->text != NULL && strstr(err.text, d->text) != NULL))
		printf("# %s: %s\n", d->name, err.text);
}

static void decodes_other_peoples_dumps(void)
{
	for (size_t i = 0; i < sizeof(dumps) / sizeof(dumps[0]); i++) {
		if (dumps[i].code == ERR_NONE)
			decode(&dumps[i]);
	}
}

static void refuses_what_it_cannot_read(void)
{
	for (size_t i = 0; i < sizeof(dumps) / sizeof(dumps[0]); i++) {
		if (dumps[i].code != ERR_NONE)
			decode(&dumps[i]);
	}
}

static void finds_maps_and_arguments(void)
{
	static uint8_t bytes[1 << 20];
	size_t len = read_dump("linux-mini.dmp", bytes, sizeof(bytes));
	struct report report;

	if (!CHECK(minidump_decode(bytes, len, &report, NULL)))
		return;
	CHECK(report.maps != NULL &&
	      strncmp(report.maps, "00400000-0041a000 r-xp ", 23) == 0);
	CHECK_NUMBER(report.maps_len, 3382);
	CHECK_NUMBER(report.auxv_len, 304);
	if (CHECK_NUMBER(report.nargs, 1))
		CHECK_STRING(report.args[0], "./crash");
	report_free(&report);
}

int main(void)
{
	static const struct test tests[] = {
		{ "Breakpad's and Crashpad's dumps of Linux have their facts",
		  decodes_other_peoples_dumps },
		{ "dumps that cannot be read say why",
		  refuses_what_it_cannot_read },
		{ "maps, auxv and arguments come from Breakpad's streams",
		  finds_maps_and_arguments },
	};

	return TEST_RUN(tests);
}
