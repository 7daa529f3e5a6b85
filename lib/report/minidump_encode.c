/* Writes the report as a minidump. Runs in the helper at crash time and in
 * whoever stores a report; the report is ours, but much of what is in it came
 * from the dead process. */
#include "minidump.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "context.h"
#include "meta.h"
#include "minidump_format.h"
#include "utf.h"

enum {
	MAX_WRITTEN = 12, /* streams that we write, at the most */
	STREAM_ALIGNMENT = 8,
};

/* Where something that others point to was put, from the dump's start. */
struct place {
	uint32_t size, rva;
};

struct encoder {
	const struct report *report;
	struct writer *out;
	size_t start; /* of the dump in OUT */
	size_t nstreams;
	/* By index into report->threads. */
	struct place *stacks, *contexts;
};

static uint32_t here(const struct encoder *e)
{
	return (uint32_t)(e->out->len - e->start);
}

static void align(struct encoder *e)
{
	size_t over = (e->out->len - e->start) % STREAM_ALIGNMENT;

	if (over != 0)
		writer_zero(e->out, STREAM_ALIGNMENT - over);
}

/* Enter what was written since RVA into the directory, which follows the
 * header. */
static void end_stream(struct encoder *e, uint32_t type, uint32_t rva)
{
	size_t entry = e->start + 32 + DIRECTORY_ENTRY * e->nstreams++;

	writer_patch_u32(e->out, entry, type);
	writer_patch_u32(e->out, entry + 4, here(e) - rva);
	writer_patch_u32(e->out, entry + 8, rva);
	align(e);
}

/* Bytes of their own, eight-byte aligned. */
static struct place put_bytes(struct encoder *e, const void *bytes, size_t len)
{
	struct place place = { (uint32_t)len, here(e) };

	writer_bytes(e->out, bytes, len);
	align(e);
	return place;
}

static void put_place(struct encoder *e, struct place place)
{
	writer_u32(e->out, place.size);
	writer_u32(e->out, place.rva);
}

/* TEXT as the format has strings: length in bytes, UTF-16, a NUL. */
static uint32_t put_string(struct encoder *e, const char *text)
{
	uint32_t rva = here(e);
	size_t len = strlen(text), pos = 0, length_at = e->out->len;

	writer_u32(e->out, 0);
	while (pos < len) {
		uint32_t c = utf8_next(text, len, &pos);

		if (c >= 0x10000) {
			c -= 0x10000;
			writer_u16(e->out, (uint16_t)(0xd800 | c >> 10));
			c = 0xdc00 | (c & 0x3ff);
		}
		writer_u16(e->out, (uint16_t)c);
	}
	writer_patch_u32(e->out, length_at, here(e) - rva - 4);
	writer_u16(e->out, 0);
	align(e);
	return rva;
}

/* The I-th index where FIRST comes first and the others follow in order. */
static size_t promoted(size_t first, size_t i)
{
	if (i == 0)
		return first;
	return i <= first ? i - 1 : i;
}

/* Readers take the first thread for the one that matters. */
static size_t main_thread(const struct report *report)
{
	const struct thread *crashed = report_crashed_thread(report);

	return crashed != NULL ? (size_t)(crashed - report->threads) : 0;
}

static void put_system(struct encoder *e)
{
	const char *kernel = e->report->kernel;
	unsigned version[3] = { 0, 0, 0 };
	/* The string must exist, or Breakpad complains. */
	uint32_t csd = put_string(e, kernel != NULL ? kernel : "");
	uint32_t rva = here(e);

	if (kernel != NULL)
		(void)sscanf(kernel, "%9u.%9u.%9u", &version[0], &version[1],
			     &version[2]);
	writer_u16(e->out, MACHINE_MINIDUMP);
	writer_u16(e->out, 0); /* level, revision: not known */
	writer_u16(e->out, 0);
	writer_u8(e->out, 0); /* processors: not known */
	writer_u8(e->out, 0); /* product type: Windows' */
	for (size_t i = 0; i < 3; i++)
		writer_u32(e->out, version[i]);
	writer_u32(e->out, PLATFORM_LINUX);
	writer_u32(e->out, csd);
	writer_u32(e->out, 0); /* suite mask */
	writer_zero(e->out, SYSTEM_CPU);
	end_stream(e, STREAM_SYSTEM, rva);
}

