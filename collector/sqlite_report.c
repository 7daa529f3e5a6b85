/* Report bodies and the jobs that symbolize them. A body lies in
 * bodies/XX/ID.dmp.gz; its row is committed after the file's data and name are
 * on disk, so a row never speaks of a body that is not there. In the store
 * role. */
#include "sqlite.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "log.h"
#include "text.h"

enum {
	BACK_OFF_MS = 1000,      /* after a failed attempt, doubled */
	OUTAGE_MS = 5000,
	CANARY_KEEP_MS = 10000,
};

/* Bodies are spread by the last byte of their id, which is random. */
static void body_path(const uint8_t id[16], char out[WIRE_FILE])
{
	char text[37];

	text_uuid(id, text);
	snprintf(out, WIRE_FILE, "bodies/%02x/%s.dmp.gz", id[15], text);
}

static bool sync_dir(const char *path, struct error *err)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	bool ok = fd >= 0 && fsync(fd) == 0;

	if (!ok)
		fail_errno(err, "sync %s", path);
	if (fd >= 0)
		close(fd);
	return ok;
}

bool report_sync(struct sqlite *s, struct error *err)
{
	char path[16];

	for (unsigned i = 0; i < SQLITE_DIRS; i++) {
		if (!s->dirty_dirs[i])
			continue;
		snprintf(path, sizeof(path), "bodies/%02x", i);
		if (!sync_dir(path, err))
			return false;
		s->dirty_dirs[i] = false;
	}
	return true;
}

/* *GONE: its sender gave up meanwhile, and the file with him. */
static bool move_body(struct sqlite *s, const struct body *body,
		      char path[WIRE_FILE], bool *gone, struct error *err)
{
	char from[WIRE_FILE], dir[16];
	unsigned which = body->hit.id[15];

	slice_copy(body->file, from, sizeof(from));
	body_path(body->hit.id, path);
	snprintf(dir, sizeof(dir), "bodies/%02x", which);
	if (mkdir(dir, 0700) == 0) {
		if (!sync_dir("bodies", err))
			return false;
	} else if (errno != EEXIST) {
		return fail_errno(err, "make %s", dir);
	}
	*gone = rename(from, path) < 0;
	if (*gone && errno != ENOENT)
		return fail_errno(err, "keep body %s", from);
	s->dirty_dirs[which] |= !*gone;
	return true;
}

/* Has the id been counted, by its hit? If not, this is its occurrence. */
static bool count_once(struct sqlite *s, struct edge *edge,
		       const struct hit *hit, struct error *err)
{
	sqlite3_stmt *add = sqlite_prepare(s, SQL_SEEN_ADD, err);

	if (add == NULL)
		return false;
	sqlite_blob(add, 1, hit->id, sizeof(hit->id));
	sqlite_int(add, 2, edge->number);
	if (!sqlite_run(s, add, err))
		return false;
	return sqlite3_changes(s->db) == 0 || edge_count(s, edge, hit, err);
}

static bool add_row(struct sqlite *s, const struct body *body,
		    const struct edge *edge, const char *path,
		    struct error *err)
{
	const struct hit *hit = &body->hit;
	sqlite3_stmt *add = sqlite_prepare(s, SQL_REPORT_ADD, err);

	if (add == NULL)
		return false;
	sqlite_blob(add, 1, hit->id, sizeof(hit->id));
	sqlite_int(add, 2, edge->number);
	sqlite_int(add, 3, hit->time_ms);
	sqlite_int(add, 4, s->now_ms);
	sqlite_blob(add, 5, body->digest, sizeof(body->digest));
	sqlite_int(add, 6, (int64_t)body->size);
	sqlite_text(add, 7, slice_of(path));
	sqlite_int(add, 8, body->tier);
	sqlite_int(add, 9, body->complete);
	sqlite_text(add, 10, hit->host);
	sqlite_text(add, 11, hit->release);
	sqlite_text(add, 12, hit->exe);
	sqlite_int(add, 13, hit->canary ? REPORT_UNNAMED : REPORT_PENDING);
	return sqlite_run(s, add, err);
}

