/* Writes the JSON stream of a report. Runs in the helper at crash time; the
 * report's strings came from the dead process and need not be UTF-8. */
#include "meta.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "context.h"
#include "siginfo.h"
#include "utf.h"

enum { HEX_SIZE = 19 }; /* "0x", sixteen digits, NUL */

/* Sticky, like the writer: without memory somewhere it is bad, and the caller
 * asks once. */
struct builder {
	const struct report *report;
	size_t frames_left;
	bool bad;
};

/* Both take VALUE over, and it may be NULL, for want of memory. */
static void put(struct builder *b, json_t *object, const char *key,
		json_t *value)
{
	if (json_object_set_new(object, key, value) != 0)
		b->bad = true;
}

static void add(struct builder *b, json_t *array, json_t *value)
{
	if (json_array_append_new(array, value) != 0)
		b->bad = true;
}

/* TEXT with what is not UTF-8 replaced, for JSON has nothing else. */
static json_t *clean_string(const char *text)
{
	size_t len = strlen(text), pos = 0, to = 0;
	json_t *string = json_stringn(text, len);
	char *clean;

	if (string != NULL)
		return string;
	clean = malloc(len * 3 + 1); /* one bad byte becomes three */
	if (clean == NULL)
		return NULL;
	while (pos < len)
		to += utf8_put(utf8_next(text, len, &pos), clean + to);
	string = json_stringn_nocheck(clean, to);
	free(clean);
	return string;
}

static json_t *string_or_null(const char *text)
{
	return text != NULL ? clean_string(text) : json_null();
}

static json_t *hex(uint64_t v)
{
	char text[HEX_SIZE];

	snprintf(text, sizeof(text), "0x%" PRIx64, v);
	return json_string(text);
}

static json_t *count_or_null(int64_t v)
{
	return v >= 0 ? json_integer(v) : json_null();
}

/* Readers may rely on it that these hold no null. */
static json_t *strings(struct builder *b, const char *const *texts, size_t n)
{
	json_t *array = json_array();

	for (size_t i = 0; i < n; i++) {
		if (texts[i] != NULL)
			add(b, array, clean_string(texts[i]));
	}
	return array;
}

static json_t *tags(struct builder *b, const struct tag *list, size_t n)
{
	json_t *object = json_object();

	for (size_t i = 0; i < n; i++) {
		json_t *key;

		if (list[i].key == NULL || list[i].value == NULL)
			continue;
		key = clean_string(list[i].key);
		put(b, object, json_string_value(key),
		    clean_string(list[i].value));
		json_decref(key);
	}
	return object;
}

static json_t *host(struct builder *b)
{
	json_t *o = json_object();

	put(b, o, "name", string_or_null(b->report->host));
	put(b, o, "kernel", string_or_null(b->report->kernel));
	put(b, o, "arch", string_or_null(b->report->arch));
	return o;
}

static json_t *process(struct builder *b)
{
	const struct report *r = b->report;
	json_t *o = json_object();

	put(b, o, "pid", json_integer(r->pid));
	put(b, o, "uid", r->has_uid ? json_integer(r->uid) : json_null());
	put(b, o, "exe", string_or_null(r->exe));
	put(b, o, "args",
	    r->args != NULL ? strings(b, r->args, r->nargs) : json_null());
	put(b, o, "cgroup", string_or_null(r->cgroup));
	put(b, o, "uptime_ms", count_or_null(r->uptime_ms));
	put(b, o, "release", string_or_null(r->release));
	put(b, o, "tags", tags(b, r->tags, r->ntags));
	return o;
}

static json_t *sender(struct builder *b)
{
	json_t *o = json_object();

	put(b, o, "pid", json_integer(b->report->sender_pid));
	put(b, o, "uid", json_integer(b->report->sender_uid));
	put(b, o, "name", string_or_null(b->report->sender_name));
	return o;
}

/* The names are for people who look at the JSON; only numbers are read. */
static json_t *signal_object(struct builder *b)
{
	const struct report *r = b->report;
	json_t *o = json_object();

	put(b, o, "number", json_integer(r->signal));
	put(b, o, "name", string_or_null(signal_name(r->signal)));
	put(b, o, "code", json_integer(r->code));
	put(b, o, "code_name",
	    string_or_null(signal_code_name(r->signal, r->code)));
	put(b, o, "address", r->has_address ? hex(r->address) : json_null());
	put(b, o, "sender", r->has_sender ? sender(b) : json_null());
	put(b, o, "death",
	    r->death_signal != 0 ? json_integer(r->death_signal) : json_null());
	return o;
}

/* Threads that wait in the same place differ in the addresses of their frames
 * and not in the distances between them, which therefore cost next to nothing
 * once packed. */
static json_t *cfa(uint64_t address, uint64_t below)
{
	if (below == 0 || address < below ||
	    address - below > META_MAX_DISTANCE)
		return hex(address);
	return json_integer((json_int_t)(address - below));
}

/* An array, not an object: a hundred threads have thousands of frames. BELOW
 * is the CFA of the frame before. */
static json_t *frame_array(struct builder *b, const struct frame *f,
			   uint64_t below)
{
	json_t *array = json_array();
	const char *trust = trust_name(f->trust);

	add(b, array, hex(f->pc));
	add(b, array, cfa(f->cfa, below));
	add(b, array, json_integer(f->module));
	add(b, array, string_or_null(trust));
	if (f->corrupt_ra)
		add(b, array, json_string("corrupt_ra"));
	return array;
}

