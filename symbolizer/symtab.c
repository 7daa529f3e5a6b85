/* ELF symbols by address. Runs in the process that can be lost; trusts neither
 * sizes nor order nor names. */
#include "symtab.h"

#include <stdlib.h>
#include <string.h>

#include <lzma.h>

enum {
	MAX_SYMBOLS = 8 << 20, /* chromium, unstripped, has 1.5 million */
	MAX_MINIDEBUG = 64 << 20,
	MAX_LZMA_MEMORY = 128 << 20,
};

static size_t underscores(const char *name)
{
	return strspn(name, "_");
}

/* Which of several names of one function is shown: the exported one, and of
 * those the one that looks least like an internal alias. */
static unsigned char rank(unsigned char info, const char *name)
{
	unsigned char binding = 2;
	size_t prefix = underscores(name);

	if (GELF_ST_BIND(info) == STB_GLOBAL ||
	    GELF_ST_BIND(info) == STB_GNU_UNIQUE)
		binding = 0;
	else if (GELF_ST_BIND(info) == STB_WEAK)
		binding = 1;
	return (unsigned char)(binding * 8 + (prefix < 7 ? prefix : 7));
}

static bool is_function(const GElf_Sym *sym)
{
	unsigned char type = GELF_ST_TYPE(sym->st_info);

	if (sym->st_shndx == SHN_UNDEF || sym->st_shndx == SHN_ABS ||
	    sym->st_value == 0)
		return false;
	return type == STT_FUNC || type == STT_GNU_IFUNC || type == STT_NOTYPE;
}

/* Where each section ends that holds code; 0 for the others. */
struct code_sections {
	uint64_t *end;
	size_t len;
};

static void find_code(const struct elf_file *file, struct code_sections *out)
{
	Elf_Scn *scn = NULL;
	size_t n = 0;

	memset(out, 0, sizeof(*out));
	if (elf_getshdrnum(file->elf, &n) != 0 || n == 0)
		return;
	out->end = calloc(n, sizeof(*out->end));
	if (out->end == NULL)
		return;
	out->len = n;
	while ((scn = elf_nextscn(file->elf, scn)) != NULL) {
		GElf_Shdr shdr;
		size_t index = elf_ndxscn(scn);

		if (index < n && gelf_getshdr(scn, &shdr) &&
		    (shdr.sh_flags & SHF_EXECINSTR))
			out->end[index] = shdr.sh_addr + shdr.sh_size;
	}
}

/* Where the section of SYM ends; 0 where that holds no code. */
static uint64_t code_end(const struct code_sections *code, const GElf_Sym *sym)
{
	return sym->st_shndx < code->len ? code->end[sym->st_shndx]
					 : UINT64_MAX;
}

/* Mapping symbols and assembler-local labels are no functions. */
static bool is_name(const char *name)
{
	return name && *name && *name != '$' && strncmp(name, ".L", 2) != 0;
}

static void add_one(struct symtab *symtab, const GElf_Sym *sym,
		    const char *name, const char *file, uint64_t section_end)
{
	struct symbol *to = &symtab->symbols[symtab->len++];

	to->start = sym->st_value;
	to->sized = sym->st_size > 0;
	to->end = sym->st_size < UINT64_MAX - sym->st_value
			  ? sym->st_value + sym->st_size
			  : UINT64_MAX;
	if (!to->sized)
		to->end = section_end;
	to->name = name;
	to->file = GELF_ST_BIND(sym->st_info) == STB_LOCAL ? file : NULL;
	to->section = sym->st_shndx;
	to->rank = rank(sym->st_info, name);
}

