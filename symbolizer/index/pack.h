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
	unsigned flags;  /* as it was told */
};

struct pack_scope {
	uint32_t parent, function;
	union {
		uint64_t entry; /* where PARENT is 0 */
		struct {
			uint32_t file, line;
		} call;
	};
};

struct pack_call {
	uint64_t return_pc, callee;
};

struct pack_tail {
	uint64_t caller, return_pc, callee;
};

/* Another name of the function that begins at ENTRY. */
struct pack_alias {
	uint64_t entry;
	uint32_t name; /* in strings */
	bool is_linkage;
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
	const struct pack_call *calls; /* by return_pc */
	size_t ncalls;
	const struct pack_tail *tails; /* by caller, return_pc */
	size_t ntails;
	const struct pack_alias *aliases; /* by entry */
	size_t naliases;
	const struct build_id *build_id;
	uint32_t source; /* in strings */
	uint32_t made_of;
	const struct writer *frames;
	uint32_t frames_why; /* in strings */
	uint64_t base; /* address of the file's offset 0 */
};

/* False without memory. */
bool pack_write(struct pack *pack, struct writer *out);

#endif
