/* /tmp/perf-PID.map, where programs that compile at run time write, for perf,
 * what they have compiled: lines of start, size and name. Read where a stack
 * goes through code that is in no file. Its text is the program's: anything,
 * and as long as it likes. */
#ifndef EPITAPH_PROC_PERFMAP_H
#define EPITAPH_PROC_PERFMAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "../report/report.h"
#include "maps.h"

/* Text that is read, from the file's end: Java's compilers come to 10 MB, V8's
 * in a long life to some hundred. */
#define PERFMAP_MAX_TEXT ((uint64_t)256 << 20)

struct perfmap {
	uint64_t *places; /* addresses that want a name, sorted, each once */
	size_t nplaces;
	bool is_open;
	int fd;
	uint64_t len; /* of the file when it was opened */
};

/* Whose file it is. */
struct perfmap_owner {
	const char *root; /* before /tmp: "", or such as /proc/PID/root */
	uint32_t pid;     /* as the process itself knows it */
	uid_t uid;        /* its effective user */
	int64_t began_s;  /* since the epoch, when it began; 0: not known */
};

/* Collect the places of REPORT's frames that are in executable memory of MAPS
 * and in no module. False where there are none (or no memory): then there is
 * nothing to open. OUT is for perfmap_close() in any case. */
bool perfmap_want(const struct report *report, const struct maps *maps,
		  struct perfmap *out);

/* Find out about process PID of our own /proc; ROOT (SIZE bytes) is for its
 * root's path. False where it is gone. */
bool perfmap_owner_of(pid_t pid, char *root, size_t size,
		      struct perfmap_owner *out);

/* Open OWNER's file. Only a regular one that belongs to the process's user or
 * to root, as perf has it, and that was not there before the process: pids come
 * again, and the files stay. */
bool perfmap_open(struct perfmap *map, const struct perfmap_owner *owner);

/* Name MAP's places in REPORT->jit, as far as the file does and until
 * DEADLINE_MS of CLOCK_MONOTONIC. The places that got a name are taken out of
 * MAP. Nothing happens where no file was opened. */
void perfmap_read(struct perfmap *map, int64_t deadline_ms,
		  struct report *report);

void perfmap_close(struct perfmap *map);

#endif
