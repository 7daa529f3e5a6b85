/* What a stub of an x86-64 PLT jumps to is in a word that the dynamic linker
 * fills; the relocation of that word has the function's name. Process: the
 * child that can be lost. */
#include "stubs.h"

#include <stdlib.h>
#include <string.h>

#include "../lib/report/bytes.h"
#include "array.h"

enum {
	STUB_SIZE = 16,
	MAX_STUBS = 1 << 20,
};

/* A relocation of a word that stubs may jump through. */
struct slot {
	uint64_t at;
	const char *name; /* of its function */
};

struct slots {
	struct slot *list;
	size_t len, cap;
};

static void add_slot(struct slots *slots, uint64_t at, const char *name)
{
	struct slot *more;

	if (!name || !*name || slots->len == MAX_STUBS)
		return;
	more = array_grow(slots->list, slots->len, &slots->cap, sizeof(*more));
	if (!more)
		return;
	slots->list = more;
	more[slots->len++] = (struct slot){ at, name };
}

static void read_relocations(const struct elf_file *file, Elf_Scn *scn,
			     const GElf_Shdr *shdr, struct slots *out)
{
	Elf_Scn *symbols = elf_getscn(file->elf, shdr->sh_link);
	size_t n = shdr->sh_entsize ? shdr->sh_size / shdr->sh_entsize : 0;
	Elf_Data *data = elf_getdata(scn, NULL), *table;
	GElf_Shdr symbols_shdr;
	GElf_Rela rela;
	GElf_Sym sym;

	if (!data || !symbols || !gelf_getshdr(symbols, &symbols_shdr) ||
	    (symbols_shdr.sh_type != SHT_DYNSYM &&
	     symbols_shdr.sh_type != SHT_SYMTAB))
		return;
	table = elf_getdata(symbols, NULL);
	for (size_t i = 0; i < n && gelf_getrela(data, (int)i, &rela); i++)
		if (gelf_getsym(table, (int)GELF_R_SYM(rela.r_info), &sym))
			add_slot(out, rela.r_offset,
				 elf_strptr(file->elf, symbols_shdr.sh_link,
					    sym.st_name));
}

static int by_place(const void *left, const void *right)
{
	const struct slot *a = left, *b = right;

	return a->at < b->at ? -1 : a->at > b->at;
}

/* The address of the word that the SIZE bytes of code at R, which are at
 * ADDRESS, jump through: one jmp *disp(%rip), perhaps behind endbr64 and a bnd
 * prefix. 0: they have none. */
static uint64_t find_slot(struct reader r, uint64_t address, size_t size)
{
	const uint8_t *code = reader_take(&r, size);

	for (size_t i = 0; code && i + 6 <= size; i++) {
		int32_t displacement;

		if (code[i] != 0xff || code[i + 1] != 0x25)
			continue;
		memcpy(&displacement, code + i + 2, sizeof(displacement));
		return address + i + 6 + (uint64_t)(int64_t)displacement;
	}
	return 0;
}

/* The stubs of one section. */
static void tell_stubs(Elf_Scn *scn, const GElf_Shdr *shdr,
		       const struct slots *slots, stubs_each *each,
		       void *context)
{
	const Elf_Data *data = elf_rawdata(scn, NULL);
	size_t size = shdr->sh_entsize == STUB_SIZE / 2 ? STUB_SIZE / 2
							: STUB_SIZE;
	struct reader r;

	reader_init(&r, data ? data->d_buf : NULL, data ? data->d_size : 0);
	for (; reader_left(&r) >= size; reader_skip(&r, size)) {
		uint64_t address = shdr->sh_addr + r.pos;
		const struct slot key = {
			.at = find_slot(r, address, size),
		};
		const struct slot *slot = bsearch(&key, slots->list,
						  slots->len, sizeof(key),
						  by_place);

		if (slot)
			each(context, address, size, slot->name);
	}
}

static bool is_plt(const struct elf_file *file, size_t strings,
		   const GElf_Shdr *shdr)
{
	const char *name = elf_strptr(file->elf, strings, shdr->sh_name);

	return shdr->sh_type == SHT_PROGBITS && name &&
	       strncmp(name, ".plt", 4) == 0;
}

void stubs_tell(const struct elf_file *file, stubs_each *each, void *context)
{
	struct slots slots = { 0 };
	Elf_Scn *scn = NULL;
	size_t strings;
	GElf_Shdr shdr;
	GElf_Ehdr ehdr;

	if (file->elf == NULL || gelf_getehdr(file->elf, &ehdr) == NULL ||
	    ehdr.e_machine != EM_X86_64 ||
	    elf_getshdrstrndx(file->elf, &strings) != 0)
		return;
	while ((scn = elf_nextscn(file->elf, scn)) != NULL)
		if (gelf_getshdr(scn, &shdr) && shdr.sh_type == SHT_RELA)
			read_relocations(file, scn, &shdr, &slots);
	if (array_sort(slots.list, slots.len, sizeof(*slots.list), by_place))
		while ((scn = elf_nextscn(file->elf, scn)) != NULL)
			if (gelf_getshdr(scn, &shdr) &&
			    is_plt(file, strings, &shdr))
				tell_stubs(scn, &shdr, &slots, each, context);
	free(slots.list);
}
