/* Split units: what a skeleton in the main file leaves to a .dwo file, or to a
 * package of many. Process: one that can be lost. */
#ifndef EPITAPH_DWARF_SPLIT_H
#define EPITAPH_DWARF_SPLIT_H

#include "unit.h"

struct package;

enum { SPLIT_MAX_PACKAGES = 64 };

/* Where those of one file are looked for, and what came of it. */
struct split_places {
	const char *path;      /* of that file, with the skeletons */
	char *const *packages; /* paths, in order of preference */
	size_t npackages;      /* at most SPLIT_MAX_PACKAGES */
	struct package *open[SPLIT_MAX_PACKAGES]; /* or NULL */
	bool is_open;
	size_t nlost;          /* units that were not found */
	const char *lost;      /* what the first of them is called, or NULL */
};

void split_places_close(struct split_places *places);

/* A split unit that is open. */
struct split {
	struct elf_file elf; /* a .dwo file, or none */
	struct dwarf_file *dwarf;
	struct unit *unit;
};

/* Open the unit that SKELETON stands for: of a package, or of a file where the
 * compiler left it, or beside the main one. False where SKELETON is none, or
 * its unit is nowhere; then PLACES count it. SKELETON must outlive *OUT, and so
 * must PLACES. */
bool split_open(struct split_places *places, const struct unit *skeleton,
		struct split *out);
void split_close(struct split *split);

#endif
