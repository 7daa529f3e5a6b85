/* The SQLite reader: a connection of its own, read-only, in the web role. WAL
 * lets it read while the store role writes. Each request is one transaction,
 * short, and interrupted at its deadline: a long reader would keep the WAL
 * from being checkpointed. */
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../lib/report/clock.h"
#include "sqlite.h"
#include "text.h"

enum {
	STEPS = 2000,       /* of SQLite's machine between looks at the clock */
	MAX_WORDS = 8,      /* of a search */
	MAX_WORD = 128,
};

struct reader_db {
	struct store_reader reader;
	sqlite3 *db;
	int64_t deadline_ms;
};

#define GROUP_COLUMNS "g.id, g.name, g.title, g.reason, g.signal, g.status," \
	" g.note, g.count, g.first_ms, g.last_ms," \
	" (SELECT count(DISTINCT f.value) FROM edge AS e" \
	"  JOIN facet AS f ON f.edge = e.id" \
	"  WHERE e.grp = g.id AND f.kind = 1)," \
	" (SELECT count(DISTINCT f.value) FROM edge AS e" \
	"  JOIN facet AS f ON f.edge = e.id" \
	"  WHERE e.grp = g.id AND f.kind = 2)"

/* One word of a search: part of the title, the reason or the id, or of a
 * host, release, executable, build-id or tag. */
#define WORD_MATCHES " AND (g.title LIKE ?%d ESCAPE '\\'" \
	" OR g.reason LIKE ?%d ESCAPE '\\' OR g.name LIKE ?%d ESCAPE '\\'" \
	" OR g.signal LIKE ?%d ESCAPE '\\'" \
	" OR EXISTS (SELECT 1 FROM edge AS e JOIN facet AS f" \
	" ON f.edge = e.id WHERE e.grp = g.id" \
	" AND f.value LIKE ?%d ESCAPE '\\'))"

#define REPORT_COLUMNS "r.number, r.edge, r.id, r.time_ms, r.received_ms," \
	" r.size, r.tier, r.state, r.attempts, r.host, r.release, r.exe," \
	" r.file, r.detail"

static int is_late(void *context)
{
	const struct reader_db *r = context;

	return clock_monotonic_ms() >= r->deadline_ms;
}

static sqlite3_stmt *prepare(struct reader_db *r, const char *sql,
			     struct error *err)
{
	sqlite3_stmt *statement = NULL;

	if (sqlite3_prepare_v2(r->db, sql, -1, &statement, NULL) !=
	    SQLITE_OK)
		sqlite_fail(r->db, "read", err);
	return statement;
}

static bool run(struct reader_db *r, const char *sql, struct error *err)
{
	if (sqlite3_exec(r->db, sql, NULL, NULL, NULL) != SQLITE_OK)
		return sqlite_fail(r->db, "read", err);
	return true;
}

static bool begin(struct store_reader *reader, int64_t deadline_ms,
		  struct error *err)
{
	struct reader_db *r = (struct reader_db *)reader;

	r->deadline_ms = deadline_ms;
	return run(r, "BEGIN", err);
}

static void end(struct store_reader *reader)
{
	struct reader_db *r = (struct reader_db *)reader;

	r->deadline_ms = INT64_MAX;
	if (!sqlite3_get_autocommit(r->db))
		run(r, "ROLLBACK", NULL);
}

/* Call ROW for each row of STATEMENT, and finish it. *COUNT (or NULL): how
 * many there were. */
typedef void row_fn(sqlite3_stmt *statement, void *fn, void *context);

static bool each(struct reader_db *r, sqlite3_stmt *statement, row_fn *row,
		 void *fn, void *context, size_t *count, struct error *err)
{
	int status = SQLITE_ERROR;
	bool ok = true;

	if (statement == NULL)
		return false;
	while ((status = sqlite3_step(statement)) == SQLITE_ROW) {
		row(statement, fn, context);
		if (count != NULL)
			++*count;
	}
	if (status != SQLITE_DONE)
		ok = sqlite_fail(r->db, "read", err);
	sqlite3_finalize(statement);
	return ok;
}

/* Function pointers do not fit a void pointer in strict C: hand over the
 * address of one. */
static void group_row(sqlite3_stmt *st, void *fn, void *context)
{
	struct group_row row = {
		.number = sqlite3_column_int64(st, 0),
		.id = sqlite_column(st, 1),
		.title = sqlite_column(st, 2),
		.reason = (const char *)sqlite3_column_text(st, 3),
		.signal = sqlite_column(st, 4),
		.status = sqlite_column(st, 5),
		.note = (const char *)sqlite3_column_text(st, 6),
		.count = (uint64_t)sqlite3_column_int64(st, 7),
		.first_ms = sqlite3_column_int64(st, 8),
		.last_ms = sqlite3_column_int64(st, 9),
		.hosts = (uint64_t)sqlite3_column_int64(st, 10),
		.releases = (uint64_t)sqlite3_column_int64(st, 11),
	};

	(*(group_fn **)fn)(context, &row);
}

