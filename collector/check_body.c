/* The only code of the collector that unpacks and decodes what somebody sent.
 * It runs in a child of the check role, under limits and a filter that leaves
 * it its two files and memory, and believes nothing. */
#include "check.h"

#include <errno.h>
#include <sha2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../lib/report/fingerprint.h"
#include "../lib/report/gzip.h"
#include "../lib/report/minidump.h"
#include "../lib/report/uuid.h"
#include "document.h"
#include "text.h"

static unsigned status_of(const struct error *err)
{
	switch (err->code) {
	case ERR_TOO_LARGE:
		return 413;
	case ERR_UNSUPPORTED:
		return 415;
	case ERR_NO_MEMORY:
		return 413;
	case ERR_SYSTEM:
		return 503;
	default:
		return 400;
	}
}

/* The whole file, mapped; NULL and ERR. An empty file is no minidump. */
static const uint8_t *map_file(int fd, size_t *len_out, struct error *err)
{
	struct stat st;
	void *bytes;

	if (fstat(fd, &st) < 0) {
		fail_errno(err, "read the body");
		return NULL;
	}
	if (st.st_size == 0) {
		fail(err, ERR_BAD_DATA, "the body is empty");
		return NULL;
	}
	bytes = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (bytes == MAP_FAILED) {
		fail_errno(err, "map the body");
		return NULL;
	}
	*len_out = (size_t)st.st_size;
	return bytes;
}

/* Bodies lie gzipped on the disk, however they came. */
static bool write_packed(int fd, const void *bytes, size_t len,
			 struct error *err)
{
	struct writer packed;
	size_t at = 0;
	bool ok;

	writer_init(&packed, len + (1 << 20));
	ok = gzip_pack(bytes, len, 6, &packed, err);
	if (ok && ftruncate(fd, 0) < 0)
		ok = fail_errno(err, "rewrite the body");
	while (ok && at < packed.len) {
		ssize_t n = pwrite(fd, packed.bytes + at, packed.len - at,
				   (off_t)at);

		if (n < 0)
			ok = fail_errno(err, "rewrite the body");
		else
			at += (size_t)n;
	}
	writer_fini(&packed);
	return ok;
}

/* A dump of another's making has no frames: its program counter is better
 * than nothing, or all crashes of a program would be one. */
static bool give_frame(struct report *report)
{
	struct thread *thread = (struct thread *)(uintptr_t)
		report_crashed_thread(report);
	struct frame *frame;
	uint64_t pc;

	if (thread == NULL || thread->nframes > 0 || !thread->has_registers ||
	    (thread->registers.valid & REG_BIT(R_PC)) == 0)
		return true;
	frame = report_alloc(report, sizeof(*frame));
	if (frame == NULL)
		return false;
	pc = thread->registers.value[R_PC];
	frame->pc = pc;
	frame->module = report_find_module(report, pc);
	if (frame->module >= 0)
		frame->offset = pc - report->modules[frame->module].base;
	frame->trust = TRUST_CONTEXT;
	thread->frames = frame;
	thread->nframes = 1;
	thread->depth = 1;
	return true;
}

/* Time and content make the id of a report that has none, so that sending it
 * again is sending the same one. */
static void make_id(const struct report *report, const uint8_t digest[32],
		    char out[37])
{
	uuid_format(report->time_ms, digest, out);
}

static bool fill_id(struct report *report, struct body *body,
		    struct error *err)
{
	int64_t made_ms;

	body->has_id = report->id[0] != '\0';
	if (!body->has_id)
		make_id(report, body->digest, report->id);
	if (!uuid_parse(report->id, &made_ms) ||
	    !text_parse_uuid(report->id, body->hit.id))
		return fail(err, ERR_BAD_DATA, "report id is no UUIDv7");
	return true;
}

static bool fill_fingerprint(struct report *report, struct body *body,
			     struct error *err)
{
	char hex[FINGERPRINT_HEX];

	if (!give_frame(report))
		return fail(err, ERR_NO_MEMORY, "no memory for a frame");
	if (report->exact[0] == '\0') {
		fingerprint_exact(report, hex);
		memcpy(report->exact, hex, sizeof(report->exact));
	}
	if (strlen(report->exact) != 32 ||
	    !text_unhex(report->exact, 16, body->hit.fingerprint))
		return fail(err, ERR_BAD_DATA, "fingerprint is no 32 digits");
	return true;
}

