/* What the collector counts of itself. Each role counts in its own array and
 * sends it to the supervisor, which adds them up; an ingest worker prints the
 * sum for Prometheus. */
#ifndef EPITAPH_COLLECTOR_STATS_H
#define EPITAPH_COLLECTOR_STATS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../lib/report/bytes.h"

enum statistic {
	STAT_HITS,
	STAT_HITS_SAME_ID,
	STAT_REPORTS,
	STAT_REPORTS_SAME,
	STAT_WANTED,
	STAT_SYMBOLS,
	STAT_REQUESTS,
	STAT_REJECTED_MALFORMED,
	STAT_REJECTED_TOO_LARGE,
	STAT_REJECTED_UNSUPPORTED,
	STAT_REJECTED_UNAUTHORIZED,
	STAT_REJECTED_CONFLICT,
	STAT_REJECTED_GONE,
	STAT_REJECTED_BUSY,
	STAT_REJECTED_DEADLINE,
	STAT_CONNECTIONS,
	STAT_WAITING,
	STAT_BATCH,
	STAT_JOBS_PENDING,
	STAT_COMMITS,
	STAT_COMMITS_FAILED,
	STAT_COMMIT_US,
	STAT_COMMIT_MAX_US,
	STAT_JOBS_DONE,
	STAT_JOBS_FAILED,
	STAT_JOBS_DEADLINE,
	STAT_JOBS_OUTAGE,
	STAT_QUARANTINED,
	STAT_PARSERS_DIED,
	STAT_CANARY_OK,
	STAT_CANARY_FAILED,
	STAT_COUNT,
};

struct stats {
	uint64_t value[STAT_COUNT];
};

/* Add the counters of FROM to TO; with GAUGES, what goes up and down too. */
void stats_add(struct stats *to, const struct stats *from, bool gauges);

/* Append STATS as Prometheus text. */
void stats_print(const struct stats *stats, struct writer *out);

/* The counter of rejections for an answer with HTTP status STATUS, or
 * STAT_COUNT where the status is no rejection. */
enum statistic stats_rejection(unsigned status);

#endif
