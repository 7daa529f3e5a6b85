/* Functions, files and lines of an address by the table that Go's runtime keeps
 * for itself (.gopclntab), which no stripping takes away. Process: the child
 * that can be lost. */
#ifndef EPITAPH_SYMBOLIZER_GOPCLNTAB_H
#define EPITAPH_SYMBOLIZER_GOPCLNTAB_H

#include <stddef.h>
#include <stdint.h>

#include "elffile.h"
#include "level.h"

struct gopclntab;

/* FILE must outlive the result. NULL where it has no such table, or none that
 * can be read. Looks at all of a file that has one. */
struct gopclntab *gopclntab_open(const struct elf_file *file);
void gopclntab_close(struct gopclntab *table);

/* The levels at ADDRESS (of the file's own numbering), innermost first, at
 * most MAX; their number. 0 where no Go function is. */
size_t gopclntab_levels(const struct gopclntab *table, uint64_t address,
			struct level *levels, size_t max);

#endif
