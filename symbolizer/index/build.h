/* Making an index: what is told of addresses, functions and symbols, in any
 * order, becomes the bytes that index.h reads. Process: one that can be lost;
 * it is told what is in files. */
#ifndef EPITAPH_INDEX_BUILD_H
#define EPITAPH_INDEX_BUILD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../../lib/report/bytes.h"
#include "../../lib/report/report.h"
#include "../symtab.h"

struct build;

/* NULL without memory. */
struct build *build_new(void);
void build_free(struct build *build);

/* Numbers of what is said by others later; the same for the same. 0 stands for
 * none, and comes back where there is no memory: the build is then bad. */
uint32_t build_file(struct build *build, const char *path);
/* LINKAGE: NAME is mangled, or as a symbol table has it. */
uint32_t build_function(struct build *build, const char *name, bool linkage);

/* FUNCTION, as it was inlined into the scope PARENT at a line of a file, or
 * with PARENT 0 by itself. */
uint32_t build_scope(struct build *build, uint32_t parent, uint32_t function,
		     uint32_t call_file, uint32_t call_line);

/* What is at the addresses [START, END). Of what overlaps, what starts first
 * counts, and of that what was said first. */
struct build_row {
	uint64_t start;
	uint32_t len;
	uint32_t scope; /* 0: in no function */
	uint32_t file;  /* 0: not known */
	uint32_t line;  /* 0: not known; BUILD_APPROXIMATE: the nearest
	                 * before it that is */
};

#define BUILD_APPROXIMATE (UINT32_C(1) << 31)

void build_add(struct build *build, const struct build_row *row);

/* All of SYMTAB, which is finished; once. */
void build_symbols(struct build *build, const struct symtab *symtab);

/* Write the index of the module with BUILD_ID to OUT, whose offset 0 is the
 * file's. False without memory. */
bool build_write(struct build *build, const struct build_id *build_id,
		 struct writer *out);

#endif
