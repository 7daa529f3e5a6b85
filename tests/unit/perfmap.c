/* /tmp/perf-PID.map: what is believed of it, how much of it is read, and whose
 * file it has to be. */
#include "../../lib/proc/perfmap.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "../../lib/report/bytes.h"
#include "../../lib/report/clock.h"
#include "mutate.h"
#include "test.h"

enum { MAX_PLACES = 3000 };

static struct report report;
static int file = -1;

/* TEXT as the whole of the file. */
static void write_file(const void *text, size_t len)
{
	if (file < 0)
		file = memfd_create("perfmap", MFD_CLOEXEC);
	if (ftruncate(file, 0) != 0 ||
	    pwrite(file, text, len, 0) != (ssize_t)len)
		abort();
}

/* Read LEN bytes of the file for N PLACES, into REPORT; what is left to be
 * named. */
static size_t read_for(size_t len, const uint64_t *places, size_t n,
		       int64_t deadline_ms)
{
	static uint64_t copy[MAX_PLACES];
	struct perfmap map = {
		.places = copy, .nplaces = n, .is_open = true, .fd = file,
		.len = len,
	};

	memcpy(copy, places, n * sizeof(*places));
	report_free(&report);
	if (!report_init(&report, NULL))
		abort();
	perfmap_read(&map, deadline_ms, &report);
	return map.nplaces;
}

/* The name that TEXT gives PLACE, or NULL. */
static const char *name_in(const char *text, size_t len, uint64_t place)
{
	const struct jit_region *region;

	write_file(text, len);
	read_for(len, &place, 1, INT64_MAX);
	region = report_find_jit(&report, place);
	return region ? region->name : NULL;
}

static void named(const char *text, uint64_t place, const char *wanted)
{
	CHECK_STRING(name_in(text, strlen(text), place), wanted);
}

static void reads_names(void)
{
	static const char text[] =
		"7f0000001000 20 LazyCompile:*f /x.js:1:2\n"
		"0x00007F0000002000 0x00000010  void A.b(int, java.lang.X)\n"
		"3000 8\tpy::g:/with space.py\r\n";

	named(text, 0x7f0000001000, "LazyCompile:*f /x.js:1:2");
	named(text, 0x7f000000101f, "LazyCompile:*f /x.js:1:2");
	named(text, 0x7f0000001020, NULL);
	named(text, 0x7f0000000fff, NULL);
	named(text, 0x7f000000200f, "void A.b(int, java.lang.X)");
	named(text, 0x3007, "py::g:/with space.py");
	CHECK_NUMBER(report.njit, 1);
	CHECK_NUMBER(report.jit[0].start, 0x3000);
	CHECK_NUMBER(report.jit[0].size, 8);
}

static void later_lines_win(void)
{
	static const char text[] = "1000 100 old\n" "1040 10 new\n"
				   "2000 10 first\n" "1f00 200 second\n";
	static const uint64_t places[] = { 0x1010, 0x1044, 0x2004 };

	named(text, 0x1044, "new");
	named(text, 0x1050, "old");
	named(text, 0x2004, "second");
	CHECK_NUMBER(read_for(strlen(text), places, 3, INT64_MAX), 0);
	CHECK_NUMBER(report.njit, 3);
	CHECK_STRING(report_find_jit(&report, 0x1010)->name, "old");
	CHECK_STRING(report_find_jit(&report, 0x1044)->name, "new");
	CHECK_STRING(report_find_jit(&report, 0x2004)->name, "second");
}

static void garbage_is_skipped(void)
{
	static const char *const garbage[] = {
		"", " ", "hello", "1000", "1000 ", "1000 10", "1000 10 ",
		"1000 10  ", "1000 0 f", "1000 g0 f", "x 10 f", " 1000 10 f",
		"0x 10 f", "1000 10\rf", "100010 f", "-1000 10 f",
		"1000 40000001 f", "1000 ffffffffffffffff f",
		"11112222333344445 10 f", "1000:10 f",
	};
	char text[256];

	for (size_t i = 0; i < sizeof(garbage) / sizeof(*garbage); i++) {
		snprintf(text, sizeof(text), "1000 10 right\n%s\n",
			 garbage[i]);
		named(text, 0x1008, "right");
		named(garbage[i], 0x1008, NULL);
	}
	CHECK_STRING(name_in("1000 10 a\n1000 10 \0b\n", 21, 0x1008), "a");
	CHECK_STRING(name_in("1000 10 a\0b\n", 12, 0x1008), "a");
}

