/* Mangled names to readable ones: C++, Rust (legacy and v0) and D. */
#ifndef EPITAPH_SYMBOLIZER_DEMANGLE_H
#define EPITAPH_SYMBOLIZER_DEMANGLE_H

#include <stddef.h>

enum {
	DEMANGLE_MAX_INPUT = 8192, /* longer ones stay as they are */
};

/* Write NAME, demangled if it is mangled and as it is if not, into OUT (CAP
 * bytes, at least 8), NUL-terminated; what does not fit ends in "...". Bounded
 * in time and memory whatever NAME is. Not for more than one thread. */
void demangle(const char *name, char *out, size_t cap);

#endif
