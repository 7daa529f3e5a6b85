/* A table of texts, each of which is in it once, and none of which goes over a
 * chunk's border: whoever has checked the chunk has all of it. Used by
 * build.c. */
#ifndef EPITAPH_INDEX_STRINGS_H
#define EPITAPH_INDEX_STRINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../../lib/report/bytes.h"

struct strings {
	struct writer bytes;
	uint32_t *slots; /* of offset + 1, by hash; 0: free */
	size_t nslots, n;
};

void strings_init(struct strings *strings);
void strings_fini(struct strings *strings);

/* Where TEXT is; it is added if it is not there yet, cut where it is longer
 * than a chunk. 0 is "", and what comes back without memory. */
uint32_t strings_add(struct strings *strings, const char *text);

#endif
