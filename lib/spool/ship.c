/* Shipping: "do you want it?" first, the body only if so. Runs in the
 * crash-time helper, after the report is on disk, and in `epitaph flush`.
 * Trusts neither the collector's answers nor the spool's files. */
#include "ship.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../report/clock.h"
#include "../report/gzip.h"
#include "../report/minidump.h"

/* Files of the spool that do not count because they cannot be read. */
enum { MAX_PASSED_OVER = 1024 };

static bool set_text(json_t *object, const char *key, const char *text)
{
	/* Text came from the program: what is not UTF-8 is left out. */
	return !text || json_object_set_new(object, key, json_string(text)) ||
	       true;
}

static void set_time(json_t *object, int64_t time_ms)
{
	time_t seconds = (time_t)(time_ms / 1000);
	char text[40], whole[64];
	struct tm tm;

	gmtime_r(&seconds, &tm);
	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(whole, sizeof(whole), "%s.%03dZ", text,
		 (int)(time_ms % 1000));
	set_text(object, "time", whole);
}

static void set_tags(json_t *object, const struct report *report)
{
	json_t *tags = json_object();

	for (size_t i = 0; i < report->ntags; i++)
		set_text(tags, report->tags[i].key, report->tags[i].value);
	json_object_set_new(object, "tags", tags);
}

/* Build-id of the executable: the module whose path is its. */
static void set_build_id(json_t *object, const struct report *report)
{
	char text[2 * MAX_BUILD_ID + 1];

	for (size_t i = 0; report->exe && i < report->nmodules; i++) {
		const struct module *module = &report->modules[i];

		if (!module->path || strcmp(module->path, report->exe) != 0)
			continue;
		build_id_format(&module->build_id, text);
		set_text(object, "build_id", text);
		return;
	}
}

/* HIT, which goes, as text. */
static bool put_json(json_t *hit, struct writer *out)
{
	char *text = json_dumps(hit, JSON_COMPACT);

	json_decref(hit);
	if (!text)
		return false;
	writer_bytes(out, text, strlen(text));
	free(text);
	return !out->bad;
}

bool ship_hit_json(const struct report *report, struct writer *out)
{
	json_t *hit = json_object();

	set_text(hit, "id", report->id);
	set_text(hit, "fingerprint", report->exact);
	set_time(hit, report->time_ms);
	json_object_set_new(hit, "signal", json_integer(report->signal));
	set_text(hit, "exe", report->exe);
	set_build_id(hit, report);
	set_text(hit, "host", report->host);
	set_text(hit, "release", report->release);
	set_tags(hit, report);
	json_object_set_new(hit, "count", json_integer(1));
	return put_json(hit, out);
}

bool ship_counted_json(const char *kept, size_t len, const char *id,
		       int64_t time_ms, uint32_t count, struct writer *out)
{
	static const char *const told[] = { "fingerprint", "signal", "exe",
					    "build_id",    "host",   "release",
					    "tags" };
	json_t *from = json_loadb(kept, len, JSON_REJECT_DUPLICATES, NULL);
	json_t *hit = json_object();

	if (!json_is_string(json_object_get(from, "fingerprint"))) {
		json_decref(from);
		json_decref(hit);
		return false;
	}
	for (size_t i = 0; i < sizeof(told) / sizeof(*told); i++)
		json_object_set(hit, told[i], json_object_get(from, told[i]));
	json_decref(from);
	set_text(hit, "id", id);
	set_time(hit, time_ms);
	json_object_set_new(hit, "count", json_integer(count));
	return put_json(hit, out);
}

/* What a status means for a report that was sent. */
static enum ship_outcome outcome_of(const struct response *response,
				    const char *what, struct error *err)
{
	int status = response->status;

	if (status == 200 || status == 201)
		return SHIP_DONE;
	fail(err, ERR_REFUSED, "%s: HTTP %d: %.120s", what, status,
	     response->body);
	/* 409: another body is there under this id, and stays. */
	if (status == 400 || status == 409 || status == 410 || status == 413 ||
	    status == 415)
		return SHIP_REFUSED;
	err->code = status == 401 || status == 403 ? ERR_REFUSED
						   : ERR_UNAVAILABLE;
	return SHIP_LATER;
}

/* Whether the answer to a hit asks for the body of ID. */
static bool is_wanted(const struct response *response, const char *id)
{
	json_t *answer = json_loadb(response->body, response->len,
				    JSON_REJECT_DUPLICATES, NULL);
	json_t *want = json_object_get(answer, "want");
	bool wanted = false;

	for (size_t i = 0; i < json_array_size(want); i++) {
		const char *text = json_string_value(json_array_get(want, i));

		wanted |= text && strcmp(text, id) == 0;
	}
	json_decref(answer);
	return wanted;
}

enum ship_outcome ship_hit(const struct shipper *shipper, const void *json,
			   size_t len, const char *id, bool *wanted_out,
			   struct error *err)
{
	struct response *response = calloc(1, sizeof(*response));
	enum ship_outcome outcome = SHIP_LATER;