static void put_misc(struct encoder *e)
{
	const struct report *report = e->report;
	uint32_t rva = here(e), flags = MISC_HAS_PID;
	int64_t started_ms = report->time_ms - report->uptime_ms;

	if (report->uptime_ms >= 0 && started_ms >= 0)
		flags |= MISC_HAS_TIMES;
	else
		started_ms = 0;
	writer_u32(e->out, MISC_SIZE);
	writer_u32(e->out, flags);
	writer_u32(e->out, report->pid);
	writer_u32(e->out, (uint32_t)(started_ms / 1000));
	writer_zero(e->out, 8); /* user and system time: not known */
	end_stream(e, STREAM_MISC, rva);
}

static void put_thread_data(struct encoder *e)
{
	size_t first = main_thread(e->report);

	for (size_t i = 0; i < e->report->nthreads; i++) {
		size_t at = promoted(first, i);
		const struct thread *t = &e->report->threads[at];

		if (t->has_registers) {
			e->contexts[at].rva = here(e);
			context_encode(t, e->out);
			e->contexts[at].size = here(e) - e->contexts[at].rva;
			align(e);
		}
		if (t->stack.len > 0)
			e->stacks[at] = put_bytes(e, t->stack.bytes,
						  t->stack.len);
	}
}

/* Exactly 4 + 48n bytes: with more, lldb and Breakpad lose every thread. */
static void put_threads(struct encoder *e)
{
	size_t first = main_thread(e->report);
	uint32_t rva = here(e);

	writer_u32(e->out, (uint32_t)e->report->nthreads);
	for (size_t i = 0; i < e->report->nthreads; i++) {
		size_t at = promoted(first, i);

		writer_u32(e->out, e->report->threads[at].tid);
		writer_zero(e->out, 20); /* suspended, priorities, TEB */
		writer_u64(e->out, e->report->threads[at].stack.address);
		put_place(e, e->stacks[at]);
		put_place(e, e->contexts[at]);
	}
	end_stream(e, STREAM_THREADS, rva);
}

/* Threads of one name, as those of a pool are, share its string. */
static void put_names(struct encoder *e, uint32_t *names)
{
	const struct thread *threads = e->report->threads;
	uint32_t rva, count = 0;
	size_t last = 0; /* thread whose name was written last */

	for (size_t i = 0; i < e->report->nthreads; i++) {
		if (threads[i].name == NULL)
			continue;
		if (count++ > 0 &&
		    strcmp(threads[i].name, threads[last].name) == 0) {
			names[i] = names[last];
			continue;
		}
		names[i] = put_string(e, threads[i].name);
		last = i;
	}
	if (count == 0)
		return;
	rva = here(e);
	writer_u32(e->out, count);
	for (size_t i = 0; i < e->report->nthreads; i++) {
		if (names[i] == 0)
			continue;
		writer_u32(e->out, e->report->threads[i].tid);
		writer_u64(e->out, names[i]);
	}
	end_stream(e, STREAM_THREAD_NAMES, rva);
}

/* lldb takes the first module for the program itself. */
static size_t main_module(const struct report *report)
{
	for (size_t i = 0; i < report->nmodules && report->exe != NULL; i++) {
		const char *path = report->modules[i].path;

		if (path != NULL && strcmp(path, report->exe) == 0)
			return i;
	}
	return 0;
}

static struct place put_codeview(struct encoder *e, const struct build_id *id)
{
	struct place place = { 0, 0 };

	if (id->len == 0)
		return place;
	place.rva = here(e);
	writer_u32(e->out, CODEVIEW_ELF);
	writer_bytes(e->out, id->bytes, id->len);
	place.size = here(e) - place.rva;
	align(e);
	return place;
}

