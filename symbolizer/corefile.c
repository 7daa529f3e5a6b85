/* Writing ELF cores. Runs in the child that can be lost. Layouts: elf(5), the
 * kernel's fs/binfmt_elf.c, struct elf_prstatus, and glibc's <link.h>. */
#include "corefile.h"

#include <elf.h>
#include <stdlib.h>
#include <string.h>

#include "../lib/proc/maps.h"
#include "../lib/proc/user.h"
#include "array.h"

enum {
	PAGE = 4096,
	NOTE_NAME = 8, /* "CORE" with its NUL, padded */
	PRSTATUS = 336,
	PRSTATUS_SIGNAL = 12,
	PRSTATUS_PID = 32,
	PRSTATUS_REGISTERS = 112,
	PRPSINFO = 136,
	PRPSINFO_UID = 16,
	PRPSINFO_PID = 24,
	PRPSINFO_NAME = 40,
	PRPSINFO_NAME_LEN = 16,
	PRPSINFO_ARGS = 56,
	PRPSINFO_ARGS_LEN = 80,
	SIGINFO = 128,
	FPREGS = 512,
	LINK_MAP = 40,  /* struct link_map, as much as is public */
	R_DEBUG = 40,   /* struct r_debug */
	MAX_DYNAMIC = 1 << 16, /* bytes of a table */
	LIST_TRIES = 1024,
};

/* Where the made-up list may lie: far from where a kernel maps anything. */
#define LIST_FIRST UINT64_C(0x100000000000)
#define LIST_STEP UINT64_C(0x40000000)

/* What becomes a PT_LOAD. */
struct piece {
	uint64_t address, len;
	const uint8_t *bytes; /* NULL: it was mapped, and is not kept */
	uint32_t flags;
};

/* What the dynamic linker would say of a module, and how its file begins: from
 * that page others know which build it is. */
struct linked {
	uint64_t bias;
	uint64_t dynamic; /* address of its table; 0: not known */
	uint8_t *head;    /* malloc'd */
	size_t head_len;
};

struct making {
	const struct report *report;
	struct linked *linked; /* per module */
	size_t program;        /* module that is the program, or nmodules */
	size_t *listed;        /* modules in the list, the program first */
	size_t nlisted;
	struct writer list;    /* r_debug and link_maps */
	uint64_t list_at;
	struct writer dynamic; /* the program's table */
	struct writer notes;
	struct piece *pieces;
	size_t npieces, pieces_cap;
	char *maps_text;
	struct maps maps;
};

/* Modules */

static bool find_dynamic(const struct elf_file *file, GElf_Phdr *out)
{
	size_t n = 0;

	if (elf_getphdrnum(file->elf, &n) != 0)
		return false;
	for (size_t i = 0; i < n && i < INT16_MAX; i++)
		if (gelf_getphdr(file->elf, (int)i, out) &&
		    out->p_type == PT_DYNAMIC)
			return true;
	return false;
}

static void copy_head(struct linked *to, const struct elf_file *file)
{
	size_t len;
	const char *image = elf_rawfile(file->elf, &len);

	if (!image)
		return;
	to->head_len = len < PAGE ? len : PAGE;
	to->head = malloc(to->head_len);
	if (to->head)
		memcpy(to->head, image, to->head_len);
	else
		to->head_len = 0;
}

/* The program's table with DT_DEBUG, which says where the list is, filled as
 * the dynamic linker would. */
static void copy_dynamic(struct making *making, const struct elf_file *file,
			 const GElf_Phdr *phdr)
{
	size_t len;
	const char *image = elf_rawfile(file->elf, &len);
	struct reader all, table;

	reader_init(&all, image, image ? len : 0);
	if (phdr->p_filesz > MAX_DYNAMIC)
		return;
	table = reader_at(&all, phdr->p_offset, phdr->p_filesz);
	while (reader_left(&table) >= 16) {
		uint64_t tag = reader_u64(&table);
		uint64_t value = reader_u64(&table);

		writer_u64(&making->dynamic, tag);
		writer_u64(&making->dynamic,
			   tag == DT_DEBUG ? making->list_at : value);
	}
}

