/* A process that may be lost: it reads what nobody vouches for, under limits,
 * and says what it found over a pipe. */
#ifndef EPITAPH_SYMBOLIZER_CHILD_H
#define EPITAPH_SYMBOLIZER_CHILD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "../lib/report/error.h"

struct child {
	pid_t pid;
	int fd;              /* what it writes, for us to read */
	int64_t deadline_ms; /* of CLOCK_MONOTONIC */
	bool late;
	bool is_liar; /* set where it wrote what makes no sense */
	void (*idle)(void *context); /* called now and then while there is
	                              * nothing to read; or NULL */
	void *idle_context;
};

/* The job; what it leaves written to FD is all that remains of it. */
typedef void child_job(void *context, int fd);

/* Fork, put the limits on, and run JOB in the child, which then exits. Sets
 * all of *OUT but what is idle. */
bool child_start(child_job *job, void *context, int64_t deadline_ms,
		 struct child *out, struct error *err);

/* Read exactly LEN bytes. False where the child wrote no more, or the deadline
 * has come. */
bool child_read(struct child *child, void *to, size_t len);

/* Kill it if it is still there, and reap it. True if it ended well; WHY_OUT
 * (CAP bytes) then is "", and otherwise says how it ended. */
bool child_reap(struct child *child, char *why_out, size_t cap);

/* In the child: write all of it or exit. */
void child_write(int fd, const void *bytes, size_t len);

/* CLOCK_MONOTONIC in milliseconds. */
int64_t child_now_ms(void);

#endif