/* The field has 32 bits; no loader has met a larger image. */
static uint32_t image_size(const struct module *m)
{
	return m->size < UINT32_MAX ? (uint32_t)m->size : UINT32_MAX;
}

static void put_module(struct encoder *e, const struct module *m,
		       uint32_t name, struct place codeview)
{
	writer_u64(e->out, m->base);
	writer_u32(e->out, image_size(m));
	writer_u32(e->out, 0); /* checksum, time: an ELF file has none */
	writer_u32(e->out, 0);
	writer_u32(e->out, name);
	writer_zero(e->out, MODULE_VERSION);
	put_place(e, codeview);
	writer_zero(e->out, 8); /* misc record */
	writer_zero(e->out, MODULE_RESERVED);
}

static void put_modules(struct encoder *e, uint32_t *names,
			struct place *codeviews)
{
	const struct report *report = e->report;
	size_t first = main_module(report);
	uint32_t rva;

	for (size_t i = 0; i < report->nmodules; i++) {
		const struct module *m = &report->modules[i];

		codeviews[i] = put_codeview(e, &m->build_id);
		names[i] = put_string(e, m->path != NULL ? m->path : "");
	}
	rva = here(e);
	writer_u32(e->out, (uint32_t)report->nmodules);
	for (size_t i = 0; i < report->nmodules; i++) {
		size_t at = promoted(first, i);

		put_module(e, &report->modules[at], names[at], codeviews[at]);
	}
	end_stream(e, STREAM_MODULES, rva);
}

/* For others: it has no place for a build-id, so what we read ourselves is in
 * the JSON. */
static void put_unloaded(struct encoder *e, uint32_t *names)
{
	const struct report *report = e->report;
	uint32_t rva;

	if (report->nunloaded == 0)
		return;
	for (size_t i = 0; i < report->nunloaded; i++) {
		const char *path = report->unloaded[i].path;

		names[i] = put_string(e, path != NULL ? path : "");
	}
	rva = here(e);
	writer_u32(e->out, UNLOADED_HEADER);
	writer_u32(e->out, UNLOADED_ENTRY);
	writer_u32(e->out, (uint32_t)report->nunloaded);
	for (size_t i = 0; i < report->nunloaded; i++) {
		writer_u64(e->out, report->unloaded[i].base);
		writer_u32(e->out, image_size(&report->unloaded[i]));
		writer_zero(e->out, 8); /* checksum, time */
		writer_u32(e->out, names[i]);
	}
	end_stream(e, STREAM_UNLOADED, rva);
}

/* Stacks are here again, by reference: lldb looks nowhere else. */
static void put_memory(struct encoder *e, struct place *places)
{
	const struct report *report = e->report;
	uint32_t rva, count = (uint32_t)report->nmemory;

	for (size_t i = 0; i < report->nmemory; i++)
		places[i] = put_bytes(e, report->memory[i].bytes,
				      report->memory[i].len);
	for (size_t i = 0; i < report->nthreads; i++)
		count += e->stacks[i].size > 0;
	rva = here(e);
	writer_u32(e->out, count);
	for (size_t i = 0; i < report->nthreads; i++) {
		if (e->stacks[i].size == 0)
			continue;
		writer_u64(e->out, report->threads[i].stack.address);
		put_place(e, e->stacks[i]);
	}
	for (size_t i = 0; i < report->nmemory; i++) {
		writer_u64(e->out, report->memory[i].address);
		put_place(e, places[i]);
	}
	end_stream(e, STREAM_MEMORY, rva);
}

/* Signal number, si_code and si_addr where Breakpad puts them; who sent it in
 * the parameters, which no reader of Linux dumps has another use for. */
