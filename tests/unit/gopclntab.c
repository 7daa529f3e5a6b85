/* Go's table of functions, made by hand in the form of each version, and put
 * into an ELF file of the few bytes that it takes. */
#include "../../symbolizer/gopclntab.h"
#include "mutate.h"

#include <elf.h>

enum {
	LEVELS = 8,
	/* Where things are in the file; the table ends it. */
	PHDRS_AT = 0x40,
	TEXT_AT = 0x120,
	MODULE_AT = 0x220,
	TREE_AT = 0x370,
	DYNAMIC_AT = 0x3b0,
	RELOCATIONS_AT = 0x3e0,
	NAMES_AT = 0x470,
	SECTIONS_AT = 0x4b0,
	TABLE_AT = 0x5b0,
	IMAGE = 0x900,
	/* And at what addresses. */
	TEXT = 0x401000,
	TEXT_LEN = 0x100,
	DATA = 0x500000, /* is MODULE_AT */
	/* Offsets of functions. */
	CRASH = 0,
	FOREIGN = 0x40,
	MAIN = 0x60,
};

#define GO12 0xfffffffb
#define GO116 0xfffffffa
#define GO118 0xfffffff0
#define GO120 0xfffffff1

/* One way to make it. */
struct way {
	const char *name;
	uint32_t magic;
	bool is_relocated;  /* pointers are zero, and relocations say them */
	bool has_no_text;   /* the header is silent, as since Go 1.26 */
	bool is_hidden;     /* in a section with other things */
	bool has_no_module; /* no module data: nothing leads to the trees */
};

static const struct way go12 = { .name = "Go 1.2", .magic = GO12 };
static const struct way go116 = { .name = "Go 1.16", .magic = GO116 };
static const struct way go118 = { .name = "Go 1.18", .magic = GO118 };
static const struct way go120 = { .name = "Go 1.20", .magic = GO120 };
static const struct way pie = {
	.name = "a PIE", .magic = GO118, .is_relocated = true,
};
static const struct way hidden_pie = {
	.name = "a PIE of another linker", .magic = GO120,
	.is_relocated = true, .is_hidden = true,
};
static const struct way go126 = {
	.name = "Go 1.26", .magic = GO120, .has_no_text = true,
};
static const struct way no_module = {
	.name = "no module data", .magic = GO120, .has_no_module = true,
};

static uint8_t image[IMAGE];
static size_t nrelocations;

static void put(size_t at, uint64_t value, size_t len)
{
	memcpy(image + at, &value, len); /* this machine is little-endian */
}

static uint64_t address_of(size_t at)
{
	return DATA + at - MODULE_AT;
}

static void put_pointer(const struct way *way, size_t at, uint64_t value)
{
	const Elf64_Rela relocation = {
		.r_offset = address_of(at),
		.r_info = ELF64_R_INFO(0, R_X86_64_RELATIVE),
		.r_addend = (int64_t)value,
	};

	if (!way->is_relocated) {
		put(at, value, 8);
		return;
	}
	memcpy(image + RELOCATIONS_AT + sizeof(relocation) * nrelocations++,
	       &relocation, sizeof(relocation));
}

static size_t put_text(size_t at, const char *text)
{
	memcpy(image + at, text, strlen(text) + 1);
	return at + strlen(text) + 1;
}

/* A table of values, each for so many bytes of code; where it ends. */
static size_t put_values(size_t at, const int *values, const int *lengths,
			 size_t n)
{
	int last = -1;

	for (size_t i = 0; i < n; i++) {
		int difference = values[i] - last;

		image[at++] = (uint8_t)(difference < 0 ? -2 * difference - 1
						       : 2 * difference);
		if (lengths[i] >= 0x80) {
			image[at++] = (uint8_t)(0x80 | (lengths[i] & 0x7f));
			image[at++] = (uint8_t)(lengths[i] >> 7);
		} else {
			image[at++] = (uint8_t)lengths[i];
		}
		last = values[i];
	}
	image[at++] = 0;
	return at;
}

/* Where the parts of the table are in the file. */
struct parts {
	size_t names, crash, foreign, main, inner, outer;
	size_t units, files, main_go, lib_go;
	size_t values, crash_files, crash_lines, inlined, main_files,
		main_lines;
	size_t records;
};

static bool is_old(const struct way *way)
{
	return way->magic == GO12;
}

static size_t align(size_t at)
{
	return (at + 7) & ~(size_t)7;
}

