/* Reads minidumps of Linux on x86-64: ours, Breakpad's and Crashpad's. Runs in
 * the collector's disposable processes, the symbolizer and the command line;
 * trusts nothing. The dump's bytes are copied once, into the report's arena,
 * and ranges point into that copy: so ranges may be shared, as the format
 * allows, and a small file cannot become a large report. */
#include "minidump.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "context.h"
#include "meta.h"
#include "minidump_format.h"
#include "utf.h"

enum { MAX_ARGS = 65536 };

struct decoder {
	struct reader file;
	struct report *report;
	uint32_t directory, nstreams;
	/* Text that strings may still expand to: they may be shared too. */
	size_t text_left;
};

/* A count, then that many items of ITEM_SIZE bytes. Some writers pad the
 * count to eight bytes; the stream's length gives them away. */
static bool list_count(struct reader *r, size_t max, size_t item_size,
		       size_t *count_out, struct error *err)
{
	struct reader peek = *r;
	uint32_t claimed = reader_u32(&peek);
	size_t count = reader_count(r, max, item_size);

	if (claimed > max)
		return fail(err, ERR_TOO_LARGE, "%u entries, limit %zu",
			    claimed, max);
	if (r->bad)
		return fail(err, ERR_BAD_DATA, "%u entries in %zu bytes",
			    claimed, r->len);
	if (reader_left(r) - count * item_size == 4)
		reader_skip(r, 4);
	*count_out = count;
	return true;
}

static bool no_memory(struct error *err)
{
	return fail(err, ERR_NO_MEMORY, "no memory for this much report");
}

/* The range that a location (size, then rva) names. */
static bool place(struct decoder *d, struct reader *r, struct reader *range_out,
		  struct error *err)
{
	uint32_t size = reader_u32(r);
	uint32_t rva = reader_u32(r);
	struct reader file = d->file;
	struct reader range = { 0 };

	if (size > 0)
		range = reader_at(&file, rva, size);
	if (range.bad)
		return fail(err, ERR_BAD_DATA,
			    "%u bytes at offset %u, beyond the end", size, rva);
	*range_out = range;
	return true;
}

/* UTF-16 from R, to its end, as UTF-8 in TO; returns its length. */
static size_t utf16_to_utf8(struct reader *r, char *to)
{
	size_t len = 0;

	while (reader_left(r) >= 2) {
		uint32_t c = reader_u16(r);

		if (c == 0)
			break;
		if (c >= 0xd800 && c <= 0xdbff && reader_left(r) >= 2) {
			struct reader before = *r;
			uint32_t low = reader_u16(r);

			if (low >= 0xdc00 && low <= 0xdfff)
				c = 0x10000 + ((c & 0x3ff) << 10) +
				    (low & 0x3ff);
			else
				*r = before;
		}
		len += utf8_put(c, to + len);
	}
	return len;
}

/* The string at RVA: a length in bytes, then UTF-16. */
static bool string_at(struct decoder *d, uint64_t rva, const char **text_out,
		      struct error *err)
{
	struct reader file = d->file;
	struct reader head = reader_at(&file, rva, 4);
	uint32_t size = reader_u32(&head);
	struct reader text = reader_at(&file, rva + 4, size);
	size_t len;
	char *to;

	if (file.bad)
		return fail(err, ERR_BAD_DATA,
			    "string at offset %llu is beyond the end",
			    (unsigned long long)rva);
	if (size > 2 * MAX_STRING || size > d->text_left)
		return fail(err, ERR_TOO_LARGE,
			    "string of %u bytes at offset %llu", size,
			    (unsigned long long)rva);
	d->text_left -= size;
	/* Two bytes become at most three. */
	to = report_alloc(d->report, (size_t)size / 2 * 3 + 1);
	if (to == NULL)
		return no_memory(err);
	len = utf16_to_utf8(&text, to);
	to[len] = '\0';
	if (len > 0)
		*text_out = to;
	return true;
}