static bool put_document(struct sqlite *s, int64_t report, bool named,
			 struct slice json, struct error *err)
{
	sqlite3_stmt *put = sqlite_prepare(s, SQL_DOCUMENT_PUT, err);

	if (json.len == 0)
		return true;
	if (put == NULL)
		return false;
	sqlite_int(put, 1, report);
	sqlite_int(put, 2, named);
	sqlite_blob(put, 3, json.bytes, json.len);
	return sqlite_run(s, put, err);
}

static bool count_body(struct sqlite *s, int64_t edge, int64_t change,
		       struct error *err)
{
	sqlite3_stmt *update = sqlite_prepare(s, SQL_EDGE_BODIES, err);

	if (update == NULL)
		return false;
	sqlite_int(update, 1, edge);
	sqlite_int(update, 2, change);
	return sqlite_run(s, update, err);
}

static bool set_reason(struct sqlite *s, const struct edge *edge,
		       struct slice reason, struct error *err)
{
	sqlite3_stmt *set;

	if (reason.len == 0)
		return true;
	set = sqlite_prepare(s, SQL_GROUP_REASON, err);
	if (set == NULL)
		return false;
	sqlite_int(set, 1, edge->group);
	sqlite_text(set, 2, reason);
	return sqlite_run(s, set, err);
}

static bool add_report(struct sqlite *s, const struct body *body,
		       struct report_done *out, struct error *err)
{
	char path[WIRE_FILE];
	struct edge *edge;
	bool gone = false;

	if (!move_body(s, body, path, &gone, err))
		return false;
	out->verdict = REPORT_FAILED;
	if (gone)
		return true;
	if (!edge_get(s, &body->hit, &edge, err) ||
	    !count_once(s, edge, &body->hit, err) ||
	    !add_row(s, body, edge, path, err) ||
	    !put_document(s, sqlite3_last_insert_rowid(s->db), false,
			  body->document, err) ||
	    !count_body(s, edge->number, 1, err) ||
	    !set_reason(s, edge, body->reason, err) ||
	    !group_name(s, edge->group, out->group, err))
		return false;
	edge->bodies++;
	edge_keep_promise(s, edge, body->hit.id);
	out->verdict = REPORT_NEW;
	return true;
}

static bool group_of_edge(struct sqlite *s, int64_t edge,
			  char out[WIRE_GROUP], struct error *err)
{
	sqlite3_stmt *find = sqlite_prepare(s, SQL_EDGE_BY_ID, err);
	int64_t group;
	bool row;

	if (find == NULL)
		return false;
	sqlite_int(find, 1, edge);
	if (!sqlite_row(s, find, &row, err))
		return false;
	group = row ? sqlite3_column_int64(find, 2) : 0;
	sqlite3_reset(find);
	return group_name(s, group, out, err);
}

bool sqlite_report(struct store *store, const struct body *body,
		   struct report_done *out, struct error *err)
{
	struct sqlite *s = (struct sqlite *)store;
	sqlite3_stmt *find = sqlite_prepare(s, SQL_REPORT_FIND, err);
	unsigned age = sqlite_age(s, body->hit.id);
	const void *digest;
	int64_t edge;
	bool row;

	memset(out, 0, sizeof(*out));
	out->verdict = age == HIT_TOO_OLD ? REPORT_TOO_OLD : REPORT_TOO_NEW;
	if (age != 0)
		return true;
	if (find == NULL)
		return false;
	sqlite_blob(find, 1, body->hit.id, sizeof(body->hit.id));
	if (!sqlite_row(s, find, &row, err))
		return false;
	if (!row)
		return add_report(s, body, out, err);
	edge = sqlite3_column_int64(find, 1);
	digest = sqlite3_column_blob(find, 2);
	out->verdict = sqlite3_column_bytes(find, 2) == 32 &&
		memcmp(digest, body->digest, 32) == 0 ? REPORT_SAME
						      : REPORT_CONFLICT;
	sqlite3_reset(find);
	return group_of_edge(s, edge, out->group, err);
}

static bool give_up(struct sqlite *s, int64_t number, const char *why,
		    struct error *err)
{
	sqlite3_stmt *set = sqlite_prepare(s, SQL_JOB_GIVE_UP, err);