static void needs_no_newline_at_the_end(void)
{
	named("1000 10 f", 0x1000, "f");
	named("\n\n1000 10 f", 0x1000, "f");
	named("2000 10 g\n1000 10 f", 0x1000, "f");
	named("", 0x1000, NULL);
	named("\n", 0x1000, NULL);
}

/* N times C, then the text. */
static char *behind(size_t n, char c, const char *text)
{
	char *all = malloc(n + strlen(text) + 1);

	if (!all)
		abort();
	memset(all, c, n);
	memcpy(all + n, text, strlen(text) + 1);
	return all;
}

/* However the file is cut into pieces for reading. */
static void lines_may_lie_anywhere(void)
{
	static const char text[] = "\n1000 10 one\n2000 10 two\n3000 10 three";
	static const uint64_t places[] = { 0x1000, 0x2000, 0x3000 };

	for (size_t n = 65536 - 60; n < 65536 + 20; n++) {
		char *all = behind(n, 'x', text);
		char *other = behind(n, 'x', "");

		write_file(all, strlen(all));
		CHECK_NUMBER(read_for(strlen(all), places, 3, INT64_MAX), 0);
		CHECK_STRING(report_find_jit(&report, 0x1000)->name, "one");
		/* And with the length behind it. */
		write_file(text + 1, strlen(text + 1));
		pwrite(file, "\n", 1, (off_t)strlen(text + 1));
		pwrite(file, other, n, (off_t)strlen(text));
		CHECK_NUMBER(read_for(strlen(text) + n, places, 3, INT64_MAX),
			     0);
		CHECK_STRING(report_find_jit(&report, 0x3000)->name, "three");
		free(other);
		free(all);
	}
}

static void huge_lines(void)
{
	char *garbage = behind(300000, 'a', "\n1000 10 f\n");
	char *name = behind(300000, 'n', "\n2000 10 g\n");
	char *spaces = behind(300000, ' ', "x\n1000 10 f\n");
	const char *found;

	named(garbage, 0x1000, "f");
	named(spaces, 0x1000, "f");
	memcpy(name, "1000 10 ", 8);
	found = name_in(name, strlen(name), 0x1000);
	CHECK(found && strlen(found) == MAX_JIT_NAME);
	CHECK(found && strspn(found, "n") == MAX_JIT_NAME);
	named(name, 0x2000, "g");
	/* Two bytes a character, from an odd place: no half one. */
	for (size_t i = 9; i + 1 < 2000; i += 2)
		memcpy(name + i, "\xc3\xa9", 2);
	found = name_in(name, strlen(name), 0x1000);
	CHECK(found && strlen(found) == MAX_JIT_NAME - 1);
	free(garbage);
	free(name);
	free(spaces);
}

static void holds_to_the_limit_of_functions(void)
{
	static uint64_t places[MAX_PLACES];
	struct writer text;
	char line[64];

	writer_init(&text, 1 << 20);
	for (size_t i = 0; i < MAX_PLACES; i++) {
		places[i] = 0x1000 + 16 * i;
		snprintf(line, sizeof(line), "%zx 10 f%zu\n", 0x1000 + 16 * i,
			 i);
		writer_bytes(&text, line, strlen(line));
	}
	write_file(text.bytes, text.len);
	CHECK_NUMBER(read_for(text.len, places, MAX_PLACES, INT64_MAX),
		     MAX_PLACES - MAX_JIT);
	CHECK_NUMBER(report.njit, MAX_JIT);
	CHECK_STRING(report.jit[0].name, "f2999");
	writer_fini(&text);
}

static void one_function_has_many_places(void)
{
	static uint64_t places[MAX_PLACES];

	for (size_t i = 0; i < MAX_PLACES; i++)
		places[i] = 0x1000 + i;
	write_file("1010 100 f\n0 10000 g\n1800 1 h", 29);
	CHECK_NUMBER(read_for(29, places, MAX_PLACES, INT64_MAX), 0);
	CHECK_NUMBER(report.njit, 2);
	CHECK_STRING(report.jit[0].name, "h");
	CHECK_STRING(report.jit[1].name, "g");
}

