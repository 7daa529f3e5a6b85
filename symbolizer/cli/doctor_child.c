/* The program that doctor crashes: this one, under the shim. (Apart from
 * doctor_probe.c because <signal.h> and report.h both have a REG_RIP.) */
#include "doctor.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static _Noreturn void be_the_child(const char *shim, const char *spool)
{
	static const char *const others[] = {
		"EPITAPH_URL", "EPITAPH_TOKEN", "EPITAPH_DISABLE",
		"EPITAPH_POLICY", "EPITAPH_STDERR",
	};
	struct rlimit no_core = { 0, 0 };
	int null = open("/dev/null", O_RDWR);

	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		unsetenv(others[i]);
	setenv("LD_PRELOAD", shim, 1);
	setenv("EPITAPH_SPOOL", spool, 1);
	setenv("EPITAPH_BUDGET", "0", 1); /* no counts of a spool of its own */
	setrlimit(RLIMIT_CORE, &no_core);
	dup2(null, STDOUT_FILENO);
	dup2(null, STDERR_FILENO);
	execl("/proc/self/exe", "epitaph", "doctor", "--crash", (char *)NULL);
	_exit(127);
}

int doctor_crash_child(const char *shim, const char *spool)
{
	int status;
	pid_t pid = fork();

	if (pid < 0)
		return 0;
	if (pid == 0)
		be_the_child(shim, spool);
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return 0;
	return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

_Noreturn void doctor_crash(void)
{
	*(volatile int *)NULL = 1;
	abort();
}
