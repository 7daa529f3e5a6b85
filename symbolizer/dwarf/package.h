/* A package of split units (.dwp): what many .dwo files had, in one, with an
 * index by id; DWARF 5 section 7.3.5, and GNU's before that had its own.
 * Process: one that can be lost. */
#ifndef EPITAPH_DWARF_PACKAGE_H
#define EPITAPH_DWARF_PACKAGE_H

#include "unit.h"

struct package;

/* NULL where the file at PATH is none, or there is no memory. */
struct package *package_open(const char *path);
/* The same for FILE, which is the package's afterwards, or closed. */
struct package *package_of(struct elf_file *file);
void package_close(struct package *package);

/* What PACKAGE, which must outlive the result, has under ID; NULL where that is
 * nothing, or what the index says of it cannot be. */
struct dwarf_file *package_find(const struct package *package, uint64_t id);

#endif
