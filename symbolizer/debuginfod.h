/* Debug information from debuginfod servers: only from those that the user or
 * the operator names to us, never from DEBUGINFOD_URLS, since asking tells a
 * stranger what runs here. Process: the caller, which reads nothing of what
 * comes: one child receives it and another looks at it (intake.h). */
#ifndef EPITAPH_SYMBOLIZER_DEBUGINFOD_H
#define EPITAPH_SYMBOLIZER_DEBUGINFOD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../lib/report/report.h"

enum {
	DEBUGINFOD_MAX_SERVERS = 8,
	DEBUGINFOD_WITHIN_MS = 10000, /* for one report */
};

/* A file, and what of such files is kept, used least recently first to go. */
#define DEBUGINFOD_MAX_FILE ((uint64_t)2 << 30)
#define DEBUGINFOD_MAX_BYTES ((uint64_t)4 << 30)

/* Called now and then while BYTES of OBJECT have come. */
typedef void debuginfod_progress(void *context, const char *object,
				 uint64_t bytes);

struct debuginfod_options {
	const char *const *urls; /* asked in order */
	size_t nurls;            /* 0: nobody is asked */
	int64_t within_ms;       /* all that one report may wait for them */
	uint64_t max_file;
	debuginfod_progress *progress; /* or NULL */
	void *context;
};

/* What one report asks for. */
struct debuginfod;

/* Begin, with LEFT_MS or what OPTIONS allow, if that is less. OPTIONS (or NULL)
 * must outlive it. NULL where nobody is to be asked, or there is no store to
 * keep anything in. */
struct debuginfod *debuginfod_begin(const struct debuginfod_options *options,
				    int64_t left_ms);
void debuginfod_end(struct debuginfod *servers);

/* Get the debug file of the module ID, called OBJECT, into the store. True
 * where it is there now: whole, and with that build-id. */
bool debuginfod_get(struct debuginfod *servers, const struct build_id *id,
		    const char *object);

/* What went wrong last, or NULL. That a server has no such file is nothing. */
const char *debuginfod_trouble(const struct debuginfod *servers);

/* Where downloads are in the store DIR. False where that would be too long. */
bool debuginfod_dir(const char *dir, char *out, size_t cap);

#endif