static void put_exception(struct encoder *e)
{
	const struct report *report = e->report;
	const struct thread *crashed = report_crashed_thread(report);
	struct place context = { 0, 0 };
	uint32_t rva = here(e), parameters = report->has_sender ? 2 : 0;

	if (crashed == NULL && report->signal == 0)
		return;
	if (crashed != NULL)
		context = e->contexts[crashed - report->threads];
	writer_u32(e->out, crashed != NULL ? crashed->tid : 0);
	writer_u32(e->out, 0);
	writer_u32(e->out, (uint32_t)report->signal);
	writer_u32(e->out, (uint32_t)report->code);
	writer_u64(e->out, 0); /* a nested record */
	writer_u64(e->out, report->has_address ? report->address : 0);
	writer_u32(e->out, parameters);
	writer_u32(e->out, 0);
	writer_u64(e->out, report->has_sender ? report->sender_pid : 0);
	writer_u64(e->out, report->has_sender ? report->sender_uid : 0);
	writer_zero(e->out, 8 * (EXCEPTION_PARAMETERS - 2));
	put_place(e, context);
	end_stream(e, STREAM_EXCEPTION, rva);
}

static void put_raw(struct encoder *e, uint32_t type, const void *bytes,
		    size_t len)
{
	uint32_t rva = here(e);

	if (bytes == NULL)
		return;
	writer_bytes(e->out, bytes, len);
	end_stream(e, type, rva);
}

static bool put_meta(struct encoder *e, struct error *err)
{
	size_t len = 0;
	char *json = meta_encode(e->report, &len);

	if (json == NULL)
		return fail(err, ERR_NO_MEMORY, "no memory for JSON");
	if (len <= MAX_META_BYTES)
		put_raw(e, MINIDUMP_EPITAPH_STREAM, json, len);
	free(json);
	if (len > MAX_META_BYTES)
		return fail(err, ERR_TOO_LARGE, "%zu bytes of JSON, limit %d",
			    len, MAX_META_BYTES);
	return true;
}

static void put_header(struct encoder *e)
{
	writer_u32(e->out, MINIDUMP_SIGNATURE);
	writer_u32(e->out, MINIDUMP_VERSION);
	writer_u32(e->out, 0);  /* streams: patched at the end */
	writer_u32(e->out, 32); /* the directory follows */
	writer_u32(e->out, 0);  /* checksum: nobody has one */
	writer_u32(e->out, (uint32_t)(e->report->time_ms / 1000));
	writer_u64(e->out, 0); /* flags */
	writer_zero(e->out, DIRECTORY_ENTRY * MAX_WRITTEN);
	align(e);
}

static bool check_thread(const struct thread *t, struct error *err)
{
	if (t->xstate_len > MAX_XSTATE)
		return fail(err, ERR_TOO_LARGE, "%zu bytes of xstate, limit %d",
			    t->xstate_len, MAX_XSTATE);
	if (t->stack.len > MAX_REPORT_BYTES)
		return fail(err, ERR_TOO_LARGE, "a stack above the limit");
	if (t->nframes > MAX_FRAMES)
		return fail(err, ERR_TOO_LARGE, "%zu frames, limit %d",
			    t->nframes, MAX_FRAMES);
	return true;
}

static bool check_module(const struct module *m, struct error *err)
{
	if (m->size == 0)
		return fail(err, ERR_BAD_DATA, "a module of no size");
	if (m->build_id.len > MAX_BUILD_ID)
		return fail(err, ERR_TOO_LARGE, "build-id of %u, limit %d",
			    m->build_id.len, MAX_BUILD_ID);
	if (m->path != NULL && strnlen(m->path, MAX_STRING) == MAX_STRING)
		return fail(err, ERR_TOO_LARGE, "path above %d", MAX_STRING);
	return true;
}

