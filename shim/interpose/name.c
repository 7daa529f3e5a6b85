/* Thread names as they are set: pthread_setname_np and prctl(PR_SET_NAME).
 * Reading them from /proc at the crash would cost 6 to 11 us of frozen time a
 * thread (measured); this costs a copy when a name is given. */
#include <pthread.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/prctl.h>

#include "../preload.h"
#include "../signal/zone.h"
#include "interpose.h"

typedef int real_setname_fn(pthread_t, const char *);
typedef int real_prctl_fn(int, ...);

EXPORT int pthread_setname_np(pthread_t thread, const char *name);
EXPORT int prctl(int option, ...);

REAL(real_setname, "pthread_setname_np");
REAL(real_prctl, "prctl");

static void keep_name(int slot, const char *name)
{
	char *to = zone.slots[slot].name;

	put_text(to, to + sizeof(zone.slots[slot].name), name);
}

/* The calling thread has a new one. */
void note_name(const char *name)
{
	int slot = zone.ready ? slot_find((int32_t)sys0(gettid)) : -1;

	if (slot >= 0)
		keep_name(slot, name);
	if ((uintptr_t)__builtin_thread_pointer() == zone.main_thread)
		zone.main_name[0] = '\0';
}

EXPORT int pthread_setname_np(pthread_t thread, const char *name)
{
	real_setname_fn *real = (real_setname_fn *)real_address(&real_setname);
	uint32_t n = atomic_load(&zone.nslots);
	int result = real(thread, name);

	if ((uintptr_t)thread == zone.main_thread)
		zone.main_name[0] = '\0';
	for (uint32_t i = 0; result == 0 && i < n; i++) {
		if (zone.slots[i].thread == (uintptr_t)thread &&
		    atomic_load(&zone.tids[i]) > 0)
			keep_name((int)i, name);
	}
	return result;
}

static long pass_on(const long *a)
{
	real_prctl_fn *real = (real_prctl_fn *)real_address(&real_prctl);

	return real((int)a[4], a[0], a[1], a[2], a[3]);
}

EXPORT int prctl(int option, ...)
{
	long arguments[5];
	va_list list;
	int result;

	va_start(list, option);
	for (int i = 0; i < 4; i++)
		arguments[i] = va_arg(list, long);
	va_end(list);
	arguments[4] = option;
	if (option == PR_SET_SECCOMP)
		return (int)filter_self((uint64_t)arguments[0],
					(uintptr_t)arguments[1], pass_on,
					arguments);
	result = (int)pass_on(arguments);
	if (result == 0 && option == PR_SET_NAME)
		note_name((const char *)arguments[0]);
	return result;
}