	*wanted_out = false;
	if (!response) {
		fail(err, ERR_NO_MEMORY, "hit: out of memory");
	} else if (shipper->post(shipper->context, "/api/v1/hits",
				 "application/json", NULL, shipper->token,
				 json, len, response, err)) {
		outcome = outcome_of(response, "hit", err);
		*wanted_out = is_wanted(response, id);
	}
	free(response);
	return outcome;
}

static enum ship_outcome post_hit(const struct shipper *shipper,
				  const struct report *report,
				  bool *wanted_out, struct error *err)
{
	enum ship_outcome outcome = SHIP_LATER;
	struct writer body;

	writer_init(&body, SHIP_MAX_RESPONSE);
	if (!ship_hit_json(report, &body))
		fail(err, ERR_NO_MEMORY, "hit: out of memory");
	else
		outcome = ship_hit(shipper, body.bytes, body.len, report->id,
				   wanted_out, err);
	writer_fini(&body);
	return outcome;
}

static enum ship_outcome post_body(const struct shipper *shipper,
				   const void *gz, size_t len,
				   struct error *err)
{
	struct response *response = calloc(1, sizeof(*response));
	enum ship_outcome outcome = SHIP_LATER;

	if (!response)
		fail(err, ERR_NO_MEMORY, "report: out of memory");
	else if (shipper->post(shipper->context, "/api/v1/reports",
			       "application/octet-stream", "gzip",
			       shipper->token, gz, len, response, err))
		outcome = outcome_of(response, "report", err);
	free(response);
	return outcome;
}

static bool decode(const void *gz, size_t len, struct report *report_out,
		   struct error *err)
{
	struct writer plain;
	bool done;

	writer_init(&plain, MAX_REPORT_BYTES);
	done = gzip_unpack(gz, len, &plain, err) &&
	       minidump_decode(plain.bytes, plain.len, report_out, err);
	writer_fini(&plain);
	return done;
}

enum ship_outcome ship_report(const struct shipper *shipper, const void *gz,
			      size_t len, bool *sent_body_out,
			      struct error *err)
{
	enum ship_outcome outcome;
	struct report report;
	bool wanted = false;

	if (!decode(gz, len, &report, err))
		return SHIP_REFUSED;
	outcome = post_hit(shipper, &report, &wanted, err);
	report_free(&report);
	if (outcome == SHIP_DONE && wanted)
		outcome = post_body(shipper, gz, len, err);
	if (sent_body_out)
		*sent_body_out = wanted && outcome == SHIP_DONE;
	return outcome;
}

/* Ship one report of the spool and do with it what its outcome says. What
 * cannot be read is passed over: its own helper has just shipped it, or it is
 * not ours; what is too large to be a report is none. */
static enum ship_outcome ship_id(const struct shipper *shipper,
				 struct spool *spool, const char *id,
				 struct ship_count *count, struct error *err)
{
	enum ship_outcome outcome;
	bool sent_body = false;
	struct writer gz;

	writer_init(&gz, MAX_SENT_BYTES);
	if (spool_get(spool, id, &gz, err)) {
		outcome = ship_report(shipper, gz.bytes, gz.len, &sent_body,
				      err);
	} else if (err->code == ERR_TOO_LARGE) {
		outcome = SHIP_REFUSED;
	} else {
		writer_fini(&gz);
		return SHIP_DONE;
	}
	writer_fini(&gz);
	count->bodies += sent_body;
	if (outcome == SHIP_DONE) {
		spool_remove(spool, id);
		count->done++;
	} else if (outcome == SHIP_REFUSED) {
		spool_refuse(spool, id);
		count->refused++;
	} else {
		count->later++;
	}
	return outcome;
}

bool ship_spool(const struct shipper *shipper, struct spool *spool, size_t max,
		int64_t deadline_ms, struct ship_count *count_out,
		struct error *err)
{
	size_t cap = max + MAX_PASSED_OVER;
	char(*ids)[37] = malloc(cap * sizeof(*ids));
	struct ship_count count = { 0 };
	bool reached = true;
	size_t n, i;
	int lock;

	if (!ids)
		return fail(err, ERR_NO_MEMORY, "out of memory");
	if (!spool_lock(spool, &lock)) {
		free(ids);
		return fail(err, ERR_UNAVAILABLE, "spool %s: another process "
			    "is shipping it", spool->path);
	}
	n = spool_list(spool, SPOOL_REPORTS, ids, cap);
	for (i = 0; i < n && reached && count.done + count.refused < max &&
		    clock_monotonic_ms() < deadline_ms; i++)
		reached = ship_id(shipper, spool, ids[i], &count, err) !=
			  SHIP_LATER;
	count.later += n - i;
	spool_unlock(lock);
	free(ids);
	*count_out = count;
	return reached;
}
