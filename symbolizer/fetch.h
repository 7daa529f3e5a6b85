/* One file of a server's, over HTTP, onto disk. Process: a child that can be
 * lost; it looks into nothing that comes. */
#ifndef EPITAPH_SYMBOLIZER_FETCH_H
#define EPITAPH_SYMBOLIZER_FETCH_H

#include <stddef.h>
#include <stdint.h>

struct fetch {
	const char *url;
	int fd;            /* an empty file */
	uint64_t max;      /* bytes */
	int64_t within_ms; /* all of it; silence and a trickle end sooner */
};

enum fetch_end {
	FETCH_DONE = 'd',
	FETCH_ABSENT = 'a',    /* the server has no such file */
	FETCH_TOO_LARGE = 'l',
	FETCH_SLOW = 's',      /* it came, but there was too much of it */
	FETCH_FAILED = 'f',    /* the server's fault, or the network's */
	FETCH_NO_ROOM = 'n',   /* ours: it cannot be written */
};

/* The answer, and why it is no other (CAP bytes). What has come is in the file,
 * whatever became of it. */
enum fetch_end fetch_run(const struct fetch *fetch, char *why, size_t cap);

#endif
