/* What the helper looks for in a dead process's memory, in memory that is
 * hostile: words that point into it, almost right structures, at random and
 * with one word of a good one changed. */
#define LLVMFuzzerTestOneInput look_at_all
#include "../fuzz/memory.c"

#include "test.h"

enum {
	WORDS = REMAINS_SIZE / 8,
	SEEDS = 100,
};

/* The made-up memory. */
static uint64_t words[WORDS];

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
		return REMAINS_BASE + next_random() % REMAINS_SIZE / 8 * 8;
	return values[next_random() % (sizeof(values) / sizeof(*values))];
}

static void survives_tempting_words(void)
{
	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		random_state = seed * 0x9e3779b97f4a7c15;
		for (size_t i = 0; i < WORDS; i++)
			words[i] = tempting();
		look_at_all((const uint8_t *)words, sizeof(words));
	}
	CHECK(true);
}

static uint64_t *at(uint64_t address)
{
	return &words[(address - REMAINS_BASE) / 8];
}

static void put_text(uint64_t address, const char *text)
{
	memcpy(at(address), text, strlen(text) + 1);
}

/* An uncaught std::runtime_error, as libstdc++ leaves it. */
static void make_exception(void)
{
	memset(words, 0, sizeof(words));
	*at(REMAINS_TCB + 8) = 0x12c00; /* the vector of blocks */
	*at(0x12bf0) = 1;
	*at(0x12c10) = 0x12000;
	*at(0x12000) = 0x13800; /* caughtExceptions */
	*at(0x13800) = 0x11000; /* its type, */
	*at(0x13850) = 0x474e5543432b2b00;
	*at(0x13870) = 0x11200; /* and the object: vtable and text */
	*at(0x13878) = 0x13a18;
	*at(0x11000) = 0x11110;
	*at(0x11008) = 0x11300;
	*at(0x11010) = 0x11040; /* its base class */
	put_text(0x11300, "St13runtime_error");
	*at(0x11040) = 0x11110;
	*at(0x11048) = 0x11340;
	put_text(0x11340, "St9exception");
	*at(0x11108) = 0x11180;
	*at(0x11188) = 0x11380;
	put_text(0x11380, "N10__cxxabiv120__si_class_type_infoE");
	*at(0x11210) = 0x10200; /* what(): mov 8(%rdi),%rax; ret */
	*at(0x10200) = 0xc308478b48;
	*at(0x13a00) = 8;
	*at(0x13a08) = 8;
	put_text(0x13a18, "it broke");
}

static const char *message_of_exception(struct report *report)
{
	static int memory = -1;
	struct thread thread = { .crashed = true };
	const char *message;
	struct crash crash;

	if (memory < 0)
		memory = memfd_create("memory", 0);
	open_remains(&crash, memory, (const uint8_t *)words, sizeof(words));
	CHECK(report_init(report, NULL));
	report->threads = &thread;
	report->nthreads = 1;
	message = crash_exception(&crash, report);
	close_remains(&crash);
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
	static const uint64_t values[] = { 0, 1, UINT64_MAX, 0x12ff8,
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
