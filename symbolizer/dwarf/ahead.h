/* The units of a file in their order, each with its tree and its lines. Where
 * no function refers to another unit, a thread reads a few of them ahead.
 * Process: one that can be lost. */
#ifndef EPITAPH_DWARF_AHEAD_H
#define EPITAPH_DWARF_AHEAD_H

#include "lines.h"
#include "tree.h"
#include "unit.h"

/* One unit; whoever has it gives it back by ahead_done(). */
struct ahead_unit {
	struct unit *unit;
	struct lines lines; /* of a unit with code; else empty */
};

enum { AHEAD_MAX_ONLY = 64 };

/* The only addresses that anybody will ask for. */
struct ahead_only {
	uint64_t addresses[AHEAD_MAX_ONLY];
	bool was_found[AHEAD_MAX_ONLY]; /* in a unit */
	size_t n;
};

bool ahead_found_all(const struct ahead_only *only);

struct ahead;

/* FILE must outlive it; until ahead_close() it is asked for units by nobody
 * else. With ONLY, or NULL, units that say that they have no code there are
 * passed over, and it ends once each was in one. NULL without memory. */
struct ahead *ahead_open(struct dwarf_file *file, struct ahead_only *only);

/* The next unit that has code; false behind the last. The one before is to be
 * given back first, and then its DIEs are gone. */
bool ahead_next(struct ahead *ahead, struct ahead_unit *out);
void ahead_done(struct ahead_unit *unit);

void ahead_close(struct ahead *ahead);

#endif
