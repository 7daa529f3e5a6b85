/* Unwinding afterwards, for dumps that carry registers and stacks but no
 * frames: Breakpad's, Crashpad's. Memory is what the dump has, and behind it
 * what the modules' files say, as far as their build-ids match; CFI is theirs,
 * or that of the modules' indexes in the store, or of symbol files of
 * Breakpad's. The child's half reads those; rewind_read() is the parent's. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../lib/proc/maps.h"
#include "../lib/unwind/unwind.h"
#include "finder.h"
#include "index/index.h"
#include "lookup.h"
#include "symframes.h"
#include "worker.h"

enum { MAX_SEGMENTS = 64 };
#define MAX_FRAMES_LEN ((size_t)1 << 30) /* of a symbol file's CFI */

/* A piece of a module that its file has. */
struct segment {
	uint64_t address, len, offset;
};

struct loaded {
	const struct module *module;
	struct module_files files;
	struct segment segments[MAX_SEGMENTS];
	size_t nsegments;
	struct index *index;  /* of the store, opened when needed, or NULL */
	struct writer frames; /* of the symbol file, the same */
	char why[SYM_TROUBLE]; /* it is not all in them; or "" */
};

struct rewind {
	const struct report *report;
	struct loaded *loaded; /* per module */
	struct unwind_module *modules;
	struct unwind_range *code;
	size_t ncode;
};

bool rewind_is_needed(const struct thread *thread)
{
	return thread->nframes == 0 && thread->has_registers;
}

static void find_segments(struct loaded *loaded, const struct module *module)
{
	uint64_t base = elf_file_base(&loaded->files.code);
	size_t n = 0;

	if (elf_getphdrnum(loaded->files.code.elf, &n) != 0)
		return;
	for (size_t i = 0; i < n && loaded->nsegments < MAX_SEGMENTS; i++) {
		struct segment *to = &loaded->segments[loaded->nsegments];
		GElf_Phdr phdr;

		if (gelf_getphdr(loaded->files.code.elf, (int)i, &phdr) == NULL)
			return;
		/* What could be written to may be something else by now. */
		if (phdr.p_type != PT_LOAD || (phdr.p_flags & PF_W))
			continue;
		to->address = module->base + (phdr.p_vaddr - base);
		to->len = phdr.p_filesz;
		to->offset = phdr.p_offset;
		loaded->nsegments++;
	}
}

static size_t copy_range(const struct memory_range *range, uint64_t address,
			 void *to, size_t len)
{
	uint64_t at = address - range->address;

	if (address < range->address || at >= range->len)
		return 0;
	if (len > range->len - at)
		len = (size_t)(range->len - at);
	memcpy(to, range->bytes + at, len);
	return len;
}

static size_t read_file(const struct loaded *loaded, uint64_t address,
			void *to, size_t len)
{
	for (size_t i = 0; i < loaded->nsegments; i++) {
		const struct segment *s = &loaded->segments[i];
		uint64_t at = address - s->address;
		ssize_t n;

		if (address < s->address || at >= s->len)
			continue;
		if (len > s->len - at)
			len = (size_t)(s->len - at);
		n = pread(loaded->files.code.fd, to, len,
			  (off_t)(s->offset + at));
		return n > 0 ? (size_t)n : 0;
	}
	return 0;
}

/* An unwind_read. */
static size_t read_memory(void *context, uint64_t address, void *to,
			  size_t len)
{
	struct rewind *rewind = context;
	const struct report *report = rewind->report;
	int32_t module;
	size_t n;

	for (size_t i = 0; i < report->nthreads; i++)
		if ((n = copy_range(&report->threads[i].stack, address, to,
				    len)) > 0)
			return n;
	for (size_t i = 0; i < report->nmemory; i++)
		if ((n = copy_range(&report->memory[i], address, to, len)) > 0)
			return n;
	module = report_find_module(report, address);
	if (module < 0 || rewind->loaded[module].files.code.fd < 0)
		return 0;
	return read_file(&rewind->loaded[module], address, to, len);
}

static void make_frames(struct loaded *loaded)
{
	struct sym sym;

	/* What kept it from being read is said with the names. */
	if (!sym_file_parse(&loaded->files.sym, SYM_RULES, &sym, NULL))
		return;
	symframes_make(&sym, &loaded->frames, &sym.trouble);
	sym_say_trouble(&sym.trouble, loaded->why);
	sym_free(&sym);
}

/* What the index in the store has, or NULL. */
static const void *stored_frames(struct loaded *loaded, size_t *len_out)
{
	const void *frames = NULL;
	const char *why;

	loaded->index = lookup_stored(loaded->module);
	if (loaded->index)
		frames = index_frames(loaded->index, len_out);
	why = frames ? index_frames_why(loaded->index) : NULL;
	if (why)
		snprintf(loaded->why, sizeof(loaded->why), "%s", why);
	return frames;
}

/* An unwind_frames. */
static const void *get_frames(void *opaque, size_t *len_out)
{
	struct loaded *loaded = opaque;
	const void *frames = stored_frames(loaded, len_out);

	if (frames)
		return frames;
	if (loaded->files.sym.path)
		make_frames(loaded);
	if (loaded->frames.bad || loaded->frames.len == 0)
		return NULL;
	*len_out = loaded->frames.len;
	return loaded->frames.bytes;
}

