/* sigaction and signal: the program sets and sees its own actions, and the
 * kernel has ours. The real function does its work first, so that its checks,
 * its errno and its idea of flags and restorer stay libc's own; what it told
 * the kernel is then read back, kept in the table, and replaced. Runs in any
 * context of the program, signal handlers included. */
#include <stddef.h>

#include "../annotate.h"
#include "../preload.h"
#include "../signal/zone.h"

typedef int real_sigaction_fn(int, const struct sigaction *,
			      struct sigaction *);
typedef void signal_handler_fn(int);
typedef signal_handler_fn *real_signal_fn(int, signal_handler_fn *);

EXPORT int sigaction(int sig, const struct sigaction *restrict act,
		     struct sigaction *restrict old);
EXPORT signal_handler_fn *signal(int sig, signal_handler_fn *handler);
EXPORT signal_handler_fn *bsd_signal(int sig, signal_handler_fn *handler);
EXPORT signal_handler_fn *ssignal(int sig, signal_handler_fn *handler);
EXPORT signal_handler_fn *sysv_signal(int sig, signal_handler_fn *handler);
EXPORT signal_handler_fn *__sysv_signal(int sig, signal_handler_fn *handler);

static struct real real_sigaction = { .name = "sigaction" };
static struct real real_signal = { .name = "signal" };
static struct real real_sysv_signal = { .name = "sysv_signal" };

/* The row of SIG, or -1 where it is none of our business: a child of vfork has
 * actions of its own, but its parent's table, and leaves that alone. */
static int row_of(int sig)
{
	int i = zone.ready ? claimed_index(sig) : -1;

	return i >= 0 && notice_fork() ? -1 : i;
}

/* Take row I for writing, with all signals blocked, so that a handler on this
 * thread never meets it half-written. Yields the mask to put back. */
static uint64_t lock_row(int i)
{
	_Atomic uint32_t *sequence = &zone.actions[i].sequence;
	uint64_t all = ~0ull, before = 0;
	uint32_t even;

	sys4(rt_sigprocmask, SIG_SETMASK, &all, &before, KERNEL_SIGSET);
	for (;;) {
		even = atomic_load(sequence) & ~1u;
		if (atomic_compare_exchange_weak(sequence, &even, even + 1))
			return before;
		sys0(sched_yield);
	}
}

static void unlock_row(int i, uint64_t before)
{
	atomic_fetch_add(&zone.actions[i].sequence, 1);
	sys4(rt_sigprocmask, SIG_SETMASK, &before, NULL, KERNEL_SIGSET);
}

/* After libc has installed the program's action for claimed signal I, keep
 * what the kernel now has and put ours in its place. */
static void adopt(int i, int sig)
{
	struct kernel_action *action = &zone.actions[i].action;

	if (sys4(rt_sigaction, sig, NULL, action, KERNEL_SIGSET) == 0)
		install_action(sig, action);
}

static void export_action(const struct kernel_action *from,
			  struct sigaction *to)
{
	to->sa_sigaction =
		(void (*)(int, siginfo_t *, void *))from->handler;
	to->sa_flags = (int)from->flags;
	to->sa_restorer = (void (*)(void))from->restorer;
	zone_copy(&to->sa_mask, &from->mask, sizeof(from->mask));
}

static struct kernel_action current_action(int i)
{
	uint64_t before = lock_row(i);
	struct kernel_action action = zone.actions[i].action;

	unlock_row(i, before);
	return action;
}

EXPORT int sigaction(int sig, const struct sigaction *restrict act,
		     struct sigaction *restrict old)
{
	real_sigaction_fn *real =
		(real_sigaction_fn *)real_address(&real_sigaction);
	int i = row_of(sig);
	struct kernel_action previous;
	uint64_t before;
	int result;

	if (i < 0)
		return real(sig, act, old);
	if (!act) {
		previous = current_action(i);
		if (old)
			export_action(&previous, old);
		return 0;
	}
	before = lock_row(i);
	previous = zone.actions[i].action;
	result = real(sig, act, NULL);
	if (result == 0)
		adopt(i, sig);
	unlock_row(i, before);
	if (result == 0 && old)
		export_action(&previous, old);
	return result;
}

static signal_handler_fn *wrap_signal(struct real *function, int sig,
				      signal_handler_fn *handler)
{
	real_signal_fn *real = (real_signal_fn *)real_address(function);
	int i = row_of(sig);
	signal_handler_fn *result = annotate_answer(sig, handler);
	uint64_t before;

	if (result)
		return result;
	if (i < 0)
		return real(sig, handler);
	before = lock_row(i);
	result = real(sig, handler);
	if (result != SIG_ERR) {
		result = (signal_handler_fn *)zone.actions[i].action.handler;
		adopt(i, sig);
	}
	unlock_row(i, before);
	return result;
}

EXPORT signal_handler_fn *signal(int sig, signal_handler_fn *handler)
{
	return wrap_signal(&real_signal, sig, handler);
}

EXPORT signal_handler_fn *bsd_signal(int sig, signal_handler_fn *handler)
{
	return wrap_signal(&real_signal, sig, handler);
}

EXPORT signal_handler_fn *ssignal(int sig, signal_handler_fn *handler)
{
	return wrap_signal(&real_signal, sig, handler);
}

EXPORT signal_handler_fn *sysv_signal(int sig, signal_handler_fn *handler)
{
	return wrap_signal(&real_sysv_signal, sig, handler);
}

EXPORT signal_handler_fn *__sysv_signal(int sig, signal_handler_fn *handler)
{
	return wrap_signal(&real_sysv_signal, sig, handler);
}
