/* Reads the JSON stream of a report, which nobody vouches for. jansson parses
 * it, strictly, after a look of our own at how deep it goes and how many
 * values it has. */
#include "meta.h"

#include <jansson.h>
#include <string.h>

#include "uuid.h"

enum {
	FRAME_FIELDS = 4, /* pc, cfa, module, trust; or one more, a flag */
	JIT_FIELDS = 3,   /* start, size, name */
	/* What was no UTF-8 was written as three bytes for one. */
	MAX_DECODED_JIT_NAME = 3 * MAX_JIT_NAME,
};

/* Sticky: after the first value that is wrong, ERR is set and BAD stays. */
struct input {
	struct report *report;
	struct error *err;
	bool bad;
};

static void refuse(struct input *in, const char *key, const char *wanted)
{
	if (!in->bad)
		fail(in->err, ERR_BAD_DATA, "\"%s\" is not %s", key, wanted);
	in->bad = true;
}

static void *checked(struct input *in, void *memory)
{
	if (memory == NULL && !in->bad)
		fail(in->err, ERR_NO_MEMORY, "no memory for this much report");
	if (memory == NULL)
		in->bad = true;
	return memory;
}

/* OBJECT's KEY, which must be of TYPE; NULL where it is absent or null, or
 * OBJECT itself is. */
static json_t *get(struct input *in, const json_t *object, const char *key,
		   json_type type, const char *wanted)
{
	json_t *value = json_object_get(object, key);

	if (value == NULL || json_is_null(value))
		return NULL;
	if (json_typeof(value) == type)
		return value;
	refuse(in, key, wanted);
	return NULL;
}

static json_t *get_object(struct input *in, const json_t *o, const char *key)
{
	return get(in, o, key, JSON_OBJECT, "an object");
}

static json_t *get_array(struct input *in, const json_t *o, const char *key)
{
	return get(in, o, key, JSON_ARRAY, "an array");
}

static const char *copy_string(struct input *in, const json_t *string)
{
	return checked(in, report_string(in->report, json_string_value(string),
					 json_string_length(string)));
}

/* *OUT stays as it is where the key is absent, and is NULL for null. */
static void get_string(struct input *in, const json_t *o, const char *key,
		       const char **out)
{
	json_t *string;

	if (json_object_get(o, key) == NULL)
		return;
	string = get(in, o, key, JSON_STRING, "a string");
	*out = string != NULL ? copy_string(in, string) : NULL;
}

/* False, and *OUT as it was, where the key is absent or null. */
static bool get_integer(struct input *in, const json_t *o, const char *key,
			int64_t min, int64_t max, int64_t *out)
{
	json_t *value = get(in, o, key, JSON_INTEGER, "an integer");
	int64_t v = json_integer_value(value);

	if (value == NULL)
		return false;
	if (v < min || v > max) {
		refuse(in, key, "within its range");
		return false;
	}
	*out = v;
	return true;
}

static void get_int(struct input *in, const json_t *o, const char *key,
		    int min, int max, int *out)
{
	int64_t v;

	if (get_integer(in, o, key, min, max, &v))
		*out = (int)v;
}

static bool get_u32(struct input *in, const json_t *o, const char *key,
		    uint32_t *out)
{
	int64_t v;

	if (!get_integer(in, o, key, 0, UINT32_MAX, &v))
		return false;
	*out = (uint32_t)v;
	return true;
}

/* "0x" and one to sixteen lower-case digits. */
static bool parse_hex(const json_t *string, uint64_t *out)
{
	static const char digits[] = "0123456789abcdef";
	const char *text = json_string_value(string);
	size_t len = json_string_length(string);
	uint64_t v = 0;

	if (text == NULL || len < 3 || len > 18 || text[0] != '0' ||
	    text[1] != 'x')
		return false;
	for (size_t i = 2; i < len; i++) {
		const char *at = memchr(digits, text[i], 16);

		if (at == NULL)
			return false;
		v = v << 4 | (uint64_t)(at - digits);
	}
	*out = v;
	return true;
}

