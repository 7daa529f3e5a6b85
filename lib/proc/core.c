/* Reading ELF cores. Runs in the command line. Nobody vouches for a core: it
 * is read through the bounded reader, and its counts are held to limits. (Not
 * by libelf: it would look at sections, which a core has not got.) Layouts:
 * elf(5), the kernel's fs/binfmt_elf.c and struct elf_prstatus. */
#include "core.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../report/bytes.h"
#include "maps.h"
#include "user.h"

enum {
	MAX_SEGMENTS = 1 << 17, /* vm.max_map_count is 65,530 */
	MAX_NAMED = 1 << 17,    /* entries of NT_FILE */
	/* Offsets in struct elf_prstatus and struct elf_prpsinfo. */
	PRSTATUS_PID = 32,
	PRSTATUS_REGISTERS = 112,
	PRPSINFO_UID = 16,
	PRPSINFO_PID = 24,
	PRPSINFO_ARGS = 56,
	PRPSINFO_ARGS_LEN = 80,
	SIGINFO_CODE = 8,
	SIGINFO_ADDRESS = 16,
	FPREGS = 512,
	MAPS_LINE = 96, /* more than a line of maps text without its path */
};

/* A PT_LOAD. */
struct segment {
	uint64_t address, memory_len, offset, file_len;
	uint32_t flags;
};

/* An entry of NT_FILE: which file a mapping is of. */
struct named {
	uint64_t start, end, offset;
	const char *path;
};

struct loader {
	struct reader file;
	struct report *report;
	struct segment *segments;
	size_t nsegments;
	struct named *named;
	size_t nnamed;
	uint64_t vdso; /* its address, or 0 */
	size_t nthreads_cap;
	bool takes_thread; /* that the last notes were about */
	struct error *err;
};

static void take_registers(struct reader *r, struct registers *to)
{
	uint64_t regs[USER_WORDS];

	for (size_t i = 0; i < USER_WORDS; i++)
		regs[i] = reader_u64(r);
	user_registers(regs, to);
}

static bool grow_threads(struct loader *loader)
{
	struct report *report = loader->report;
	size_t cap = loader->nthreads_cap ? loader->nthreads_cap * 2 : 16;
	struct thread *threads;

	if (report->nthreads < loader->nthreads_cap)
		return true;
	threads = report_alloc(report, cap * sizeof(*threads));
	if (!threads)
		return fail(loader->err, ERR_NO_MEMORY, "no memory");
	if (report->nthreads > 0)
		memcpy(threads, report->threads,
		       report->nthreads * sizeof(*threads));
	report->threads = threads;
	loader->nthreads_cap = cap;
	return true;
}

static bool take_prstatus(struct loader *loader, struct reader *r)
{
	struct report *report = loader->report;
	struct thread *thread;

	loader->takes_thread = report->nthreads < MAX_THREADS;
	if (!loader->takes_thread)
		return true;
	if (!grow_threads(loader))
		return false;
	thread = &report->threads[report->nthreads];
	reader_skip(r, PRSTATUS_PID);
	thread->tid = reader_u32(r);
	reader_skip(r, PRSTATUS_REGISTERS - PRSTATUS_PID - 4);
	take_registers(r, &thread->registers);
	if (r->bad)
		return fail(loader->err, ERR_BAD_DATA,
			    "thread %zu has no registers", report->nthreads);
	thread->has_registers = true;
	report->nthreads++;
	return true;
}

/* The command line is cut at 80 bytes and its arguments are glued together;
 * it is all there is. */