static size_t put_names(size_t at, struct parts *parts)
{
	parts->names = parts->crash = at;
	parts->foreign = put_text(parts->crash, "main.crash");
	parts->main = put_text(parts->foreign, "x_foreign");
	parts->inner = put_text(parts->main, "main.main");
	parts->outer = put_text(parts->inner, "main.inner");
	parts->files = parts->main_go = put_text(parts->outer, "main.outer");
	parts->lib_go = put_text(parts->main_go, "/src/main.go");
	return put_text(parts->lib_go, "/src/lib.go");
}

/* Lists of files: before 1.16 one for all, from which number 0 is missing; then
 * one for each unit, here of two, of which ours is the second. */
static size_t put_units(const struct way *way, size_t at, struct parts *parts)
{
	size_t base = is_old(way) ? TABLE_AT : parts->files;

	parts->units = at;
	put(at, is_old(way) ? 3 : UINT32_MAX, 4);
	put(at + 4, parts->main_go - base, 4);
	put(at + 8, parts->lib_go - base, 4);
	return at + 12;
}

static size_t put_tables(const struct way *way, size_t at, struct parts *parts)
{
	const int quarters[] = { 0x10, 0x10, 0x10, 0x10 };
	const int half[] = { 0x20, 0x10, 0x10 };
	const int all[] = { TEXT_LEN - MAIN };
	int first = is_old(way) ? 1 : 0;

	parts->values = at;
	parts->crash_files = at + 1; /* 0 is none */
	parts->crash_lines = put_values(parts->crash_files,
		(int[]){ first, first + 1, first }, half, 3);
	parts->inlined = put_values(parts->crash_lines,
		(int[]){ 10, 21, 31, 12 }, quarters, 4);
	parts->main_files = put_values(parts->inlined,
		(int[]){ -1, 0, 1, -1 }, quarters, 4);
	parts->main_lines = put_values(parts->main_files, &first, all, 1);
	return put_values(parts->main_lines, (int[]){ 5 }, all, 1);
}

/* The length of a function's address, in its record and in the index. */
static size_t entry_len(const struct way *way)
{
	return way->magic == GO12 || way->magic == GO116 ? 8 : 4;
}

/* The lists behind the record of main.crash: three tables, of which the last is
 * of inlined calls, and four data, of which the last is the tree, 8 bytes
 * behind go.func.*. Returns where they end. */
static size_t put_lists(size_t at, size_t inlined)
{
	put(at + 8, inlined, 4);
	for (size_t i = 0; i < 3; i++)
		put(at + 12 + 4 * i, UINT32_MAX, 4);
	put(at + 24, 8, 4);
	return at + 28;
}

/* What a function's record says; offsets as they are written. */
struct record {
	size_t entry, name, files, lines, inlined;
};

/* RECORD at AT; where the next one may be. */
static size_t put_record(const struct way *way, size_t at,
			 const struct record *record)
{
	size_t len = entry_len(way);
	bool has_lists = record->inlined && len == 4;

	put(at, len == 8 ? TEXT + record->entry : record->entry, len);
	at += len;
	put(at, record->name, 4);
	put(at + 16, record->files, 4);
	put(at + 20, record->lines, 4);
	put(at + 24, has_lists ? 3 : 0, 4);
	if (!is_old(way)) {
		put(at + 28, record->files ? 1 : UINT32_MAX, 4);
		at += 4;
	}
	if (way->magic == GO120)
		at += 4; /* line of the func keyword */
	image[at + 31] = has_lists ? 4 : 0;
	at += 32;
	return align(has_lists ? put_lists(at, record->inlined) : at);
}

/* The index at AT, which counts records from BASE, and the records; where the
 * last one ends. */
static size_t put_functions(const struct way *way, size_t at, size_t base,
			    const struct parts *parts)
{
	size_t names = is_old(way) ? TABLE_AT : parts->names;
	size_t values = is_old(way) ? TABLE_AT : parts->values;
	const struct record records[] = {
		{ CRASH, parts->crash - names, parts->crash_files - values,
		  parts->crash_lines - values, parts->inlined - values },
		{ FOREIGN, parts->foreign - names, 0, 0, 0 },
		{ MAIN, parts->main - names, parts->main_files - values,
		  parts->main_lines - values, 0 },
	};
	size_t len = entry_len(way), record = align(at + 7 * len + 4);
	size_t from = len == 8 ? TEXT : 0;

	for (size_t i = 0; i < 3; i++) {
		put(at + 2 * i * len, from + records[i].entry, len);
		put(at + (2 * i + 1) * len, record - base, len);
		record = put_record(way, record, &records[i]);
	}
	put(at + 6 * len, from + TEXT_LEN, len);
	if (is_old(way))
		put(at + 7 * len, parts->units - TABLE_AT, 4);
	return record;
}

