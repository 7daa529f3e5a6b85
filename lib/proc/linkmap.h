/* The modules of a process of which there is no /proc/PID/maps: what the
 * dynamic linker and the program headers say, in memory. */
#ifndef EPITAPH_PROC_LINKMAP_H
#define EPITAPH_PROC_LINKMAP_H

#include "../report/bytes.h"
#include "maps.h"

/* Append to TEXT_OUT lines as of /proc/PID/maps for the segments of the
 * program, of what is in its dynamic linker's list, and of the vdso; AUXV is
 * the process's auxiliary vector, N words. Modules, paths and permissions are
 * those of the program headers, inodes are made up. Nothing else is in it: no
 * heap, no stack. False where not even the program's headers can be read. */
bool linkmap_text(const uint64_t *auxv, size_t n, maps_read *read,
		  void *context, struct writer *text_out);

#endif
