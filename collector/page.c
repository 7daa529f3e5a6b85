/* The pages: plain HTML, made in the web role, of text that came from
 * anywhere. This is the one file that escapes it: everything that is not a
 * literal goes out through put_text(). */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../lib/report/clock.h"
#include "page_style.h"
#include "text.h"
#include "web.h"

enum {
	SHOWN_FRAMES = 256,   /* of the thread that crashed */
	SHOWN_THREADS = 64,   /* besides it; the JSON has all */
	SHOWN_OTHERS = 64,    /* frames of each of those */
	SHOWN_MODULES = 512,
	SHOWN_REPORTS = 50,
};

/* Append TEXT as HTML text or as the value of a quoted attribute. Bytes that
 * are no UTF-8, and control characters, become U+FFFD. */
static void put_text(struct writer *out, const char *text)
{
	size_t len = text != NULL ? strlen(text) : 0;

	for (size_t i = 0; i < len;) {
		size_t n = text_utf8(text + i, len - i);
		unsigned char c = (unsigned char)text[i];

		if (n == 0 || (c < 0x20 && c != '\n' && c != '\t') ||
		    c == 0x7f)
			text_put(out, "&#xfffd;");
		else if (strchr("<>&\"'", c) != NULL)
			text_format(out, "&#%u;", c);
		else
			writer_bytes(out, text + i, n);
		i += n > 0 ? n : 1;
	}
}

/* Append TEXT as a part of a URL. */
static void put_url(struct writer *out, const char *text)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMN"
				    "OPQRSTUVWXYZ0123456789-_.~";

	for (; text != NULL && *text != '\0'; text++) {
		if (strchr(plain, *text) != NULL)
			writer_bytes(out, text, 1);
		else
			text_format(out, "%%%02X", (unsigned char)*text);
	}
}

static void put_tagged(struct writer *out, const char *before,
		       const char *text, const char *after)
{
	text_put(out, before);
	put_text(out, text);
	text_put(out, after);
}

static const char *member(const json_t *object, const char *key)
{
	return json_string_value(json_object_get(object, key));
}

static void put_header(struct writer *out, const char *title, const char *q,
		       const char *status)
{
	static const char *const statuses[] = { "open", "regressed",
						"resolved", "ignored" };

	text_put(out, "<!doctype html><html lang=\"en\"><meta charset=utf-8>"
		 "<meta name=viewport content=\"width=device-width\"><title>");
	put_text(out, title);
	text_put(out, "</title><style>");
	text_put(out, page_style);
	text_put(out, "</style><header><a class=home href=\"/\">Epitaph</a>"
		 "<form action=\"/\"><input type=search name=q aria-label="
		 "\"Search\" placeholder=\"Function, program, host, "
		 "release...\" value=\"");
	put_text(out, q);
	text_put(out, "\"><select name=status aria-label=\"Status\">"
		 "<option value=\"\">any status</option>");
	for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++) {
		bool chosen = status != NULL && strcmp(status,
						       statuses[i]) == 0;

		text_format(out, "<option%s>%s</option>",
			    chosen ? " selected" : "", statuses[i]);
	}
	text_put(out, "</select><button>Search</button></form></header>"
		 "<main>");
}

static void put_footer(struct writer *out, const char *json_path,
		       const char *id, const char *verb)
{
	text_put(out, "</main><footer>The same as JSON: <a href=\"");
	text_put(out, json_path);
	put_url(out, id);
	text_put(out, "\"><code>");
	text_put(out, json_path);
	put_text(out, id);
	text_format(out, "</code></a>, or <code>epitaph %s%s", verb,
		    id[0] != '\0' ? " " : "");
	put_text(out, id);
	text_put(out, "</code></footer></html>\n");
}

/* "3 min ago", with the exact time to point at. */
static void put_time(struct writer *out, int64_t ms)
{
	int64_t age_s = (clock_wall_ms() - ms) / 1000;
	char exact[TEXT_TIME];

	text_time_format(ms, exact);
	text_format(out, "<time datetime=\"%s\" title=\"%s\">", exact, exact);
	if (age_s < 60)
		text_format(out, "%" PRId64 " s ago", age_s < 0 ? 0 : age_s);
	else if (age_s < 3600)
		text_format(out, "%" PRId64 " min ago", age_s / 60);
	else if (age_s < 86400)
		text_format(out, "%" PRId64 " h ago", age_s / 3600);
	else if (age_s < (int64_t)30 * 86400)
		text_format(out, "%" PRId64 " d ago", age_s / 86400);
	else
		text_format(out, "%.10s", exact);
	text_put(out, "</time>");
}

