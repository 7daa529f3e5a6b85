/* The JSON API's reading half, in the web role. Documents of reports are
 * parsed and written anew, so that what goes out is JSON whatever came in. */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include "../lib/report/clock.h"
#include "text.h"
#include "web.h"

enum { DUMP_CHUNK = 65536 };

static void put_name(void *context, const char *value, uint64_t count)
{
	struct writer *out = context;

	(void)count;
	if (out->bytes[out->len - 1] != '[')
		text_put(out, ",");
	text_string(out, value);
}

static bool put_names(const struct query *query, int64_t group,
		      enum facet facet, const char *key, uint32_t limit,
		      struct writer *out, struct error *err)
{
	text_format(out, ",\"%s\":[", key);
	if (!query->reader->ops->facets(query->reader, group, facet, limit,
					put_name, out, err))
		return false;
	text_put(out, "]");
	return true;
}

/* The members that a list and a group have in common, without the brace that
 * ends them. */
static bool put_group(const struct query *query, const struct group_row *row,
		      struct writer *out, struct error *err)
{
	text_put(out, "{\"id\":");
	text_string(out, row->id);
	text_put(out, ",\"title\":");
	text_string(out, row->title);
	text_put(out, ",\"reason\":");
	text_string(out, row->reason);
	text_put(out, ",\"signal\":");
	text_string(out, row->signal);
	text_put(out, ",\"status\":");
	text_string(out, row->status);
	text_format(out, ",\"count\":%" PRIu64 ",\"first_seen\":", row->count);
	text_time(out, row->first_ms);
	text_put(out, ",\"last_seen\":");
	text_time(out, row->last_ms);
	text_format(out, ",\"hosts\":%" PRIu64, row->hosts);
	return put_names(query, row->number, FACET_RELEASE, "releases",
			 WEB_NAMES, out, err);
}

void api_groups(const struct query *query, struct answer *answer)
{
	struct group_query wish = {
		.text = query->q, .status = query->status,
		.limit = query->limit + 1, .has_after = query->has_after,
		.after_ms = query->after_ms,
		.after_number = query->after_number,
	};
	struct group_list list = { NULL, 0, 0, false };
	struct writer *out = &answer->body;
	struct error err;
	char next[64];
	size_t n;
	bool ok;

	ok = query->reader->ops->groups(query->reader, &wish, group_list_add,
					&list, &err);
	n = list.len > query->limit ? query->limit : list.len;
	text_put(out, "{\"groups\":[");
	for (size_t i = 0; ok && i < n; i++) {
		text_put(out, i > 0 ? "," : "");
		ok = put_group(query, &list.groups[i].row, out, &err);
		text_put(out, "}");
	}
	text_put(out, "],\"next\":");
	if (ok && list.len > n) {
		web_after(&list.groups[n - 1].row, next, sizeof(next));
		text_string(out, next);
	} else {
		text_put(out, "null");
	}
	text_put(out, "}\n");
	out->bad |= list.bad;
	if (!ok)
		web_failed(answer, &err);
	group_list_free(&list);
}

/* Append JSON as text. */
static int put_chunk(const char *bytes, size_t len, void *context)
{
	writer_bytes(context, bytes, len);
	return ((struct writer *)context)->bad ? -1 : 0;
}

static void put_json(struct writer *out, const json_t *json)
{
	if (json_dump_callback(json, put_chunk, out,
			       JSON_COMPACT | JSON_ENCODE_ANY) != 0)
		out->bad = true;
}

/* The reports of a group while they are listed; the first is the best. */
struct report_ids {
	struct writer *out;
	int64_t best;
	size_t n;
};

static void put_report_id(void *context, const struct report_row *row)
{
	struct report_ids *ids = context;
	char id[37];

	text_uuid(row->id, id);
	text_format(ids->out, "%s\"%s\"", ids->n > 0 ? "," : "", id);
	if (ids->n++ == 0)
		ids->best = row->number;
}

struct edge_lists {
	struct writer exact, semantic;
	char why[256]; /* the newest of the semantic edges' reasons */
	int64_t at_ms;
};

static void put_edge(void *context, const struct edge_row *row)
{
	struct edge_lists *lists = context;
	struct writer *out = row->kind == EDGE_SEMANTIC ? &lists->semantic
							: &lists->exact;
	char hex[33];

	text_hex(row->fingerprint, 16, hex);
	text_format(out, "%s{\"fingerprint\":\"%s\"", out->len > 0 ? "," : "",
		    hex);
	if (row->kind != EDGE_SEMANTIC)
		text_format(out, ",\"count\":%" PRIu64, row->count);
	text_put(out, ",\"why\":");
	text_string(out, row->why);
	text_put(out, ",\"who\":");
	text_string(out, row->who);
	text_put(out, ",\"at\":");
	text_time(out, row->at_ms);
	text_put(out, "}");
	if (row->at_ms >= lists->at_ms) {
		lists->at_ms = row->at_ms;
		text_copy(lists->why, sizeof(lists->why), row->why);
	}
}

