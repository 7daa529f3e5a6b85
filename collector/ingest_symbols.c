/* Symbols in an ingest worker: files that come in are received like bodies,
 * looked into by a child of the check role, and told to the store, where
 * reports may wait for them; files that are asked for (debuginfod's protocol)
 * are sent as they lie. The worker sees none of their bytes. */
#include "ingest.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../lib/report/clock.h"
#include "program.h"
#include "text.h"

#define BUILD_ID_PATH "/buildid/"
#define PUT_PATH "/api/v1/symbols"

enum { FORM_BUFFER = 65536 };

/* What lies in a form under another name is only told to us. */
static enum MHD_Result on_field(void *context, enum MHD_ValueKind kind,
				const char *key, const char *filename,
				const char *type, const char *encoding,
				const char *bytes, uint64_t at, size_t len)
{
	struct request *request = context;

	(void)kind;
	(void)filename;
	(void)type;
	(void)encoding;
	(void)at;
	if (request->state == REQUEST_RECEIVING && len > 0 &&
	    strcmp(key, "symbol_file") == 0)
		report_receive(request, bytes, len);
	return MHD_YES;
}

static bool start_form(struct request *request)
{
	if (strcmp(request->path, PUT_PATH) == 0)
		return true;
	request->form = MHD_create_post_processor(request->connection,
						  FORM_BUFFER, on_field,
						  request);
	if (request->form == NULL)
		request_error(request, 415, "unsupported", "Content-Type has "
			      "to be multipart/form-data");
	return request->form != NULL;
}

void symbols_receive(struct request *request, const char *bytes, size_t len)
{
	if (request->form == NULL)
		report_receive(request, bytes, len);
	else if (MHD_post_process(request->form, bytes, len) != MHD_YES &&
		 request->state == REQUEST_RECEIVING)
		request_error(request, 400, "malformed", "not a form");
}

bool symbols_start(struct request *request)
{
	struct ingest *in = request->in;

	if (in->symbol_uploads >= INGEST_SYMBOL_UPLOADS) {
		request_error(request, 503, "busy",
			      "too many files of symbols at once");
		return false;
	}
	if (!start_form(request) ||
	    !report_open(request, in->role->settings.max_symbols))
		return false;
	in->symbol_uploads++;
	request->deadline_ms = clock_monotonic_ms() + INGEST_SYMBOLS_MS;
	return true;
}

static void use_tool(struct request *request, const struct tool_job *job)
{
	request_wait(request, INGEST_TOOL_MS);
	if (!channel_send(&request->in->check, MSG_TOOL, request->tag, job,
			  sizeof(*job)))
		request_error(request, 503, "busy", "not now");
}

void symbols_finish(struct request *request)
{
	struct tool_job job = { .tool = TOOL_TAKE_SYMBOLS };

	close(request->fd);
	request->fd = -1;
	text_copy(job.file, sizeof(job.file), request->file);
	use_tool(request, &job);
}

void core_start(struct request *request, const char *file)
{
	struct ingest *in = request->in;
	struct tool_job job = { .tool = TOOL_MAKE_CORE };

	snprintf(request->core, sizeof(request->core), "incoming/%u-%llu.core",
		 in->role->index, (unsigned long long)++in->next_file);
	text_copy(job.file, sizeof(job.file), file);
	text_copy(job.to, sizeof(job.to), request->core);
	use_tool(request, &job);
}

/* The store is told of every file, of one that was there already, too: perhaps
 * it was not told the first time, or the sender does not wait any more. */
static void tell_store(struct ingest *in, struct request *request,
		       const struct tool_done *done)
{
	struct build_id id;
	bool sent;

	memset(&id, 0, sizeof(id));
	if (!build_id_parse(done->build_id, &id)) {
		if (request != NULL)
			request_error(request, 503, "busy",
				      "its reader made no sense of it");
		return;
	}
	if (request != NULL) {
		request->taken = *done;
		request_wait(request, INGEST_STORE_MS);
	}
	sent = channel_send(&in->store, MSG_ARRIVED,
			    request != NULL ? request->tag : 0, &id,
			    sizeof(id));
	if (!sent && request != NULL)
		request_error(request, 503, "busy", "not now");
}

