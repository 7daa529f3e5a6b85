/* The name of the process that sent the signal, where it still exists: a kill
 * command is gone by then, a supervisor is not. Its number may be another's by
 * now, or mean another process in the /proc that we see. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../lib/proc/pid.h"
#include "crash.h"

/* Whether /proc numbers processes as we do. */
static bool is_our_proc(void)
{
	char target[32] = "";
	ssize_t n = readlink("/proc/self", target, sizeof(target) - 1);

	return n > 0 && strtol(target, NULL, 10) == (long)getpid();
}

/* Whether process PID was there at the crash. */
static bool was_there(const struct crash *crash, pid_t pid)
{
	int64_t began_ns;

	return pid_began(pid, &began_ns) && began_ns <= crash->record->boot_ns;
}

void crash_sender(const struct crash *crash, struct report *report)
{
	pid_t pid = (pid_t)report->sender_pid;
	char name[32];

	/* A raw record is finished later, perhaps after a reboot. */
	if (!report->has_sender || pid == 0 || pid == (pid_t)report->pid ||
	    !crash->witness || !is_our_proc() || !was_there(crash, pid) ||
	    !pid_read(pid, "comm", name, sizeof(name)))
		return;
	report->sender_name = report_string(report, name,
					    strcspn(name, "\n"));
}