static void find_module(struct making *making, struct finder *finder,
			size_t index)
{
	const struct module *module = &making->report->modules[index];
	struct linked *to = &making->linked[index];
	struct module_files files;
	GElf_Phdr phdr;

	to->bias = module->base;
	finder_find(finder, module, &files);
	if (files.code.elf) {
		to->bias = module->base - elf_file_base(&files.code);
		copy_head(to, &files.code);
		if (find_dynamic(&files.code, &phdr)) {
			to->dynamic = to->bias + phdr.p_vaddr;
			if (index == making->program)
				copy_dynamic(making, &files.code, &phdr);
		}
	}
	module_files_close(&files);
}

static size_t find_program(const struct report *report)
{
	for (size_t i = 0; report->exe && i < report->nmodules; i++)
		if (report->modules[i].path &&
		    strcmp(report->modules[i].path, report->exe) == 0)
			return i;
	return report->nmodules;
}

/* The list */

static bool overlaps(uint64_t start, uint64_t len, uint64_t at, uint64_t size)
{
	return at < start + len && start < at + size;
}

/* True where nothing that the report knows of is in the LEN bytes at AT. */
static bool is_free(const struct report *report, uint64_t at, uint64_t len)
{
	for (size_t i = 0; i < report->nthreads; i++)
		if (overlaps(at, len, report->threads[i].stack.address,
			     report->threads[i].stack.len))
			return false;
	for (size_t i = 0; i < report->nmemory; i++)
		if (overlaps(at, len, report->memory[i].address,
			     report->memory[i].len))
			return false;
	for (size_t i = 0; i < report->nmodules; i++)
		if (overlaps(at, len, report->modules[i].base,
			     report->modules[i].size))
			return false;
	return true;
}

static const char *link_name(const struct making *making, size_t module)
{
	/* The program has no name there. */
	return module == making->program ? ""
					 : making->report->modules[module].path;
}

/* Those whose files were found, and no vdso: a debugger would take another
 * file for the right one. */
static void choose_listed(struct making *making)
{
	const struct report *report = making->report;

	making->listed[making->nlisted++] = making->program;
	for (size_t i = 0; i < report->nmodules; i++)
		if (i != making->program && making->linked[i].dynamic != 0 &&
		    report->modules[i].path &&
		    report->modules[i].path[0] == '/')
			making->listed[making->nlisted++] = i;
}

/* Entry I of the list, whose name is at NAME. */
static void put_link_map(struct making *making, size_t i, uint64_t name)
{
	const struct linked *linked = &making->linked[making->listed[i]];
	uint64_t at = making->list_at + R_DEBUG + i * LINK_MAP;
	bool is_last = i + 1 == making->nlisted;

	writer_u64(&making->list, linked->bias);
	writer_u64(&making->list, name);
	writer_u64(&making->list, linked->dynamic);
	writer_u64(&making->list, is_last ? 0 : at + LINK_MAP);
	writer_u64(&making->list, i > 0 ? at - LINK_MAP : 0);
}

static void make_list(struct making *making)
{
	uint64_t name;

	choose_listed(making);
	name = making->list_at + R_DEBUG + making->nlisted * LINK_MAP;
	writer_u32(&making->list, 1); /* r_version */
	writer_u32(&making->list, 0);
	writer_u64(&making->list, making->list_at + R_DEBUG);
	writer_zero(&making->list, R_DEBUG - 16);
	for (size_t i = 0; i < making->nlisted; i++) {
		put_link_map(making, i, name);
		name += strlen(link_name(making, making->listed[i])) + 1;
	}
	for (size_t i = 0; i < making->nlisted; i++) {
		const char *text = link_name(making, making->listed[i]);

		writer_bytes(&making->list, text, strlen(text) + 1);
	}
}

/* Pieces */

