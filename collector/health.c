/* How the collector is, told by an ingest worker from what the supervisor last
 * said. /live asks nobody: it answers if this worker's loop turns. */
#include "ingest.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "../lib/report/clock.h"
#include "text.h"

void health_live(struct request *request)
{
	static const char body[] = "{\"live\":true}\n";

	request_answer(request, 200, "application/json", body,
		       sizeof(body) - 1);
}

/* Readiness is that a test report went all the way, lately: nothing that
 * merely says it is well counts. */
void health_ready(struct request *request)
{
	const struct role *role = request->in->role;
	int64_t canary_ms = role->board.canary_ms;
	int64_t age_ms = clock_monotonic_ms() - canary_ms;
	bool draining = role->draining || role->board.draining;
	char body[128];

	if (canary_ms != 0 && age_ms < CANARY_FRESH_MS && !draining) {
		snprintf(body, sizeof(body), "{\"ready\":true,"
			 "\"canary_age_ms\":%" PRId64 "}\n", age_ms);
		request_answer(request, 200, "application/json", body,
			       strlen(body));
		return;
	}
	if (draining)
		snprintf(body, sizeof(body), "draining");
	else if (canary_ms == 0)
		snprintf(body, sizeof(body), "no test report has come back "
			 "yet");
	else
		snprintf(body, sizeof(body), "the last test report came back "
			 "%" PRId64 " ms ago", age_ms);
	request_error(request, 503, "not ready", body);
}

void health_metrics(struct request *request)
{
	const struct board *board = &request->in->role->board;
	int64_t age_ms = clock_monotonic_ms() - board->canary_ms;
	struct writer out;

	writer_init(&out, 65536);
	stats_print(&board->total, &out);
	text_put(&out, "# HELP epitaph_restarts_total Roles that had to be "
		 "started again.\n# TYPE epitaph_restarts_total counter\n");
	for (int i = 0; i < ROLE_KINDS; i++)
		text_format(&out, "epitaph_restarts_total{role=\"%s\"} "
			    "%" PRIu64 "\n", role_name((enum role_kind)i),
			    board->restarts[i]);
	text_put(&out, "# HELP epitaph_canary_age_seconds Since the last test "
		 "report came back.\n"
		 "# TYPE epitaph_canary_age_seconds gauge\n");
	if (board->canary_ms != 0)
		text_format(&out, "epitaph_canary_age_seconds %" PRId64
			    ".%03" PRId64 "\n", age_ms / 1000, age_ms % 1000);
	request_answer(request, 200, "text/plain; version=0.0.4", out.bytes,
		       out.len);
	writer_fini(&out);
}
