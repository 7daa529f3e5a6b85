/* Function names made comparable: what two builds of the same source, or two
 * compilers, print differently is taken out. Pure; the names come from
 * anybody's binaries. Used by the semantic fingerprint. */
#ifndef EPITAPH_REPORT_FUNCNAME_H
#define EPITAPH_REPORT_FUNCNAME_H

#include <stddef.h>

enum {
	FUNCNAME_MAX_INPUT = 16384, /* longer names are cut before cleaning */
	FUNCNAME_MAX = 1024,        /* room for a clean one */
};

/* Clean the demangled NAME into OUT, NUL-terminated, and return its length:
 * without parameters, return type, qualifiers and ABI tags; template arguments
 * as <T>; lambdas and closures without number; without clone suffixes, symbol
 * versions, Rust hashes, thunk prefixes and the prefixes and variants of libc
 * (__GI_, __memcpy_avx_unaligned). What tells perf its names is named as in its
 * language: of V8's "LazyCompile:*f x.js:1:2" and Python's "py::f:x.py" that is
 * f. Never empty where NAME is not: what has nothing left is kept as it was. */
size_t funcname_clean(const char *name, char out[FUNCNAME_MAX]);

#endif