static bool take_prpsinfo(struct loader *loader, struct reader *r)
{
	struct report *report = loader->report;
	const uint8_t *text;
	struct reader uid = reader_at(r, PRPSINFO_UID, 4);
	struct reader pid = reader_at(r, PRPSINFO_PID, 4);

	reader_skip(r, PRPSINFO_ARGS);
	text = reader_take(r, PRPSINFO_ARGS_LEN);
	if (!text)
		return true;
	report->pid = reader_u32(&pid);
	report->uid = reader_u32(&uid);
	report->has_uid = true;
	report->args = report_alloc(report, sizeof(*report->args));
	if (!report->args)
		return fail(loader->err, ERR_NO_MEMORY, "no memory");
	report->args[0] = report_string(report, (const char *)text,
					strnlen((const char *)text,
						PRPSINFO_ARGS_LEN));
	report->nargs = report->args[0] && *report->args[0] ? 1 : 0;
	return true;
}

static void take_siginfo(struct loader *loader, struct reader *r)
{
	struct report *report = loader->report;
	struct reader code = reader_at(r, SIGINFO_CODE, 4);
	struct reader address = reader_at(r, SIGINFO_ADDRESS, 8);
	uint32_t signal = reader_u32(r);

	if (r->bad)
		return;
	report->signal = (int)(signal & 0x7f);
	report->code = (int)reader_u32(&code);
	report->address = reader_u64(&address);
	report->has_address = report->code > 0;
}

static bool take_auxv(struct loader *loader, struct reader *r)
{
	struct report *report = loader->report;

	report->auxv = report_copy(report, r->bytes, r->len);
	report->auxv_len = report->auxv ? r->len : 0;
	while (reader_left(r) >= 16) {
		uint64_t type = reader_u64(r), value = reader_u64(r);

		if (type == AT_SYSINFO_EHDR)
			loader->vdso = value;
	}
	return true;
}

/* The next string of R, NUL included; NULL where there is none. */
static const char *take_string(struct reader *r)
{
	size_t left = reader_left(r);
	const char *text = (const char *)reader_take(r, 0);
	const char *nul = text && left ? memchr(text, '\0', left) : NULL;

	if (!nul)
		return NULL;
	reader_skip(r, (size_t)(nul - text) + 1);
	return text;
}

static bool take_files(struct loader *loader, struct reader *r)
{
	uint64_t n = reader_u64(r), page = reader_u64(r);
	struct reader names;

	if (r->bad || loader->named || n > MAX_NAMED ||
	    n > reader_left(r) / 24)
		return true;
	loader->named = calloc(n + 1, sizeof(*loader->named));
	if (!loader->named)
		return fail(loader->err, ERR_NO_MEMORY, "no memory");
	names = reader_at(r, r->pos + n * 24, reader_left(r) - n * 24);
	for (size_t i = 0; i < n; i++) {
		struct named *named = &loader->named[i];

		named->start = reader_u64(r);
		named->end = reader_u64(r);
		named->offset = reader_u64(r) * page;
		named->path = take_string(&names);
		if (!named->path)
			return true;
		loader->nnamed++;
	}
	return true;
}

/* A thread's notes come behind its NT_PRSTATUS. */
static void take_shadow(struct loader *loader, struct reader *r)
{
	struct report *report = loader->report;
	uint64_t shadow = reader_u64(r);

	if (!r->bad && loader->takes_thread)
		user_shadow(shadow, &report->threads[report->nthreads - 1]
					     .registers);
}

/* On x86-64 it is FXSAVE's area, as thread.fpstate. */
static void take_fpregs(struct loader *loader, struct reader *r)
{
	struct report *report = loader->report;
	const uint8_t *bytes = reader_left(r) == FPREGS ? reader_take(r, FPREGS)
							: NULL;

	if (bytes && loader->takes_thread)
		report->threads[report->nthreads - 1].fpstate = bytes;
}

static bool take_note(struct loader *loader, uint32_t type, struct reader *r)
{
	switch (type) {
	case NT_PRSTATUS:
		return take_prstatus(loader, r);
	case NT_FPREGSET:
		take_fpregs(loader, r);
		return true;
	case NT_PRPSINFO:
		return take_prpsinfo(loader, r);
	case NT_SIGINFO:
		take_siginfo(loader, r);
		return true;
	case NT_AUXV:
		return take_auxv(loader, r);
	case NT_FILE:
		return take_files(loader, r);
	default:
		return true;
	}
}