static void add_piece(struct making *making, uint64_t address,
		      const uint8_t *bytes, uint64_t len, uint32_t flags)
{
	struct piece *more;

	if (len == 0 || making->npieces == PN_XNUM - 2)
		return;
	more = array_grow(making->pieces, making->npieces, &making->pieces_cap,
			  sizeof(*more));
	if (!more)
		return;
	making->pieces = more;
	more[making->npieces++] = (struct piece){ address, len, bytes, flags };
}

static uint32_t map_flags(const struct map *map)
{
	return (map->read ? PF_R : 0) | (map->write ? PF_W : 0) |
	       (map->exec ? PF_X : 0);
}

static void add_memory(struct making *making, const struct memory_range *range)
{
	const struct map *map = maps_find(&making->maps, range->address);

	add_piece(making, range->address, range->bytes, range->len,
		  map ? map_flags(map) : PF_R | PF_W);
}

static int by_address(const void *left, const void *right)
{
	const struct piece *a = left, *b = right;

	return a->address < b->address ? -1 : a->address > b->address;
}

static bool sort_pieces(struct making *making)
{
	return array_sort(making->pieces, making->npieces,
			  sizeof(*making->pieces), by_address);
}

/* What of MAP is not among the first N pieces, which are sorted; those before
 * *AT lie before it. */
static void add_rest(struct making *making, const struct map *map, size_t n,
		     size_t *at)
{
	uint32_t flags = map_flags(map);
	uint64_t from = map->start;

	for (; *at < n && making->pieces[*at].address < map->end; ++*at) {
		struct piece piece = making->pieces[*at];

		if (piece.address > from)
			add_piece(making, from, NULL, piece.address - from,
				  flags);
		if (piece.address + piece.len > from)
			from = piece.address + piece.len;
	}
	if (from < map->end)
		add_piece(making, from, NULL, map->end - from, flags);
}

/* All that is kept, and then, as the kernel has it, what else was mapped. */
static bool add_pieces(struct making *making)
{
	const struct report *report = making->report;
	size_t n, at = 0;

	for (size_t i = 0; i < report->nthreads; i++)
		add_memory(making, &report->threads[i].stack);
	for (size_t i = 0; i < report->nmemory; i++)
		add_memory(making, &report->memory[i]);
	for (size_t i = 0; i < report->nmodules; i++)
		add_piece(making, report->modules[i].base,
			  making->linked[i].head, making->linked[i].head_len,
			  PF_R);
	if (making->dynamic.len > 0) {
		add_piece(making, making->linked[making->program].dynamic,
			  making->dynamic.bytes, making->dynamic.len,
			  PF_R | PF_W);
		add_piece(making, making->list_at, making->list.bytes,
			  making->list.len, PF_R | PF_W);
	}
	if (!sort_pieces(making))
		return false;
	n = making->npieces;
	for (size_t i = 0; i < making->maps.len; i++)
		/* gdb would read the vdso as a file, and give up. */
		if (strcmp(making->maps.entries[i].path, "[vdso]") != 0)
			add_rest(making, &making->maps.entries[i], n, &at);
	return sort_pieces(making);
}

static bool read_maps(struct making *making)
{
	const struct report *report = making->report;

	making->maps_text = calloc(report->maps_len + 1, 1);
	if (!making->maps_text)
		return false;
	if (report->maps_len > 0)
		memcpy(making->maps_text, report->maps, report->maps_len);
	maps_parse(making->maps_text, report->maps_len, &making->maps, NULL);
	return true;
}

/* Notes */

static void put_note(struct making *making, uint32_t type, const void *bytes,
		     size_t len)
{
	writer_u32(&making->notes, sizeof("CORE"));
	writer_u32(&making->notes, (uint32_t)len);
	writer_u32(&making->notes, type);
	writer_bytes(&making->notes, "CORE\0\0\0", NOTE_NAME);
	writer_bytes(&making->notes, bytes, len);
	writer_align(&making->notes, 4);
}

static void put_u32(uint8_t *to, uint32_t value)
{
	memcpy(to, &value, sizeof(value));
}

