/* The units of a file in their order, each with its tree and its lines. Where
 * no function refers to another unit, a thread reads a few of them ahead.
 * Process: one that can be lost. */
#ifndef EPITAPH_DWARF_AHEAD_H
#define EPITAPH_DWARF_AHEAD_H

#include "lines.h"
#include "tree.h"
#include "unit.h"

/* One unit; whoever has it frees the lines and releases the unit. */
struct ahead_unit {
	struct unit *unit;
	struct lines lines; /* of a unit with code; else empty */
};

/* The only addresses that anybody will ask for. */
struct ahead_only {
	const uint64_t *addresses;
	size_t n;
};

enum { AHEAD_MAX_ONLY = 64 };

struct ahead;

/* FILE must outlive it; until ahead_close() it is asked for units by nobody
 * else. ONLY, at most AHEAD_MAX_ONLY, or NULL: units that do not say that they
 * have code there are passed over, and it ends once each was in one. NULL
 * without memory. */
struct ahead *ahead_open(struct dwarf_file *file,
			 const struct ahead_only *only);

/* The next unit that has code; false behind the last. */
bool ahead_next(struct ahead *ahead, struct ahead_unit *out);
void ahead_close(struct ahead *ahead);

#endif
