/* Lines of source around those that frames are at. Process: the command line,
 * of whoever may read the files: no report makes a collector open one. */
#ifndef EPITAPH_SYMBOLIZER_SOURCE_H
#define EPITAPH_SYMBOLIZER_SOURCE_H

#include <stdbool.h>
#include <stddef.h>

#include <jansson.h>

enum { SOURCE_MAX_PATHS = 64, SOURCE_MAX_AROUND = 1000 };

struct source_options {
	const char *paths[SOURCE_MAX_PATHS]; /* where files are that are not
	                                      * where they were: DIR, or
	                                      * FROM=TO */
	size_t npaths;
	unsigned around;  /* lines before, and behind */
	bool all_frames;  /* else the crashing thread's first that is the
	                   * program's own */
	bool all_threads;
	bool public_only; /* files that everybody may read, or the user's */
};

/* Put "source" into frames of DOCUMENT, contract.md's JSON of a report: the
 * number of the first line, the lines, which file they are of, and whether that
 * is newer than the program. Where the file is not there, or not text, a frame
 * has none. */
void source_add(json_t *document, const struct source_options *options);

#endif