static bool is_name(const uint8_t *name, size_t len, const char *wanted)
{
	return len == strlen(wanted) + 1 && memcmp(name, wanted, len) == 0;
}

static size_t padding(const struct reader *r)
{
	return (4 - r->pos % 4) % 4;
}

static bool take_notes(struct loader *loader, uint64_t offset, uint64_t len)
{
	struct reader r = reader_at(&loader->file, offset, len);

	if (r.bad)
		return fail(loader->err, ERR_BAD_DATA,
			    "its notes are not all there");
	while (reader_left(&r) > 0) {
		uint32_t name_len = reader_u32(&r), note_len = reader_u32(&r);
		uint32_t type = reader_u32(&r);
		const uint8_t *name = reader_take(&r, name_len);
		struct reader note;

		reader_skip(&r, padding(&r));
		note = reader_at(&r, r.pos, note_len);
		reader_skip(&r, note_len);
		if (r.bad)
			break;
		reader_skip(&r, padding(&r));
		if (is_name(name, name_len, "CORE") &&
		    !take_note(loader, type, &note))
			return false;
		if (is_name(name, name_len, "LINUX") && type == USER_SHADOW)
			take_shadow(loader, &note);
	}
	return true;
}

static int compare_segments(const void *a, const void *b)
{
	const struct segment *x = a, *y = b;

	return x->address < y->address ? -1 : x->address > y->address;
}

static int compare_named(const void *a, const void *b)
{
	const struct named *x = a, *y = b;

	return x->start < y->start ? -1 : x->start > y->start;
}

/* One program header: a segment is kept, notes are read. A dump that was cut
 * short (a full disk, a core limit) still has what comes before. */
static bool take_header(struct loader *loader, struct reader *r)
{
	uint32_t type = reader_u32(r), flags = reader_u32(r);
	uint64_t offset = reader_u64(r), address = reader_u64(r);
	uint64_t file_len, memory_len;

	reader_u64(r); /* physical address */
	file_len = reader_u64(r);
	memory_len = reader_u64(r);
	reader_u64(r); /* alignment */
	if (r->bad)
		return fail(loader->err, ERR_BAD_DATA,
			    "its program headers are cut short");
	if (type == PT_NOTE)
		return take_notes(loader, offset, file_len);
	if (type != PT_LOAD || memory_len == 0 ||
	    address > UINT64_MAX - memory_len)
		return true;
	if (offset >= loader->file.len)
		file_len = 0;
	else if (file_len > loader->file.len - offset)
		file_len = loader->file.len - offset;
	if (file_len > memory_len)
		file_len = memory_len;
	loader->segments[loader->nsegments++] = (struct segment){
		address, memory_len, offset, file_len, flags
	};
	return true;
}

/* More than 65,534 headers are counted in the first section header. */
static uint64_t header_count(struct loader *loader, uint16_t n,
			     uint64_t sections)
{
	struct reader r;

	if (n != PN_XNUM)
		return n;
	r = reader_at(&loader->file, sections, sizeof(Elf64_Shdr));
	reader_skip(&r, offsetof(Elf64_Shdr, sh_info));
	return reader_u32(&r);
}

static bool take_headers(struct loader *loader)
{
	struct reader r = reader_at(&loader->file, 0, sizeof(Elf64_Ehdr));
	uint64_t at, sections, n;
	uint16_t size;

	reader_skip(&r, offsetof(Elf64_Ehdr, e_phoff));
	at = reader_u64(&r);
	sections = reader_u64(&r);
	reader_skip(&r, offsetof(Elf64_Ehdr, e_phentsize) -
			offsetof(Elf64_Ehdr, e_flags));
	size = reader_u16(&r);
	n = header_count(loader, reader_u16(&r), sections);
	if (size != sizeof(Elf64_Phdr) || n > MAX_SEGMENTS)
		return fail(loader->err, ERR_BAD_DATA,
			    "%llu program headers of %u bytes",
			    (unsigned long long)n, size);
	loader->segments = calloc(n + 1, sizeof(*loader->segments));
	if (!loader->segments)
		return fail(loader->err, ERR_NO_MEMORY, "no memory");
	r = reader_at(&loader->file, at, n * sizeof(Elf64_Phdr));
	for (uint64_t i = 0; i < n; i++)
		if (!take_header(loader, &r))
			return false;
	return true;
}

