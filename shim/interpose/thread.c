/* pthread_create and thrd_create: the new thread starts in a trampoline that
 * gives it an alternate stack, so that its stack overflow can be caught, and
 * enters it in the registry. Alternate stacks are kept for later threads; one
 * is used again only once its thread exists no more. */
#include <pthread.h>
#include <stddef.h>
#include <sys/mman.h>
#include <threads.h>

#include "../preload.h"
#include "../signal/zone.h"
#include "interpose.h"

typedef int real_pthread_create_fn(pthread_t *, const pthread_attr_t *,
				   void *(*)(void *), void *);
typedef int real_thrd_create_fn(thrd_t *, thrd_start_t, void *);

EXPORT int pthread_create(pthread_t *restrict thread,
			  const pthread_attr_t *restrict attr,
			  void *(*start)(void *), void *restrict argument);
EXPORT int thrd_create(thrd_t *thread, thrd_start_t start, void *argument);

REAL(real_pthread_create, "pthread_create");
REAL(real_thrd_create, "thrd_create");

/* A guarded alternate stack for SLOT, mapped at its first use. */
static bool have_stack(struct thread_slot *slot)
{
	size_t len = zone.altstack_bytes + ZONE_PAGE;
	long at;

	if (slot->stack)
		return true;
	at = sys6(mmap, NULL, len, PROT_READ | PROT_WRITE,
		  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (at < 0 && at > -4096)
		return false;
	sys3(mprotect, at, ZONE_PAGE, PROT_NONE);
	slot->stack = (uintptr_t)at + ZONE_PAGE;
	return true;
}

/* In the new thread. An alternate stack that is there already (a fork server
 * may have one from its parent thread) is the program's. */
static void enter(struct thread_slot *slot)
{
	stack_t stack = {
		.ss_sp = (void *)slot->stack,
		.ss_size = zone.altstack_bytes,
	};

	/* A pthread_t is the thread pointer, in glibc and in musl. */
	slot_own((int)(slot - zone.slots), (int32_t)sys0(gettid),
		 (uintptr_t)__builtin_thread_pointer());
	sys2(sigaltstack, &stack, NULL);
}

void enter_unknown(void)
{
	int i = zone.ready && !notice_fork() ? slot_take() : -1;

	if (i < 0)
		return;
	if (!have_stack(&zone.slots[i])) {
		slot_free(i);
		return;
	}
	adopt_mask(&zone.slots[i]);
	read_own_name(zone.slots[i].name);
	enter(&zone.slots[i]);
}

static void *start_pthread(void *argument)
{
	struct thread_slot *slot = argument;
	void *(*start)(void *) = (void *(*)(void *))slot->start;
	void *own = (void *)slot->argument;

	enter(slot);
	return start(own);
}

static int start_thrd(void *argument)
{
	struct thread_slot *slot = argument;
	thrd_start_t start = (thrd_start_t)slot->start;
	void *own = (void *)slot->argument;

	enter(slot);
	return start(own);
}

/* A new thread has the name of who starts it. That is the main thread as a
 * rule, whose name is known until it changes. */
static void inherit_name(struct thread_slot *slot)
{
	if ((uintptr_t)__builtin_thread_pointer() != zone.main_thread) {
		read_own_name(slot->name);
		return;
	}
	if (!zone.main_name[0])
		read_own_name(zone.main_name);
	zone_copy(slot->name, zone.main_name, sizeof(slot->name));
}

/* A slot for a thread that is to run START, or NULL: it then starts without
 * us. */
static struct thread_slot *prepare(uintptr_t start, void *argument)
{
	struct thread_slot *slot;
	int i;

	/* A child of vfork starts no thread. */
	if (!zone.ready || (!is_unforked() && notice_fork()))
		return NULL;
	i = slot_take();
	if (i < 0)
		return NULL;
	slot = &zone.slots[i];
	if (!have_stack(slot)) {
		slot_free(i);
		return NULL;
	}
	inherit_mask(slot);
	inherit_name(slot);
	slot->start = start;
	slot->argument = (uintptr_t)argument;
	return slot;
}

EXPORT int pthread_create(pthread_t *restrict thread,
			  const pthread_attr_t *restrict attr,
			  void *(*start)(void *), void *restrict argument)
{
	real_pthread_create_fn *real = (real_pthread_create_fn *)
		real_address(&real_pthread_create);
	struct thread_slot *slot = prepare((uintptr_t)start, argument);
	int result;

	if (!slot)
		return real(thread, attr, start, argument);
	result = real(thread, attr, start_pthread, slot);
	if (result)
		slot_free((int)(slot - zone.slots));
	return result;
}

EXPORT int thrd_create(thrd_t *thread, thrd_start_t start, void *argument)
{
	real_thrd_create_fn *real =
		(real_thrd_create_fn *)real_address(&real_thrd_create);
	struct thread_slot *slot = prepare((uintptr_t)start, argument);
	int result;

	if (!slot)
		return real(thread, start, argument);
	result = real(thread, start_thrd, slot);
	if (result != thrd_success)
		slot_free((int)(slot - zone.slots));
	return result;
}
