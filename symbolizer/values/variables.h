/* The arguments and variables of a frame, with their values as text. Process:
 * the child that can be lost. */
#ifndef EPITAPH_VALUES_VARIABLES_H
#define EPITAPH_VALUES_VARIABLES_H

#include "target.h"

enum {
	VARIABLES_MAX = 512, /* of one frame */
};

/* Append what is in scope at frame INDEX of TARGET, which has a function, to
 * OUT: a u32 number of functions, innermost first, and for each a u32 count and
 * its variables, arguments first, innermost block first. */
void variables_write(const struct target *target, size_t index,
		     struct writer *out);

#endif
