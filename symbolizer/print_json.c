/* A symbolized report as contract.md's JSON. Runs in the command line; names
 * and texts may be anything, so what is not UTF-8 becomes U+FFFD. */
#include "print.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../lib/report/repeat.h"
#include "../lib/report/siginfo.h"
#include "../lib/report/utf.h"

json_t *print_json_text(const char *text)
{
	json_t *json;
	size_t len, pos = 0, at = 0;
	char *fixed;

	if (text == NULL)
		return json_null();
	json = json_string(text);
	if (json)
		return json;
	len = strlen(text);
	fixed = malloc(3 * len + 1);
	if (fixed == NULL)
		return NULL;
	while (pos < len)
		at += utf8_put(utf8_next(text, len, &pos), fixed + at);
	fixed[at] = '\0';
	json = json_string(fixed);
	free(fixed);
	return json;
}

static json_t *hex(uint64_t value)
{
	char text[24];

	snprintf(text, sizeof(text), "0x%" PRIx64, value);
	return json_string(text);
}

static json_t *integer_or_null(bool known, int64_t value)
{
	return known ? json_integer(value) : json_null();
}

static json_t *build_id(const struct build_id *id)
{
	char text[2 * MAX_BUILD_ID + 1];

	if (id->len == 0)
		return json_null();
	build_id_format(id, text);
	return json_string(text);
}

static json_t *time_text(int64_t time_ms)
{
	time_t seconds = (time_t)(time_ms / 1000);
	char text[64];
	struct tm tm;
	size_t len;

	if (time_ms <= 0 || gmtime_r(&seconds, &tm) == NULL)
		return json_null();
	len = strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(text + len, sizeof(text) - len, ".%03dZ",
		 (int)(time_ms % 1000));
	return json_string(text);
}

/* Text that is empty where it is not known, as contract.md's "release". */
static json_t *text_or_empty(const char *text)
{
	return print_json_text(text ? text : "");
}

static json_t *id_or_null(const char *id)
{
	return *id ? json_string(id) : json_null();
}

static json_t *tags(const struct tag *list, size_t n)
{
	json_t *object = json_object();

	for (size_t i = 0; i < n; i++) {
		json_t *key = print_json_text(list[i].key);

		if (json_is_string(key))
			json_object_set_new(object, json_string_value(key),
					    print_json_text(list[i].value));
		json_decref(key);
	}
	return object;
}

static json_t *texts(const char *const *list, size_t n)
{
	json_t *array = json_array();

	for (size_t i = 0; i < n; i++)
		json_array_append_new(array, print_json_text(list[i]));
	return array;
}

/* Of a frame in MODULE, a number. */
static json_t *aliases(const struct name *name)
{
	json_t *array = json_array();

	for (size_t i = 0; i < name->naliases; i++)
		json_array_append_new(array, print_json_text(name->aliases[i]));
	return array;
}

static json_t *flags(const struct report *report, int32_t module,
		     const struct shown_frame *shown)
{
	const struct frame *frame = shown->frame;
	uint32_t bits = shown->name ? shown->name->flags : 0;
	json_t *array = json_array();

	if (shown->is_tail_call)
		bits |= NAME_TAIL_CALL;
	if (frame->corrupt_ra && !shown->is_inline && !shown->is_tail_call)
		bits |= NAME_CORRUPT_RA;
	if (module < 0 && frame->pc != 0 && !frame_is_exact(frame))
		bits |= NAME_JIT; /* it returned there, so it ran there */
	if (report_is_unloaded(report, module))
		bits |= NAME_UNLOADED;
	for (unsigned i = 0; i < NAME_FLAGS; i++)
		if (bits & REG_BIT(i))
			json_array_append_new(array,
					      json_string(flag_name(i)));
	return array;
}

static const char *basename_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash && slash[1] ? slash + 1 : path;
}

/* The arguments of VARIABLES, or the others. */
static json_t *variables_json(const struct variables *variables,
			      bool arguments)
{
	json_t *array;

	if (variables == NULL)
		return json_null();
	array = json_array();
	for (size_t i = 0; i < variables->n; i++) {
		const struct variable *variable = &variables->list[i];
		json_t *object;

		if (variable->is_argument != arguments)
			continue;
		object = json_object();
		json_object_set_new(object, "name",
				    print_json_text(variable->name));
		json_object_set_new(object, "type",
				    print_json_text(variable->type));
		json_object_set_new(object, "value",
				    print_json_text(variable->value));
		json_object_set_new(object, "why",
				    print_json_text(absent_name(
					    variable->why)));
		json_array_append_new(array, object);
	}
	return array;
}

