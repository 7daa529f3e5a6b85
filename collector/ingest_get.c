/* Requests that an ingest worker passes on: reading to the web role, an
 * administrator's wishes to the store. */
#include "ingest.h"

#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "text.h"

/* The pages run no script and load nothing from anywhere. */
#define PAGE_POLICY "default-src 'none'; style-src 'unsafe-inline'; " \
	"form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

static struct slice argument(struct request *request, const char *name)
{
	return slice_of(MHD_lookup_connection_value(
		request->connection, MHD_GET_ARGUMENT_KIND, name));
}

static bool accepts_gzip(struct request *request)
{
	const char *accept = MHD_lookup_connection_value(
		request->connection, MHD_HEADER_KIND, "Accept-Encoding");
	const char *at = accept != NULL ? strstr(accept, "gzip") : NULL;

	return at != NULL && strncmp(at + 4, ";q=0", 4) != 0;
}

void get_start(struct request *request)
{
	struct ingest *in = request->in;
	struct get get;
	struct writer out;

	if (in->waiting_gets >= INGEST_WAITING_GETS) {
		request_error(request, 503, "busy", "too many readers");
		return;
	}
	get.canary = request->canary;
	get.accepts_gzip = accepts_gzip(request);
	get.path = slice_of(request->path);
	get.q = argument(request, "q");
	get.status = argument(request, "status");
	get.limit = argument(request, "limit");
	get.after = argument(request, "after");
	in->waiting_gets++;
	writer_init(&out, WIRE_MAX_GET);
	wire_put_get(&out, &get);
	request_wait(request, INGEST_WEB_MS);
	if (out.bad || !channel_send(&in->web, MSG_GET, request->tag,
				     out.bytes, out.len))
		request_error(request, 503, "busy", "not now");
	writer_fini(&out);
}

/* A response with the file as its body, or NULL. */
static struct MHD_Response *file_response(const struct page *page)
{
	char path[WIRE_FILE];
	struct MHD_Response *response = NULL;
	struct stat st;
	int fd;

	slice_copy(page->file, path, sizeof(path));
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (page->remove)
		unlink(path);
	if (fd < 0)
		return NULL;
	if (fstat(fd, &st) == 0)
		response = MHD_create_response_from_fd((size_t)st.st_size, fd);
	if (response == NULL)
		close(fd);
	return response;
}

static void add_headers(struct MHD_Response *response, const struct page *page)
{
	char value[256];

	slice_copy(page->type, value, sizeof(value));
	MHD_add_response_header(response, "Content-Type", value);
	MHD_add_response_header(response, "Cache-Control", "no-store");
	MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
	MHD_add_response_header(response, "Referrer-Policy", "no-referrer");
	MHD_add_response_header(response, "Content-Security-Policy",
				PAGE_POLICY);
	if (page->gzipped)
		MHD_add_response_header(response, "Content-Encoding", "gzip");
	if (page->file.len > 0)
		MHD_add_response_header(response, "Vary", "Accept-Encoding");
	if (page->name.len > 0) {
		snprintf(value, sizeof(value), "attachment; filename=\"%.*s\"",
			 (int)page->name.len, page->name.bytes);
		MHD_add_response_header(response, "Content-Disposition",
					value);
	}
}

void get_page(struct ingest *in, const struct message *message)
{
	struct request *request = request_find(in, ENDPOINT_GET, message->tag);
	struct MHD_Response *response;
	struct page page;
	struct reader r;
	char path[WIRE_FILE];

	reader_init(&r, message->body, message->len);
	if (!wire_get_page(&r, &page)) {
		if (request != NULL)
			request_error(request, 503, "busy", "not now");
		return;
	}
	if (request == NULL) {
		slice_copy(page.file, path, sizeof(path));
		if (page.remove)
			unlink(path);
		return;
	}
	if (page.as_core) {
		slice_copy(page.file, path, sizeof(path));
		core_start(request, path);
		return;
	}
	response = page.file.len > 0 ? file_response(&page) :
		MHD_create_response_from_buffer(
			page.body.len, (void *)(uintptr_t)page.body.bytes,
			MHD_RESPMEM_MUST_COPY);
	if (response == NULL) {
		request_error(request, 404, "not found", "it is gone");
		return;
	}
	add_headers(response, &page);
	request_respond(request, page.status, response);
}