static void put_prstatus(struct making *making, const struct thread *thread)
{
	uint8_t bytes[PRSTATUS] = { 0 };
	uint64_t regs[USER_WORDS] = { 0 };
	uint16_t signal = (uint16_t)making->report->signal;

	if (thread->crashed) {
		put_u32(bytes, signal);
		memcpy(bytes + PRSTATUS_SIGNAL, &signal, sizeof(signal));
	}
	put_u32(bytes + PRSTATUS_PID, thread->tid);
	registers_user(&thread->registers, regs);
	memcpy(bytes + PRSTATUS_REGISTERS, regs, sizeof(regs));
	put_note(making, NT_PRSTATUS, bytes, sizeof(bytes));
}

static void put_prpsinfo(struct making *making)
{
	const struct report *report = making->report;
	const char *slash = report->exe ? strrchr(report->exe, '/') : NULL;
	const char *name = slash ? slash + 1 : report->exe;
	uint8_t bytes[PRPSINFO] = { 0 };
	size_t at = 0;

	put_u32(bytes + PRPSINFO_UID, report->uid);
	put_u32(bytes + PRPSINFO_PID, report->pid);
	if (name)
		memcpy(bytes + PRPSINFO_NAME, name,
		       strnlen(name, PRPSINFO_NAME_LEN - 1));
	for (size_t i = 0; i < report->nargs; i++) {
		size_t len = strlen(report->args[i]);
		size_t left = PRPSINFO_ARGS_LEN - 1 - at;

		len = len < left ? len : left;
		memcpy(bytes + PRPSINFO_ARGS + at, report->args[i], len);
		at += len;
		if (i + 1 < report->nargs && at < PRPSINFO_ARGS_LEN - 1)
			bytes[PRPSINFO_ARGS + at++] = ' ';
	}
	put_note(making, NT_PRPSINFO, bytes, sizeof(bytes));
}

static void put_siginfo(struct making *making)
{
	const struct report *report = making->report;
	uint8_t bytes[SIGINFO] = { 0 };

	put_u32(bytes, (uint32_t)report->signal);
	put_u32(bytes + 8, (uint32_t)report->code);
	if (report->has_address) {
		memcpy(bytes + 16, &report->address, sizeof(uint64_t));
	} else if (report->has_sender) {
		put_u32(bytes + 16, report->sender_pid);
		put_u32(bytes + 20, report->sender_uid);
	}
	put_note(making, NT_SIGINFO, bytes, sizeof(bytes));
}

static bool is_file(const struct map *map)
{
	return map->path[0] == '/' && map->inode != 0;
}

/* Which file is mapped where: debuggers read code from there. */
static void put_files(struct making *making)
{
	const struct maps *maps = &making->maps;
	struct writer out;
	uint64_t n = 0;

	writer_init(&out, MAX_REPORT_BYTES);
	for (size_t i = 0; i < maps->len; i++)
		n += is_file(&maps->entries[i]);
	writer_u64(&out, n);
	writer_u64(&out, PAGE);
	for (size_t i = 0; i < maps->len; i++) {
		const struct map *map = &maps->entries[i];

		if (!is_file(map))
			continue;
		writer_u64(&out, map->start);
		writer_u64(&out, map->end);
		writer_u64(&out, map->offset / PAGE);
	}
	for (size_t i = 0; i < maps->len; i++)
		if (is_file(&maps->entries[i]))
			writer_bytes(&out, maps->entries[i].path,
				     strlen(maps->entries[i].path) + 1);
	if (!out.bad)
		put_note(making, NT_FILE, out.bytes, out.len);
	writer_fini(&out);
}

/* The process's own notes stand behind the first thread's registers, as the
 * kernel has them. */
static void make_notes(struct making *making)
{
	const struct report *report = making->report;

	for (size_t i = 0; i < report->nthreads; i++) {
		put_prstatus(making, &report->threads[i]);
		if (i == 0) {
			put_prpsinfo(making);
			put_siginfo(making);
			if (report->auxv_len > 0)
				put_note(making, NT_AUXV, report->auxv,
					 report->auxv_len);
			put_files(making);
		}
		if (report->threads[i].fpstate)
			put_note(making, NT_FPREGSET,
				 report->threads[i].fpstate, FPREGS);
	}
}

/* The file */

