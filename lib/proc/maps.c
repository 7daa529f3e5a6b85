/* Parsing /proc/PID/maps, and finding the ELF images in it. Runs in the helper
 * and the command line. Trusts neither the text nor the headers that the
 * memory shows: a process can map anything anywhere, and call it what it
 * likes. */
#include "maps.h"

#include "../report/bytes.h"

#include <elf.h>
#include <stdlib.h>
#include <string.h>

enum {
	HEAD_BYTES = 4096,  /* headers and, nearly always, the build-id */
	NOTES_BYTES = 4096, /* of one PT_NOTE; they hold a few hundred */
	MAX_HEADERS = 64,
	MAX_NOTES = 64,
};

/* A number in BASE (10 or 16) at *AT, which then stands behind it. False
 * without a digit, and past 64 bits. */
static bool take_number(const char **at, unsigned base, uint64_t *value_out)
{
	uint64_t value = 0;
	const char *p = *at;

	for (;; p++) {
		unsigned digit = 99;

		if (*p >= '0' && *p <= '9')
			digit = (unsigned)(*p - '0');
		else if (*p >= 'a' && *p <= 'f')
			digit = (unsigned)(*p - 'a') + 10;
		if (digit >= base)
			break;
		if (__builtin_mul_overflow(value, base, &value) ||
		    __builtin_add_overflow(value, digit, &value))
			return false;
	}
	if (p == *at)
		return false;
	*at = p;
	*value_out = value;
	return true;
}

static bool take_char(const char **at, char c)
{
	if (**at != c)
		return false;
	++*at;
	return true;
}

static bool take_permissions(const char **at, struct map *map)
{
	const char *p = *at;

	if (strnlen(p, 4) < 4)
		return false;
	map->read = p[0] == 'r';
	map->write = p[1] == 'w';
	map->exec = p[2] == 'x';
	*at += 4;
	return true;
}

/* Device numbers say nothing that path and inode do not. */
static bool skip_device(const char **at)
{
	uint64_t ignored;

	return take_number(at, 16, &ignored) && take_char(at, ':') &&
	       take_number(at, 16, &ignored);
}

/* The kernel writes a newline in a path as \012, and nothing else so. */
static void unescape(char *path)
{
	char *to = strstr(path, "\\012");

	if (!to)
		return;
	for (const char *from = to; *from; to++) {
		if (strncmp(from, "\\012", 4) == 0) {
			*to = '\n';
			from += 4;
		} else {
			*to = *from++;
		}
	}
	*to = '\0';
}

static bool parse_line(char *line, struct map *map)
{
	const char *at = line;

	if (!take_number(&at, 16, &map->start) || !take_char(&at, '-') ||
	    !take_number(&at, 16, &map->end) || !take_char(&at, ' ') ||
	    !take_permissions(&at, map) || !take_char(&at, ' ') ||
	    !take_number(&at, 16, &map->offset) || !take_char(&at, ' ') ||
	    !skip_device(&at) || !take_char(&at, ' ') ||
	    !take_number(&at, 10, &map->inode))
		return false;
	while (*at == ' ')
		at++;
	unescape(line + (at - line));
	map->path = at;
	return map->start < map->end;
}

static int compare_maps(const void *a, const void *b)
{
	const struct map *x = a, *y = b;

	return x->start < y->start ? -1 : x->start > y->start;
}

/* By address and without overlap, as a kernel's text already is. */
static void make_orderly(struct maps *maps)
{
	size_t kept = 0;

	qsort(maps->entries, maps->len, sizeof(*maps->entries), compare_maps);
	for (size_t i = 0; i < maps->len; i++)
		if (kept == 0 ||
		    maps->entries[i].start >= maps->entries[kept - 1].end)
			maps->entries[kept++] = maps->entries[i];
	maps->len = kept;
}

static size_t count_lines(const char *text, size_t len)
{
	size_t n = 1;

	for (size_t i = 0; i < len; i++)
		n += text[i] == '\n';
	return n;
}

