/* What a symbol file of Breakpad's says of its code, told to a build. Process:
 * one that can be lost. */
#ifndef EPITAPH_INDEX_FROM_SYM_H
#define EPITAPH_INDEX_FROM_SYM_H

#include "../sym.h"
#include "build.h"

/* Tell BUILD of all functions, inlined calls, lines and publics of SYM, whose
 * names have been read; BASE is the address of the module's base. Names count
 * as linkage names, since some files have them mangled. */
void from_sym(const struct sym *sym, uint64_t base, struct build *build);

#endif
