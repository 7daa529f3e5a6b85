/* Tier 2: the other threads by signal, where they may not be traced. Each
 * writes its registers down in a handler of ours and stays there until the
 * process is dead. Unlike tracing this can be seen (a system call returns
 * EINTR), so it is for when nothing else is left.
 *
 * The signal is one that libc keeps for itself: glibc's SIGSETXID, musl's
 * SIGCANCEL. Neither lets a program block it, so that threads which block "all"
 * signals answer too. The process is about to die, so its use is over. */
#include "zone.h"

enum { SIBLING_SIGNAL = 33 };

static struct crash_thread *thread_of(int32_t tid)
{
	struct crash_record *record = &zone.record;

	for (uint32_t i = 0; i < record->nthreads; i++) {
		if (record->threads[i].tid == tid)
			return &record->threads[i];
	}
	return NULL;
}

void sibling_handler(int sig, siginfo_t *si, void *ucontext)
{
	struct crash_record *record = &zone.record;
	struct crash_thread *thread;
	int64_t until;

	(void)sig;
	if (atomic_load(&zone.claim) <= 0 || si->si_pid != record->pid)
		return;
	thread = thread_of((int32_t)sys0(gettid));
	if (thread && thread->state == THREAD_WAITED) {
		context_to_user(ucontext, thread->regs);
		thread->state = THREAD_STOPPED;
	}
	atomic_fetch_add(&zone.answered, 1);
	sys3(futex, &zone.answered, 1 /* FUTEX_WAKE */, 1);
	/* As a thread that is traced: no step further before the death. */
	until = in_ms(2ll * record->settings.deadline_ms + 1000);
	wait_while(&zone.resume, 0, until);
}

void await_sibling_signal(void)
{
	uint64_t set = ZONE_SIGNAL(SIBLING_SIGNAL);

	sys4(rt_sigprocmask, SIG_UNBLOCK, &set, NULL, KERNEL_SIGSET);
}

static void place_silent(void)
{
	struct crash_record *record = &zone.record;
	char path[64];

	if (!task_path(record->pid, path))
		return;
	for (uint32_t i = 0; i < record->nthreads; i++) {
		struct crash_thread *thread = &record->threads[i];

		if (thread->state == THREAD_WAITED && !thread->traced)
			place_thread(path, thread);
	}
}

void signal_siblings(int64_t budget_ns)
{
	struct crash_record *record = &zone.record;
	struct kernel_action action = {
		.handler = (uintptr_t)sibling_handler,
		.flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART |
			 KERNEL_SA_RESTORER,
		.restorer = (uintptr_t)zone_restorer,
		.mask = ~0ull,
	};
	int64_t until = clock_ns(CLOCK_MONOTONIC) + budget_ns;
	uint32_t asked = 0, answered;

	atomic_store(&zone.answered, 0);
	if (sys4(rt_sigaction, SIBLING_SIGNAL, &action, NULL, KERNEL_SIGSET) <
	    0)
		return;
	for (uint32_t i = 0; i < record->nthreads; i++) {
		struct crash_thread *thread = &record->threads[i];

		if (thread->state != THREAD_DENIED)
			continue;
		thread->state = THREAD_WAITED;
		if (sys3(tgkill, record->pid, thread->tid, SIBLING_SIGNAL) < 0)
			thread->state = THREAD_DENIED;
		else
			asked++;
	}
	while ((answered = atomic_load(&zone.answered)) < asked &&
	       clock_ns(CLOCK_MONOTONIC) < until)
		wait_while(&zone.answered, answered, until);
	if (answered < asked)
		place_silent();
}
