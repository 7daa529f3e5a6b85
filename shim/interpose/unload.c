/* dlclose: what it may take away is noted before. A pointer into a library that
 * is gone leads to no file, and the list of what is loaded is all that could
 * have said whose code it was. glibc alone unloads; the noting is done with its
 * linker's lock held, which keeps other threads out. */
#include <dlfcn.h>
#include <elf.h>
#include <link.h>

#include "../preload.h"
#include "../signal/zone.h"
#include "interpose.h"

typedef int real_dlclose_fn(void *);

EXPORT int dlclose(void *handle);

REAL(real_dlclose, "dlclose");

/* In zero pages that only programs touch which close something. */
static struct noted_module noted[RECORD_MODULES];

static uint64_t looks;
static uint64_t loads; /* of all time, at the last look: dlpi_adds */

/* A walk through all modules. The linker's list grows at its end: first come
 * those that the program began with, which stay, last those that were loaded
 * since the last look. */
struct walk {
	uint64_t index; /* of the module that is met next, */
	uint64_t fresh; /* and of the first that may be new */
};

static uintptr_t page_of(uintptr_t address)
{
	return address & ~(uintptr_t)(ZONE_PAGE - 1);
}

static void note_place(const struct dl_phdr_info *info,
		       struct noted_module *out)
{
	uintptr_t end = 0;

	for (int i = 0; i < info->dlpi_phnum; i++) {
		const Elf64_Phdr *segment = &info->dlpi_phdr[i];

		if (segment->p_type != PT_LOAD)
			continue;
		if (!end)
			out->base = page_of(info->dlpi_addr +
					    segment->p_vaddr -
					    segment->p_offset);
		end = info->dlpi_addr + segment->p_vaddr + segment->p_memsz;
	}
	out->size = page_of(end + ZONE_PAGE - 1) - out->base;
}

/* Whether what SEGMENT says is in the file is mapped to be read. */
static bool is_mapped(const struct dl_phdr_info *info,
		      const Elf64_Phdr *segment)
{
	for (int i = 0; i < info->dlpi_phnum; i++) {
		const Elf64_Phdr *load = &info->dlpi_phdr[i];
		uint64_t into = segment->p_vaddr - load->p_vaddr;

		if (load->p_type == PT_LOAD && (load->p_flags & PF_R) &&
		    into < load->p_filesz &&
		    segment->p_filesz <= load->p_filesz - into)
			return true;
	}
	return false;
}

static uint64_t padded(uint64_t len, uint64_t align)
{
	return (len + align - 1) & ~(align - 1);
}

/* The build-id among the notes of SEGMENT, which are padded to its alignment,
 * 4 or 8. */
static void note_id(const struct dl_phdr_info *info, const Elf64_Phdr *segment,
		    struct noted_module *out)
{
	const uint8_t *at = (const void *)(info->dlpi_addr + segment->p_vaddr);
	uint64_t align = segment->p_align == 8 ? 8 : 4;
	uint64_t left = segment->p_filesz;

	while (left > sizeof(Elf64_Nhdr)) {
		const Elf64_Nhdr *note = (const void *)at;
		uint64_t id = sizeof(*note) + padded(note->n_namesz, align);
		uint64_t len = padded(id + note->n_descsz, align);

		if (id + note->n_descsz > left)
			return;
		if (note->n_type == NT_GNU_BUILD_ID && note->n_namesz == 4 &&
		    text_equal((const char *)(note + 1), "GNU") &&
		    note->n_descsz <= RECORD_BUILD_ID) {
			out->id_len = (uint8_t)note->n_descsz;
			zone_copy(out->id, at + id, note->n_descsz);
			return;
		}
		at += len;
		left = len < left ? left - len : 0;
	}
}

static void note_path(const char *path, struct noted_module *out)
{
	const char *name = path, *end = path;

	for (; *end; end++)
		name = *end == '/' ? end + 1 : name;
	if ((size_t)(end - path) >= sizeof(out->path))
		path = name;
	put_text(out->path, out->path + sizeof(out->path), path);
}

