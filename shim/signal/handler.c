/* A crash, in the thread that received the signal: the first thread to come is
 * captured, the others wait for it, and all die as they would have. */
#include "zone.h"

struct zone zone __attribute__((aligned(ZONE_PAGE)));

/* A signal sent to PID 1 under the default action does nothing, and so do we;
 * but abort() goes on from there to an instruction that kills, and then this
 * is what the report is about. */
static bool is_harmless(int sig, const siginfo_t *si,
			const ucontext_t *context)
{
	if (si->si_code > 0 || sys0(getpid) != 1)
		return false;
	if (sig == SIGABRT)
		remember_fault(sig, si, context, -1);
	return true;
}

/* The holder of the claim after the call: ours if it is TID. */
static int32_t claim_crash(int32_t tid)
{
	int32_t nobody = CLAIM_NOBODY;

	return atomic_compare_exchange_strong(&zone.claim, &nobody, tid)
		       ? tid
		       : nobody;
}

/* Another thread crashed first: its report covers us, and its death is ours.
 * Should it never die, we do, after twice its deadline. */
static void wait_for_other(int32_t other)
{
	uint64_t ms = 2ull * zone.record.settings.deadline_ms + 1000;
	struct timespec rest = { (time_t)(ms / 1000),
				 (long)(ms % 1000) * 1000000 };
	int64_t until = in_ms((int64_t)ms);

	await_sibling_signal();
	while (atomic_load(&zone.claim) == other &&
	       (zone.filtered || clock_ns(CLOCK_MONOTONIC) < until)) {
		long error = sys4(futex, &zone.claim, 0 /* FUTEX_WAIT */,
				  other, &rest);

		if (error == -110 /* ETIMEDOUT */ || error == -38 /* ENOSYS */)
			break;
	}
}

void crash_on_stack(void)
{
	stack_t emergency = { .ss_sp = zone_stacks.exec,
			      .ss_size = ZONE_EXEC_STACK };

	/* A fault of ours would come in at the top of the program's stack, over
	 * the frame that we work with. Ours is unused until the helper starts,
	 * in a task that has none. */
	if (!zone.filtered)
		sys2(sigaltstack, &emergency, NULL);
	report_crash();
}

/* The program's alternate stack may hold the kernel's frame and little else;
 * elsewhere there is room, and a fault of ours comes in below. */
static void capture(int sig, siginfo_t *si, ucontext_t *context, int32_t tid)
{
	uint64_t sp = current_sp();
	uint64_t low = (uint64_t)(uintptr_t)context->uc_stack.ss_sp;

	uint64_t mask = ~ZONE_FAULTS;

	/* Of a handler that the program has installed, the mask is its own. */
	sys4(rt_sigprocmask, SIG_SETMASK, &mask, NULL, KERNEL_SIGSET);
	zone.crash_signal = sig;
	zone.crash_info = si;
	zone.crash_context = context;
	describe_crash(sig, si, context, tid);
	if (sp >= low && sp - low < ZONE_ROOM)
		call_on_stack(zone_stacks.capture + ZONE_CAPTURE_STACK);
	else
		report_crash();
}

void crash(int sig, siginfo_t *si, ucontext_t *context)
{
	int32_t tid = own_tid(), holder;

	if (is_harmless(sig, si, context))
		return;
	if (!notice_fork()) {
		holder = claim_crash(tid);
		if (holder == tid)
			capture(sig, si, context, tid);
		else if (holder != CLAIM_OVER)
			wait_for_other(holder);
	}
	release_process(sig, si, context, tid);
}

void capture_and_go_on(int sig, siginfo_t *si, ucontext_t *context)
{
	int32_t tid = own_tid();

	if (notice_fork() || claim_crash(tid) != tid)
		return;
	zone.order = ORDER_GO_ON;
	capture(sig, si, context, tid);
	set_and_wake(&zone.resume, 1);
	atomic_store(&zone.claim, CLAIM_OVER);
	sys3(futex, &zone.claim, 1 /* FUTEX_WAKE */, 0x7fffffff);
}

/* We have faulted ourselves, at NESTED: what there is goes to the spool, and
 * the process dies of what it was about to die of. Should that fault in turn,
 * nothing more is tried. */
static void give_up(int sig, ucontext_t *nested)
{
	int32_t tid = own_tid();
	uint32_t times = ++zone.recursions;

	if (times == 1) {
		give_reason(4, "fault in the handler", -sig);
		if (raw_write() == 0)
			atomic_store(&zone.verdict, VERDICT_RAW);
	}
	if (times > 2)
		sys1(exit_group, 128 + zone.crash_signal);
	/* A witness that still holds our threads would hold up the death. */
	if (zone.witness_pid > 0)
		sys2(kill, zone.witness_pid, SIGKILL);
	release_process(zone.crash_signal, zone.crash_info, zone.crash_context,
			tid);
	become_context(nested, zone.crash_context);
}

bool crash_recursed(int sig, siginfo_t *si, ucontext_t *context)
{
	int32_t holder = atomic_load(&zone.claim);

	if (holder <= 0 || holder != own_tid())
		return false;
	if (si->si_code <= 0)
		return true; /* sent: we are dying as it is */
	if (sig == SIGSYS)
		fail_call(context);
	else
		give_up(sig, context);
	return true;
}
