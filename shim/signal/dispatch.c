/* The handler of every claimed signal, in the thread that received it. App
 * first: where the program has a handler of its own, that one runs, in place
 * of ours and with nothing of ours on the stack; only a signal whose action the
 * program left at default is a crash. */
#include "zone.h"

static const int claimed_signals[CLAIMED_COUNT] = {
	[CLAIMED_SEGV] = SIGSEGV, [CLAIMED_BUS] = SIGBUS,
	[CLAIMED_ILL] = SIGILL,   [CLAIMED_FPE] = SIGFPE,
	[CLAIMED_ABRT] = SIGABRT, [CLAIMED_TRAP] = SIGTRAP,
	[CLAIMED_SYS] = SIGSYS,
};

/* Not known to all libc headers: the kernel's own. */
#define KERNEL_SA_RESTORER 0x04000000ul

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

uint64_t claimed_mask(void)
{
	uint64_t mask = 0;

	for (int i = 0; i < CLAIMED_COUNT; i++)
		mask |= 1ull << (claimed_signals[i] - 1);
	return mask;
}

/* With a handler of the program's the kernel does the work: its mask, restart,
 * nesting and stack are then what it asked for. Of its mask the claimed signals
 * are left out, or a fault in its handler would kill without a word. One-shot
 * handlers are the table's business, or the second fault would not be seen. */
long install_action(int sig, const struct kernel_action *action)
{
	static const uint64_t kept =
		SA_NODEFER | SA_RESTART | SA_ONSTACK | SA_NOCLDSTOP;
	uint64_t own = 1ull << (sig - 1);
	struct kernel_action real = {
		.handler = (uintptr_t)crash_handler,
		.flags = SA_SIGINFO | SA_ONSTACK | KERNEL_SA_RESTORER,
		.restorer = (uintptr_t)zone_restorer,
		.mask = ~0ull,
	};

	if (action->handler == (uintptr_t)SIG_IGN)
		real = *action;
	else if (action->handler != (uintptr_t)SIG_DFL) {
		real.flags = SA_SIGINFO | KERNEL_SA_RESTORER |
			     (action->flags & kept);
		real.mask = action->mask & ~(claimed_mask() & ~own);
	}
	return sys4(rt_sigaction, sig, &real, NULL, KERNEL_SIGSET);
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

void crash_handler(int sig, siginfo_t *si, void *ucontext)
{
	int i = claimed_index(sig);
	struct kernel_action action;

	if (i < 0)
		return;
	action = read_action(&zone.actions[i]);
	if (action.handler == (uintptr_t)SIG_IGN)
		return;
	if (action.handler == (uintptr_t)SIG_DFL ||
	    zone.record.settings.capture_first) {
		crash(sig, si, ucontext);
		return;
	}
	remember_fault(sig, si, ucontext);
	if (action.flags & SA_RESETHAND)
		use_up(sig, &zone.actions[i]);
	chain_call(action.handler, sig, si, ucontext);
}
