/* What is read of Breakpad's symbol files, in the order in which it is looked
 * up. For sym.c. */
#ifndef EPITAPH_SYMBOLIZER_SYMORDER_H
#define EPITAPH_SYMBOLIZER_SYMORDER_H

#include "sym.h"

/* Sort all of SYM but its rules, as sym.h says, and leave out what stands
 * twice: of two entries with one number, two publics at one address, or two
 * functions that overlap the first counts, and so does no function without a
 * size. False without memory; then some of it is in no order. */
bool symorder_sort(struct sym *sym);

#endif