/* 256 MiB of the file's end are read, and no longer than is left. */
static void is_bounded(void)
{
	static const uint64_t places[] = { 0x1000, 0x2000 };
	static const char end[] = "\n2000 10 late\n";
	uint64_t len = PERFMAP_MAX_TEXT + 100;

	write_file("1000 10 early\n", 14);
	pwrite(file, end, strlen(end), (off_t)(len - strlen(end)));
	CHECK_NUMBER(read_for(len, places, 2, INT64_MAX), 1);
	CHECK_NUMBER(report.njit, 1);
	CHECK_STRING(report.jit[0].name, "late");
	CHECK_NUMBER(read_for(len - 100, places, 2, INT64_MAX), 1);
	CHECK_STRING(report.jit[0].name, "early");
	CHECK_NUMBER(read_for(len, places, 2, clock_monotonic_ms()), 2);
	CHECK_NUMBER(report.njit, 0);
}

static void may_be_cut_meanwhile(void)
{
	static const uint64_t places[] = { 0x1000 };

	write_file("1000 10 f\n", 10);
	CHECK_NUMBER(read_for(1000, places, 1, INT64_MAX), 1);
	CHECK_NUMBER(report.njit, 0);
}

static void try_mutation(const uint8_t *bytes, size_t len)
{
	static const uint64_t places[] = { 0x10, 0x1008, 0x7f0000001000 };

	write_file(bytes, len);
	read_for(len, places, 3, INT64_MAX);
	for (size_t i = 0; i < report.njit; i++)
		CHECK(report.jit[i].name[0] && report.jit[i].size > 0 &&
		      report.jit[i].size <= MAX_JIT_SIZE);
}

static void mutations_do_no_harm(void)
{
	static const char text[] =
		"7f0000000ff0 20 LazyCompile:~f /x.js:1:2\n"
		"0x1000 0x100 void A.b(int)\n\n0 11 z\n1008 10 py::caf\xc3\xa9";

	mutate_all((const uint8_t *)text, strlen(text), try_mutation);
}

/* Whose it is */

static char root[256];

static void make_root(void)
{
	const char *where = getenv("TMPDIR");
	char path[300];

	snprintf(root, sizeof(root), "%s/perfmap.XXXXXX",
		 where ? where : "/tmp");
	if (!mkdtemp(root))
		abort();
	snprintf(path, sizeof(path), "%s/tmp", root);
	mkdir(path, 0700);
}

static const char *path_of(uint32_t pid)
{
	static char path[300];

	snprintf(path, sizeof(path), "%s/tmp/perf-%u.map", root, pid);
	return path;
}

static void remove_root(void)
{
	char path[300];

	for (uint32_t pid = 7; pid <= 10; pid++)
		remove(path_of(pid));
	snprintf(path, sizeof(path), "%s/tmp", root);
	rmdir(path);
	rmdir(root);
}

static bool opens(uint32_t pid, uid_t uid, int64_t began_s)
{
	const struct perfmap_owner owner = { .root = root, .pid = pid,
					     .uid = uid, .began_s = began_s };
	struct perfmap map = { .nplaces = 0 };
	bool ok = perfmap_open(&map, &owner);

	CHECK(ok == map.is_open);
	perfmap_close(&map);
	return ok;
}