static void put_status(struct writer *out, const char *status)
{
	text_put(out, "<span class=\"badge ");
	put_text(out, status);
	put_tagged(out, "\">", status, "</span>");
}

static void put_group_line(struct writer *out, const struct group_row *row)
{
	text_put(out, "<tr><td class=title><a href=\"/g/");
	put_url(out, row->id);
	put_tagged(out, "\">", row->title, "</a>");
	if (row->reason != NULL)
		put_tagged(out, "<div class=dim>", row->reason, "</div>");
	put_tagged(out, "<td class=wide>", row->signal, "");
	text_format(out, "<td class=num>%" PRIu64 "<td class=\"num wide\">%"
		    PRIu64 "<td class=\"num wide\">%" PRIu64 "<td class=wide>",
		    row->count, row->hosts, row->releases);
	put_time(out, row->first_ms);
	text_put(out, "<td>");
	put_time(out, row->last_ms);
	text_put(out, "<td>");
	put_status(out, row->status);
}

static void put_group_lines(struct writer *out, const struct query *query,
			    const struct group_list *list)
{
	size_t n = list->len > query->limit ? query->limit : list->len;
	char after[64];

	text_put(out, "<div class=scroll><table><tr><th>Crash<th class=wide>"
		 "Signal<th class=num>Count<th class=\"num wide\">Hosts"
		 "<th class=\"num wide\">Releases<th class=wide>First seen"
		 "<th>Last seen<th>Status");
	for (size_t i = 0; i < n; i++)
		put_group_line(out, &list->groups[i].row);
	text_put(out, "</table></div>");
	if (list->len <= n)
		return;
	web_after(&list->groups[n - 1].row, after, sizeof(after));
	text_put(out, "<p><a href=\"/?after=");
	put_url(out, after);
	text_format(out, "&amp;limit=%u&amp;q=", query->limit);
	put_url(out, query->q);
	text_put(out, "&amp;status=");
	put_url(out, query->status);
	text_put(out, "\">Older ones</a></p>");
}

static void put_nothing(struct writer *out, const struct query *query)
{
	if (query->q != NULL || query->status != NULL || query->has_after)
		text_put(out, "<p>No crash matches. <a href=\"/\">Show "
			 "all</a></p>");
	else
		text_put(out, "<h1>No crash yet</h1><p>Run a program under "
			 "the shim: <code>epitaph run -c URL -- PROGRAM"
			 "</code>, URL being this page's.</p>");
}

/* An error for a person. */
static void show_error(const struct query *query, struct answer *answer,
		       const struct error *err)
{
	struct writer *out = &answer->body;

	web_failed(answer, err);
	answer->type = "text/html; charset=utf-8";
	out->len = 0;
	put_header(out, "Epitaph", query->q, query->status);
	text_put(out, answer->status == 404 ? "<h1>Not found</h1>" :
		 answer->status == 504 ? "<h1>That took too long</h1>" :
		 "<h1>Not now</h1>");
	put_tagged(out, "<p>", err->text, "</p></main></html>\n");
}

void page_groups(const struct query *query, struct answer *answer)
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

	answer->type = "text/html; charset=utf-8";
	if (!query->reader->ops->groups(query->reader, &wish, group_list_add,
					&list, &err)) {
		show_error(query, answer, &err);
	} else {
		put_header(out, "Crashes - Epitaph", query->q, query->status);
		if (list.len == 0)
			put_nothing(out, query);
		else
			put_group_lines(out, query, &list);
		put_footer(out, "/api/v1/groups", "", "list");
		out->bad |= list.bad;
	}
	group_list_free(&list);
}

/* "file.c:12", cut to the end of long paths; the whole to point at. */
static void put_place(struct writer *out, const json_t *frame)
{
	const char *file = member(frame, "file");
	const json_t *line = json_object_get(frame, "line");
	size_t len = file != NULL ? strlen(file) : 0;

	if (file == NULL)
		return;
	put_tagged(out, "<span title=\"", file, "\">");
	put_text(out, len > 60 ? file + len - 60 : file);
	if (json_is_integer(line) && json_integer_value(line) > 0)
		text_format(out, ":%" PRId64,
			    (int64_t)json_integer_value(line));
	text_put(out, "</span>");
}

