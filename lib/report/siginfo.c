/* Words for signals and their codes. Runs in the helper and in whoever prints
 * a report. */
#include "siginfo.h"

#include <signal.h>

struct code_name {
	int code;
	const char *name;
};

/* By number, since older headers lack the newer names. */
static const struct code_name any_codes[] = {
	{ 0, "SI_USER" },       { -1, "SI_QUEUE" },   { -2, "SI_TIMER" },
	{ -3, "SI_MESGQ" },     { -4, "SI_ASYNCIO" }, { -5, "SI_SIGIO" },
	{ -6, "SI_TKILL" },     { -7, "SI_DETHREAD" },
	{ -60, "SI_ASYNCNL" },  { 0x80, "SI_KERNEL" }, { 0, NULL },
};
static const struct code_name ill_codes[] = {
	{ 1, "ILL_ILLOPC" }, { 2, "ILL_ILLOPN" }, { 3, "ILL_ILLADR" },
	{ 4, "ILL_ILLTRP" }, { 5, "ILL_PRVOPC" }, { 6, "ILL_PRVREG" },
	{ 7, "ILL_COPROC" }, { 8, "ILL_BADSTK" }, { 9, "ILL_BADIADDR" },
	{ 0, NULL },
};
static const struct code_name trap_codes[] = {
	{ 1, "TRAP_BRKPT" },  { 2, "TRAP_TRACE" }, { 3, "TRAP_BRANCH" },
	{ 4, "TRAP_HWBKPT" }, { 5, "TRAP_UNK" },   { 6, "TRAP_PERF" },
	{ 0, NULL },
};
static const struct code_name bus_codes[] = {
	{ 1, "BUS_ADRALN" },    { 2, "BUS_ADRERR" },    { 3, "BUS_OBJERR" },
	{ 4, "BUS_MCEERR_AR" }, { 5, "BUS_MCEERR_AO" }, { 0, NULL },
};
static const struct code_name fpe_codes[] = {
	{ 1, "FPE_INTDIV" },    { 2, "FPE_INTOVF" }, { 3, "FPE_FLTDIV" },
	{ 4, "FPE_FLTOVF" },    { 5, "FPE_FLTUND" }, { 6, "FPE_FLTRES" },
	{ 7, "FPE_FLTINV" },    { 8, "FPE_FLTSUB" }, { 14, "FPE_FLTUNK" },
	{ 15, "FPE_CONDTRAP" }, { 0, NULL },
};
static const struct code_name segv_codes[] = {
	{ 1, "SEGV_MAPERR" },  { 2, "SEGV_ACCERR" },  { 3, "SEGV_BNDERR" },
	{ 4, "SEGV_PKUERR" },  { 5, "SEGV_ACCADI" },  { 6, "SEGV_ADIDERR" },
	{ 7, "SEGV_ADIPERR" }, { 8, "SEGV_MTEAERR" }, { 9, "SEGV_MTESERR" },
	{ 10, "SEGV_CPERR" },  { 0, NULL },
};
static const struct code_name sys_codes[] = {
	{ 1, "SYS_SECCOMP" }, { 2, "SYS_USER_DISPATCH" }, { 0, NULL },
};

static const struct code_name *const codes_of[] = {
	[SIGILL] = ill_codes, [SIGTRAP] = trap_codes, [SIGBUS] = bus_codes,
	[SIGFPE] = fpe_codes, [SIGSEGV] = segv_codes, [SIGSYS] = sys_codes,
};

static const char *const names[] = {
	[SIGHUP] = "SIGHUP",       [SIGINT] = "SIGINT",
	[SIGQUIT] = "SIGQUIT",     [SIGILL] = "SIGILL",
	[SIGTRAP] = "SIGTRAP",     [SIGABRT] = "SIGABRT",
	[SIGBUS] = "SIGBUS",       [SIGFPE] = "SIGFPE",
	[SIGKILL] = "SIGKILL",     [SIGUSR1] = "SIGUSR1",
	[SIGSEGV] = "SIGSEGV",     [SIGUSR2] = "SIGUSR2",
	[SIGPIPE] = "SIGPIPE",     [SIGALRM] = "SIGALRM",
	[SIGTERM] = "SIGTERM",     [SIGSTKFLT] = "SIGSTKFLT",
	[SIGCHLD] = "SIGCHLD",     [SIGCONT] = "SIGCONT",
	[SIGSTOP] = "SIGSTOP",     [SIGTSTP] = "SIGTSTP",
	[SIGTTIN] = "SIGTTIN",     [SIGTTOU] = "SIGTTOU",
	[SIGURG] = "SIGURG",       [SIGXCPU] = "SIGXCPU",
	[SIGXFSZ] = "SIGXFSZ",     [SIGVTALRM] = "SIGVTALRM",
	[SIGPROF] = "SIGPROF",     [SIGWINCH] = "SIGWINCH",
	[SIGPOLL] = "SIGPOLL",     [SIGPWR] = "SIGPWR",
	[SIGSYS] = "SIGSYS",
};

const char *signal_name(int signal)
{
	if (signal < 0 || (size_t)signal >= sizeof(names) / sizeof(names[0]))
		return NULL;
	return names[signal];
}

static const char *find_code(const struct code_name *list, int code)
{
	for (; list->name != NULL; list++) {
		if (list->code == code)
			return list->name;
	}
	return NULL;
}

const char *signal_code_name(int signal, int code)
{
	const char *name = find_code(any_codes, code);
	size_t n = sizeof(codes_of) / sizeof(codes_of[0]);

	if (name != NULL || signal < 0 || (size_t)signal >= n ||
	    codes_of[signal] == NULL)
		return name;
	return find_code(codes_of[signal], code);
}

bool signal_is_fault(int code)
{
	return code > 0;
}
