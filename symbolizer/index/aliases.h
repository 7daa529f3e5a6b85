/* Functions that a linker has made one, since their code is the same
 * (--icf): by which names the one is known besides its own. An alias that its
 * compiler made (of a constructor, a weak or versioned symbol) is not such a
 * one: DWARF describes each function once, so there have to be two that are
 * described with code of their own. Used by build.c. */
#ifndef EPITAPH_INDEX_ALIASES_H
#define EPITAPH_INDEX_ALIASES_H

#include "build.h"
#include "pack.h"

struct dropped_function {
	uint64_t hash; /* of its name */
	uint64_t size; /* of its code */
};

struct aliases {
	struct dropped_function *dropped;
	size_t ndropped, dropped_cap;
	struct pack_alias *kept; /* in the end by entry, INDEX_MAX_ALIASES of
	                          * each at most */
	size_t nkept, kept_cap;
	bool bad;
};

/* As build_folded() and build_dropped() have it; NAME is in strings. */
void aliases_folded(struct aliases *aliases, uint64_t entry, uint32_t name,
		    bool is_linkage);
void aliases_dropped(struct aliases *aliases, const char *name, uint64_t size);

/* All has been told, and PACK has scopes, functions, strings and symbols. False
 * without memory. */
bool aliases_finish(struct aliases *aliases, const struct pack *pack);
void aliases_fini(struct aliases *aliases);

#endif
