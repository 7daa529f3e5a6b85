/* HTTP in an ingest worker: libmicrohttpd's callbacks, what path means what,
 * and answers. This is where text from the network is first looked at; sizes
 * are limited here, before anything is kept. */
#include "ingest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../lib/report/clock.h"
#include "log.h"
#include "text.h"

enum {
	MEMORY_LIMIT = 32 << 10, /* of a connection: its headers have to fit */
	MAX_PATH = 1024,
	LOG_EVERY_MS = 1000,
	/* What is refused is still received up to here, so that a client that
	 * sends before it reads gets to see why. */
	DISCARD_LIMIT = 256 << 20,
};

static void set_headers(struct MHD_Response *response, const char *type)
{
	MHD_add_response_header(response, "Content-Type", type);
	MHD_add_response_header(response, "Cache-Control", "no-store");
	MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
}

void request_respond(struct request *request, unsigned status,
		     struct MHD_Response *response)
{
	struct ingest *in = request->in;
	bool suspended = request->state == REQUEST_WAITING;
	enum statistic stat = stats_rejection(status);

	if (request->response != NULL)
		MHD_destroy_response(request->response);
	request->response = response;
	request->status = status;
	if (stat != STAT_COUNT && !request->canary)
		in->role->stats.value[stat]++;
	if (status == 503 || status == 429)
		MHD_add_response_header(response, "Retry-After", "1");
	if (in->closing)
		MHD_add_response_header(response, "Connection", "close");
	request->state = REQUEST_ANSWERED;
	if (suspended) {
		in->role->stats.value[STAT_WAITING]--;
		MHD_resume_connection(request->connection);
		in->resumed = true;
	}
}

void request_answer(struct request *request, unsigned status, const char *type,
		    const void *body, size_t len)
{
	struct MHD_Response *response = MHD_create_response_from_buffer(
		len, (void *)(uintptr_t)body, MHD_RESPMEM_MUST_COPY);

	/* Without memory for an answer the connection is closed instead. */
	if (response != NULL)
		set_headers(response, type);
	else
		response = MHD_create_response_from_buffer(
			0, (void *)(uintptr_t)"", MHD_RESPMEM_PERSISTENT);
	request_respond(request, status, response);
}

void request_error(struct request *request, unsigned status, const char *what,
		   const char *detail)
{
	struct writer body;

	writer_init(&body, 8192);
	text_put(&body, "{\"error\":");
	text_string(&body, what);
	text_put(&body, ",\"detail\":");
	text_string(&body, detail);
	text_put(&body, "}\n");
	request_answer(request, status, "application/json", body.bytes,
		       body.len);
	writer_fini(&body);
}

void request_wait(struct request *request, int64_t within_ms)
{
	request->tag = ++request->in->next_tag;
	request->deadline_ms = clock_monotonic_ms() + within_ms;
	if (request->state == REQUEST_WAITING)
		return;
	request->state = REQUEST_WAITING;
	request->in->role->stats.value[STAT_WAITING]++;
	MHD_suspend_connection(request->connection);
}

struct request *request_find(struct ingest *in, enum endpoint endpoint,
			     uint64_t tag)
{
	struct request *request = in->requests;

	while (request != NULL && (request->state != REQUEST_WAITING ||
				   request->endpoint != endpoint ||
				   request->tag != tag))
		request = request->next;
	return request;
}

static const char *header(struct request *request, const char *name)
{
	return MHD_lookup_connection_value(request->connection,
					   MHD_HEADER_KIND, name);
}

static bool starts_with(const char *text, const char *prefix)
{
	return strncmp(text, prefix, strlen(prefix)) == 0;
}

static enum endpoint find_post(const char *path)
{
	if (strcmp(path, "/api/v1/hits") == 0)
		return ENDPOINT_HITS;
	if (strcmp(path, "/api/v1/reports") == 0)
		return ENDPOINT_REPORT;
	if (starts_with(path, "/api/v1/groups/"))
		return ENDPOINT_ADMIN;
	/* Breakpad's sym_upload puts a file into a form. */
	if (strcmp(path, "/symupload") == 0)
		return ENDPOINT_SYMBOLS;
	return ENDPOINT_NONE;
}

static enum endpoint find_put(const char *path)
{
	return strcmp(path, "/api/v1/symbols") == 0 ? ENDPOINT_SYMBOLS
						    : ENDPOINT_NONE;
}

static enum endpoint find_get(const char *path)
{
	if (starts_with(path, "/buildid/"))
		return ENDPOINT_BUILD_ID;
	if (strcmp(path, "/live") == 0)
		return ENDPOINT_LIVE;
	if (strcmp(path, "/ready") == 0)
		return ENDPOINT_READY;
	if (strcmp(path, "/metrics") == 0)
		return ENDPOINT_METRICS;
	/* Which of them exist, the web role knows. */
	return ENDPOINT_GET;
}

