/* An ELF core, the kernel's or gcore's, as a report without frames: threads
 * with registers, memory, and maps and modules made from what it says. What
 * was not dumped of a file is left to be found by build-id. */
#ifndef EPITAPH_PROC_CORE_H
#define EPITAPH_PROC_CORE_H

#include "../report/report.h"

/* The file as it lies in memory. */
struct core {
	void *bytes;
	size_t len;
};

/* True where the file PATH begins as an ELF core does. */
bool core_is(const char *path);

/* Map the core PATH and describe it in *REPORT_OUT, which borrows from
 * *CORE_OUT: report_free() first, core_close() then. On failure neither is
 * touched. The first thread is the one that crashed, if the core names a
 * signal. */
bool core_load(const char *path, struct core *core_out,
	       struct report *report_out, struct error *err);
void core_close(struct core *core);

#endif
