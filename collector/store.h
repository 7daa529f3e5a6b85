/* Where reports are kept. An implementation is a table of functions: SQLite
 * (sqlite.c) is the one for a single collector; one for PostgreSQL fits the
 * same table. The writer belongs to the store role and to nobody else; readers
 * belong to the web role.
 *
 * Writing goes in transactions: begin(), any number of operations, commit().
 * Nothing may be acknowledged before its commit() has returned true. Where an
 * operation fails, the whole transaction has to be rolled back: nobody in it
 * has been acknowledged, so all of them are sent again. */
#ifndef EPITAPH_COLLECTOR_STORE_H
#define EPITAPH_COLLECTOR_STORE_H

#include <stdbool.h>
#include <stdint.h>

#include "../lib/report/error.h"
#include "config.h"
#include "wire.h"

enum {
	STORE_ATTEMPTS = 3,           /* to symbolize a report */
	STORE_PROMISE_MS = 60 * 1000, /* to wait for a body asked for */
	STORE_SKEW_MS = 24 * 3600 * 1000, /* clocks may be ahead this far */
	STORE_FACET_VALUES = 1000,    /* names kept of hosts, releases... */
};

enum facet {
	FACET_HOST = 1, FACET_RELEASE, FACET_EXE, FACET_BUILD_ID, FACET_TAG,
};

/* Kinds of fingerprints that lead to a group. */
enum edge_kind { EDGE_CANARY, EDGE_EXACT, EDGE_SEMANTIC };

struct store {
	const struct store_ops *ops;
};

struct store_ops {
	bool (*begin)(struct store *store, int64_t now_ms, struct error *err);
	bool (*commit)(struct store *store, struct error *err);
	void (*rollback)(struct store *store);

	/* Count HIT once, and say what becomes of it (enum hit_verdict). */
	bool (*hit)(struct store *store, const struct hit *hit,
		    unsigned *verdict_out, struct error *err);

	/* Keep BODY, whose file is durable where it was received. */
	bool (*report)(struct store *store, const struct body *body,
		       struct report_done *out, struct error *err);

	/* An administrator's wish. *OUT says what came of it; false only where
	 * the store failed. */
	bool (*admin)(struct store *store, const struct admin *admin,
		      struct admin_done *out, struct error *err);

	/* The next report to symbolize, its attempt counted already. *FOUND:
	 * whether there is one. */
	bool (*claim)(struct store *store, struct job *out, bool *found,
		      struct error *err);

	/* What came of a job. *QUARANTINED: that was its last attempt. */
	bool (*finish)(struct store *store, const struct job_done *done,
		       bool *quarantined, struct error *err);

	/* A file with symbols of the module ID is there. */
	bool (*arrived)(struct store *store, const struct build_id *id,
			struct error *err);

	/* Some of the reports that lack what has arrived since wait to be
	 * symbolized again. *MORE: there may be others. */
	bool (*revisit)(struct store *store, bool *more, struct error *err);

	/* Jobs that were claimed and not finished wait again: whoever had
	 * claimed them is gone. */
	bool (*release)(struct store *store, struct error *err);

	/* Now and then: forget what is too old. */
	bool (*tidy)(struct store *store, struct error *err);

	/* Reports that wait to be symbolized. */
	bool (*pending)(struct store *store, uint64_t *count_out,
			struct error *err);
	void (*close)(struct store *store);
};

/* Open the writer for SETTINGS in the working directory, making the store
 * where there is none. */
bool store_open(const struct settings *settings, struct store **out,
		struct error *err);

/* A group, as a list shows it. Text belongs to the callee's stack frame: it is
 * valid during the callback. */
struct group_row {
	int64_t number; /* the reader's own; for the calls below */
	const char *id;
	const char *title, *reason, *signal, *status, *note;
	uint64_t count;
	int64_t first_ms, last_ms;
	uint64_t hosts, releases;
};

struct group_query {
	const char *text;   /* words that all have to be found; or NULL */
	const char *status; /* or NULL */
	uint32_t limit;
	bool has_after;     /* go on behind the group with... */
	int64_t after_ms;   /* ...this last_ms... */
	int64_t after_number; /* ...and this number */
};

enum report_state {
	REPORT_PENDING, REPORT_RUNNING, REPORT_SYMBOLIZED,
	REPORT_QUARANTINED, REPORT_UNNAMED, /* nobody will try */
};

struct report_row {
	int64_t number, edge;
	uint8_t id[16];
	int64_t time_ms, received_ms;
	uint64_t size;
	int tier;
	enum report_state state;
	uint32_t attempts;
	const char *host, *release, *exe, *file, *detail;
};

struct edge_row {
	enum edge_kind kind;
	uint8_t fingerprint[16];
	const char *why, *who;
	int64_t at_ms;
	uint64_t count;
};

/* A module without symbols, and what they would name. */
struct missing_row {
	struct build_id id;
	const char *path;  /* or NULL */
	uint64_t frames;   /* times the crashes that have them */
	uint64_t crashes, groups;
};

typedef void group_fn(void *context, const struct group_row *row);
typedef void facet_fn(void *context, const char *value, uint64_t count);
typedef void report_fn(void *context, const struct report_row *row);
typedef void edge_fn(void *context, const struct edge_row *row);
typedef void missing_fn(void *context, const struct missing_row *row);

struct store_reader {
	const struct store_reader_ops *ops;
};

/* Each is bounded by the deadline: ERR_TIMEOUT. ERR_NOT_FOUND where there is
 * no such thing. Callbacks run inside the call. CANARY: also see what the
 * canary sent. */
struct store_reader_ops {
	/* All calls up to the next end() see one state of the store,
	 * and end by DEADLINE_MS of CLOCK_MONOTONIC. */
	bool (*begin)(struct store_reader *reader, int64_t deadline_ms,
		      struct error *err);
	void (*end)(struct store_reader *reader);

	/* Newest first. */
	bool (*groups)(struct store_reader *reader,
		       const struct group_query *query, group_fn *fn,
		       void *context, struct error *err);
	/* The group that ID is, or became. */
	bool (*group)(struct store_reader *reader, const char *id, group_fn *fn,
		      void *context, struct error *err);
	/* Most frequent first, at most LIMIT. */
	bool (*facets)(struct store_reader *reader, int64_t group,
		       enum facet facet, uint32_t limit, facet_fn *fn,
		       void *context, struct error *err);
	/* Best first: symbolized, complete, early. At most LIMIT. */
	bool (*reports)(struct store_reader *reader, int64_t group,
			uint32_t limit, report_fn *fn, void *context,
			struct error *err);
	bool (*edges)(struct store_reader *reader, int64_t group,
		      edge_fn *fn, void *context, struct error *err);
	bool (*report)(struct store_reader *reader, const uint8_t id[16],
		       bool canary, report_fn *fn, void *context,
		       struct error *err);
	/* The group of a report. */
	bool (*group_of)(struct store_reader *reader, int64_t edge,
			 group_fn *fn, void *context, struct error *err);
	/* Modules without symbols, those first that would name most. */
	bool (*missing)(struct store_reader *reader, uint32_t limit,
			missing_fn *fn, void *context, struct error *err);
	/* Append the gzipped JSON document of a report to OUT; *NAMED_OUT:
	 * whether it is symbolized. */
	bool (*document)(struct store_reader *reader, int64_t report,
			 struct writer *out, bool *named_out,
			 struct error *err);
	void (*close)(struct store_reader *reader);
};

bool store_open_reader(const struct settings *settings,
		       struct store_reader **out, struct error *err);

#endif
