/* The web role: answers what ingest workers pass on from readers. Its own
 * process with its own read-only connection, so that a slow query, or a page
 * that takes all the memory there is, costs readers and nobody else. */
#include "web.h"

#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "../lib/report/gzip.h"
#include "../lib/report/clock.h"
#include "log.h"
#include "role.h"
#include "text.h"

enum {
	MAX_PEERS = CONFIG_WORKERS + 4,
	PEER_OUT = 256 << 20,
	MAX_ARGUMENT = 1024,
};

/* What a hostile document can cost here; jansson needs some fifty bytes for
 * one. */
#define MEMORY_LIMIT ((rlim_t)2 << 30)

struct web {
	struct role *role;
	struct store_reader *reader;
	int listener;
	struct channel peers[MAX_PEERS];
};

static const struct {
	const char *prefix, *suffix; /* around an id; or a whole path, NULL */
	view *view;
} routes[] = {
	{ "/", NULL, page_groups },
	{ "/api/v1/groups", NULL, api_groups },
	{ "/api/v1/symbols/missing", NULL, api_missing },
	{ "/g/", "", page_group },
	{ "/r/", "", page_report },
	{ "/api/v1/groups/", "/reports", api_group_reports },
	{ "/api/v1/groups/", "", api_group },
	{ "/api/v1/reports/", "/dmp", api_dump },
	{ "/api/v1/reports/", "/core", api_core },
	{ "/api/v1/reports/", "", api_report },
};

void web_error(struct answer *answer, unsigned status, const char *what,
	       const char *detail)
{
	answer->status = status;
	answer->type = "application/json";
	answer->file[0] = '\0';
	answer->gzipped = false;
	answer->as_core = false;
	answer->name[0] = '\0';
	answer->body.len = 0;
	answer->body.bad = false;
	text_put(&answer->body, "{\"error\":");
	text_string(&answer->body, what);
	text_put(&answer->body, ",\"detail\":");
	text_string(&answer->body, detail);
	text_put(&answer->body, "}\n");
}

void web_failed(struct answer *answer, const struct error *err)
{
	switch (err->code) {
	case ERR_NOT_FOUND:
		web_error(answer, 404, "not found", err->text);
		break;
	case ERR_TIMEOUT:
		web_error(answer, 504, "deadline passed", err->text);
		break;
	case ERR_TOO_LARGE:
	case ERR_BAD_DATA:
		web_error(answer, 400, "malformed", err->text);
		break;
	default:
		log_event(LOG_ERROR, "reading failed", "%s", err->text);
		web_error(answer, 503, "busy", err->text);
		break;
	}
}

const char *web_state(enum report_state state)
{
	static const char *const names[] = {
		[REPORT_PENDING] = "pending", [REPORT_RUNNING] = "running",
		[REPORT_SYMBOLIZED] = "symbolized",
		[REPORT_QUARANTINED] = "quarantined",
		[REPORT_UNNAMED] = "unnamed",
	};

	return state <= REPORT_UNNAMED ? names[state] : "?";
}

void web_after(const struct group_row *row, char *to, size_t cap)
{
	snprintf(to, cap, "%" PRId64 "-%" PRId64, row->last_ms, row->number);
}

json_t *web_document(const struct query *query, int64_t number,
		     bool *named_out, struct error *err)
{
	struct store_reader *reader = query->reader;
	struct writer packed, plain;
	json_error_t problem;
	json_t *json = NULL;

	writer_init(&packed, WIRE_MAX_DOCUMENT);
	writer_init(&plain, WIRE_MAX_DOCUMENT);
	if (reader->ops->document(reader, number, &packed, named_out, err) &&
	    gzip_unpack(packed.bytes, packed.len, &plain, err)) {
		json = json_loadb((const char *)plain.bytes, plain.len, 0,
				  &problem);
		if (json == NULL)
			fail(err, ERR_SYSTEM, "document: %s", problem.text);
	}
	writer_fini(&packed);
	writer_fini(&plain);
	return json;
}

static char *copy_text(const char *text, bool *bad)
{
	char *copy = text != NULL ? strdup(text) : NULL;

	*bad |= text != NULL && copy == NULL;
	return copy;
}