/* What the context says wrongly, or has no place for. */
static void put_registers(struct builder *b, json_t *o, const struct thread *t)
{
	uint64_t there = t->has_registers ? context_valid(t) : 0;
	json_t *more = json_object(), *unknown = json_array();

	for (unsigned i = 0; i < REG_COUNT; i++) {
		const char *name = register_name((enum reg)i);
		bool known = t->registers.valid >> i & 1;
		bool claimed = there >> i & 1;

		if (known && !claimed)
			put(b, more, name, hex(t->registers.value[i]));
		if (!known && claimed)
			add(b, unknown, json_string(name));
	}
	if (json_array_size(unknown) > 0)
		put(b, o, "unknown_registers", json_incref(unknown));
	put(b, o, "registers", more);
	json_decref(unknown);
}

static json_t *thread_object(struct builder *b, const struct thread *t)
{
	json_t *o = json_object(), *frames = json_array();
	const char *truncated = t->truncated;
	size_t n = t->nframes;

	if (n > b->frames_left) {
		n = 0;
		truncated = "frames left out: too many in one report";
	}
	b->frames_left -= n;
	for (size_t i = 0; i < n; i++)
		add(b, frames, frame_array(b, &t->frames[i],
					   i > 0 ? t->frames[i - 1].cfa :
						   thread_sp(t)));
	put(b, o, "tid", json_integer(t->tid));
	put(b, o, "frames", frames);
	put(b, o, "depth", json_integer((json_int_t)t->depth));
	put(b, o, "truncated", string_or_null(truncated));
	if (t->registers.valid != 0)
		put_registers(b, o, t);
	return o;
}

/* The crashing thread first: the limit on frames is not for it. */
static json_t *threads(struct builder *b)
{
	const struct thread *crashed = report_crashed_thread(b->report);
	json_t *array = json_array();

	if (crashed != NULL)
		add(b, array, thread_object(b, crashed));
	for (size_t i = 0; i < b->report->nthreads; i++) {
		const struct thread *t = &b->report->threads[i];

		if (t != crashed)
			add(b, array, thread_object(b, t));
	}
	return array;
}

static json_t *unloaded(struct builder *b)
{
	const struct report *r = b->report;
	json_t *array = json_array();
	char id[2 * MAX_BUILD_ID + 1];

	for (size_t i = 0; i < r->nunloaded; i++) {
		const struct module *m = &r->unloaded[i];
		json_t *o = json_object();

		build_id_format(&m->build_id, id);
		put(b, o, "path", string_or_null(m->path));
		put(b, o, "build_id", string_or_null(id[0] ? id : NULL));
		put(b, o, "base", hex(m->base));
		put(b, o, "size", json_integer((json_int_t)m->size));
		add(b, array, o);
	}
	return array;
}

static json_t *jit(struct builder *b)
{
	const struct report *r = b->report;
	json_t *array = json_array();

	for (size_t i = 0; i < r->njit && i < MAX_JIT; i++) {
		json_t *region = json_array();

		add(b, region, hex(r->jit[i].start));
		add(b, region, json_integer((json_int_t)r->jit[i].size));
		add(b, region, string_or_null(r->jit[i].name));
		add(b, array, region);
	}
	return array;
}

static json_t *timings(struct builder *b)
{
	json_t *o = json_object();

	put(b, o, "frozen", count_or_null(b->report->frozen_us));
	put(b, o, "unwind", count_or_null(b->report->unwind_us));
	put(b, o, "total", count_or_null(b->report->total_us));
	return o;
}

static json_t *fingerprint(struct builder *b)
{
	json_t *o = json_object();

	put(b, o, "exact",
	    string_or_null(b->report->exact[0] ? b->report->exact : NULL));
	return o;
}

/* A clock may be set to anything; a reader takes dates only. */
static int64_t date(int64_t time_ms)
{
	if (time_ms < 0)
		return 0;
	return time_ms < META_MAX_TIME_MS ? time_ms : META_MAX_TIME_MS;
}

static json_t *root(struct builder *b)
{
	const struct report *r = b->report;
	json_t *o = json_object();

	put(b, o, "epitaph", json_integer(META_VERSION));
	put(b, o, "id", string_or_null(r->id[0] ? r->id : NULL));
	put(b, o, "time_ms", json_integer(date(r->time_ms)));
	put(b, o, "tier", json_integer(r->tier));
	put(b, o, "tier_reason", string_or_null(r->tier_reason));
	put(b, o, "complete", json_boolean(r->complete));
	if (r->sanitized)
		put(b, o, "sanitized", json_true());
	put(b, o, "host", host(b));
	put(b, o, "process", process(b));
	put(b, o, "annotations", tags(b, r->annotations, r->nannotations));
	put(b, o, "breadcrumbs", strings(b, r->breadcrumbs, r->nbreadcrumbs));
	put(b, o, "signal", signal_object(b));
	put(b, o, "reason", string_or_null(r->reason));
	put(b, o, "message", string_or_null(r->message));
	put(b, o, "fingerprint", fingerprint(b));
	put(b, o, "threads", threads(b));
	if (r->nunloaded > 0)
		put(b, o, "unloaded", unloaded(b));
	if (r->njit > 0)
		put(b, o, "jit", jit(b));
	put(b, o, "timings_us", timings(b));
	return o;
}

char *meta_encode(const struct report *report, size_t *len_out)
{
	struct builder b = { report, MAX_META_FRAMES, false };
	json_t *o = root(&b);
	char *text = NULL;

	if (!b.bad)
		text = json_dumps(o, JSON_COMPACT);
	json_decref(o);
	if (text != NULL)
		*len_out = strlen(text);
	return text;
}
