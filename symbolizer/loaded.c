/* What the addresses of an ELF file hold once it is loaded. Runs in the process
 * that can be lost; trusts no header. */
#include "loaded.h"

#include <string.h>

enum { POINTER = 8 };

/* What the file has of the segment PHDR: all of it, or less in a file that was
 * cut off. */
static struct reader bytes_of(const struct reader *file,
			      const GElf_Phdr *phdr)
{
	struct reader whole = *file;
	uint64_t left = phdr->p_offset < file->len
				? file->len - phdr->p_offset : 0;

	return reader_at(&whole, phdr->p_offset,
			 phdr->p_filesz < left ? phdr->p_filesz : left);
}

static void add_segment(struct loaded *loaded, const struct reader *file,
			const GElf_Phdr *phdr)
{
	struct segment *segment = &loaded->segments[loaded->nsegments];

	segment->address = phdr->p_vaddr;
	segment->bytes = bytes_of(file, phdr);
	segment->is_code = phdr->p_flags & PF_X;
	if (!segment->bytes.bad)
		loaded->nsegments++;
}

/* The table that the dynamic section DYNAMIC names. */
static void find_relocations(struct loaded *loaded, struct reader dynamic)
{
	uint64_t address = 0, size = 0, tag;
	struct reader table;

	do {
		uint64_t value;

		tag = reader_u64(&dynamic);
		value = reader_u64(&dynamic);
		if (tag == DT_RELA)
			address = value;
		else if (tag == DT_RELASZ)
			size = value;
	} while (tag != DT_NULL && !dynamic.bad);
	table = loaded_at(loaded, address);
	if (address != 0 && size <= reader_left(&table))
		loaded->relocations = reader_at(&table, 0, size);
}

static bool is_readable(const struct elf_file *file, GElf_Ehdr *ehdr_out)
{
	return file->elf && gelf_getehdr(file->elf, ehdr_out) &&
	       ehdr_out->e_ident[EI_CLASS] == ELFCLASS64 &&
	       ehdr_out->e_ident[EI_DATA] == ELFDATA2LSB;
}

bool loaded_init(const struct elf_file *file, struct loaded *out)
{
	struct reader whole, dynamic = { .bad = true };
	size_t n = 0, len = 0;
	GElf_Ehdr ehdr;
	char *bytes;

	memset(out, 0, sizeof(*out));
	if (!is_readable(file, &ehdr) || elf_getphdrnum(file->elf, &n) != 0)
		return false;
	bytes = elf_rawfile(file->elf, &len);
	if (bytes == NULL)
		return false;
	reader_init(&whole, bytes, len);
	for (size_t i = 0; i < n && i < INT16_MAX &&
			   out->nsegments < LOADED_MAX_SEGMENTS; i++) {
		GElf_Phdr phdr;

		if (gelf_getphdr(file->elf, (int)i, &phdr) == NULL)
			break;
		if (phdr.p_type == PT_LOAD)
			add_segment(out, &whole, &phdr);
		else if (phdr.p_type == PT_DYNAMIC)
			dynamic = bytes_of(&whole, &phdr);
	}
	out->relative = ehdr.e_machine == EM_AARCH64 ? R_AARCH64_RELATIVE
						     : R_X86_64_RELATIVE;
	find_relocations(out, dynamic);
	return out->nsegments > 0;
}

const struct segment *loaded_segment(const struct loaded *loaded,
				     uint64_t address)
{
	for (size_t i = 0; i < loaded->nsegments; i++) {
		const struct segment *segment = &loaded->segments[i];

		if (address >= segment->address &&
		    address - segment->address < segment->bytes.len)
			return segment;
	}
	return NULL;
}

struct reader loaded_at(const struct loaded *loaded, uint64_t address)
{
	const struct segment *segment = loaded_segment(loaded, address);
	struct reader bytes = { .bad = true };
	uint64_t skip;

	if (segment == NULL)
		return bytes;
	bytes = segment->bytes;
	skip = address - segment->address;
	return reader_at(&bytes, skip, bytes.len - skip);
}

/* The next relocation of the kind that adds where the file is loaded. False
 * at the end. */
static bool next_relative(const struct loaded *loaded, struct reader *r,
			  uint64_t *address_out, uint64_t *value_out)
{
	while (reader_left(r) >= sizeof(Elf64_Rela)) {
		*address_out = reader_u64(r);
		if (ELF64_R_TYPE(reader_u64(r)) == loaded->relative) {
			*value_out = reader_u64(r);
			return true;
		}
		reader_skip(r, POINTER);
	}
	return false;
}

bool loaded_pointer(const struct loaded *loaded, uint64_t address,
		    uint64_t *value_out)
{
	struct reader r = loaded->relocations, bytes;
	uint64_t at, value;

	while (next_relative(loaded, &r, &at, &value))
		if (at == address) {
			*value_out = value;
			return true;
		}
	bytes = loaded_at(loaded, address);
	value = reader_u64(&bytes);
	if (!bytes.bad)
		*value_out = value;
	return !bytes.bad;
}

static size_t find_in_segment(const struct segment *segment, uint64_t value,
			      uint64_t *addresses_out, size_t max)
{
	const uint8_t *start = segment->bytes.bytes;
	size_t at = 0, n = 0;

	while (n < max && at < segment->bytes.len) {
		const uint8_t *hit = memmem(start + at,
					    segment->bytes.len - at, &value,
					    sizeof(value));

		if (hit == NULL)
			break;
		at = (size_t)(hit - start) + 1;
		if ((segment->address + at - 1) % POINTER == 0)
			addresses_out[n++] = segment->address + at - 1;
	}
	return n;
}

size_t loaded_find(const struct loaded *loaded, uint64_t value,
		   uint64_t *addresses_out, size_t max)
{
	struct reader r = loaded->relocations;
	uint64_t address, addend;
	size_t n = 0;

	while (n < max && next_relative(loaded, &r, &address, &addend))
		if (addend == value)
			addresses_out[n++] = address;
	for (size_t i = 0; i < loaded->nsegments; i++)
		if (!loaded->segments[i].is_code)
			n += find_in_segment(&loaded->segments[i], value,
					     addresses_out + n, max - n);
	return n;
}
