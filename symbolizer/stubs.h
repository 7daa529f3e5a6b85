/* Names for the stubs of a procedure linkage table, which have no symbols.
 * Process: the child that can be lost. */
#ifndef EPITAPH_SYMBOLIZER_STUBS_H
#define EPITAPH_SYMBOLIZER_STUBS_H

#include "elffile.h"

/* A stub of SIZE bytes at ADDRESS, in the file's own numbering, that jumps to
 * the function NAME. */
typedef void stubs_each(void *context, uint64_t address, size_t size,
			const char *name);

/* Call EACH for the stubs of FILE that say where they jump to. */
void stubs_tell(const struct elf_file *file, stubs_each *each, void *context);

#endif
