/* The line table of one unit: DWARF 2 to 5, section 6.2. Process: one that can
 * be lost. */
#ifndef EPITAPH_DWARF_LINES_H
#define EPITAPH_DWARF_LINES_H

#include "unit.h"

/* From its address to the next row's. */
struct line_row {
	uint64_t address;
	uint32_t file; /* LINES_END: nothing is here any more */
	uint32_t line; /* at most INT32_MAX; 0: code of no line */
};

#define LINES_END UINT32_MAX

struct line_file {
	const char *name; /* or NULL */
	uint64_t dir;
};

struct lines {
	const struct unit *unit;
	struct line_row *rows; /* by address; the last of those at one */
	size_t nrows, rows_cap; /* counts */
	struct line_file *files;
	size_t nfiles, files_cap;
	const char **dirs;
	size_t ndirs, dirs_cap;
};

enum { LINES_MAX_PATH = 4096 };

/* Read UNIT's, as far as it makes sense. A split unit has none: its skeleton's
 * are its own. UNIT must outlive it. */
void lines_read(const struct unit *unit, struct lines *out);
void lines_fini(struct lines *lines);

/* The path of file INDEX, as rows and call sites count them: absolute, or as it
 * is where the compiler was given no directory, and then without "." and "..".
 * False where there is none. */
bool lines_path(const struct lines *lines, uint64_t index, char *out,
		size_t cap);

#endif
