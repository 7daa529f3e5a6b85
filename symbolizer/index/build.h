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
enum {
	BUILD_LINKAGE = 1, /* it is mangled, or as a symbol table has it */
	BUILD_FOLDED = 2,  /* others have the very same code */
};

uint32_t build_function(struct build *build, const char *name, unsigned flags);

/* FUNCTION by itself, beginning at ENTRY; and as it was inlined into the scope
 * PARENT at a line of a file. */
uint32_t build_scope(struct build *build, uint32_t function, uint64_t entry);
uint32_t build_inlined(struct build *build, uint32_t parent, uint32_t function,
		       uint32_t call_file, uint32_t call_line);

/* A function that is called NAME begins at ENTRY, like another that was told
 * of. */
void build_folded(struct build *build, uint64_t entry, const char *name,
		  unsigned flags);

/* A function that is called NAME, of SIZE bytes, has lost its place: a linker
 * has dropped it, or made it one with another. */
void build_dropped(struct build *build, const char *name, uint64_t size);

/* A function with code begins at ENTRY; TELLS_TAILS: nothing else leaves it by
 * a jump than the tail calls that are told. */
void build_entry(struct build *build, uint64_t entry, bool tells_tails);

struct build_call {
	uint64_t caller;      /* entry */
	uint64_t return_pc;   /* behind it; 0: not known */
	uint64_t callee;      /* entry; 0: not known, or by */
	uint32_t callee_name; /* build_text() of; 0: not known either */
	bool is_tail;
};

void build_call(struct build *build, const struct build_call *call);
uint32_t build_text(struct build *build, const char *text);

/* What is at LEN addresses from START on. Of what overlaps, what starts first
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

/* All of SYMTAB, which is finished. */
void build_symbols(struct build *build, const struct symtab *symtab);

/* A stub of SIZE bytes at START that jumps to the function NAME. */
void build_stub(struct build *build, uint64_t start, size_t size,
		const char *name);

/* A function that a symbol file of Breakpad's has no size of: it is somewhere
 * in [START, END). */
void build_public(struct build *build, uint64_t start, uint64_t end,
		  const char *name, bool folded);

/* Which module it is, and from which file most of this is. */
struct build_module {
	struct build_id build_id;
	uint64_t base; /* address of the file's offset 0 */
	const char *source;
	unsigned made_of; /* index.h's flags */
	const struct writer *frames; /* as index_frames() gives it, or NULL */
	const char *frames_why; /* some of it is missing, or NULL */
};

/* Write the index to OUT, which is empty. False without memory. */
bool build_write(struct build *build, const struct build_module *module,
		 struct writer *out);

#endif