/* A frame with a source file is likely the reader's own; the C library's have
 * one too where its symbols are installed, but their module says so. */
static bool is_own(const json_t *frame)
{
	const char *module = member(frame, "module");

	return member(frame, "file") != NULL && module != NULL &&
	       strncmp(module, "libc.so", 7) != 0 &&
	       strncmp(module, "ld-linux", 8) != 0 &&
	       strncmp(module, "libstdc++", 9) != 0;
}

/* Where a frame without a name is. */
static void put_address(struct writer *out, const json_t *frame)
{
	const char *offset = member(frame, "offset");
	const char *module = member(frame, "module");

	if (module == NULL || offset == NULL) {
		put_text(out, member(frame, "pc"));
		return;
	}
	put_text(out, module);
	put_tagged(out, "!+", offset, "");
}

static bool has_flag(const json_t *frame, const char *flag)
{
	const json_t *flags = json_object_get(frame, "flags");
	const char *text;

	for (size_t i = 0; i < json_array_size(flags); i++) {
		text = json_string_value(json_array_get(flags, i));
		if (text != NULL && strcmp(text, flag) == 0)
			return true;
	}
	return false;
}

static void put_frame(struct writer *out, const json_t *frame)
{
	const char *function = member(frame, "function");
	const char *trust = member(frame, "trust");
	bool is_inline = json_is_true(json_object_get(frame, "inline"));

	text_format(out, "<tr%s><td class=n>%" PRId64 "<td>",
		    is_own(frame) ? " class=own" : "",
		    (int64_t)json_integer_value(
			    json_object_get(frame, "index")));
	if (function != NULL)
		put_tagged(out, "<span class=fn>", function, "</span>");
	else
		put_address(out, frame);
	text_put(out, is_inline ? " <span class=dim>inlined</span>" : "");
	if (!is_inline && has_flag(frame, "tail_call"))
		text_put(out, " <span class=dim>tail call</span>");
	if (has_flag(frame, "unloaded"))
		text_put(out, " <span class=bad>unloaded</span>");
	if (has_flag(frame, "corrupt_ra"))
		text_put(out, " <span class=bad>return address written over"
			 "</span>");
	if (trust != NULL && strstr(trust, "scan") != NULL)
		put_tagged(out, " <span class=bad>", trust, "?</span>");
	text_put(out, "<td class=dim>");
	put_place(out, frame);
	put_tagged(out, "<td class=\"dim wide\">", member(frame, "module"), "");
}

static void put_frames(struct writer *out, const json_t *thread, size_t max)
{
	const json_t *frames = json_object_get(thread, "frames");
	const char *truncated = member(thread, "truncated");
	size_t n = json_array_size(frames);

	if (n == 0) {
		text_put(out, "<p class=dim>No frames.</p>");
		return;
	}
	text_put(out, "<div class=scroll><table class=stack>");
	for (size_t i = 0; i < n && i < max; i++)
		put_frame(out, json_array_get(frames, i));
	text_put(out, "</table></div>");
	if (n > max)
		text_format(out, "<p class=dim>%zu more frames in the JSON."
			    "</p>", n - max);
	if (truncated != NULL)
		put_tagged(out, "<p class=dim>The walk ended early: ",
			   truncated, "</p>");
}

static void put_thread_name(struct writer *out, const json_t *thread)
{
	const json_t *frames = json_object_get(thread, "frames");
	const json_t *top = json_array_get(frames, 0);
	const char *function = member(top, "function");

	text_format(out, "Thread %" PRId64 " ", (int64_t)json_integer_value(
			    json_object_get(thread, "tid")));
	put_text(out, member(thread, "name"));
	if (function != NULL)
		put_tagged(out, " <span class=dim>in ", function, "</span>");
}

static void put_registers(struct writer *out, const json_t *thread)
{
	json_t *registers = json_object_get(thread, "registers");
	const char *name;
	json_t *value;

	if (json_object_size(registers) == 0)
		return;
	text_put(out, "<details><summary>Registers</summary>"
		 "<div class=regs>");
	json_object_foreach(registers, name, value) {
		put_tagged(out, "<span>", name, " ");
		put_text(out, json_string_value(value));
		text_put(out, "</span>");
	}
	text_put(out, "</div></details>");
}

