/* Start of the shim, and the real functions behind the wrappers. */
#ifndef EPITAPH_SHIM_PRELOAD_H
#define EPITAPH_SHIM_PRELOAD_H

#include <stdatomic.h>
#include <stdint.h>

#define EXPORT __attribute__((visibility("default")))

/* A function of the program's libc, looked up at its first use. */
struct real {
	const char *name;
	_Atomic uintptr_t address;
};

/* Address of REAL; 0 where the program's libc has no such function. */
uintptr_t real_address(struct real *real);

#endif
