/* Functions that are on the way from one frame to the next, but left no frame:
 * they ended in a jump to the next function. Said from the call sites that an
 * index has, by gdb's rule. Process: any. */
#ifndef EPITAPH_SYMBOLIZER_TAILCALL_H
#define EPITAPH_SYMBOLIZER_TAILCALL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "index/index.h"

enum {
	TAILCALL_MAX = 16, /* functions between two frames; gdb knows no
	                    * limit, but the index here may be anybody's */
};

/* A call returns to RETURN_PC, and the frame that it led to is at INNER. The
 * functions between the two: the addresses behind the jumps that they ended in,
 * innermost first, in PCS. Returns their number: 0 where the one called the
 * other, where nothing is known, and where several ways would lead there that
 * have neither beginning nor end in common. */
size_t tailcall_between(struct index *index, uint64_t return_pc,
			uint64_t inner, uint64_t pcs[TAILCALL_MAX]);

/* May the function that INNER is in be left by a tail call, and then be entered
 * by another? True where a call goes to an unknown place. What leaves the
 * module is not expected back. */
bool tailcall_reenters(struct index *index, uint64_t inner);

#endif
