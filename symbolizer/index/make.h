/* The index of one module, from its files. Process: one that can be lost. */
#ifndef EPITAPH_INDEX_MAKE_H
#define EPITAPH_INDEX_MAKE_H

#include "../../lib/report/bytes.h"
#include "../dwarf/ahead.h"
#include "../finder.h"

enum { MAKE_WHY = SYM_TROUBLE };

/* Write the index of FILES, and ALT (dwz's common file, or one that is not
 * open), to OUT: it holds functions and lines as far as DWARF has them, or a
 * symbol file of Breakpad's where there is none, and symbols. It is of no
 * build-id where no file says one. With ONLY, or NULL, it is good for no other
 * addresses, and has no rules. WHY_OUT is what went wrong, or "". False where
 * there is nothing to make one of, or no memory. */
bool make_index(struct module_files *files, const struct elf_file *alt,
		struct ahead_only *only, struct writer *out,
		char why_out[MAKE_WHY]);

#endif
