/* What is asked of a DIE: the attributes that functions, and calls of them, are
 * known by. Process: one that can be lost. */
#ifndef EPITAPH_DWARF_DIE_H
#define EPITAPH_DWARF_DIE_H

#include "attr.h"

enum { DIE_SLOTS = 15 };

struct die {
	union {
		struct attr slots[DIE_SLOTS];
		struct {
			struct attr name, linkage, low, high, ranges, origin,
				specification, declaration, call_file,
				call_line;
			/* GNU's, before DWARF 5, have the same places. */
			struct attr all_calls, return_pc, callee, target,
				tail_call;
		};
	};
};

_Static_assert(sizeof(struct die) == DIE_SLOTS * sizeof(struct attr),
	       "each attribute has a slot");

/* Which slot DW_AT_ NAME has; -1: nobody asks for it. */
int die_slot(uint16_t name);

#endif
