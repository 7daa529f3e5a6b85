/* The name of the process that sent the signal, where it still exists: a kill
 * command is gone by then, a supervisor is not. Its number may be another's by
 * now, or mean another process in the /proc that we see. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "crash.h"

enum {
	STAT_FIELDS_TO_START = 20, /* from the state, field 3 of proc(5) */
	MAX_STAT = 1024,
};

/* The first LEN - 1 bytes of /proc/PID/NAME, as text. */
static bool read_text(uint32_t pid, const char *name, char *text, size_t len)
{
	char path[64];
	ssize_t n = -1;
	int fd;

	snprintf(path, sizeof(path), "/proc/%u/%s", pid, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	n = read(fd, text, len - 1);
	close(fd);
	text[n > 0 ? n : 0] = '\0';
	return n > 0;
}

/* Whether /proc numbers processes as we do. */
static bool is_our_proc(void)
{
	char target[32] = "";
	ssize_t n = readlink("/proc/self", target, sizeof(target) - 1);

	return n > 0 && strtol(target, NULL, 10) == (long)getpid();
}

/* When PID began, in nanoseconds of CLOCK_BOOTTIME; INT64_MAX: not known. */
static int64_t start_of(uint32_t pid)
{
	char text[MAX_STAT];
	const char *at;
	long ticks = sysconf(_SC_CLK_TCK);

	if (!read_text(pid, "stat", text, sizeof(text)) || ticks <= 0)
		return INT64_MAX;
	at = strrchr(text, ')'); /* a name may hold anything */
	for (int i = 0; at && i < STAT_FIELDS_TO_START; i++)
		at = strchr(at + 1, ' ');
	return at ? strtoll(at, NULL, 10) * (1000000000ll / ticks) : INT64_MAX;
}

void crash_sender(const struct crash *crash, struct report *report)
{
	uint32_t pid = report->sender_pid;
	char name[32];

	/* A raw record is finished later, perhaps after a reboot. */
	if (!report->has_sender || pid == 0 || pid == report->pid ||
	    !crash->witness || !is_our_proc() ||
	    start_of(pid) > crash->record->boot_ns ||
	    !read_text(pid, "comm", name, sizeof(name)))
		return;
	report->sender_name = report_string(report, name,
					    strcspn(name, "\n"));
}
