/* sigaction and signal: the program sets and sees its own actions, and the
 * kernel has ours. The real function does its work first, so that its checks,
 * its errno and its idea of flags and restorer stay libc's own; what it told
 * the kernel is then read back, kept in the table, and replaced. Runs in any
 * context of the program, signal handlers included. */
#include <stddef.h>

#include "../annotate.h"
#include "../preload.h"
#include "../resolve.h"
#include "../signal/zone.h"
#include "interpose.h"

typedef int real_sigaction_fn(int, const struct sigaction *,
			      struct sigaction *);
typedef void signal_handler_fn(int);
typedef signal_handler_fn *real_signal_fn(int, signal_handler_fn *);

EXPORT int sigaction(int sig, const struct sigaction *restrict act,
		     struct sigaction *restrict old);
EXPORT int __sigaction(int sig, const struct sigaction *restrict act,
		       struct sigaction *restrict old);
EXPORT signal_handler_fn *signal(int sig, signal_handler_fn *handler);
EXPORT signal_handler_fn *bsd_signal(int sig, signal_handler_fn *handler);
EXPORT signal_handler_fn *ssignal(int sig, signal_handler_fn *handler);
EXPORT signal_handler_fn *sysv_signal(int sig, signal_handler_fn *handler);
EXPORT signal_handler_fn *__sysv_signal(int sig, signal_handler_fn *handler);
EXPORT signal_handler_fn *sigset(int sig, signal_handler_fn *handler);
EXPORT int sigignore(int sig);
EXPORT int siginterrupt(int sig, int interrupt);

typedef int real_siginterrupt_fn(int, int);

REAL(real_sigaction, "sigaction");
REAL(real_signal, "signal");
REAL(real_sysv_signal, "sysv_signal");
REAL(real_sigset, "sigset");
REAL(real_sigignore, "sigignore");
REAL(real_siginterrupt, "siginterrupt");

enum { SIGNALS = 64 };

/* What was left out of the mask of each signal that we do not claim: a fault in
 * its handler is to reach us. */
static uint64_t left_out[SIGNALS + 1];

/* The row of SIG, or -1 where it is none of our business: a child of vfork has
 * actions of its own, but its parent's table, and leaves that alone. */
static int row_of(int sig)
{
	int i = zone.ready ? claimed_index(sig) : -1;

	return i >= 0 && notice_fork() ? -1 : i;
}

/* With all signals blocked a handler on this thread never meets the row half
 * written. */
bool row_lock(int sig, struct row *row_out)
{
	struct row row = { .index = row_of(sig), .signal = sig };
	_Atomic uint32_t *sequence;
	uint64_t all = ~0ull;
	uint32_t even;

	if (row.index < 0)
		return false;
	sequence = &zone.actions[row.index].sequence;
	sys4(rt_sigprocmask, SIG_SETMASK, &all, &row.mask, KERNEL_SIGSET);
	for (;;) {
		even = atomic_load(sequence) & ~1u;
		if (atomic_compare_exchange_weak(sequence, &even, even + 1))
			break;
		sys0(sched_yield);
	}
	*row_out = row;
	return true;
}

/* Where libc's abort() is: what it raises ends the process in the end, whatever
 * the program's action is. */
static void find_abort(void)
{
	size_t len = 0;
	uintptr_t start;

	if (zone.abort_end)
		return;
	start = resolve_sized("abort", &len);
	zone.abort_start = start;
	zone.abort_end = start + len;
}

void note_action(int sig, const struct kernel_action *action)
{
	if (action->handler == (uintptr_t)SIG_IGN)
		atomic_store(&zone.ignored, 1);
	if (sig == SIGABRT && action->handler != (uintptr_t)SIG_DFL)
		find_abort();
}

/* Whether a library (libjsig, a sanitizer) stands between us and libc, with an
 * idea of its own of what a sigaction is to do. It sees, and may keep, what the
 * kernel has; that must not be ours then, or the program would be given our
 * handler as what was there before its own, and call it. */
static bool has_other(void)
{
	enum { UNKNOWN, NO, YES };
	static _Atomic int known;
	int answer = atomic_load(&known);

	if (answer == UNKNOWN) {
		answer = resolve_is_last(real_sigaction.name,
					 real_address(&real_sigaction)) ?
				 NO :
				 YES;
		atomic_store(&known, answer);
	}
	return answer == YES;
}

/* Let the other library find the program's own action in the kernel. */
static void uncover(int i, int sig)
{
	sys4(rt_sigaction, sig, &zone.actions[i].action, NULL, KERNEL_SIGSET);
}

/* Keep what the kernel now has, and put ours in its place; nothing where ours
 * is there still. */
static void adopt(int i, int sig)
{
	struct kernel_action *action = &zone.actions[i].action;
	struct kernel_action now;

	if (sys4(rt_sigaction, sig, NULL, &now, KERNEL_SIGSET) < 0 ||
	    now.handler == (uintptr_t)crash_handler)
		return;
	*action = now;
	note_action(sig, action);
	install_action(sig, action);
}

