/* The ranges of addresses that a DIE has. Process: one that can be lost. */
#ifndef EPITAPH_DWARF_RANGES_H
#define EPITAPH_DWARF_RANGES_H

#include "unit.h"

/* Called for each range; false ends it. */
typedef bool ranges_each(void *context, uint64_t low, uint64_t high);

/* The ranges of DIE, those left out that a linker has dropped. */
void ranges_of(const struct unit *unit, const struct die *die,
	       ranges_each *each, void *context);

/* Where DIE's code begins: of several ranges the first one's. False where it
 * has none. */
bool ranges_entry(const struct unit *unit, const struct die *die,
		  uint64_t *out);

/* True where nothing is at LOW and HIGH: linkers leave what they dropped at 0,
 * at 1 in lists that 0 would end, or at the top of the address space. */
bool ranges_is_dropped(uint64_t low, uint64_t high);

#endif
