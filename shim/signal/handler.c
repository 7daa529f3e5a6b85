/* A crash, in the thread that received the signal: the first thread to come is
 * captured, the others wait for it, and all die as they would have. */
#include "zone.h"

struct zone zone __attribute__((aligned(ZONE_PAGE)));
struct zone_stacks zone_stacks __attribute__((aligned(ZONE_PAGE)));

/* A signal sent to PID 1 under the default action does nothing, and so do we;
 * but abort() goes on from there to an instruction that kills, and then this
 * is what the report is about. */
static bool is_harmless(int sig, const siginfo_t *si,
			const ucontext_t *context)
{
	if (si->si_code > 0 || sys0(getpid) != 1)
		return false;
	if (sig == SIGABRT)
		remember_fault(sig, si, context);
	return true;
}

static bool claim_crash(int32_t tid)
{
	int32_t nobody = 0;

	return atomic_compare_exchange_strong(&zone.claim, &nobody, tid);
}

/* Another thread crashed first: its report covers us, and its death is ours.
 * Should it never die, we do, after twice its deadline. */
static void wait_for_other(void)
{
	uint64_t ms = 2ull * zone.record.settings.deadline_ms + 1000;
	struct timespec rest = { (time_t)(ms / 1000),
				 (long)(ms % 1000) * 1000000 };

	sys2(nanosleep, &rest, NULL);
}

void crash(int sig, siginfo_t *si, ucontext_t *context)
{
	int32_t tid = (int32_t)sys0(gettid);

	allow_misalignment();
	if (is_harmless(sig, si, context))
		return;
	if (!notice_fork()) {
		if (claim_crash(tid)) {
			describe_crash(sig, si, context, tid);
			run_witness(context);
		} else if (atomic_load(&zone.claim) != tid) {
			wait_for_other();
		}
	}
	release_process(sig, si, context, tid);
}
