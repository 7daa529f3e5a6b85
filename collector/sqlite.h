/* The SQLite store, inside. One connection writes (struct sqlite, in the store
 * role), another reads. Only sqlite*.c include this. */
#ifndef EPITAPH_COLLECTOR_SQLITE_H
#define EPITAPH_COLLECTOR_SQLITE_H

#include <sqlite3.h>

#include "store.h"

#define SQLITE_FILE "epitaph.db"

/* The statements, each prepared when it is first needed. Their text is in
 * sqlite_sql.c. */
enum sql {
	SQL_BEGIN, SQL_COMMIT, SQL_ROLLBACK,
	SQL_EDGE_FIND, SQL_EDGE_ADD, SQL_EDGE_COUNT, SQL_EDGE_BODIES,
	SQL_EDGE_BY_ID, SQL_EDGES_MOVE, SQL_EDGE_MOVE,
	SQL_SEEN_ADD, SQL_SEEN_FIND,
	SQL_GROUP_ADD, SQL_GROUP_COUNT, SQL_GROUP_FIND, SQL_GROUP_BY_NAME,
	SQL_GROUP_NAME, SQL_GROUP_TITLE, SQL_GROUP_REASON, SQL_GROUP_MERGED,
	SQL_GROUP_RECOUNT, SQL_GROUP_STATUS, SQL_GROUP_NOTE, SQL_GROUP_COPY,
	SQL_GROUP_EDGES,
	SQL_FACET_UPDATE, SQL_FACET_ADD, SQL_FACET_TOTAL,
	SQL_REPORT_FIND, SQL_REPORT_ADD, SQL_REPORT_EDGE,
	SQL_DOCUMENT_PUT,
	SQL_JOB_NEXT, SQL_JOB_START, SQL_JOB_GIVE_UP, SQL_JOB_FINISH,
	SQL_JOB_RETRY, SQL_JOB_RELEASE, SQL_JOB_PENDING, SQL_JOB_AGAIN,
	SQL_LACK_ADD, SQL_LACK_DELETE, SQL_LACK_DROP, SQL_LACK_NEXT,
	SQL_WANTED_ADD, SQL_WANTED_LATE, SQL_WANTED_ARRIVED,
	SQL_WANTED_ARRIVED_GUID, SQL_WANTED_NEXT, SQL_WANTED_TOLD,
	SQL_AUDIT_ADD,
	SQL_CANARY_OLD, SQL_REPORTS_OLD, SQL_SEEN_OLD, SQL_REPORT_DELETE,
	SQL_DOCUMENT_DELETE, SQL_SEEN_DELETE,
	SQL_COUNT,
};

const char *sqlite_sql(enum sql which);
extern const char sqlite_schema[];

enum {
	SQLITE_EDGES = 16384,  /* cached; a power of two */
	SQLITE_PROMISES = 64,  /* as config.c's highest --bodies */
	SQLITE_FACETS = 32768, /* changed in one transaction */
	SQLITE_DIRS = 256,
};

/* Somebody was asked for a body. */
struct promise {
	uint8_t id[16];
	int64_t until_ms; /* CLOCK_REALTIME; 0: free */
};

/* An exact fingerprint, cached, with what this transaction adds to it. */
struct edge {
	uint8_t fingerprint[16];
	enum edge_kind kind;
	int64_t number, group;
	uint32_t bodies;
	unsigned full_facets; /* bit: that facet has STORE_FACET_VALUES */
	struct promise *promises; /* settings->bodies of them, or NULL */
	uint64_t added;
	int64_t first_ms, last_ms;
	bool is_changed;
	struct edge *next_changed;
	struct edge *next; /* in its bucket */
};

struct facet_delta {
	struct edge *edge; /* NULL: the slot is free */
	enum facet facet;
	uint32_t hash;
	size_t at, len; /* value, in the store's facet_text */
	uint64_t added;
	int64_t first_ms, last_ms;
};

struct sqlite {
	struct store store;
	sqlite3 *db;
	sqlite3_stmt *statements[SQL_COUNT];
	uint32_t bodies;
	int64_t retention_ms;
	int64_t now_ms; /* of the transaction */
	struct edge *buckets[SQLITE_EDGES];
	size_t nedges;
	struct edge *changed;
	struct facet_delta facets[SQLITE_FACETS];
	uint32_t facets_used[SQLITE_FACETS];
	size_t nfacets;
	struct writer facet_text;
	bool dirty_dirs[SQLITE_DIRS];
};

