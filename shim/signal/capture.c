/* Writing the crash down: siginfo and registers go into the preallocated
 * record. Stack and extended state stay where they are, in memory that the
 * witness keeps. Runs in the crashing thread; trusts nothing that the registers
 * point to. */
#include "zone.h"

size_t copy_safely(uint64_t address, void *to, size_t len)
{
	struct io_vector local = { to, len };
	struct io_vector remote = { (void *)(uintptr_t)address, len };
	long n = sys6(process_vm_readv, sys0(getpid), &local, 1, &remote, 1, 0);

	return n > 0 ? (size_t)n : 0;
}

/* The kernel writes for us, and says where it cannot: the stack then grows as
 * it does for a frame of the kernel's, and nothing faults. */
bool has_room(uint64_t from, uint64_t to, struct thread_slot *slot)
{
	uint64_t page = ~(uint64_t)(ZONE_PAGE - 1);

	if (slot && from >= slot->room_from && to <= slot->room_to)
		return true;
	if (sys4(rt_sigprocmask, SIG_BLOCK, NULL, from & ~7ull,
		 KERNEL_SIGSET) < 0)
		return false;
	if (slot) {
		slot->room_from = from & page;
		slot->room_to = to | ~page;
	}
	return true;
}

int64_t clock_ns(int clock)
{
	struct timespec now = { 0, 0 };

	/* A filter may leave no clock but the oldest. */
	if (sys2(clock_gettime, clock, &now) < 0 &&
	    sys2(clock_gettime, clock, &now) < 0 && clock == CLOCK_REALTIME)
		now.tv_sec = sys_time();
	return now.tv_sec * 1000000000ll + now.tv_nsec;
}

/* Where the faults of the calling thread, in SLOT or -1, are remembered; NULL
 * where there are too many threads, or in the child of a vfork, which is none
 * of them. */
static struct first_fault *fault_of_self(int slot)
{
	uint32_t i;

	if (slot < 0)
		slot = slot_current();
	if (slot < 0) {
		slot = notice_fork() ? -1 : slot_take();
		if (slot < 0)
			return NULL;
		zone.slots[slot].name[0] = '\0'; /* read at a crash */
		slot_own(slot, own_tid(), 0);
	}
	if (zone.slots[slot].fault)
		return &zone.faults[zone.slots[slot].fault];
	i = atomic_fetch_add(&zone.nfaults, 1) + 1;
	if (i >= ZONE_MAX_FAULTS) {
		atomic_store(&zone.nfaults, ZONE_MAX_FAULTS);
		return NULL;
	}
	zone.slots[slot].fault = i;
	return &zone.faults[i];
}

/* Whether the signal frame that the program's handler got for FAULT is whole,
 * and the thread, now at SP, further down that stack, not far from it. A frame
 * that was left by siglongjmp, or returned from, may look so for long: others
 * may lie over it without a write to it. A handler may move the pc, as redis
 * does, so that one is compared only where SAME_PC says so. */
static bool is_below(const struct first_fault *fault, uint64_t sp, bool same_pc)
{
	static const uint64_t near = 1 << 20;
	uint64_t live[RECORD_GREGS];

	if (!fault->signal || sp >= fault->context ||
	    fault->context - sp > near)
		return false;
	if (copy_safely(fault->context + GREGS_AT, live, sizeof(live)) !=
	    sizeof(live))
		return false;
	for (size_t i = 0; i < RECORD_GREGS; i++) {
		if (live[i] != fault->gregs[i] && (i != GREG_PC || same_pc))
			return false;
	}
	return true;
}

/* Whether the handler that was called with FAULT has not been left, as far as
 * can be known: its signal is blocked as it is in a handler, too, unless the
 * handler has unblocked it. HotSpot's does, and before it returns it moves the
 * pc. */
static bool still_handling(const struct first_fault *fault,
			   const ucontext_t *context)
{
	uint64_t mask;

	zone_copy(&mask, &context->uc_sigmask, sizeof(mask));
	if (fault->blocked && !fault->opened &&
	    !(mask & 1ull << (fault->signal - 1)))
		return false;
	return is_below(fault, context_sp(context), fault->opened);
}

/* A fault in a handler, which that may well survive, is not remembered over the
 * one that the handler was called for. */
void remember_fault(int sig, const siginfo_t *si, const ucontext_t *context,
		    int slot)
{
	struct first_fault *fault = fault_of_self(slot);

	if (!fault || (fault->blocked && still_handling(fault, context)))
		return;
	fault->opened = false;
	fault->blocked = !(zone.actions[claimed_index(sig)].action.flags &
			   SA_NODEFER);
	fault->signal = sig;
	fault->context = (uint64_t)(uintptr_t)context;
	fault->shadow = shadow_pointer();
	zone_copy(fault->siginfo, si, sizeof(fault->siginfo));
	context_gregs(context, fault->gregs);
}

