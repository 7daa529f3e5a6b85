/* What a stub of an x86-64 PLT jumps to is in a word that the dynamic linker
 * fills; the relocation of that word has the function's name. Process: the
 * child that can be lost. */
#include "stubs.h"

#include <stdio.h>
#include <string.h>

enum { STUB_SIZE = 16 };

/* The section .plt, .plt.got or .plt.sec that holds ADDRESS. */
static Elf_Scn *find_plt(const struct elf_file *file, uint64_t address,
			 GElf_Shdr *shdr_out)
{
	Elf_Scn *scn = NULL;
	size_t strings;

	if (elf_getshdrstrndx(file->elf, &strings) != 0)
		return NULL;
	while ((scn = elf_nextscn(file->elf, scn)) != NULL) {
		const char *name;

		if (gelf_getshdr(scn, shdr_out) == NULL ||
		    shdr_out->sh_type != SHT_PROGBITS ||
		    address < shdr_out->sh_addr ||
		    address - shdr_out->sh_addr >= shdr_out->sh_size)
			continue;
		name = elf_strptr(file->elf, strings, shdr_out->sh_name);
		if (name && strncmp(name, ".plt", 4) == 0)
			return scn;
	}
	return NULL;
}

/* The address of the word that the stub at ADDRESS jumps through: it has one
 * jmp *disp(%rip), perhaps behind endbr64 and a bnd prefix. 0: it has none. */
static uint64_t find_slot(Elf_Scn *scn, const GElf_Shdr *shdr,
			  uint64_t address)
{
	const Elf_Data *data = elf_rawdata(scn, NULL);
	size_t size = shdr->sh_entsize == STUB_SIZE / 2 ? STUB_SIZE / 2
							: STUB_SIZE;
	size_t at = (size_t)(address - shdr->sh_addr) / size * size;

	if (data == NULL || data->d_buf == NULL || at + size > data->d_size)
		return 0;
	for (size_t i = at; i + 6 <= at + size; i++) {
		const uint8_t *code = (const uint8_t *)data->d_buf + i;
		int32_t displacement;

		if (code[0] != 0xff || code[1] != 0x25)
			continue;
		memcpy(&displacement, code + 2, sizeof(displacement));
		return shdr->sh_addr + i + 6 +
		       (uint64_t)(int64_t)displacement;
	}
	return 0;
}

/* The name of symbol NUMBER of the symbol table SECTION; NULL without one. */
static const char *symbol_name(const struct elf_file *file, size_t section,
			       size_t number)
{
	Elf_Scn *scn = elf_getscn(file->elf, section);
	GElf_Shdr shdr;
	GElf_Sym sym;

	if (scn == NULL || gelf_getshdr(scn, &shdr) == NULL ||
	    (shdr.sh_type != SHT_DYNSYM && shdr.sh_type != SHT_SYMTAB) ||
	    gelf_getsym(elf_getdata(scn, NULL), (int)number, &sym) == NULL)
		return NULL;
	return elf_strptr(file->elf, shdr.sh_link, sym.st_name);
}

static const char *name_in(const struct elf_file *file, Elf_Scn *scn,
			   const GElf_Shdr *shdr, uint64_t slot)
{
	Elf_Data *data = elf_getdata(scn, NULL);
	size_t n = shdr->sh_entsize ? shdr->sh_size / shdr->sh_entsize : 0;
	GElf_Rela rela;

	for (size_t i = 0; data && i < n; i++) {
		if (gelf_getrela(data, (int)i, &rela) == NULL)
			return NULL;
		if (rela.r_offset == slot)
			return symbol_name(file, shdr->sh_link,
					   GELF_R_SYM(rela.r_info));
	}
	return NULL;
}

bool stubs_name(const struct elf_file *file, uint64_t address, char *text,
		size_t size)
{
	const char *name = NULL;
	Elf_Scn *scn = NULL;
	GElf_Shdr shdr;
	GElf_Ehdr ehdr;
	uint64_t slot;

	if (file->elf == NULL || gelf_getehdr(file->elf, &ehdr) == NULL ||
	    ehdr.e_machine != EM_X86_64)
		return false;
	scn = find_plt(file, address, &shdr);
	slot = scn ? find_slot(scn, &shdr, address) : 0;
	if (slot == 0)
		return false;
	scn = NULL;
	while (!name && (scn = elf_nextscn(file->elf, scn)) != NULL)
		if (gelf_getshdr(scn, &shdr) && shdr.sh_type == SHT_RELA)
			name = name_in(file, scn, &shdr, slot);
	if (name == NULL || *name == '\0')
		return false;
	return (size_t)snprintf(text, size, "%s@plt", name) < size;
}
