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

/* What was sent by others may be how they ask a program to end. */
void end_in_handler(void)
{
	struct first_fault *fault = zone.ready ? fault_handled() : NULL;
	siginfo_t *si;

	if (!fault)
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