bool maps_parse(char *text, size_t len, struct maps *maps_out,
		struct error *err)
{
	struct maps maps = { .len = 0 };
	char *end = text + len;
	bool orderly = true;

	maps.entries = calloc(count_lines(text, len), sizeof(*maps.entries));
	if (!maps.entries)
		return fail(err, ERR_NO_MEMORY, "no memory for maps");
	while (text < end) {
		char *eol = memchr(text, '\n', (size_t)(end - text));
		struct map *map = &maps.entries[maps.len];

		if (!eol)
			eol = end;
		*eol = '\0';
		if (parse_line(text, map)) {
			if (maps.len > 0 && map->start < map[-1].end)
				orderly = false;
			maps.len++;
		}
		text = eol + 1;
	}
	if (!orderly)
		make_orderly(&maps);
	*maps_out = maps;
	return true;
}

void maps_free(struct maps *maps)
{
	free(maps->entries);
	maps->entries = NULL;
	maps->len = 0;
}

const struct map *maps_find(const struct maps *maps, uint64_t address)
{
	size_t low = 0, high = maps->len;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (maps->entries[middle].start <= address)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == 0 || address >= maps->entries[low - 1].end)
		return NULL;
	return &maps->entries[low - 1];
}

/* The start of one ELF image in memory, and what its headers say. */
struct image {
	uint64_t base;
	uint64_t span; /* bytes from base that its PT_LOADs take; 0: unknown */
	uint64_t bias;
	struct build_id id;
	struct build_id go_id; /* where there is no other */
	uint8_t head[HEAD_BYTES];
	size_t head_len;
	maps_read *read;
	void *context;
};

/* Up to LEN bytes of the image at ADDRESS, from its head if they are there. */
static size_t read_image(const struct image *image, uint64_t address,
			 void *to, size_t len)
{
	uint64_t skip = address - image->base;
	size_t n;

	if (skip < image->head_len && len <= image->head_len - skip) {
		memcpy(to, image->head + skip, len);
		return len;
	}
	n = image->read(image->context, address, to, len);
	return n <= len ? n : 0;
}

/* One note at R. Returns false at the end. */
static bool take_note(struct reader *r, size_t align, struct image *image)
{
	uint32_t name_len = reader_u32(r), len = reader_u32(r);
	uint32_t type = reader_u32(r);
	const uint8_t *name = reader_take(r, name_len);
	const uint8_t *bytes;

	reader_skip(r, (align - r->pos % align) % align);
	bytes = reader_take(r, len);
	if (r->bad)
		return false;
	if (type == NT_GNU_BUILD_ID && name_len == 4 &&
	    memcmp(name, "GNU", 4) == 0 && len > 0 && len <= MAX_BUILD_ID) {
		image->id.len = (uint8_t)len;
		memcpy(image->id.bytes, bytes, len);
		return false;
	}
	if (type == GO_NOTE_TYPE && name_len == GO_NOTE_NAME_LEN &&
	    memcmp(name, GO_NOTE_NAME, GO_NOTE_NAME_LEN) == 0)
		build_id_from_go(bytes, len, &image->go_id);
	reader_skip(r, (align - r->pos % align) % align);
	return reader_left(r) > 0;
}

/* Notes are padded to 4 bytes, but a segment that is aligned to 8 pads its
 * notes to 8 (.note.gnu.property). */
static void read_notes(struct image *image, uint64_t address, uint64_t len,
		       uint64_t align)
{
	uint8_t bytes[NOTES_BYTES];
	size_t want = len < sizeof(bytes) ? (size_t)len : sizeof(bytes);
	struct reader r;

	reader_init(&r, bytes, read_image(image, address, bytes, want));
	for (int i = 0; i < MAX_NOTES; i++)
		if (!take_note(&r, align == 8 ? 8 : 4, image))
			break;
}

struct header {
	uint32_t type;
	uint64_t offset, address, file_len, memory_len, align;
};

