/* Cycles of calls that fill a stack: what a stack overflow looks like, so that
 * nobody has to read a thousand frames. */
#ifndef EPITAPH_REPORT_REPEAT_H
#define EPITAPH_REPORT_REPEAT_H

#include "report.h"

enum {
	REPEAT_MAX = 8,         /* of a thread */
	REPEAT_MAX_LENGTH = 64, /* functions that call each other in turn */
	REPEAT_MIN_TIMES = 16,  /* fewer is a tree that was walked down */
};

/* LENGTH frames, of which the first is number FIRST, TIMES times in a row, as
 * the stack was: those that were left out of its middle count. */
struct repeat {
	size_t first, length;
	uint64_t times;
};

/* The cycles of THREAD, from its innermost frame on. Returns how many. */
size_t repeat_find(const struct thread *thread,
		   struct repeat repeats[REPEAT_MAX]);

#endif