static void report_row(sqlite3_stmt *st, void *fn, void *context)
{
	struct report_row row = {
		.number = sqlite3_column_int64(st, 0),
		.edge = sqlite3_column_int64(st, 1),
		.time_ms = sqlite3_column_int64(st, 3),
		.received_ms = sqlite3_column_int64(st, 4),
		.size = (uint64_t)sqlite3_column_int64(st, 5),
		.tier = sqlite3_column_int(st, 6),
		.state = (enum report_state)sqlite3_column_int(st, 7),
		.attempts = (uint32_t)sqlite3_column_int(st, 8),
		.host = (const char *)sqlite3_column_text(st, 9),
		.release = (const char *)sqlite3_column_text(st, 10),
		.exe = (const char *)sqlite3_column_text(st, 11),
		.file = sqlite_column(st, 12),
		.detail = (const char *)sqlite3_column_text(st, 13),
	};

	if (sqlite3_column_bytes(st, 2) == 16)
		memcpy(row.id, sqlite3_column_blob(st, 2), 16);
	(*(report_fn **)fn)(context, &row);
}

static void facet_row(sqlite3_stmt *st, void *fn, void *context)
{
	(*(facet_fn **)fn)(context, sqlite_column(st, 0),
			   (uint64_t)sqlite3_column_int64(st, 1));
}

static void edge_row(sqlite3_stmt *st, void *fn, void *context)
{
	struct edge_row row = {
		.kind = (enum edge_kind)sqlite3_column_int(st, 0),
		.why = sqlite_column(st, 2),
		.who = sqlite_column(st, 3),
		.at_ms = sqlite3_column_int64(st, 4),
		.count = (uint64_t)sqlite3_column_int64(st, 5),
	};

	if (sqlite3_column_bytes(st, 1) == 16)
		memcpy(row.fingerprint, sqlite3_column_blob(st, 1), 16);
	(*(edge_fn **)fn)(context, &row);
}

static void missing_row(sqlite3_stmt *st, void *fn, void *context)
{
	size_t len = (size_t)sqlite3_column_bytes(st, 0);
	struct missing_row row = {
		.path = (const char *)sqlite3_column_text(st, 1),
		.frames = (uint64_t)sqlite3_column_int64(st, 2),
		.crashes = (uint64_t)sqlite3_column_int64(st, 3),
		.groups = (uint64_t)sqlite3_column_int64(st, 4),
	};

	if (len == 0 || len > MAX_BUILD_ID)
		return;
	memcpy(row.id.bytes, sqlite3_column_blob(st, 0), len);
	row.id.len = (uint8_t)len;
	(*(missing_fn **)fn)(context, &row);
}

/* WORD as a pattern that finds it anywhere, its own wildcards escaped. */
static void make_pattern(const char *word, size_t len, char *to)
{
	size_t at = 0;

	to[at++] = '%';
	for (size_t i = 0; i < len && i < MAX_WORD; i++) {
		if (strchr("%_\\", word[i]) != NULL)
			to[at++] = '\\';
		to[at++] = word[i];
	}
	to[at++] = '%';
	to[at] = '\0';
}

static size_t split_words(const char *text,
			  char patterns[MAX_WORDS][2 * MAX_WORD + 3])
{
	size_t n = 0;

	while (text != NULL && n < MAX_WORDS) {
		size_t len;

		text += strspn(text, " \t");
		len = strcspn(text, " \t");
		if (len == 0)
			break;
		make_pattern(text, len, patterns[n++]);
		text += len;
	}
	return n;
}

/* The query's text: its conditions are fixed ones, chosen by what is asked
 * for; everything that is asked is bound. */
static bool build_query(const struct group_query *query, size_t nwords,
			char *sql, size_t cap)
{
	struct writer w;
	bool ok;

	writer_init(&w, cap - 1);
	text_put(&w, "SELECT " GROUP_COLUMNS " FROM grp AS g"
		 " WHERE g.into_grp IS NULL AND g.canary = 0");
	if (query->status != NULL)
		text_put(&w, " AND g.status = ?1");
	if (query->has_after)
		text_put(&w, " AND (g.last_ms, g.id) < (?2, ?3)");
	for (size_t i = 0; i < nwords; i++) {
		int at = (int)i + 10;

		text_format(&w, WORD_MATCHES, at, at, at, at, at);
	}
	text_put(&w, " ORDER BY g.last_ms DESC, g.id DESC LIMIT ?4");
	ok = !w.bad;
	if (ok) {
		memcpy(sql, w.bytes, w.len);
		sql[w.len] = '\0';
	}
	writer_fini(&w);
	return ok;
}

