/* From the auxiliary vector to the program's headers, its dynamic section,
 * DT_DEBUG, struct r_debug and the list of struct link_map; glibc and musl
 * agree on all of them. Runs in the helper where there is no /proc. The memory
 * is of a dead process that may have overwritten any of it: lists and counts
 * are bounded, and what does not begin with an ELF header is left out. */
#include "linkmap.h"

#include <elf.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum {
	MAX_HEADERS = 64,
	MAX_DYNAMIC = 256,
	MAX_MAPS = 4096,  /* entries of the linker's list */
	MAX_PATH = 1024,
	PAGE = 4096,
	/* Pages looked at, for all libraries together, for those that do not
	 * begin where they usually do. */
	MAX_SEARCH = 65536,
};
#define USER_END (1ull << 47)

struct walk {
	maps_read *read;
	void *context;
	struct writer *out;
	unsigned made;     /* inodes so far */
	unsigned searched; /* pages */
};

/* The program headers of one image. */
struct headers {
	Elf64_Phdr list[MAX_HEADERS];
	size_t n;
};

static bool read_all(const struct walk *walk, uint64_t address, void *to,
		     size_t len)
{
	return walk->read(walk->context, address, to, len) == len;
}

static uint64_t auxv_value(const uint64_t *auxv, size_t n, uint64_t type)
{
	for (size_t i = 0; i + 1 < n && auxv[i] != AT_NULL; i += 2) {
		if (auxv[i] == type)
			return auxv[i + 1];
	}
	return 0;
}

static bool read_headers(const struct walk *walk, uint64_t address, uint64_t n,
			 struct headers *out)
{
	out->n = n < MAX_HEADERS ? (size_t)n : MAX_HEADERS;
	return out->n > 0 && read_all(walk, address, out->list,
				      out->n * sizeof(out->list[0]));
}

/* As far as it can be read: a text may end shortly before a hole. */
static void read_path(const struct walk *walk, uint64_t address, char *path)
{
	size_t len = address ? walk->read(walk->context, address, path,
					  MAX_PATH - 1)
			     : 0;

	if (len >= MAX_PATH)
		len = 0;
	path[len] = '\0';
	for (char *at = path; *at; at++) {
		if (*at == '\n')
			*at = '?';
	}
}

static void put_line(struct walk *walk, const Elf64_Phdr *h, uint64_t bias,
		     const char *path)
{
	uint64_t start = (bias + h->p_vaddr) & ~(uint64_t)(PAGE - 1);
	uint64_t end = bias + h->p_vaddr + h->p_memsz;
	char line[MAX_PATH + 128];
	int len;

	if (end < start || end > USER_END || h->p_memsz == 0)
		return;
	end = (end + PAGE - 1) & ~(uint64_t)(PAGE - 1);
	len = snprintf(line, sizeof(line),
		       "%" PRIx64 "-%" PRIx64 " %c%c%cp %08" PRIx64
		       " 00:00 %u %s\n", start, end,
		       h->p_flags & PF_R ? 'r' : '-',
		       h->p_flags & PF_W ? 'w' : '-',
		       h->p_flags & PF_X ? 'x' : '-',
		       (uint64_t)h->p_offset & ~(uint64_t)(PAGE - 1),
		       walk->made, path);
	if (len > 0 && (size_t)len < sizeof(line))
		writer_bytes(walk->out, line, (size_t)len);
}

static void put_image(struct walk *walk, const struct headers *headers,
		      uint64_t bias, const char *path)
{
	walk->made++;
	for (size_t i = 0; i < headers->n; i++) {
		if (headers->list[i].p_type == PT_LOAD)
			put_line(walk, &headers->list[i], bias, path);
	}
}

/* The headers of the image whose ELF header is at BASE, and what its addresses
 * are relative to. */
static bool open_image(const struct walk *walk, uint64_t base,
		       struct headers *out, uint64_t *bias_out)
{
	Elf64_Ehdr header;

	if (!read_all(walk, base, &header, sizeof(header)) ||
	    memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 ||
	    header.e_ident[EI_CLASS] != ELFCLASS64 ||
	    header.e_phentsize != sizeof(Elf64_Phdr) ||
	    !read_headers(walk, base + header.e_phoff, header.e_phnum, out))
		return false;
	for (size_t i = 0; i < out->n; i++) {
		const Elf64_Phdr *h = &out->list[i];

		if (h->p_type != PT_LOAD)
			continue;
		*bias_out = base - (h->p_vaddr - h->p_offset);
		return true;
	}
	return false;
}

