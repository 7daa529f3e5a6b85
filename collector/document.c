/* Written in the child that decoded the report. Every string of it is text
 * from outside, and goes through text_string(). */
#include "document.h"

#include <inttypes.h>
#include <string.h>

#include "../lib/report/repeat.h"
#include "../lib/report/siginfo.h"
#include "text.h"

static void key(struct writer *out, const char *before, const char *name)
{
	text_format(out, "%s\"%s\":", before, name);
}

static void put_text(struct writer *out, const char *before, const char *name,
		     const char *value)
{
	key(out, before, name);
	text_string(out, value);
}

static void put_number(struct writer *out, const char *before,
		       const char *name, bool known, int64_t value)
{
	key(out, before, name);
	if (known)
		text_format(out, "%" PRId64, value);
	else
		text_put(out, "null");
}

static void put_hex(struct writer *out, const char *before, const char *name,
		    uint64_t value)
{
	key(out, before, name);
	text_format(out, "\"0x%" PRIx64 "\"", value);
}

static void put_build_id(struct writer *out, const struct build_id *id)
{
	char text[2 * MAX_BUILD_ID + 1];

	build_id_format(id, text);
	put_text(out, ",", "build_id", id->len > 0 ? text : NULL);
}

static void put_tags(struct writer *out, const char *name,
		     const struct tag *tags, size_t n)
{
	key(out, ",", name);
	text_put(out, "{");
	for (size_t i = 0; i < n; i++) {
		text_put(out, i > 0 ? "," : "");
		text_string(out, tags[i].key != NULL ? tags[i].key : "");
		text_put(out, ":");
		text_string(out, tags[i].value);
	}
	text_put(out, "}");
}

static void put_texts(struct writer *out, const char *name,
		      const char *const *texts, size_t n)
{
	key(out, ",", name);
	text_put(out, "[");
	for (size_t i = 0; i < n; i++) {
		text_put(out, i > 0 ? "," : "");
		text_string(out, texts[i]);
	}
	text_put(out, "]");
}

static void put_process(struct writer *out, const struct report *report)
{
	put_text(out, ",\"host\":{", "name", report->host);
	put_text(out, ",", "kernel", report->kernel);
	put_text(out, ",", "arch", report->arch);
	put_number(out, "},\"process\":{", "pid", report->pid != 0,
		   report->pid);
	put_number(out, ",", "uid", report->has_uid, report->uid);
	put_text(out, ",", "exe", report->exe);
	put_texts(out, "args", report->args, report->nargs);
	put_text(out, ",", "cgroup",
		 report->cgroup != NULL ? report->cgroup : "");
	put_number(out, ",", "uptime_ms", report->uptime_ms >= 0,
		   report->uptime_ms);
	put_text(out, ",", "release",
		 report->release != NULL ? report->release : "");
	put_tags(out, "tags", report->tags, report->ntags);
	text_put(out, "}");
	put_tags(out, "annotations", report->annotations,
		 report->nannotations);
	put_texts(out, "breadcrumbs", report->breadcrumbs,
		  report->nbreadcrumbs);
}

static void put_signal(struct writer *out, const struct report *report)
{
	put_number(out, ",\"signal\":{", "number", true, report->signal);
	put_text(out, ",", "name", signal_name(report->signal));
	put_text(out, ",", "code",
		 signal_code_name(report->signal, report->code));
	if (report->has_address)
		put_hex(out, ",", "address", report->address);
	else
		put_text(out, ",", "address", NULL);
	if (report->has_sender) {
		put_number(out, ",\"sender\":{", "pid", true,
			   report->sender_pid);
		put_number(out, ",", "uid", true, report->sender_uid);
		put_text(out, ",", "name", report->sender_name);
		text_put(out, "}");
	} else {
		put_text(out, ",", "sender", NULL);
	}
	text_put(out, "}");
	put_text(out, ",", "reason", report->reason);
	put_text(out, ",", "message", report->message);
	put_text(out, ",\"fingerprint\":{", "exact", report->exact);
	text_put(out, ",\"semantic\":null,\"title\":null}");
}

static void put_flags(struct writer *out, bool corrupt_ra, bool unloaded)
{
	text_put(out, ",\"flags\":[");
	text_put(out, corrupt_ra ? "\"corrupt_ra\"" : "");
	text_put(out, corrupt_ra && unloaded ? "," : "");
	text_put(out, unloaded ? "\"unloaded\"" : "");
	text_put(out, "]");
}

