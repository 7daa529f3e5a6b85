/* The text of /proc/PID/maps and what follows from it: modules with their
 * build-ids, executable ranges, the stack a pointer lies in. Text comes from a
 * kernel, but from any kernel, about a process that is hostile or broken. */
#ifndef EPITAPH_PROC_MAPS_H
#define EPITAPH_PROC_MAPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../report/report.h"

struct map {
	uint64_t start, end, offset;
	uint64_t inode;
	bool read, write, exec;
	const char *path; /* in the text passed to maps_parse, NUL-terminated
	                   * there; "" for an anonymous mapping */
};

struct maps {
	struct map *entries; /* by address */
	size_t len;
};

/* Parse TEXT (LEN bytes, NUL-terminated behind them), which is changed in
 * place: paths are cut with NUL and " (deleted)" stays. Lines that are not
 * maps lines are skipped. The result borrows TEXT; maps_free() it. */
bool maps_parse(char *text, size_t len, struct maps *maps_out,
		struct error *err);
void maps_free(struct maps *maps);

/* The mapping that holds ADDRESS, or NULL. */
const struct map *maps_find(const struct maps *maps, uint64_t address);

/* Reads the process's memory, as unwind_read does. */
typedef size_t maps_read(void *context, uint64_t address, void *to,
			 size_t len);

/* Fill REPORT->modules: one per ELF image that has an executable mapping, the
 * vdso included, by base, with the build-id that its memory says, if that
 * can be read. Uses READ for headers and notes. */
bool maps_modules(const struct maps *maps, maps_read *read, void *context,
		  struct report *report, struct error *err);

#endif
