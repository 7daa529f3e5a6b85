/* Functions that were told of already. A linker keeps one of several instances
 * of an inline function or template, and has what describes the others point
 * there; compiled in different ways, they describe other code. Used by
 * from_dwarf.c. */
#ifndef EPITAPH_INDEX_KNOWN_H
#define EPITAPH_INDEX_KNOWN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct known_place {
	uint64_t low, high;
};

/* All zero: empty. */
struct known {
	struct known_place *slots; /* low 0: free */
	size_t nslots, n;
};

bool known_has(const struct known *known, uint64_t low, uint64_t high);

/* LOW is not 0. Without memory it is not remembered. */
void known_add(struct known *known, uint64_t low, uint64_t high);
void known_fini(struct known *known);

#endif
