/* The SQLite writer: connection, transactions, statements. In the store role
 * alone; what it is given has been through wire.c, whose strings may say
 * anything, so every value is bound, never printed into SQL. */
#include "sqlite.h"

#include <stdlib.h>
#include <string.h>

#include "log.h"

enum { DAY_MS = 24 * 3600 * 1000, BUSY_MS = 5000 };

bool sqlite_fail(sqlite3 *db, const char *what, struct error *err)
{
	int code = sqlite3_errcode(db) & 0xff;

	return fail(err, code == SQLITE_INTERRUPT ? ERR_TIMEOUT : ERR_SYSTEM,
		    "%s: %s", what, sqlite3_errmsg(db));
}

sqlite3_stmt *sqlite_prepare(struct sqlite *s, enum sql which,
			     struct error *err)
{
	sqlite3_stmt **slot = &s->statements[which];

	if (*slot != NULL) {
		sqlite3_reset(*slot);
		sqlite3_clear_bindings(*slot);
		return *slot;
	}
	if (sqlite3_prepare_v3(s->db, sqlite_sql(which), -1,
			       SQLITE_PREPARE_PERSISTENT, slot, NULL) !=
	    SQLITE_OK) {
		sqlite_fail(s->db, "prepare statement", err);
		return NULL;
	}
	return *slot;
}

/* A failed bind leaves NULL, which the schema's NOT NULL refuses. */
void sqlite_int(sqlite3_stmt *statement, int at, int64_t value)
{
	sqlite3_bind_int64(statement, at, value);
}

void sqlite_text(sqlite3_stmt *statement, int at, struct slice value)
{
	/* Nothing known and nothing said are one thing here. */
	if (value.len == 0)
		sqlite3_bind_null(statement, at);
	else
		sqlite3_bind_text(statement, at, value.bytes, (int)value.len,
				  SQLITE_STATIC);
}

void sqlite_blob(sqlite3_stmt *statement, int at, const void *bytes, size_t len)
{
	sqlite3_bind_blob(statement, at, bytes, (int)len, SQLITE_STATIC);
}

bool sqlite_run(struct sqlite *s, sqlite3_stmt *statement, struct error *err)
{
	bool ok = statement != NULL && sqlite3_step(statement) == SQLITE_DONE;

	if (statement == NULL)
		return false;
	if (!ok)
		sqlite_fail(s->db, "write", err);
	sqlite3_reset(statement);
	return ok;
}

bool sqlite_row(struct sqlite *s, sqlite3_stmt *statement, bool *row,
		struct error *err)
{
	int status;

	if (statement == NULL)
		return false;
	status = sqlite3_step(statement);
	if (status != SQLITE_ROW && status != SQLITE_DONE)
		return sqlite_fail(s->db, "read", err);
	*row = status == SQLITE_ROW;
	return true;
}

const char *sqlite_column(sqlite3_stmt *statement, int at)
{
	const unsigned char *text = sqlite3_column_text(statement, at);

	return text != NULL ? (const char *)text : "";
}

unsigned sqlite_age(const struct sqlite *s, const uint8_t id[16])
{
	int64_t made_ms = 0;

	for (int i = 0; i < 6; i++)
		made_ms = made_ms << 8 | id[i];
	if (made_ms < s->now_ms - s->retention_ms)
		return HIT_TOO_OLD;
	if (made_ms > s->now_ms + STORE_SKEW_MS)
		return HIT_TOO_NEW;
	return 0;
}

static bool begin(struct store *store, int64_t now_ms, struct error *err)
{
	struct sqlite *s = (struct sqlite *)store;

	s->now_ms = now_ms;
	return sqlite_run(s, sqlite_prepare(s, SQL_BEGIN, err), err);
}

/* What the transaction changed in memory is no longer true: read it anew. */
static void rollback(struct store *store)
{
	struct sqlite *s = (struct sqlite *)store;
	struct error err;

	if (!sqlite3_get_autocommit(s->db))
		sqlite_run(s, sqlite_prepare(s, SQL_ROLLBACK, &err), &err);
	memset(s->dirty_dirs, 0, sizeof(s->dirty_dirs));
	edge_forget_all(s);
}

static bool commit(struct store *store, struct error *err)
{
	struct sqlite *s = (struct sqlite *)store;

	/* Names of bodies have to be durable before rows that speak of them. */
	return edge_flush(s, err) && report_sync(s, err) &&
	       sqlite_run(s, sqlite_prepare(s, SQL_COMMIT, err), err);
}

static bool hit_again(struct sqlite *s, struct edge *edge,
		      const struct hit *hit, unsigned *verdict,
		      struct error *err)
{
	sqlite3_stmt *find = sqlite_prepare(s, SQL_REPORT_FIND, err);
	bool has_body = false;

	if (find == NULL)
		return false;
	sqlite_blob(find, 1, hit->id, sizeof(hit->id));
	if (!sqlite_row(s, find, &has_body, err))
		return false;
	sqlite3_reset(find);
	/* Perhaps the first answer was lost: then it still wants the body. */
	if (!has_body && edge != NULL && edge_want(s, edge, hit->id))
		*verdict |= HIT_WANTED;
	return true;
}

static bool is_seen(struct sqlite *s, const uint8_t id[16], bool *seen,
		    struct error *err)
{
	sqlite3_stmt *find = sqlite_prepare(s, SQL_SEEN_FIND, err);
	bool ok;