/* The tree of main.crash: main.outer is called at offset 8 of its code, and
 * main.inner at 0x18, in what is main.outer's. */
static void put_tree(const struct way *way, const struct parts *parts)
{
	size_t at = TREE_AT + 8;

	if (way->magic == GO118) {
		put(at, UINT16_MAX, 2); /* number of the one around it */
		put(at + 12, parts->outer - parts->names, 4);
		put(at + 16, 8, 4);
		put(at + 20 + 12, parts->inner - parts->names, 4);
		put(at + 20 + 16, 0x18, 4);
	} else {
		put(at + 4, parts->outer - parts->names, 4);
		put(at + 8, 8, 4);
		put(at + 16 + 4, parts->inner - parts->names, 4);
		put(at + 16 + 8, 0x18, 4);
	}
}

static void put_module(const struct way *way, const struct parts *parts)
{
	put_pointer(way, MODULE_AT, address_of(TABLE_AT));
	put_pointer(way, MODULE_AT + 8, address_of(parts->names));
	put_pointer(way, MODULE_AT + 32, address_of(parts->units));
	put_pointer(way, MODULE_AT + 176, TEXT);
	put_pointer(way, MODULE_AT + (way->magic == GO120 ? 320 : 304),
		    address_of(TREE_AT));
}

/* The rest of the header, where that says where the parts are. */
static void put_header(const struct way *way, const struct parts *parts)
{
	const size_t places[] = { parts->names, parts->units, parts->files,
				  parts->values, parts->records };
	size_t at = TABLE_AT + 16;

	put(at, 2, 8); /* files */
	at += 8;
	if (way->magic != GO116) {
		if (!way->has_no_text)
			put_pointer(way, at, TEXT);
		at += 8;
	}
	for (size_t i = 0; i < 5; i++)
		put(at + 8 * i, places[i] - TABLE_AT, 8);
}

/* All of the table; where it ends. */
static size_t put_table(const struct way *way, struct parts *parts)
{
	size_t at = TABLE_AT + (is_old(way) ? 0x100 : 0x50);

	put(TABLE_AT, way->magic, 4);
	image[TABLE_AT + 6] = 1; /* instructions begin at any byte */
	image[TABLE_AT + 7] = 8; /* and pointers are long */
	put(TABLE_AT + 8, 3, 8); /* functions */
	at = put_units(way, align(put_names(at, parts)), parts);
	at = put_tables(way, at, parts);
	if (is_old(way)) {
		CHECK(put_functions(way, TABLE_AT + 16, TABLE_AT, parts) <=
		      parts->names);
		return at;
	}
	parts->records = align(at);
	put_header(way, parts);
	return put_functions(way, parts->records, parts->records, parts);
}

static void put_phdr(size_t number, uint32_t type, uint32_t flags, size_t at,
		     uint64_t address, size_t len)
{
	const Elf64_Phdr phdr = {
		.p_type = type, .p_flags = flags, .p_offset = at,
		.p_vaddr = address, .p_filesz = len, .p_memsz = len,
	};

	memcpy(image + PHDRS_AT + number * sizeof(phdr), &phdr, sizeof(phdr));
}

static void put_dynamic(void)
{
	const Elf64_Dyn dynamic[] = {
		{ .d_tag = DT_RELA,
		  .d_un.d_val = address_of(RELOCATIONS_AT) },
		{ .d_tag = DT_RELASZ,
		  .d_un.d_val = nrelocations * sizeof(Elf64_Rela) },
		{ .d_tag = DT_NULL },
	};

	memcpy(image + DYNAMIC_AT, dynamic, sizeof(dynamic));
	put_phdr(2, PT_DYNAMIC, PF_R, DYNAMIC_AT, address_of(DYNAMIC_AT),
		 sizeof(dynamic));
}

static void put_section(size_t number, uint32_t name, uint32_t type,
			size_t at, size_t len)
{
	const Elf64_Shdr shdr = {
		.sh_name = name, .sh_type = type, .sh_flags = SHF_ALLOC,
		.sh_addr = address_of(at), .sh_offset = at, .sh_size = len,
		.sh_addralign = 1,
	};

	memcpy(image + SECTIONS_AT + number * sizeof(shdr), &shdr,
	       sizeof(shdr));
}