static void put_ehdr(struct writer *out, size_t nphdrs)
{
	Elf64_Ehdr ehdr = {
		.e_ident = { ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64,
			     ELFDATA2LSB, EV_CURRENT },
		.e_type = ET_CORE,
		.e_machine = MACHINE_ELF,
		.e_version = EV_CURRENT,
		.e_phoff = sizeof(ehdr),
		.e_ehsize = sizeof(ehdr),
		.e_phentsize = sizeof(Elf64_Phdr),
		.e_phnum = (uint16_t)nphdrs,
	};

	writer_bytes(out, &ehdr, sizeof(ehdr));
}

/* Where in the file PIECE lies, which cannot be before AT: as far from a page's
 * start as in memory. */
static uint64_t place(const struct piece *piece, uint64_t at)
{
	if (!piece->bytes)
		return at;
	return at + ((piece->address - at) & (PAGE - 1));
}

static void write_file(const struct making *making, struct writer *out)
{
	size_t nphdrs = making->npieces + 1;
	uint64_t at = sizeof(Elf64_Ehdr) + nphdrs * sizeof(Elf64_Phdr);
	Elf64_Phdr phdr = {
		.p_type = PT_NOTE, .p_offset = at,
		.p_filesz = making->notes.len, .p_align = 4,
	};

	put_ehdr(out, nphdrs);
	writer_bytes(out, &phdr, sizeof(phdr));
	at += making->notes.len;
	for (size_t i = 0; i < making->npieces; i++) {
		const struct piece *piece = &making->pieces[i];

		at = place(piece, at);
		phdr = (Elf64_Phdr){
			.p_type = PT_LOAD, .p_flags = piece->flags,
			.p_offset = at, .p_vaddr = piece->address,
			.p_filesz = piece->bytes ? piece->len : 0,
			.p_memsz = piece->len, .p_align = PAGE,
		};
		writer_bytes(out, &phdr, sizeof(phdr));
		at += phdr.p_filesz;
	}
	writer_bytes(out, making->notes.bytes, making->notes.len);
	for (size_t i = 0; i < making->npieces; i++) {
		const struct piece *piece = &making->pieces[i];

		writer_zero(out, place(piece, out->len) - out->len);
		if (piece->bytes)
			writer_bytes(out, piece->bytes, (size_t)piece->len);
	}
}

static bool link_modules(struct making *making, struct finder *finder)
{
	const struct report *report = making->report;
	uint64_t most = R_DEBUG + report->nmodules * (LINK_MAP + PAGE);

	making->linked = calloc(report->nmodules + 1, sizeof(*making->linked));
	making->listed = calloc(report->nmodules + 1, sizeof(*making->listed));
	if (!making->linked || !making->listed)
		return false;
	making->program = find_program(report);
	making->list_at = LIST_FIRST;
	for (int i = 0; i < LIST_TRIES &&
			!is_free(report, making->list_at, most); i++)
		making->list_at += LIST_STEP;
	for (size_t i = 0; i < report->nmodules; i++)
		find_module(making, finder, i);
	if (making->program < report->nmodules)
		make_list(making);
	return true;
}

bool corefile_make(const struct report *report, struct finder *finder,
		   struct writer *out)
{
	struct making making = { .report = report };
	bool done;

	writer_init(&making.list, MAX_REPORT_BYTES);
	writer_init(&making.dynamic, MAX_DYNAMIC);
	writer_init(&making.notes, MAX_REPORT_BYTES);
	done = read_maps(&making) && link_modules(&making, finder) &&
	       add_pieces(&making);
	if (done) {
		make_notes(&making);
		write_file(&making, out);
	}
	done = done && !out->bad && !making.notes.bad && !making.list.bad;
	writer_fini(&making.list);
	writer_fini(&making.dynamic);
	writer_fini(&making.notes);
	for (size_t i = 0; making.linked && i < report->nmodules; i++)
		free(making.linked[i].head);
	free(making.linked);
	free(making.listed);
	free(making.pieces);
	maps_free(&making.maps);
	free(making.maps_text);
	return done;
}