/* The endpoint of METHOD and PATH, or refuse the request. */
static bool route(struct request *request, const char *method)
{
	const char *path = request->path;
	bool reads = strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0;

	if (strlen(path) > MAX_PATH) {
		request_error(request, 414, "path too long", "");
		return false;
	}
	if (reads && strcmp(path, "/api/v1/hits") != 0 &&
	    find_put(path) == ENDPOINT_NONE)
		request->endpoint = find_get(path);
	else if (strcmp(method, "PUT") == 0)
		request->endpoint = find_put(path);
	else if (strcmp(method, "POST") == 0)
		request->endpoint = find_post(path);
	if (request->endpoint != ENDPOINT_NONE)
		return true;
	if (strcmp(method, "POST") != 0 || find_post(path) != ENDPOINT_NONE ||
	    find_put(path) != ENDPOINT_NONE)
		request_error(request, 405, "method not allowed", method);
	else
		request_error(request, 404, "no such path", path);
	return false;
}

/* Refuse early what says that it is too large, or cannot be read. */
static bool check_size(struct request *request, uint64_t limit,
		       const char *name)
{
	const char *length = header(request, "Content-Length");
	char why[128];

	if (length == NULL || strtoull(length, NULL, 10) <= limit)
		return true;
	snprintf(why, sizeof(why), "limit for %s is %llu bytes as sent", name,
		 (unsigned long long)limit);
	request_error(request, 413, "too large", why);
	return false;
}

static bool is_plain(struct request *request)
{
	const char *encoding = header(request, "Content-Encoding");

	if (encoding == NULL || strcasecmp(encoding, "identity") == 0)
		return true;
	request_error(request, 415, "unknown Content-Encoding", encoding);
	return false;
}

/* The headers are there: decide whether the body may come. */
static void begin(struct request *request, const char *method)
{
	bool drains = request->in->role->draining;

	request->deadline_ms = clock_monotonic_ms() + INGEST_RECEIVE_MS;
	if (!route(request, method) || !auth_check(request))
		return;
	if (drains && (request->endpoint == ENDPOINT_HITS ||
		       request->endpoint == ENDPOINT_REPORT ||
		       request->endpoint == ENDPOINT_SYMBOLS ||
		       request->endpoint == ENDPOINT_ADMIN)) {
		request_error(request, 503, "draining", "try again later");
		return;
	}
	switch (request->endpoint) {
	case ENDPOINT_HITS:
		if (is_plain(request))
			check_size(request, INGEST_HITS_BODY, "hits");
		break;
	case ENDPOINT_ADMIN:
		if (is_plain(request))
			check_size(request, INGEST_ADMIN_BODY, "this request");
		break;
	case ENDPOINT_REPORT:
		if (check_size(request, request->in->role->settings.max_sent,
			       "reports"))
			report_start(request);
		break;
	case ENDPOINT_SYMBOLS:
		if (check_size(request, request->in->role->settings.max_symbols,
			       "symbols"))
			symbols_start(request);
		break;
	default:
		break;
	}
}

static void receive_text(struct request *request, const char *bytes,
			 size_t len)
{
	struct ingest *in = request->in;
	size_t before = request->body.cap;

	if (in->buffered + len > INGEST_BUFFERED) {
		request_error(request, 503, "busy", "too much at once");
		return;
	}
	if (len > request->body.limit - request->body.len) {
		request_error(request, 413, "too large",
			      request->endpoint == ENDPOINT_HITS ?
			      "limit for hits is 4194304 bytes" :
			      "limit is 32768 bytes");
		return;
	}
	writer_bytes(&request->body, bytes, len);
	in->buffered += request->body.cap - before;
	if (request->body.bad)
		request_error(request, 503, "busy", "no memory");
}

/* Some of the body has come. False: no more of it. */
static bool receive(struct request *request, const char *bytes, size_t len)
{
	if (clock_monotonic_ms() > request->deadline_ms)
		return false;
	if (request->state == REQUEST_RECEIVING) {
		if (request->endpoint == ENDPOINT_REPORT)
			report_receive(request, bytes, len);
		else if (request->endpoint == ENDPOINT_SYMBOLS)
			symbols_receive(request, bytes, len);
		else if (request->endpoint == ENDPOINT_HITS ||
			 request->endpoint == ENDPOINT_ADMIN)
			receive_text(request, bytes, len);
		else
			request->discarded += len;
	} else {
		request->discarded += len;
	}
	return request->discarded <= DISCARD_LIMIT;
}

/* The request is all there. */
static void finish(struct request *request)
{
	switch (request->endpoint) {
	case ENDPOINT_HITS:
		hits_finish(request);
		break;
	case ENDPOINT_REPORT:
		report_finish(request);
		break;
	case ENDPOINT_ADMIN:
		admin_finish(request);
		break;
	case ENDPOINT_SYMBOLS:
		symbols_finish(request);
		break;
	case ENDPOINT_BUILD_ID:
		build_id_get(request);
		break;
	case ENDPOINT_GET:
		get_start(request);
		break;
	case ENDPOINT_LIVE:
		health_live(request);
		break;
	case ENDPOINT_READY:
		health_ready(request);
		break;
	case ENDPOINT_METRICS:
		health_metrics(request);
		break;
	case ENDPOINT_NONE:
		request_error(request, 404, "no such path", request->path);
		break;
	}
}

