/* /proc/PID/maps as text, and the ELF images that it and a made-up memory
 * show. */
#include "../../lib/proc/maps.h"

#include <elf.h>
#include <stddef.h>

#include "mutate.h"
#include "test.h"

enum { IMAGE = 0x1000, MAX_IMAGES = 8 };

/* Memory: small ELF images at their addresses. */
struct memory {
	struct {
		uint64_t address;
		uint8_t bytes[IMAGE];
	} images[MAX_IMAGES];
	size_t len;
	size_t reads;
	bool everywhere; /* the first image is at every address */
};

static struct memory memory;

static size_t read_memory(void *context, uint64_t address, void *to,
			  size_t len)
{
	struct memory *m = context;

	m->reads++;
	for (size_t i = 0; i < m->len; i++) {
		uint64_t skip = address - m->images[i].address;

		if (m->everywhere)
			skip = address % IMAGE;
		else if (address < m->images[i].address || skip >= IMAGE)
			continue;
		if (len > IMAGE - skip)
			len = IMAGE - (size_t)skip;
		memcpy(to, m->images[i].bytes + skip, len);
		return len;
	}
	return 0;
}

/* A note of NOTE_LEN bytes behind a property note, both padded to ALIGN. */
static size_t write_notes(uint8_t *to, size_t align, const void *id,
			  uint32_t id_len)
{
	const uint32_t property[3] = { 4, 4, 5 };
	const uint32_t head[3] = { 4, id_len, NT_GNU_BUILD_ID };
	size_t at = 16;

	memcpy(to, property, 12);
	memcpy(to + 12, "GNU", 4);
	at += (4 + align - 1) / align * align;
	memcpy(to + at, head, 12);
	memcpy(to + at + 12, "GNU", 4);
	memcpy(to + at + 16, id, id_len);
	return at + 16 + id_len;
}

/* An image of SPAN bytes in memory whose build-id is BYTE twenty times. */
static uint8_t *add_image(uint64_t address, uint64_t span, uint8_t byte,
			  size_t align)
{
	uint8_t *to = memory.images[memory.len].bytes;
	Elf64_Ehdr ehdr = {
		.e_ident = { 0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB,
			     EV_CURRENT },
		.e_type = ET_DYN,
		.e_machine = EM_X86_64,
		.e_phoff = sizeof(Elf64_Ehdr),
		.e_phentsize = sizeof(Elf64_Phdr),
		.e_phnum = 3,
	};
	Elf64_Phdr phdrs[3] = {
		{ .p_type = PT_LOAD, .p_memsz = 0x800, .p_filesz = 0x800 },
		{ .p_type = PT_LOAD, .p_offset = 0x800, .p_vaddr = 0x800,
		  .p_filesz = 8, .p_memsz = span - 0x800 },
		{ .p_type = PT_NOTE, .p_offset = 0x400, .p_vaddr = 0x400,
		  .p_align = align },
	};
	uint8_t id[20];

	memset(id, byte, sizeof(id));
	memset(to, 0, IMAGE);
	phdrs[2].p_filesz = write_notes(to + 0x400, align, id, sizeof(id));
	memcpy(to, &ehdr, sizeof(ehdr));
	memcpy(to + sizeof(ehdr), phdrs, sizeof(phdrs));
	memory.images[memory.len++].address = address;
	return to;
}

static struct maps parse(const char *text, char **copy_out)
{
	struct maps maps = { .len = 0 };
	struct error err;

	*copy_out = strdup(text);
	CHECK(maps_parse(*copy_out, strlen(text), &maps, &err));
	return maps;
}

/* The modules of TEXT; for report_free(). */
static struct report modules_of(const char *text)
{
	struct report report;
	struct error err = { .text = "" };
	struct maps maps;
	char *copy;

	CHECK(report_init(&report, &err));
	maps = parse(text, &copy);
	memory.reads = 0;
	CHECK(maps_modules(&maps, read_memory, &memory, &report, &err));
	maps_free(&maps);
	free(copy);
	return report;
}

