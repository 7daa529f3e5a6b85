/* What `epitaph` does for ingest, as a disposable child of the check role:
 * takes symbols in, makes a core. */
#ifndef EPITAPH_COLLECTOR_TOOL_H
#define EPITAPH_COLLECTOR_TOOL_H

#include "child.h"
#include "config.h"
#include "wire.h"

enum {
	TOOL_OUTPUT = 4096,
	TOOL_DEADLINE_MS = 120000, /* to unpack, look at and sync gigabytes */
};

/* Start JOB. */
bool tool_start(struct child *child, const struct settings *settings,
		const struct tool_job *job, struct error *err);

/* What became of it, once CHILD has ended. Removes what it left half done. */
void tool_judge(const struct child *child, const struct tool_job *job,
		struct tool_done *out);

#endif