static void put_sections(const struct way *way, size_t end)
{
	static const char names[] = "\0.gopclntab\0.data.rel.ro\0"
				    ".go.buildinfo\0.shstrtab";

	memcpy(image + NAMES_AT, names, sizeof(names));
	put_section(1, way->is_hidden ? 12 : 1, SHT_PROGBITS,
		    way->is_hidden ? TREE_AT : TABLE_AT,
		    end - (way->is_hidden ? TREE_AT : TABLE_AT));
	put_section(2, way->is_hidden ? 25 : 0, SHT_PROGBITS, MODULE_AT, 16);
	put_section(3, 39, SHT_STRTAB, NAMES_AT, sizeof(names));
}

/* The file, in IMAGE; its length. */
static size_t make(const struct way *way)
{
	const Elf64_Ehdr ehdr = {
		.e_ident = { 0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB,
			     EV_CURRENT },
		.e_type = way->is_relocated ? ET_DYN : ET_EXEC,
		.e_machine = EM_X86_64,
		.e_version = EV_CURRENT,
		.e_phoff = PHDRS_AT,
		.e_shoff = SECTIONS_AT,
		.e_ehsize = sizeof(Elf64_Ehdr),
		.e_phentsize = sizeof(Elf64_Phdr),
		.e_phnum = 3,
		.e_shentsize = sizeof(Elf64_Shdr),
		.e_shnum = 4,
		.e_shstrndx = 3,
	};
	struct parts parts;
	size_t end;

	memset(image, 0, sizeof(image));
	nrelocations = 0;
	memcpy(image, &ehdr, sizeof(ehdr));
	end = put_table(way, &parts);
	CHECK(end <= sizeof(image));
	put_tree(way, &parts);
	if (!way->has_no_module)
		put_module(way, &parts);
	put_phdr(0, PT_LOAD, PF_R | PF_X, TEXT_AT, TEXT, TEXT_LEN);
	put_phdr(1, PT_LOAD, PF_R | PF_W, MODULE_AT, DATA, end - MODULE_AT);
	if (nrelocations > 0)
		put_dynamic();
	put_sections(way, end);
	return end;
}

/* The levels at the function offset WHERE of the file BYTES, as far as
 * MAX. */
static size_t levels_in(const uint8_t *bytes, size_t len, uint64_t where,
			struct level *levels, size_t max)
{
	struct gopclntab *table;
	struct elf_file file;
	size_t n = 0;

	if (!elf_file_memory("image", (void *)(uintptr_t)bytes, len, &file,
			     NULL))
		return 0;
	table = gopclntab_open(&file);
	if (table)
		n = gopclntab_levels(table, TEXT + where, levels, max);
	gopclntab_close(table);
	elf_file_close(&file);
	return n;
}

static void check_level(const struct level *level, const char *name,
			const char *file, uint32_t line)
{
	CHECK_STRING(level->function, name);
	CHECK_STRING(level->file, file);
	CHECK_NUMBER(level->line, line);
	CHECK(!level->is_linkage && !level->approximate);
}

/* What all versions say. */
static void check_functions(const struct way *way)
{
	struct level levels[LEVELS];
	size_t len = make(way);

	printf("# %s\n", way->name);
	if (CHECK_NUMBER(levels_in(image, len, CRASH, levels, LEVELS), 1))
		check_level(levels, "main.crash", "/src/main.go", 10);
	if (CHECK_NUMBER(levels_in(image, len, FOREIGN - 1, levels, LEVELS),
			 1))
		check_level(levels, "main.crash", "/src/main.go", 12);
	if (CHECK_NUMBER(levels_in(image, len, FOREIGN, levels, LEVELS), 1))
		check_level(levels, "x_foreign", NULL, 0);
	if (CHECK_NUMBER(levels_in(image, len, TEXT_LEN - 1, levels, LEVELS),
			 1))
		check_level(levels, "main.main", "/src/main.go", 5);
	CHECK_NUMBER(levels_in(image, len, TEXT_LEN, levels, LEVELS), 0);
	CHECK_NUMBER(levels_in(image, len, (uint64_t)-1, levels, LEVELS), 0);
}

static void functions(void)
{
	check_functions(&go12);
	check_functions(&go116);
	check_functions(&go118);
	check_functions(&go120);
}

static void other_places(void)
{
	check_functions(&pie);
	check_functions(&hidden_pie);
	check_functions(&go126);
	check_functions(&no_module);
}

