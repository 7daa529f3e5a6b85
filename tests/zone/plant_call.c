/* For tests/e2e/test_zone.py: the witness makes a system call that is on no
 * list. Linked with --wrap=stop_threads. */
#include "../../shim/signal/zone.h"

bool __real_stop_threads(int32_t pid, enum plan plan, int64_t budget_ns);
bool __wrap_stop_threads(int32_t pid, enum plan plan, int64_t budget_ns);

bool __wrap_stop_threads(int32_t pid, enum plan plan, int64_t budget_ns)
{
	sys3(getcpu, NULL, NULL, NULL);
	return __real_stop_threads(pid, plan, budget_ns);
}