static void put_other_threads(struct writer *out, const json_t *threads)
{
	size_t n = json_array_size(threads), shown = 0, others = 0;

	for (size_t i = 0; i < n; i++) {
		const json_t *thread = json_array_get(threads, i);

		if (json_is_true(json_object_get(thread, "crashed")))
			continue;
		if (others++ == 0)
			text_put(out, "<h2>Other threads</h2>");
		if (shown == SHOWN_THREADS)
			continue;
		shown++;
		text_put(out, "<details><summary>");
		put_thread_name(out, thread);
		text_put(out, "</summary>");
		put_frames(out, thread, SHOWN_OTHERS);
		text_put(out, "</details>");
	}
	if (others > shown)
		text_format(out, "<p class=dim>%zu more threads in the JSON."
			    "</p>", others - shown);
}

static void put_crashed_thread(struct writer *out, const json_t *threads)
{
	for (size_t i = 0; i < json_array_size(threads); i++) {
		const json_t *thread = json_array_get(threads, i);

		if (!json_is_true(json_object_get(thread, "crashed")))
			continue;
		text_put(out, "<h2>");
		put_thread_name(out, thread);
		text_put(out, ", crashed</h2>");
		put_frames(out, thread, SHOWN_FRAMES);
		put_registers(out, thread);
		return;
	}
	text_put(out, "<p>No thread is known to have crashed.</p>");
}

static void put_modules(struct writer *out, const char *title,
			const json_t *modules)
{
	size_t n = json_array_size(modules);

	if (n == 0)
		return;
	text_format(out, "<h2>%s</h2><details><summary>%zu files</summary>"
		    "<div class=scroll><table><tr><th>File<th>Symbols"
		    "<th>Build-id<th class=wide>Base", title, n);
	for (size_t i = 0; i < n && i < SHOWN_MODULES; i++) {
		const json_t *module = json_array_get(modules, i);

		put_tagged(out, "<tr><td><code>", member(module, "path"),
			   "</code>");
		put_tagged(out, "<td>", member(module, "symbols"), "");
		put_tagged(out, "<td><code>", member(module, "build_id"),
			   "</code>");
		put_tagged(out, "<td class=wide><code>",
			   member(module, "base"), "</code>");
	}
	text_put(out, "</table></div></details>");
}

static void put_fact(struct writer *out, const char *name, const char *value)
{
	if (value == NULL || value[0] == '\0')
		return;
	put_tagged(out, "<dt>", name, "");
	put_tagged(out, "<dd>", value, "");
}

static void put_arguments(struct writer *out, const json_t *process)
{
	const json_t *args = json_object_get(process, "args");
	size_t n = json_array_size(args);

	if (n == 0)
		return;
	text_put(out, "<dt>Command<dd><code>");
	for (size_t i = 0; i < n && i < 64; i++) {
		text_put(out, i > 0 ? " " : "");
		put_text(out, json_string_value(json_array_get(args, i)));
	}
	text_put(out, "</code>");
}

/* Of TAGS, an object of texts: what the environment said, or the program. */
static void put_tags(struct writer *out, json_t *tags)
{
	const char *key;
	json_t *value;

	json_object_foreach(tags, key, value) {
		put_tagged(out, "<dt>", key, "");
		put_tagged(out, "<dd>", json_string_value(value), "");
	}
}

/* What the program said that it had done, the last thing last. */
static void put_crumbs(struct writer *out, const json_t *crumbs)
{
	const json_t *crumb;
	size_t i;

	if (json_array_size(crumbs) > 0)
		text_put(out, "<dt>Trail");
	json_array_foreach(crumbs, i, crumb)
		put_tagged(out, "<dd>", json_string_value(crumb), "");
}

/* Facts of one report, in DL. */
static void put_report_facts(struct writer *out, const json_t *report)
{
	const json_t *process = json_object_get(report, "process");
	const json_t *host = json_object_get(report, "host");
	const json_t *signal = json_object_get(report, "signal");
	const json_t *tier = json_object_get(report, "tier");

	text_put(out, "<dl>");
	put_fact(out, "Message", member(report, "message"));
	put_fact(out, "Program", member(process, "exe"));
	put_arguments(out, process);
	put_fact(out, "Release", member(process, "release"));
	put_fact(out, "Host", member(host, "name"));
	put_fact(out, "Kernel", member(host, "kernel"));
	put_fact(out, "Signal code", member(signal, "code"));
	put_fact(out, "Address", member(signal, "address"));
	put_fact(out, "Time", member(report, "time"));
	put_tags(out, json_object_get(process, "tags"));
	put_tags(out, json_object_get(report, "annotations"));
	put_crumbs(out, json_object_get(report, "breadcrumbs"));
	if (json_is_integer(tier))
		text_format(out, "<dt>Captured<dd>tier %d",
			    (int)json_integer_value(tier));
	if (member(report, "tier_reason") != NULL)
		put_tagged(out, ": ", member(report, "tier_reason"), "");
	put_fact(out, "Trouble", member(report, "trouble"));
	text_put(out, "</dl>");
}

