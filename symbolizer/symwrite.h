/* One of Breakpad's symbol files, of an index: what dump_syms makes of the same
 * module, for those who have readers of such files alone. Process: one that can
 * be lost. */
#ifndef EPITAPH_SYMBOLIZER_SYMWRITE_H
#define EPITAPH_SYMBOLIZER_SYMWRITE_H

#include <stdio.h>

#include "sym.h"
#include "symrules.h"

struct index;

/* Write all of INDEX, whose module is ID and has the file name NAME, to OUT;
 * whether that went well OUT says. What has no words in such a file is added to
 * *LEFT. False without memory. */
bool symwrite(struct index *index, const struct sym_id *id, const char *name,
	      FILE *out, struct symrules_left *left, struct error *err);

#endif
