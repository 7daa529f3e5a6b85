/* The bytes of an index: docs/index-format.md says what they mean. Numbers are
 * little-endian, offsets are of the file. Inside symbolizer/index only. */
#ifndef EPITAPH_INDEX_FORMAT_H
#define EPITAPH_INDEX_FORMAT_H

#include <stdint.h>

#define INDEX_MAGIC UINT64_C(0x0a58444e49504524) /* "$EPINDX\n" */

enum {
	INDEX_VERSION = 5,
	INDEX_HEAD = 512,       /* bytes before the first section */
	INDEX_CHUNK = 16384,    /* bytes under one checksum */
	INDEX_ROWS = 32,        /* in a block; the last may have fewer */
	INDEX_SCOPES = 8,       /* the same */
	INDEX_FUNCTION_SIZE = 12,
	INDEX_SYMBOL_SIZE = 24,
	INDEX_STARTS_SIZE = 12, /* of a block of rows: address, offset */
	INDEX_CALL_SIZE = 16,
	INDEX_TAIL_SIZE = 24,
	INDEX_ALIAS_SIZE = 16,

	/* What a reader believes, so that no look-up is longer: */
	INDEX_MAX_ROW = 64,    /* bytes of a row, and of a scope: each is a
	                        * few numbers of at most ten */
	INDEX_MAX_LEVELS = 256, /* from a scope to its function */
};

/* Sections, in the order of the head's table and of the file. */
enum index_section {
	INDEX_STARTS,    /* per block of rows: u64 address, u32 offset */
	INDEX_ROW_DATA,
	INDEX_SCOPE_AT,  /* per block of scopes: u32 offset */
	INDEX_SCOPE_DATA,
	INDEX_FUNCTIONS, /* u32 name, u32 file and flags, u32 line */
	INDEX_FILES,     /* u32 path */
	INDEX_SYMBOLS,   /* u64 start, u32 size, reach, name, file and rank */
	INDEX_CALLS,     /* of functions that end in tail calls: u64 behind the
	                  * call, callee */
	INDEX_TAILS,     /* tail calls: u64 caller, behind the jump, callee */
	INDEX_ALIASES,   /* other names of functions: u64 entry, u32 name,
	                  * u32 flags, as a function's */
	INDEX_FRAMES,    /* CFI as in .debug_frame, by the distance from the
	                  * module's base */
	INDEX_STRINGS,   /* each with a NUL, and in one chunk: the section
	                  * begins with one; offset 0 is the empty one */
	INDEX_SECTIONS,
};

/* Set in a tail call's callee where nothing says what calls that ends in. No
 * address of code has it. */
#define TAIL_ENDS UINT64_C(0x8000000000000000)

/* A row's control byte. */
enum {
	ROW_SCOPE = 3,       /* these two bits: */
	ROW_SCOPE_SAME = 0,
	ROW_SCOPE_NEXT = 1,  /* one more than the row before has */
	ROW_SCOPE_DELTA = 2, /* sleb: the difference */
	ROW_HOLE = 3,        /* nothing is here; the row has no more */
	ROW_FILE = 4,        /* uleb: file; else it is the function's */
	ROW_APPROXIMATE = 8,
	ROW_LINE_SHIFT = 4,  /* four bits, of the line's difference to the row
	                      * before, or, where the scope is another, to the
	                      * function's: */
	ROW_LINE_BIAS = 4,   /* value - 4, */
	ROW_LINE_LONG = 15,  /* or sleb */
};

/* Flags above the file in a function. */
#define FUNCTION_FILE UINT32_C(0x00ffffff)
#define FUNCTION_LINKAGE UINT32_C(0x01000000)
#define FUNCTION_FOLDED UINT32_C(0x02000000)

/* Above the file in a symbol: its rank, and whether it has a size, or is one of
 * a symbol file of Breakpad's. */
#define SYMBOL_FILE UINT32_C(0x00ffffff)
#define SYMBOL_FOLDED UINT32_C(0x20000000)
#define SYMBOL_PUBLIC UINT32_C(0x40000000)
#define SYMBOL_SIZED UINT32_C(0x80000000)
enum { SYMBOL_RANK_SHIFT = 24, SYMBOL_RANK_MASK = 0x1f };

#endif