static void check_module(const struct report *report, size_t i,
			 const char *path, uint64_t base, uint64_t size,
			 uint8_t byte)
{
	const struct module *module = &report->modules[i];

	if (!CHECK(i < report->nmodules))
		return;
	CHECK_STRING(module->path, path);
	CHECK_NUMBER(module->base, base);
	CHECK_NUMBER(module->size, size);
	if (byte == 0) {
		CHECK_NUMBER(module->build_id.len, 0);
		return;
	}
	CHECK_NUMBER(module->build_id.len, 20);
	CHECK_NUMBER(module->build_id.bytes[0], byte);
	CHECK_NUMBER(module->build_id.bytes[19], byte);
}

static void test_parse(void)
{
	char *copy;
	struct maps maps = parse(
		"00400000-00452000 r-xp 00000000 08:02 173521  /usr/bin/dbus\n"
		"00e03000-00e24000 rw-p 00000000 00:00 0       [heap]\n"
		"7f00-8000 ---s 00001000 fe:0a 18446744073709551615\n"
		"ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0"
		"                  [vsyscall]", &copy);

	if (CHECK_NUMBER(maps.len, 4)) {
		/* They come out by address. */
		CHECK_NUMBER(maps.entries[0].start, 0x7f00);
		CHECK_NUMBER(maps.entries[0].inode, UINT64_MAX);
		CHECK_NUMBER(maps.entries[0].offset, 0x1000);
		CHECK_STRING(maps.entries[0].path, "");
		CHECK(!maps.entries[0].read && !maps.entries[0].exec);
		CHECK_NUMBER(maps.entries[1].end, 0x452000);
		CHECK(maps.entries[1].read && maps.entries[1].exec &&
		      !maps.entries[1].write);
		CHECK_STRING(maps.entries[1].path, "/usr/bin/dbus");
		CHECK_STRING(maps.entries[2].path, "[heap]");
		CHECK_STRING(maps.entries[3].path, "[vsyscall]");
	}
	maps_free(&maps);
	free(copy);
}

static void test_paths(void)
{
	char *copy;
	struct maps maps = parse(
		"1000-2000 r--p 00000000 08:02 1    /a b  c\n"
		"2000-3000 r--p 00000000 08:02 2    /new\\012line\\012\n"
		"3000-4000 r--p 00000000 08:02 3    /back\\slash\n"
		"4000-5000 r--p 00000000 08:02 4    /gone (deleted)\n", &copy);

	if (CHECK_NUMBER(maps.len, 4)) {
		CHECK_STRING(maps.entries[0].path, "/a b  c");
		CHECK_STRING(maps.entries[1].path, "/new\nline\n");
		CHECK_STRING(maps.entries[2].path, "/back\\slash");
		CHECK_STRING(maps.entries[3].path, "/gone (deleted)");
	}
	maps_free(&maps);
	free(copy);
}

static void test_bad_lines(void)
{
	char *copy;
	struct maps maps = parse(
		"\n"
		"x000-2000 r--p 00000000 08:02 1 /x\n"
		"2000-2000 r--p 00000000 08:02 1 /empty\n"
		"3000-2000 r--p 00000000 08:02 1 /backwards\n"
		"10000000000000000-2 r--p 00000000 08:02 1 /too-long\n"
		"1000-2000 r-\n"
		"1000-2000 r--p 00000000 08:02 x /inode\n"
		"1000-2000 r--p 00000000 0802 1 /device\n"
		"1000-3000 r--p 00000000 08:02 1 /good\n"
		"2000-4000 r--p 00000000 08:02 1 /overlaps\n"
		"4000-5000 r--p 00000000 08:02 1", &copy);

	if (CHECK_NUMBER(maps.len, 2)) {
		CHECK_STRING(maps.entries[0].path, "/good");
		CHECK_NUMBER(maps.entries[1].start, 0x4000);
	}
	maps_free(&maps);
	free(copy);
}

