/* For tests/e2e/test_zone.py: the witness makes a system call that is on no
 * list. Linked with --wrap=collect_threads. */
#include "../../shim/signal/zone.h"

bool __real_collect_threads(int64_t until_ns);
bool __wrap_collect_threads(int64_t until_ns);

bool __wrap_collect_threads(int64_t until_ns)
{
	sys3(getcpu, NULL, NULL, NULL);
	return __real_collect_threads(until_ns);
}
