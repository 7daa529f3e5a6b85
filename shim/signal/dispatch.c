/* Whose signal is it? The handler of every claimed signal, in the thread that
 * received it. App first: where the program has a handler of its own, that one
 * runs, in place of ours and with nothing of ours on the stack. A signal whose
 * action the program left at default is a crash, and so is a fault that it has
 * blocked or ignores, for which the kernel knows only the default. */
#include "zone.h"

static const int claimed_signals[CLAIMED_COUNT] = {
	[CLAIMED_SEGV] = SIGSEGV, [CLAIMED_BUS] = SIGBUS,
	[CLAIMED_ILL] = SIGILL,   [CLAIMED_FPE] = SIGFPE,
	[CLAIMED_ABRT] = SIGABRT, [CLAIMED_TRAP] = SIGTRAP,
	[CLAIMED_SYS] = SIGSYS,
};

enum { ABORT_WORDS = 64 }; /* between raise()'s system call and abort() */

int claimed_signal(int i)
{
	return claimed_signals[i];
}

int claimed_index(int sig)
{
	for (int i = 0; i < CLAIMED_COUNT; i++) {
		if (claimed_signals[i] == sig)
			return i;
	}
	return -1;
}

static uint64_t bit_of(int sig)
{
	return 1ull << (sig - 1);
}

uint64_t fault_mask(void)
{
	uint64_t mask = 0;

	for (int i = 0; i < CLAIMED_COUNT; i++)
		mask |= bit_of(claimed_signals[i]);
	return mask & ~bit_of(SIGABRT);
}

/* With a handler of the program's the kernel does the work: its mask, restart
 * and nesting are then what it asked for. Of its mask the faults are left out,
 * or one in its handler would kill without a word. Where the stack may be what
 * is wrong, the kernel is to use the alternate one, whatever the program said:
 * enter_handler() moves away from there. One-shot handlers are the table's
 * business, or the second fault would not be seen. An ignored signal is caught
 * as well, because a fault is not ignored; SA_RESTART hides that best. */
long exchange_action(int sig, const struct kernel_action *action,
		     struct kernel_action *old_out)
{
	static const uint64_t kept =
		SA_NODEFER | SA_RESTART | SA_ONSTACK | SA_NOCLDSTOP;
	struct kernel_action real = {
		.handler = (uintptr_t)crash_handler,
		.flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER |
			 KERNEL_SA_RESTORER,
		.restorer = (uintptr_t)zone_restorer,
		.mask = ~ZONE_FAULTS,
	};

	if (action->handler == (uintptr_t)SIG_IGN) {
		real.flags |= SA_RESTART;
	} else if (action->handler != (uintptr_t)SIG_DFL) {
		real.flags = SA_SIGINFO | KERNEL_SA_RESTORER |
			     (action->flags & kept);
		if (sig == SIGSEGV || sig == SIGBUS)
			real.flags |= SA_ONSTACK;
		real.mask = action->mask & ~(fault_mask() & ~bit_of(sig));
	}
	return sys4(rt_sigaction, sig, &real, old_out, KERNEL_SIGSET);
}

long install_action(int sig, const struct kernel_action *action)
{
	return exchange_action(sig, action, NULL);
}

/* A copy of the table's row that no writer tore. A writer holds a row for two
 * system calls, with signals blocked; should it have died there, the row is
 * read as it is. */
static struct kernel_action read_action(struct virtual_action *row)
{
	struct kernel_action action;
	uint32_t before, after;

	for (int tries = 0; tries < 100000; tries++) {
		before = atomic_load(&row->sequence);
		action = row->action;
		after = atomic_load(&row->sequence);
		if (before == after && !(before & 1))
			break;
	}
	return action;
}

/* The one indirect call of the zone, and it is a jump: the program's handler
 * returns to the restorer and finds nothing of ours above it. */
__attribute__((noinline)) static void chain_call(uintptr_t handler, int sig,
						 siginfo_t *si, void *context)
{
	((void (*)(int, siginfo_t *, void *))handler)(sig, si, context);
}

static void use_up(int sig, struct virtual_action *row)
{
	static const struct kernel_action none = { .handler = 0 };

	row->action.handler = (uintptr_t)SIG_DFL;
	install_action(sig, &none);
}

/* Whether the thread of SLOT has SIG blocked, in the program's eyes, where
 * CONTEXT was interrupted. siglongjmp and the return from a handler put a mask
 * back without our knowing; they are noticed where some other signal, which was
 * blocked for real at the same time, is not blocked any more. */
static bool is_blocked(struct thread_slot *slot, int sig,
		       const ucontext_t *context)
{
	uint64_t real;

	if (!slot || !(slot->mask & bit_of(sig)))
		return false;
	zone_copy(&real, &context->uc_sigmask, sizeof(real));
	if ((real & slot->seen) == slot->seen)
		return true;
	slot->mask = 0;
	return false;
}

/* SIG was sent to a thread that has it blocked. It is blocked for real from
 * here on, and sent again: the kernel then keeps it for sigpending, sigwait,
 * signalfd and the moment at which it is unblocked. With the sender's siginfo
 * only the main thread may send to the process; another one keeps it. */