static void test_find(void)
{
	char *copy;
	struct maps maps = parse(
		"1000-2000 r--p 00000000 00:00 0\n"
		"3000-4000 r--p 00000000 00:00 0\n"
		"4000-5000 r--p 00000000 00:00 0\n", &copy);

	CHECK(maps_find(&maps, 0xfff) == NULL);
	CHECK(maps_find(&maps, 0x1000) == &maps.entries[0]);
	CHECK(maps_find(&maps, 0x1fff) == &maps.entries[0]);
	CHECK(maps_find(&maps, 0x2000) == NULL);
	CHECK(maps_find(&maps, 0x3fff) == &maps.entries[1]);
	CHECK(maps_find(&maps, 0x4000) == &maps.entries[2]);
	CHECK(maps_find(&maps, UINT64_MAX) == NULL);
	maps_free(&maps);
	free(copy);
}

static void test_modules(void)
{
	struct report report;

	memory.len = 0;
	add_image(0x10000, 0x5000, 0xaa, 4);
	add_image(0x70000, 0x8000, 0xbb, 8);
	add_image(0xf0000, 0x1000, 0xcc, 4);
	report = modules_of(
		/* An executable in pieces: RELRO, and .bss that is anonymous
		 * and lies behind its last mapping. */
		"10000-11000 r--p 00000000 08:02 7 /bin/prog\n"
		"11000-13000 r-xp 00001000 08:02 7 /bin/prog\n"
		"13000-14000 r--p 00003000 08:02 7 /bin/prog\n"
		"14000-15000 rw-p 00003000 08:02 7 /bin/prog\n"
		"15000-16000 rw-p 00000000 00:00 0\n"
		"20000-30000 rw-p 00000000 00:00 0 [heap]\n"
		/* Data that is no module. */
		"60000-61000 r--p 00000000 08:02 9 /usr/lib/locale-archive\n"
		/* A library with a hole, and text over which something
		 * anonymous was put. */
		"70000-71000 r--p 00000000 08:02 8 /lib/x y.so (deleted)\n"
		"71000-72000 ---p 00000000 00:00 0\n"
		"72000-73000 r-xp 00000000 00:00 0\n"
		"73000-74000 rw-p 00002000 08:02 8 /lib/x y.so (deleted)\n"
		"e0000-f0000 r--p 00000000 00:00 0 [vvar]\n"
		"f0000-f1000 r-xp 00000000 00:00 0 [vdso]\n");
	CHECK_NUMBER(report.nmodules, 3);
	check_module(&report, 0, "/bin/prog", 0x10000, 0x5000, 0xaa);
	check_module(&report, 1, "/lib/x y.so", 0x70000, 0x4000, 0xbb);
	check_module(&report, 2, "[vdso]", 0xf0000, 0x1000, 0xcc);
	/* One read each: headers and notes are in the first page. */
	CHECK_NUMBER(memory.reads, 3);
	report_free(&report);
}

static void test_not_modules(void)
{
	struct report report;

	memory.len = 0;
	add_image(0x10000, 0x1000, 0xaa, 4);
	add_image(0x20000, 0x1000, 0xbb, 4);
	memory.images[1].bytes[0] = 'x';
	report = modules_of(
		/* Never executed: somebody reads an ELF file. */
		"10000-11000 r--p 00000000 08:02 7 /bin/prog\n"
		/* Executed, but not ELF. */
		"20000-21000 r-xp 00000000 00:01 9 /memfd:jit (deleted)\n"
		/* Executed, not there to be read. */
		"30000-31000 --xp 00000000 00:01 8 /dev/zero (deleted)\n"
		"40000-41000 r-xp 00000000 00:00 0\n");
	CHECK_NUMBER(report.nmodules, 0);
	report_free(&report);
}

/* Loaded twice, side by side (dlmopen does that), and small enough that both
 * of its segments map file offset 0. */
