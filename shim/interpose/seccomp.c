/* Seccomp filters that the program puts on itself. What they would say to the
 * calls of the zone is found out before they are in force: a crash under a
 * filter that kills for one of them is to stay the plain death that it is
 * without us. Filters only ever add to each other, and what one thread may not
 * do is not done in any. */
#include "filter.h"

#include <sched.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "../preload.h"
#include "../signal/zone.h"
#include "interpose.h"

struct call {
	uint16_t number;
	uint64_t arguments[3];
};

/* Without these, working, we could neither know nor undo what we are: they are
 * made by our wrappers as well. */
static const struct call vital[] = {
	{ SYS_rt_sigaction, { SIGSEGV } },
	{ SYS_rt_sigprocmask, { SIG_SETMASK } },
	{ SYS_rt_sigreturn, { 0 } },
	{ SYS_getpid, { 0 } },
	{ SYS_gettid, { 0 } },
};

/* These may fail, but a filter that does more than that is the end of it. */
static const struct call needed[] = {
	{ SYS_futex, { 0, 9 } },
	{ SYS_sigaltstack, { 0 } },
	{ SYS_tgkill, { 0 } },
	{ SYS_clone, { CLONE_VM | CLONE_CHILD_CLEARTID | CLONE_UNTRACED } },
};

/* These the witness tries first, if a filter does more than refuse them. */
static const struct call wanted[] = {
	OWN_CALLS,
	{ SYS_clock_gettime, { CLOCK_MONOTONIC } },
	{ SYS_close, { 3 } },
	{ SYS_fsync, { 3 } },
	{ SYS_getppid, { 0 } },
	{ SYS_getrandom, { 0, 16, 1 } },
	{ SYS_getuid, { 0 } },
	{ SYS_kill, { 0 } },
	{ SYS_openat, { 0 } },
	{ SYS_prctl, { PR_GET_DUMPABLE } },
	{ SYS_prctl, { PR_SET_DUMPABLE, 1 } },
	{ SYS_prctl, { PR_GET_NAME } },
	{ SYS_prctl, { PR_SET_PTRACER, ~0ull } },
	{ SYS_process_vm_readv, { 0 } },
	{ SYS_rt_tgsigqueueinfo, { 0, 0, SIGSEGV } },
	{ SYS_sched_getattr, { 0 } },
	{ SYS_sched_setattr, { 0 } },
	{ SYS_uname, { 0 } },
	{ SYS_write, { 3 } },
};

struct judgement {
	bool kills;   /* for what is needed, or forbids what is vital */
	bool strange; /* does more than refuse what is wanted */
};

/* What FILTER does to CALL. */
static uint32_t action_of(const struct sock_fprog *filter,
			  const struct call *call)
{
	struct seccomp_data data = {
		.nr = call->number,
		.arch = OWN_AUDIT_ARCH,
		.instruction_pointer = (uint64_t)(uintptr_t)action_of,
	};

	for (size_t i = 0; i < 3; i++)
		data.args[i] = call->arguments[i];
	return filter_answer(filter->filter, filter->len, &data) &
	       SECCOMP_RET_ACTION_FULL;
}

static bool is_allowed(const struct sock_fprog *filter,
		       const struct call *call)
{
	uint32_t action = action_of(filter, call);

	return action == SECCOMP_RET_ALLOW || action == SECCOMP_RET_LOG;
}

/* Whether FILTER lets CALL through, or makes it fail, and no more. */
static bool is_kind(const struct sock_fprog *filter, const struct call *call)
{
	uint32_t action = action_of(filter, call);

	return is_allowed(filter, call) || action == SECCOMP_RET_ERRNO ||
	       action == SECCOMP_RET_TRACE;
}

static struct judgement judge(const struct sock_fprog *filter)
{
	struct judgement judgement = { false, false };

	for (size_t i = 0; i < sizeof(vital) / sizeof(*vital); i++)
		judgement.kills |= !is_allowed(filter, &vital[i]);
	for (size_t i = 0; i < sizeof(needed) / sizeof(*needed); i++)
		judgement.kills |= !is_kind(filter, &needed[i]);
	for (size_t i = 0; i < sizeof(wanted) / sizeof(*wanted); i++)
		judgement.strange |= !is_kind(filter, &wanted[i]);
	return judgement;
}

/* The filter at ADDRESS, which the kernel has not looked at yet. */
static bool read_filter(uintptr_t address, struct sock_fprog *filter_out)
{
	const struct sock_fprog *at = (const void *)address;
	uint8_t byte;

	if (!at)
		return false;
	/* An earlier filter may object to that, and will then be unknown. */
	if (!zone.seccomp &&
	    (copy_safely(address, filter_out, sizeof(*at)) != sizeof(*at) ||
	     !filter_out->len ||
	     copy_safely((uint64_t)(uintptr_t)(filter_out->filter +
					       filter_out->len) - 1,
			 &byte, 1) != 1))
		return false;
	*filter_out = *at;
	return filter_out->filter && filter_out->len <= FILTER_MAX;
}

/* Leave the kernel with the program's own actions, mask and stack, as if we had
 * never been there. */
static void retire(void)
{
	uint64_t mask = hidden_mask();
	stack_t none = { .ss_flags = SS_DISABLE }, now = { 0 };

	zone.ready = false;
	for (int i = 0; i < CLAIMED_COUNT; i++)
		sys4(rt_sigaction, claimed_signal(i), &zone.actions[i].action,
		     NULL, KERNEL_SIGSET);
	if (mask)
		sys4(rt_sigprocmask, SIG_BLOCK, &mask, NULL, KERNEL_SIGSET);
	sys2(sigaltstack, NULL, &now);
	if (is_own_stack(now.ss_sp))
		sys2(sigaltstack, &none, NULL);
}

/* The filter was refused, and all is as it was. */
static void come_back(void)
{
	uint64_t mask = hidden_mask();
	stack_t none = { .ss_flags = SS_DISABLE };

	for (int i = 0; i < CLAIMED_COUNT; i++)
		install_action(claimed_signal(i), &zone.actions[i].action);
	if (mask)
		sys4(rt_sigprocmask, SIG_UNBLOCK, &mask, NULL, KERNEL_SIGSET);
	zone.ready = true;
	set_altstack(&none, NULL);
}

long filter_self(uint64_t mode, uintptr_t filter_at,
		 long (*install)(const long *), const long *arguments)
{
	struct judgement judgement = { true, true };
	struct sock_fprog filter;
	long result;

	if (!zone.ready)
		return install(arguments);
	if (mode == SECCOMP_MODE_FILTER) {
		if (!read_filter(filter_at, &filter))
			return install(arguments);
		judgement = judge(&filter);
	}
	if (judgement.kills)
		retire();
	watch_forks(); /* later on we may not */
	result = install(arguments);
	if (result < 0) {
		if (judgement.kills)
			come_back();
		return result;
	}
	zone.seccomp = true;
	zone.filtered |= judgement.strange;
	return result;
}