static void hold_back(struct thread_slot *slot, int sig, siginfo_t *si,
		      ucontext_t *context)
{
	int32_t pid = (int32_t)sys0(getpid);
	uint64_t own = bit_of(sig), mask;

	slot->held |= own;
	sys4(rt_sigprocmask, SIG_BLOCK, &own, NULL, KERNEL_SIGSET);
	zone_copy(&mask, &context->uc_sigmask, sizeof(mask));
	mask |= own;
	zone_copy(&context->uc_sigmask, &mask, sizeof(mask));
	if (si->si_code != SI_TKILL &&
	    sys3(rt_sigqueueinfo, pid, sig, si) == 0)
		return;
	sys4(rt_tgsigqueueinfo, pid, sys0(gettid), sig, si);
}

/* Whether libc's abort() raised the SIGABRT of CONTEXT: its address is on the
 * stack not far up. Then a handler that returns, or SIG_IGN, only delays the
 * death, and libc sees to it behind our back. */
static bool is_abort(int sig, const siginfo_t *si, const ucontext_t *context)
{
	uint64_t words[ABORT_WORDS];
	size_t n;

	if (sig != SIGABRT || si->si_code != SI_TKILL || !zone.abort_start)
		return false;
	n = copy_safely(context_sp(context), words, sizeof(words));
	for (size_t i = 0; i < n / sizeof(words[0]); i++) {
		uint64_t word = code_address(words[i]);

		if (word > zone.abort_start && word <= zone.abort_end)
			return true;
	}
	return false;
}

/* Instead of the handler of a program that aborts: when it returns, that is
 * the end. */
static void call_and_die(int sig, siginfo_t *si, void *context)
{
	struct virtual_action *row = &zone.actions[CLAIMED_ABRT];
	struct kernel_action action = read_action(row);

	if (action.flags & SA_RESETHAND)
		use_up(sig, row);
	chain_call(action.handler, sig, si, context);
	crash(sig, si, context);
}

/* Whether ADDRESS is on the stack that STACK describes. */
static bool is_on(const stack_t *stack, uint64_t address)
{
	return address - (uint64_t)(uintptr_t)stack->ss_sp < stack->ss_size;
}

/* The kernel had no room for the frame, without us: this is its verdict. */
static void die_without_room(int sig, siginfo_t *si, ucontext_t *context)
{
	siginfo_t forced;

	zone_fill(&forced, 0, sizeof(forced));
	forced.si_signo = SIGSEGV;
	forced.si_code = SI_KERNEL;
	remember_fault(sig, si, context, -1);
	crash(SIGSEGV, &forced, context);
}

/* Whether SP is on the stack that the thread was started with, which ends at
 * its control block or, of the main thread, at its arguments. */
static bool is_native(uint64_t sp)
{
	static const uint64_t largest = 1ull << 30;

	return zone.record.main_stack_end - sp < largest ||
	       thread_pointer() - sp < largest;
}

/* Run the program's HANDLER with FLAGS where it would run without us: on the
 * interrupted stack, unless it asked for an alternate one that it has set. Go,
 * under cgo, asks the kernel itself whether there is one, and takes ours for
 * the program's; its goroutines' stacks have no room for a handler. */
static void enter_handler(uintptr_t handler, uint64_t flags,
			  const struct thread_slot *slot, int sig,
			  siginfo_t *si, ucontext_t *context)
{
	const stack_t *stack = &context->uc_stack;
	bool ours, wanted = flags & SA_ONSTACK;
	ucontext_t *moved;
	int own;

	if (!is_on(stack, (uint64_t)(uintptr_t)context) ||
	    is_on(stack, context_sp(context))) {
		remember_fault(sig, si, context, -1);
		chain_call(handler, sig, si, context);
		return;
	}
	ours = is_own_stack(stack->ss_sp);
	own = ours ? slot_on_stack(stack->ss_sp) : -1;
	if (wanted && (!ours || !is_native(context_sp(context)))) {
		remember_fault(sig, si, context, own);
		chain_call(handler, sig, si, context);
		return;
	}
	moved = wanted && slot && slot->small ? NULL :
		move_frame(context, ours,
			   own < 0 ? NULL : &zone.slots[own]);
	if (!moved) {
		die_without_room(sig, si, context);
		return;
	}
	remember_fault(sig, frame_siginfo(moved), moved, own);
	enter_frame(sig, frame_siginfo(moved), moved, handler);
}

void crash_handler(int sig, siginfo_t *si, void *ucontext)
{
	ucontext_t *context = ucontext;
	int i = claimed_index(sig), n;
	struct thread_slot *slot = NULL;
	struct kernel_action action;
	bool fault = si->si_code > 0;

	allow_misalignment(context);
	if (i < 0 || crash_recursed(sig, si, ucontext))
		return;
	action = read_action(&zone.actions[i]);
	if (atomic_load(&zone.masked) && (n = slot_current()) >= 0)
		slot = &zone.slots[n];
	if (!fault && is_blocked(slot, sig, context)) {
		hold_back(slot, sig, si, context);
		return;
	}
	if (action.handler == (uintptr_t)SIG_IGN && !fault &&
	    !is_abort(sig, si, context))
		return;
	if (action.handler == (uintptr_t)SIG_DFL ||
	    action.handler == (uintptr_t)SIG_IGN ||
	    zone.record.settings.capture_first ||
	    is_blocked(slot, sig, context)) {
		crash(sig, si, context);
		return;
	}
	if (is_abort(sig, si, context))
		action.handler = (uintptr_t)call_and_die;
	else if (action.flags & SA_RESETHAND)
		use_up(sig, &zone.actions[i]);
	enter_handler(action.handler, action.flags, slot, sig, si, context);
}
