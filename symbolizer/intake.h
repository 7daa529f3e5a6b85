/* Taking a file of symbols into the store: one that is what it says, whole, and
 * no worse than what is there. Process: one that can be lost. */
#ifndef EPITAPH_SYMBOLIZER_INTAKE_H
#define EPITAPH_SYMBOLIZER_INTAKE_H

#include <stdbool.h>
#include <stdint.h>

#include "../lib/report/report.h"

struct intake_order {
	const char *store;
	const char *path;  /* an ELF file, or one of Breakpad's */
	bool moves;        /* PATH is ours to take away; else it is copied */
	bool serves;       /* others ask the store for debug files by name: a
	                    * binary that has all is one, too */
	const char *unpacked; /* where PATH goes if it is gzip'ed; the caller
	                       * removes it. NULL: such a file is refused */
	uint64_t max;      /* bytes, unpacked */
	const struct build_id *wanted; /* NULL: any */
};

struct intake {
	struct build_id id; /* of one of Breakpad's that does not say: the 16
	                     * bytes of its debug id */
	bool is_new;        /* false: as good a file was there, and stays */
};

/* Look at ORDER's file, and put it where finder.h looks for it, synced.
 * ERR_BAD_DATA, ERR_UNSUPPORTED, ERR_TOO_LARGE: the file's fault; the store is
 * as it was. */
bool intake(const struct intake_order *order, struct intake *out,
	    struct error *err);

#endif