static bool groups(struct store_reader *reader,
		   const struct group_query *query, group_fn *fn,
		   void *context, struct error *err)
{
	struct reader_db *r = (struct reader_db *)reader;
	char patterns[MAX_WORDS][2 * MAX_WORD + 3], sql[8192];
	size_t nwords = split_words(query->text, patterns);
	sqlite3_stmt *find;

	if (!build_query(query, nwords, sql, sizeof(sql)))
		return fail(err, ERR_TOO_LARGE, "too long a search");
	find = prepare(r, sql, err);
	if (find == NULL)
		return false;
	if (query->status != NULL)
		sqlite_text(find, 1, slice_of(query->status));
	sqlite3_bind_int64(find, 2, query->after_ms);
	sqlite3_bind_int64(find, 3, query->after_number);
	sqlite3_bind_int64(find, 4, query->limit);
	for (size_t i = 0; i < nwords; i++)
		sqlite_text(find, (int)i + 10, slice_of(patterns[i]));
	return each(r, find, group_row, &fn, context, NULL, err);
}

static bool found(bool ok, size_t n, const char *what, struct error *err)
{
	if (ok && n == 0)
		return fail(err, ERR_NOT_FOUND, "no such %s", what);
	return ok;
}

static bool group(struct store_reader *reader, const char *id, group_fn *fn,
		  void *context, struct error *err)
{
	struct reader_db *r = (struct reader_db *)reader;
	sqlite3_stmt *find = prepare(r, "SELECT " GROUP_COLUMNS
		" FROM grp AS g WHERE g.canary = 0 AND g.id ="
		" (SELECT coalesce(into_grp, id) FROM grp WHERE name = ?1)",
		err);
	size_t n = 0;
	bool ok;

	if (find != NULL)
		sqlite_text(find, 1, slice_of(id));
	ok = each(r, find, group_row, &fn, context, &n, err);
	return found(ok, n, "group", err);
}

static bool group_of(struct store_reader *reader, int64_t edge, group_fn *fn,
		     void *context, struct error *err)
{
	struct reader_db *r = (struct reader_db *)reader;
	sqlite3_stmt *find = prepare(r, "SELECT " GROUP_COLUMNS
		" FROM grp AS g WHERE g.id ="
		" (SELECT grp FROM edge WHERE id = ?1)", err);

	if (find != NULL)
		sqlite_int(find, 1, edge);
	return each(r, find, group_row, &fn, context, NULL, err);
}

static bool facets(struct store_reader *reader, int64_t group_number,
		   enum facet facet, uint32_t limit, facet_fn *fn,
		   void *context, struct error *err)
{
	struct reader_db *r = (struct reader_db *)reader;
	sqlite3_stmt *find = prepare(r, "SELECT f.value, sum(f.count) AS n"
		" FROM edge AS e JOIN facet AS f ON f.edge = e.id"
		" WHERE e.grp = ?1 AND f.kind = ?2 GROUP BY f.value"
		" ORDER BY n DESC, f.value LIMIT ?3", err);

	if (find != NULL) {
		sqlite_int(find, 1, group_number);
		sqlite_int(find, 2, facet);
		sqlite_int(find, 3, limit);
	}
	return each(r, find, facet_row, &fn, context, NULL, err);
}

static bool reports(struct store_reader *reader, int64_t group_number,
		    uint32_t limit, report_fn *fn, void *context,
		    struct error *err)
{
	struct reader_db *r = (struct reader_db *)reader;
	sqlite3_stmt *find = prepare(r, "SELECT " REPORT_COLUMNS
		" FROM edge AS e JOIN report AS r ON r.edge = e.id"
		" WHERE e.grp = ?1 ORDER BY r.state = 2 DESC,"
		" r.tier = 0, r.tier, r.complete DESC, r.id LIMIT ?2", err);

	if (find != NULL) {
		sqlite_int(find, 1, group_number);
		sqlite_int(find, 2, limit);
	}
	return each(r, find, report_row, &fn, context, NULL, err);
}

