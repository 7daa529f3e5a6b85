/* sigaltstack: the program sets and sees its own alternate stack. Where it has
 * none it is told so, although ours is there; where it gives its own up, ours
 * takes its place again. */
#include <stddef.h>

#include "../preload.h"
#include "../signal/zone.h"

typedef int real_sigaltstack_fn(const stack_t *, stack_t *);

EXPORT int sigaltstack(const stack_t *restrict ss, stack_t *restrict old);

static struct real real_sigaltstack = { .name = "sigaltstack" };

static bool is_ours(const void *stack)
{
	uint32_t n = atomic_load(&zone.nslots);

	if (stack == zone_stacks.alternate)
		return true;
	for (uint32_t i = 0; i < n; i++) {
		if (zone.slots[i].stack && stack == (void *)zone.slots[i].stack)
			return true;
	}
	return false;
}

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

EXPORT int sigaltstack(const stack_t *restrict ss, stack_t *restrict old)
{
	real_sigaltstack_fn *real =
		(real_sigaltstack_fn *)real_address(&real_sigaltstack);
	stack_t wanted, own;
	int result;

	if (zone.ready && ss &&
	    copy_safely((uint64_t)(uintptr_t)ss, &wanted, sizeof(wanted)) ==
		    sizeof(wanted) &&
	    (wanted.ss_flags & SS_DISABLE) && own_stack(&own))
		ss = &own;
	result = real(ss, old);
	if (result == 0 && old && zone.ready && is_ours(old->ss_sp))
		*old = (stack_t){ .ss_flags = SS_DISABLE };
	return result;
}