/* A library begins where its addresses are relative to, nearly always; else
 * somewhere below its dynamic section. */
static bool find_image(struct walk *walk, uint64_t l_addr, uint64_t l_ld,
		       struct headers *out, uint64_t *bias_out)
{
	uint64_t page = l_ld & ~(uint64_t)(PAGE - 1);

	if (open_image(walk, l_addr, out, bias_out))
		return true;
	for (; walk->searched < MAX_SEARCH && page >= PAGE; page -= PAGE) {
		walk->searched++;
		if (open_image(walk, page, out, bias_out))
			return *bias_out == l_addr;
	}
	return false;
}

/* Address of the linker's struct r_debug, from the program's dynamic section;
 * 0 where there is none. */
static uint64_t find_debug(const struct walk *walk,
			   const struct headers *headers, uint64_t bias)
{
	Elf64_Dyn entry;
	uint64_t at = 0;

	for (size_t i = 0; i < headers->n; i++) {
		if (headers->list[i].p_type == PT_DYNAMIC)
			at = bias + headers->list[i].p_vaddr;
	}
	for (int i = 0; at && i < MAX_DYNAMIC; i++, at += sizeof(entry)) {
		if (!read_all(walk, at, &entry, sizeof(entry)) ||
		    entry.d_tag == DT_NULL)
			return 0;
		if (entry.d_tag == DT_DEBUG)
			return entry.d_un.d_ptr;
	}
	return 0;
}

/* struct link_map of <link.h>, whose pointers are of another process. */
struct entry {
	uint64_t l_addr, l_name, l_ld, l_next;
};

/* The list begins with the program, which has no name there. */
static void put_list(struct walk *walk, uint64_t debug, uint64_t vdso)
{
	struct entry entry;
	uint64_t at = 0;

	if (!debug || !read_all(walk, debug + 8, &at, sizeof(at)))
		return;
	for (int i = 0; at && i < MAX_MAPS; i++, at = entry.l_next) {
		struct headers headers;
		char path[MAX_PATH];
		uint64_t bias;

		if (!read_all(walk, at, &entry, sizeof(entry)))
			return;
		if (i == 0 || (vdso && entry.l_addr == vdso) ||
		    !find_image(walk, entry.l_addr, entry.l_ld, &headers,
				&bias))
			continue;
		read_path(walk, entry.l_name, path);
		put_image(walk, &headers, bias, path);
	}
}

/* What the program's addresses are relative to: its PT_PHDR says where the
 * headers were to be; without it they follow the ELF header. */
static uint64_t program_bias(const struct headers *headers, uint64_t phdr)
{
	uint64_t first = 0;

	for (size_t i = 0; i < headers->n; i++) {
		if (headers->list[i].p_type == PT_PHDR)
			return phdr - headers->list[i].p_vaddr;
	}
	for (size_t i = headers->n; i-- > 0;) {
		if (headers->list[i].p_type == PT_LOAD)
			first = headers->list[i].p_vaddr;
	}
	return phdr - sizeof(Elf64_Ehdr) - first;
}

bool linkmap_text(const uint64_t *auxv, size_t n, maps_read *read,
		  void *context, struct writer *text_out)
{
	struct walk walk = { .read = read, .context = context,
			     .out = text_out };
	uint64_t phdr = auxv_value(auxv, n, AT_PHDR);
	uint64_t vdso = auxv_value(auxv, n, AT_SYSINFO_EHDR);
	struct headers headers;
	char path[MAX_PATH];
	uint64_t bias;

	if (!read_headers(&walk, phdr, auxv_value(auxv, n, AT_PHNUM),
			  &headers))
		return false;
	bias = program_bias(&headers, phdr);
	read_path(&walk, auxv_value(auxv, n, AT_EXECFN), path);
	put_image(&walk, &headers, bias, path);
	put_list(&walk, find_debug(&walk, &headers, bias), vdso);
	if (vdso && open_image(&walk, vdso, &headers, &bias))
		put_image(&walk, &headers, bias, "[vdso]");
	return !text_out->bad;
}