/* The file mapped at ADDRESS, or NULL. */
static const struct named *find_named(const struct loader *loader,
				      uint64_t address)
{
	size_t low = 0, high = loader->nnamed;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (loader->named[middle].start <= address)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == 0 || address >= loader->named[low - 1].end)
		return NULL;
	return &loader->named[low - 1];
}

/* One line as /proc/PID/maps has it; the inode is not known, 1 says that it is
 * a file. */
static void write_line(const struct loader *loader, FILE *to,
		       const struct segment *s)
{
	const struct named *named = find_named(loader, s->address);
	const char *path = named ? named->path : "";
	uint64_t offset = 0;

	if (s->address == loader->vdso && loader->vdso)
		path = "[vdso]";
	if (named)
		offset = named->offset + (s->address - named->start);
	fprintf(to, "%llx-%llx %c%c%cp %08llx 00:00 %d ",
		(unsigned long long)s->address,
		(unsigned long long)s->address + s->memory_len,
		s->flags & PF_R ? 'r' : '-', s->flags & PF_W ? 'w' : '-',
		s->flags & PF_X ? 'x' : '-', (unsigned long long)offset,
		named != NULL);
	for (; *path; path++)
		fputs(*path == '\n' ? "\\012" :
		      (const char[]){ *path, '\0' }, to);
	putc('\n', to);
}

/* The text that /proc/PID/maps would have been: malloc'd. */
static char *write_maps(const struct loader *loader, size_t *len_out)
{
	char *text = NULL;
	FILE *to = open_memstream(&text, len_out);

	if (!to)
		return NULL;
	for (size_t i = 0; i < loader->nsegments; i++)
		write_line(loader, to, &loader->segments[i]);
	if (fclose(to) != 0) {
		free(text);
		return NULL;
	}
	return text;
}

/* A maps_read over what was dumped. */
static size_t read_segments(void *context, uint64_t address, void *to,
			    size_t len)
{
	struct loader *loader = context;
	size_t low = 0, high = loader->nsegments;
	const struct segment *s;
	uint64_t skip;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (loader->segments[middle].address <= address)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == 0)
		return 0;
	s = &loader->segments[low - 1];
	skip = address - s->address;
	if (skip >= s->file_len)
		return 0;
	if (len > s->file_len - skip)
		len = (size_t)(s->file_len - skip);
	memcpy(to, loader->file.bytes + s->offset + skip, len);
	return len;
}

/* report.memory has fewer places than a core may have segments. Stacks are
 * written to, so those that are not come last, and may stay out. */
static bool add_memory(struct loader *loader)
{
	struct report *report = loader->report;

	report->memory = report_alloc(report, MAX_MEMORY_RANGES *
						      sizeof(*report->memory));
	if (!report->memory)
		return fail(loader->err, ERR_NO_MEMORY, "no memory");
	for (int pass = 0; pass < 2; pass++) {
		for (size_t i = 0; i < loader->nsegments; i++) {
			const struct segment *s = &loader->segments[i];
			bool written = s->flags & PF_W;

			if (s->file_len == 0 || written != (pass == 0) ||
			    report->nmemory == MAX_MEMORY_RANGES)
				continue;
			report->memory[report->nmemory++] =
				(struct memory_range){
					s->address, s->file_len,
					loader->file.bytes + s->offset
				};
		}
	}
	return true;
}