static void describe(const struct dl_phdr_info *info,
		     struct noted_module *out)
{
	out->headers = (uintptr_t)info->dlpi_phdr;
	note_place(info, out);
	for (int i = 0; i < info->dlpi_phnum && !out->id_len; i++) {
		const Elf64_Phdr *segment = &info->dlpi_phdr[i];

		if (segment->p_type == PT_NOTE && is_mapped(info, segment))
			note_id(info, segment, out);
	}
	note_path(info->dlpi_name, out);
}

static bool is_same(const struct noted_module *a, const struct noted_module *b)
{
	if (a->base != b->base || a->size != b->size || a->id_len != b->id_len)
		return false;
	for (int i = 0; i < a->id_len; i++) {
		if (a->id[i] != b->id[i])
			return false;
	}
	return text_equal(a->path, b->path);
}

/* The one that INFO is of, which was there at the last look: without a glance
 * at its memory, for 46 such glances cost 4 us. */
static struct noted_module *find_old(const struct dl_phdr_info *info)
{
	for (uint64_t i = 0; i < zone.record.nnoted; i++) {
		if (noted[i].headers == (uintptr_t)info->dlpi_phdr &&
		    noted[i].seen == looks - 1)
			return &noted[i];
	}
	return NULL;
}

static struct noted_module *find_same(const struct noted_module *module)
{
	for (uint64_t i = 0; i < zone.record.nnoted; i++) {
		if (is_same(&noted[i], module))
			return &noted[i];
	}
	return NULL;
}

/* Where one more may be noted: in a place that was never used, or that of the
 * module that has been gone for longest. NULL where all are still there. */
static struct noted_module *find_room(void)
{
	struct noted_module *oldest = &noted[0];

	if (zone.record.nnoted < RECORD_MODULES)
		return &noted[zone.record.nnoted++];
	for (int i = 1; i < RECORD_MODULES; i++) {
		if (noted[i].seen < oldest->seen)
			oldest = &noted[i];
	}
	return oldest->seen < looks ? oldest : NULL;
}

/* A crash in the midst of it finds no module there. */
static void note(const struct noted_module *module)
{
	struct noted_module *to = find_room();

	if (!to)
		return;
	__atomic_store_n(&to->seen, 0, __ATOMIC_SEQ_CST);
	zone_copy(&to->base, &module->base,
		  sizeof(*to) - offsetof(struct noted_module, base));
	__atomic_store_n(&to->seen, looks, __ATOMIC_RELEASE);
}

static int meet(struct dl_phdr_info *info, size_t size, void *data)
{
	struct walk *walk = data;
	struct noted_module module = { 0 }, *known = NULL;
	uint64_t index = walk->index++;

	(void)size;
	if (index < zone.nfirst)
		return 0;
	if (index < walk->fresh)
		known = find_old(info);
	if (!known) {
		describe(info, &module);
		known = find_same(&module);
	}
	if (known)
		known->seen = looks;
	else
		note(&module);
	return 0;
}

static int count(struct dl_phdr_info *info, size_t size, void *data)
{
	(void)info;
	(void)size;
	++*(uint64_t *)data;
	return 0;
}

/* At the first module. Where nothing was loaded since the last look, all that
 * may go is known. */
static int look(struct dl_phdr_info *info, size_t size, void *data)
{
	struct walk walk = { 0 };
	uint64_t n = 0, fresh = info->dlpi_adds - loads;

	(void)size;
	(void)data;
	if (!fresh)
		return 1;
	looks++;
	zone.record.noted = (uintptr_t)noted;
	walk_objects(count, &n);
	walk.fresh = n > fresh ? n - fresh : 0;
	walk_objects(meet, &walk);
	loads = info->dlpi_adds;
	return 1;
}

EXPORT int dlclose(void *handle)
{
	real_dlclose_fn *real = (real_dlclose_fn *)real_address(&real_dlclose);

	if (zone.nfirst && !is_orphan())
		walk_objects(look, NULL);
	return real(handle);
}
