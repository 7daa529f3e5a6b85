/* For tests/e2e/test_zone.py: the crashing thread calls malloc. Linked with
 * --wrap=complete_record. */
#include <stddef.h>
#include <ucontext.h>

extern void *malloc(size_t len) __attribute__((weak));
void __real_complete_record(const ucontext_t *context);
void __wrap_complete_record(const ucontext_t *context);

void __wrap_complete_record(const ucontext_t *context)
{
	void *volatile memory = malloc(24);

	(void)memory;
	__real_complete_record(context);
}
