/* One ELF file, opened and known for what it is. Runs in the process that can
 * be lost; trusts nothing in the file, and opens nothing but regular ones. */
#include "elffile.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <elfutils/libdw.h>
#include <elfutils/libdwelf.h>

#include "../lib/report/bytes.h"
#include "regular.h"

enum { PAGE = 4096 };

#define GO_NOTE ".note.go.buildid"

static bool is_code(const GElf_Shdr *shdr)
{
	return shdr->sh_type == SHT_PROGBITS && (shdr->sh_flags & SHF_ALLOC) &&
	       (shdr->sh_flags & SHF_EXECINSTR);
}

/* What the sections say FILE has. A file without section headers is a binary
 * if it has program headers. */
static void look_at_sections(struct elf_file *file)
{
	Elf_Scn *scn = NULL;
	size_t strings = 0, phdrs = 0;
	bool any = false;

	if (elf_getshdrstrndx(file->elf, &strings) != 0)
		strings = 0;
	while ((scn = elf_nextscn(file->elf, scn)) != NULL) {
		GElf_Shdr shdr;
		const char *name;

		if (gelf_getshdr(scn, &shdr) == NULL)
			continue;
		any = true;
		file->has_code |= is_code(&shdr);
		file->has_symtab |= shdr.sh_type == SHT_SYMTAB;
		name = elf_strptr(file->elf, strings, shdr.sh_name);
		file->has_dwarf |= name && shdr.sh_type != SHT_NOBITS &&
				   (strcmp(name, ".debug_info") == 0 ||
				    strcmp(name, ".zdebug_info") == 0);
		file->is_go |= name && (strcmp(name, ".go.buildinfo") == 0 ||
					strcmp(name, GO_NOTE) == 0);
	}
	if (!any && elf_getphdrnum(file->elf, &phdrs) == 0)
		file->has_code = phdrs > 0;
}

/* Go's linker writes an id of its own, and before Go 1.24 no other. */
static void read_go_build_id(struct elf_file *file)
{
	const uint8_t *name, *id;
	struct reader r;
	uint32_t id_len;
	const void *note;
	size_t len = 0;

	note = elf_file_section(file, GO_NOTE, &len);
	reader_init(&r, note, len);
	if (reader_u32(&r) != GO_NOTE_NAME_LEN)
		return;
	id_len = reader_u32(&r);
	if (reader_u32(&r) != GO_NOTE_TYPE)
		return;
	name = reader_take(&r, GO_NOTE_NAME_LEN);
	id = reader_take(&r, id_len);
	if (name && id && memcmp(name, GO_NOTE_NAME, GO_NOTE_NAME_LEN) == 0)
		build_id_from_go(id, id_len, &file->build_id);
}

static void read_build_id(struct elf_file *file)
{
	const void *bytes;
	ssize_t len = dwelf_elf_gnu_build_id(file->elf, &bytes);

	if (len <= 0)
		read_go_build_id(file);
	if (len <= 0 || len > MAX_BUILD_ID)
		return;
	memcpy(file->build_id.bytes, bytes, (size_t)len);
	file->build_id.len = (uint8_t)len;
}

static bool check(struct elf_file *file, struct error *err)
{
	GElf_Ehdr ehdr;

	if (file->elf == NULL || elf_kind(file->elf) != ELF_K_ELF ||
	    gelf_getehdr(file->elf, &ehdr) == NULL)
		return fail(err, ERR_BAD_DATA, "not an ELF file");
	if (ehdr.e_type == ET_CORE) /* dwz's files are ET_REL */
		return fail(err, ERR_UNSUPPORTED, "a core file");
	look_at_sections(file);
	read_build_id(file);
	return true;
}

static bool finish(struct elf_file *file, const char *path,
		   struct elf_file *out, struct error *err)
{
	if (!check(file, err)) {
		elf_file_close(file);
		return false;
	}
	file->path = strdup(path);
	if (file->path == NULL) {
		elf_file_close(file);
		return fail(err, ERR_NO_MEMORY, "no memory");
	}
	*out = *file;
	return true;
}

bool elf_file_open(const char *path, struct elf_file *out, struct error *err)
{
	struct elf_file file = ELF_FILE_NONE;

	elf_version(EV_CURRENT);
	if (!regular_open(path, &file.fd, err))
		return false;
	file.elf = elf_begin(file.fd, ELF_C_READ_MMAP_PRIVATE, NULL);
	return finish(&file, path, out, err);
}

bool elf_file_memory(const char *name, void *image, size_t len,
		     struct elf_file *out, struct error *err)
{
	struct elf_file file = ELF_FILE_NONE;

	elf_version(EV_CURRENT);
	file.elf = elf_memory(image, len);
	return finish(&file, name, out, err);
}

void elf_file_close(struct elf_file *file)
{
	elf_end(file->elf);
	if (file->fd >= 0)
		close(file->fd);
	free(file->path);
	*file = ELF_FILE_NONE;
}

uint64_t elf_file_base(const struct elf_file *file)
{
	size_t n = 0;

	if (elf_getphdrnum(file->elf, &n) != 0)
		return 0;
	for (size_t i = 0; i < n && i < INT16_MAX; i++) {
		GElf_Phdr phdr;
		uint64_t page;

		if (gelf_getphdr(file->elf, (int)i, &phdr) == NULL ||
		    phdr.p_type != PT_LOAD)
			continue;
		/* PT_LOADs are sorted, so the first is the lowest. A debug
		 * file keeps its addresses, but not its offsets. */
		page = phdr.p_vaddr & ~(uint64_t)(PAGE - 1);
		if (!file->has_code)
			return page;
		return (phdr.p_vaddr - phdr.p_offset) & ~(uint64_t)(PAGE - 1);
	}
	return 0;
}

/* The section NAME, with *SHDR_OUT; NULL if there is none. */
static Elf_Scn *find_section(const struct elf_file *file, const char *name,
			     GElf_Shdr *shdr_out)
{
	Elf_Scn *scn = NULL;
	size_t strings;

	if (!file->elf || elf_getshdrstrndx(file->elf, &strings) != 0)
		return NULL;
	while ((scn = elf_nextscn(file->elf, scn)) != NULL) {
		const char *has;

		if (gelf_getshdr(scn, shdr_out) == NULL)
			continue;
		has = elf_strptr(file->elf, strings, shdr_out->sh_name);
		if (has && strcmp(has, name) == 0)
			return scn;
	}
	return NULL;
}

const void *elf_file_section(const struct elf_file *file, const char *name,
			     size_t *len_out)
{
	GElf_Shdr shdr;
	Elf_Scn *scn = find_section(file, name, &shdr);
	Elf_Data *data;

	if (!scn || shdr.sh_type == SHT_NOBITS)
		return NULL;
	data = elf_rawdata(scn, NULL);
	if (data == NULL || data->d_buf == NULL)
		return NULL;
	*len_out = data->d_size;
	return data->d_buf;
}

bool elf_file_section_address(const struct elf_file *file, const char *name,
			      uint64_t *address_out)
{
	GElf_Shdr shdr;

	if (!find_section(file, name, &shdr))
		return false;
	*address_out = shdr.sh_addr;
	return true;
}
