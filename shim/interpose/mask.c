/* Signal masks. For a fault in a thread that has its signal blocked the kernel
 * knows only the default action, and our handler would not run; so faults are
 * never blocked. What the program believes is kept for each thread in its slot,
 * and the handler holds back what is sent meanwhile. Every way of installing an
 * action has to be known for that: where the kernel's is not ours, the signal
 * is blocked for real, as it is in a thread for which there is no slot.
 *
 * Functions that block are entered by a jump where no fault is concerned, so
 * that a sleeping thread's stack shows nothing of ours. */
#include <poll.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <sys/select.h>

#include "../preload.h"
#include "../signal/zone.h"
#include "interpose.h"

typedef int real_mask_fn(int, const sigset_t *, sigset_t *);
typedef int real_sigsuspend_fn(const sigset_t *);
typedef int real_signal_number_fn(int);
typedef int real_ppoll_fn(struct pollfd *, nfds_t, const struct timespec *,
			  const sigset_t *);
typedef int real_ppoll_chk_fn(struct pollfd *, nfds_t, const struct timespec *,
			      const sigset_t *, size_t);
typedef int real_pselect_fn(int, fd_set *, fd_set *, fd_set *,
			    const struct timespec *, const sigset_t *);
typedef int real_epoll_pwait_fn(int, struct epoll_event *, int, int,
				const sigset_t *);
typedef int real_epoll_pwait2_fn(int, struct epoll_event *, int,
				 const struct timespec *, const sigset_t *);

EXPORT int sigprocmask(int how, const sigset_t *restrict set,
		       sigset_t *restrict old);
EXPORT int pthread_sigmask(int how, const sigset_t *restrict set,
			   sigset_t *restrict old);
EXPORT int sigblock(int mask);
EXPORT int sigsetmask(int mask);
EXPORT int sighold(int sig);
EXPORT int sigrelse(int sig);
/* The headers know it by another name. */
EXPORT int bsd_sigpause(int mask) __asm__("sigpause");
EXPORT int __xpg_sigpause(int sig);
EXPORT int sigsuspend(const sigset_t *set);
EXPORT int __sigsuspend(const sigset_t *set);
EXPORT int ppoll(struct pollfd *fds, nfds_t n, const struct timespec *timeout,
		 const sigset_t *set);
EXPORT int __ppoll_chk(struct pollfd *fds, nfds_t n,
		       const struct timespec *timeout, const sigset_t *set,
		       size_t len);
EXPORT int pselect(int n, fd_set *restrict read, fd_set *restrict write,
		   fd_set *restrict except,
		   const struct timespec *restrict timeout,
		   const sigset_t *restrict set);
EXPORT int epoll_pwait(int fd, struct epoll_event *events, int n, int timeout,
		       const sigset_t *set);
EXPORT int epoll_pwait2(int fd, struct epoll_event *events, int n,
			const struct timespec *timeout, const sigset_t *set);

REAL(real_sigprocmask, "sigprocmask");
REAL(real_pthread_sigmask, "pthread_sigmask");
REAL(real_sighold, "sighold");
REAL(real_sigrelse, "sigrelse");
REAL(real_xpg_sigpause, "__xpg_sigpause");
REAL(real_sigsuspend, "sigsuspend");
REAL(real_ppoll, "ppoll");
REAL(real_ppoll_chk, "__ppoll_chk");
REAL(real_pselect, "pselect");
REAL(real_epoll_pwait, "epoll_pwait");
REAL(real_epoll_pwait2, "epoll_pwait2");

/* By the kernel: SIGKILL and SIGSTOP; by libc: its own, glibc's 32 and 33 and
 * musl's 32 to 34. */
static const uint64_t never_blocked = 1ull << 8 | 1ull << 18 | 7ull << 31;

/* Signals are 64 on every Linux that we run on; libc's sets are longer. */
static uint64_t bits_of(const sigset_t *set)
{
	uint64_t bits;

	zone_copy(&bits, set, sizeof(bits));
	return bits;
}

static void set_bits(sigset_t *set, uint64_t bits)
{
	zone_copy(set, &bits, sizeof(bits));
}

