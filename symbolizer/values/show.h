/* Characters and strings of the dead process, as gdb shows them: in quotes,
 * with C's escapes, runs counted. Process: one that can be lost. */
#ifndef EPITAPH_VALUES_SHOW_H
#define EPITAPH_VALUES_SHOW_H

#include "../../lib/report/bytes.h"

/* Text as it is, for all that values are written by. */
void show_put(struct writer *out, const char *text);
void show_print(struct writer *out, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* OUT's bytes become a string, which ends in "..." where there was no room for
 * all of it. False without memory. */
bool show_end(struct writer *out);

/* The character CODE of WIDTH bytes (1, 2 or 4), in quotes; WIDE is their
 * prefix (L, u or U), or 0. */
void show_character(struct writer *out, uint32_t code, unsigned width,
		    char wide);

/* COUNT characters at BYTES. IS_CUT: there are more. */
void show_string(struct writer *out, const uint8_t *bytes, size_t count,
		 unsigned width, char wide, bool is_cut);

#endif
