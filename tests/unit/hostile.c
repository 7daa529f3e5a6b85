/* What the helper looks for in a dead process's memory, in memory that is
 * hostile: words that point into it, almost right structures, at random and
 * with one word of a good one changed. The memory is a sparse file, read at
 * addresses as /proc/PID/mem is. */
#include <elf.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../../include/epitaph.h"
#include "../../shim/helper/crash.h"
#include "test.h"

enum {
	BASE = 0x10000,
	SIZE = 0x8000,
	WORDS = SIZE / 8,
	SEEDS = 100,
};

/* Of the made-up process. */
static uint64_t words[WORDS];
static struct crash_record record;
static int memory = -1;

static const char maps_format[] =
	"00010000-00012000 r-xp 00000000 08:01 7  /prog\n"
	"00012000-00014000 r--p 00002000 08:01 7  /prog\n"
	"00014000-00016000 rw-p 00004000 08:01 7  /prog\n"
	"00016000-00018000 rw-p 00000000 00:00 0  [stack]\n";

static uint64_t random_state;

static uint64_t next_random(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state;
}

/* What the code under test compares with, and what hurts. */
static uint64_t tempting(void)
{
	static const uint64_t values[] = {
		0, 1, 2, 16, 24, 40, 0x474e5543432b2b00, 0x434c4e47432b2b00,
		0x474e5543432b2b01, UINT64_MAX, UINT64_MAX - 7, 1ull << 63,
		1ull << 47, 0x0000003800400000, 0x4141414141414141,
	};

	if (next_random() % 4)
		return BASE + next_random() % SIZE / 8 * 8;
	return values[next_random() % (sizeof(values) / sizeof(*values))];
}

static void write_memory(void)
{
	if (pwrite(memory, words, sizeof(words), BASE) != sizeof(words))
		exit(1);
}

static void look_at_all(void)
{
	struct crash crash = { .mem = memory, .maps_fd = -1, .proc = -1,
			       .record = &record };
	struct frame frames[6] = { { .pc = 0x10100 }, { .pc = 0x10800 } };
	struct thread thread = { .crashed = true, .frames = frames,
				 .nframes = 6 };
	struct module module = { .path = "/lib/libc.so.6", .base = BASE,
				 .size = SIZE };
	struct report report;

	write_memory();
	CHECK(report_init(&report, NULL));
	crash.maps_text = strdup(maps_format);
	crash.maps_whole = strdup(maps_format);
	CHECK(maps_parse(crash.maps_text, sizeof(maps_format) - 1,
			 &crash.maps, NULL));
	thread.registers.valid = 1u << R_RSP;
	thread.registers.value[R_RSP] = 0x16000;
	report.threads = &thread;
	report.nthreads = 1;
	report.modules = &module;
	report.nmodules = 1;
	report.signal = SIGABRT;
	crash_message(&crash, &report);
	crash_exception(&crash, &report);
	crash_panic(&crash, &report);
	crash_notes(&crash, &report);
	maps_free(&crash.maps);
	free(crash.maps_text);
	crash.maps_text = NULL;
	CHECK(crash_guess_maps(&crash, NULL));
	maps_free(&crash.maps);
	free(crash.maps_text);
	free(crash.maps_whole);
	report_free(&report);
}

static void start(void)
{
	if (memory < 0)
		memory = memfd_create("memory", 0);
	memset(words, 0, sizeof(words));
	memset(&record, 0, sizeof(record));
	record.fs_base = 0x15000;
	record.board = 0x14000;
	record.auxv = 0x17000;
	record.main_stack_end = 0x17800;
}

static void survives_tempting_words(void)
{
	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		start();
		random_state = seed * 0x9e3779b97f4a7c15;
		for (size_t i = 0; i < WORDS; i++)
			words[i] = tempting();
		look_at_all();
	}
}

static uint64_t *at(uint64_t address)
{
	return &words[(address - BASE) / 8];
}

static void put_text(uint64_t address, const char *text)
{
	memcpy(at(address), text, strlen(text) + 1);
}

/* An uncaught std::runtime_error, as libstdc++ leaves it. */
static void make_exception(void)
{
	start();
	*at(0x15008) = 0x15800; /* the TCB's vector of blocks */
	*at(0x157f0) = 1;
	*at(0x15810) = 0x14f00;
	*at(0x14f00) = 0x16800; /* caughtExceptions */
	*at(0x16800) = 0x12000; /* its type, */
	*at(0x16850) = 0x474e5543432b2b00;
	*at(0x16870) = 0x12200; /* and the object: vtable and text */
	*at(0x16878) = 0x16a18;
	*at(0x12000) = 0x12110;
	*at(0x12008) = 0x12300;
	*at(0x12010) = 0x12040; /* its base class */
	put_text(0x12300, "St13runtime_error");
	*at(0x12040) = 0x12110;
	*at(0x12048) = 0x12340;
	put_text(0x12340, "St9exception");
	*at(0x12108) = 0x12180;
	*at(0x12188) = 0x12380;
	put_text(0x12380, "N10__cxxabiv120__si_class_type_infoE");
	*at(0x12210) = 0x10200; /* what(): mov 8(%rdi),%rax; ret */
	*at(0x10200) = 0xc308478b48;
	*at(0x16a00) = 8;
	*at(0x16a08) = 8;
	put_text(0x16a18, "it broke");
}

static const char *message_of_exception(struct report *report)
{
	struct crash crash = { .mem = memory, .maps_fd = -1, .proc = -1,
			       .record = &record };
	struct thread thread = { .crashed = true };
	const char *message;

	write_memory();
	CHECK(report_init(report, NULL));
	crash.maps_text = strdup(maps_format);
	crash.maps_whole = crash.maps_text;
	CHECK(maps_parse(crash.maps_text, sizeof(maps_format) - 1,
			 &crash.maps, NULL));
	report->threads = &thread;
	report->nthreads = 1;
	message = crash_exception(&crash, report);
	maps_free(&crash.maps);
	free(crash.maps_text);
	return message;
}

static void reads_an_exception(void)
{
	struct report report;

	make_exception();
	CHECK_STRING(message_of_exception(&report),
		     "uncaught exception of type std::runtime_error: "
		     "it broke");
	report_free(&report);
}

/* With any word of it changed it says what is there, or less, not more. */
static void says_nothing_that_is_not_there(void)
{
	static const uint64_t values[] = { 0, 1, UINT64_MAX, 0x15ff8,
					   0x4141414141414141 };

	for (size_t i = 0; i < WORDS; i++) {
		make_exception();
		if (!words[i])
			continue;
		for (size_t k = 0; k < 5; k++) {
			struct report report;
			const char *message;

			words[i] = values[k];
			message = message_of_exception(&report);
			if (message && strstr(message, ": "))
				CHECK(strstr(message, ": it broke") ||
				      strstr(message, ": AAAAAAAA") ||
				      strstr(message, ": \xff\xff\xff\xff"));
			report_free(&report);
		}
	}
}

int main(void)
{
	static const struct test tests[] = {
		{ "an exception is read from memory", reads_an_exception },
		{ "a broken exception says no more than is there",
		  says_nothing_that_is_not_there },
		{ "hostile memory does the helper no harm",
		  survives_tempting_words },
	};

	return TEST_RUN(tests);
}
