/* Jobs of `epitaph` for ingest. Runs in the check role, which looks into no
 * file; what a child says is a line of bounded JSON. */
#include "tool.h"

#include <inttypes.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "program.h"
#include "text.h"

#define MAX_CORE ((uint64_t)1 << 30) /* as `epitaph core` makes at most */
#define SLACK ((uint64_t)1 << 20)

struct order {
	const struct settings *settings;
	const struct tool_job *job;
};

_Noreturn static void take_symbols(const struct order *order)
{
	const struct settings *settings = order->settings;
	char max[24];
	char *argv[] = { "epitaph", "symbols", "take", "--max", max,
			 (char *)(uintptr_t)order->job->file, NULL };

	snprintf(max, sizeof(max), "%" PRIu64, settings->max_symbols);
	program_exec(settings, argv, settings->max_symbols + SLACK);
}

_Noreturn static void make_core(const struct order *order)
{
	char *argv[] = { "epitaph", "core", "-o",
			 (char *)(uintptr_t)order->job->to,
			 (char *)(uintptr_t)order->job->file, NULL };

	program_exec(order->settings, argv, MAX_CORE + SLACK);
}

static void be_the_child(void *context)
{
	const struct order *order = context;

	if (order->job->tool == TOOL_TAKE_SYMBOLS)
		take_symbols(order);
	make_core(order);
}

bool tool_start(struct child *child, const struct settings *settings,
		const struct tool_job *job, struct error *err)
{
	struct order order = { settings, job };

	return child_start(child, be_the_child, &order, TOOL_OUTPUT,
			   TOOL_DEADLINE_MS, err);
}

static void refuse(struct tool_done *out, unsigned status, const char *why)
{
	out->status = status;
	text_copy(out->why, sizeof(out->why), why);
}

/* One that the file has killed, or that could not start. */
static void judge_death(const struct child *child, struct tool_done *out)
{
	int status = child->status;
	char why[128];

	if (child->late || (WIFSIGNALED(status) &&
			    WTERMSIG(status) == SIGXCPU)) {
		refuse(out, 400, "the file takes too long to read");
	} else if (WIFSIGNALED(status)) {
		snprintf(why, sizeof(why), "the file ends its reader: "
			 "signal %d", WTERMSIG(status));
		refuse(out, 400, why);
	} else if (WEXITSTATUS(status) == 126 || WEXITSTATUS(status) == 127) {
		refuse(out, 503, "the program `epitaph` did not start");
	} else {
		refuse(out, 503, child->complaint_len > 0
				 ? child->complaint : "it could not be done");
	}
}

/* {"build_id", "new"} or {"status", "detail"}. */
static void judge_words(const struct child *child, struct tool_done *out)
{
	json_t *json = json_loadb((const char *)child->output.bytes,
				  child->output.len, 0, NULL);
	json_int_t status = json_integer_value(json_object_get(json,
							       "status"));
	const char *detail = json_string_value(json_object_get(json,
							       "detail"));
	const char *id = json_string_value(json_object_get(json, "build_id"));

	if (id != NULL && strlen(id) < sizeof(out->build_id)) {
		out->is_new = json_is_true(json_object_get(json, "new"));
		out->status = out->is_new ? 201 : 200;
		text_copy(out->build_id, sizeof(out->build_id), id);
	} else if (detail != NULL && (status == 400 || status == 413 ||
				      status == 415 || status == 503)) {
		refuse(out, (unsigned)status, detail);
	} else {
		refuse(out, 503, "`epitaph` made no sense");
	}
	json_decref(json);
}

void tool_judge(const struct child *child, const struct tool_job *job,
		struct tool_done *out)
{
	bool well = WIFEXITED(child->status) &&
		    WEXITSTATUS(child->status) == 0 && !child->flooded &&
		    !child->late;
	char unpacked[WIRE_FILE + 8];

	memset(out, 0, sizeof(*out));
	text_copy(out->to, sizeof(out->to), job->to);
	if (!well)
		judge_death(child, out);
	else if (job->tool == TOOL_TAKE_SYMBOLS)
		judge_words(child, out);
	else
		out->status = 200;
	if (well)
		return;
	snprintf(unpacked, sizeof(unpacked), "%s.plain", job->file);
	unlink(job->tool == TOOL_TAKE_SYMBOLS ? unpacked : job->to);
}