static json_t *frame_json(const struct report *report,
			  const struct shown_frame *shown)
{
	const struct frame *frame = shown->frame;
	const struct name *name = shown->name;
	json_t *object = json_object();
	uint64_t offset = 0;
	int32_t number = report_frame_module(report, frame, &offset);
	const struct module *module = report_module(report, number);

	json_object_set_new(object, "index",
			    json_integer((json_int_t)shown->index));
	json_object_set_new(object, "pc", hex(frame->pc));
	json_object_set_new(object, "module",
			    print_json_text(module && module->path
					    ? basename_of(module->path)
					    : NULL));
	json_object_set_new(object, "build_id",
			    module ? build_id(&module->build_id)
				   : json_null());
	json_object_set_new(object, "offset",
			    module ? hex(offset) : json_null());
	json_object_set_new(object, "trust",
			    json_string(trust_name(frame->trust)));
	json_object_set_new(object, "function",
			    print_json_text(name ? name->function : NULL));
	json_object_set_new(object, "file",
			    print_json_text(name ? name->file : NULL));
	json_object_set_new(object, "line",
			    integer_or_null(name && name->line > 0,
					    name ? name->line : 0));
	json_object_set_new(object, "inline", json_boolean(shown->is_inline));
	json_object_set_new(object, "flags", flags(report, number, shown));
	if (name && name->naliases > 0)
		json_object_set_new(object, "aliases", aliases(name));
	json_object_set_new(object, "args",
			    variables_json(shown->variables, true));
	json_object_set_new(object, "locals",
			    variables_json(shown->variables, false));
	return object;
}

static json_t *frames_json(const struct report *report,
			   const struct symbolized *symbolized,
			   const struct thread *thread)
{
	json_t *array = json_array();
	struct shown_frame *shown;
	size_t n = 0;

	shown = symbolized_frames(symbolized, thread, &n);
	for (size_t i = 0; shown && i < n; i++)
		json_array_append_new(array, frame_json(report, &shown[i]));
	free(shown);
	return array;
}

static json_t *registers_json(const struct thread *thread)
{
	json_t *object;

	if (!thread->has_registers)
		return json_null();
	object = json_object();
	for (int i = 0; i < REG_COUNT; i++)
		if (thread->registers.valid & REG_BIT(i))
			json_object_set_new(object, register_name((enum reg)i),
					    hex(thread->registers.value[i]));
	return object;
}

static json_t *repeats_json(const struct thread *thread)
{
	json_t *array = json_array();
	struct repeat repeats[REPEAT_MAX];
	size_t n = repeat_find(thread, repeats);

	for (size_t i = 0; i < n; i++)
		json_array_append_new(
			array, json_pack("{s:I,s:I,s:I}", "first",
					 (json_int_t)repeats[i].first,
					 "length",
					 (json_int_t)repeats[i].length,
					 "times",
					 (json_int_t)repeats[i].times));
	return array;
}

json_t *print_thread_json(const struct report *report,
			  const struct symbolized *symbolized,
			  const struct thread *thread)
{
	json_t *object = json_object();

	json_object_set_new(object, "tid", json_integer(thread->tid));
	json_object_set_new(object, "name", print_json_text(thread->name));
	json_object_set_new(object, "crashed", json_boolean(thread->crashed));
	json_object_set_new(object, "frames",
			    frames_json(report, symbolized, thread));
	json_object_set_new(object, "registers", registers_json(thread));
	json_object_set_new(object, "depth",
			    json_integer((json_int_t)(thread->depth
						? thread->depth
						: thread->nframes)));
	json_object_set_new(object, "repeat", repeats_json(thread));
	json_object_set_new(object, "truncated",
			    print_json_text(thread->truncated));
	return object;
}

json_t *print_threads_json(const struct report *report,
			   const struct symbolized *symbolized)
{
	json_t *array = json_array();

	for (size_t i = 0; i < report->nthreads; i++)
		json_array_append_new(array,
				      print_thread_json(report, symbolized,
							&report->threads[i]));
	return array;
}

static json_t *module_json(const struct module *module,
			   const struct module_symbols *symbols)
{
	json_t *object = json_object();

	json_object_set_new(object, "path", print_json_text(module->path));
	json_object_set_new(object, "build_id", build_id(&module->build_id));
	json_object_set_new(object, "base", hex(module->base));
	json_object_set_new(object, "size",
			    json_integer((json_int_t)module->size));
	json_object_set_new(object, "symbols",
			    json_string(symbols_status_name(symbols->status)));
	json_object_set_new(object, "why", print_json_text(symbols->why));
	return object;
}

json_t *print_modules_json(const struct report *report,
			   const struct symbolized *symbolized)
{
	json_t *array = json_array();

	for (size_t i = 0; i < report->nmodules; i++)
		json_array_append_new(array,
				      module_json(&report->modules[i],
						  &symbolized->modules[i]));
	return array;
}

static json_t *unloaded_json(const struct report *report,
			     const struct symbolized *symbolized)
{
	const struct module_symbols *symbols =
		symbolized->modules + report->nmodules;
	json_t *array = json_array();

	for (size_t i = 0; i < report->nunloaded; i++)
		json_array_append_new(array,
				      module_json(&report->unloaded[i],
						  &symbols[i]));
	return array;
}

