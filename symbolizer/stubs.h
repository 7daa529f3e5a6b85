/* Names for the stubs of a procedure linkage table, which have no symbols.
 * Process: the child that can be lost. */
#ifndef EPITAPH_SYMBOLIZER_STUBS_H
#define EPITAPH_SYMBOLIZER_STUBS_H

#include "elffile.h"

/* Write "NAME@plt" into TEXT where ADDRESS, in FILE's own numbering, lies in a
 * stub that jumps to the function NAME. False where it does not. */
bool stubs_name(const struct elf_file *file, uint64_t address, char *text,
		size_t size);

#endif
