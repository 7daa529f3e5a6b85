/* The index of one module, from its files. Process: one that can be lost. */
#ifndef EPITAPH_INDEX_MAKE_H
#define EPITAPH_INDEX_MAKE_H

#include "../../lib/report/bytes.h"
#include "../finder.h"

/* Write the index of FILES, and ALT (dwz's common file, or one that is not
 * open), to OUT: it holds functions and lines as far as there is DWARF, and
 * symbols. *WHY_OUT is what went wrong, or NULL. False without memory. */
bool make_index(const struct module_files *files, const struct elf_file *alt,
		struct writer *out, const char **why_out);

#endif