static bool put_edges(const struct query *query, int64_t group,
		      struct writer *out, struct error *err)
{
	struct edge_lists lists = { .at_ms = 0 };
	bool ok;

	writer_init(&lists.exact, 1 << 20);
	writer_init(&lists.semantic, 1 << 20);
	ok = query->reader->ops->edges(query->reader, group, put_edge, &lists,
				       err);
	text_put(out, ",\"fingerprints\":{\"semantic\":[");
	writer_bytes(out, lists.semantic.bytes, lists.semantic.len);
	text_put(out, "],\"exact\":[");
	writer_bytes(out, lists.exact.bytes, lists.exact.len);
	text_put(out, "]},\"why\":");
	text_string(out, lists.why);
	out->bad |= lists.exact.bad || lists.semantic.bad;
	writer_fini(&lists.exact);
	writer_fini(&lists.semantic);
	return ok;
}

static bool put_best(const struct query *query, int64_t best,
		     struct writer *out, struct error *err)
{
	bool named;
	json_t *json;

	text_put(out, ",\"report\":");
	if (best == 0) {
		text_put(out, "null");
		return true;
	}
	json = web_document(query, best, &named, err);
	if (json == NULL && err->code != ERR_NOT_FOUND)
		return false;
	if (json == NULL)
		text_put(out, "null");
	else
		put_json(out, json);
	json_decref(json);
	return true;
}

static bool one_group(const struct query *query, struct group_list *list,
		      struct error *err)
{
	if (!query->reader->ops->group(query->reader, query->id,
				       group_list_add, list, err))
		return false;
	if (list->bad || list->len != 1)
		return fail(err, ERR_NO_MEMORY, "no memory for a group");
	return true;
}

void api_group(const struct query *query, struct answer *answer)
{
	struct group_list list = { NULL, 0, 0, false };
	struct report_ids ids = { &answer->body, 0, 0 };
	struct writer *out = &answer->body;
	const struct group_row *row;
	struct error err;
	bool ok = one_group(query, &list, &err);

	if (ok) {
		row = &list.groups[0].row;
		ok = put_group(query, row, out, &err) &&
		     put_names(query, row->number, FACET_HOST, "host_names",
			       WEB_NAMES, out, &err);
		text_put(out, ",\"note\":");
		text_string(out, row->note);
		text_put(out, ",\"reports\":[");
		ok = ok && query->reader->ops->reports(
			query->reader, row->number, WEB_REPORTS,
			put_report_id, &ids, &err);
		text_put(out, "]");
		ok = ok && put_edges(query, row->number, out, &err) &&
		     put_best(query, ids.best, out, &err);
		text_put(out, "}\n");
	}
	if (!ok)
		web_failed(answer, &err);
	group_list_free(&list);
}

static void put_report_row(void *context, const struct report_row *row)
{
	struct report_ids *ids = context;
	struct writer *out = ids->out;
	char id[37];

	text_uuid(row->id, id);
	text_format(out, "%s{\"id\":\"%s\",\"time\":", ids->n++ > 0 ? "," : "",
		    id);
	text_time(out, row->time_ms);
	text_put(out, ",\"received\":");
	text_time(out, row->received_ms);
	text_put(out, ",\"host\":");
	text_string(out, row->host);
	text_put(out, ",\"release\":");
	text_string(out, row->release);
	text_put(out, ",\"exe\":");
	text_string(out, row->exe);
	text_format(out, ",\"size\":%" PRIu64 ",\"tier\":%d,\"state\":\"%s\","
		    "\"attempts\":%u,\"detail\":", row->size, row->tier,
		    web_state(row->state), row->attempts);
	text_string(out, row->detail);
	text_put(out, "}");
}

void api_group_reports(const struct query *query, struct answer *answer)
{
	struct group_list list = { NULL, 0, 0, false };
	struct report_ids rows = { &answer->body, 0, 0 };
	struct error err;
	bool ok = one_group(query, &list, &err);

	text_put(&answer->body, "{\"reports\":[");
	ok = ok && query->reader->ops->reports(
		query->reader, list.groups[0].row.number, WEB_REPORTS,
		put_report_row, &rows, &err);
	text_put(&answer->body, "]}\n");
	if (!ok)
		web_failed(answer, &err);
	group_list_free(&list);
}

