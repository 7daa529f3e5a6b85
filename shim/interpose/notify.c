/* Threads that libc starts to deliver an event (SIGEV_THREAD): it does not call
 * pthread_create for them, so their function is replaced by one that makes the
 * thread known, as start_pthread() does, and then calls it. */
#include <aio.h>
#include <mqueue.h>
#include <netdb.h>
#include <signal.h>
#include <stddef.h>
#include <time.h>

#include "../preload.h"
#include "../signal/zone.h"
#include "interpose.h"

enum { CALLBACKS = 1024 };

typedef int real_timer_create_fn(clockid_t, struct sigevent *, timer_t *);
typedef int real_mq_notify_fn(mqd_t, const struct sigevent *);
typedef int real_lio_listio_fn(int, struct aiocb *const[], int,
			       struct sigevent *);
typedef int real_getaddrinfo_a_fn(int, struct gaicb *[], int,
				  struct sigevent *);

EXPORT int timer_create(clockid_t clock, struct sigevent *restrict event,
			timer_t *restrict timer);
EXPORT int mq_notify(mqd_t queue, const struct sigevent *event);
EXPORT int lio_listio(int mode, struct aiocb *const requests[restrict], int n,
		      struct sigevent *restrict event);
EXPORT int getaddrinfo_a(int mode, struct gaicb *requests[restrict], int n,
			 struct sigevent *restrict event);

REAL(real_timer_create, "timer_create");
REAL(real_mq_notify, "mq_notify");
REAL(real_lio_listio, "lio_listio");
REAL(real_getaddrinfo_a, "getaddrinfo_a");

/* What the program wants called, and with what. Kept for ever, because a timer
 * may still fire when it has been deleted; the same wish is kept once. */
struct callback {
	_Atomic uintptr_t function; /* 0: free */
	_Atomic uintptr_t value;
	_Atomic uint32_t whole;
};

static struct callback callbacks[CALLBACKS];

static bool is_wish(struct callback *callback, uintptr_t function,
		    uintptr_t value)
{
	return atomic_load(&callback->function) == function &&
	       atomic_load(&callback->whole) &&
	       atomic_load(&callback->value) == value;
}

/* NULL where too many have been asked for. */
static struct callback *keep(uintptr_t function, uintptr_t value)
{
	for (size_t i = 0; i < CALLBACKS; i++) {
		uintptr_t nobody = 0;

		if (is_wish(&callbacks[i], function, value))
			return &callbacks[i];
		if (!atomic_compare_exchange_strong(&callbacks[i].function,
						    &nobody, function))
			continue;
		atomic_store(&callbacks[i].value, value);
		atomic_store(&callbacks[i].whole, 1);
		return &callbacks[i];
	}
	return NULL;
}

static void call_back(union sigval value)
{
	struct callback *callback = value.sival_ptr;
	void (*function)(union sigval) = (void (*)(union sigval))
		atomic_load(&callback->function);

	enter_unknown();
	value.sival_ptr = (void *)atomic_load(&callback->value);
	function(value);
}

/* EVENT, or in *COPY one that starts its thread through us. */
static struct sigevent *through_us(struct sigevent *event,
				   struct sigevent *copy)
{
	struct callback *callback;

	if (!zone.ready || !event || event->sigev_notify != SIGEV_THREAD ||
	    notice_fork())
		return event;
	callback = keep((uintptr_t)event->sigev_notify_function,
			(uintptr_t)event->sigev_value.sival_ptr);
	if (!callback)
		return event;
	*copy = *event;
	copy->sigev_notify_function = call_back;
	copy->sigev_value.sival_ptr = callback;
	return copy;
}

EXPORT int timer_create(clockid_t clock, struct sigevent *restrict event,
			timer_t *restrict timer)
{
	real_timer_create_fn *real =
		(real_timer_create_fn *)real_address(&real_timer_create);
	struct sigevent copy;

	return real(clock, through_us(event, &copy), timer);
}

EXPORT int mq_notify(mqd_t queue, const struct sigevent *event)
{
	real_mq_notify_fn *real =
		(real_mq_notify_fn *)real_address(&real_mq_notify);
	struct sigevent copy;

	return real(queue, through_us((struct sigevent *)(uintptr_t)event,
				      &copy));
}

/* Of the whole list; the events of single requests lie in the program's memory
 * until they come, and are left as they are. */
EXPORT int lio_listio(int mode, struct aiocb *const requests[restrict], int n,
		      struct sigevent *restrict event)
{
	real_lio_listio_fn *real =
		(real_lio_listio_fn *)real_address(&real_lio_listio);
	struct sigevent copy;

	return real(mode, requests, n, through_us(event, &copy));
}

EXPORT int getaddrinfo_a(int mode, struct gaicb *requests[restrict], int n,
			 struct sigevent *restrict event)
{
	real_getaddrinfo_a_fn *real =
		(real_getaddrinfo_a_fn *)real_address(&real_getaddrinfo_a);
	struct sigevent copy;

	return real(mode, requests, n, through_us(event, &copy));
}
