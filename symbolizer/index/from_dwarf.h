/* What a file's DWARF says of its code, told to a build. Process: one that can
 * be lost. */
#ifndef EPITAPH_INDEX_FROM_DWARF_H
#define EPITAPH_INDEX_FROM_DWARF_H

#include "../dwarf/unit.h"
#include "build.h"

/* Tell BUILD of all functions, inlined calls and lines of FILE, which is at
 * PATH: that is where split units are looked for, too. */
void from_dwarf(struct dwarf_file *file, const char *path,
		struct build *build);

#endif
