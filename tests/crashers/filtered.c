/* Runs a program under a seccomp filter: `filtered ACTION CALLS PROGRAM ARG...`
 * where ACTION is eperm, enosys, kill, kill-thread or trap, and CALLS is a list
 * of system calls, `a,b,c`, to which it is done. Where PROGRAM is -, it is
 * under the filter itself, and writes to NULL; with ACTION strict, in strict
 * mode. */
#include <errno.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

static const struct {
	const char *name;
	uint32_t action;
} actions[] = {
	{ "eperm", SCMP_ACT_ERRNO(EPERM) },
	{ "enosys", SCMP_ACT_ERRNO(ENOSYS) },
	{ "kill", SCMP_ACT_KILL_PROCESS },
	{ "kill-thread", SCMP_ACT_KILL_THREAD },
	{ "trap", SCMP_ACT_TRAP },
};

static int fail(const char *what)
{
	fprintf(stderr, "filtered: %s\n", what);
	return 99;
}

static volatile uintptr_t low = 16;

__attribute__((noinline, noclone)) static int null_write(void)
{
	*(volatile int *)low = 1;
	return 98;
}

int main(int argc, char **argv)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
	uint32_t action = 0;
	char *calls = argc > 2 ? argv[2] : NULL;

	if (argc > 1 && strcmp(argv[1], "strict") == 0) {
		prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT);
		return null_write();
	}
	if (argc < 4 || !filter)
		return fail("usage: filtered ACTION CALLS PROGRAM ARG...");
	for (size_t i = 0; i < sizeof(actions) / sizeof(*actions); i++) {
		if (strcmp(argv[1], actions[i].name) == 0)
			action = actions[i].action;
	}
	for (char *call; (call = strsep(&calls, ","));) {
		int nr = seccomp_syscall_resolve_name(call);

		if (nr == __NR_SCMP_ERROR ||
		    seccomp_rule_add(filter, action, nr, 0) < 0)
			return fail(call);
	}
	if (seccomp_load(filter) < 0)
		return fail("seccomp_load");
	if (strcmp(argv[3], "-") == 0)
		return null_write();
	execv(argv[3], argv + 3);
	return fail(argv[3]);
}