static void test_two_copies(void)
{
	struct report report;

	memory.len = 0;
	add_image(0x10000, 0x3000, 0xaa, 4);
	add_image(0x12000, 0x3000, 0xaa, 4);
	add_image(0x13000, 0x3000, 0xaa, 4);
	report = modules_of(
		"10000-11000 r-xp 00000000 08:02 7 /lib/a.so\n"
		"12000-13000 rw-p 00000000 08:02 7 /lib/a.so\n"
		"13000-14000 r-xp 00000000 08:02 7 /lib/a.so\n"
		"15000-16000 rw-p 00000000 08:02 7 /lib/a.so\n");
	CHECK_NUMBER(report.nmodules, 2);
	check_module(&report, 0, "/lib/a.so", 0x10000, 0x3000, 0xaa);
	check_module(&report, 1, "/lib/a.so", 0x13000, 0x3000, 0xaa);
	report_free(&report);
}

/* A library inside an archive: its first page is not the file's. */
static void test_inside_a_file(void)
{
	struct report report;

	memory.len = 0;
	add_image(0x10000, 0x2000, 0xaa, 4);
	report = modules_of(
		"10000-11000 r--p 00042000 08:02 7 /app.apk\n"
		"11000-12000 r-xp 00043000 08:02 7 /app.apk\n");
	CHECK_NUMBER(report.nmodules, 1);
	check_module(&report, 0, "/app.apk", 0x10000, 0x2000, 0xaa);
	report_free(&report);
}

static void test_no_build_id(void)
{
	struct report report;
	uint8_t *image;

	memory.len = 0;
	image = add_image(0x10000, 0x1000, 0xaa, 4);
	image[0x400 + 20 + 4] = MAX_BUILD_ID + 1; /* its length */
	report = modules_of("10000-11000 r-xp 00000000 08:02 7 /lib/a.so\n");
	CHECK_NUMBER(report.nmodules, 1);
	check_module(&report, 0, "/lib/a.so", 0x10000, 0x1000, 0);
	report_free(&report);
}

/* Overwrite the notes of IMAGE with one of Go's linker: an id of LEN bytes. */
static void put_go_note(uint8_t *image, const char *id, uint32_t len)
{
	const uint32_t head[3] = { GO_NOTE_NAME_LEN, len, GO_NOTE_TYPE };

	memcpy(image + 0x400, head, sizeof(head));
	memcpy(image + 0x40c, GO_NOTE_NAME, GO_NOTE_NAME_LEN);
	memcpy(image + 0x410, id, len);
}

static void test_go_id(void)
{
	static const uint8_t hash[20] = {
		0xb0, 0xe9, 0x31, 0xa1, 0x6b, 0xc5, 0x65, 0x39, 0x20, 0x3c,
		0x42, 0x0d, 0xec, 0x72, 0x0f, 0x56, 0x1b, 0x8a, 0xde, 0x07,
	};
	struct report report;

	memory.len = 0;
	put_go_note(add_image(0x10000, 0x1000, 0xaa, 4),
		    "0123456789abcdefghij/0123456789abcdefghi", 40);
	put_go_note(add_image(0x20000, 0x1000, 0xbb, 4), "0123", 4);
	report = modules_of("10000-11000 r-xp 00000000 08:02 7 /bin/a\n"
			    "20000-21000 r-xp 00000000 08:02 8 /bin/b\n");
	if (CHECK_NUMBER(report.nmodules, 2))
		CHECK_BYTES(report.modules[0].build_id.bytes,
			    report.modules[0].build_id.len, hash, sizeof(hash));
	check_module(&report, 1, "/bin/b", 0x20000, 0x1000, 0xbb);
	report_free(&report);
}