static void fill_tags(const struct report *report, struct hit *hit)
{
	for (size_t i = 0; i < report->ntags && hit->ntags < WIRE_TAGS; i++) {
		hit->tags[hit->ntags].key = slice_of(report->tags[i].key);
		hit->tags[hit->ntags].value = slice_of(report->tags[i].value);
		hit->ntags++;
	}
}

/* The module that is the program: the one with its path, else the first. */
static const struct module *main_module(const struct report *report)
{
	for (size_t i = 0; report->exe != NULL && i < report->nmodules; i++) {
		const char *path = report->modules[i].path;

		if (path != NULL && strcmp(path, report->exe) == 0)
			return &report->modules[i];
	}
	return report->nmodules > 0 ? &report->modules[0] : NULL;
}

/* HEX_OUT holds the build-id that BODY then points to. */
static bool fill_body(struct report *report, struct body *body, char *hex_out,
		      struct error *err)
{
	const struct module *module = main_module(report);
	struct hit *hit = &body->hit;

	if (!fill_id(report, body, err) ||
	    !fill_fingerprint(report, body, err))
		return false;
	hex_out[0] = '\0';
	if (module != NULL)
		build_id_format(&module->build_id, hex_out);
	if (report->exe == NULL && module != NULL)
		report->exe = module->path;
	hit->count = 1;
	hit->time_ms = report->time_ms;
	hit->signal = (uint32_t)report->signal;
	hit->exe = slice_of(report->exe);
	hit->build_id = slice_of(hex_out);
	hit->host = slice_of(report->host);
	hit->release = slice_of(report->release);
	fill_tags(report, hit);
	body->tier = report->tier;
	body->complete = report->complete;
	body->reason = slice_of(report->reason);
	return true;
}

static void put_result(const struct report *report, struct body *body,
		       struct writer *out)
{
	struct writer document, packed;
	struct error err;

	writer_init(&document, WIRE_MAX_DOCUMENT);
	writer_init(&packed, WIRE_MAX_DOCUMENT);
	document_write(report, &document);
	/* Without it the report is still worth keeping. */
	if (!document.bad && gzip_pack(document.bytes, document.len, 6,
				       &packed, &err)) {
		body->document.bytes = (const char *)packed.bytes;
		body->document.len = packed.len;
	}
	writer_u16(out, 0);
	wire_put_body(out, body);
	writer_fini(&document);
	writer_fini(&packed);
}

static bool look(int fd, const struct check_job *job, const uint8_t *bytes,
		 size_t len, struct writer *out, struct error *err)
{
	char build_id[2 * MAX_BUILD_ID + 1];
	struct body body;
	struct report report;
	SHA2_CTX sha;
	bool ok;

	memset(&body, 0, sizeof(body));
	body.size = len;
	SHA256Init(&sha);
	SHA256Update(&sha, bytes, len);
	SHA256Final(body.digest, &sha);
	if (!minidump_decode(bytes, len, &report, err))
		return fail_context(err, "minidump");
	ok = fill_body(&report, &body, build_id, err) &&
	     (job->gzip || write_packed(fd, bytes, len, err));
	if (ok && fsync(fd) < 0)
		ok = fail_errno(err, "sync the body");
	if (ok)
		put_result(&report, &body, out);
	report_free(&report);
	return ok;
}

void check_body(int fd, const struct check_job *job, struct writer *out)
{
	struct writer plain;
	struct error err;
	const uint8_t *bytes;
	size_t len = 0;
	bool ok;

	writer_init(&plain, (size_t)job->max_unpacked);
	bytes = map_file(fd, &len, &err);
	ok = bytes != NULL;
	if (ok && job->gzip) {
		ok = gzip_unpack(bytes, len, &plain, &err);
		bytes = plain.bytes;
		len = plain.len;
	} else if (ok && len > job->max_unpacked) {
		ok = fail(&err, ERR_TOO_LARGE, "body is above the limit of "
			  "%llu bytes", (unsigned long long)job->max_unpacked);
	}
	if (ok)
		ok = look(fd, job, bytes, len, out, &err);
	if (!ok)
		wire_put_refusal(out, status_of(&err), err.text);
	writer_fini(&plain);
}
