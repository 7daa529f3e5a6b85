/* Messages between roles: a header, then a body whose size is checked against
 * the message's own limits, over a connected stream socket. Both ends are
 * ours, but one of them may have just parsed something hostile: so an unknown
 * type, a type that this end does not take, or a wrong size ends the
 * connection. */
#ifndef EPITAPH_COLLECTOR_CHANNEL_H
#define EPITAPH_COLLECTOR_CHANNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../lib/report/bytes.h"
#include "../lib/report/error.h"

/* Who sends it to whom. The bodies are in the headers named. */
enum message_type {
	MSG_SETUP,       /* supervisor to role: struct role_setup (role.h) */
	MSG_BOARD,       /* supervisor to role: struct board (role.h) */
	MSG_DRAIN,       /* supervisor to role: finish, then exit */
	MSG_READY,       /* role to supervisor: it is at work */
	MSG_STATS,       /* role to supervisor: struct stats; a heartbeat too */
	MSG_CANARY,      /* canary to supervisor: a report went all the way */
	MSG_HITS,        /* ingest to store (wire.h) */
	MSG_HITS_DONE,   /* store to ingest: a verdict for each hit, or none */
	MSG_REPORT,      /* ingest to store (wire.h) */
	MSG_REPORT_DONE, /* store to ingest: struct report_done (wire.h) */
	MSG_ADMIN,       /* ingest to store (wire.h) */
	MSG_ADMIN_DONE,  /* store to ingest: struct admin_done (wire.h) */
	MSG_CHECK,       /* ingest to check: struct check_job (wire.h) */
	MSG_CHECKED,     /* check to ingest (wire.h) */
	MSG_TOOL,        /* ingest to check: struct tool_job (wire.h) */
	MSG_TOOL_DONE,   /* check to ingest: struct tool_done (wire.h) */
	MSG_ARRIVED,     /* ingest to store: struct build_id, of symbols */
	MSG_ARRIVED_DONE, /* store to ingest: uint8_t, 0 for "not now" */
	MSG_GET,         /* ingest to web (wire.h) */
	MSG_PAGE,        /* web to ingest (wire.h) */
	MSG_JOB_WANT,    /* symbolize to store: one more job, please */
	MSG_JOB,         /* store to symbolize: struct job (wire.h) */
	MSG_JOB_DONE,    /* symbolize to store (wire.h) */
	MSG_COUNT,
};

/* Bit for enum message_type in the set of those that an end takes. */
#define MESSAGE_BIT(type) ((uint32_t)1 << (type))

/* One message received. BODY is valid until the next channel_read(). */
struct message {
	enum message_type type;
	uint64_t tag; /* the sender's; an answer carries it back */
	const uint8_t *body;
	size_t len;
};

struct channel {
	int fd;           /* -1: not connected */
	uint32_t takes;   /* MESSAGE_BIT()s */
	uint8_t *in;
	size_t in_len, in_pos, in_cap;
	struct writer out;
	size_t out_pos;
	size_t out_limit; /* bytes that may wait to be sent */
};

/* Take over FD (or -1), which becomes non-blocking. */
void channel_init(struct channel *channel, int fd, uint32_t takes,
		  size_t out_limit);
/* Close it and forget what was in flight; it can be connected again. */
void channel_close(struct channel *channel);
/* channel_close, and the memory. */
void channel_fini(struct channel *channel);

/* Connect to the role that listens on PATH, below the data directory. */
bool channel_connect(struct channel *channel, const char *path,
		     struct error *err);
/* A listening socket on PATH, in place of whatever was there; -1 and ERR. */
int channel_listen(const char *path, struct error *err);
/* Accept one connection from LISTENER; -1 where none waits. */
int channel_accept(int listener);

/* Queue a message. False where the queue is full or nobody is connected:
 * nothing was queued. */
bool channel_send(struct channel *channel, enum message_type type, uint64_t tag,
		  const void *body, size_t len);
/* Send what the socket takes now. False: the connection is gone. */
bool channel_flush(struct channel *channel);
/* poll()'s events to wait for. */
short channel_events(const struct channel *channel);

/* Receive what is there. False: the connection is gone; what came before may
 * still be taken. */
bool channel_read(struct channel *channel);

enum channel_next { CHANNEL_NONE, CHANNEL_MESSAGE, CHANNEL_BROKEN };

/* The next whole message of what was received. CHANNEL_BROKEN: what the other
 * end says is not our protocol; close it. */
enum channel_next channel_next(struct channel *channel, struct message *out);

#endif
