/* Names for the places of one module. Process: the child that can be lost. */
#ifndef EPITAPH_SYMBOLIZER_LOOKUP_H
#define EPITAPH_SYMBOLIZER_LOOKUP_H

#include "../lib/report/bytes.h"
#include "finder.h"
#include "level.h"
#include "symbolize.h"

struct index;
struct lookup;

/* MODULE's index as it is in the store, or NULL. */
struct index *lookup_stored(const struct module *module);

/* Open MODULE's index, if it is in the store; else it is made, once something
 * is asked, from what FINDER finds, and put there. NULL without memory; a
 * module without any files gives a lookup that knows nothing. FINDER and MODULE
 * must outlive it. KEEPS: false to put nothing into the store. */
struct lookup *lookup_open(struct finder *finder, const struct module *module,
			   bool keeps);
void lookup_close(struct lookup *lookup);

enum symbols_status lookup_status(struct lookup *lookup);
/* Path of the file with the names, or NULL. */
const char *lookup_debug_path(struct lookup *lookup);
/* Why there are fewer names than there might be, or NULL. */
const char *lookup_why(const struct lookup *lookup);

/* The same for the file PATH itself and what belongs to it, whatever its
 * build-id; or for one of Breakpad's symbol files by itself, whose addresses
 * count from the module's base. NULL with ERR where it cannot be opened. */
struct lookup *lookup_open_file(struct finder *finder, const char *path,
				struct error *err);

enum { LOOKUP_MAX_EXPECTED = 64 };

/* LOOKUP will be asked for no more than N ADDRESSES, at most
 * LOOKUP_MAX_EXPECTED and of the module's own numbering, and not for tail
 * calls. Where there is no index, and nobody has asked that way before, they
 * are answered from what is about them: the index of all that there is takes
 * many times as long. */
void lookup_expect(struct lookup *lookup, const uint64_t *addresses, size_t n);

/* Make the index now, if it is not in the store, and put it there. False where
 * it was not kept: lookup_why() says why, or, with NULL, it has no lines. */
bool lookup_prepare(struct lookup *lookup);

/* The index, which is made if it is not in the store, and what its module is to
 * Breakpad; NULL where there is nothing to make one of. It is LOOKUP's. */
struct index *lookup_index(struct lookup *lookup, struct sym_id *id_out);

/* The functions at ADDRESS, of the module's own numbering, innermost first, at
 * most SYMBOLIZE_MAX_INLINES: their number. Texts live until the next call. */
size_t lookup_levels(struct lookup *lookup, uint64_t address,
		     struct level *levels);

/* The symbol at OFFSET from the module's base, demangled, into OUT (CAP bytes),
 * and how far from its start that is. */
bool lookup_symbol(struct lookup *lookup, uint64_t offset, char *out,
		   size_t cap, uint64_t *from_out);

/* tailcall_reenters() for the function at OFFSET. */
bool lookup_reenters(struct lookup *lookup, uint64_t offset);

/* Where the section NAME begins, in that numbering. Opens the files. */
bool lookup_section(struct lookup *lookup, const char *name,
		    uint64_t *address_out);

/* Append the functions at OFFSET from the module's base to OUT: a u32 count,
 * then per function, innermost first, what lookup_read_name() reads. */
void lookup_write(struct lookup *lookup, uint64_t offset, struct writer *out);

/* Append the functions that were gone through by tail calls between the call
 * that returns to RETURN_OFFSET and the frame at INNER_OFFSET: a u32 count,
 * then for each, innermost first, the u64 offset behind its jump, and what
 * lookup_write() writes. Their number. */
size_t lookup_write_tail_calls(struct lookup *lookup, uint64_t inner_offset,
			       uint64_t return_offset, struct writer *out);

/* One name, as lookup_write() wrote it; strings go into REPORT's arena. What
 * is cut short leaves R bad. */
void lookup_read_name(struct reader *r, struct report *report,
		      struct name *out);

/* Strings as they go over the pipe: NULL and "" stay apart. */
void lookup_write_text(struct writer *out, const char *text);
const char *lookup_read_text(struct reader *r, struct report *report);

#endif
