/* Groups: provisional at first, named once a report is symbolized, merged
 * where two turn out to be one. In the store role. */
#include "sqlite.h"

#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "../lib/report/siginfo.h"
#include "text.h"

/* What a provisional group is called: "SIGSEGV in python3.11". */
static void make_title(const struct hit *hit, char signal[16], char *title,
		       size_t cap)
{
	const char *name = signal_name((int)hit->signal);
	const char *slash = hit->exe.len > 0 ?
		memrchr(hit->exe.bytes, '/', hit->exe.len) : NULL;
	struct slice exe = hit->exe;

	if (name != NULL)
		text_copy(signal, 16, name);
	else
		snprintf(signal, 16, "SIG%u", hit->signal);
	if (slash != NULL) {
		exe.bytes = slash + 1;
		exe.len = hit->exe.len - (size_t)(exe.bytes - hit->exe.bytes);
	}
	if (exe.len == 0)
		snprintf(title, cap, "%s", signal);
	else
		snprintf(title, cap, "%s in %.*s", signal,
			 exe.len > 200 ? 200 : (int)exe.len, exe.bytes);
}

static bool new_name(char out[WIRE_GROUP], struct error *err)
{
	uint8_t random[8];

	if (getrandom(random, sizeof(random), 0) != sizeof(random))
		return fail_errno(err, "random bytes");
	text_hex(random, sizeof(random), out);
	return true;
}

bool group_add(struct sqlite *s, const struct hit *hit, int64_t *out,
	       struct error *err)
{
	char name[WIRE_GROUP], signal[16], title[256];
	sqlite3_stmt *add = sqlite_prepare(s, SQL_GROUP_ADD, err);

	if (add == NULL || !new_name(name, err))
		return false;
	make_title(hit, signal, title, sizeof(title));
	sqlite_text(add, 1, slice_of(name));
	sqlite_int(add, 2, hit->canary);
	sqlite_text(add, 3, slice_of(title));
	sqlite_text(add, 4, slice_of(signal));
	sqlite_int(add, 5, hit->time_ms);
	if (!sqlite_run(s, add, err))
		return false;
	*out = sqlite3_last_insert_rowid(s->db);
	return true;
}

bool group_name(struct sqlite *s, int64_t number, char out[WIRE_GROUP],
		struct error *err)
{
	sqlite3_stmt *find = sqlite_prepare(s, SQL_GROUP_NAME, err);
	bool row;

	if (find == NULL)
		return false;
	sqlite_int(find, 1, number);
	if (!sqlite_row(s, find, &row, err))
		return false;
	text_copy(out, WIRE_GROUP, row ? sqlite_column(find, 0) : "");
	sqlite3_reset(find);
	return true;
}

static bool audit(struct sqlite *s, struct slice who, const char *what,
		  struct error *err)
{
	sqlite3_stmt *add = sqlite_prepare(s, SQL_AUDIT_ADD, err);

	if (add == NULL)
		return false;
	sqlite_int(add, 1, s->now_ms);
	sqlite_text(add, 2, who);
	sqlite_text(add, 3, slice_of(what));
	return sqlite_run(s, add, err);
}

/* Why an edge leads where it does now. */
struct reason {
	const char *why;
	struct slice who;
};

static bool move_edges(struct sqlite *s, enum sql which, int64_t from,
		       int64_t to, const struct reason *reason,
		       struct error *err)
{
	sqlite3_stmt *move = sqlite_prepare(s, which, err);

	if (move == NULL)
		return false;
	sqlite_int(move, 1, from);
	sqlite_int(move, 2, to);
	sqlite_text(move, 3, slice_of(reason->why));
	sqlite_text(move, 4, reason->who);
	sqlite_int(move, 5, s->now_ms);
	return sqlite_run(s, move, err);
}

static bool with_numbers(struct sqlite *s, enum sql which, int64_t one,
			 int64_t two, struct error *err)
{
	sqlite3_stmt *run = sqlite_prepare(s, which, err);

	if (run == NULL)
		return false;
	sqlite_int(run, 1, one);
	if (sqlite3_bind_parameter_count(run) > 1)
		sqlite_int(run, 2, two);
	return sqlite_run(s, run, err);
}