/* "/api/v1/groups/ID[/merge|/split]" taken apart. */
static bool parse_path(struct request *request, struct admin *out)
{
	const char *id = request->path + strlen("/api/v1/groups/");
	const char *slash = strchr(id, '/');

	out->group.bytes = id;
	out->group.len = slash != NULL ? (size_t)(slash - id) : strlen(id);
	out->verb = ADMIN_SET;
	if (slash == NULL)
		return out->group.len > 0;
	out->verb = strcmp(slash, "/merge") == 0 ? ADMIN_MERGE : ADMIN_SPLIT;
	return out->verb == ADMIN_MERGE || strcmp(slash, "/split") == 0;
}

/* A page of another site can make a browser POST a form to us, but not JSON
 * without asking first. */
static bool is_json(struct request *request)
{
	const char *type = MHD_lookup_connection_value(
		request->connection, MHD_HEADER_KIND, "Content-Type");

	return type != NULL &&
	       strncasecmp(type, "application/json", 16) == 0;
}

/* The fields of BODY in *OUT, which borrows from it. NULL, or what is wrong. */
static const char *parse_wish(json_t *body, struct admin *out)
{
	json_t *status = json_object_get(body, "status");
	json_t *note = json_object_get(body, "note");
	json_t *other = json_object_get(body, out->verb == ADMIN_MERGE ?
					"into" : "report");

	if (!json_is_object(body))
		return "not a JSON object";
	if ((status != NULL && !json_is_string(status)) ||
	    (note != NULL && !json_is_string(note) && !json_is_null(note)))
		return "status and note are strings";
	if (out->verb == ADMIN_SET && status == NULL && note == NULL)
		return "neither status nor note";
	if (out->verb != ADMIN_SET && !json_is_string(other))
		return out->verb == ADMIN_MERGE ? "no \"into\": a group's id"
						: "no \"report\": its id";
	out->status = slice_of(json_string_value(status));
	out->has_note = note != NULL;
	out->note = slice_of(json_string_value(note));
	out->other = slice_of(json_string_value(other));
	return NULL;
}

static void send_wish(struct request *request, const struct admin *admin)
{
	struct ingest *in = request->in;
	struct writer out;

	writer_init(&out, WIRE_MAX_ADMIN);
	wire_put_admin(&out, admin);
	request_wait(request, INGEST_STORE_MS);
	if (out.bad || !channel_send(&in->store, MSG_ADMIN, request->tag,
				     out.bytes, out.len))
		request_error(request, 503, "busy", "not now");
	writer_fini(&out);
}

void admin_finish(struct request *request)
{
	struct admin admin = { .who = slice_of(request->who) };
	const char *wrong;
	json_t *body;

	if (!parse_path(request, &admin)) {
		request_error(request, 404, "no such path", request->path);
		return;
	}
	if (!is_json(request)) {
		request_error(request, 415, "unsupported",
			      "Content-Type has to be application/json");
		return;
	}
	body = json_loadb((const char *)request->body.bytes, request->body.len,
			  JSON_REJECT_DUPLICATES, NULL);
	wrong = parse_wish(body, &admin);
	if (wrong != NULL)
		request_error(request, 400, "malformed", wrong);
	else
		send_wish(request, &admin);
	json_decref(body);
}

void admin_done(struct ingest *in, const struct message *message)
{
	struct request *request = request_find(in, ENDPOINT_ADMIN,
					       message->tag);
	struct admin_done done;
	char body[64];

	if (request == NULL)
		return;
	memcpy(&done, message->body, sizeof(done));
	done.why[sizeof(done.why) - 1] = '\0';
	done.group[WIRE_GROUP - 1] = '\0';
	if (done.status != 200) {
		request_error(request, done.status, done.status == 404 ?
			      "not found" : done.status == 503 ? "busy" :
			      "refused", done.why);
		return;
	}
	snprintf(body, sizeof(body), "{\"id\":\"%s\"}\n", done.group);
	request_answer(request, 200, "application/json", body, strlen(body));
}
