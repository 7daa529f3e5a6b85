/* For tests/e2e/test_zone.py: the witness makes a system call that is on no
 * list. Linked with --wrap=stop_threads. */
#include "../../shim/signal/zone.h"

void __real_stop_threads(int32_t pid, int64_t budget_ns);
void __wrap_stop_threads(int32_t pid, int64_t budget_ns);

void __wrap_stop_threads(int32_t pid, int64_t budget_ns)
{
	sys3(getcpu, NULL, NULL, NULL);
	__real_stop_threads(pid, budget_ns);
}