void group_list_add(void *context, const struct group_row *row)
{
	struct group_list *list = context;
	struct group_copy *to;

	if (list->len == list->cap) {
		size_t cap = list->cap == 0 ? 64 : 2 * list->cap;
		void *grown = realloc(list->groups, cap * sizeof(*to));

		if (grown == NULL) {
			list->bad = true;
			return;
		}
		list->groups = grown;
		list->cap = cap;
	}
	to = &list->groups[list->len++];
	to->row = *row;
	to->row.id = to->text[0] = copy_text(row->id, &list->bad);
	to->row.title = to->text[1] = copy_text(row->title, &list->bad);
	to->row.reason = to->text[2] = copy_text(row->reason, &list->bad);
	to->row.signal = to->text[3] = copy_text(row->signal, &list->bad);
	to->row.status = to->text[4] = copy_text(row->status, &list->bad);
	to->row.note = to->text[5] = copy_text(row->note, &list->bad);
}

void group_list_free(struct group_list *list)
{
	for (size_t i = 0; i < list->len; i++) {
		for (size_t j = 0; j < 6; j++)
			free(list->groups[i].text[j]);
	}
	free(list->groups);
}

/* The id between PREFIX and SUFFIX of PATH into ID; false where there is
 * none. */
static bool match(const char *path, const char *prefix, const char *suffix,
		  char *id, size_t cap)
{
	size_t len = strlen(path), before = strlen(prefix), after;

	if (suffix == NULL)
		return strcmp(path, prefix) == 0;
	after = strlen(suffix);
	if (len <= before + after || strncmp(path, prefix, before) != 0 ||
	    strcmp(path + len - after, suffix) != 0 ||
	    len - before - after >= cap)
		return false;
	memcpy(id, path + before, len - before - after);
	id[len - before - after] = '\0';
	return strchr(id, '/') == NULL;
}

static view *find_view(const char *path, char *id, size_t cap)
{
	for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); i++) {
		if (match(path, routes[i].prefix, routes[i].suffix, id, cap))
			return routes[i].view;
	}
	return NULL;
}

/* The query's arguments as C strings. */
struct arguments {
	char path[MAX_ARGUMENT], id[128], q[MAX_ARGUMENT], status[32];
	char limit[16], after[64];
};

static bool parse_arguments(const struct get *get, struct arguments *a,
			    struct query *query, struct error *err)
{
	char *end;

	slice_copy(get->q, a->q, sizeof(a->q));
	slice_copy(get->status, a->status, sizeof(a->status));
	slice_copy(get->limit, a->limit, sizeof(a->limit));
	slice_copy(get->after, a->after, sizeof(a->after));
	query->q = a->q[0] != '\0' ? a->q : NULL;
	query->status = a->status[0] != '\0' ? a->status : NULL;
	query->limit = WEB_LIMIT;
	if (a->limit[0] != '\0') {
		unsigned long limit = strtoul(a->limit, &end, 10);

		if (*end != '\0' || limit == 0)
			return fail(err, ERR_BAD_DATA, "limit is a number");
		query->limit = limit > WEB_LIMIT_MAX ? WEB_LIMIT_MAX
						     : (uint32_t)limit;
	}
	if (a->after[0] != '\0') {
		query->after_ms = strtoll(a->after, &end, 10);
		if (*end != '-')
			return fail(err, ERR_BAD_DATA, "after is what `next` "
				    "said");
		query->after_number = strtoll(end + 1, &end, 10);
		query->has_after = true;
	}
	return true;
}

static void answer_get(struct web *w, const struct get *get,
		       struct answer *answer)
{
	struct query query = { .reader = w->reader };
	struct arguments arguments;
	struct error err;
	view *show;

	slice_copy(get->path, arguments.path, sizeof(arguments.path));
	show = find_view(arguments.path, arguments.id, sizeof(arguments.id));
	if (show == NULL) {
		web_error(answer, 404, "no such path", arguments.path);
		return;
	}
	query.id = arguments.id;
	query.canary = get->canary;
	query.accepts_gzip = get->accepts_gzip;
	query.deadline_ms = clock_monotonic_ms() + WEB_DEADLINE_MS;
	if (!parse_arguments(get, &arguments, &query, &err) ||
	    !w->reader->ops->begin(w->reader, query.deadline_ms, &err)) {
		web_failed(answer, &err);
		return;
	}
	show(&query, answer);
	w->reader->ops->end(w->reader);
	if (answer->body.bad)
		web_error(answer, 503, "busy", "the answer is too long");
}

