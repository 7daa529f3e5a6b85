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
#include "../level.h"

struct index;

/* Map the file PATH. NULL where it is none, or of another version. */
struct index *index_open(const char *path, struct error *err);

/* The same for LEN BYTES, which stay where they are. */
struct index *index_memory(const void *bytes, size_t len, struct error *err);
void index_close(struct index *index);

const struct build_id *index_build_id(const struct index *index);

/* True where it says what is at addresses, and not only what symbols are
 * called. */
bool index_has_lines(const struct index *index);

/* What it was made of. An index without ELF has addresses that count from the
 * module's base. */
enum {
	INDEX_OF_DWARF = 1,
	INDEX_OF_SYM = 2, /* names of one of Breakpad's symbol files */
	INDEX_OF_ELF = 4, /* symbols, if nothing else */
	INDEX_OF_CODE = 8, /* and the CFI of a binary */
	INDEX_LACKS_GO = 16, /* what the table of Go's runtime says is not in
	                      * it */
};

unsigned index_made_of(const struct index *index);

/* The path of the file that this is from, or NULL. */
const char *index_source(struct index *index);

/* True where a chunk that was looked at had another checksum; what it had is
 * missing from the answers. */
bool index_is_damaged(const struct index *index);

/* The functions at ADDRESS (of the module's own numbering), innermost first, at
 * most MAX: their number. One without a name where only a line is known, 0
 * where nothing is. */
size_t index_levels(struct index *index, uint64_t address,
		    struct level *levels, size_t max);

/* Where the first row begins, at or behind ADDRESS; UINT64_MAX: nowhere. In all
 * of a row the levels are the same. */
uint64_t index_next_row(struct index *index, uint64_t address);

struct index_symbol {
	uint64_t start;
	uint64_t end; /* where it is not sized: at most */
	const char *name;
	const char *file; /* that a local one is of, or NULL */
	bool sized;       /* false: it may end before the address */
	bool is_public;   /* of a symbol file of Breakpad's; then not sized */
	bool icf;         /* others have the very same code */
};

/* The function at ADDRESS by symbols alone. One with a size that holds ADDRESS
 * beats one without, and of these that of a symbol file one of ELF; the
 * innermost beats the one around it; of several names the best known is
 * taken. */
bool index_symbol(struct index *index, uint64_t address,
		  struct index_symbol *out);

/* Where the first symbol begins, at or behind ADDRESS; UINT64_MAX: nowhere. */
uint64_t index_next_symbol(struct index *index, uint64_t address);

/* What DWARF leaves out of OUTERMOST, a function, by SYMBOL, which is at its
 * address: the linkage name of some (local classes, lambdas, assembler), the
 * functions of others, and the file of code that has no line. */
void index_complete(struct level *outermost, const struct index_symbol *symbol);

struct index_alias {
	const char *name;
	bool is_linkage; /* it is mangled, or a symbol's name */
};

enum { INDEX_MAX_ALIASES = 16 }; /* of one function */

/* The other names that the function at ADDRESS has, since a linker has made
 * several one: their number. */
size_t index_aliases(struct index *index, uint64_t address,
		     struct index_alias aliases[INDEX_MAX_ALIASES]);

/* Where the function at ADDRESS begins, not what was inlined there. */
bool index_entry(struct index *index, uint64_t address, uint64_t *out);

/* Where the function begins that the call before RETURN_PC calls, if that may
 * leave by a tail call; else false. */
bool index_call(struct index *index, uint64_t return_pc, uint64_t *callee_out);

struct index_tail {
	uint64_t return_pc; /* behind the jump; 0: not known */
	uint64_t callee;    /* entry; 0: not known */
	bool is_end;        /* nothing is known of what the callee does */
};

/* The tail calls of the function that begins at ENTRY, at most MAX; their
 * number. Where the index is damaged, one of which nothing is known. */
size_t index_tails(struct index *index, uint64_t entry,
		   struct index_tail *tails, size_t max);

/* CFI in the form of .debug_frame, with addresses that count from the module's
 * base, as an unwind_frames gives it: *LEN_OUT bytes of the index, or NULL.
 * index_frames_why() says what of it is missing, or NULL. */
const void *index_frames(struct index *index, size_t *len_out);
const char *index_frames_why(struct index *index);

/* The address that the file's offset 0 has. */
uint64_t index_base(const struct index *index);

#endif
