/* Start of the shim, and the real functions behind the wrappers. */
#ifndef EPITAPH_SHIM_PRELOAD_H
#define EPITAPH_SHIM_PRELOAD_H

#include <stdatomic.h>
#include <stdint.h>

#define EXPORT __attribute__((visibility("default")))

/* A function of the program's libc, looked up at its first use. What is known
 * of it is kept elsewhere, and the name is in place, because each page that is
 * written before main, or relocated, shows in a program's start. */
struct real {
	char name[32]; /* a power of two: no gaps between them */
};

#define REAL(variable, function)                                               \
	static const struct real variable                                      \
		__attribute__((section("reals"), used,                 \
			       aligned(32))) = { function }

/* Address of REAL; 0 where the program's libc has no such function. */
uintptr_t real_address(const struct real *real);

#endif