static bool with_text(struct sqlite *s, enum sql which, int64_t group,
		      struct slice text, struct error *err)
{
	sqlite3_stmt *run = sqlite_prepare(s, which, err);

	if (run == NULL)
		return false;
	sqlite_int(run, 1, group);
	sqlite_text(run, 2, text);
	return sqlite_run(s, run, err);
}

/* FROM becomes TO, for ever: its edges lead to TO, its id answers with TO. */
static bool merge(struct sqlite *s, int64_t from, int64_t to,
		  const struct reason *reason, struct error *err)
{
	char what[512], from_name[WIRE_GROUP], to_name[WIRE_GROUP];

	if (!edge_flush(s, err) || !group_name(s, from, from_name, err) ||
	    !group_name(s, to, to_name, err))
		return false;
	snprintf(what, sizeof(what), "merge %s into %s: %s", from_name,
		 to_name, reason->why);
	if (!move_edges(s, SQL_EDGES_MOVE, from, to, reason, err) ||
	    !with_numbers(s, SQL_GROUP_MERGED, from, to, err) ||
	    !with_numbers(s, SQL_GROUP_RECOUNT, to, 0, err) ||
	    !audit(s, reason->who, what, err))
		return false;
	edge_moved(s, from, to);
	return true;
}

/* What finish and admin need to know of a group. */
struct group_state {
	bool named;
	bool resolved;
};

static bool group_state(struct sqlite *s, int64_t group,
			struct group_state *out, struct error *err)
{
	sqlite3_stmt *find = sqlite_prepare(s, SQL_GROUP_FIND, err);
	bool row;

	if (find == NULL)
		return false;
	sqlite_int(find, 1, group);
	if (!sqlite_row(s, find, &row, err))
		return false;
	memset(out, 0, sizeof(*out));
	if (row) {
		out->named = sqlite3_column_int(find, 0) != 0;
		out->resolved = strcmp(sqlite_column(find, 1),
				       "resolved") == 0;
	}
	sqlite3_reset(find);
	return true;
}

/* The semantic edge for DONE's fingerprint: *GROUP is 0 where there is none. */
static bool find_semantic(struct sqlite *s, const struct job_done *done,
			  int64_t *group, struct error *err)
{
	sqlite3_stmt *find = sqlite_prepare(s, SQL_EDGE_FIND, err);
	bool row;

	if (find == NULL)
		return false;
	sqlite_int(find, 1, EDGE_SEMANTIC);
	sqlite_blob(find, 2, done->semantic, sizeof(done->semantic));
	if (!sqlite_row(s, find, &row, err))
		return false;
	*group = row ? sqlite3_column_int64(find, 1) : 0;
	sqlite3_reset(find);
	return true;
}

static bool add_semantic(struct sqlite *s, const struct job_done *done,
			 int64_t group, const char *why, struct error *err)
{
	sqlite3_stmt *add = sqlite_prepare(s, SQL_EDGE_ADD, err);

	if (add == NULL)
		return false;
	sqlite_int(add, 1, EDGE_SEMANTIC);
	sqlite_blob(add, 2, done->semantic, sizeof(done->semantic));
	sqlite_int(add, 3, group);
	sqlite_text(add, 4, slice_of(why));
	sqlite_text(add, 5, slice_of("collector"));
	sqlite_int(add, 6, s->now_ms);
	sqlite_int(add, 7, s->now_ms);
	return sqlite_run(s, add, err);
}

/* One that lacks symbols of what it is called by stays provisional: it gets
 * another title once they are there, or turns out to be another group. */
static bool set_title(struct sqlite *s, const struct job_done *done,
		      int64_t group, struct error *err)
{
	sqlite3_stmt *run = sqlite_prepare(s, SQL_GROUP_TITLE, err);

	if (run == NULL)
		return false;
	sqlite_int(run, 1, group);
	sqlite_text(run, 2, done->title);
	sqlite_text(run, 3, done->reason);
	sqlite_text(run, 4, done->signal);
	sqlite_int(run, 5, !done->is_partial);
	return sqlite_run(s, run, err);
}