static struct header take_header(struct reader *r)
{
	struct header h;

	h.type = reader_u32(r);
	reader_u32(r); /* flags */
	h.offset = reader_u64(r);
	h.address = reader_u64(r);
	reader_u64(r); /* physical address */
	h.file_len = reader_u64(r);
	h.memory_len = reader_u64(r);
	h.align = reader_u64(r);
	return h;
}

/* The span ends where the highest PT_LOAD does. Headers whose sums overflow
 * leave it unknown; then the maps alone decide. */
static void use_load(struct image *image, const struct header *h, bool *first)
{
	uint64_t start = h->address + image->bias;
	uint64_t end = start + h->memory_len;

	if (*first) {
		image->bias = image->base - (h->address - h->offset);
		start = h->address + image->bias;
		end = start + h->memory_len;
		*first = false;
	}
	if (end < start || start < image->base)
		return;
	if (end - image->base > image->span)
		image->span = end - image->base;
}

static void use_headers(struct image *image, struct reader *r, size_t n)
{
	struct header headers[MAX_HEADERS];
	bool first = true;

	for (size_t i = 0; i < n; i++) {
		headers[i] = take_header(r);
		if (!r->bad && headers[i].type == PT_LOAD)
			use_load(image, &headers[i], &first);
	}
	if (r->bad)
		return;
	for (size_t i = 0; i < n && image->id.len == 0; i++)
		if (headers[i].type == PT_NOTE)
			read_notes(image, headers[i].address + image->bias,
				   headers[i].file_len, headers[i].align);
	if (image->id.len == 0)
		image->id = image->go_id;
}

static void read_headers(struct image *image)
{
	uint8_t bytes[MAX_HEADERS * sizeof(Elf64_Phdr)];
	struct reader r;
	uint64_t at;
	size_t n, size;

	reader_init(&r, image->head, image->head_len);
	reader_skip(&r, offsetof(Elf64_Ehdr, e_phoff));
	at = reader_u64(&r);
	reader_skip(&r, offsetof(Elf64_Ehdr, e_phentsize) -
			offsetof(Elf64_Ehdr, e_shoff));
	size = reader_u16(&r);
	n = reader_u16(&r);
	if (r.bad || image->head[EI_CLASS] != ELFCLASS64 ||
	    size != sizeof(Elf64_Phdr) || n > MAX_HEADERS)
		return;
	reader_init(&r, bytes,
		    read_image(image, image->base + at, bytes,
			       n * sizeof(Elf64_Phdr)));
	use_headers(image, &r, n);
}

/* False where no ELF image begins at MAP. A core may have been made without the
 * pages of files: then the file's first page is taken for one, of which no more
 * is known. */
static bool open_image(struct image *image, const struct map *map,
		       maps_read *read, void *context)
{
	size_t want = sizeof(image->head);

	image->base = map->start;
	image->span = 0;
	image->bias = 0;
	image->id.len = image->go_id.len = 0;
	image->read = read;
	image->context = context;
	if (map->end - map->start < want)
		want = (size_t)(map->end - map->start);
	image->head_len = read(context, map->start, image->head, want);
	if (image->head_len == 0)
		return map->offset == 0 && map->path[0] == '/';
	if (image->head_len > want || image->head_len < sizeof(Elf64_Ehdr) ||
	    memcmp(image->head, ELFMAG, SELFMAG) != 0)
		return false;
	read_headers(image);
	return true;
}

static bool is_vdso(const struct map *map)
{
	return strcmp(map->path, "[vdso]") == 0;
}

static bool is_file(const struct map *map)
{
	return map->inode != 0 || is_vdso(map);
}

static bool is_same_file(const struct map *a, const struct map *b)
{
	return a->inode == b->inode && strcmp(a->path, b->path) == 0;
}

/* Mappings of one file, with anonymous ones in between: .bss, and pages that a
 * program put over its own. */
struct run {
	size_t start, end; /* entries [start, end); the last is of the file */
	bool exec;
};