static void answer_core(struct request *request)
{
	struct MHD_Response *response = NULL;
	int fd = open(request->core, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	struct stat st;

	if (fd >= 0 && fstat(fd, &st) == 0)
		response = MHD_create_response_from_fd64((uint64_t)st.st_size,
							 fd);
	if (response == NULL) {
		if (fd >= 0)
			close(fd);
		request_error(request, 503, "busy", "the core is gone");
		return;
	}
	MHD_add_response_header(response, "Content-Type",
				"application/octet-stream");
	MHD_add_response_header(response, "Cache-Control", "no-store");
	MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
	request_respond(request, 200, response);
}

void tool_done(struct ingest *in, const struct message *message)
{
	struct request *request = request_find(in, ENDPOINT_SYMBOLS,
					       message->tag);
	struct tool_done done;

	memcpy(&done, message->body, sizeof(done));
	done.why[sizeof(done.why) - 1] = '\0';
	done.build_id[sizeof(done.build_id) - 1] = '\0';
	if (request == NULL)
		request = request_find(in, ENDPOINT_GET, message->tag);
	done.to[sizeof(done.to) - 1] = '\0';
	if (done.status < 400 && done.build_id[0] != '\0')
		tell_store(in, request, &done);
	else if (request == NULL)
		unlink(done.to); /* a core that nobody waits for */
	else if (done.status >= 400)
		report_refuse(request, done.status, slice_of(done.why));
	else
		answer_core(request);
}

void symbols_arrived(struct ingest *in, const struct message *message)
{
	struct request *request = request_find(in, ENDPOINT_SYMBOLS,
					       message->tag);
	char body[2 * MAX_BUILD_ID + 32];

	if (request == NULL)
		return;
	if (message->body[0] == 0) {
		request_error(request, 503, "busy",
			      "the store cannot take it now");
		return;
	}
	snprintf(body, sizeof(body), "{\"build_id\":\"%s\"}\n",
		 request->taken.build_id);
	request_answer(request, request->taken.is_new ? 201 : 200,
		       "application/json", body, strlen(body));
}

/* Files that are asked for */

/* "/buildid/ID/debuginfo" or "/executable" as the file's place in the store.
 * False where it is neither. */
static bool place_of(const char *path, char *to, size_t cap)
{
	char hex[2 * MAX_BUILD_ID + 1];
	const char *id = path + strlen(BUILD_ID_PATH);
	const char *slash = strchr(id, '/');
	size_t len = slash != NULL ? (size_t)(slash - id) : 0;
	struct build_id parsed;
	bool is_debug = slash != NULL && strcmp(slash, "/debuginfo") == 0;

	if (len >= sizeof(hex) ||
	    (!is_debug && (slash == NULL || strcmp(slash, "/executable") != 0)))
		return false;
	memcpy(hex, id, len);
	hex[len] = '\0';
	if (!build_id_parse(hex, &parsed) || parsed.len < 2)
		return false;
	build_id_format(&parsed, hex);
	snprintf(to, cap, "%.2s/%s%s", hex, hex + 2,
		 is_debug ? ".debug" : "");
	return true;
}

/* The file PLACE of the store, if it is a regular one; -1. */
static int open_place(struct request *request, const char *place,
		      struct stat *st)
{
	char store[CONFIG_PATH + 16], path[CONFIG_PATH + 256];
	int fd;

	program_store(&request->in->role->settings, store, sizeof(store));
	snprintf(path, sizeof(path), "%s/%s", store, place);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd >= 0 && (fstat(fd, st) < 0 || !S_ISREG(st->st_mode))) {
		close(fd);
		fd = -1;
	}
	return fd;
}

/* What is sent of a file. */
struct part {
	uint64_t at, len, size;
	unsigned status; /* 200, 206 or 416 */
};

/* One range, as RFC 9110 has it, of a file of SIZE bytes: its first byte, and
 * its last or one behind the file's. False for what is none, or several. */
static bool parse_range(const char *range, uint64_t size, uint64_t *first,
			uint64_t *last)
{
	char *end;

	if (range == NULL || strncmp(range, "bytes=", 6) != 0 ||
	    strpbrk(range, ", +") != NULL)
		return false;
	range += 6;
	*last = UINT64_MAX;
	if (*range == '-') {
		uint64_t tail = strtoull(range + 1, &end, 10);

		*first = tail == 0 ? size : tail < size ? size - tail : 0;
		return end > range + 1 && *end == '\0';
	}
	*first = strtoull(range, &end, 10);
	if (end == range || *end != '-')
		return false;
	range = end + 1;
	if (*range == '\0')
		return true;
	*last = strtoull(range, &end, 10);
	return *end == '\0' && *last >= *first;
}

static void read_range(const char *range, struct part *part)
{
	uint64_t first, last;

	if (!parse_range(range, part->size, &first, &last))
		return;
	part->status = first < part->size ? 206 : 416;
	if (last >= part->size)
		last = part->size - 1;
	part->at = first;
	part->len = last - first + 1;
}

static void add_headers(struct MHD_Response *response, const char *place,
			const struct part *part)
{
	char text[80];

	MHD_add_response_header(response, "Content-Type",
				"application/octet-stream");
	MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
	MHD_add_response_header(response, "Accept-Ranges", "bytes");
	MHD_add_response_header(response, "X-DEBUGINFOD-FILE", place);
	snprintf(text, sizeof(text), "%" PRIu64, part->size);
	MHD_add_response_header(response, "X-DEBUGINFOD-SIZE", text);
	if (part->status == 200)
		return;
	snprintf(text, sizeof(text), "bytes %" PRIu64 "-%" PRIu64 "/%" PRIu64,
		 part->at, part->at + part->len - 1, part->size);
	MHD_add_response_header(response, "Content-Range", text);
}

static void answer_part(struct request *request, int fd, const char *place,
			const struct part *part)
{
	struct MHD_Response *response;

	response = MHD_create_response_from_fd_at_offset64(part->len, fd,
							   part->at);
	if (response == NULL) {
		close(fd);
		request_error(request, 503, "busy", "no memory");
		return;
	}
	add_headers(response, place, part);
	request_respond(request, part->status, response);
}

void build_id_get(struct request *request)
{
	char place[2 * MAX_BUILD_ID + 16];
	struct part part = { .status = 200 };
	struct stat st;
	int fd;

	if (!place_of(request->path, place, sizeof(place))) {
		request_error(request, 404, "no such path", request->path);
		return;
	}
	fd = open_place(request, place, &st);
	if (fd < 0) {
		request_error(request, 404, "not found",
			      "no file of that build is here");
		return;
	}
	part.size = part.len = (uint64_t)st.st_size;
	read_range(MHD_lookup_connection_value(request->connection,
					       MHD_HEADER_KIND, "Range"),
		   &part);
	if (part.status == 416) {
		close(fd);
		request_error(request, 416, "range not satisfiable",
			      "the file is shorter");
		return;
	}
	answer_part(request, fd, place, &part);
}