	if (find == NULL)
		return false;
	sqlite_blob(find, 1, id, 16);
	ok = sqlite_row(s, find, seen, err);
	sqlite3_reset(find);
	return ok;
}

static bool remember(struct sqlite *s, const struct edge *edge,
		     const uint8_t id[16], bool *is_new, struct error *err)
{
	sqlite3_stmt *add = sqlite_prepare(s, SQL_SEEN_ADD, err);

	if (add == NULL)
		return false;
	sqlite_blob(add, 1, id, 16);
	sqlite_int(add, 2, edge->number);
	if (!sqlite_run(s, add, err))
		return false;
	*is_new = sqlite3_changes(s->db) > 0;
	return true;
}

static bool hit(struct store *store, const struct hit *hit, unsigned *verdict,
		struct error *err)
{
	struct sqlite *s = (struct sqlite *)store;
	struct edge *edge;
	bool seen = false, is_new = false;

	*verdict = sqlite_age(s, hit->id);
	if (*verdict != 0)
		return true;
	if (!edge_find(s, hit->canary ? EDGE_CANARY : EDGE_EXACT,
		       hit->fingerprint, &edge, err))
		return false;
	/* An id that is known must not make a group for another crash. */
	if (edge == NULL && !is_seen(s, hit->id, &seen, err))
		return false;
	if (edge == NULL && !seen && !edge_get(s, hit, &edge, err))
		return false;
	if (!seen && !remember(s, edge, hit->id, &is_new, err))
		return false;
	if (!is_new)
		return hit_again(s, edge, hit, verdict, err);
	*verdict = HIT_COUNTED;
	if (edge_want(s, edge, hit->id))
		*verdict |= HIT_WANTED;
	return edge_count(s, edge, hit, err);
}

static bool run_text(sqlite3 *db, const char *sql, struct error *err)
{
	if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK)
		return sqlite_fail(db, "open " SQLITE_FILE, err);
	return true;
}

/* Format 1 did not know which symbols a job could know. */
static bool migrate(sqlite3 *db, int version, struct error *err)
{
	return version != 1 ||
	       run_text(db, "BEGIN;"
			"ALTER TABLE report ADD COLUMN claimed INTEGER"
			" NOT NULL DEFAULT 0;"
			"PRAGMA user_version = 2; COMMIT;", err);
}

static bool check_version(sqlite3 *db, int *version_out, struct error *err)
{
	sqlite3_stmt *read = NULL;
	int version = 0;

	if (sqlite3_prepare_v2(db, "PRAGMA user_version", -1, &read, NULL) !=
		    SQLITE_OK || sqlite3_step(read) != SQLITE_ROW) {
		sqlite3_finalize(read);
		return sqlite_fail(db, "open " SQLITE_FILE, err);
	}
	version = sqlite3_column_int(read, 0);
	sqlite3_finalize(read);
	*version_out = version;
	if (version > 2)
		return fail(err, ERR_UNSUPPORTED, SQLITE_FILE " is of a newer "
			    "epitaphd (format %d)", version);
	return true;
}

static void close_store(struct store *store)
{
	struct sqlite *s = (struct sqlite *)store;

	edge_forget_all(s);
	for (size_t i = 0; i < SQL_COUNT; i++)
		sqlite3_finalize(s->statements[i]);
	/* Leaves the whole database in one file. */
	sqlite3_close(s->db);
	writer_fini(&s->facet_text);
	free(s);
}

static const struct store_ops sqlite_ops = {
	.begin = begin,
	.commit = commit,
	.rollback = rollback,
	.hit = hit,
	.report = sqlite_report,
	.admin = sqlite_admin,
	.claim = sqlite_claim,
	.finish = sqlite_finish,
	.arrived = sqlite_arrived,
	.revisit = sqlite_revisit,
	.release = sqlite_release,
	.tidy = sqlite_tidy,
	.pending = sqlite_pending,
	.close = close_store,
};

/* The checkpoint runs inside a commit, so a long one is a long wait for those
 * who wait for that commit: 2000 pages are 8 MiB. */
static bool open_database(struct sqlite *s, struct error *err)
{
	int version = 0;

	if (sqlite3_open_v2(SQLITE_FILE, &s->db, SQLITE_OPEN_READWRITE |
			    SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL) !=
	    SQLITE_OK)
		return sqlite_fail(s->db, "open " SQLITE_FILE, err);
	sqlite3_busy_timeout(s->db, BUSY_MS);
	return check_version(s->db, &version, err) &&
	       run_text(s->db, "PRAGMA journal_mode = WAL;"
			"PRAGMA synchronous = FULL;"
			"PRAGMA wal_autocheckpoint = 2000;"
			"PRAGMA journal_size_limit = 67108864;"
			"PRAGMA cache_size = -32768;"
			"PRAGMA temp_store = MEMORY;", err) &&
	       migrate(s->db, version, err) &&
	       run_text(s->db, sqlite_schema, err);
}

bool store_open(const struct settings *settings, struct store **out,
		struct error *err)
{
	struct sqlite *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return fail(err, ERR_NO_MEMORY, "no memory for the store");
	s->store.ops = &sqlite_ops;
	s->bodies = settings->bodies;
	s->retention_ms = (int64_t)settings->retention_days * DAY_MS;
	writer_init(&s->facet_text, (size_t)64 << 20);
	if (!open_database(s, err)) {
		close_store(&s->store);
		return false;
	}
	*out = &s->store;
	return true;
}