static struct run find_run(const struct maps *maps, size_t start)
{
	const struct map *first = &maps->entries[start];
	struct run run = { start, start + 1, first->exec };
	bool exec = first->exec;

	for (size_t i = start + 1; i < maps->len; i++) {
		const struct map *map = &maps->entries[i];

		if (is_file(map) && !is_same_file(first, map))
			break;
		exec |= map->exec;
		if (!is_file(map))
			continue;
		run.end = i + 1;
		run.exec = exec;
	}
	return run;
}

/* The entries of RUN that belong to IMAGE, which begins at entry START: those
 * in its span. One behind it may be the next copy of the same file. */
static size_t image_end(const struct maps *maps, const struct run *run,
			size_t start, const struct image *image, bool *exec_out)
{
	const struct map *first = &maps->entries[start];
	size_t end = start + 1;
	bool exec = first->exec;

	*exec_out = exec;
	for (size_t i = start + 1; i < run->end; i++) {
		const struct map *map = &maps->entries[i];

		if (image->span != 0 && map->start - image->base >= image->span)
			break;
		exec |= map->exec;
		if (!is_file(map))
			continue;
		end = i + 1;
		*exec_out = exec;
	}
	return end;
}

/* The path without what the kernel says about it. */
static size_t path_len(const char *path)
{
	static const char deleted[] = " (deleted)";
	size_t len = strlen(path), tail = sizeof(deleted) - 1;

	if (len > tail && strcmp(path + len - tail, deleted) == 0)
		len -= tail;
	return len < MAX_STRING ? len : MAX_STRING;
}

static bool add_module(struct report *report, const struct maps *maps,
		       size_t start, size_t end, const struct image *image,
		       struct error *err)
{
	const char *path = maps->entries[start].path;
	struct module *module = &report->modules[report->nmodules];

	module->path = report_string(report, path, path_len(path));
	if (!module->path)
		return fail(err, ERR_NO_MEMORY, "no memory for modules");
	module->build_id = image->id;
	module->base = image->base;
	module->size = maps->entries[end - 1].end - image->base;
	report->nmodules++;
	return true;
}

/* An image may begin where a run does, and again behind the span of the one
 * before: the file's start, mapped once more, or another library of those that
 * lie inside it. */
static bool add_run(struct report *report, const struct maps *maps,
		    const struct run *run, struct image *image,
		    struct error *err)
{
	maps_read *read = image->read;
	void *context = image->context;
	size_t next;

	for (size_t i = run->start; i < run->end; i = next) {
		const struct map *map = &maps->entries[i];
		bool exec;

		next = i + 1;
		if (!is_file(map) || !map->read ||
		    !open_image(image, map, read, context))
			continue;
		next = image_end(maps, run, i, image, &exec);
		if (!exec)
			continue;
		if (report->nmodules == MAX_MODULES)
			return true;
		if (!add_module(report, maps, i, next, image, err))
			return false;
	}
	return true;
}

/* How many modules there may be: no more than there are files' first pages. */
static size_t count_starts(const struct maps *maps)
{
	size_t n = 0;

	for (size_t i = 0; i < maps->len; i++)
		n += is_file(&maps->entries[i]);
	return n < MAX_MODULES ? n : MAX_MODULES;
}

bool maps_modules(const struct maps *maps, maps_read *read, void *context,
		  struct report *report, struct error *err)
{
	struct image image = { .read = read, .context = context };
	size_t next;

	report->nmodules = 0;
	report->modules = report_alloc(report, (count_starts(maps) + 1) *
						       sizeof(struct module));
	if (!report->modules)
		return fail(err, ERR_NO_MEMORY, "no memory for modules");
	for (size_t i = 0; i < maps->len; i = next) {
		struct run run;

		next = i + 1;
		if (!is_file(&maps->entries[i]))
			continue;
		run = find_run(maps, i);
		next = run.end;
		if (run.exec && !add_run(report, maps, &run, &image, err))
			return false;
	}
	return true;
}
