/* What the roles tell each other: the bodies of messages (channel.h). Fixed
 * ones are structs without pointers, of one size in one binary; the others are
 * written and read field by field. A slice read from a message points into
 * it. */
#ifndef EPITAPH_COLLECTOR_WIRE_H
#define EPITAPH_COLLECTOR_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../lib/report/bytes.h"
#include "../lib/report/report.h"

enum {
	WIRE_TAGS = 32,          /* of one report; more are refused */
	WIRE_MAX_HITS = 20000,   /* of one message */
	WIRE_MAX_HITS_BYTES = 8 << 20,
	WIRE_MAX_DOCUMENT = 16 << 20, /* a report as JSON, gzipped */
	WIRE_MAX_REPORT = WIRE_MAX_DOCUMENT + (1 << 20),
	WIRE_MAX_CHECKED = WIRE_MAX_REPORT,
	WIRE_MAX_JOB_DONE = WIRE_MAX_REPORT,
	WIRE_MAX_ADMIN = 64 << 10,
	WIRE_MAX_GET = 64 << 10,
	WIRE_MAX_PAGE = 64 << 20,
	WIRE_LACKS = 64,         /* modules of one report */
	WIRE_FILE = 64,          /* a path below the data directory */
	WIRE_GROUP = 17,         /* a group's id: 16 hex digits */
};

struct slice {
	const char *bytes; /* not terminated; NULL where len is 0 */
	size_t len;
};

struct hit_tag {
	struct slice key, value;
};

/* One crash, as its hit or its body tells it. */
struct hit {
	uint8_t id[16];
	uint8_t fingerprint[16];
	int64_t time_ms;
	uint32_t count;
	uint32_t signal;
	bool canary; /* the sender knew the canary's secret */
	struct slice exe, build_id, host, release;
	struct hit_tag tags[WIRE_TAGS];
	size_t ntags;
};

void wire_put_slice(struct writer *w, struct slice slice);
struct slice wire_get_slice(struct reader *r);
void wire_put_hit(struct writer *w, const struct hit *hit);
/* False, and R bad, where it is no hit. */
bool wire_get_hit(struct reader *r, struct hit *out);

struct slice slice_of(const char *text); /* NULL: empty */
bool slice_is(struct slice slice, const char *text);
/* SLICE into TO, cut where it does not fit. */
void slice_copy(struct slice slice, char *to, size_t cap);

/* A byte for each hit in MSG_HITS_DONE; the message is empty where the store
 * could not write at all. */
enum hit_verdict {
	HIT_COUNTED = 1, /* else its id was known */
	HIT_WANTED = 2,
	HIT_TOO_OLD = 4,
	HIT_TOO_NEW = 8,
};

/* MSG_CHECK: look into a body that was received. */
struct check_job {
	char file[WIRE_FILE];
	uint64_t max_unpacked;
	bool gzip;
};

/* MSG_TOOL: have `epitaph` do something with a file. */
enum tool { TOOL_TAKE_SYMBOLS, TOOL_MAKE_CORE };

struct tool_job {
	enum tool tool;
	char file[WIRE_FILE]; /* symbols that were received; a report */
	char to[WIRE_FILE];   /* the core */
};

/* MSG_TOOL_DONE */
struct tool_done {
	uint32_t status; /* HTTP */
	bool is_new;     /* of symbols: as good a file was not there */
	char build_id[2 * MAX_BUILD_ID + 1]; /* and whose they are: hex */
	char why[256];   /* where the status is no success */
	char to[WIRE_FILE]; /* the job's: somebody has to remove it */
};

/* MSG_CHECKED and MSG_REPORT: a body, as its parser saw it. */
struct body {
	struct hit hit;
	bool has_id;
	uint8_t digest[32]; /* SHA-256, unpacked */
	uint64_t size;      /* unpacked */
	int tier;
	bool complete;
	struct slice file;     /* MSG_REPORT: where it was received */
	struct slice reason;
	struct slice document; /* gzipped JSON, without names */
};

void wire_put_body(struct writer *w, const struct body *body);
bool wire_get_body(struct reader *r, struct body *out);

/* What starts MSG_CHECKED: status 0 and a body, or an HTTP status and why. */
void wire_put_refusal(struct writer *w, unsigned status, const char *why);

enum report_verdict {
	REPORT_NEW,
	REPORT_SAME,
	REPORT_CONFLICT,
	REPORT_TOO_OLD,
	REPORT_TOO_NEW,
	REPORT_FAILED, /* not now */
};

struct report_done {
	uint32_t verdict;
	char group[WIRE_GROUP];
};

enum admin_verb { ADMIN_SET, ADMIN_MERGE, ADMIN_SPLIT };

struct admin {
	enum admin_verb verb;
	struct slice group;
	struct slice status; /* empty: leave */
	struct slice note;
	bool has_note;
	struct slice other;  /* the group to merge into, the report to split */
	struct slice who;
};

void wire_put_admin(struct writer *w, const struct admin *admin);
bool wire_get_admin(struct reader *r, struct admin *out);

struct admin_done {
	uint32_t status; /* HTTP */
	char group[WIRE_GROUP];
	char why[160];
};

/* MSG_GET: what the web role needs to know of a request. */
struct get {
	bool canary;
	bool accepts_gzip;
	struct slice path, q, status, limit, after;
};

void wire_put_get(struct writer *w, const struct get *get);
bool wire_get_get(struct reader *r, struct get *out);

/* MSG_PAGE: an answer. With a file, that is the body. */
struct page {
	unsigned status;
	bool gzipped;      /* Content-Encoding: gzip */
	bool remove;       /* the file is a temporary one */
	bool as_core;      /* the file is a report, of which a core is wanted */
	struct slice type; /* Content-Type */
	struct slice name; /* for Content-Disposition, or empty */
	struct slice file;
	struct slice body;
};

void wire_put_page(struct writer *w, const struct page *page);
bool wire_get_page(struct reader *r, struct page *out);

/* MSG_JOB: symbolize this report. */
struct job {
	uint8_t id[16];
	uint32_t attempt; /* 1, 2, 3 */
	char file[WIRE_FILE];
};

enum job_outcome {
	JOB_DONE,
	JOB_FAILED,   /* the report's fault, as far as one can tell */
	JOB_DEADLINE,
	JOB_OUTAGE,   /* ours: the attempt does not count */
};

/* A module of which a report has frames, and nobody has symbols. */
struct lack {
	struct build_id id;
	struct slice path;
	uint32_t frames;
};

struct job_done {
	uint8_t id[16];
	enum job_outcome outcome;
	bool has_semantic;
	bool is_partial; /* that, for want of symbols: it may not last */
	uint8_t semantic[16];
	struct slice title, reason, signal;
	struct slice detail;   /* of a failure */
	struct slice document; /* gzipped JSON */
	struct lack lacks[WIRE_LACKS];
	size_t nlacks;
};

void wire_put_job_done(struct writer *w, const struct job_done *done);
bool wire_get_job_done(struct reader *r, struct job_done *out);

#endif