static void put_frame(struct writer *out, const struct report *report,
		      size_t index, const struct frame *frame)
{
	uint64_t offset = 0;
	int32_t number = report_frame_module(report, frame, &offset);
	const struct module *module = report_module(report, number);
	const char *path = module != NULL ? module->path : NULL;
	const char *slash = path != NULL ? strrchr(path, '/') : NULL;

	text_format(out, "%s{\"index\":%zu", index > 0 ? "," : "", index);
	put_hex(out, ",", "pc", frame->pc);
	put_text(out, ",", "module", slash != NULL ? slash + 1 : path);
	if (module != NULL) {
		put_build_id(out, &module->build_id);
		put_hex(out, ",", "offset", offset);
	} else {
		text_put(out, ",\"build_id\":null,\"offset\":null");
	}
	put_text(out, ",", "trust", trust_name(frame->trust));
	text_put(out, ",\"function\":null,\"file\":null,\"line\":null,"
		 "\"inline\":false");
	put_flags(out, frame->corrupt_ra, report_is_unloaded(report, number));
	text_put(out, ",\"args\":null}");
}

static void put_repeats(struct writer *out, const struct thread *thread)
{
	struct repeat repeats[REPEAT_MAX];
	size_t n = repeat_find(thread, repeats);

	text_put(out, ",\"repeat\":[");
	for (size_t i = 0; i < n; i++)
		text_format(out, "%s{\"first\":%zu,\"length\":%zu,"
			    "\"times\":%" PRIu64 "}", i ? "," : "",
			    repeats[i].first, repeats[i].length,
			    repeats[i].times);
	text_put(out, "]");
}

static void put_thread(struct writer *out, const struct report *report,
		       const struct thread *thread)
{
	bool first = true;

	put_number(out, "{", "tid", true, thread->tid);
	put_text(out, ",", "name", thread->name);
	text_format(out, ",\"crashed\":%s,\"frames\":[",
		    thread->crashed ? "true" : "false");
	for (size_t i = 0; i < thread->nframes; i++)
		put_frame(out, report, i, &thread->frames[i]);
	text_put(out, "],\"registers\":{");
	for (int i = 0; thread->has_registers && i < REG_COUNT; i++) {
		if ((thread->registers.valid & REG_BIT(i)) == 0)
			continue;
		put_hex(out, first ? "" : ",", register_name((enum reg)i),
			thread->registers.value[i]);
		first = false;
	}
	put_number(out, "},", "depth", true, (int64_t)thread->depth);
	put_repeats(out, thread);
	put_text(out, ",", "truncated", thread->truncated);
	text_put(out, "}");
}

static void put_module(struct writer *out, const struct module *module)
{
	put_text(out, "{", "path", module->path);
	put_build_id(out, &module->build_id);
	put_hex(out, ",", "base", module->base);
	put_number(out, ",", "size", true, (int64_t)module->size);
	put_text(out, ",", "symbols",
		 module->build_id.len > 0 ? "missing" : "none");
	text_put(out, "}");
}

static void put_modules(struct writer *out, const char *name,
			const struct module *modules, size_t n)
{
	key(out, ",", name);
	text_put(out, "[");
	for (size_t i = 0; i < n; i++) {
		text_put(out, i > 0 ? "," : "");
		put_module(out, &modules[i]);
	}
	text_put(out, "]");
}

void document_write(const struct report *report, struct writer *out)
{
	put_text(out, "{", "id", report->id);
	key(out, ",", "time");
	text_time(out, report->time_ms);
	put_number(out, ",", "tier", report->tier > 0, report->tier);
	put_text(out, ",", "tier_reason", report->tier_reason);
	text_format(out, ",\"complete\":%s",
		    report->complete ? "true" : "false");
	put_process(out, report);
	put_signal(out, report);
	text_put(out, ",\"threads\":[");
	for (size_t i = 0; i < report->nthreads; i++) {
		text_put(out, i > 0 ? "," : "");
		put_thread(out, report, &report->threads[i]);
	}
	text_put(out, "]");
	put_modules(out, "modules", report->modules, report->nmodules);
	put_modules(out, "unloaded", report->unloaded, report->nunloaded);
	put_number(out, ",\"timings_us\":{", "frozen",
		   report->frozen_us >= 0, report->frozen_us);
	put_number(out, ",", "unwind", report->unwind_us >= 0,
		   report->unwind_us);
	put_number(out, ",", "total", report->total_us >= 0, report->total_us);
	text_put(out, "}}");
}