void row_unlock(const struct row *row, bool adopted)
{
	if (adopted)
		adopt(row->index, row->signal);
	atomic_fetch_add(&zone.actions[row->index].sequence, 1);
	sys4(rt_sigprocmask, SIG_SETMASK, &row->mask, NULL, KERNEL_SIGSET);
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

/* A signal that is not ours, or the child of a vfork. There our handler is what
 * the kernel has, and the parent's table what the program knows. */
static int pass_on(real_sigaction_fn *real, int sig,
		   const struct sigaction *act, struct sigaction *old)
{
	int i = zone.ready ? claimed_index(sig) : -1;
	struct kernel_action known;
	int result = real(sig, act, old);

	if (i >= 0 && result == 0 && old &&
	    (uintptr_t)old->sa_sigaction == (uintptr_t)crash_handler) {
		known = zone.actions[i].action;
		export_action(&known, old);
	}
	return result;
}

static int set_unclaimed(real_sigaction_fn *real, int sig,
			 const struct sigaction *act, struct sigaction *old)
{
	uint64_t before = left_out[sig], blocked = 0, mask;
	struct sigaction open;
	int result;

	if (act) {
		open = *act;
		zone_copy(&mask, &open.sa_mask, sizeof(mask));
		blocked = mask & fault_mask();
		mask &= ~blocked;
		zone_copy(&open.sa_mask, &mask, sizeof(mask));
	}
	result = real(sig, act ? &open : NULL, old);
	if (result)
		return result;
	if (act && blocked != before && !notice_fork())
		left_out[sig] = blocked;
	if (old && before) {
		zone_copy(&mask, &old->sa_mask, sizeof(mask));
		mask |= before;
		zone_copy(&old->sa_mask, &mask, sizeof(mask));
	}
	return 0;
}

static int set_action(int sig, const struct sigaction *act,
		      struct sigaction *old)
{
	real_sigaction_fn *real =
		(real_sigaction_fn *)real_address(&real_sigaction);
	struct kernel_action previous;
	struct row row;
	int result = 0;

	if (!zone.ready || sig < 1 || sig > SIGNALS)
		return real(sig, act, old);
	if (claimed_index(sig) < 0)
		return set_unclaimed(real, sig, act, old);
	if (!row_lock(sig, &row))
		return pass_on(real, sig, act, old);
	if (has_other()) {
		uncover(row.index, sig);
		result = real(sig, act, old);
		row_unlock(&row, true);
		return result;
	}
	previous = zone.actions[row.index].action;
	if (act)
		result = real(sig, act, NULL);
	row_unlock(&row, act && result == 0);
	if (result == 0 && old)
		export_action(&previous, old);
	return result;
}

EXPORT int sigaction(int sig, const struct sigaction *restrict act,
		     struct sigaction *restrict old)
{
	return set_action(sig, act, old);
}

EXPORT int __sigaction(int sig, const struct sigaction *restrict act,
		       struct sigaction *restrict old)
{
	return set_action(sig, act, old);
}

static signal_handler_fn *pass_on_signal(real_signal_fn *real, int sig,
					 signal_handler_fn *handler)
{
	int i = zone.ready ? claimed_index(sig) : -1;
	signal_handler_fn *result = real(sig, handler);

	if (result != SIG_ERR && sig > 0 && sig <= SIGNALS && left_out[sig] &&
	    !notice_fork())
		left_out[sig] = 0;
	if (i >= 0 && (uintptr_t)result == (uintptr_t)crash_handler)
		result = (signal_handler_fn *)zone.actions[i].action.handler;
	return result;
}

static signal_handler_fn *wrap_signal(const struct real *function, int sig,
				      signal_handler_fn *handler)
{
	real_signal_fn *real = (real_signal_fn *)real_address(function);
	signal_handler_fn *result = annotate_answer(sig, handler);
	struct row row;
	bool taken;

	if (result)
		return result;
	if (!row_lock(sig, &row))
		return pass_on_signal(real, sig, handler);
	if (has_other())
		uncover(row.index, sig);
	result = real(sig, handler);
	taken = result != SIG_ERR || has_other();
	if (taken && !has_other())
		result = (signal_handler_fn *)
			zone.actions[row.index].action.handler;
	row_unlock(&row, taken);
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

/* As libc does it, of parts that we have. */
EXPORT signal_handler_fn *sigset(int sig, signal_handler_fn *handler)
{
	real_signal_fn *real = (real_signal_fn *)real_address(&real_sigset);
	struct sigaction action = { .sa_handler = handler }, previous;
	bool hold = handler == SIG_HOLD;
	uint64_t own;
	sigset_t set = { 0 }, old;

	if (row_of(sig) < 0)
		return real(sig, handler);
	own = 1ull << (sig - 1);
	zone_copy(&set, &own, sizeof(own));
	if (set_action(sig, hold ? NULL : &action, &previous))
		return SIG_ERR;
	if (change_mask(hold ? SIG_BLOCK : SIG_UNBLOCK, &set, &old))
		return SIG_ERR;
	zone_copy(&own, &old, sizeof(own));
	return own & 1ull << (sig - 1) ? SIG_HOLD : previous.sa_handler;
}

EXPORT int sigignore(int sig)
{
	int (*real)(int) = (int (*)(int))real_address(&real_sigignore);
	struct sigaction action = { .sa_handler = SIG_IGN };

	return row_of(sig) < 0 ? real(sig) : set_action(sig, &action, NULL);
}

/* libc also remembers the wish, for signal(); what it tells the kernel is then
 * about our action, and undone. */
EXPORT int siginterrupt(int sig, int interrupt)
{
	real_siginterrupt_fn *real = (real_siginterrupt_fn *)
		real_address(&real_siginterrupt);
	struct kernel_action *action;
	struct row row;
	int result;

	if (!row_lock(sig, &row))
		return real(sig, interrupt);
	action = &zone.actions[row.index].action;
	result = real(sig, interrupt);
	if (result == 0) {
		action->flags &= ~(uint64_t)SA_RESTART;
		if (!interrupt)
			action->flags |= SA_RESTART;
		install_action(sig, action);
	}
	row_unlock(&row, false);
	return result;
}
