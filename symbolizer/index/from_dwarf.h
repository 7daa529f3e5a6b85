/* What a file's DWARF says of its code, told to a build. Process: one that can
 * be lost. */
#ifndef EPITAPH_INDEX_FROM_DWARF_H
#define EPITAPH_INDEX_FROM_DWARF_H

#include "../dwarf/ahead.h"
#include "../dwarf/split.h"
#include "../dwarf/unit.h"
#include "build.h"

enum { FROM_DWARF_WHY = 256 };

/* Tell BUILD of all functions, inlined calls and lines of FILE, whose split
 * units are at PLACES; or of the units alone that are about the addresses of
 * ONLY. WHY_OUT says what is missing, and is left alone where nothing is. */
void from_dwarf(struct dwarf_file *file, struct split_places *places,
		struct ahead_only *only, struct build *build,
		char why_out[FROM_DWARF_WHY]);

#endif