static bool check_machine(unsigned machine, uint32_t platform,
			  struct error *err)
{
	static const char *const names[] = {
		[0] = "x86", [1] = "MIPS",   [3] = "PowerPC",
		[5] = "ARM", [6] = "Itanium", [12] = "ARM64",
	};
	const char *name = NULL;

	if (machine < sizeof(names) / sizeof(names[0]))
		name = names[machine];
	if (machine == 0x8003)
		name = "ARM64";
	if (machine != MACHINE_MINIDUMP)
		return fail(err, ERR_UNSUPPORTED,
			    "dump of another machine: %s (%u)",
			    name != NULL ? name : "unknown", machine);
	if (platform != PLATFORM_LINUX && platform != PLATFORM_ANDROID)
		return fail(err, ERR_UNSUPPORTED,
			    "dump of another system than Linux: platform %#x",
			    platform);
	return true;
}

/* Breakpad's text is uname's four words; Crashpad's lacks the release, which
 * it has in VERSION instead. */
static bool kernel_from(struct decoder *d, const char *csd,
			const uint32_t version[3], struct error *err)
{
	struct report *report = d->report;
	const char *release = csd;
	char text[64];
	size_t len;

	if (csd != NULL && strncmp(csd, "Linux ", 6) == 0)
		release = csd + 6;
	else if (csd == NULL || csd[0] < '0' || csd[0] > '9') {
		if (version[0] == 0)
			return true;
		snprintf(text, sizeof(text), "%u.%u.%u", version[0],
			 version[1], version[2]);
		release = text;
	}
	len = strcspn(release, " ");
	report->kernel = report_string(report, release, len);
	return report->kernel != NULL || no_memory(err);
}

static bool decode_system(struct decoder *d, struct reader *r,
			  struct error *err)
{
	unsigned machine = reader_u16(r);
	const char *csd = NULL;
	uint32_t version[3], platform, rva;

	reader_skip(r, 6); /* level, revision, processors, product */
	for (size_t i = 0; i < 3; i++)
		version[i] = reader_u32(r);
	platform = reader_u32(r);
	rva = reader_u32(r);
	if (r->bad)
		return fail(err, ERR_BAD_DATA, "cut short");
	if (!check_machine(machine, platform, err))
		return false;
	if (rva != 0 && !string_at(d, rva, &csd, err))
		return false;
	d->report->arch = MACHINE_NAME;
	return kernel_from(d, csd, version, err);
}

static bool decode_misc(struct decoder *d, struct reader *r,
			struct error *err)
{
	struct report *report = d->report;
	uint32_t flags, pid, started;

	reader_skip(r, 4); /* its own size */
	flags = reader_u32(r);
	pid = reader_u32(r);
	started = reader_u32(r);
	if (r->bad)
		return fail(err, ERR_BAD_DATA, "cut short");
	if (flags & MISC_HAS_PID)
		report->pid = pid;
	if (flags & MISC_HAS_TIMES && started != 0 &&
	    started <= report->time_ms / 1000)
		report->uptime_ms = report->time_ms - (int64_t)started * 1000;
	return true;
}

static bool decode_thread(struct decoder *d, struct reader *r,
			  struct thread *t, struct error *err)
{
	struct reader stack, context;

	t->tid = reader_u32(r);
	reader_skip(r, 20); /* suspended, priorities, TEB */
	t->stack.address = reader_u64(r);
	if (!place(d, r, &stack, err) || !place(d, r, &context, err))
		return fail_context(err, "thread %u", t->tid);
	t->stack.bytes = stack.bytes;
	t->stack.len = stack.len;
	if (context.len > 0 && !context_decode(&context, t, err))
		return fail_context(err, "thread %u", t->tid);
	return true;
}

static bool decode_threads(struct decoder *d, struct reader *r,
			   struct error *err)
{
	struct report *report = d->report;
	size_t count;

	if (!list_count(r, MAX_THREADS, THREAD_ENTRY, &count, err))
		return false;
	report->threads = report_alloc(report, count * sizeof(struct thread));
	if (report->threads == NULL)
		return no_memory(err);
	report->nthreads = count;
	for (size_t i = 0; i < count; i++) {
		if (!decode_thread(d, r, &report->threads[i], err))
			return false;
	}
	return true;
}