static void put_report(struct writer *out, const json_t *report, bool named)
{
	const json_t *threads = json_object_get(report, "threads");

	if (!named)
		text_put(out, "<p class=bad>Not symbolized yet: places are "
			 "shown as module and offset.</p>");
	put_crashed_thread(out, threads);
	put_report_facts(out, report);
	put_other_threads(out, threads);
	put_modules(out, "Modules", json_object_get(report, "modules"));
	put_modules(out, "Unloaded modules",
		    json_object_get(report, "unloaded"));
}

static void put_facet(void *context, const char *value, uint64_t count)
{
	struct writer *out = context;

	put_tagged(out, "<span class=badge>", value, "");
	text_format(out, " <b>%" PRIu64 "</b></span> ", count);
}

static bool put_facets(const struct query *query, struct writer *out,
		       int64_t group, enum facet facet, const char *name,
		       struct error *err)
{
	size_t before = out->len, start;
	bool ok;

	text_format(out, "<dt>%s<dd>", name);
	start = out->len;
	ok = query->reader->ops->facets(query->reader, group, facet,
					WEB_NAMES, put_facet, out, err);
	if (out->len == start)
		out->len = before;
	return ok;
}

static bool put_summary(const struct query *query, struct writer *out,
			const struct group_row *row, struct error *err)
{
	bool ok;

	put_tagged(out, "<h1>", row->title, "</h1><p>");
	put_status(out, row->status);
	put_tagged(out, " <span class=badge>", row->signal, "</span> ");
	put_text(out, row->reason);
	text_format(out, "</p><dl><dt>Count<dd>%" PRIu64 "<dt>First seen<dd>",
		    row->count);
	put_time(out, row->first_ms);
	text_put(out, "<dt>Last seen<dd>");
	put_time(out, row->last_ms);
	ok = put_facets(query, out, row->number, FACET_HOST, "Hosts", err) &&
	     put_facets(query, out, row->number, FACET_RELEASE, "Releases",
			err) &&
	     put_facets(query, out, row->number, FACET_EXE, "Programs", err) &&
	     put_facets(query, out, row->number, FACET_TAG, "Tags", err);
	put_fact(out, "Note", row->note);
	text_put(out, "</dl>");
	return ok;
}

/* Reports of a group while they are listed. */
struct report_lines {
	struct writer *out;
	int64_t best;
	size_t n;
};

static void put_dump_link(struct writer *out, const char *id)
{
	text_format(out, "<a href=\"/api/v1/reports/%s/dmp\">minidump</a>",
		    id);
}

static void put_report_line(void *context, const struct report_row *row)
{
	struct report_lines *lines = context;
	struct writer *out = lines->out;
	char id[37];

	if (lines->n++ == 0)
		lines->best = row->number;
	text_uuid(row->id, id);
	text_format(out, "<tr><td><a href=\"/r/%s\"><code>%s</code></a><td>",
		    id, id);
	put_time(out, row->time_ms);
	put_tagged(out, "<td>", row->host, "");
	put_tagged(out, "<td class=wide>", row->release, "<td>");
	text_put(out, web_state(row->state));
	if (row->state != REPORT_SYMBOLIZED && row->detail != NULL)
		put_tagged(out, "<div class=dim>", row->detail, "</div>");
	text_put(out, "<td>");
	put_dump_link(out, id);
}

static bool put_reports(const struct query *query, struct report_lines *lines,
			int64_t group, struct error *err)
{
	struct writer *out = lines->out;
	bool ok;

	text_put(out, "<h2>Reports kept</h2><div class=scroll><table><tr>"
		 "<th>Report<th>Time<th>Host<th class=wide>Release<th>State"
		 "<th>");
	ok = query->reader->ops->reports(query->reader, group, SHOWN_REPORTS,
					 put_report_line, lines, err);
	text_put(out, "</table></div>");
	return ok;
}

