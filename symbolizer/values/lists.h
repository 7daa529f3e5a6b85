/* Locations that change from one instruction to the next: DWARF 5 section
 * 2.6.2, and the two forms before that. Process: one that can be lost. */
#ifndef EPITAPH_VALUES_LISTS_H
#define EPITAPH_VALUES_LISTS_H

#include "node.h"

/* The expression of NODE's ATTR that holds at PC, of the module's own
 * numbering: the only one there is, or the one of its list. False where none
 * does. */
bool list_find(const struct node *node, enum node_attr attr, uint64_t pc,
	       struct reader *expr_out);

#endif
