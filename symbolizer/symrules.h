/* The rules of CFI as Breakpad's symbol files have them, STACK CFI: the way
 * back from symframes.h. Process: one that can be lost. */
#ifndef EPITAPH_SYMBOLIZER_SYMRULES_H
#define EPITAPH_SYMBOLIZER_SYMRULES_H

#include <stdint.h>
#include <stdio.h>

/* What could not be said: rows of rules without which nothing is said of their
 * code, and rules of single registers, which are then said to be lost. */
struct symrules_left {
	size_t rows, rules;
};

/* Write the rules in FRAMES, LEN bytes as index_frames() has them, to OUT. What
 * could not be said is added to *LEFT. */
void symrules_write(const void *frames, size_t len, FILE *out,
		    struct symrules_left *left);

#endif
