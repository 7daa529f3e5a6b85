/* Stop another process's threads with ptrace, read their registers, and let
 * them go. For `epitaph stack -p`; at crash time the witness does this itself,
 * inside the signal zone. */
#ifndef EPITAPH_PROC_STOP_H
#define EPITAPH_PROC_STOP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "../report/report.h"

struct stopped_thread {
	pid_t tid;
	char name[16];
	bool stopped; /* false: it did not stop in time; no registers */
	bool gave_up; /* it sleeps where no signal reaches it */
	int signal;   /* it was about to get this one, and will; or 0 */
	struct registers registers;
};

struct stopped {
	pid_t pid;
	bool has_shadow; /* its threads have shadow stacks */
	struct stopped_thread *threads;
	size_t nthreads;
	int64_t since_us; /* CLOCK_MONOTONIC when the first was stopped */
	int mem_fd;       /* /proc/PID/mem, or -1 */
};

/* SEIZE and INTERRUPT every thread of PID (at most MAX_THREADS of them),
 * rescanning until no new one turns up, within DEADLINE_MS. Fails, with every
 * thread let go, where the process is not there or may not be traced; ERR then
 * says what to do about it. */
bool stop_process(pid_t pid, int64_t deadline_ms, struct stopped *out,
		  struct error *err);

/* Let every thread go on, with the signals that were on their way to them, and
 * release what STOPPED owns. Returns for how long they were stopped, in
 * microseconds. */
int64_t stop_release(struct stopped *stopped);

/* An unwind_read over process_vm_readv, with /proc/PID/mem behind it; CONTEXT
 * is a struct stopped. */
size_t stop_read(void *context, uint64_t address, void *to, size_t len);

#endif