static void send_answer(struct channel *peer, uint64_t tag,
			const struct answer *answer)
{
	struct page page = {
		.status = answer->status,
		.gzipped = answer->gzipped,
		.remove = answer->remove,
		.as_core = answer->as_core,
		.type = slice_of(answer->type),
		.name = slice_of(answer->name),
		.file = slice_of(answer->file),
		.body = { (const char *)answer->body.bytes, answer->body.len },
	};
	struct writer out;

	writer_init(&out, WIRE_MAX_PAGE);
	wire_put_page(&out, &page);
	/* Who takes no answers gets no more of them. */
	if (out.bad || !channel_send(peer, MSG_PAGE, tag, out.bytes, out.len))
		channel_close(peer);
	writer_fini(&out);
}

static void take_message(struct web *w, struct channel *peer,
			 const struct message *message)
{
	struct answer answer = { .status = 200, .type = "application/json" };
	struct reader r;
	struct get get;

	reader_init(&r, message->body, message->len);
	if (!wire_get_get(&r, &get)) {
		channel_close(peer);
		return;
	}
	writer_init(&answer.body, WIRE_MAX_PAGE - 4096);
	answer_get(w, &get, &answer);
	send_answer(peer, message->tag, &answer);
	writer_fini(&answer.body);
}

/* Each request may take its deadline: so tell the supervisor in between that
 * this one is alive. */
static void serve(struct web *w, struct channel *peer)
{
	bool open = channel_read(peer);
	struct message message;
	enum channel_next next;

	while ((next = channel_next(peer, &message)) == CHANNEL_MESSAGE) {
		take_message(w, peer, &message);
		role_tick(w->role);
	}
	if (!open || next == CHANNEL_BROKEN)
		channel_close(peer);
}

static void accept_peers(struct web *w)
{
	int fd;

	while ((fd = channel_accept(w->listener)) >= 0) {
		size_t i = 0;

		while (i < MAX_PEERS && w->peers[i].fd >= 0)
			i++;
		if (i == MAX_PEERS) {
			close(fd);
			continue;
		}
		channel_fini(&w->peers[i]);
		channel_init(&w->peers[i], fd, MESSAGE_BIT(MSG_GET), PEER_OUT);
	}
}

static void poll_peers(struct web *w)
{
	struct pollfd fds[MAX_PEERS + 2];

	for (size_t i = 0; i < MAX_PEERS; i++) {
		if (w->peers[i].fd >= 0 && !channel_flush(&w->peers[i]))
			channel_close(&w->peers[i]);
		fds[i].fd = w->peers[i].fd;
		fds[i].events = channel_events(&w->peers[i]);
	}
	fds[MAX_PEERS] = (struct pollfd){ w->listener, POLLIN, 0 };
	fds[MAX_PEERS + 1] = (struct pollfd){ w->role->control.fd, POLLIN, 0 };
	if (poll(fds, MAX_PEERS + 2, ROLE_TICK_MS) < 0)
		return;
	for (size_t i = 0; i < MAX_PEERS; i++) {
		if (fds[i].fd >= 0 && fds[i].revents != 0)
			serve(w, &w->peers[i]);
	}
	if (fds[MAX_PEERS].revents != 0)
		accept_peers(w);
}

int web_role(struct role *role)
{
	static struct web w;
	struct rlimit limit = { MEMORY_LIMIT, MEMORY_LIMIT };
	struct error err;

	w.role = role;
	setrlimit(RLIMIT_AS, &limit);
	for (size_t i = 0; i < MAX_PEERS; i++)
		channel_init(&w.peers[i], -1, 0, PEER_OUT);
	if (!store_open_reader(&role->settings, &w.reader, &err))
		return role_failed(&err, false);
	w.listener = channel_listen(WEB_SOCKET, &err);
	if (w.listener < 0)
		return role_failed(&err, true);
	role_ready(role);
	while (!role->draining) {
		poll_peers(&w);
		role_tick(role);
	}
	w.reader->ops->close(w.reader);
	return EXIT_SUCCESS;
}