/* Those of the signals in MASK whose action in the kernel is ours. */
static uint64_t caught(uint64_t mask)
{
	struct kernel_action action;

	for (int i = 0; i < CLAIMED_COUNT; i++) {
		int sig = claimed_signal(i);

		if (!(mask & 1ull << (sig - 1)))
			continue;
		if (sys4(rt_sigaction, sig, NULL, &action, KERNEL_SIGSET) < 0 ||
		    action.handler != (uintptr_t)crash_handler)
			mask &= ~(1ull << (sig - 1));
	}
	return mask;
}

/* The slot whose mask the calling thread has; of a child of vfork that has none
 * of its own, its parent's. */
static int mask_slot(void)
{
	int i = slot_current();

	if (i < 0 && atomic_load(&zone.masked))
		i = slot_of_pointer(thread_pointer());
	return i;
}

/* The calling thread's slot, a new one if need be. A child of vfork gets one as
 * well: its mask is its own, although it shares our memory. */
static struct thread_slot *take_slot(void)
{
	int i = slot_current(), parent;

	if (i >= 0) {
		if (!zone.slots[i].thread && !notice_fork())
			zone.slots[i].thread = thread_pointer();
		return &zone.slots[i];
	}
	parent = mask_slot();
	i = slot_take();
	if (i < 0)
		return NULL;
	if (parent >= 0) {
		zone.slots[i].mask = zone.slots[parent].mask;
		zone.slots[i].held = zone.slots[parent].held;
		zone.slots[i].seen = zone.slots[parent].seen;
	}
	read_own_name(zone.slots[i].name);
	slot_own(i, (int32_t)sys0(gettid),
		 notice_fork() ? 0 : thread_pointer());
	return &zone.slots[i];
}

void inherit_mask(struct thread_slot *slot)
{
	int i = atomic_load(&zone.masked) ? slot_current() : -1;

	if (i < 0)
		return;
	slot->mask = zone.slots[i].mask;
	slot->held = zone.slots[i].held;
	slot->seen = zone.slots[i].seen;
}

void adopt_mask(struct thread_slot *slot)
{
	uint64_t real = 0, faults;

	sys4(rt_sigprocmask, SIG_BLOCK, NULL, &real, KERNEL_SIGSET);
	faults = caught(real & fault_mask());
	if (!faults)
		return;
	atomic_store(&zone.masked, 1);
	slot->mask = faults;
	slot->held = 0;
	slot->seen = real & ~(fault_mask() | never_blocked);
	sys4(rt_sigprocmask, SIG_UNBLOCK, &faults, NULL, KERNEL_SIGSET);
}

void jump_mask(uint64_t saved)
{
	int i = slot_current();
	struct thread_slot *slot;

	if (i < 0)
		return;
	slot = &zone.slots[i];
	if (slot->seen && (saved & slot->seen) == slot->seen)
		return;
	slot->mask = 0;
	slot->held = 0;
	slot->seen = 0;
}

uint64_t hidden_mask(void)
{
	int i = atomic_load(&zone.masked) ? mask_slot() : -1;

	return i < 0 ? 0 : zone.slots[i].mask & ~zone.slots[i].held;
}

static uint64_t next_mask(int how, uint64_t mask, uint64_t wanted)
{
	if (how == SIG_BLOCK)
		return mask | wanted;
	if (how == SIG_UNBLOCK)
		return mask & ~wanted;
	return how == SIG_SETMASK ? wanted : mask;
}

/* In a handler of the program's the kernel has its mask, and undoes at the
 * return what was changed meanwhile, of which we hear nothing. So what is
 * blocked there is blocked for real; and where the handler unblocks its own
 * signal, as HotSpot's does, a further fault in it is no news. */
static bool in_handler(int how, const sigset_t *set)
{
	struct first_fault *fault = set ? fault_handled() : NULL;
	uint64_t own;

	if (!fault)
		return false;
	own = 1ull << (fault->signal - 1) & bits_of(set);
	if (how == SIG_SETMASK)
		fault->opened = !own;
	else if (own)
		fault->opened = how == SIG_UNBLOCK;
	return true;
}

/* The mask changes in our book first: a signal that was held back comes as soon
 * as the kernel lets it, and has to find itself unblocked. */
