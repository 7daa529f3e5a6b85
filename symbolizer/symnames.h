/* Functions, inlines, files and lines of an address by one of Breakpad's symbol
 * files. Process: the child that can be lost. */
#ifndef EPITAPH_SYMBOLIZER_SYMNAMES_H
#define EPITAPH_SYMBOLIZER_SYMNAMES_H

#include "level.h"
#include "symfile.h"

struct symnames;

/* Read FILE, which must outlive the result. NULL where it cannot be read. */
struct symnames *symnames_open(struct sym_file *file, struct error *err);
void symnames_close(struct symnames *names);

/* Its lines that were left out. */
struct sym_trouble symnames_trouble(const struct symnames *names);

/* The levels at OFFSET from the module's base, innermost first, at most MAX;
 * their number. 0 where no function with a size is. Names count as linkage
 * names, since some files have them mangled. Texts stay until the next call of
 * this. */
size_t symnames_levels(struct symnames *names, uint64_t offset,
		       struct level *levels, size_t max);

/* The name of the function without a size that is nearest before OFFSET, unless
 * one with a size lies between; or NULL. It stays until the next call of this.
 * *ICF_OUT: others have the same code. */
const char *symnames_public(struct symnames *names, uint64_t offset,
			    bool *icf_out);

#endif
