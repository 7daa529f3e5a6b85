/* Functions, inlines, files and lines of an address, from one file's DWARF.
 * Process: the child that can be lost. */
#ifndef EPITAPH_SYMBOLIZER_DWARF_H
#define EPITAPH_SYMBOLIZER_DWARF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <elfutils/libdw.h>

#include "elffile.h"

struct dwarf;

/* One function at an address. Strings are the file's and stay as long as it
 * does. */
struct dwarf_level {
	const char *linkage; /* mangled; NULL: it has none */
	const char *name;    /* as in the source, with namespaces; or NULL */
	const char *dir;     /* that a relative file is relative to; or NULL */
	const char *file;    /* or NULL */
	uint32_t line;       /* 0: not known */
	bool approximate;    /* the line is the nearest before it that has a
	                      * number */
};

/* FILE must outlive the result, and ALT (dwz's common file, or NULL) too. NULL
 * where there is no DWARF that can be read. */
struct dwarf *dwarf_open(const struct elf_file *file,
			 const struct elf_file *alt);
void dwarf_close(struct dwarf *dwarf);

/* The levels at ADDRESS (of the file's own numbering), innermost first, at
 * most MAX; their number. Where a line is known but no function, one level
 * without names. */
size_t dwarf_levels(struct dwarf *dwarf, uint64_t address,
		    struct dwarf_level *levels, size_t max);

/* The DIE of the function at ADDRESS, not of what was inlined there. */
bool dwarf_function(struct dwarf *dwarf, uint64_t address, Dwarf_Die *out);

#endif
