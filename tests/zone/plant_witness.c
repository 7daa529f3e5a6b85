/* For tests/e2e/test_zone.py: the witness calls malloc. Linked with
 * --wrap=collect_threads. */
#include <stddef.h>
#include <stdbool.h>
#include <stdint.h>

extern void *malloc(size_t len) __attribute__((weak));
bool __real_collect_threads(int64_t until_ns);
bool __wrap_collect_threads(int64_t until_ns);

bool __wrap_collect_threads(int64_t until_ns)
{
	void *volatile memory = malloc(24);

	(void)memory;
	return __real_collect_threads(until_ns);
}