/* What a single report's row has to tell. */
struct found_report {
	int64_t number, edge;
	char file[WIRE_FILE];
};

static void note_report(void *context, const struct report_row *row)
{
	struct found_report *found = context;

	found->number = row->number;
	found->edge = row->edge;
	text_copy(found->file, sizeof(found->file), row->file);
}

static bool find_report(const struct query *query, struct found_report *found,
			struct error *err)
{
	uint8_t id[16];

	if (!text_parse_uuid(query->id, id))
		return fail(err, ERR_NOT_FOUND, "no such report");
	return query->reader->ops->report(query->reader, id, query->canary,
					  note_report, found, err);
}

void api_report(const struct query *query, struct answer *answer)
{
	struct found_report found;
	struct error err;
	json_t *json = NULL;
	bool named;

	if (find_report(query, &found, &err))
		json = web_document(query, found.number, &named, &err);
	if (json == NULL) {
		web_failed(answer, &err);
		return;
	}
	put_json(&answer->body, json);
	text_put(&answer->body, "\n");
	json_decref(json);
}

static bool write_all(int fd, const char *bytes, size_t len)
{
	while (len > 0) {
		ssize_t n = write(fd, bytes, len);

		if (n <= 0)
			return false;
		bytes += n;
		len -= (size_t)n;
	}
	return true;
}

/* Unpack FILE into the new file TO, piece by piece: what comes out may be 128
 * MiB, and need not be in memory for that. */
static bool unpack_file(const struct query *query, const char *file,
			const char *to, struct error *err)
{
	gzFile in = gzopen(file, "rbe");
	int out = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	char chunk[DUMP_CHUNK];
	bool ok = in != NULL && out >= 0;
	int n = 0;

	if (!ok)
		fail(err, ERR_NOT_FOUND, "the dump is not there any more");
	while (ok && (n = gzread(in, chunk, sizeof(chunk))) > 0) {
		if (!write_all(out, chunk, (size_t)n))
			ok = fail_errno(err, "unpack the dump");
		else if (clock_monotonic_ms() > query->deadline_ms)
			ok = fail(err, ERR_TIMEOUT, "unpack the dump");
	}
	if (ok && n < 0)
		ok = fail(err, ERR_SYSTEM, "the dump is damaged");
	if (in != NULL)
		gzclose(in);
	if (out >= 0)
		close(out);
	if (!ok)
		unlink(to);
	return ok;
}

void api_dump(const struct query *query, struct answer *answer)
{
	static uint64_t serial;
	struct found_report found;
	struct error err;
	bool ok = find_report(query, &found, &err);

	if (ok && query->accepts_gzip) {
		text_copy(answer->file, sizeof(answer->file), found.file);
		answer->gzipped = true;
	} else if (ok) {
		snprintf(answer->file, sizeof(answer->file),
			 "incoming/web-%d-%" PRIu64, (int)getpid(), ++serial);
		ok = unpack_file(query, found.file, answer->file, &err);
		answer->remove = true;
	}
	if (!ok) {
		web_failed(answer, &err);
		return;
	}
	answer->type = "application/octet-stream";
	/* The id is a UUID that was found, so it is safe in a header. */
	snprintf(answer->name, sizeof(answer->name), "%.36s.dmp", query->id);
}

void api_core(const struct query *query, struct answer *answer)
{
	struct found_report found;
	struct error err;

	if (!find_report(query, &found, &err)) {
		web_failed(answer, &err);
		return;
	}
	text_copy(answer->file, sizeof(answer->file), found.file);
	answer->as_core = true;
}

static void put_missing(void *context, const struct missing_row *row)
{
	struct writer *out = context;
	char hex[2 * MAX_BUILD_ID + 1];

	build_id_format(&row->id, hex);
	text_format(out, "%s{\"build_id\":\"%s\",\"path\":",
		    out->bytes[out->len - 1] == '[' ? "" : ",", hex);
	text_string(out, row->path);
	text_format(out, ",\"frames\":%" PRIu64 ",\"crashes\":%" PRIu64
		    ",\"groups\":%" PRIu64 "}", row->frames, row->crashes,
		    row->groups);
}

void api_missing(const struct query *query, struct answer *answer)
{
	struct writer *out = &answer->body;
	struct error err;
	bool ok;

	text_put(out, "{\"missing\":[");
	ok = query->reader->ops->missing(query->reader, query->limit,
					 put_missing, out, &err);
	text_put(out, "]}\n");
	if (!ok)
		web_failed(answer, &err);
}
