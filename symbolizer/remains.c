/* What is left of a dead process. Runs in the process that can be lost; the
 * report and the files are as untrusted as ever. */
#include "remains.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../lib/proc/maps.h"
#include "index/index.h"
#include "lookup.h"
#include "symframes.h"

enum { MAX_SEGMENTS = 64 };
#define MAX_FRAMES_LEN ((size_t)1 << 30) /* of a symbol file's CFI */

/* A piece of a module that its file has. */
struct segment {
	uint64_t address, len, offset;
};

struct remains_module {
	const struct module *module;
	struct module_files files;
	struct segment segments[MAX_SEGMENTS];
	size_t nsegments;
	struct index *index;  /* of the store, opened when needed, or NULL */
	struct writer frames; /* of the symbol file, the same */
	char why[SYM_TROUBLE]; /* it is not all in them; or "" */
};

struct remains {
	const struct report *report;
	struct remains_module *loaded; /* per module */
	struct unwind_module *modules;
	struct unwind_range *code;
	size_t ncode;
};

static void find_segments(struct remains_module *loaded,
			  const struct module *module)
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

static size_t read_file(const struct remains_module *loaded, uint64_t address,
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

size_t remains_read_files(void *context, uint64_t address, void *to,
			  size_t len)
{
	const struct remains *remains = context;
	int32_t module = report_find_module(remains->report, address);

	if (module < 0 || remains->loaded[module].files.code.fd < 0)
		return 0;
	return read_file(&remains->loaded[module], address, to, len);
}

size_t remains_read(void *context, uint64_t address, void *to, size_t len)
{
	const struct remains *remains = context;
	const struct report *report = remains->report;
	size_t n;

	for (size_t i = 0; i < report->nthreads; i++)
		if ((n = copy_range(&report->threads[i].stack, address, to,
				    len)) > 0)
			return n;
	for (size_t i = 0; i < report->nmemory; i++)
		if ((n = copy_range(&report->memory[i], address, to, len)) > 0)
			return n;
	return remains_read_files(context, address, to, len);
}

static void make_frames(struct remains_module *loaded)
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
static const void *stored_frames(struct remains_module *loaded, size_t *len_out)
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
	struct remains_module *loaded = opaque;
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

static bool load_modules(struct remains *remains, struct finder *finder)
{
	const struct report *report = remains->report;

	remains->loaded = calloc(report->nmodules + 1,
				 sizeof(*remains->loaded));
	remains->modules = calloc(report->nmodules + 1,
				  sizeof(*remains->modules));
	if (!remains->loaded || !remains->modules)
		return false;
	for (size_t i = 0; i < report->nmodules; i++) {
		const struct module *module = &report->modules[i];
		struct remains_module *loaded = &remains->loaded[i];

		loaded->module = module;
		finder_find(finder, module, &loaded->files);
		writer_init(&loaded->frames, MAX_FRAMES_LEN);
		if (loaded->files.code.elf)
			find_segments(loaded, module);
		remains->modules[i] = (struct unwind_module){
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

static void add_code(struct remains *remains, uint64_t start, uint64_t end)
{
	struct unwind_range *more;

	more = realloc(remains->code, (remains->ncode + 1) * sizeof(*more));
	if (more == NULL)
		_exit(1);
	more[remains->ncode].start = start;
	more[remains->ncode].end = end;
	remains->code = more;
	remains->ncode++;
}

static void code_from_maps(struct remains *remains, char *text, size_t len)
{
	struct maps maps;

	if (!maps_parse(text, len, &maps, NULL))
		return;
	for (size_t i = 0; i < maps.len; i++)
		if (maps.entries[i].exec)
			add_code(remains, maps.entries[i].start,
				 maps.entries[i].end);
	maps_free(&maps);
}

/* Where code may be: what maps says, or all of each module where the dump has
 * no maps. */
static void find_code(struct remains *remains)
{
	const struct report *report = remains->report;
	char *text = malloc(report->maps_len + 1);

	if (text == NULL)
		_exit(1);
	if (report->maps) {
		memcpy(text, report->maps, report->maps_len);
		text[report->maps_len] = '\0';
		code_from_maps(remains, text, report->maps_len);
	}
	free(text);
	if (remains->ncode > 0)
		return;
	for (size_t i = 0; i < report->nmodules; i++)
		add_code(remains, report->modules[i].base,
			 report->modules[i].base + report->modules[i].size);
}

struct remains *remains_open(const struct report *report,
			     struct finder *finder)
{
	struct remains *remains = calloc(1, sizeof(*remains));

	if (!remains)
		return NULL;
	remains->report = report;
	if (!load_modules(remains, finder))
		return NULL;
	find_code(remains);
	return remains;
}

struct unwind *remains_unwind(struct remains *remains)
{
	return unwind_new(remains->modules, remains->report->nmodules,
			  remains->code, remains->ncode, remains_read,
			  remains);
}

struct module_files *remains_files(struct remains *remains, size_t index)
{
	return &remains->loaded[index].files;
}

const char *remains_why(const struct remains *remains, size_t index)
{
	return remains->loaded[index].why;
}