	if (set == NULL)
		return false;
	sqlite_int(set, 1, number);
	sqlite_text(set, 2, slice_of(why));
	return sqlite_run(s, set, err);
}

static bool run_number(struct sqlite *s, enum sql which, int64_t number,
		       struct error *err)
{
	sqlite3_stmt *run = sqlite_prepare(s, which, err);

	if (run == NULL)
		return false;
	sqlite_int(run, 1, number);
	return sqlite_run(s, run, err);
}

/* Attempts are counted here, in the transaction before the job is handed out:
 * a job that takes the whole collector down is counted too. */
bool sqlite_claim(struct store *store, struct job *out, bool *found,
		  struct error *err)
{
	struct sqlite *s = (struct sqlite *)store;

	for (;;) {
		sqlite3_stmt *next = sqlite_prepare(s, SQL_JOB_NEXT, err);
		int64_t number;

		if (next == NULL)
			return false;
		sqlite_int(next, 1, s->now_ms);
		if (!sqlite_row(s, next, found, err))
			return false;
		if (!*found)
			return true;
		number = sqlite3_column_int64(next, 0);
		memset(out, 0, sizeof(*out));
		if (sqlite3_column_bytes(next, 1) == 16)
			memcpy(out->id, sqlite3_column_blob(next, 1), 16);
		out->attempt = (uint32_t)sqlite3_column_int(next, 2) + 1;
		text_copy(out->file, sizeof(out->file),
			  sqlite_column(next, 3));
		sqlite3_reset(next);
		if (out->attempt <= STORE_ATTEMPTS)
			return run_number(s, SQL_JOB_START, number, err);
		if (!give_up(s, number, "no attempt came to an end", err))
			return false;
	}
}

static bool retry(struct sqlite *s, int64_t number, uint32_t attempts,
		  int64_t wait_ms, struct slice detail, struct error *err)
{
	sqlite3_stmt *set = sqlite_prepare(s, SQL_JOB_RETRY, err);

	if (set == NULL)
		return false;
	sqlite_int(set, 1, number);
	sqlite_int(set, 2, attempts);
	sqlite_int(set, 3, s->now_ms + wait_ms);
	sqlite_text(set, 4, detail);
	return sqlite_run(s, set, err);
}

static bool finish_failed(struct sqlite *s, const struct job_done *done,
			  int64_t number, uint32_t attempts,
			  bool *quarantined, struct error *err)
{
	char why[512];

	if (done->outcome == JOB_OUTAGE)
		return retry(s, number, attempts > 0 ? attempts - 1 : 0,
			     OUTAGE_MS, done->detail, err);
	if (attempts < STORE_ATTEMPTS)
		return retry(s, number, attempts,
			     (int64_t)BACK_OFF_MS << attempts, done->detail,
			     err);
	*quarantined = true;
	slice_copy(done->detail, why, sizeof(why));
	return give_up(s, number, why, err);
}

bool sqlite_finish(struct store *store, const struct job_done *done,
		   bool *quarantined, struct error *err)
{
	struct sqlite *s = (struct sqlite *)store;
	sqlite3_stmt *find = sqlite_prepare(s, SQL_REPORT_FIND, err);
	struct lacking of = { 0, 0, 0 };
	uint32_t attempts;
	bool row;

	*quarantined = false;
	if (find == NULL)
		return false;
	sqlite_blob(find, 1, done->id, sizeof(done->id));
	if (!sqlite_row(s, find, &row, err))
		return false;
	of.report = row ? sqlite3_column_int64(find, 0) : 0;
	of.edge = row ? sqlite3_column_int64(find, 1) : 0;
	of.claimed = row ? sqlite3_column_int64(find, 5) : 0;
	attempts = row ? (uint32_t)sqlite3_column_int(find, 3) : 0;
	sqlite3_reset(find);
	if (!row) /* it was too old meanwhile */
		return true;
	if (done->outcome != JOB_DONE)
		return finish_failed(s, done, of.report, attempts, quarantined,
				     err);
	return put_document(s, of.report, true, done->document, err) &&
	       run_number(s, SQL_JOB_FINISH, of.report, err) &&
	       symbols_lacked(s, &of, done, err) &&
	       group_symbolized(s, of.edge, done, err);
}

