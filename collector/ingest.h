/* An ingest worker, inside: what its files share. One process, one thread, one
 * poll loop: it accepts, reads, hands on, and answers when the answer is there
 * (the connection is suspended meanwhile). It parses nothing itself but HTTP
 * (libmicrohttpd), hits (hitscan.c) and an administrator's few words. */
#ifndef EPITAPH_COLLECTOR_INGEST_H
#define EPITAPH_COLLECTOR_INGEST_H

#include <microhttpd.h>
#include <stdbool.h>
#include <stdint.h>

#include "channel.h"
#include "role.h"
#include "token.h"
#include "wire.h"

enum {
	INGEST_CONNECTIONS = 4000,   /* of one worker; more wait outside */
	INGEST_BUFFERED = 64 << 20,  /* bytes of requests in memory, together */
	INGEST_UPLOADS = 64,         /* bodies received at once */
	INGEST_SYMBOL_UPLOADS = 4,   /* the same: they are larger */
	INGEST_WAITING_HITS = 100000,
	INGEST_WAITING_GETS = 256,
	INGEST_HITS_BODY = 4 << 20,
	INGEST_ADMIN_BODY = 32 << 10,
	INGEST_IDLE_S = 30,          /* a connection on which nothing moves */
	INGEST_RECEIVE_MS = 120000,  /* a request's body, all of it */
	INGEST_SYMBOLS_MS = 1800000, /* the same, of a file of symbols */
	INGEST_STORE_MS = 10000,     /* for the store's answer */
	INGEST_CHECK_MS = 45000,
	INGEST_TOOL_MS = 150000,     /* above tool.h's deadline */
	INGEST_WEB_MS = 5000,
	INGEST_DRAIN_MS = 10000,
};

enum endpoint {
	ENDPOINT_NONE, ENDPOINT_HITS, ENDPOINT_REPORT, ENDPOINT_ADMIN,
	ENDPOINT_GET, ENDPOINT_SYMBOLS, ENDPOINT_BUILD_ID,
	ENDPOINT_LIVE, ENDPOINT_READY, ENDPOINT_METRICS,
};

enum request_state {
	REQUEST_RECEIVING,
	REQUEST_WAITING, /* suspended: another role has it */
	REQUEST_ANSWERED, /* what still comes is dropped */
};

struct ingest;
struct batch;

struct request {
	struct ingest *in;
	struct MHD_Connection *connection;
	struct request *next, *previous; /* in the worker's list */
	enum endpoint endpoint;
	enum request_state state;
	bool begun;
	bool canary;
	char who[TOKEN_NAME];
	char *path;
	uint64_t tag;         /* while waiting */
	int64_t deadline_ms;
	uint64_t discarded;

	struct writer body;   /* hits, admin */
	int fd;               /* report, symbols: a file, while received */
	char file[WIRE_FILE];
	uint64_t received, max; /* bytes, so far and allowed */
	bool gzip;
	struct MHD_PostProcessor *form; /* symbols in one, or NULL */
	struct tool_done taken; /* symbols: while the store is told */
	char core[WIRE_FILE];   /* GET: to be made, and removed */

	uint8_t (*ids)[16];   /* hits: to name those wanted */
	size_t nids;
	struct batch *batch;
	size_t batch_at;

	unsigned status;      /* of the answer */
	struct MHD_Response *response;
};

/* Hits of several requests that go to the store as one message. */
struct batch {
	struct batch *next;
	uint64_t tag;
	struct {
		struct request *request; /* NULL: it is gone */
		size_t nhits;
	} *entries;
	size_t len, cap, nhits;
};

struct ingest {
	struct role *role;
	struct MHD_Daemon *daemon;
	int listeners[CONFIG_LISTEN + 1];
	size_t nlisteners;
	struct channel store, check, web;
	struct request *requests;
	uint64_t next_tag;
	int64_t swept_ms;
	size_t buffered, uploads, symbol_uploads;
	size_t waiting_gets, waiting_hits, in_flight;
	uint64_t next_file;
	struct writer hits;      /* the batch being gathered */
	struct batch *gathering;
	struct batch *sent;
	bool resumed;            /* MHD has something to go on with */
	bool closing;            /* no new connections */
	struct tokens tokens;
	int64_t tokens_read_ms;
	struct timespec tokens_mtime;
	bool tokens_bad;         /* the file cannot be read: nobody gets in */
};

/* http.c: the callbacks of libmicrohttpd. */
struct MHD_Daemon *http_start(struct ingest *in);
/* Answer REQUEST with BODY, of which a copy is made. Wakes its connection
 * where that is suspended. */
void request_answer(struct request *request, unsigned status, const char *type,
		    const void *body, size_t len);
/* The same with an error in contract.md's form. */
void request_error(struct request *request, unsigned status, const char *what,
		   const char *detail);
/* The same with a response made elsewhere, which it takes over. */
void request_respond(struct request *request, unsigned status,
		     struct MHD_Response *response);
/* Suspend REQUEST until it is answered; past WITHIN_MS it is with a 503 or
 * 504. Gives it a new tag. */
void request_wait(struct request *request, int64_t within_ms);
/* The waiting request of that kind and tag, or NULL. */
struct request *request_find(struct ingest *in, enum endpoint endpoint,
			     uint64_t tag);

/* auth.c */
/* Whether REQUEST may do what its endpoint does; otherwise it has been
 * refused. */
bool auth_check(struct request *request);

/* ingest_hits.c */
void hits_finish(struct request *request);
void hits_forget(struct request *request);
void hits_send(struct ingest *in);
void hits_done(struct ingest *in, const struct message *message);
/* The store is gone: nothing that was on its way is known to be kept. */
void hits_lost(struct ingest *in);

/* ingest_report.c */
bool report_start(struct request *request);
/* A file to receive a body into. */
bool report_open(struct request *request, uint64_t max);
void report_receive(struct request *request, const char *bytes, size_t len);
void report_finish(struct request *request);
/* The answer for what its reader says of a body. */
void report_refuse(struct request *request, unsigned status,
		   struct slice why);
void report_forget(struct request *request);
void report_checked(struct ingest *in, const struct message *message);
void report_done(struct ingest *in, const struct message *message);

/* ingest_symbols.c */
bool symbols_start(struct request *request);
/* Some of the body, of which a form is taken apart. */
void symbols_receive(struct request *request, const char *bytes, size_t len);
void symbols_finish(struct request *request);
void symbols_arrived(struct ingest *in, const struct message *message);
void build_id_get(struct request *request);
void tool_done(struct ingest *in, const struct message *message);
/* Ask for a core of the report that lies in FILE. */
void core_start(struct request *request, const char *file);

/* ingest_get.c */
void get_start(struct request *request);
void get_page(struct ingest *in, const struct message *message);
void admin_finish(struct request *request);
void admin_done(struct ingest *in, const struct message *message);

/* health.c */
void health_live(struct request *request);
void health_ready(struct request *request);
void health_metrics(struct request *request);

#endif
