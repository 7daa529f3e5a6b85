/* Names of code that the dead program had compiled itself, from the map that it
 * wrote for perf. We have its root, its mount namespace and its user, so its
 * paths are ours. Not where a raw record is finished later: by then the file
 * may be another's. */
#include <unistd.h>

#include "../../lib/report/clock.h"
#include "crash.h"

enum {
	READ_MS = 300, /* 10 MB take 4, all that is read at most 120 */
	SHARE = 4,     /* of the time that one who waits for us has, at most */
	NS_PER_S = 1000000000,
};

/* When the program began, in seconds since the epoch; 0: not known. */
static int64_t began_s(const struct crash_record *record)
{
	uint64_t uptime_ns;

	if (!record->started_ns)
		return 0;
	uptime_ns = (uint64_t)record->boot_ns - (uint64_t)record->started_ns;
	return (int64_t)((uint64_t)record->time_ns - uptime_ns) / NS_PER_S;
}

void crash_open_jit(struct crash *crash, const struct report *report)
{
	const struct perfmap_owner owner = {
		.root = "",
		.pid = (uint32_t)crash->record->pid,
		.uid = geteuid(),
		.began_s = began_s(crash->record),
	};

	if (!crash->raw &&
	    perfmap_want(report, &crash->maps, &crash->perfmap))
		perfmap_open(&crash->perfmap, &owner);
}

void crash_read_jit(struct crash *crash, struct report *report)
{
	int64_t ms = READ_MS, most = crash->record->settings.deadline_ms;

	if (crash->record->late && ms > most / SHARE)
		ms = most / SHARE;
	perfmap_read(&crash->perfmap, clock_monotonic_ms() + ms, report);
	perfmap_close(&crash->perfmap);
}