static void add_table(struct symtab *symtab, const struct elf_file *file,
		      Elf_Scn *scn, const GElf_Shdr *shdr)
{
	Elf_Data *data = elf_getdata(scn, NULL);
	const char *source = NULL; /* STT_FILE comes before its locals */
	struct code_sections code;
	struct symbol *more;
	size_t n;

	if (data == NULL || shdr->sh_entsize == 0)
		return;
	n = data->d_size / shdr->sh_entsize;
	if (n > MAX_SYMBOLS - symtab->len)
		n = MAX_SYMBOLS - symtab->len;
	more = realloc(symtab->symbols,
		       (symtab->len + n + 1) * sizeof(*more));
	if (more == NULL)
		return;
	symtab->symbols = more;
	find_code(file, &code);
	for (size_t i = 0; i < n; i++) {
		GElf_Sym sym;
		const char *name;

		if (gelf_getsym(data, (int)i, &sym) == NULL)
			continue;
		name = elf_strptr(file->elf, shdr->sh_link, sym.st_name);
		if (GELF_ST_TYPE(sym.st_info) == STT_FILE)
			source = name && *name ? name : NULL;
		else if (is_function(&sym) && code_end(&code, &sym) &&
			 is_name(name))
			add_one(symtab, &sym, name, source,
				code_end(&code, &sym));
	}
	free(code.end);
}

static void add_elf(struct symtab *symtab, const struct elf_file *file)
{
	Elf_Scn *scn = NULL;

	while ((scn = elf_nextscn(file->elf, scn)) != NULL) {
		GElf_Shdr shdr;

		if (gelf_getshdr(scn, &shdr) &&
		    (shdr.sh_type == SHT_SYMTAB || shdr.sh_type == SHT_DYNSYM))
			add_table(symtab, file, scn, &shdr);
	}
}

/* Unpack PACKED, an xz stream, as far as MAX_MINIDEBUG; NULL if it is none. */
static void *unpack(const void *packed, size_t packed_len, size_t *len_out)
{
	uint64_t memory = MAX_LZMA_MEMORY;
	size_t in = 0, out = 0;
	void *to = malloc(MAX_MINIDEBUG);

	if (to && lzma_stream_buffer_decode(&memory, 0, NULL, packed, &in,
					    packed_len, to, &out,
					    MAX_MINIDEBUG) == LZMA_OK) {
		*len_out = out;
		return to;
	}
	free(to);
	return NULL;
}

/* Fedora's "mini debug information": a symbol table, xz'ed, in the binary. */
static void add_minidebug(struct symtab *symtab, const struct elf_file *file)
{
	size_t packed_len, len;
	const void *packed;

	packed = elf_file_section(file, ".gnu_debugdata", &packed_len);
	if (packed == NULL || symtab->minidebug)
		return;
	symtab->minidebug_file = ELF_FILE_NONE;
	symtab->minidebug = unpack(packed, packed_len, &len);
	if (symtab->minidebug &&
	    elf_file_memory(".gnu_debugdata", symtab->minidebug, len,
			    &symtab->minidebug_file, NULL))
		add_elf(symtab, &symtab->minidebug_file);
}

void symtab_add(struct symtab *symtab, const struct elf_file *file)
{
	if (file->elf == NULL)
		return;
	add_elf(symtab, file);
	add_minidebug(symtab, file);
}

static int by_start(const void *left, const void *right)
{
	const struct symbol *a = left, *b = right;

	if (a->start != b->start)
		return a->start < b->start ? -1 : 1;
	if (a->rank != b->rank)
		return a->rank < b->rank ? -1 : 1;
	return strcmp(a->name, b->name);
}

/* A symbol without a size ends where the next one begins, or its section. */
static void close_sizeless(struct symtab *symtab)
{
	uint64_t next = UINT64_MAX;

	for (size_t i = symtab->len; i-- > 0;) {
		struct symbol *at = &symtab->symbols[i];

		if (!at->sized && next < at->end)
			at->end = next;
		if (i > 0 && symtab->symbols[i - 1].start != at->start)
			next = at->start;
	}
}

void symtab_finish(struct symtab *symtab)
{
	if (symtab->len == 0)
		return;
	qsort(symtab->symbols, symtab->len, sizeof(*symtab->symbols), by_start);
	close_sizeless(symtab);
}

void symtab_fini(struct symtab *symtab)
{
	if (symtab->minidebug)
		elf_file_close(&symtab->minidebug_file);
	free(symtab->minidebug);
	free(symtab->symbols);
	memset(symtab, 0, sizeof(*symtab));
}