/* As many as may be, each looked at once. */
static void test_module_limit(void)
{
	enum { N = MAX_MODULES + 10, LINE = 80 };
	char *text = calloc(N, LINE);
	size_t at = 0;
	struct report report;

	memory.len = 0;
	memory.everywhere = true;
	add_image(0, 0x1000, 0xaa, 4);
	for (unsigned i = 0; i < N; i++)
		at += (size_t)snprintf(text + at, LINE,
				       "%x-%x r-xp 00000000 08:02 %u /lib/%u\n",
				       i * IMAGE, (i + 1) * IMAGE, i + 1, i);
	report = modules_of(text);
	memory.everywhere = false;
	CHECK_NUMBER(report.nmodules, MAX_MODULES);
	check_module(&report, MAX_MODULES - 1, "/lib/8191",
		     (MAX_MODULES - 1) * IMAGE, IMAGE, 0xaa);
	CHECK(memory.reads <= N);
	report_free(&report);
	free(text);
}

static const char valid[] =
	"10000-11000 r--p 00000000 08:02 7 /bin/prog\n"
	"11000-13000 r-xp 00001000 08:02 7 /bin/prog\n"
	"13000-14000 rw-p 00000000 00:00 0\n"
	"70000-71000 r-xp 00000000 08:02 8 /lib/x\\012y.so (deleted)\n"
	"f0000-f1000 r-xp 00000000 00:00 0 [vdso]\n";

static void try_text(const uint8_t *bytes, size_t len)
{
	char *text = malloc(len + 1);
	struct report report;
	struct maps maps;
	struct error err;

	memcpy(text, bytes, len);
	text[len] = '\0';
	CHECK(report_init(&report, &err));
	CHECK(maps_parse(text, len, &maps, &err));
	for (size_t i = 1; i < maps.len; i++)
		CHECK(maps.entries[i].start >= maps.entries[i - 1].end);
	maps_find(&maps, 0x11000);
	CHECK(maps_modules(&maps, read_memory, &memory, &report, &err));
	for (size_t i = 0; i < report.nmodules; i++)
		CHECK(report.modules[i].size > 0);
	maps_free(&maps);
	report_free(&report);
	free(text);
}

static void test_mutated_text(void)
{
	memory.len = 0;
	add_image(0x10000, 0x4000, 0xaa, 4);
	add_image(0x70000, 0x1000, 0xbb, 8);
	add_image(0xf0000, 0x1000, 0xcc, 4);
	mutate_all((const uint8_t *)valid, sizeof(valid) - 1, try_text);
}

static void try_headers(const uint8_t *bytes, size_t len)
{
	memset(memory.images[0].bytes, 0, 0x440);
	memcpy(memory.images[0].bytes, bytes, len);
	try_text((const uint8_t *)valid, sizeof(valid) - 1);
}

static void test_mutated_headers(void)
{
	uint8_t bytes[0x440];

	memory.len = 0;
	add_image(0x10000, 0x4000, 0xaa, 4);
	memcpy(bytes, memory.images[0].bytes, sizeof(bytes));
	mutate_bits(bytes, 0xf0, try_headers);
	mutate_value(bytes, 0xf0, 4, 0xffffffff, try_headers);
	/* The notes as well. */
	mutate_all(bytes, sizeof(bytes), try_headers);
}

static const struct test tests[] = {
	{ "maps text is parsed", test_parse },
	{ "paths may hold spaces, newlines and more", test_paths },
	{ "lines that are none are skipped", test_bad_lines },
	{ "an address is found in the mapping that holds it", test_find },
	{ "modules are found, with their build-ids", test_modules },
	{ "what is not ELF or not executed is no module", test_not_modules },
	{ "two copies of a library are two modules", test_two_copies },
	{ "a library inside of a file is a module", test_inside_a_file },
	{ "a build-id that is too long is none", test_no_build_id },
	{ "Go's own id stands for one where there is no other", test_go_id },
	{ "of ten thousand modules the first 8192 are kept",
	  test_module_limit },
	{ "mutated maps text does no harm", test_mutated_text },
	{ "mutated ELF headers and notes do none", test_mutated_headers },
};

int main(void)
{
	return TEST_RUN(tests);
}
