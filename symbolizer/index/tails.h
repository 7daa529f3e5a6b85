/* Of all calls of a module those that matter for tail calls: which lead to a
 * function that may leave by a jump, and where to. Used by build.c. */
#ifndef EPITAPH_INDEX_TAILS_H
#define EPITAPH_INDEX_TAILS_H

#include "build.h"
#include "pack.h"

struct tails_entry {
	uint64_t entry;
	bool tells_tails;
};

struct tails {
	struct tails_entry *entries;
	size_t nentries, entries_cap;
	struct build_call *calls;
	size_t ncalls, calls_cap;

	/* What is left of them. */
	struct pack_call *kept;
	size_t nkept;
	struct pack_tail *tails;
	size_t ntails, tails_cap;
	bool bad;
};

void tails_entry(struct tails *tails, uint64_t entry, bool tells_tails);
void tails_call(struct tails *tails, const struct build_call *call);

/* All has been told; SYMBOLS say where callees are that are known by name.
 * False without memory. */
bool tails_finish(struct tails *tails, const struct pack_symbol *symbols,
		  size_t nsymbols);
void tails_fini(struct tails *tails);

#endif