static struct request *request_new(struct ingest *in,
				   struct MHD_Connection *connection,
				   const char *path)
{
	struct request *request = calloc(1, sizeof(*request));

	if (request == NULL)
		return NULL;
	request->in = in;
	request->connection = connection;
	request->fd = -1;
	request->path = strdup(path);
	if (request->path == NULL) {
		free(request);
		return NULL;
	}
	writer_init(&request->body, INGEST_HITS_BODY);
	request->next = in->requests;
	if (in->requests != NULL)
		in->requests->previous = request;
	in->requests = request;
	in->in_flight++;
	in->role->stats.value[STAT_REQUESTS]++;
	return request;
}

static void request_free(struct request *request)
{
	struct ingest *in = request->in;

	if (request->state == REQUEST_WAITING)
		in->role->stats.value[STAT_WAITING]--;
	hits_forget(request);
	report_forget(request);
	if (request->form != NULL)
		MHD_destroy_post_processor(request->form);
	if (request->core[0] != '\0')
		unlink(request->core);
	in->buffered -= request->body.cap;
	writer_fini(&request->body);
	if (request->previous != NULL)
		request->previous->next = request->next;
	else
		in->requests = request->next;
	if (request->next != NULL)
		request->next->previous = request->previous;
	if (request->response != NULL)
		MHD_destroy_response(request->response);
	in->in_flight--;
	free(request->ids);
	free(request->path);
	free(request);
}

static enum MHD_Result queue_answer(struct request *request)
{
	enum MHD_Result result = MHD_queue_response(
		request->connection, request->status, request->response);

	MHD_destroy_response(request->response);
	request->response = NULL;
	return result;
}

/* Called with the headers, then with each part of the body, then once more;
 * and again after a suspended connection goes on. */
static enum MHD_Result on_request(void *context,
				  struct MHD_Connection *connection,
				  const char *path, const char *method,
				  const char *version, const char *bytes,
				  size_t *len, void **own)
{
	struct request *request = *own;
	const char *expect;

	(void)version;
	if (request == NULL) {
		request = request_new(context, connection, path);
		if (request == NULL)
			return MHD_NO;
		*own = request;
		begin(request, method);
		expect = header(request, "Expect");
		/* Such a client waits for our word before it sends. */
		if (request->state == REQUEST_ANSWERED && expect != NULL)
			return queue_answer(request);
		return MHD_YES;
	}
	if (*len > 0) {
		if (!receive(request, bytes, *len))
			return MHD_NO;
		*len = 0;
		return MHD_YES;
	}
	if (request->state == REQUEST_RECEIVING)
		finish(request);
	if (request->state == REQUEST_ANSWERED && request->response != NULL)
		return queue_answer(request);
	return MHD_YES;
}

static void on_completed(void *context, struct MHD_Connection *connection,
			 void **own, enum MHD_RequestTerminationCode code)
{
	(void)context;
	(void)connection;
	(void)code;
	if (*own != NULL)
		request_free(*own);
	*own = NULL;
}

/* Clients can make libmicrohttpd complain as often as they like: one line a
 * second. That TCP's options do not fit a unix socket is no news at all. */
static void on_log(void *context, const char *format, va_list args)
{
	static int64_t logged_ms;
	static unsigned dropped;
	int64_t now = clock_monotonic_ms();
	char text[256];

	(void)context;
	vsnprintf(text, sizeof(text), format, args);
	text[strcspn(text, "\n")] = '\0';
	if (strstr(text, "TCP_") != NULL ||
	    strstr(text, "push the data") != NULL)
		return;
	if (now - logged_ms < LOG_EVERY_MS) {
		dropped++;
		return;
	}
	log_event(LOG_INFO, "http", "%s (%u more before)", text, dropped);
	logged_ms = now;
	dropped = 0;
}

/* The worker accepts itself, so that TCP and unix sockets come the same way. */
struct MHD_Daemon *http_start(struct ingest *in)
{
	return MHD_start_daemon(
		MHD_USE_EPOLL | MHD_USE_NO_LISTEN_SOCKET |
			MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG, 0,
		NULL, NULL, on_request, in,
		MHD_OPTION_EXTERNAL_LOGGER, on_log, NULL,
		MHD_OPTION_NOTIFY_COMPLETED, on_completed, in,
		MHD_OPTION_CONNECTION_LIMIT, (unsigned)INGEST_CONNECTIONS,
		MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)INGEST_IDLE_S,
		MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)MEMORY_LIMIT,
		MHD_OPTION_END);
}
