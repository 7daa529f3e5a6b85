/* sigaltstack: the program sets and sees its own alternate stack. Where it has
 * none it is told so, although ours is there; where it gives its own up, ours
 * takes its place again. */
#include <stddef.h>

#include "../preload.h"
#include "../signal/zone.h"
#include "interpose.h"

typedef int real_sigaltstack_fn(const stack_t *, stack_t *);

EXPORT int sigaltstack(const stack_t *restrict ss, stack_t *restrict old);

REAL(real_sigaltstack, "sigaltstack");

/* The stack that we gave the calling thread: the main thread's is static, and
 * after a fork it is free for whichever thread goes on. False for a thread
 * that we did not see start. */
static bool own_stack(stack_t *stack_out)
{
	int32_t tid = (int32_t)sys0(gettid);
	int slot = slot_find(tid);

	*stack_out = (stack_t){ .ss_sp = zone_stacks.alternate,
				.ss_size = ZONE_ALTSTACK };
	if (tid == (int32_t)sys0(getpid))
		return true;
	if (slot < 0 || !zone.slots[slot].stack)
		return false;
	stack_out->ss_sp = (void *)zone.slots[slot].stack;
	stack_out->ss_size = zone.altstack_bytes;
	return true;
}

/* A stack that no signal frame fits on: the kernel takes it, and fails later.
 * Ours stays in its place, so that a crash is seen, and the program is told
 * that it has its own. Yields the program's, as it was, in *BEFORE_OUT. */
static bool set_small(const stack_t *wanted, stack_t *before_out)
{
	int i = slot_current();
	struct thread_slot *slot = i < 0 ? NULL : &zone.slots[i];
	bool small = wanted && !(wanted->ss_flags & SS_DISABLE) &&
		     wanted->ss_size < zone.frame_bytes;

	*before_out = (stack_t){ .ss_flags = SS_DISABLE };
	if (!slot && small) {
		i = slot_take();
		if (i < 0)
			return false;
		read_own_name(zone.slots[i].name);
		slot_own(i, (int32_t)sys0(gettid), thread_pointer());
		slot = &zone.slots[i];
	}
	if (slot && slot->small)
		*before_out = (stack_t){ .ss_sp = (void *)slot->small,
					 .ss_size = slot->small_bytes };
	if (small) {
		slot->small_bytes = wanted->ss_size;
		slot->small = (uintptr_t)wanted->ss_sp;
		atomic_store(&zone.masked, 1);
	} else if (slot && wanted) {
		slot->small = 0;
	}
	return small;
}

int set_altstack(const stack_t *ss, stack_t *old)
{
	real_sigaltstack_fn *real =
		(real_sigaltstack_fn *)real_address(&real_sigaltstack);
	stack_t wanted, own, before;
	int result;

	if (!zone.ready || notice_fork())
		return real(ss, old);
	/* The kernel looks at the pointers, and says whether they will do. */
	result = real(ss, ss == old ? &before : old);
	if (result)
		return result;
	if (ss)
		wanted = *ss;
	if (ss && ss == old)
		*old = before;
	if ((set_small(ss ? &wanted : NULL, &before) ||
	     (ss && (wanted.ss_flags & SS_DISABLE))) &&
	    own_stack(&own))
		real(&own, NULL);
	if (old && is_own_stack(old->ss_sp))
		*old = before;
	return 0;
}

EXPORT int sigaltstack(const stack_t *restrict ss, stack_t *restrict old)
{
	return set_altstack(ss, old);
}
