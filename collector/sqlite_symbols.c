/* Which modules' symbols reports lack, and what happens when they come: those
 * reports wait to be symbolized again, a few at a time, so that nobody else
 * waits for a file that concerns a million. In the store role.
 *
 * Files are numbered as they arrive; of a report it is known which was the last
 * when its job began (clocks may be set back). A lack belongs to the generation
 * of its module's files that the job could know. `lack` is ordered so that all
 * of a module's that are older than the newest file are one range, in which the
 * first report of each fingerprint comes first. */
#include "sqlite.h"

#include <string.h>

enum { AT_ONCE = 100 }; /* reports, in one transaction: some milliseconds */

bool symbols_forget(struct sqlite *s, int64_t report, struct error *err)
{
	sqlite3_stmt *drop = sqlite_prepare(s, SQL_LACK_DELETE, err);

	if (drop == NULL)
		return false;
	sqlite_int(drop, 1, report);
	return sqlite_run(s, drop, err);
}

static void bind_id(sqlite3_stmt *statement, int at, const struct build_id *id)
{
	sqlite_blob(statement, at, id->bytes, id->len);
}

static bool add_wanted(struct sqlite *s, const struct lack *lack,
		       struct error *err)
{
	sqlite3_stmt *add = sqlite_prepare(s, SQL_WANTED_ADD, err);

	if (add == NULL)
		return false;
	bind_id(add, 1, &lack->id);
	sqlite_text(add, 2, lack->path);
	return sqlite_run(s, add, err);
}

/* A file that came after the job had begun may have come too late for it. */
static bool add_lack(struct sqlite *s, const struct lacking *of,
		     const struct lack *lack, struct error *err)
{
	sqlite3_stmt *add, *late;

	if (!add_wanted(s, lack, err))
		return false;
	add = sqlite_prepare(s, SQL_LACK_ADD, err);
	if (add == NULL)
		return false;
	bind_id(add, 1, &lack->id);
	sqlite_int(add, 2, of->edge);
	sqlite_int(add, 3, of->report);
	sqlite_int(add, 4, lack->frames);
	sqlite_int(add, 5, of->claimed);
	if (!sqlite_run(s, add, err))
		return false;
	late = sqlite_prepare(s, SQL_WANTED_LATE, err);
	if (late == NULL)
		return false;
	bind_id(late, 1, &lack->id);
	sqlite_int(late, 2, of->claimed);
	return sqlite_run(s, late, err);
}

bool symbols_lacked(struct sqlite *s, const struct lacking *of,
		    const struct job_done *done, struct error *err)
{
	if (!symbols_forget(s, of->report, err))
		return false;
	for (size_t i = 0; i < done->nlacks; i++) {
		if (!add_lack(s, of, &done->lacks[i], err))
			return false;
	}
	return true;
}

bool sqlite_arrived(struct store *store, const struct build_id *id,
		    struct error *err)
{
	static const enum sql steps[] = { SQL_WANTED_ARRIVED,
					  SQL_WANTED_ARRIVED_GUID };
	struct sqlite *s = (struct sqlite *)store;

	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		sqlite3_stmt *run = sqlite_prepare(s, steps[i], err);

		if (run == NULL)
			return false;
		bind_id(run, 1, id);
		if (!sqlite_run(s, run, err))
			return false;
	}
	return true;
}

/* A module whose newest file is not known to all its reports. */
struct fresh {
	struct build_id id;
	int64_t arrivals;
};

static bool next_fresh(struct sqlite *s, struct fresh *out, bool *found,
		       struct error *err)
{
	sqlite3_stmt *find = sqlite_prepare(s, SQL_WANTED_NEXT, err);
	int len;

	if (find == NULL || !sqlite_row(s, find, found, err))
		return false;
	memset(out, 0, sizeof(*out));
	len = *found ? sqlite3_column_bytes(find, 0) : 0;
	if (len > 0 && len <= MAX_BUILD_ID) {
		memcpy(out->id.bytes, sqlite3_column_blob(find, 0),
		       (size_t)len);
		out->id.len = (uint8_t)len;
		out->arrivals = sqlite3_column_int64(find, 1);
	}
	sqlite3_reset(find);
	return true;
}

static bool collect(struct sqlite *s, const struct fresh *fresh,
		    int64_t *reports, size_t *n, struct error *err)
{
	sqlite3_stmt *find = sqlite_prepare(s, SQL_LACK_NEXT, err);
	bool row = true;

	*n = 0;
	if (find == NULL)
		return false;
	bind_id(find, 1, &fresh->id);
	sqlite_int(find, 2, fresh->arrivals);
	sqlite_int(find, 3, AT_ONCE);
	while (*n < AT_ONCE) {
		if (!sqlite_row(s, find, &row, err))
			return false;
		if (!row)
			break;
		reports[(*n)++] = sqlite3_column_int64(find, 0);
	}
	sqlite3_reset(find);
	return true;
}

/* REPORT waits again, behind those that never had their turn; one whose turn
 * it is just now will tell itself whether it still lacks anything. */
static bool revisit(struct sqlite *s, const struct fresh *fresh,
		    int64_t report, struct error *err)
{
	sqlite3_stmt *again = sqlite_prepare(s, SQL_JOB_AGAIN, err), *drop;

	if (again == NULL)
		return false;
	sqlite_int(again, 1, report);
	sqlite_int(again, 2, s->now_ms);
	if (!sqlite_run(s, again, err))
		return false;
	drop = sqlite_prepare(s, SQL_LACK_DROP, err);
	if (drop == NULL)
		return false;
	bind_id(drop, 1, &fresh->id);
	sqlite_int(drop, 2, report);
	return sqlite_run(s, drop, err);
}

bool sqlite_revisit(struct store *store, bool *more, struct error *err)
{
	struct sqlite *s = (struct sqlite *)store;
	int64_t reports[AT_ONCE];
	sqlite3_stmt *run;
	struct fresh fresh;
	size_t n;

	if (!next_fresh(s, &fresh, more, err))
		return false;
	if (!*more)
		return true;
	if (!collect(s, &fresh, reports, &n, err))
		return false;
	for (size_t i = 0; i < n; i++) {
		if (!revisit(s, &fresh, reports[i], err))
			return false;
	}
	if (n == AT_ONCE)
		return true;
	run = sqlite_prepare(s, SQL_WANTED_TOLD, err);
	if (run == NULL)
		return false;
	bind_id(run, 1, &fresh.id);
	return sqlite_run(s, run, err);
}