static int change_known(real_mask_fn *real, int how, const sigset_t *set,
			sigset_t *old, bool handling)
{
	uint64_t wanted = set ? bits_of(set) & fault_mask() : 0;
	struct thread_slot *slot = take_slot();
	uint64_t before, next, bits;
	sigset_t open, was;
	int result;

	if (!slot)
		return real(how, set, old);
	if (how != SIG_UNBLOCK && handling)
		wanted &= slot->mask;
	else if (how != SIG_UNBLOCK)
		wanted &= slot->mask | caught(wanted & ~slot->mask);
	before = slot->mask;
	next = set ? next_mask(how, before, wanted) : before;
	if (set) {
		open = *set;
		bits = bits_of(set);
		if (how != SIG_UNBLOCK)
			bits &= ~(next & ~slot->held);
		set_bits(&open, bits);
	}
	atomic_store(&zone.masked, 1);
	slot->mask = next;
	result = real(how, set ? &open : NULL, &was);
	if (result) {
		slot->mask = before;
		return result;
	}
	bits = bits_of(&was);
	if ((bits & slot->seen) != slot->seen)
		before = 0; /* is_blocked() in dispatch.c says why */
	if (!set)
		slot->mask = before;
	else
		slot->held &= next;
	if (set)
		slot->seen = next_mask(how, bits, bits_of(&open)) &
			     ~(fault_mask() | never_blocked);
	if (old) {
		*old = was;
		set_bits(old, bits | before);
	}
	return 0;
}

int change_mask_by(real_mask_fn *real, int how, const sigset_t *set,
		   sigset_t *old)
{
	bool handling = zone.ready && in_handler(how, set);

	if (!zone.ready ||
	    (!atomic_load(&zone.masked) &&
	     (handling || !set || how == SIG_UNBLOCK ||
	      !(bits_of(set) & fault_mask()))))
		return real(how, set, old);
	return change_known(real, how, set, old, handling);
}

static int change(const struct real *function, int how, const sigset_t *set,
		  sigset_t *old)
{
	return change_mask_by((real_mask_fn *)real_address(function), how, set,
			      old);
}

int change_mask(int how, const sigset_t *set, sigset_t *old)
{
	return change(&real_sigprocmask, how, set, old);
}

EXPORT int sigprocmask(int how, const sigset_t *restrict set,
		       sigset_t *restrict old)
{
	return change(&real_sigprocmask, how, set, old);
}

/* Yields the error, and leaves errno alone. */
EXPORT int pthread_sigmask(int how, const sigset_t *restrict set,
			   sigset_t *restrict old)
{
	return change(&real_pthread_sigmask, how, set, old);
}

/* The first 32 signals, in BSD's way. */
static int change_word(int how, int mask)
{
	sigset_t set = { 0 }, old;

	set_bits(&set, (uint32_t)mask);
	if (change_mask(how, &set, &old))
		return -1;
	return (int)(uint32_t)bits_of(&old);
}

EXPORT int sigblock(int mask)
{
	return change_word(SIG_BLOCK, mask);
}

EXPORT int sigsetmask(int mask)
{
	return change_word(SIG_SETMASK, mask);
}

static int change_one(const struct real *function, int how, int sig)
{
	real_signal_number_fn *real =
		(real_signal_number_fn *)real_address(function);
	sigset_t set = { 0 };

	if (!zone.ready || claimed_index(sig) < 0)
		return real(sig);
	set_bits(&set, 1ull << (sig - 1));
	return change_mask(how, &set, NULL);
}

EXPORT int sighold(int sig)
{
	return change_one(&real_sighold, SIG_BLOCK, sig);
}

EXPORT int sigrelse(int sig)
{
	return change_one(&real_sigrelse, SIG_UNBLOCK, sig);
}

/* A mask for the length of one system call. */
struct lent {
	struct thread_slot *slot; /* NULL: it does not concern us */
	uint64_t before;
	sigset_t set; /* what the kernel is to have meanwhile */
};

static bool concerns_us(const sigset_t *set)
{
	return zone.ready && set && (atomic_load(&zone.masked) ||
				     (bits_of(set) & fault_mask()));
}

static const sigset_t *lend(struct lent *lent, const sigset_t *set)
{
	uint64_t faults = bits_of(set) & fault_mask(), mask;

	lent->slot = take_slot();
	if (!lent->slot)
		return set;
	lent->before = lent->slot->mask;
	mask = faults & (lent->before | caught(faults & ~lent->before));
	lent->set = *set;
	set_bits(&lent->set, bits_of(set) & ~(mask & ~lent->slot->held));
	atomic_store(&zone.masked, 1);
	lent->slot->mask = mask;
	return &lent->set;
}

