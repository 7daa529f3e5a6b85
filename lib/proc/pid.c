/* Reading of small files in /proc/PID. Runs in the helper and the command line.
 * A process that names itself has a say in the text. */
#include "pid.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	STAT_LEN = 1024,
	FIELDS_TO_START = 20, /* from the state, field 3 of proc(5) */
	NS_PER_S = 1000000000,
};

bool pid_read(pid_t pid, const char *name, char *text_out, size_t size)
{
	char path[64];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	n = read(fd, text_out, size - 1);
	close(fd);
	if (n <= 0)
		return false;
	text_out[n] = '\0';
	return true;
}

bool pid_began(pid_t pid, int64_t *boot_ns_out)
{
	long ticks_per_s = sysconf(_SC_CLK_TCK);
	char text[STAT_LEN];
	const char *at;

	if (ticks_per_s <= 0 || !pid_read(pid, "stat", text, sizeof(text)))
		return false;
	at = strrchr(text, ')'); /* a name may hold anything */
	for (int i = 0; at && i < FIELDS_TO_START; i++)
		at = strchr(at + 1, ' ');
	if (!at)
		return false;
	*boot_ns_out = strtoll(at, NULL, 10) * (NS_PER_S / ticks_per_s);
	return true;
}