static void put_file(uint32_t pid)
{
	int fd = open(path_of(pid), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	if (fd < 0 || write(fd, "1000 10 f\n", 10) != 10)
		abort();
	close(fd);
}

static void opens_files_only(void)
{
	make_root();
	put_file(7);
	mkfifo(path_of(8), 0600);
	mkdir(path_of(9), 0700);
	if (symlink("perf-7.map", path_of(10)) != 0)
		abort();
	CHECK(opens(7, getuid(), 0));
	CHECK(!opens(8, getuid(), 0));
	CHECK(!opens(9, getuid(), 0));
	CHECK(!opens(10, getuid(), 0));
	CHECK(!opens(11, getuid(), 0));
}

static void opens_its_own_files_only(void)
{
	if (getuid() == 0 && chown(path_of(7), 12345, 0) != 0)
		abort();
	CHECK(!opens(7, getuid() + 1, 0));
	if (getuid() != 0)
		return;
	CHECK(opens(7, 12345, 0));
	CHECK(!opens(7, 0, 0));
	CHECK(chown(path_of(7), 0, 0) == 0);
	CHECK(opens(7, 12345, 0));
}

static void opens_no_file_of_an_earlier_process(void)
{
	struct timespec hour_ago[2] = { { .tv_sec = time(NULL) - 3600 } };

	hour_ago[1] = hour_ago[0];
	CHECK(opens(7, getuid(), time(NULL)));
	CHECK(utimensat(AT_FDCWD, path_of(7), hour_ago, 0) == 0);
	CHECK(opens(7, getuid(), 0));
	CHECK(opens(7, getuid(), hour_ago[0].tv_sec));
	CHECK(!opens(7, getuid(), hour_ago[0].tv_sec + 60));
	remove_root();
}

static void knows_a_process(void)
{
	struct perfmap_owner owner;
	char path[64];

	if (!CHECK(perfmap_owner_of(getpid(), path, sizeof(path), &owner)))
		return;
	CHECK(strncmp(owner.root, "/proc/", 6) == 0);
	CHECK_NUMBER(owner.pid, getpid());
	CHECK_NUMBER(owner.uid, geteuid());
	CHECK(owner.began_s <= time(NULL) + 1);
	CHECK(owner.began_s > time(NULL) - 600);
	CHECK(!perfmap_owner_of(0x7fffffff, path, sizeof(path), &owner));
}

static void wants_what_is_in_no_module(void)
{
	char text[] = "1000-2000 r-xp 00000000 08:01 7  /prog\n"
		      "3000-4000 r-xp 00000000 00:00 0\n"
		      "5000-6000 rw-p 00000000 00:00 0\n";
	struct frame frames[] = {
		{ .pc = 0x3fff, .module = -1, .trust = TRUST_CONTEXT },
		{ .pc = 0x4000, .module = -1, .trust = TRUST_CFI },
		{ .pc = 0x3001, .module = -1, .trust = TRUST_FRAME_POINTER },
		{ .pc = 0x3000, .module = -1, .trust = TRUST_SCAN },
		{ .pc = 0x3000, .module = -1, .trust = TRUST_SIGFRAME },
		{ .pc = 0x5010, .module = -1, .trust = TRUST_CONTEXT },
		{ .pc = 0x9000, .module = -1, .trust = TRUST_CFI },
		{ .pc = 0, .module = -1, .trust = TRUST_CFI },
		{ .pc = 0x1010, .module = 0, .trust = TRUST_CFI },
	};
	struct thread threads[2] = { { .frames = frames, .nframes = 9 },
				     { .frames = frames, .nframes = 2 } };
	struct report stacks = { .threads = threads, .nthreads = 2 };
	struct perfmap map;
	struct maps maps;

	CHECK(maps_parse(text, strlen(text), &maps, NULL));
	if (CHECK(perfmap_want(&stacks, &maps, &map)) &&
	    CHECK_NUMBER(map.nplaces, 2)) {
		CHECK_NUMBER(map.places[0], 0x3000);
		CHECK_NUMBER(map.places[1], 0x3fff);
	}
	perfmap_close(&map);
	threads[0].frames = &frames[5];
	threads[0].nframes = 4;
	stacks.nthreads = 1;
	CHECK(!perfmap_want(&stacks, &maps, &map));
	perfmap_close(&map);
	stacks.nthreads = 0;
	CHECK(!perfmap_want(&stacks, &maps, &map));
	perfmap_close(&map);
	maps_free(&maps);
}

int main(void)
{
	static const struct test tests[] = {
		{ "names are read as perf, the JDK and V8 write them",
		  reads_names },
		{ "of lines that overlap the later wins", later_lines_win },
		{ "lines that are none are skipped", garbage_is_skipped },
		{ "the last line needs no end", needs_no_newline_at_the_end },
		{ "a line may lie anywhere in the file",
		  lines_may_lie_anywhere },
		{ "lines of any length are read, their names cut", huge_lines },
		{ "functions above the limit are left out",
		  holds_to_the_limit_of_functions },
		{ "a function that many places are in is kept once",
		  one_function_has_many_places },
		{ "text and time are bounded", is_bounded },
		{ "a file that shrinks ends the reading",
		  may_be_cut_meanwhile },
		{ "no mutation of a file does harm", mutations_do_no_harm },
		{ "only a regular file is opened", opens_files_only },
		{ "only a file of the process's user or root is opened",
		  opens_its_own_files_only },
		{ "a file that an earlier process left is not opened",
		  opens_no_file_of_an_earlier_process },
		{ "a process's pid, user and beginning are known",
		  knows_a_process },
		{ "executable memory in no module wants a name",
		  wants_what_is_in_no_module },
	};
	int status = TEST_RUN(tests);

	report_free(&report);
	return status;
}
