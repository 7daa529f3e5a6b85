/* For tests/e2e/test_zone.py: the witness calls malloc. Linked with
 * --wrap=stop_threads. */
#include <stddef.h>
#include <stdbool.h>
#include <stdint.h>

extern void *malloc(size_t len) __attribute__((weak));
bool __real_stop_threads(int32_t pid, int plan, int64_t budget_ns);
bool __wrap_stop_threads(int32_t pid, int plan, int64_t budget_ns);

bool __wrap_stop_threads(int32_t pid, int plan, int64_t budget_ns)
{
	void *volatile memory = malloc(24);

	(void)memory;
	return __real_stop_threads(pid, plan, budget_ns);
}
