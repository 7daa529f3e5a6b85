/* What the child does, and how it says what it found: messages of a kind, an
 * index, a length, and that many bytes. */
#ifndef EPITAPH_SYMBOLIZER_WORKER_H
#define EPITAPH_SYMBOLIZER_WORKER_H

#include <stdbool.h>
#include <stddef.h>

#include "../lib/report/bytes.h"
#include "symbolize.h"

enum message_kind {
	MESSAGE_MODULE = 1, /* index: module; begins work on it; empty */
	MESSAGE_SITE,       /* index: site; lookup_write()'s bytes */
	MESSAGE_GAP,        /* index: gap; lookup_write_tail_calls()'s bytes;
	                     * only of those that hold something */
	MESSAGE_MODULE_DONE, /* index: module; u32 status, text path, why */
	MESSAGE_THREAD,     /* index: thread; rewind.h's bytes */
	MESSAGE_TROUBLE,    /* index: module; text: what of its CFI was of no
	                     * use */
	MESSAGE_VARIABLES,  /* index: thread; u32 frame, variables_write()'s
	                     * bytes */
	MESSAGE_END,        /* everything is said */
};

enum {
	MESSAGE_HEADER = 12, /* three u32: kind, index, length */
	MESSAGE_MAX = 16 << 20,
};

/* Collects messages and writes them in larger pieces. */
struct sender {
	int fd;
	struct writer buffer;
};

void sender_init(struct sender *sender, int fd);
/* PAYLOAD may be NULL. What is too large or bad goes as an empty message. */
void sender_put(struct sender *sender, enum message_kind kind, size_t index,
		const struct writer *payload);
void sender_flush(struct sender *sender);

/* What both halves know: the parent's memory at the fork. */
struct job {
	const struct report *report;
	const struct symbolize_options *options;
	const struct site *sites; /* by module */
	size_t nsites;
	const struct gap *gaps; /* by module */
	size_t ngaps;
	const bool *is_done; /* per module: tried already */
};

/* child_job's for a struct job: names for all sites of modules that are not
 * done; frames for all threads that have none (rewind.c); and variables of
 * all threads that are wanted (values/worker.c). */
void worker_lookup(void *job, int fd);
void worker_rewind(void *job, int fd);
void worker_variables(void *job, int fd);

/* Whether THREAD is one that is asked for. */
static inline bool job_wants(const struct symbolize_options *options,
			     const struct thread *thread)
{
	return thread->crashed || !options->crashed_only;
}

/* True where THREAD has registers but no frames. */
bool rewind_is_needed(const struct thread *thread);

/* Put the frames that worker_rewind() sent for THREAD into REPORT. */
void rewind_read(struct reader *r, struct report *report,
		 struct thread *thread);

#endif