struct first_fault *fault_handled(void)
{
	int slot = atomic_load(&zone.nfaults) ? slot_current() : -1;
	struct first_fault *fault;

	if (slot < 0 || !zone.slots[slot].fault)
		return NULL;
	fault = &zone.faults[zone.slots[slot].fault];
	if (!is_below(fault, (uintptr_t)__builtin_frame_address(0), false))
		return NULL;
	return fault;
}

/* Whether CONTEXT is where FAULT was: the program's handler has raised the
 * signal again, blocked as it was, and then returned. */
static bool is_same_place(const struct first_fault *fault,
			  const ucontext_t *context)
{
	uint64_t gregs[RECORD_GREGS];

	context_gregs(context, gregs);
	for (size_t i = 0; i < RECORD_GREGS; i++) {
		if (gregs[i] != fault->gregs[i] && !is_fault_greg(i))
			return false;
	}
	return true;
}

/* The fault that signal SIG is the end of, if it is: the program's handler
 * gives up, or, as process 1, abort() has run out of ways to die. */
static const struct first_fault *earlier_fault(int sig,
					       const ucontext_t *context,
					       int32_t tid)
{
	int slot = slot_find(tid);
	const struct first_fault *fault;

	if (slot < 0 || !zone.slots[slot].fault)
		return NULL;
	fault = &zone.faults[zone.slots[slot].fault];
	if (still_handling(fault, context) ||
	    (fault->signal == sig && is_same_place(fault, context)))
		return fault;
	if (fault->signal == SIGABRT && zone.record.pid == 1 &&
	    at_abort_trap(context))
		return fault;
	return NULL;
}

static void make_id(struct crash_record *record)
{
	uint8_t random[16] = { 0 };
	uint64_t mixed = (uint64_t)record->fault_ns * 0x9e3779b97f4a7c15ull;

	if (sys3(getrandom, random, sizeof(random), 1 /* GRND_NONBLOCK */) !=
	    (long)sizeof(random)) {
		mixed ^= (uint64_t)(uint32_t)record->tid << 32;
		zone_copy(random, &mixed, sizeof(mixed));
	}
	format_id(record->id, record->time_ns / 1000000, random);
}

void describe_crash(int sig, const siginfo_t *si, const ucontext_t *context,
		    int32_t tid)
{
	struct crash_record *record = &zone.record;
	const struct first_fault *fault;

	record->fault_ns = zone.filtered ? 0 : clock_ns(CLOCK_MONOTONIC);
	record->pid = atomic_load(&zone.pid);
	record->tid = tid;
	record->signal = sig;
	record->death_signal = sig;
	record->nthreads = 0;
	record->late = 0;
	zone_copy(record->siginfo, si, sizeof(record->siginfo));
	save_registers(context);
	record->shadow = shadow_pointer();
	record->tcb = THREAD_POINTER_CALLS && zone.filtered ? 0 :
							      thread_pointer();
	record->first_fault = 0;
	fault = earlier_fault(sig, context, tid);
	if (fault) {
		record->first_fault = 1;
		record->signal = fault->signal;
		zone_copy(record->siginfo, fault->siginfo,
			  sizeof(record->siginfo));
		zone_copy(record->gregs, fault->gregs, sizeof(record->gregs));
		record->shadow = fault->shadow;
	}
}

/* The extended state of the first fault is in its signal frame, while that is
 * whole; where the handler has returned, CONTEXT has it again. */
static const ucontext_t *state_context(const ucontext_t *context)
{
	const struct crash_record *record = &zone.record;
	int slot = slot_find(record->tid);
	const struct first_fault *fault;

	if (!record->first_fault || slot < 0)
		return context;
	fault = &zone.faults[zone.slots[slot].fault];
	if (!still_handling(fault, context))
		return context;
	return (const void *)(uintptr_t)fault->context;
}

void complete_record(const ucontext_t *context)
{
	struct crash_record *record = &zone.record;

	if (!record->fault_ns)
		record->fault_ns = clock_ns(CLOCK_MONOTONIC);
	record->time_ns = clock_ns(CLOCK_REALTIME);
	record->boot_ns = clock_ns(CLOCK_BOOTTIME);
	record->uid = (uint32_t)sys0(getuid);
	sys2(prctl, 16 /* PR_GET_NAME */, record->name);
	make_id(record);
	record->xstate_at = xstate_address(state_context(context));
	record->version = RECORD_VERSION;
	record->size = sizeof(*record);
	record->magic = RECORD_MAGIC;
}

void read_exe(void)
{
	char *exe = zone.record.exe;
	long n = sys_readlink("/proc/self/exe", exe,
		      sizeof(zone.record.exe) - 1);

	exe[n > 0 ? n : 0] = '\0';
}
