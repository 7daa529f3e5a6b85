/* What every role has in common: how it is started, its line to the
 * supervisor, and its state. A role is a process, re-executed by name
 * (`epitaphd -P NAME`), with the control socket as descriptor 3. */
#ifndef EPITAPH_COLLECTOR_ROLE_H
#define EPITAPH_COLLECTOR_ROLE_H

#include <stdbool.h>
#include <stdint.h>

#include "channel.h"
#include "config.h"
#include "stats.h"

enum role_kind {
	ROLE_STORE, ROLE_CHECK, ROLE_WEB, ROLE_SYMBOLIZE, ROLE_INGEST,
	ROLE_CANARY,
	ROLE_KINDS,
};

enum {
	ROLE_CONTROL_FD = 3,
	ROLE_PERMANENT = 78, /* exit status: starting again will not help */
	ROLE_TICK_MS = 100,
	ROLE_HEARTBEAT_MS = 1000,
	/* A report every 1.5 s, and what is 4 s old is stale: a stopped store
	 * shows within 5 s, a slow disk does not. */
	CANARY_EVERY_MS = 1500,
	CANARY_FRESH_MS = 4000,
};

/* Paths below the data directory, which is every role's working directory. */
#define STORE_SOCKET "run/store"
#define CHECK_SOCKET "run/check"
#define WEB_SOCKET "run/web"

/* MSG_SETUP */
struct role_setup {
	uint32_t index; /* of several of one kind */
	struct settings settings;
};

/* MSG_BOARD: what everybody may know. */
struct board {
	int64_t canary_ms; /* last success, CLOCK_MONOTONIC; 0: none yet */
	bool draining;
	struct stats total;
	uint64_t restarts[ROLE_KINDS];
};

struct role {
	enum role_kind kind;
	uint32_t index;
	struct settings settings;
	struct channel control;
	struct board board;
	bool draining; /* finish what was begun, then exit 0 */
	struct stats stats;
	struct stats sent;
	int64_t sent_ms;
};

/* "store"; and back: false for a name that is none. */
const char *role_name(enum role_kind kind);
bool role_from_name(const char *name, enum role_kind *kind_out);

/* The life of a role, in its own process. The result is its exit status. */
int role_main(enum role_kind kind);

/* Tell the supervisor that ROLE is at work. */
void role_ready(struct role *role);

/* Once a round of the poll loop: send statistics, take what the supervisor
 * says. Ends the process where the supervisor is gone. */
void role_tick(struct role *role);

/* Say on the log why ROLE cannot go on, and return its exit status:
 * ROLE_PERMANENT where that is for the operator to mend. */
int role_failed(const struct error *err, bool permanent);

/* Entry points, one in each role's file. */
int store_role(struct role *role);
int check_role(struct role *role);
int web_role(struct role *role);
int symbolize_role(struct role *role);
int ingest_role(struct role *role);
int canary_role(struct role *role);

#endif