/* What was held back meanwhile, and is not blocked otherwise, comes now. */
static void take_back(struct lent *lent)
{
	uint64_t free;

	if (!lent->slot)
		return;
	lent->slot->mask = lent->before;
	free = lent->slot->held & ~lent->before;
	lent->slot->held &= lent->before;
	if (free)
		sys4(rt_sigprocmask, SIG_UNBLOCK, &free, NULL, KERNEL_SIGSET);
}

static int suspend(const sigset_t *set)
{
	real_sigsuspend_fn *real =
		(real_sigsuspend_fn *)real_address(&real_sigsuspend);
	struct lent lent;
	int result;

	if (!concerns_us(set))
		return real(set);
	result = real(lend(&lent, set));
	take_back(&lent);
	return result;
}

EXPORT int sigsuspend(const sigset_t *set)
{
	return suspend(set);
}

EXPORT int __sigsuspend(const sigset_t *set)
{
	return suspend(set);
}

static int suspend_without(int sig)
{
	sigset_t set = { 0 };

	if (sig < 1 || sig > 64)
		return change_one(&real_sighold, SIG_BLOCK, sig);
	if (change_mask(SIG_BLOCK, NULL, &set))
		return -1;
	set_bits(&set, bits_of(&set) & ~(1ull << (sig - 1)));
	return suspend(&set);
}

/* glibc's is BSD's, and XPG's has another name; musl has XPG's alone. */
EXPORT int bsd_sigpause(int mask)
{
	sigset_t set = { 0 };

	if (!real_address(&real_xpg_sigpause))
		return suspend_without(mask);
	set_bits(&set, (uint32_t)mask);
	return suspend(&set);
}

EXPORT int __xpg_sigpause(int sig)
{
	return suspend_without(sig);
}

EXPORT int ppoll(struct pollfd *fds, nfds_t n, const struct timespec *timeout,
		 const sigset_t *set)
{
	real_ppoll_fn *real = (real_ppoll_fn *)real_address(&real_ppoll);
	struct lent lent;
	int result;

	if (!concerns_us(set))
		return real(fds, n, timeout, set);
	result = real(fds, n, timeout, lend(&lent, set));
	take_back(&lent);
	return result;
}

EXPORT int __ppoll_chk(struct pollfd *fds, nfds_t n,
		       const struct timespec *timeout, const sigset_t *set,
		       size_t len)
{
	real_ppoll_chk_fn *real =
		(real_ppoll_chk_fn *)real_address(&real_ppoll_chk);
	struct lent lent;
	int result;

	if (!concerns_us(set))
		return real(fds, n, timeout, set, len);
	result = real(fds, n, timeout, lend(&lent, set), len);
	take_back(&lent);
	return result;
}

EXPORT int pselect(int n, fd_set *restrict read, fd_set *restrict write,
		   fd_set *restrict except,
		   const struct timespec *restrict timeout,
		   const sigset_t *restrict set)
{
	real_pselect_fn *real = (real_pselect_fn *)real_address(&real_pselect);
	struct lent lent;
	int result;

	if (!concerns_us(set))
		return real(n, read, write, except, timeout, set);
	result = real(n, read, write, except, timeout, lend(&lent, set));
	take_back(&lent);
	return result;
}

EXPORT int epoll_pwait(int fd, struct epoll_event *events, int n, int timeout,
		       const sigset_t *set)
{
	real_epoll_pwait_fn *real =
		(real_epoll_pwait_fn *)real_address(&real_epoll_pwait);
	struct lent lent;
	int result;

	if (!concerns_us(set))
		return real(fd, events, n, timeout, set);
	result = real(fd, events, n, timeout, lend(&lent, set));
	take_back(&lent);
	return result;
}

EXPORT int epoll_pwait2(int fd, struct epoll_event *events, int n,
			const struct timespec *timeout, const sigset_t *set)
{
	real_epoll_pwait2_fn *real =
		(real_epoll_pwait2_fn *)real_address(&real_epoll_pwait2);
	struct lent lent;
	int result;

	if (!concerns_us(set))
		return real(fd, events, n, timeout, set);
	result = real(fd, events, n, timeout, lend(&lent, set));
	take_back(&lent);
	return result;
}
