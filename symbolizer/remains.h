/* What is left of a dead process: its memory as far as a report has it, and
 * behind that what the modules' files say, as far as their build-ids match; and
 * the rules to unwind it by, of those files, of the modules' indexes in the
 * store, or of Breakpad's symbol files. Process: the child that can be lost; it
 * lasts as long as that. */
#ifndef EPITAPH_SYMBOLIZER_REMAINS_H
#define EPITAPH_SYMBOLIZER_REMAINS_H

#include "../lib/unwind/unwind.h"
#include "finder.h"

struct remains;

/* REPORT and FINDER must outlive it. NULL without memory. */
struct remains *remains_open(const struct report *report,
			     struct finder *finder);

/* An unwind_read, of a struct remains; and the same of what the files alone
 * say, which is as it was when the modules were loaded. */
size_t remains_read(void *remains, uint64_t address, void *to, size_t len);
size_t remains_read_files(void *remains, uint64_t address, void *to,
			  size_t len);

/* An unwinder of it, for unwind_free(). NULL without memory. */
struct unwind *remains_unwind(struct remains *remains);

/* The files of module INDEX, and what of its rules is of no use, or "". */
struct module_files *remains_files(struct remains *remains, size_t index);
const char *remains_why(const struct remains *remains, size_t index);

#endif
