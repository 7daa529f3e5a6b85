/* An index: functions, inlined calls, files, lines and symbols of one module by
 * address, mapped and not unpacked. Every chunk is checked by its checksum when
 * it is first looked at, and no byte of it is trusted even then. Any
 * process. */
#ifndef EPITAPH_INDEX_INDEX_H
#define EPITAPH_INDEX_INDEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../../lib/report/error.h"
#include "../../lib/report/report.h"

struct index;

/* Map the file PATH. NULL where it is none, or of another version. */
struct index *index_open(const char *path, struct error *err);

/* The same for LEN BYTES, which stay where they are. */
struct index *index_memory(const void *bytes, size_t len, struct error *err);
void index_close(struct index *index);

const struct build_id *index_build_id(const struct index *index);

/* True where a chunk that was looked at had another checksum; what it had is
 * missing from the answers. */
bool index_is_damaged(const struct index *index);

/* One function at an address. Texts are the index's. */
struct index_level {
	const char *function; /* NULL: not known */
	const char *file;     /* NULL: not known */
	uint32_t line;        /* 0: not known */
	bool is_linkage;      /* FUNCTION is mangled, or a symbol's name */
	bool approximate;     /* the line is the nearest before it that has a
	                       * number */
};

/* The functions at ADDRESS (of the module's own numbering), innermost first, at
 * most MAX: their number. One without a name where only a line is known, 0
 * where nothing is. */
size_t index_levels(struct index *index, uint64_t address,
		    struct index_level *levels, size_t max);

struct index_symbol {
	uint64_t start;
	const char *name;
	const char *file; /* that a local one is of, or NULL */
	bool sized;       /* false: it may end before the address */
};

/* The function at ADDRESS by symbols alone. One with a size that holds ADDRESS
 * beats one without; the innermost beats the one around it; of several names
 * the best known is taken. */
bool index_symbol(struct index *index, uint64_t address,
		  struct index_symbol *out);

#endif
