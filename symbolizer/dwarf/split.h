/* Split units: what a skeleton in the main file leaves to a .dwo file. Process:
 * one that can be lost. */
#ifndef EPITAPH_DWARF_SPLIT_H
#define EPITAPH_DWARF_SPLIT_H

#include "unit.h"

/* A .dwo file that is open. */
struct split {
	struct elf_file elf;
	struct dwarf_file *dwarf;
	struct unit *unit;
};

/* Open the unit that SKELETON of the file at PATH stands for: where the
 * compiler left it, or beside that file. False where SKELETON is none, or the
 * file is not there or of another build. SKELETON must outlive *OUT. */
bool split_open(const struct unit *skeleton, const char *path,
		struct split *out);
void split_close(struct split *split);

#endif