static bool get_hex(struct input *in, const json_t *o, const char *key,
		    uint64_t *out)
{
	json_t *string = get(in, o, key, JSON_STRING, "a string");

	if (string == NULL)
		return false;
	if (parse_hex(string, out))
		return true;
	refuse(in, key, "a hexadecimal number");
	return false;
}

static void get_strings(struct input *in, const json_t *o, const char *key,
			const char ***out, size_t *n_out)
{
	json_t *array = get_array(in, o, key);
	size_t n = json_array_size(array);
	const char **list;

	if (array == NULL)
		return;
	list = checked(in, report_alloc(in->report, n * sizeof(*list)));
	for (size_t i = 0; i < n && !in->bad; i++) {
		json_t *item = json_array_get(array, i);

		if (json_is_string(item))
			list[i] = copy_string(in, item);
		else
			refuse(in, key, "an array of strings");
	}
	if (in->bad)
		return;
	*out = list;
	*n_out = n;
}

static void get_tags(struct input *in, json_t *o, const char *key,
		     struct tag **out, size_t *n_out)
{
	json_t *object = get_object(in, o, key), *value;
	struct tag *list;
	const char *name;
	size_t n = 0;

	if (object == NULL)
		return;
	list = checked(in, report_alloc(in->report, json_object_size(object) *
						     sizeof(*list)));
	if (list == NULL)
		return;
	json_object_foreach(object, name, value) {
		struct tag *tag = &list[n++];

		tag->key = checked(in, report_string(in->report, name,
						     strlen(name)));
		if (json_is_string(value))
			tag->value = copy_string(in, value);
		else
			refuse(in, key, "an object of strings");
	}
	if (in->bad)
		return;
	*out = list;
	*n_out = n;
}

static void decode_process(struct input *in, json_t *o)
{
	struct report *r = in->report;

	get_u32(in, o, "pid", &r->pid);
	r->has_uid = get_u32(in, o, "uid", &r->uid);
	get_string(in, o, "exe", &r->exe);
	get_strings(in, o, "args", &r->args, &r->nargs);
	get_string(in, o, "cgroup", &r->cgroup);
	get_integer(in, o, "uptime_ms", 0, INT64_MAX, &r->uptime_ms);
	get_string(in, o, "release", &r->release);
	get_tags(in, o, "tags", &r->tags, &r->ntags);
}

static void decode_signal(struct input *in, json_t *o)
{
	struct report *r = in->report;
	json_t *sender = get_object(in, o, "sender");

	if (o == NULL)
		return;
	get_int(in, o, "number", 0, 127, &r->signal);
	get_int(in, o, "code", INT32_MIN, INT32_MAX, &r->code);
	get_int(in, o, "death", 0, 127, &r->death_signal);
	r->has_address = get_hex(in, o, "address", &r->address);
	if (!r->has_address)
		r->address = 0;
	r->has_sender = get_u32(in, sender, "pid", &r->sender_pid) &&
			get_u32(in, sender, "uid", &r->sender_uid);
	get_string(in, sender, "name", &r->sender_name);
}

/* A distance from BELOW, the CFA of the frame before, or an address. */
static bool decode_cfa(const json_t *item, uint64_t below, uint64_t *cfa_out)
{
	json_int_t distance = json_integer_value(item);

	if (!json_is_integer(item))
		return parse_hex(item, cfa_out);
	if (distance < 0 || (uint64_t)distance > META_MAX_DISTANCE)
		return false;
	*cfa_out = below != 0 ? below + (uint64_t)distance : 0;
	return true;
}

static bool decode_flag(const json_t *array, bool *set_out)
{
	const char *flag = json_string_value(json_array_get(array,
							    FRAME_FIELDS));

	*set_out = json_array_size(array) > FRAME_FIELDS;
	return !*set_out || (json_array_size(array) == FRAME_FIELDS + 1 &&
			     flag != NULL && strcmp(flag, "corrupt_ra") == 0);
}

