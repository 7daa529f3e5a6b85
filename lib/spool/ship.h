/* One report to the collector: a hit, and the body if it is wanted. What
 * carries the requests is the caller's: the static helper has a client of its
 * own for sockets and numeric addresses (http.h), the command line libcurl. */
#ifndef EPITAPH_SPOOL_SHIP_H
#define EPITAPH_SPOOL_SHIP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../report/error.h"
#include "../report/report.h"
#include "spool.h"

enum { SHIP_MAX_RESPONSE = 65536 };

struct response {
	int status;
	char body[SHIP_MAX_RESPONSE]; /* NUL-terminated */
	size_t len;
};

/* POST LEN bytes to PATH. ENCODING is a Content-Encoding or NULL, TOKEN a
 * bearer token or NULL. False only where no response came. */
typedef bool ship_post(void *context, const char *path, const char *type,
		       const char *encoding, const char *token,
		       const void *body, size_t len,
		       struct response *response_out, struct error *err);

struct shipper {
	ship_post *post;
	void *context;
	const char *token; /* or NULL */
};

/* The JSON of REPORT's hit, as contract.md has it, into OUT. */
bool ship_hit_json(const struct report *report, struct writer *out);

enum ship_outcome {
	SHIP_DONE,    /* the collector has it: delete it */
	SHIP_REFUSED, /* and never will: refused/ */
	SHIP_LATER,   /* not reachable, or not now: keep it */
};

/* The same for COUNT crashes of which only what KEPT says is known, the hit of
 * a report that was like them: under ID, at TIME_MS. False where KEPT is none;
 * nobody vouches for it. */
bool ship_counted_json(const char *kept, size_t len, const char *id,
		       int64_t time_ms, uint32_t count, struct writer *out);

/* Post the hit JSON, of id ID; *WANTED_OUT: the collector asks for its body. */
enum ship_outcome ship_hit(const struct shipper *shipper, const void *json,
			   size_t len, const char *id, bool *wanted_out,
			   struct error *err);

/* Ship the report in GZ (a gzipped minidump). ERR says why where the outcome
 * is not SHIP_DONE. *SENT_BODY_OUT (or NULL): whether the body went. */
enum ship_outcome ship_report(const struct shipper *shipper, const void *gz,
			      size_t len, bool *sent_body_out,
			      struct error *err);

struct ship_count {
	size_t done, bodies, refused, later;
};

/* Ship up to MAX reports of SPOOL, oldest first, under its lock, until
 * DEADLINE_MS of CLOCK_MONOTONIC. Stops at the first SHIP_LATER. False where
 * another process holds the lock, or with ERR set where the collector could
 * not be had. */
bool ship_spool(const struct shipper *shipper, struct spool *spool, size_t max,
		int64_t deadline_ms, struct ship_count *count_out,
		struct error *err);

#endif
