/* The program's own functions behind our wrappers. The shim links nothing, so
 * it asks the dynamic linker's list of loaded objects itself; that works the
 * same way under glibc and musl, takes no lock and allocates nothing. */
#ifndef EPITAPH_SHIM_RESOLVE_H
#define EPITAPH_SHIM_RESOLVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Find the list of loaded objects from the program headers at PHDR (AT_PHDR,
 * COUNT of them). Until this has been called nothing is found. */
void resolve_init(uintptr_t phdr, uintptr_t count);

/* How many objects are loaded: while the program starts, when nobody loads or
 * unloads any. */
size_t resolve_count(void);

/* Address of the default version of function NAME in the first object loaded
 * after ours that defines it; 0 if there is none. */
uintptr_t resolve_next(const char *name);

/* The same, and the function's length. */
uintptr_t resolve_sized(const char *name, size_t *len_out);

/* Whether no object loaded later than the one with NAME at ADDRESS has a
 * function of that name as well. */
bool resolve_is_last(const char *name, uintptr_t address);

/* Path of our own shared object, as the linker knows it; NULL if unknown. */
const char *resolve_own_path(void);

#endif