static struct thread *find_thread(const struct report *report, uint32_t tid)
{
	for (size_t i = 0; i < report->nthreads; i++) {
		if (report->threads[i].tid == tid)
			return &report->threads[i];
	}
	return NULL;
}

static bool decode_names(struct decoder *d, struct reader *r,
			 struct error *err)
{
	size_t count;

	if (!list_count(r, MAX_THREADS, THREAD_NAME_ENTRY, &count, err))
		return false;
	for (size_t i = 0; i < count; i++) {
		uint32_t tid = reader_u32(r);
		uint64_t rva = reader_u64(r);
		struct thread *t = find_thread(d->report, tid);

		if (t != NULL && rva != 0 && !string_at(d, rva, &t->name, err))
			return fail_context(err, "thread %u", tid);
	}
	return true;
}

/* Breakpad used to put a GUID of sixteen bytes there: the build-id's first, or
 * all of a shorter one with zeros behind it. */
static void build_id_of_guid(const uint8_t *guid, struct build_id *id)
{
	static const uint8_t zeros[PDB70_GUID];
	size_t half = PDB70_GUID / 2;

	if (memcmp(guid, zeros, PDB70_GUID) == 0)
		return;
	id->len = PDB70_GUID;
	if (memcmp(guid + half, zeros, half) == 0)
		id->len = PDB70_GUID / 2;
	memcpy(id->bytes, guid, id->len);
}

static bool decode_codeview(struct reader *r, struct build_id *id,
			    struct error *err)
{
	uint32_t signature = reader_left(r) < 4 ? 0 : reader_u32(r);
	size_t len = reader_left(r);
	const uint8_t *bytes;

	if (signature == CODEVIEW_ELF) {
		if (len > MAX_BUILD_ID)
			return fail(err, ERR_TOO_LARGE,
				    "build-id of %zu bytes, limit %d", len,
				    MAX_BUILD_ID);
		bytes = reader_take(r, len);
		if (len > 0)
			memcpy(id->bytes, bytes, len);
		id->len = (uint8_t)len;
	} else if (signature == CODEVIEW_PDB70 && len >= PDB70_GUID) {
		build_id_of_guid(reader_take(r, PDB70_GUID), id);
	}
	return true;
}

static bool decode_module(struct decoder *d, struct reader *r,
			  struct module *m, struct error *err)
{
	struct reader codeview;
	uint32_t name;

	m->base = reader_u64(r);
	m->size = reader_u32(r);
	reader_skip(r, 8); /* checksum, time */
	name = reader_u32(r);
	reader_skip(r, MODULE_VERSION);
	if (!place(d, r, &codeview, err))
		return false;
	reader_skip(r, 8 + MODULE_RESERVED);
	if (m->size == 0)
		m->size = 1;
	if (name != 0 && !string_at(d, name, &m->path, err))
		return false;
	return decode_codeview(&codeview, &m->build_id, err);
}

/* By base; equal ones by size, so that the order does not hang on qsort. */
static int compare_modules(const void *a, const void *b)
{
	const struct module *x = a, *y = b;

	if (x->base != y->base)
		return x->base < y->base ? -1 : 1;
	if (x->size != y->size)
		return x->size < y->size ? -1 : 1;
	return 0;
}

static bool decode_modules(struct decoder *d, struct reader *r,
			   struct error *err)
{
	struct report *report = d->report;
	size_t count;

	if (!list_count(r, MAX_MODULES, MODULE_ENTRY, &count, err))
		return false;
	report->modules = report_alloc(report, count * sizeof(struct module));
	if (report->modules == NULL)
		return no_memory(err);
	report->nmodules = count;
	for (size_t i = 0; i < count; i++) {
		if (!decode_module(d, r, &report->modules[i], err))
			return fail_context(err, "module %zu", i);
	}
	/* Every writer puts the program itself first. */
	if (count > 0)
		report->exe = report->modules[0].path;
	qsort(report->modules, count, sizeof(struct module), compare_modules);
	return true;
}

