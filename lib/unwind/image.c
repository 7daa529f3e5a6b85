/* Program headers, and reading an image's bytes wherever they are. Runs in the
 * helper, the command line and the symbolizer. Trusts neither headers nor
 * files; section headers are read by libelf, and only offline. */
#include "image.h"

#include <elf.h>
#include <gelf.h>
#include <libelf.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static size_t read_file(int fd, uint64_t offset, void *to, size_t len)
{
	ssize_t n;

	if (offset > INT64_MAX)
		return 0;
	n = pread(fd, to, len, (off_t)offset);
	return n > 0 ? (size_t)n : 0;
}

static size_t read_raw(const struct image *image, uint64_t base,
		       uint64_t offset, void *to, size_t len)
{
	if (image->memory)
		return memory_copy(image->memory, base + offset, to, len);
	return read_file(image->fd, offset, to, len);
}

static bool is_ours(const Elf64_Ehdr *header)
{
	return memcmp(header->e_ident, ELFMAG, SELFMAG) == 0 &&
	       header->e_ident[EI_CLASS] == ELFCLASS64 &&
	       header->e_ident[EI_DATA] == ELFDATA2LSB &&
	       header->e_machine == MACHINE_ELF &&
	       header->e_phentsize == sizeof(Elf64_Phdr) &&
	       header->e_phnum <= IMAGE_MAX_HEADERS;
}

/* Addresses in the process follow from the first PT_LOAD: it says where file
 * offset 0 would be, and BASE where it is. */
static void take_header(struct image *image, const Elf64_Phdr *p,
			uint64_t base)
{
	struct image_load *load;

	if (p->p_type == PT_GNU_EH_FRAME) {
		image->eh_frame_hdr = p->p_vaddr;
		image->eh_frame_hdr_len = p->p_filesz;
	}
	if (p->p_type != PT_LOAD || image->nloads == IMAGE_MAX_LOADS)
		return;
	if (image->nloads == 0)
		image->bias = base - (p->p_vaddr - p->p_offset);
	load = &image->loads[image->nloads++];
	load->address = p->p_vaddr + image->bias;
	load->offset = p->p_offset;
	load->len = p->p_filesz;
}

bool image_open(struct image *image, struct memory *memory, int fd,
		uint64_t base)
{
	Elf64_Ehdr header;
	Elf64_Phdr headers[IMAGE_MAX_HEADERS];
	size_t len;

	memset(image, 0, sizeof(*image));
	image->memory = memory;
	image->fd = fd;
	if (read_raw(image, base, 0, &header, sizeof(header)) !=
		    sizeof(header) ||
	    !is_ours(&header))
		return false;
	len = header.e_phnum * sizeof(headers[0]);
	if (read_raw(image, base, header.e_phoff, headers, len) != len)
		return false;
	for (size_t i = 0; i < header.e_phnum; i++)
		take_header(image, &headers[i], base);
	if (image->eh_frame_hdr)
		image->eh_frame_hdr += image->bias;
	return image->nloads > 0;
}

/* The part of LOAD from ADDRESS on, 0 if that is not in it. */
static uint64_t left_in(const struct image_load *load, uint64_t address)
{
	uint64_t skip = address - load->address;

	return address >= load->address && skip < load->len ?
		       load->len - skip : 0;
}

static size_t read_loads(const struct image *image, uint64_t address, void *to,
			 size_t len)
{
	for (size_t i = 0; i < image->nloads; i++) {
		const struct image_load *load = &image->loads[i];
		uint64_t left = left_in(load, address);

		if (left == 0)
			continue;
		return read_file(image->fd,
				 load->offset + (address - load->address), to,
				 left < len ? (size_t)left : len);
	}
	return 0;
}

static size_t read_section(const struct image *image, uint64_t address,
			   void *to, size_t len)
{
	uint64_t offset = address - image->section_at;
	size_t left;

	if (address < image->section_at || offset >= image->section_len)
		return 0;
	left = image->section_len - (size_t)offset;
	if (left < len)
		len = left;
	memcpy(to, image->section + offset, len);
	return len;
}

size_t image_read(const struct image *image, uint64_t address, void *to,
		  size_t len)
{
	if (image->memory)
		return memory_copy(image->memory, address, to, len);
	if (image->section)
		return read_section(image, address, to, len);
	return read_loads(image, address, to, len);
}

uint64_t image_segment_end(const struct image *image, uint64_t address)
{
	for (size_t i = 0; i < image->nloads; i++) {
		uint64_t left = left_in(&image->loads[i], address);

		if (left != 0)
			return address + left;
	}
	return 0;
}

/* The size of SCN's contents once unpacked, 0 where that is more than we
 * take. */
static bool is_size_sane(Elf_Scn *scn, const GElf_Shdr *shdr)
{
	GElf_Chdr chdr;

	if (shdr->sh_type == SHT_NOBITS || shdr->sh_size == 0 ||
	    shdr->sh_size > IMAGE_MAX_SECTION)
		return false;
	if (!(shdr->sh_flags & SHF_COMPRESSED))
		return true;
	return gelf_getchdr(scn, &chdr) && chdr.ch_size <= IMAGE_MAX_SECTION &&
	       elf_compress(scn, 0, 0) >= 0;
}

static bool take_section(struct image *image, Elf_Scn *scn,
			 const GElf_Shdr *shdr)
{
	Elf_Data *data;

	if (!is_size_sane(scn, shdr))
		return false;
	data = elf_rawdata(scn, NULL);
	if (!data || !data->d_buf || data->d_size == 0 ||
	    data->d_size > IMAGE_MAX_SECTION)
		return false;
	image->owned = malloc(data->d_size);
	if (!image->owned)
		return false;
	memcpy(image->owned, data->d_buf, data->d_size);
	image->section = image->owned;
	image->section_len = data->d_size;
	return true;
}

static bool find_section(struct image *image, Elf *elf, const char *name,
			 uint64_t *address_out)
{
	Elf_Scn *scn = NULL;
	size_t names;

	if (elf_getshdrstrndx(elf, &names) != 0)
		return false;
	while ((scn = elf_nextscn(elf, scn)) != NULL) {
		GElf_Shdr shdr;
		const char *this;

		if (!gelf_getshdr(scn, &shdr))
			continue;
		this = elf_strptr(elf, names, shdr.sh_name);
		if (!this || strcmp(this, name) != 0)
			continue;
		*address_out = shdr.sh_addr;
		return take_section(image, scn, &shdr);
	}
	return false;
}

bool image_open_section(struct image *image, int fd, uint64_t base,
			const char *name)
{
	uint64_t address = 0;
	bool found;
	Elf *elf;

	if (!image_open(image, NULL, fd, base))
		return false;
	elf_version(EV_CURRENT);
	elf = elf_begin(fd, ELF_C_READ, NULL);
	if (!elf)
		return false;
	found = elf_kind(elf) == ELF_K_ELF &&
		find_section(image, elf, name, &address);
	elf_end(elf);
	if (!found)
		return false;
	image->section_at = address == 0 ? 0 : address + image->bias;
	return true;
}

void image_open_bytes(struct image *image, const void *bytes, size_t len)
{
	memset(image, 0, sizeof(*image));
	image->fd = -1;
	image->section = bytes;
	image->section_len = len;
}

void image_close(struct image *image)
{
	free(image->owned);
	image->owned = NULL;
	image->section = NULL;
}
