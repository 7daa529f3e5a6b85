/* Ends by exit(): where a program gives up in its handler for a fault, by other
 * means than a signal, the fault is what the report is about. The status stays
 * the program's own. Each function is left by a jump, for which the headers'
 * names, which never return, will not do. */
#include "../preload.h"
#include "../signal/zone.h"
#include "interpose.h"

typedef void real_exit_fn(int);

EXPORT void end_program(int status) __asm__("exit");
EXPORT void end_quickly(int status) __asm__("quick_exit");
EXPORT void end_at_once(int status) __asm__("_exit");
EXPORT void end_as_in_c(int status) __asm__("_Exit");

REAL(real_exit, "exit");
REAL(real_quick_exit, "quick_exit");
REAL(real__exit, "_exit");
REAL(real__Exit, "_Exit");

static bool is_on(const stack_t *stack, uintptr_t address)
{
	return address - (uintptr_t)stack->ss_sp < stack->ss_size;
}

/* Whether the handler for FAULT has been left after all, although its frame is
 * whole: what the kernel blocked for it is blocked no more, or it was on
 * another stack. A report of a program that ends well would be worse than none
 * of one that does not. */
static bool is_left(const struct first_fault *fault)
{
	const ucontext_t *context = (const void *)(uintptr_t)fault->context;
	uint64_t mask = 0;

	if (is_on(&context->uc_stack, fault->context) &&
	    !is_on(&context->uc_stack, (uintptr_t)__builtin_frame_address(0)))
		return true;
	sys4(rt_sigprocmask, SIG_BLOCK, NULL, &mask, KERNEL_SIGSET);
	return fault->blocked && !fault->opened &&
	       !(mask & 1ull << (fault->signal - 1));
}

/* What was sent by others may be how they ask a program to end. */
void end_in_handler(void)
{
	struct first_fault *fault = zone.ready ? fault_handled() : NULL;
	siginfo_t *si;

	if (!fault || is_left(fault))
		return;
	si = (siginfo_t *)(void *)fault->siginfo;
	if (si->si_code <= 0 && si->si_pid != (int32_t)sys0(getpid))
		return;
	capture_and_go_on(fault->signal, si,
			  (ucontext_t *)(uintptr_t)fault->context);
}

static real_exit_fn *ending(const struct real *function)
{
	end_in_handler();
	return (real_exit_fn *)real_address(function);
}

EXPORT void end_program(int status)
{
	ending(&real_exit)(status);
}

EXPORT void end_quickly(int status)
{
	ending(&real_quick_exit)(status);
}

EXPORT void end_at_once(int status)
{
	ending(&real__exit)(status);
}

EXPORT void end_as_in_c(int status)
{
	ending(&real__Exit)(status);
}
