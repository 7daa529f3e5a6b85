/* Becoming `epitaph`, in a disposable child of the check or symbolize role. */
#include "program.h"

#include <errno.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

enum { CPU_S = 120, FILES = 256 };

/* Debug information is mapped, and some of it is a gigabyte. */
#define MEMORY ((uint64_t)8 << 30)

void program_store(const struct settings *settings, char *to, size_t cap)
{
	if (settings->symbols[0] != '\0')
		snprintf(to, cap, "%s", settings->symbols);
	else
		snprintf(to, cap, "%s/symbols", settings->data);
}

void program_exec(const struct settings *settings, char *const argv[],
		  uint64_t file_max)
{
	char store[CONFIG_PATH + 16], symbols[CONFIG_PATH + 48];
	char *env[] = { "PATH=/usr/bin:/bin", "LANG=C.UTF-8", "HOME=/",
			symbols, NULL };

	program_store(settings, store, sizeof(store));
	snprintf(symbols, sizeof(symbols), "EPITAPH_SYMBOLS=%s", store);
	child_limit(RLIMIT_CPU, CPU_S);
	child_limit(RLIMIT_AS, MEMORY);
	child_limit(RLIMIT_FSIZE, file_max);
	child_limit(RLIMIT_NOFILE, FILES);
	child_limit(RLIMIT_CORE, 0);
	/* Threads that wait for a report go first. */
	if (nice(10) < 0)
		errno = 0;
	execve(settings->epitaph, argv, env);
	_exit(126);
}