static bool add_modules(struct loader *loader)
{
	struct report *report = loader->report;
	size_t len = 0;
	char *text = write_maps(loader, &len);
	struct maps maps;
	bool ok;

	if (!text)
		return fail(loader->err, ERR_NO_MEMORY, "no memory");
	report->maps = report_string(report, text, len);
	report->maps_len = report->maps ? len : 0;
	ok = maps_parse(text, len, &maps, loader->err);
	if (ok) {
		ok = maps_modules(&maps, read_segments, loader, report,
				  loader->err);
		maps_free(&maps);
	}
	free(text);
	return ok;
}

static bool load(struct loader *loader)
{
	struct report *report = loader->report;

	if (!take_headers(loader))
		return false;
	if (report->nthreads == 0)
		return fail(loader->err, ERR_BAD_DATA, "it has no threads");
	if (loader->nsegments > 0)
		qsort(loader->segments, loader->nsegments,
		      sizeof(*loader->segments), compare_segments);
	if (loader->nnamed > 0)
		qsort(loader->named, loader->nnamed, sizeof(*loader->named),
		      compare_named);
	report->threads[0].crashed = report->signal != 0;
	report->arch = report_string(report, MACHINE_NAME,
				     strlen(MACHINE_NAME));
	if (report->nmodules == 0 && report->pid == 0)
		report->pid = report->threads[0].tid;
	return add_memory(loader) && add_modules(loader);
}

static bool is_core_header(const unsigned char *head)
{
	Elf64_Half type, machine;

	memcpy(&type, head + offsetof(Elf64_Ehdr, e_type), sizeof(type));
	memcpy(&machine, head + offsetof(Elf64_Ehdr, e_machine),
	       sizeof(machine));
	return memcmp(head, ELFMAG, SELFMAG) == 0 &&
	       head[EI_CLASS] == ELFCLASS64 &&
	       head[EI_DATA] == ELFDATA2LSB && type == ET_CORE &&
	       machine == MACHINE_ELF;
}

bool core_is(const char *path)
{
	unsigned char head[sizeof(Elf64_Ehdr)];
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	ssize_t n = fd >= 0 ? pread(fd, head, sizeof(head), 0) : -1;

	if (fd >= 0)
		close(fd);
	return n == sizeof(head) && is_core_header(head);
}

static bool map_file(const char *path, struct core *core, struct error *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st;

	if (fd < 0)
		return fail(err, ERR_NOT_FOUND, "%s", strerror(errno));
	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
		close(fd);
		return fail(err, ERR_BAD_DATA, "not a file");
	}
	core->len = (size_t)st.st_size;
	core->bytes = core->len < sizeof(Elf64_Ehdr) ? MAP_FAILED :
		mmap(NULL, core->len, PROT_READ, MAP_PRIVATE, fd, 0);
	close(fd);
	if (core->bytes == MAP_FAILED)
		return fail(err, ERR_BAD_DATA, "not an ELF core");
	return true;
}

bool core_load(const char *path, struct core *core_out,
	       struct report *report_out, struct error *err)
{
	struct core core;
	struct report report;
	struct loader loader = { .report = &report, .err = err };
	bool ok;

	if (!map_file(path, &core, err))
		return false;
	if (!is_core_header(core.bytes)) {
		core_close(&core);
		return fail(err, ERR_BAD_DATA, "not an ELF core of "
			    MACHINE_NAME);
	}
	if (!report_init(&report, err)) {
		core_close(&core);
		return false;
	}
	reader_init(&loader.file, core.bytes, core.len);
	ok = load(&loader);
	free(loader.segments);
	free(loader.named);
	if (!ok) {
		report_free(&report);
		core_close(&core);
		return false;
	}
	*core_out = core;
	*report_out = report;
	return true;
}

void core_close(struct core *core)
{
	munmap(core->bytes, core->len);
	core->bytes = NULL;
	core->len = 0;
}
