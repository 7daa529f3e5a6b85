/* Bodies in an ingest worker: received into a file, looked into by a child of
 * the check role, kept by the store. The worker sees none of their bytes but
 * to write them down. */
#include "ingest.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../lib/report/clock.h"
#include "text.h"

static bool check_encoding(struct request *request)
{
	const char *encoding = MHD_lookup_connection_value(
		request->connection, MHD_HEADER_KIND, "Content-Encoding");

	request->gzip = encoding != NULL && strcasecmp(encoding, "gzip") == 0;
	if (encoding == NULL || request->gzip ||
	    strcasecmp(encoding, "identity") == 0)
		return true;
	request_error(request, 415, "unsupported",
		      "Content-Encoding has to be gzip, or none");
	return false;
}

/* What a minidump certainly is not. Others are let through: curl calls
 * everything a form. */
static bool check_type(struct request *request)
{
	static const char *const no[] = { "multipart/", "text/",
					  "application/json", "image/" };
	const char *type = MHD_lookup_connection_value(
		request->connection, MHD_HEADER_KIND, "Content-Type");

	for (size_t i = 0; type != NULL && i < sizeof(no) / sizeof(no[0]);
	     i++) {
		if (strncasecmp(type, no[i], strlen(no[i])) != 0)
			continue;
		request_error(request, 415, "unsupported", "Content-Type has "
			      "to be application/octet-stream");
		return false;
	}
	return true;
}

bool report_start(struct request *request)
{
	return check_type(request) &&
	       report_open(request, request->in->role->settings.max_sent);
}

bool report_open(struct request *request, uint64_t max)
{
	struct ingest *in = request->in;

	if (!check_encoding(request))
		return false;
	if (in->uploads >= INGEST_UPLOADS) {
		request_error(request, 503, "busy", "too many bodies at once");
		return false;
	}
	request->max = max;
	snprintf(request->file, sizeof(request->file), "incoming/%u-%llu",
		 in->role->index, (unsigned long long)++in->next_file);
	request->fd = open(request->file, O_WRONLY | O_CREAT | O_TRUNC |
			   O_CLOEXEC, 0600);
	if (request->fd < 0) {
		request->file[0] = '\0';
		request_error(request, 503, "busy", strerror(errno));
		return false;
	}
	in->uploads++;
	return true;
}

void report_forget(struct request *request)
{
	if (request->file[0] == '\0')
		return;
	if (request->fd >= 0)
		close(request->fd);
	request->fd = -1;
	/* If the store has taken it, it has another name now. */
	unlink(request->file);
	request->file[0] = '\0';
	request->in->uploads--;
	if (request->endpoint == ENDPOINT_SYMBOLS)
		request->in->symbol_uploads--;
}

void report_receive(struct request *request, const char *bytes, size_t len)
{
	char why[96];

	request->received += len;
	if (request->received > request->max) {
		snprintf(why, sizeof(why), "limit for %s is %llu bytes as "
			 "sent", request->endpoint == ENDPOINT_SYMBOLS ?
			 "symbols" : "reports",
			 (unsigned long long)request->max);
		report_forget(request);
		request_error(request, 413, "too large", why);
		return;
	}
	while (len > 0) {
		ssize_t n = write(request->fd, bytes, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			snprintf(why, sizeof(why), "cannot keep it: %s",
				 strerror(errno));
			report_forget(request);
			request_error(request, 503, "busy", why);
			return;
		}
		bytes += n;
		len -= (size_t)n;
	}
}

void report_finish(struct request *request)
{
	struct ingest *in = request->in;
	struct check_job job;

	close(request->fd);
	request->fd = -1;
	memset(&job, 0, sizeof(job));
	text_copy(job.file, sizeof(job.file), request->file);
	job.max_unpacked = in->role->settings.max_unpacked;
	job.gzip = request->gzip;
	request_wait(request, INGEST_CHECK_MS);
	if (!channel_send(&in->check, MSG_CHECK, request->tag, &job,
			  sizeof(job)))
		request_error(request, 503, "busy", "not now");
}

static const char *word_for(unsigned status)
{
	switch (status) {
	case 413:
		return "too large";
	case 415:
		return "unsupported";
	case 503:
		return "busy";
	default:
		return "malformed";
	}
}

void report_refuse(struct request *request, unsigned status,
		   struct slice why)
{
	char text[300];

	/* What a dying child left behind is no HTTP status. */
	if (status != 413 && status != 415 && status != 503)
		status = 400;
	slice_copy(why, text, sizeof(text));
	request_error(request, status, word_for(status), text);
}

static void hand_on(struct request *request, struct body *body)
{
	struct ingest *in = request->in;
	int64_t now_ms = clock_wall_ms();
	struct writer out;

	body->hit.canary = request->canary;
	body->file = slice_of(request->file);
	if (body->hit.time_ms > now_ms || body->hit.time_ms <= 0)
		body->hit.time_ms = now_ms;
	memcpy(request->ids, body->hit.id, 16);
	writer_init(&out, WIRE_MAX_REPORT);
	wire_put_body(&out, body);
	request_wait(request, INGEST_STORE_MS);
	if (out.bad || !channel_send(&in->store, MSG_REPORT, request->tag,
				     out.bytes, out.len))
		request_error(request, 503, "busy", "not now");
	writer_fini(&out);
}

void report_checked(struct ingest *in, const struct message *message)
{
	struct request *request = request_find(in, ENDPOINT_REPORT,
					       message->tag);
	static struct body body;
	struct reader r;
	unsigned status;

	if (request == NULL)
		return;
	reader_init(&r, message->body, message->len);
	status = reader_u16(&r);
	if (status != 0) {
		report_refuse(request, status, wire_get_slice(&r));
		return;
	}
	request->ids = malloc(16);
	if (request->ids == NULL || !wire_get_body(&r, &body) ||
	    body.document.len > WIRE_MAX_DOCUMENT)
		request_error(request, 400, "malformed",
			      "its reader made no sense of it");
	else
		hand_on(request, &body);
}

static void answer_ok(struct request *request, unsigned status,
		      const char *group)
{
	struct writer out;
	char id[37];

	text_uuid(request->ids[0], id);
	writer_init(&out, 256);
	text_format(&out, "{\"id\":\"%s\",\"group\":\"%s\"}\n", id, group);
	request_answer(request, status, "application/json", out.bytes,
		       out.len);
	writer_fini(&out);
}

void report_done(struct ingest *in, const struct message *message)
{
	struct request *request = request_find(in, ENDPOINT_REPORT,
					       message->tag);
	struct report_done done;

	if (request == NULL)
		return;
	memcpy(&done, message->body, sizeof(done));
	done.group[WIRE_GROUP - 1] = '\0';
	switch (done.verdict) {
	case REPORT_NEW:
		answer_ok(request, 201, done.group);
		break;
	case REPORT_SAME:
		answer_ok(request, 200, done.group);
		break;
	case REPORT_CONFLICT:
		request_error(request, 409, "conflict",
			      "another body is there under this id");
		break;
	case REPORT_TOO_OLD:
		request_error(request, 410, "gone",
			      "the id is older than what is kept");
		break;
	case REPORT_TOO_NEW:
		request_error(request, 400, "malformed",
			      "the id is of a time to come");
		break;
	default:
		request_error(request, 503, "busy",
			      "the store cannot take it now");
		break;
	}
}
