/* From tables to the bytes of an index. Used by build.c. */
#ifndef EPITAPH_INDEX_PACK_H
#define EPITAPH_INDEX_PACK_H

#include "build.h"
#include "strings.h"

struct pack_function {
	uint32_t name; /* in strings */
	uint32_t file, line; /* that its rows are measured from */
	uint32_t uses;
	uint32_t number; /* that it gets */
	bool linkage;
};

struct pack_scope {
	uint32_t parent, function, call_file, call_line;
};

struct pack_symbol {
	uint64_t start;
	uint32_t size, reach; /* from START; at most */
	uint32_t name, file_and_flags; /* as in the file */
};

/* Element 0 of scopes, functions and files is none. */
struct pack {
	const struct build_row *rows; /* by start, without overlaps */
	size_t nrows;
	const struct pack_scope *scopes;
	size_t nscopes;
	struct pack_function *functions;
	size_t nfunctions;
	const uint32_t *files;
	size_t nfiles;
	struct strings *strings;
	const struct pack_symbol *symbols; /* by start */
	size_t nsymbols;
	const struct build_id *build_id;
};

/* False without memory. */
bool pack_write(struct pack *pack, struct writer *out);

#endif