static bool decode_frame(struct input *in, const json_t *array,
			 uint64_t below, struct frame *f)
{
	const struct report *r = in->report;
	const json_t *module = json_array_get(array, 2);
	const char *trust = json_string_value(json_array_get(array, 3));
	int64_t index = json_integer_value(module);

	if (json_array_size(array) < FRAME_FIELDS ||
	    !decode_flag(array, &f->corrupt_ra) ||
	    !parse_hex(json_array_get(array, 0), &f->pc) ||
	    !decode_cfa(json_array_get(array, 1), below, &f->cfa) ||
	    !json_is_integer(module) || trust == NULL ||
	    !trust_from_name(trust, &f->trust))
		return false;
	if (index < -1 || (index >= 0 && (uint64_t)index >= r->nmodules))
		return false;
	f->module = (int32_t)index;
	if (index >= 0)
		f->offset = f->pc - r->modules[index].base;
	return true;
}

static void decode_frames(struct input *in, json_t *o, struct thread *t)
{
	json_t *array = get_array(in, o, "frames");
	size_t n = json_array_size(array);

	if (n == 0)
		return;
	if (n > MAX_FRAMES) {
		refuse(in, "frames", "within the limit of frames");
		return;
	}
	t->frames = checked(in, report_alloc(in->report,
					     n * sizeof(*t->frames)));
	for (size_t i = 0; i < n && !in->bad; i++) {
		uint64_t below = i > 0 ? t->frames[i - 1].cfa : thread_sp(t);

		if (!decode_frame(in, json_array_get(array, i), below,
				  &t->frames[i]))
			refuse(in, "frames", "an array of frames");
	}
	t->nframes = in->bad ? 0 : n;
}

/* False for a name that is no register's. */
static bool register_from_name(const char *name, enum reg *reg_out)
{
	for (unsigned i = 0; i < REG_COUNT; i++) {
		if (strcmp(name, register_name((enum reg)i)) == 0) {
			*reg_out = (enum reg)i;
			return true;
		}
	}
	return false;
}

static void decode_registers(struct input *in, json_t *o, struct thread *t)
{
	json_t *more = get_object(in, o, "registers"), *item;
	json_t *unknown = get_array(in, o, "unknown_registers");
	const char *name;
	enum reg reg;
	size_t i;

	json_object_foreach(more, name, item) {
		if (!register_from_name(name, &reg))
			continue;
		if (get_hex(in, more, name, &t->registers.value[reg]))
			t->registers.valid |= REG_BIT(reg);
	}
	json_array_foreach(unknown, i, item) {
		if (!json_is_string(item) ||
		    !register_from_name(json_string_value(item), &reg))
			continue;
		t->registers.valid &= ~REG_BIT(reg);
		t->registers.value[reg] = 0;
	}
}

static void decode_thread(struct input *in, json_t *o)
{
	struct report *r = in->report;
	struct thread *t = NULL;
	int64_t depth;
	uint32_t tid;

	if (!json_is_object(o)) {
		refuse(in, "threads", "an array of objects");
		return;
	}
	if (!get_u32(in, o, "tid", &tid))
		return;
	for (size_t i = 0; i < r->nthreads && t == NULL; i++) {
		if (r->threads[i].tid == tid)
			t = &r->threads[i];
	}
	if (t == NULL)
		return;
	decode_registers(in, o, t); /* the first frame is above sp */
	decode_frames(in, o, t);
	if (get_integer(in, o, "depth", 0, INT64_MAX, &depth))
		t->depth = (uint64_t)depth;
	get_string(in, o, "truncated", &t->truncated);
}

static void get_build_id(struct input *in, const json_t *o,
			 struct build_id *out)
{
	json_t *text = get(in, o, "build_id", JSON_STRING, "a string");

	if (text != NULL && !build_id_parse(json_string_value(text), out))
		refuse(in, "build_id", "hexadecimal");
}