static json_t *host_json(const struct report *report)
{
	json_t *object = json_object();

	json_object_set_new(object, "name", print_json_text(report->host));
	json_object_set_new(object, "kernel", print_json_text(report->kernel));
	json_object_set_new(object, "arch", print_json_text(report->arch));
	return object;
}

static json_t *process_json(const struct report *report)
{
	json_t *object = json_object();

	json_object_set_new(object, "pid",
			    integer_or_null(report->pid > 0, report->pid));
	json_object_set_new(object, "uid",
			    integer_or_null(report->has_uid, report->uid));
	json_object_set_new(object, "exe", print_json_text(report->exe));
	json_object_set_new(object, "args", texts(report->args,
						  report->nargs));
	json_object_set_new(object, "cgroup", text_or_empty(report->cgroup));
	json_object_set_new(object, "uptime_ms",
			    integer_or_null(report->uptime_ms >= 0,
					    report->uptime_ms));
	json_object_set_new(object, "release", text_or_empty(report->release));
	json_object_set_new(object, "tags", tags(report->tags, report->ntags));
	return object;
}

static json_t *sender_json(const struct report *report)
{
	json_t *object;

	if (!report->has_sender)
		return json_null();
	object = json_object();
	json_object_set_new(object, "pid", json_integer(report->sender_pid));
	json_object_set_new(object, "uid", json_integer(report->sender_uid));
	json_object_set_new(object, "name",
			    print_json_text(report->sender_name));
	return object;
}

static json_t *signal_json(const struct report *report)
{
	const char *code = signal_code_name(report->signal, report->code);
	json_t *object = json_object();
	char number[16];

	snprintf(number, sizeof(number), "%d", report->code);
	json_object_set_new(object, "number", json_integer(report->signal));
	json_object_set_new(object, "name",
			    print_json_text(signal_name(report->signal)));
	json_object_set_new(object, "code",
			    json_string(code ? code : number));
	json_object_set_new(object, "address",
			    report->has_address ? hex(report->address)
						: json_null());
	json_object_set_new(object, "sender", sender_json(report));
	if (report->death_signal && report->death_signal != report->signal)
		json_object_set_new(object, "death",
				    print_json_text(signal_name(
					    report->death_signal)));
	return object;
}

static json_t *fingerprint_json(const struct report *report,
				const struct symbolized *symbolized)
{
	json_t *object = json_object();

	json_object_set_new(object, "exact", id_or_null(report->exact));
	json_object_set_new(object, "semantic",
			    symbolized->has_semantic
				    ? json_string(symbolized->semantic.hex)
				    : json_null());
	json_object_set_new(object, "title",
			    symbolized->has_semantic
				    ? print_json_text(
					      symbolized->semantic.title)
				    : json_null());
	return object;
}

static json_t *timing(int64_t us)
{
	return integer_or_null(us >= 0, us);
}

static json_t *timings_json(const struct report *report)
{
	json_t *object = json_object();

	json_object_set_new(object, "frozen", timing(report->frozen_us));
	json_object_set_new(object, "unwind", timing(report->unwind_us));
	json_object_set_new(object, "total", timing(report->total_us));
	return object;
}

json_t *print_report_json(const struct report *report,
			  const struct symbolized *symbolized)
{
	bool ours = report->tier > 0;
	json_t *object = json_object();

	json_object_set_new(object, "id", id_or_null(report->id));
	json_object_set_new(object, "time", time_text(report->time_ms));
	json_object_set_new(object, "tier",
			    integer_or_null(ours, report->tier));
	json_object_set_new(object, "tier_reason",
			    print_json_text(report->tier_reason));
	json_object_set_new(object, "complete",
			    ours ? json_boolean(report->complete)
				 : json_null());
	json_object_set_new(object, "host", host_json(report));
	json_object_set_new(object, "process", process_json(report));
	json_object_set_new(object, "annotations",
			    tags(report->annotations, report->nannotations));
	json_object_set_new(object, "breadcrumbs",
			    texts(report->breadcrumbs, report->nbreadcrumbs));
	json_object_set_new(object, "signal", signal_json(report));
	json_object_set_new(object, "reason", print_json_text(report->reason));
	json_object_set_new(object, "message",
			    print_json_text(report->message));
	json_object_set_new(object, "fingerprint",
			    fingerprint_json(report, symbolized));
	json_object_set_new(object, "threads",
			    print_threads_json(report, symbolized));
	json_object_set_new(object, "modules",
			    print_modules_json(report, symbolized));
	json_object_set_new(object, "unloaded",
			    unloaded_json(report, symbolized));
	json_object_set_new(object, "timings_us", timings_json(report));
	json_object_set_new(object, "trouble",
			    print_json_text(symbolized->trouble));
	return object;
}