/* A fingerprint nobody has seen came to a group that was called resolved. */
static bool regress(struct sqlite *s, int64_t group, struct error *err)
{
	char what[128], name[WIRE_GROUP];

	if (!group_name(s, group, name, err))
		return false;
	snprintf(what, sizeof(what), "regressed %s: a new fingerprint of the "
		 "same crash", name);
	return with_text(s, SQL_GROUP_STATUS, group, slice_of("regressed"),
			 err) &&
	       audit(s, slice_of("collector"), what, err);
}

static bool edge_group(struct sqlite *s, int64_t edge, int64_t *out,
		       struct error *err)
{
	sqlite3_stmt *find = sqlite_prepare(s, SQL_EDGE_BY_ID, err);
	bool row;

	if (find == NULL)
		return false;
	sqlite_int(find, 1, edge);
	if (!sqlite_row(s, find, &row, err))
		return false;
	*out = row ? sqlite3_column_int64(find, 2) : 0;
	sqlite3_reset(find);
	return row || fail(err, ERR_NOT_FOUND, "edge %lld",
			   (long long)edge);
}

bool group_symbolized(struct sqlite *s, int64_t edge,
		      const struct job_done *done, struct error *err)
{
	struct group_state from, to;
	struct reason reason = { NULL, slice_of("collector") };
	char why[128], id[37];
	int64_t group, other;

	if (!done->has_semantic)
		return true;
	if (!edge_group(s, edge, &group, err) ||
	    !find_semantic(s, done, &other, err) ||
	    !group_state(s, group, &from, err))
		return false;
	text_uuid(done->id, id);
	snprintf(why, sizeof(why), "report %s has these functions", id);
	reason.why = why;
	if (other == 0 && !add_semantic(s, done, group, why, err))
		return false;
	/* A group that has a name of its own stays: history is not rewritten
	 * because symbols were found or lost later. */
	if (from.named)
		return true;
	if (other == 0 || other == group)
		return set_title(s, done, group, err);
	if (!merge(s, group, other, &reason, err) ||
	    !group_state(s, other, &to, err))
		return false;
	return !to.resolved || regress(s, other, err);
}

static bool answer(struct admin_done *out, unsigned status, const char *why)
{
	out->status = status;
	text_copy(out->why, sizeof(out->why), why);
	return true;
}

/* *GROUP is 0 where there is none of that name. */
static bool by_name(struct sqlite *s, struct slice name, int64_t *group,
		    struct error *err)
{
	sqlite3_stmt *find = sqlite_prepare(s, SQL_GROUP_BY_NAME, err);
	bool row;

	if (find == NULL)
		return false;
	sqlite_text(find, 1, name);
	if (!sqlite_row(s, find, &row, err))
		return false;
	*group = row && sqlite3_column_int(find, 1) == 0 ?
		sqlite3_column_int64(find, 0) : 0;
	sqlite3_reset(find);
	return true;
}

static bool is_status(struct slice status)
{
	return slice_is(status, "open") || slice_is(status, "resolved") ||
	       slice_is(status, "ignored");
}

static bool admin_set(struct sqlite *s, const struct admin *admin,
		      int64_t group, struct admin_done *out, struct error *err)
{
	char what[256];

	if (admin->status.len > 0 && !is_status(admin->status))
		return answer(out, 400, "status is open, resolved or ignored");
	if (admin->status.len > 0 &&
	    !with_text(s, SQL_GROUP_STATUS, group, admin->status, err))
		return false;
	if (admin->has_note &&
	    !with_text(s, SQL_GROUP_NOTE, group, admin->note, err))
		return false;
	snprintf(what, sizeof(what), "set %s: status \"%.*s\"%s", out->group,
		 (int)admin->status.len, admin->status.len > 0 ?
		 admin->status.bytes : "", admin->has_note ? ", note" : "");
	return audit(s, admin->who, what, err) && answer(out, 200, "");
}

static bool admin_merge(struct sqlite *s, const struct admin *admin,
			int64_t group, struct admin_done *out,
			struct error *err)
{
	struct reason reason = { "merged by hand", admin->who };
	int64_t into;

	if (!by_name(s, admin->other, &into, err))
		return false;
	if (into == 0)
		return answer(out, 404, "no group to merge into");
	if (into == group)
		return answer(out, 409, "it is the same group already");
	return merge(s, group, into, &reason, err) &&
	       group_name(s, into, out->group, err) && answer(out, 200, "");
}