/* The statement, reset; NULL and ERR where it cannot be prepared. */
sqlite3_stmt *sqlite_prepare(struct sqlite *s, enum sql which,
			     struct error *err);
/* Bind by position, from 1. Text and blobs have to stay until the step. */
void sqlite_int(sqlite3_stmt *statement, int at, int64_t value);
void sqlite_text(sqlite3_stmt *statement, int at, struct slice value);
void sqlite_blob(sqlite3_stmt *statement, int at, const void *bytes,
		 size_t len);
/* Run to the end. */
bool sqlite_run(struct sqlite *s, sqlite3_stmt *statement, struct error *err);
/* Step to the next row; *ROW: whether there is one. */
bool sqlite_row(struct sqlite *s, sqlite3_stmt *statement, bool *row,
		struct error *err);
bool sqlite_fail(sqlite3 *db, const char *what, struct error *err);
/* Column AT as text; "" where it is NULL. */
const char *sqlite_column(sqlite3_stmt *statement, int at);

/* sqlite_edge.c: the cache of exact fingerprints. */
/* *OUT is NULL where there is none. */
bool edge_find(struct sqlite *s, enum edge_kind kind, const uint8_t fp[16],
	       struct edge **out, struct error *err);
/* Find, or make with a provisional group for HIT. */
bool edge_get(struct sqlite *s, const struct hit *hit, struct edge **out,
	      struct error *err);
/* Count HIT in EDGE. */
bool edge_count(struct sqlite *s, struct edge *edge, const struct hit *hit,
		struct error *err);
/* True where a body for ID is wanted; a promise is noted. */
bool edge_want(struct sqlite *s, struct edge *edge, const uint8_t id[16]);
void edge_keep_promise(struct sqlite *s, struct edge *edge,
		       const uint8_t id[16]);
/* Write what was counted. */
bool edge_flush(struct sqlite *s, struct error *err);
/* Group FROM has become TO. */
void edge_moved(struct sqlite *s, int64_t from, int64_t to);
void edge_forget_all(struct sqlite *s);

/* sqlite_group.c */
bool group_add(struct sqlite *s, const struct hit *hit, int64_t *out,
	       struct error *err);
/* The name of group NUMBER, following merges. */
bool group_name(struct sqlite *s, int64_t number, char out[WIRE_GROUP],
		struct error *err);
bool group_symbolized(struct sqlite *s, int64_t edge,
		      const struct job_done *done, struct error *err);
bool sqlite_admin(struct store *store, const struct admin *admin,
		  struct admin_done *out, struct error *err);

/* sqlite_report.c */
bool sqlite_report(struct store *store, const struct body *body,
		   struct report_done *out, struct error *err);
bool sqlite_claim(struct store *store, struct job *out, bool *found,
		  struct error *err);
bool sqlite_finish(struct store *store, const struct job_done *done,
		   bool *quarantined, struct error *err);
bool sqlite_release(struct store *store, struct error *err);
bool sqlite_tidy(struct store *store, struct error *err);
bool sqlite_pending(struct store *store, uint64_t *count_out,
		    struct error *err);
/* sqlite_symbols.c */
/* A report whose job has ended, and the last file of symbols that was there
 * when that began. */
struct lacking {
	int64_t report, edge, claimed;
};

/* What DONE's job lacks is all that the report lacks. */
bool symbols_lacked(struct sqlite *s, const struct lacking *of,
		    const struct job_done *done, struct error *err);
bool symbols_forget(struct sqlite *s, int64_t report, struct error *err);
bool sqlite_arrived(struct store *store, const struct build_id *id,
		    struct error *err);
bool sqlite_revisit(struct store *store, bool *more, struct error *err);

/* Make the directories that changed durable. */
bool report_sync(struct sqlite *s, struct error *err);

/* Whether an id made at TIME_MS is one that can be taken now. */
unsigned sqlite_age(const struct sqlite *s, const uint8_t id[16]);

#endif
