/* A unit test program: functions with a sentence for a name, in a table, and
 * one line for each: `ok - sentence` or `not ok - sentence`, the latter after
 * what was found and what was wanted. Ends with `N passed, N failed`. */
#ifndef EPITAPH_TESTS_UNIT_TEST_H
#define EPITAPH_TESTS_UNIT_TEST_H

#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct test {
	const char *sentence;
	void (*run)(void);
};

/* Whether the running test still holds. */
static bool test_holds;

/* No input may make a program take memory without bound: AddressSanitizer ends
 * it, as a failure, above these. The quarantine is small for speed. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "max_allocation_size_mb=300:hard_rss_limit_mb=1200:"
	       "quarantine_size_mb=8:malloc_context_size=8:detect_leaks=1";
}

static inline bool test_true(bool holds, const char *what, const char *file,
			     int line)
{
	if (!holds) {
		printf("# %s:%d: does not hold: %s\n", file, line, what);
		test_holds = false;
	}
	return holds;
}

static inline bool test_number(uint64_t found, uint64_t wanted,
			       const char *what, const char *file, int line)
{
	if (found != wanted) {
		printf("# %s:%d: %s: found %" PRId64 " (%#" PRIx64
		       "), wanted %" PRId64 " (%#" PRIx64 ")\n",
		       file, line, what, (int64_t)found, found, (int64_t)wanted,
		       wanted);
		test_holds = false;
	}
	return found == wanted;
}

static inline bool test_string(const char *found, const char *wanted,
			       const char *what, const char *file, int line)
{
	bool same = found == wanted;

	if (found != NULL && wanted != NULL)
		same = strcmp(found, wanted) == 0;
	if (!same) {
		printf("# %s:%d: %s: found %s%s%s, wanted %s%s%s\n", file, line,
		       what, found ? "\"" : "", found ? found : "NULL",
		       found ? "\"" : "", wanted ? "\"" : "",
		       wanted ? wanted : "NULL", wanted ? "\"" : "");
		test_holds = false;
	}
	return same;
}

static inline bool test_bytes(const void *found, size_t found_len,
			      const void *wanted, size_t wanted_len,
			      const char *what, const char *file, int line)
{
	const uint8_t *f = found, *w = wanted;
	size_t at = 0;

	while (at < found_len && at < wanted_len && f[at] == w[at])
		at++;
	if (at == found_len && at == wanted_len)
		return true;
	printf("# %s:%d: %s: found %zu bytes, wanted %zu; byte %zu differs",
	       file, line, what, found_len, wanted_len, at);
	if (at < found_len && at < wanted_len)
		printf(": %#x, wanted %#x", f[at], w[at]);
	printf("\n");
	test_holds = false;
	return false;
}

/* Each is true where it holds, so that a test can go on or not. */
#define CHECK(holds) test_true(holds, #holds, __FILE__, __LINE__)
#define CHECK_NUMBER(found, wanted)                                            \
	test_number((uint64_t)(found), (uint64_t)(wanted), #found, __FILE__,   \
		    __LINE__)
#define CHECK_STRING(found, wanted)                                            \
	test_string(found, wanted, #found, __FILE__, __LINE__)
#define CHECK_BYTES(found, found_len, wanted, wanted_len)                      \
	test_bytes(found, found_len, wanted, wanted_len, #found, __FILE__,     \
		   __LINE__)

static inline int test_run(const struct test *tests, size_t n)
{
	size_t failed = 0;

	/* A sanitizer ends the process without flushing. */
	setvbuf(stdout, NULL, _IOLBF, 0);
	for (size_t i = 0; i < n; i++) {
		test_holds = true;
		tests[i].run();
		failed += !test_holds;
		printf("%s - %s\n", test_holds ? "ok" : "not ok",
		       tests[i].sentence);
	}
	printf("%zu passed, %zu failed\n", n - failed, failed);
	return failed > 0;
}

#define TEST_RUN(tests) test_run(tests, sizeof(tests) / sizeof((tests)[0]))

#endif
