/* One of Breakpad's symbol files, plain or gzip'ed, opened and known for what
 * it is of. Process: the child that can be lost. */
#ifndef EPITAPH_SYMBOLIZER_SYMFILE_H
#define EPITAPH_SYMBOLIZER_SYMFILE_H

#include "sym.h"

struct sym_file {
	char *path;        /* malloc'd; NULL: nothing is open */
	const void *bytes; /* mapped */
	size_t len;
	char *unpacked;    /* malloc'd; NULL: as it is, or not yet */
	size_t unpacked_len;
	struct sym_id id;
};

/* Open PATH, a regular file, and read who it is. *OUT is for
 * sym_file_close(). */
bool sym_file_open(const char *path, struct sym_file *out, struct error *err);

/* FILE is as { 0 } afterwards; it may be that before, too. */
void sym_file_close(struct sym_file *file);

/* Read PART of FILE's text, which is unpacked first where that is to be done,
 * as sym_parse(). FILE must outlive *OUT. */
bool sym_file_parse(struct sym_file *file, enum sym_part part,
		    struct sym *out, struct error *err);

#endif