static int compare_ranges(const void *a, const void *b)
{
	const struct memory_range *x = a, *y = b;

	if (x->address != y->address)
		return x->address < y->address ? -1 : 1;
	if (x->len != y->len)
		return x->len < y->len ? -1 : 1;
	return 0;
}

/* The threads' stacks, sorted: the memory list has them again. */
static struct memory_range *sorted_stacks(struct report *report)
{
	struct memory_range *stacks;
	size_t n = report->nthreads;

	stacks = report_alloc(report, n * sizeof(*stacks));
	if (stacks == NULL)
		return NULL;
	for (size_t i = 0; i < n; i++)
		stacks[i] = report->threads[i].stack;
	qsort(stacks, n, sizeof(*stacks), compare_ranges);
	return stacks;
}

/* Add RANGE to the report's memory, unless it is a stack or nothing. */
static void keep_range(struct report *report,
		       const struct memory_range *stacks,
		       const struct memory_range *range)
{
	if (range->len == 0)
		return;
	if (bsearch(range, stacks, report->nthreads, sizeof(*stacks),
		    compare_ranges) != NULL)
		return;
	report->memory[report->nmemory++] = *range;
}

/* Make room for COUNT ranges, and the table of stacks. */
static bool prepare_memory(struct report *report, size_t count,
			   struct memory_range **stacks_out, struct error *err)
{
	*stacks_out = sorted_stacks(report);
	report->memory = report_alloc(report,
				      count * sizeof(struct memory_range));
	report->nmemory = 0;
	return (*stacks_out != NULL && report->memory != NULL) ||
	       no_memory(err);
}

static bool decode_memory(struct decoder *d, struct reader *r,
			  struct error *err)
{
	struct memory_range *stacks;
	size_t count;

	if (!list_count(r, MAX_MEMORY_RANGES, MEMORY_ENTRY, &count, err) ||
	    !prepare_memory(d->report, count, &stacks, err))
		return false;
	for (size_t i = 0; i < count; i++) {
		struct memory_range range = { .address = reader_u64(r) };
		struct reader bytes;

		if (!place(d, r, &bytes, err))
			return fail_context(err, "range %zu", i);
		range.bytes = bytes.bytes;
		range.len = bytes.len;
		keep_range(d->report, stacks, &range);
	}
	return true;
}

/* As decode_memory, but with all bytes one after the other at one offset. */
static bool decode_memory64(struct decoder *d, struct reader *r,
			    struct error *err)
{
	uint64_t count = reader_u64(r), rva = reader_u64(r);
	struct memory_range *stacks;
	struct reader bytes;

	if (r->bad || count > MAX_MEMORY_RANGES ||
	    count > reader_left(r) / MEMORY_ENTRY)
		return fail(err, ERR_TOO_LARGE, "%llu entries, limit %d",
			    (unsigned long long)count, MAX_MEMORY_RANGES);
	if (rva > d->file.len)
		return fail(err, ERR_BAD_DATA, "data beyond the end");
	bytes = reader_at(&d->file, rva, d->file.len - rva);
	if (d->report->nmemory > 0)
		return true; /* it had a list of the other kind */
	if (!prepare_memory(d->report, (size_t)count, &stacks, err))
		return false;
	for (size_t i = 0; i < count; i++) {
		struct memory_range range = { .address = reader_u64(r) };

		range.len = reader_u64(r);
		range.bytes = reader_take(&bytes, range.len);
		if (bytes.bad)
			return fail(err, ERR_BAD_DATA,
				    "range %zu is beyond the end", i);
		keep_range(d->report, stacks, &range);
	}
	return true;
}

/* Whether CODE's siginfo has an address. Old Breakpad always says 0, and it
 * wrote one for faults only. */
static bool code_has_address(int signal, int code)
{
	switch (signal) {
	case 4: /* SIGILL, SIGTRAP, SIGBUS, SIGFPE, SIGSEGV: of Linux, not of
		 * the machine that reads the dump */
	case 5:
	case 7:
	case 8:
	case 11:
		return code >= 0 && code != 0x80; /* SI_KERNEL */
	default:
		return false;
	}
}

