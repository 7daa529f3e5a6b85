/* syscall(): what a program asks of the kernel by number is seen as if it had
 * called the function, where it is about actions, masks or alternate stacks.
 * Everything else goes to libc's own by a jump, from the entry in
 * entry_x86_64.c: a thread that sleeps in a futex is to show nothing of ours,
 * and has as many arguments as it likes. */
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "../preload.h"
#include "../signal/zone.h"
#include "interpose.h"

typedef long real_syscall_fn(long, long, long, long, long);

REAL(real_syscall, "syscall");

uintptr_t syscall_address;

uintptr_t find_syscall(void)
{
	syscall_address = real_address(&real_syscall);
	return syscall_address;
}

static real_syscall_fn *by_number(void)
{
	return (real_syscall_fn *)find_syscall();
}

static int raw_mask(int how, const sigset_t *set, sigset_t *old)
{
	return (int)by_number()(SYS_rt_sigprocmask, how, (long)set, (long)old,
				KERNEL_SIGSET);
}

/* The kernel's sets are shorter than libc's. It judges the arguments: a pointer
 * that is wrong is for it to say. */
static long change_raw(int how, long set_at, long old_at)
{
	real_syscall_fn *real = by_number();
	sigset_t set, old;

	zone_fill(&set, 0, sizeof(set));
	if (set_at && copy_safely((uint64_t)set_at, &set, KERNEL_SIGSET) !=
			      KERNEL_SIGSET)
		return real(SYS_rt_sigprocmask, how, set_at, old_at,
			    KERNEL_SIGSET);
	if (old_at && real(SYS_rt_sigprocmask, SIG_BLOCK, 0, old_at,
			   KERNEL_SIGSET))
		return -1;
	if (change_mask_by(raw_mask, how, set_at ? &set : NULL, &old))
		return -1;
	if (old_at)
		zone_copy((void *)old_at, &old, KERNEL_SIGSET);
	return 0;
}

static long act_raw(int sig, long act, long old_at)
{
	real_syscall_fn *real = by_number();
	struct kernel_action previous;
	struct row row;

	if (!row_lock(sig, &row))
		return real(SYS_rt_sigaction, sig, act, old_at, KERNEL_SIGSET);
	previous = zone.actions[row.index].action;
	if ((old_at && real(SYS_rt_sigaction, sig, 0, old_at, KERNEL_SIGSET)) ||
	    (act && real(SYS_rt_sigaction, sig, act, 0, KERNEL_SIGSET))) {
		row_unlock(&row, false);
		return -1;
	}
	row_unlock(&row, act != 0);
	if (old_at)
		zone_copy((void *)old_at, &previous, sizeof(previous));
	return 0;
}

static long pass_on(const long *a)
{
	return by_number()(a[0], a[1], a[2], a[3], a[4]);
}

/* Through these libseccomp, and most others, put a filter in force. */
static long restrict_self(const long *a)
{
	if (a[0] == SYS_prctl && a[1] == PR_SET_SECCOMP)
		return filter_self((uint64_t)a[2], (uintptr_t)a[3], pass_on, a);
	if (a[0] == SYS_seccomp && a[1] == SECCOMP_SET_MODE_FILTER)
		return filter_self(SECCOMP_MODE_FILTER, (uintptr_t)a[3],
				   pass_on, a);
	if (a[0] == SYS_seccomp && a[1] == SECCOMP_SET_MODE_STRICT)
		return filter_self(SECCOMP_MODE_STRICT, 0, pass_on, a);
	return pass_on(a);
}

long syscall_known(long nr, long a, long b, long c, long d)
{
	long result;

	if (zone.ready && nr == SYS_rt_sigprocmask && d == KERNEL_SIGSET)
		return change_raw((int)a, b, c);
	if (zone.ready && nr == SYS_rt_sigaction && d == KERNEL_SIGSET)
		return act_raw((int)a, b, c);
	if (zone.ready && nr == SYS_sigaltstack)
		return set_altstack((const stack_t *)a, (stack_t *)b);
	if (nr == SYS_exit_group)
		end_in_handler();
	result = restrict_self((const long[]){ nr, a, b, c, d });
	if (nr == SYS_prctl && a == PR_SET_NAME && result == 0)
		note_name((const char *)b);
	return result;
}
