/* An ELF core made of a report, for debuggers that know no minidump. Process:
 * the child that can be lost: it is told what is in files. */
#ifndef EPITAPH_SYMBOLIZER_COREFILE_H
#define EPITAPH_SYMBOLIZER_COREFILE_H

#include "../lib/report/bytes.h"
#include "../lib/report/report.h"
#include "finder.h"

/* Append the core of REPORT to OUT, which is empty: all threads, the crashing
 * one first, their stacks and what else is kept of memory, the command line,
 * the signal, and which files were mapped. A debugger finds libraries by the
 * dynamic linker's list, which lies in memory that a report has not got, so one
 * is made up, as far as FINDER finds the modules' files. False without
 * memory. */
bool corefile_make(const struct report *report, struct finder *finder,
		   struct writer *out);

#endif