static void put_edge_line(void *context, const struct edge_row *row)
{
	struct writer *out = context;
	char hex[33];

	text_hex(row->fingerprint, 16, hex);
	text_format(out, "<tr><td>%s<td><code>%s</code><td class=num>",
		    row->kind == EDGE_SEMANTIC ? "functions" : "addresses",
		    hex);
	if (row->kind != EDGE_SEMANTIC)
		text_format(out, "%" PRIu64, row->count);
	put_tagged(out, "<td>", row->why, "");
	put_tagged(out, "<td>", row->who, "<td>");
	put_time(out, row->at_ms);
}

static bool put_edges(const struct query *query, struct writer *out,
		      int64_t group, struct error *err)
{
	bool ok;

	text_put(out, "<h2>Why these crashes are one</h2><details><summary>"
		 "Fingerprints that lead here</summary><div class=scroll>"
		 "<table><tr><th>Kind<th>Fingerprint<th class=num>Count"
		 "<th>Why<th>Who<th>When");
	ok = query->reader->ops->edges(query->reader, group, put_edge_line,
				       out, err);
	text_put(out, "</table></div></details>");
	return ok;
}

/* The best report's stack stands above the list of reports, but which one is
 * best is known from the list: so that is written aside first. */
static bool put_group(const struct query *query, struct writer *out,
		      const struct group_row *row, struct error *err)
{
	struct writer table;
	struct report_lines lines = { &table, 0, 0 };
	json_t *report = NULL;
	bool named = false, ok;

	writer_init(&table, (size_t)4 << 20);
	put_header(out, row->title, "", NULL);
	ok = put_summary(query, out, row, err) &&
	     put_reports(query, &lines, row->number, err);
	if (ok && lines.best != 0)
		report = web_document(query, lines.best, &named, err);
	if (report != NULL)
		put_report(out, report, named);
	else
		text_put(out, "<p class=dim>No report of it is kept, only its "
			 "count.</p>");
	if (lines.n > 0)
		writer_bytes(out, table.bytes, table.len);
	ok = ok && put_edges(query, out, row->number, err);
	put_footer(out, "/api/v1/groups/", row->id, "show");
	out->bad |= table.bad;
	json_decref(report);
	writer_fini(&table);
	return ok;
}

void page_group(const struct query *query, struct answer *answer)
{
	struct group_list list = { NULL, 0, 0, false };
	struct error err;
	bool ok = query->reader->ops->group(query->reader, query->id,
					    group_list_add, &list, &err);

	answer->type = "text/html; charset=utf-8";
	if (ok && (list.bad || list.len != 1))
		ok = fail(&err, ERR_NO_MEMORY, "no memory for a group");
	if (!ok || !put_group(query, &answer->body, &list.groups[0].row, &err))
		show_error(query, answer, &err);
	group_list_free(&list);
}

/* What the row of one report says. */
struct one_report {
	int64_t number, edge;
	enum report_state state;
};

static void note_report(void *context, const struct report_row *row)
{
	struct one_report *one = context;

	one->number = row->number;
	one->edge = row->edge;
	one->state = row->state;
}

static void put_group_link(void *context, const struct group_row *row)
{
	struct writer *out = context;

	text_put(out, "<p>One of <a href=\"/g/");
	put_url(out, row->id);
	put_tagged(out, "\">", row->title, "</a>");
	text_format(out, ", which happened %" PRIu64 " times.</p>",
		    row->count);
}

static bool show_report(const struct query *query, struct writer *out,
			struct error *err)
{
	struct one_report one = { 0, 0, REPORT_PENDING };
	uint8_t id[16];
	json_t *report;
	bool named;

	if (!text_parse_uuid(query->id, id))
		return fail(err, ERR_NOT_FOUND, "no such report");
	if (!query->reader->ops->report(query->reader, id, query->canary,
					note_report, &one, err))
		return false;
	report = web_document(query, one.number, &named, err);
	if (report == NULL)
		return false;
	put_header(out, query->id, "", NULL);
	put_tagged(out, "<h1>Report <code>", query->id, "</code></h1>");
	query->reader->ops->group_of(query->reader, one.edge, put_group_link,
				     out, err);
	put_tagged(out, "<p>", member(report, "reason"), " ");
	put_dump_link(out, query->id);
	text_put(out, "</p>");
	put_report(out, report, named);
	put_footer(out, "/api/v1/reports/", query->id, "show");
	json_decref(report);
	return true;
}

void page_report(const struct query *query, struct answer *answer)
{
	struct error err;

	answer->type = "text/html; charset=utf-8";
	if (!show_report(query, &answer->body, &err))
		show_error(query, answer, &err);
}