/* The exact edge of a report: *EDGE is 0 where there is no such report. */
static bool report_edge(struct sqlite *s, struct slice id, int64_t *edge,
			struct error *err)
{
	sqlite3_stmt *find = sqlite_prepare(s, SQL_REPORT_FIND, err);
	uint8_t bytes[16];
	char text[40];
	bool row;

	*edge = 0;
	slice_copy(id, text, sizeof(text));
	if (find == NULL)
		return false;
	if (!text_parse_uuid(text, bytes))
		return true;
	sqlite_blob(find, 1, bytes, sizeof(bytes));
	if (!sqlite_row(s, find, &row, err))
		return false;
	if (row)
		*edge = sqlite3_column_int64(find, 1);
	sqlite3_reset(find);
	return true;
}

/* The report's fingerprint gets a group of its own: a copy, with its counts,
 * and named, so that no symbolizing merges it back. */
static bool split(struct sqlite *s, int64_t edge, int64_t group,
		  const struct admin *admin, struct admin_done *out,
		  struct error *err)
{
	struct reason reason = { "split by hand", admin->who };
	sqlite3_stmt *copy;
	char name[WIRE_GROUP], what[128];
	int64_t fresh;

	if (!edge_flush(s, err) || !new_name(name, err))
		return false;
	copy = sqlite_prepare(s, SQL_GROUP_COPY, err);
	if (copy == NULL)
		return false;
	sqlite_int(copy, 1, group);
	sqlite_text(copy, 2, slice_of(name));
	if (!sqlite_run(s, copy, err))
		return false;
	fresh = sqlite3_last_insert_rowid(s->db);
	snprintf(what, sizeof(what), "split %s out of %s", name, out->group);
	if (!move_edges(s, SQL_EDGE_MOVE, edge, fresh, &reason, err) ||
	    !with_numbers(s, SQL_GROUP_RECOUNT, group, 0, err) ||
	    !with_numbers(s, SQL_GROUP_RECOUNT, fresh, 0, err) ||
	    !audit(s, admin->who, what, err))
		return false;
	edge_forget_all(s);
	text_copy(out->group, sizeof(out->group), name);
	return answer(out, 200, "");
}

static bool count_edges(struct sqlite *s, int64_t group, int64_t *out,
			struct error *err)
{
	sqlite3_stmt *find = sqlite_prepare(s, SQL_GROUP_EDGES, err);
	bool row;

	if (find == NULL)
		return false;
	sqlite_int(find, 1, group);
	if (!sqlite_row(s, find, &row, err))
		return false;
	*out = row ? sqlite3_column_int64(find, 0) : 0;
	sqlite3_reset(find);
	return true;
}

static bool admin_split(struct sqlite *s, const struct admin *admin,
			int64_t group, struct admin_done *out,
			struct error *err)
{
	int64_t edge, of, edges;

	if (!report_edge(s, admin->other, &edge, err))
		return false;
	if (edge == 0)
		return answer(out, 404, "no such report");
	if (!edge_group(s, edge, &of, err) ||
	    !count_edges(s, group, &edges, err))
		return false;
	if (of != group)
		return answer(out, 409, "the report is not in that group");
	if (edges < 2)
		return answer(out, 409, "all of the group has that "
			      "fingerprint: there is nothing to split");
	return split(s, edge, group, admin, out, err);
}

bool sqlite_admin(struct store *store, const struct admin *admin,
		  struct admin_done *out, struct error *err)
{
	struct sqlite *s = (struct sqlite *)store;
	int64_t group;

	memset(out, 0, sizeof(*out));
	if (!by_name(s, admin->group, &group, err))
		return false;
	if (group == 0)
		return answer(out, 404, "no such group");
	if (!group_name(s, group, out->group, err))
		return false;
	switch (admin->verb) {
	case ADMIN_MERGE:
		return admin_merge(s, admin, group, out, err);
	case ADMIN_SPLIT:
		return admin_split(s, admin, group, out, err);
	default:
		return admin_set(s, admin, group, out, err);
	}
}
