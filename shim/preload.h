/* Start of the shim, and the real functions behind the wrappers. */
#ifndef EPITAPH_SHIM_PRELOAD_H
#define EPITAPH_SHIM_PRELOAD_H

#include <stdatomic.h>
#include <stdint.h>

#define EXPORT __attribute__((visibility("default")))

/* A function of the program's libc, looked up at its first use. The name is in
 * place: a pointer would have to be relocated, on a page of its own. */
struct real {
	char name[24];
	_Atomic uintptr_t address;
};

/* Address of REAL; 0 where the program's libc has no such function. */
uintptr_t real_address(struct real *real);

#endif