/* Mark thread TID as the one that crashed, with the exception's CONTEXT for
 * its registers, and move it to the front. */
static bool mark_crashed(struct report *report, uint32_t tid,
			 struct reader *context, struct error *err)
{
	struct thread *t = find_thread(report, tid);
	struct thread first;

	if (t == NULL)
		return true;
	if (context->len > 0 && !context_decode(context, t, err))
		return fail_context(err, "thread %u", t->tid);
	t->crashed = true;
	first = *t;
	memmove(report->threads + 1, report->threads,
		(size_t)(t - report->threads) * sizeof(*t));
	report->threads[0] = first;
	return true;
}

static bool decode_exception(struct decoder *d, struct reader *r,
			     struct error *err)
{
	struct report *report = d->report;
	struct reader context;
	uint32_t tid, code, flags;

	tid = reader_u32(r);
	reader_skip(r, 4);
	code = reader_u32(r);
	flags = reader_u32(r);
	reader_skip(r, 8); /* a nested record */
	report->address = reader_u64(r);
	reader_skip(r, 8 + 8 * EXCEPTION_PARAMETERS);
	if (!place(d, r, &context, err))
		return false;
	if (r->bad)
		return fail(err, ERR_BAD_DATA, "cut short");
	/* A dump that was asked for has a code that is no signal. */
	if (code > 0 && code <= 64) {
		report->signal = (int)code;
		report->code = (int)flags;
	}
	report->has_address = code_has_address(report->signal, report->code);
	if (!report->has_address)
		report->address = 0;
	return mark_crashed(report, tid, &context, err);
}

static bool decode_maps(struct decoder *d, struct reader *r, struct error *err)
{
	size_t len = reader_left(r);
	const void *text = reader_take(r, len);

	d->report->maps = report_string(d->report, text, len);
	d->report->maps_len = len;
	return d->report->maps != NULL || no_memory(err);
}

static bool decode_auxv(struct decoder *d, struct reader *r, struct error *err)
{
	(void)err;
	d->report->auxv_len = reader_left(r);
	d->report->auxv = reader_take(r, d->report->auxv_len);
	return true;
}

static bool decode_cmdline(struct decoder *d, struct reader *r,
			   struct error *err)
{
	(void)err;
	d->report->cmdline_len = reader_left(r);
	d->report->cmdline = reader_take(r, d->report->cmdline_len);
	return true;
}

static bool decode_meta(struct decoder *d, struct reader *r, struct error *err)
{
	size_t len = reader_left(r);

	return meta_decode((const char *)reader_take(r, len), len, d->report,
			   err);
}

/* In the order in which they need each other. */
static const struct {
	uint32_t type;
	const char *name;
	bool (*decode)(struct decoder *d, struct reader *r, struct error *err);
} streams[] = {
	{ STREAM_SYSTEM, "system info", decode_system },
	{ STREAM_MISC, "misc info", decode_misc },
	{ STREAM_THREADS, "thread list", decode_threads },
	{ STREAM_THREAD_NAMES, "thread names", decode_names },
	{ STREAM_MODULES, "module list", decode_modules },
	{ STREAM_MEMORY, "memory list", decode_memory },
	{ STREAM_MEMORY64, "64-bit memory list", decode_memory64 },
	{ STREAM_EXCEPTION, "exception", decode_exception },
	{ STREAM_MAPS, "maps", decode_maps },
	{ STREAM_AUXV, "auxv", decode_auxv },
	{ STREAM_CMDLINE, "command line", decode_cmdline },
	{ MINIDUMP_EPITAPH_STREAM, "Epitaph's stream", decode_meta },
};

/* The directory's entry for the first stream of TYPE. */
static bool find_stream(struct decoder *d, uint32_t type,
			struct reader *entry_out)
{
	struct reader file = d->file;
	struct reader r = reader_at(&file, d->directory,
				    (uint64_t)d->nstreams * DIRECTORY_ENTRY);