static void decode_module(struct input *in, const json_t *o,
			  struct module *module)
{
	int64_t size = 0;

	get_string(in, o, "path", &module->path);
	get_build_id(in, o, &module->build_id);
	if (!json_is_object(o) || !get_hex(in, o, "base", &module->base) ||
	    !get_integer(in, o, "size", 1, INT64_MAX, &size))
		refuse(in, "unloaded", "an array of modules");
	module->size = (uint64_t)size;
}

static void decode_unloaded(struct input *in, json_t *o)
{
	json_t *array = get_array(in, o, "unloaded");
	size_t n = json_array_size(array);
	struct module *list;

	if (n == 0)
		return;
	if (n > MAX_UNLOADED) {
		refuse(in, "unloaded", "within the limit of modules");
		return;
	}
	list = checked(in, report_alloc(in->report, n * sizeof(*list)));
	for (size_t i = 0; i < n && !in->bad; i++)
		decode_module(in, json_array_get(array, i), &list[i]);
	if (in->bad)
		return;
	in->report->unloaded = list;
	in->report->nunloaded = n;
}

static bool decode_region(struct input *in, const json_t *array,
			  struct jit_region *region)
{
	const json_t *size = json_array_get(array, 1);
	const json_t *name = json_array_get(array, 2);
	size_t len = json_string_length(name);

	if (json_array_size(array) != JIT_FIELDS ||
	    !parse_hex(json_array_get(array, 0), &region->start) ||
	    json_integer_value(size) < 1 ||
	    json_integer_value(size) > MAX_JIT_SIZE ||
	    len == 0 || len > MAX_DECODED_JIT_NAME)
		return false;
	region->size = (uint64_t)json_integer_value(size);
	region->name = copy_string(in, name);
	return true;
}

static void decode_jit(struct input *in, json_t *o)
{
	json_t *array = get_array(in, o, "jit");
	size_t n = json_array_size(array);
	struct jit_region *list;

	if (n == 0)
		return;
	if (n > MAX_JIT) {
		refuse(in, "jit", "within the limit of functions");
		return;
	}
	list = checked(in, report_alloc(in->report, n * sizeof(*list)));
	for (size_t i = 0; i < n && !in->bad; i++) {
		if (!decode_region(in, json_array_get(array, i), &list[i]))
			refuse(in, "jit", "an array of functions");
	}
	if (in->bad)
		return;
	in->report->jit = list;
	in->report->njit = n;
}

static bool is_exact(const char *text)
{
	return strlen(text) == 32 && strspn(text, "0123456789abcdef") == 32;
}

/* The id and the fingerprint: their text is held to its form, because it will
 * be a file's name and a key. */
static void decode_names(struct input *in, const json_t *o)
{
	struct report *r = in->report;
	json_t *fingerprint = get_object(in, o, "fingerprint");
	const char *id = NULL, *exact = NULL;
	int64_t time_ms;

	get_string(in, o, "id", &id);
	get_string(in, fingerprint, "exact", &exact);
	if (id != NULL && !uuid_parse(id, &time_ms))
		refuse(in, "id", "a UUIDv7");
	else if (id != NULL)
		memcpy(r->id, id, sizeof(r->id));
	if (exact != NULL && !is_exact(exact))
		refuse(in, "exact", "a fingerprint");
	else if (exact != NULL)
		memcpy(r->exact, exact, sizeof(r->exact));
}

static void decode_timings(struct input *in, const json_t *o)
{
	struct report *r = in->report;

	get_integer(in, o, "frozen", 0, INT64_MAX, &r->frozen_us);
	get_integer(in, o, "unwind", 0, INT64_MAX, &r->unwind_us);
	get_integer(in, o, "total", 0, INT64_MAX, &r->total_us);
}

static void get_bool(struct input *in, json_t *o, const char *key,
		     bool *out)
{
	json_t *value = json_object_get(o, key);

	if (value != NULL && !json_is_boolean(value))
		refuse(in, key, "true or false");
	*out = json_is_true(value);
}