static bool edges(struct store_reader *reader, int64_t group_number,
		  edge_fn *fn, void *context, struct error *err)
{
	struct reader_db *r = (struct reader_db *)reader;
	sqlite3_stmt *find = prepare(r, "SELECT kind, fp, why, who, at_ms,"
		" count FROM edge WHERE grp = ?1"
		" ORDER BY kind DESC, count DESC LIMIT 1000", err);

	if (find != NULL)
		sqlite_int(find, 1, group_number);
	return each(r, find, edge_row, &fn, context, NULL, err);
}

static bool report(struct store_reader *reader, const uint8_t id[16],
		   bool canary, report_fn *fn, void *context,
		   struct error *err)
{
	struct reader_db *r = (struct reader_db *)reader;
	sqlite3_stmt *find = prepare(r, "SELECT " REPORT_COLUMNS
		" FROM report AS r JOIN edge AS e ON e.id = r.edge"
		" WHERE r.id = ?1 AND (e.kind <> 0 OR ?2)", err);
	size_t n = 0;
	bool ok;

	if (find != NULL) {
		sqlite_blob(find, 1, id, 16);
		sqlite_int(find, 2, canary);
	}
	ok = each(r, find, report_row, &fn, context, &n, err);
	return found(ok, n, "report", err);
}

static bool document(struct store_reader *reader, int64_t report_number,
		     struct writer *out, bool *named_out, struct error *err)
{
	struct reader_db *r = (struct reader_db *)reader;
	sqlite3_stmt *find = prepare(r, "SELECT named, json FROM document"
		" WHERE report = ?1", err);
	int status;
	bool ok = true;

	if (find == NULL)
		return false;
	sqlite_int(find, 1, report_number);
	status = sqlite3_step(find);
	if (status == SQLITE_ROW) {
		*named_out = sqlite3_column_int(find, 0) != 0;
		writer_bytes(out, sqlite3_column_blob(find, 1),
			     (size_t)sqlite3_column_bytes(find, 1));
	} else if (status == SQLITE_DONE) {
		ok = fail(err, ERR_NOT_FOUND, "nothing is known of it");
	} else {
		ok = sqlite_fail(r->db, "read", err);
	}
	sqlite3_finalize(find);
	return ok;
}

/* A fingerprint's crashes have the same frames, and one report of them says
 * how many of a module's. */
static bool missing(struct store_reader *reader, uint32_t limit,
		    missing_fn *fn, void *context, struct error *err)
{
	struct reader_db *r = (struct reader_db *)reader;
	sqlite3_stmt *find = prepare(r, "SELECT n.build_id, w.path,"
		" sum(n.frames * e.count) AS all_frames, sum(e.count),"
		" count(DISTINCT e.grp)"
		" FROM (SELECT build_id, edge, max(frames) AS frames FROM lack"
		"  GROUP BY build_id, edge) AS n"
		" JOIN edge AS e ON e.id = n.edge"
		" JOIN wanted AS w ON w.build_id = n.build_id"
		" GROUP BY n.build_id ORDER BY all_frames DESC, n.build_id"
		" LIMIT ?1", err);

	if (find != NULL)
		sqlite_int(find, 1, limit);
	return each(r, find, missing_row, &fn, context, NULL, err);
}

static void close_reader(struct store_reader *reader)
{
	struct reader_db *r = (struct reader_db *)reader;

	sqlite3_close(r->db);
	free(r);
}

static const struct store_reader_ops reader_ops = {
	.begin = begin,
	.end = end,
	.groups = groups,
	.group = group,
	.facets = facets,
	.reports = reports,
	.edges = edges,
	.report = report,
	.group_of = group_of,
	.document = document,
	.missing = missing,
	.close = close_reader,
};

bool store_open_reader(const struct settings *settings,
		       struct store_reader **out, struct error *err)
{
	struct reader_db *r = calloc(1, sizeof(*r));

	(void)settings; /* there is one store so far, in the data directory */
	if (r == NULL)
		return fail(err, ERR_NO_MEMORY, "no memory for a reader");
	r->reader.ops = &reader_ops;
	r->deadline_ms = INT64_MAX;
	if (sqlite3_open_v2(SQLITE_FILE, &r->db, SQLITE_OPEN_READONLY |
			    SQLITE_OPEN_NOMUTEX, NULL) != SQLITE_OK ||
	    sqlite3_exec(r->db, "PRAGMA query_only = 1", NULL, NULL, NULL) !=
		    SQLITE_OK) {
		sqlite_fail(r->db, "open " SQLITE_FILE, err);
		close_reader(&r->reader);
		return false;
	}
	sqlite3_busy_timeout(r->db, 1000);
	sqlite3_progress_handler(r->db, STEPS, is_late, r);
	*out = &r->reader;
	return true;
}