bool sqlite_release(struct store *store, struct error *err)
{
	struct sqlite *s = (struct sqlite *)store;

	return sqlite_run(s, sqlite_prepare(s, SQL_JOB_RELEASE, err), err);
}

bool sqlite_pending(struct store *store, uint64_t *count_out,
		    struct error *err)
{
	struct sqlite *s = (struct sqlite *)store;
	sqlite3_stmt *count = sqlite_prepare(s, SQL_JOB_PENDING, err);
	bool row;

	if (count == NULL || !sqlite_row(s, count, &row, err))
		return false;
	*count_out = row ? (uint64_t)sqlite3_column_int64(count, 0) : 0;
	sqlite3_reset(count);
	return true;
}

/* Rows of reports to delete, read before the first is deleted. */
struct doomed {
	int64_t number, edge;
	uint8_t id[16];
	char file[WIRE_FILE];
};

static bool collect(struct sqlite *s, sqlite3_stmt *find,
		    struct doomed *doomed, size_t cap, size_t *len_out,
		    struct error *err)
{
	bool row = true;
	size_t len = 0;

	while (len < cap) {
		struct doomed *d = &doomed[len];

		if (!sqlite_row(s, find, &row, err))
			return false;
		if (!row)
			break;
		d->number = sqlite3_column_int64(find, 0);
		if (sqlite3_column_bytes(find, 1) == 16)
			memcpy(d->id, sqlite3_column_blob(find, 1), 16);
		text_copy(d->file, sizeof(d->file), sqlite_column(find, 2));
		d->edge = sqlite3_column_int64(find, 3);
		len++;
	}
	sqlite3_reset(find);
	*len_out = len;
	return true;
}

/* Delete, in one transaction, up to 100 reports that FIND gives. */
static bool delete_reports(struct sqlite *s, sqlite3_stmt *find, bool seen_too,
			   struct error *err)
{
	struct doomed doomed[100];
	sqlite3_stmt *seen;
	size_t len;

	if (!collect(s, find, doomed, 100, &len, err))
		return false;
	for (size_t i = 0; i < len; i++) {
		/* A file without a row is litter; a row without its file would
		 * be a lie: but a crash here leaves one, which then fails to
		 * symbolize and goes with the next round. */
		unlink(doomed[i].file);
		if (!run_number(s, SQL_REPORT_DELETE, doomed[i].number, err) ||
		    !run_number(s, SQL_DOCUMENT_DELETE, doomed[i].number,
				err) ||
		    !symbols_forget(s, doomed[i].number, err) ||
		    !count_body(s, doomed[i].edge, -1, err))
			return false;
		seen = seen_too ? sqlite_prepare(s, SQL_SEEN_DELETE, err)
				: NULL;
		if (seen != NULL)
			sqlite_blob(seen, 1, doomed[i].id, 16);
		if (seen_too && !sqlite_run(s, seen, err))
			return false;
	}
	return true;
}

/* The smallest id that is still within retention. */
static void oldest_id(const struct sqlite *s, uint8_t id[16])
{
	int64_t oldest = s->now_ms - s->retention_ms;

	memset(id, 0, 16);
	for (int i = 5; i >= 0; i--) {
		id[i] = (uint8_t)oldest;
		oldest >>= 8;
	}
}

bool sqlite_tidy(struct store *store, struct error *err)
{
	struct sqlite *s = (struct sqlite *)store;
	sqlite3_stmt *canary = sqlite_prepare(s, SQL_CANARY_OLD, err);
	sqlite3_stmt *old = sqlite_prepare(s, SQL_REPORTS_OLD, err);
	sqlite3_stmt *seen = sqlite_prepare(s, SQL_SEEN_OLD, err);
	uint8_t id[16];

	if (canary == NULL || old == NULL || seen == NULL)
		return false;
	oldest_id(s, id);
	sqlite_int(canary, 1, s->now_ms - CANARY_KEEP_MS);
	sqlite_blob(old, 1, id, sizeof(id));
	sqlite_blob(seen, 1, id, sizeof(id));
	return delete_reports(s, canary, true, err) &&
	       delete_reports(s, old, false, err) && sqlite_run(s, seen, err);
}
