/* One function at an address, whoever says so. */
#ifndef EPITAPH_SYMBOLIZER_LEVEL_H
#define EPITAPH_SYMBOLIZER_LEVEL_H

#include <stdbool.h>
#include <stdint.h>

/* Texts are those of who says it, and stay as long as that does. */
struct level {
	const char *function; /* NULL: not known */
	const char *file;     /* NULL: not known */
	uint32_t line;        /* 0: not known */
	bool is_linkage;      /* FUNCTION is mangled, or a symbol's name */
	bool approximate;     /* the line is the nearest before it that has a
	                       * number */
	bool icf;             /* other functions have the very same code */
	uint64_t scope;       /* one for each call that was inlined, and for
	                       * each function; 0: not known */
};

#endif