static void decode_root(struct input *in, json_t *o)
{
	struct report *r = in->report;
	json_t *host = get_object(in, o, "host");
	json_t *threads = get_array(in, o, "threads"), *thread;
	size_t i;

	decode_names(in, o);
	get_integer(in, o, "time_ms", 0, META_MAX_TIME_MS, &r->time_ms);
	get_int(in, o, "tier", 0, 5, &r->tier);
	get_string(in, o, "tier_reason", &r->tier_reason);
	get_bool(in, o, "complete", &r->complete);
	get_bool(in, o, "sanitized", &r->sanitized);
	get_string(in, host, "name", &r->host);
	get_string(in, host, "kernel", &r->kernel);
	get_string(in, host, "arch", &r->arch);
	decode_process(in, get_object(in, o, "process"));
	get_tags(in, o, "annotations", &r->annotations, &r->nannotations);
	get_strings(in, o, "breadcrumbs", &r->breadcrumbs, &r->nbreadcrumbs);
	decode_signal(in, get_object(in, o, "signal"));
	get_string(in, o, "reason", &r->reason);
	get_string(in, o, "message", &r->message);
	json_array_foreach(threads, i, thread)
		decode_thread(in, thread);
	decode_unloaded(in, o);
	decode_jit(in, o);
	decode_timings(in, get_object(in, o, "timings_us"));
}

/* What a text holds, strings apart. */
struct shape {
	size_t depth, deepest, objects, arrays, values;
	bool in_string, escaped;
};

static void shape_next(struct shape *s, char c)
{
	if (s->in_string) {
		s->in_string = s->escaped || c != '"';
		s->escaped = !s->escaped && c == '\\';
		return;
	}
	s->in_string = c == '"';
	s->values += c == ',' || c == '{' || c == '[';
	s->objects += c == '{';
	s->arrays += c == '[';
	if (c == '{' || c == '[')
		s->depth++;
	if (s->depth > s->deepest)
		s->deepest = s->depth;
	if ((c == '}' || c == ']') && s->depth > 0)
		s->depth--;
}

/* No parser here: whether it is JSON at all is for jansson to say. */
static bool check_shape(const char *json, size_t len, struct error *err)
{
	struct shape s = { 0 };

	if (len > MAX_META_BYTES)
		return fail(err, ERR_TOO_LARGE, "%zu bytes of JSON, limit %d",
			    len, MAX_META_BYTES);
	for (size_t i = 0; i < len; i++)
		shape_next(&s, json[i]);
	if (s.deepest > MAX_META_DEPTH)
		return fail(err, ERR_BAD_DATA, "JSON %zu deep, limit %d",
			    s.deepest, MAX_META_DEPTH);
	if (s.values > MAX_META_VALUES || s.objects > MAX_META_OBJECTS ||
	    s.arrays > MAX_META_ARRAYS)
		return fail(err, ERR_TOO_LARGE, "JSON of %zu values", s.values);
	return true;
}

bool meta_decode(const char *json, size_t len, struct report *report,
		 struct error *err)
{
	struct input in = { report, err, false };
	json_error_t why;
	int64_t version = 0;
	json_t *root;

	if (!check_shape(json, len, err))
		return false;
	root = json_loadb(json != NULL ? json : "", len,
			  JSON_REJECT_DUPLICATES, &why);
	if (root == NULL)
		return fail(err, ERR_BAD_DATA, "JSON: %s at byte %d", why.text,
			    why.position);
	if (!json_is_object(root))
		refuse(&in, "epitaph", "in an object");
	get_integer(&in, root, "epitaph", 1, INT32_MAX, &version);
	if (version > META_VERSION)
		in.bad = !fail(err, ERR_UNSUPPORTED, "version %lld of it",
			       (long long)version);
	if (!in.bad)
		decode_root(&in, root);
	json_decref(root);
	return !in.bad;
}