static void check_inlined(const struct way *way)
{
	struct level levels[LEVELS];
	size_t len = make(way);

	printf("# %s\n", way->name);
	if (CHECK_NUMBER(levels_in(image, len, 0x2f, levels, LEVELS), 3)) {
		check_level(&levels[0], "main.inner", "/src/lib.go", 31);
		check_level(&levels[1], "main.outer", "/src/main.go", 21);
		check_level(&levels[2], "main.crash", "/src/main.go", 10);
	}
	if (CHECK_NUMBER(levels_in(image, len, 0x10, levels, LEVELS), 2)) {
		check_level(&levels[0], "main.outer", "/src/main.go", 21);
		check_level(&levels[1], "main.crash", "/src/main.go", 10);
	}
}

static void inlined(void)
{
	check_inlined(&go118);
	check_inlined(&go120);
	check_inlined(&pie);
	check_inlined(&hidden_pie);
	check_inlined(&go126);
}

/* The function itself then, with the place that the code is from. */
static void check_not_inlined(size_t len, size_t max)
{
	struct level levels[LEVELS];

	if (CHECK_NUMBER(levels_in(image, len, 0x20, levels, max), 1))
		check_level(levels, "main.crash", "/src/lib.go", 31);
}

static void no_tree(void)
{
	check_not_inlined(make(&go12), LEVELS);
	check_not_inlined(make(&go116), LEVELS);
	check_not_inlined(make(&no_module), LEVELS);
}

static void wrong_tree(void)
{
	size_t len = make(&go120), inner = TREE_AT + 8 + 16;

	check_not_inlined(len, 2); /* no room for three */
	put(inner + 8, 0x28, 4); /* called from itself */
	check_not_inlined(len, LEVELS);
	len = make(&go120);
	put(inner + 8, 0x1000, 4); /* out of the function */
	check_not_inlined(len, LEVELS);
	len = make(&go120);
	image[inner + 4]++; /* a name that begins inside of another */
	check_not_inlined(len, LEVELS);
	len = make(&go120);
	image[inner + 1] = 1; /* not a call as they are made */
	check_not_inlined(len, LEVELS);
}

/* A PIE of old has nothing but relocations where its functions are. */
static void functions_out_of_code(void)
{
	struct level levels[LEVELS];
	size_t len = make(&go116);

	put_phdr(0, PT_LOAD, PF_R, TEXT_AT, TEXT, TEXT_LEN);
	CHECK_NUMBER(levels_in(image, len, CRASH, levels, LEVELS), 0);
	len = make(&go12);
	for (size_t i = 0; i < 4; i++)
		put(TABLE_AT + 16 + 16 * i, 0, 8);
	CHECK_NUMBER(levels_in(image, len, CRASH, levels, LEVELS), 0);
}

/* Whatever it says, it can be read. */
static void try_image(const uint8_t *bytes, size_t len)
{
	static const uint64_t places[] = { CRASH, 0x2f, FOREIGN, MAIN,
					   TEXT_LEN };
	struct level levels[LEVELS];
	struct gopclntab *table;
	struct elf_file file;

	if (!elf_file_memory("image", (void *)(uintptr_t)bytes, len, &file,
			     NULL))
		return;
	table = gopclntab_open(&file);
	for (size_t i = 0; table && i < 5; i++) {
		size_t n = gopclntab_levels(table, TEXT + places[i], levels,
					    LEVELS);

		CHECK(n <= LEVELS);
		for (size_t k = 0; k < n; k++)
			CHECK(levels[k].function &&
			      strlen(levels[k].function) > 0 &&
			      (!levels[k].file || strlen(levels[k].file) > 0));
	}
	gopclntab_close(table);
	elf_file_close(&file);
}

static void mutations(void)
{
	mutate_all(image, make(&go12), try_image);
	mutate_all(image, make(&go116), try_image);
	mutate_all(image, make(&hidden_pie), try_image);
	mutate_all(image, make(&go118), try_image);
}

static const struct test tests[] = {
	{ "each version's functions have names, files and lines", functions },
	{ "so they have in a PIE, and where the header is silent",
	  other_places },
	{ "inlined calls come before the function, with their own places",
	  inlined },
	{ "without a tree of them the function alone is named", no_tree },
	{ "the same where the tree makes no sense", wrong_tree },
	{ "functions that are not in code are not believed",
	  functions_out_of_code },
	{ "a broken table does no harm", mutations },
};

int main(void)
{
	return TEST_RUN(tests);
}