/* Whatever the decoder would refuse is refused here, where the mistake is. */
static bool check(const struct report *report, struct error *err)
{
	if (report->nthreads > MAX_THREADS)
		return fail(err, ERR_TOO_LARGE, "%zu threads, limit %d",
			    report->nthreads, MAX_THREADS);
	if (report->nmodules > MAX_MODULES)
		return fail(err, ERR_TOO_LARGE, "%zu modules, limit %d",
			    report->nmodules, MAX_MODULES);
	if (report->nunloaded > MAX_UNLOADED)
		return fail(err, ERR_TOO_LARGE, "%zu unloaded modules, "
			    "limit %d", report->nunloaded, MAX_UNLOADED);
	if (report->nmemory > MAX_MEMORY_RANGES - report->nthreads)
		return fail(err, ERR_TOO_LARGE, "%zu memory ranges, limit %d",
			    report->nmemory + report->nthreads,
			    MAX_MEMORY_RANGES);
	for (size_t i = 0; i < report->nthreads; i++) {
		if (!check_thread(&report->threads[i], err))
			return false;
	}
	for (size_t i = 0; i < report->nmodules; i++) {
		if (!check_module(&report->modules[i], err))
			return false;
		if (i > 0 &&
		    report->modules[i].base < report->modules[i - 1].base)
			return fail(err, ERR_BAD_DATA, "modules not by base");
	}
	for (size_t i = 0; i < report->nunloaded; i++) {
		if (!check_module(&report->unloaded[i], err))
			return false;
	}
	for (size_t i = 0; i < report->nmemory; i++) {
		if (report->memory[i].len > MAX_REPORT_BYTES)
			return fail(err, ERR_TOO_LARGE, "memory range %zu", i);
	}
	return true;
}

/* Tables of the places that were written, one allocation for each. */
struct tables {
	uint32_t *thread_names, *module_names, *unloaded_names;
	struct place *codeviews, *memory;
};

static bool put_streams(struct encoder *e, struct tables *t,
			struct error *err)
{
	const struct report *report = e->report;

	put_header(e);
	put_system(e);
	put_misc(e);
	put_thread_data(e);
	put_threads(e);
	put_names(e, t->thread_names);
	put_modules(e, t->module_names, t->codeviews);
	put_unloaded(e, t->unloaded_names);
	put_memory(e, t->memory);
	put_exception(e);
	put_raw(e, STREAM_MAPS, report->maps, report->maps_len);
	put_raw(e, STREAM_AUXV, report->auxv, report->auxv_len);
	put_raw(e, STREAM_CMDLINE, report->cmdline, report->cmdline_len);
	if (!put_meta(e, err))
		return false;
	writer_patch_u32(e->out, e->start + 8, (uint32_t)e->nstreams);
	if (e->out->bad || e->out->len - e->start > MAX_REPORT_BYTES)
		return fail(err, ERR_TOO_LARGE,
			    "report is above %zu bytes, or out of memory",
			    e->out->limit);
	return true;
}

bool minidump_encode(const struct report *report, struct writer *out,
		     struct error *err)
{
	struct encoder e = { report, out, out->len, 0, NULL, NULL };
	struct tables t = { NULL, NULL, NULL, NULL, NULL };
	bool ok = false;

	if (!check(report, err))
		return false;
	/* One more than needed: calloc of nothing may be NULL. */
	e.stacks = calloc(report->nthreads + 1, sizeof(*e.stacks));
	e.contexts = calloc(report->nthreads + 1, sizeof(*e.contexts));
	t.thread_names = calloc(report->nthreads + 1, sizeof(uint32_t));
	t.module_names = calloc(report->nmodules + 1, sizeof(uint32_t));
	t.unloaded_names = calloc(report->nunloaded + 1, sizeof(uint32_t));
	t.codeviews = calloc(report->nmodules + 1, sizeof(struct place));
	t.memory = calloc(report->nmemory + 1, sizeof(struct place));
	if (e.stacks == NULL || e.contexts == NULL || t.thread_names == NULL ||
	    t.module_names == NULL || t.unloaded_names == NULL ||
	    t.codeviews == NULL || t.memory == NULL)
		fail(err, ERR_NO_MEMORY, "no memory for a minidump");
	else
		ok = put_streams(&e, &t, err);
	if (!ok)
		out->len = e.start;
	free(e.stacks);
	free(e.contexts);
	free(t.thread_names);
	free(t.module_names);
	free(t.unloaded_names);
	free(t.codeviews);
	free(t.memory);
	return ok;
}