	for (uint32_t i = 0; i < d->nstreams; i++) {
		if (reader_u32(&r) == type) {
			*entry_out = r;
			return true;
		}
		reader_skip(&r, 8);
	}
	return false;
}

static bool decode_header(struct decoder *d, struct error *err)
{
	struct reader r = d->file;
	struct reader directory;
	uint32_t signature = reader_u32(&r), version = reader_u32(&r);

	d->nstreams = reader_u32(&r);
	d->directory = reader_u32(&r);
	reader_skip(&r, 4); /* checksum */
	d->report->time_ms = (int64_t)reader_u32(&r) * 1000;
	reader_skip(&r, 8); /* flags */
	if (r.bad || signature != MINIDUMP_SIGNATURE)
		return fail(err, ERR_BAD_DATA, "not a minidump");
	if ((version & 0xffff) != MINIDUMP_VERSION)
		return fail(err, ERR_UNSUPPORTED, "minidump version %#x",
			    version);
	if (d->nstreams > MAX_STREAMS)
		return fail(err, ERR_TOO_LARGE, "%u streams, limit %d",
			    d->nstreams, MAX_STREAMS);
	directory = reader_at(&r, d->directory,
			      (uint64_t)d->nstreams * DIRECTORY_ENTRY);
	if (directory.bad)
		return fail(err, ERR_BAD_DATA,
			    "directory at offset %u is beyond the end",
			    d->directory);
	return true;
}

static bool decode_streams(struct decoder *d, struct error *err)
{
	struct reader entry;

	if (!find_stream(d, STREAM_THREADS, &entry) &&
	    !find_stream(d, MINIDUMP_EPITAPH_STREAM, &entry))
		return fail(err, ERR_BAD_DATA, "a minidump without threads");
	for (size_t i = 0; i < sizeof(streams) / sizeof(streams[0]); i++) {
		struct reader stream, peek;
		uint32_t rva;

		if (!find_stream(d, streams[i].type, &entry))
			continue;
		peek = entry;
		reader_skip(&peek, 4);
		rva = reader_u32(&peek);
		if (!place(d, &entry, &stream, err) ||
		    !streams[i].decode(d, &stream, err))
			return fail_context(err, "%s at offset %u",
					    streams[i].name, rva);
	}
	return true;
}

/* The arguments from the command line, where our own stream had none. */
static bool args_from_cmdline(struct report *report, struct error *err)
{
	const char *at = (const char *)report->cmdline;
	size_t left = report->cmdline_len, count = 0;

	if (report->args != NULL || at == NULL)
		return true;
	for (size_t i = 0; i < left && count < MAX_ARGS; i++)
		count += at[i] == '\0' || i + 1 == left;
	report->args = report_alloc(report, count * sizeof(*report->args));
	if (report->args == NULL)
		return no_memory(err);
	while (report->nargs < count) {
		size_t len = strnlen(at, left);
		const char *arg = report_string(report, at, len);

		if (arg == NULL)
			return no_memory(err);
		report->args[report->nargs++] = arg;
		at += len < left ? len + 1 : len;
		left -= len < left ? len + 1 : len;
	}
	return true;
}

bool minidump_decode(const void *bytes, size_t len, struct report *report_out,
		     struct error *err)
{
	struct report report;
	struct decoder d = { .report = &report };
	const void *copy;
	bool ok;

	if (len > MAX_REPORT_BYTES)
		return fail(err, ERR_TOO_LARGE, "%zu bytes, limit %zu", len,
			    MAX_REPORT_BYTES);
	if (!report_init(&report, err))
		return false;
	copy = report_copy(&report, bytes, len);
	reader_init(&d.file, copy, len);
	/* Names are a small part of a dump, shared ones included. */
	d.text_left = 2 * len;
	ok = copy != NULL ? decode_header(&d, err) : no_memory(err);
	ok = ok && decode_streams(&d, err) && args_from_cmdline(&report, err);
	if (!ok) {
		report_free(&report);
		return false;
	}
	*report_out = report;
	return true;
}
