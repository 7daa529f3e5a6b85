/* The web role, inside: one request at a time, reading only. */
#ifndef EPITAPH_COLLECTOR_WEB_H
#define EPITAPH_COLLECTOR_WEB_H

#include <jansson.h>

#include "store.h"
#include "wire.h"

enum {
	WEB_DEADLINE_MS = 3000,  /* below what an ingest worker waits */
	WEB_LIMIT = 50,          /* groups in a list, unless asked otherwise */
	WEB_LIMIT_MAX = 500,
	WEB_REPORTS = 1000,      /* ids named in a group */
	WEB_NAMES = 20,          /* hosts or releases named in a list */
};

/* What is asked, in plain C. */
struct query {
	struct store_reader *reader;
	const char *id; /* the path's */
	const char *q, *status;
	uint32_t limit;
	bool has_after;
	int64_t after_ms, after_number;
	bool canary;
	bool accepts_gzip;
	int64_t deadline_ms;
};

/* What is answered. */
struct answer {
	unsigned status;
	const char *type;
	bool gzipped, remove;
	bool as_core; /* ingest has a core made of the file, a report */
	char name[64];
	char file[WIRE_FILE];
	struct writer body;
};

typedef void view(const struct query *query, struct answer *answer);

/* api.c: JSON. */
view api_groups, api_group, api_group_reports, api_report, api_dump, api_core;
view api_missing;
/* page.c: HTML. */
view page_groups, page_group, page_report;

/* Answer with an error in contract.md's form. */
void web_error(struct answer *answer, unsigned status, const char *what,
	       const char *detail);
/* The same from what the store said. */
void web_failed(struct answer *answer, const struct error *err);

/* The JSON document of report NUMBER; NULL and ERR. *NAMED_OUT: whether it is
 * symbolized. */
json_t *web_document(const struct query *query, int64_t number,
		     bool *named_out, struct error *err);

/* "done", "pending"...: what has become of a report. */
const char *web_state(enum report_state state);

/* The value for ?after= that goes on behind ROW. */
void web_after(const struct group_row *row, char *to, size_t cap);

/* A group with copies of its text, and lists of it. */
struct group_copy {
	struct group_row row;
	char *text[6]; /* owns what row points to */
};

struct group_list {
	struct group_copy *groups;
	size_t len, cap;
	bool bad; /* no memory */
};

group_fn group_list_add; /* CONTEXT is a struct group_list */
void group_list_free(struct group_list *list);

#endif