static bool load_modules(struct rewind *rewind, struct finder *finder)
{
	const struct report *report = rewind->report;

	rewind->loaded = calloc(report->nmodules + 1,
				sizeof(*rewind->loaded));
	rewind->modules = calloc(report->nmodules + 1,
				 sizeof(*rewind->modules));
	if (!rewind->loaded || !rewind->modules)
		return false;
	for (size_t i = 0; i < report->nmodules; i++) {
		const struct module *module = &report->modules[i];
		struct loaded *loaded = &rewind->loaded[i];

		loaded->module = module;
		finder_find(finder, module, &loaded->files);
		writer_init(&loaded->frames, MAX_FRAMES_LEN);
		if (loaded->files.code.elf)
			find_segments(loaded, module);
		rewind->modules[i] = (struct unwind_module){
			.base = module->base,
			.end = module->base + module->size,
			.elf_fd = loaded->files.code.fd,
			.debug_fd = loaded->files.debug.fd,
			.frames = get_frames,
			.opaque = loaded,
		};
	}
	return true;
}

static void add_code(struct rewind *rewind, uint64_t start, uint64_t end)
{
	struct unwind_range *more;

	more = realloc(rewind->code, (rewind->ncode + 1) * sizeof(*more));
	if (more == NULL)
		_exit(1);
	more[rewind->ncode].start = start;
	more[rewind->ncode].end = end;
	rewind->code = more;
	rewind->ncode++;
}

static void code_from_maps(struct rewind *rewind, char *text, size_t len)
{
	struct maps maps;

	if (!maps_parse(text, len, &maps, NULL))
		return;
	for (size_t i = 0; i < maps.len; i++)
		if (maps.entries[i].exec)
			add_code(rewind, maps.entries[i].start,
				 maps.entries[i].end);
	maps_free(&maps);
}

/* Where code may be: what maps says, or all of each module where the dump has
 * no maps. */
static void find_code(struct rewind *rewind)
{
	const struct report *report = rewind->report;
	char *text = malloc(report->maps_len + 1);

	if (text == NULL)
		_exit(1);
	if (report->maps) {
		memcpy(text, report->maps, report->maps_len);
		text[report->maps_len] = '\0';
		code_from_maps(rewind, text, report->maps_len);
	}
	free(text);
	if (rewind->ncode > 0)
		return;
	for (size_t i = 0; i < report->nmodules; i++)
		add_code(rewind, report->modules[i].base,
			 report->modules[i].base + report->modules[i].size);
}

static void send_frames(struct sender *sender, size_t index,
			const struct frame *frames,
			const struct unwind_result *result)
{
	struct writer payload;

	writer_init(&payload, MESSAGE_MAX);
	writer_u64(&payload, result->depth);
	lookup_write_text(&payload, result->truncated);
	writer_u32(&payload, (uint32_t)result->nframes);
	for (size_t i = 0; i < result->nframes; i++) {
		writer_u64(&payload, frames[i].pc);
		writer_u64(&payload, frames[i].cfa);
		writer_u32(&payload, (uint32_t)frames[i].module);
		writer_u32(&payload, (uint32_t)frames[i].trust);
		writer_u32(&payload, frames[i].corrupt_ra);
	}
	sender_put(sender, MESSAGE_THREAD, index, &payload);
	writer_fini(&payload);
}

/* What modules' symbol files had that could not be used. */
static void send_troubles(struct sender *sender, const struct rewind *rewind)
{
	struct writer payload;

	for (size_t i = 0; i < rewind->report->nmodules; i++) {
		if (rewind->loaded[i].why[0] == '\0')
			continue;
		writer_init(&payload, MESSAGE_MAX);
		lookup_write_text(&payload, rewind->loaded[i].why);
		sender_put(sender, MESSAGE_TROUBLE, i, &payload);
		writer_fini(&payload);
	}
}

void worker_rewind(void *context, int fd)
{
	const struct job *job = context;
	const struct report *report = job->report;
	struct rewind rewind = { .report = report };
	struct frame *frames = calloc(MAX_FRAMES, sizeof(*frames));
	struct finder *finder;
	struct unwind *unwind;
	struct sender sender;

	sender_init(&sender, fd);
	finder = finder_new(job->options->dirs, job->options->ndirs,
			    job->options->root);
	if (!frames || !finder || !load_modules(&rewind, finder))
		_exit(1);
	find_code(&rewind);
	unwind = unwind_new(rewind.modules, report->nmodules, rewind.code,
			    rewind.ncode, read_memory, &rewind);
	if (unwind == NULL)
		_exit(1);
	for (size_t i = 0; i < report->nthreads; i++) {
		struct unwind_result result = { 0 };

		if (!rewind_is_needed(&report->threads[i]))
			continue;
		unwind_thread(unwind, &report->threads[i].registers, frames,
			      MAX_FRAMES, &result);
		send_frames(&sender, i, frames, &result);
	}
	send_troubles(&sender, &rewind);
	sender_put(&sender, MESSAGE_END, 0, NULL);
	sender_flush(&sender);
}

void rewind_read(struct reader *r, struct report *report,
		 struct thread *thread)
{
	uint64_t depth = reader_u64(r);
	const char *truncated = lookup_read_text(r, report);
	size_t n = reader_count(r, MAX_FRAMES, 28);
	struct frame *frames = report_alloc(report, (n + 1) * sizeof(*frames));

	if (frames == NULL)
		return;
	for (size_t i = 0; i < n; i++) {
		uint32_t module, trust;

		frames[i].pc = reader_u64(r);
		frames[i].cfa = reader_u64(r);
		module = reader_u32(r);
		trust = reader_u32(r);
		frames[i].corrupt_ra = reader_u32(r) != 0;
		frames[i].trust = trust < TRUST_COUNT ? (enum trust)trust
						      : TRUST_SCAN;
		frames[i].module = module < report->nmodules ? (int32_t)module
							     : -1;
		if (frames[i].module >= 0)
			frames[i].offset = frames[i].pc -
				report->modules[module].base;
	}
	if (r->bad)
		return;
	thread->frames = frames;
	thread->nframes = n;
	thread->depth = depth;
	thread->truncated = truncated;
}
