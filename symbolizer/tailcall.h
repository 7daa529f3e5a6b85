/* Functions that are on the way from one frame to the next, but left no frame:
 * they ended in a jump to the next function. Said from the call sites in the
 * DWARF, by gdb's rule. Process: the child that can be lost. */
#ifndef EPITAPH_SYMBOLIZER_TAILCALL_H
#define EPITAPH_SYMBOLIZER_TAILCALL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dwarf.h"

enum {
	TAILCALL_MAX = 16, /* functions between two frames; gdb knows no
	                    * limit, but the DWARF here may be anybody's */
};

/* The address of the function that others call NAME, into *OUT; false where
 * none has the name, or several that differ. */
typedef bool tailcall_resolve(void *context, const char *name,
			      uint64_t *out);

/* One file, and how much may still be read of it for tail calls. */
struct tailcall {
	struct dwarf *dwarf;
	tailcall_resolve *resolve;
	void *context;
	size_t budget; /* DIEs */
};

void tailcall_init(struct tailcall *tailcall, struct dwarf *dwarf,
		   tailcall_resolve *resolve, void *context);

/* A call returns to RETURN_PC, and the frame that it led to is at INNER, in a
 * function that begins at INNER_START (SYMBOL_START where DWARF does not know
 * it). The functions between the two: the addresses behind the jumps that they
 * ended in, innermost first, in PCS. Returns their number: 0 where the one
 * called the other, where nothing is known, and where several ways would lead
 * there that have neither beginning nor end in common. */
size_t tailcall_between(struct tailcall *tailcall, uint64_t return_pc,
			uint64_t inner, uint64_t symbol_start,
			uint64_t pcs[TAILCALL_MAX]);

#endif
