/* Names and kinds of the counters. Any role. */
#include "stats.h"

#include <inttypes.h>

#include "text.h"

enum kind { COUNTER, GAUGE, MICROSECONDS, MICROSECONDS_GAUGE };

static const struct {
	const char *family;
	const char *labels; /* or "" */
	const char *help;   /* NULL: of the family before */
	enum kind kind;
} table[STAT_COUNT] = {
	[STAT_HITS] = { "epitaph_hits_total", "",
		"Crashes counted.", COUNTER },
	[STAT_HITS_SAME_ID] = { "epitaph_hits_same_id_total", "",
		"Hits whose id was known, so not counted again.", COUNTER },
	[STAT_REPORTS] = { "epitaph_reports_total", "",
		"Report bodies taken.", COUNTER },
	[STAT_REPORTS_SAME] = { "epitaph_reports_same_total", "",
		"Report bodies that were there already.", COUNTER },
	[STAT_WANTED] = { "epitaph_bodies_wanted_total", "",
		"Hits answered with the wish for the body.", COUNTER },
	[STAT_SYMBOLS] = { "epitaph_symbols_total", "",
		"Files of symbols taken.", COUNTER },
	[STAT_REQUESTS] = { "epitaph_requests_total", "",
		"HTTP requests answered.", COUNTER },
	[STAT_REJECTED_MALFORMED] = { "epitaph_rejected_total",
		"reason=\"malformed\"",
		"Requests refused, by reason.", COUNTER },
	[STAT_REJECTED_TOO_LARGE] = { "epitaph_rejected_total",
		"reason=\"too_large\"", NULL, COUNTER },
	[STAT_REJECTED_UNSUPPORTED] = { "epitaph_rejected_total",
		"reason=\"unsupported\"", NULL, COUNTER },
	[STAT_REJECTED_UNAUTHORIZED] = { "epitaph_rejected_total",
		"reason=\"unauthorized\"", NULL, COUNTER },
	[STAT_REJECTED_CONFLICT] = { "epitaph_rejected_total",
		"reason=\"conflict\"", NULL, COUNTER },
	[STAT_REJECTED_GONE] = { "epitaph_rejected_total",
		"reason=\"gone\"", NULL, COUNTER },
	[STAT_REJECTED_BUSY] = { "epitaph_rejected_total",
		"reason=\"unavailable\"", NULL, COUNTER },
	[STAT_REJECTED_DEADLINE] = { "epitaph_rejected_total",
		"reason=\"deadline\"", NULL, COUNTER },
	[STAT_CONNECTIONS] = { "epitaph_connections", "",
		"Open connections.", GAUGE },
	[STAT_WAITING] = { "epitaph_queue_depth", "queue=\"requests\"",
		"What waits, by queue.", GAUGE },
	[STAT_BATCH] = { "epitaph_queue_depth", "queue=\"store\"", NULL,
		GAUGE },
	[STAT_JOBS_PENDING] = { "epitaph_queue_depth", "queue=\"symbolize\"",
		NULL, GAUGE },
	[STAT_COMMITS] = { "epitaph_commits_total", "",
		"Transactions committed.", COUNTER },
	[STAT_COMMITS_FAILED] = { "epitaph_commits_failed_total", "",
		"Transactions rolled back.", COUNTER },
	[STAT_COMMIT_US] = { "epitaph_commit_seconds_total", "",
		"Time spent committing.", MICROSECONDS },
	[STAT_COMMIT_MAX_US] = { "epitaph_commit_max_seconds", "",
		"Longest commit of the last minute.", MICROSECONDS_GAUGE },
	[STAT_JOBS_DONE] = { "epitaph_symbolize_total", "outcome=\"done\"",
		"Symbolizing jobs, by outcome.", COUNTER },
	[STAT_JOBS_FAILED] = { "epitaph_symbolize_total",
		"outcome=\"failed\"", NULL, COUNTER },
	[STAT_JOBS_DEADLINE] = { "epitaph_symbolize_total",
		"outcome=\"deadline\"", NULL, COUNTER },
	[STAT_JOBS_OUTAGE] = { "epitaph_symbolize_total",
		"outcome=\"outage\"", NULL, COUNTER },
	[STAT_QUARANTINED] = { "epitaph_quarantined_total", "",
		"Reports given up after three attempts.", COUNTER },
	[STAT_PARSERS_DIED] = { "epitaph_parsers_died_total", "",
		"Children that a report's body killed.", COUNTER },
	[STAT_CANARY_OK] = { "epitaph_canary_total", "outcome=\"ok\"",
		"Test reports sent and read back.", COUNTER },
	[STAT_CANARY_FAILED] = { "epitaph_canary_total",
		"outcome=\"failed\"", NULL, COUNTER },
};

static bool is_gauge(size_t i)
{
	return table[i].kind == GAUGE || table[i].kind == MICROSECONDS_GAUGE;
}

void stats_add(struct stats *to, const struct stats *from, bool gauges)
{
	for (size_t i = 0; i < STAT_COUNT; i++) {
		if (gauges || !is_gauge(i))
			to->value[i] += from->value[i];
	}
}

static void print_one(size_t i, uint64_t value, struct writer *out)
{
	const char *labels = table[i].labels;
	bool labelled = labels[0] != '\0';

	if (table[i].help != NULL)
		text_format(out, "# HELP %s %s\n# TYPE %s %s\n",
			    table[i].family, table[i].help, table[i].family,
			    is_gauge(i) ? "gauge" : "counter");
	text_format(out, "%s%s%s%s ", table[i].family, labelled ? "{" : "",
		    labels, labelled ? "}" : "");
	if (table[i].kind >= MICROSECONDS)
		text_format(out, "%" PRIu64 ".%06" PRIu64 "\n",
			    value / 1000000, value % 1000000);
	else
		text_format(out, "%" PRIu64 "\n", value);
}

void stats_print(const struct stats *stats, struct writer *out)
{
	for (size_t i = 0; i < STAT_COUNT; i++)
		print_one(i, stats->value[i], out);
}

enum statistic stats_rejection(unsigned status)
{
	switch (status) {
	case 400:
		return STAT_REJECTED_MALFORMED;
	case 401:
	case 403:
		return STAT_REJECTED_UNAUTHORIZED;
	case 409:
		return STAT_REJECTED_CONFLICT;
	case 410:
		return STAT_REJECTED_GONE;
	case 413:
		return STAT_REJECTED_TOO_LARGE;
	case 415:
		return STAT_REJECTED_UNSUPPORTED;
	case 408:
	case 504:
		return STAT_REJECTED_DEADLINE;
	case 429:
	case 503:
		return STAT_REJECTED_BUSY;
	default:
		return STAT_COUNT;
	}
}
