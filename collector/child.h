/* A disposable process for one job on bytes that nobody vouches for: it says
 * its result on stdout and exits. What it may cost is bounded: time by a
 * deadline, memory and the rest by limits that the job sets on itself. */
#ifndef EPITAPH_COLLECTOR_CHILD_H
#define EPITAPH_COLLECTOR_CHILD_H

#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "../lib/report/bytes.h"
#include "../lib/report/error.h"

enum {
	CHILD_FDS = 3,      /* descriptors to poll for a child */
	CHILD_STDERR = 512, /* bytes kept of what it complains */
};

struct child {
	pid_t pid; /* 0: none */
	int pidfd, out, errors;
	int64_t deadline_ms;
	bool late;            /* the deadline killed it */
	bool flooded;         /* it said more than it may */
	int status;           /* as waitpid gives it, once it has ended */
	struct writer output;
	char complaint[CHILD_STDERR + 1]; /* the end of its stderr */
	size_t complaint_len;
};

/* Runs in the child: stdin is /dev/null, stdout and stderr are pipes, every
 * other descriptor is closed, signals are at their defaults. Must not
 * return. */
typedef void child_body(void *context);

/* Start BODY, for WITHIN_MS at most, with at most MAX_OUTPUT bytes of output
 * (initialised here). */
bool child_start(struct child *child, child_body *body, void *context,
		 size_t max_output, int64_t within_ms, struct error *err);

/* Descriptors to wait for, or -1s. */
void child_poll(const struct child *child, struct pollfd fds[CHILD_FDS]);

/* Go on: read what it says, kill it past its deadline. True once it has ended
 * and all of its output is there. */
bool child_step(struct child *child);

/* Free what CHILD holds; kills it if it still runs. */
void child_fini(struct child *child);

/* In the child: set both limits of RESOURCE, never above what they are. */
void child_limit(int resource, uint64_t value);

#endif
