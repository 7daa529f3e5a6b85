/* From DWARF that is written here byte by byte to the answers of an index. */
#include "../../symbolizer/index/make.h"
#include "dwarf_image.h"
#include "index_says.h"
#include "mutate.h"

enum { TOO_LONG_S = 20 };

/* The index of the ELF file in BYTES, or NULL. */
static struct index *make(const void *bytes, size_t len, struct writer *out)
{
	struct module_files files = {
		.code = ELF_FILE_NONE, .debug = ELF_FILE_NONE,
	};
	struct elf_file none = ELF_FILE_NONE;
	struct index *index = NULL;
	void *copy = malloc(len > 0 ? len : 1);
	char why[MAKE_WHY];

	memcpy(copy, bytes, len);
	writer_init(out, 1 << 26);
	if (elf_file_memory("image", copy, len, &files.debug, NULL)) {
		if (make_index(&files, &none, NULL, out, why))
			index = index_memory(out->bytes, out->len, NULL);
		elf_file_close(&files.debug);
	}
	free(copy);
	return index;
}

struct wanted {
	uint64_t address;
	const char *levels; /* innermost first: "f a.c:3 < main b.c:10~" */
};

/* WANTED ends with an address of 0. */
static void check_index(struct image *image, const struct wanted *wanted)
{
	struct writer out;
	struct index *index;

	image_write(image, &image->elf);
	index = make(image->elf.bytes, image->elf.len, &out);
	if (CHECK(index != NULL))
		for (; wanted->address != 0; wanted++)
			check_at(index, wanted->address, wanted->levels);
	index_close(index);
	writer_fini(&out);
	image_fini(image);
}

/* A unit of the usual abbreviations that has lines: a DWARF 4 one, whose table
 * is the next that is written. */
enum { LINED_UNIT = 10 };

static void put_lined_abbrevs(struct image *image)
{
	put_usual_abbrevs(image);
	image_section(image, "abbrev")->len--;
	put_abbrev(image_section(image, "abbrev"), LINED_UNIT,
		   DW_TAG_compile_unit, true, DW_AT_stmt_list,
		   DW_FORM_sec_offset, 0);
	writer_u8(image_section(image, "abbrev"), 0);
}

struct opened {
	size_t info, line;
};

static struct opened begin_lined(struct image *image)
{
	static const uint8_t operands[] = { 0, 1, 1, 1, 1, 0, 0, 0, 1 };
	struct writer *info = image_section(image, "info");
	struct writer *line = image_section(image, "line");
	struct opened opened = { .info = put_length(info, 4) };
	size_t head;

	put_unit_head(info, 4, 4, 0, 0);
	writer_uleb(info, LINED_UNIT);
	writer_u32(info, (uint32_t)line->len);
	opened.line = put_length(line, 4);
	writer_u16(line, 3);
	head = put_length(line, 4);
	writer_u32(line, 0x01000101); /* instruction, is_stmt, base, range */
	writer_u8(line, sizeof(operands) + 1);
	writer_bytes(line, operands, sizeof(operands));
	writer_u8(line, 0);
	put_text(line, "a.c");
	writer_zero(line, 3);
	put_text(line, "b.h");
	writer_zero(line, 3);
	writer_u8(line, 0);
	end_length(line, 4, head);
	return opened;
}

static void end_lined(struct image *image, struct opened opened)
{
	end_length(image_section(image, "info"), 4, opened.info);
	end_length(image_section(image, "line"), 4, opened.line);
}

static void put_file(struct writer *line, uint64_t file)
{
	writer_u8(line, DW_LNS_set_file);
	writer_uleb(line, file);
}

/* Lines and functions */

static void put_sample(struct image *image)
{
	struct writer *info = image_section(image, "info");
	struct writer *line = image_section(image, "line");
	struct opened opened;
	uint32_t leaf;

	put_lined_abbrevs(image);
	opened = begin_lined(image);
	leaf = put_function(info, "leaf", 0, 0);
	writer_u8(info, 0);
	put_function(info, "main", 0x1000, 0x40);
	put_inlined(info, leaf, 0x1010, 0x10, 12);
	writer_u16(info, 0);
	put_function(info, "bare", 0x2000, 0x10);
	end_lined(image, opened);
	put_set_address(line, 0x1000);
	put_row(line, 0, 9);
	put_file(line, 2);
	put_row(line, 0x14, 80); /* within the call */
	put_file(line, 1);
	put_row(line, 0xc, -70);
	put_row(line, 0x30, 80); /* beyond the function */
	put_end(line, 0x10);
	end_lined(image, opened);
}

static void sample(void)
{
	static const struct wanted wanted[] = {
		{ 0xfff, "" },
		{ 0x1000, "main a.c:10" },
		{ 0x1010, "leaf a.c:10 < main a.c:12" },
		{ 0x1014, "leaf b.h:90 < main a.c:12" },
		{ 0x101f, "leaf b.h:90 < main a.c:12" },
		{ 0x1020, "main a.c:20" },
		{ 0x103f, "main a.c:20" },
		{ 0x1040, "? a.c:20" },
		{ 0x1050, "? a.c:100" },
		{ 0x1060, "" },
		{ 0x2000, "bare ?:0" },
		{ 0x2010, "" },
		{ 0 },
	};
	struct image image = { 0 };

	put_sample(&image);
	check_index(&image, wanted);
}

/* Of functions that overlap the narrower counts, of equals the first; and what
 * is inlined only counts where its caller does. */
static void overlapping_functions(void)
{
	static const struct wanted wanted[] = {
		{ 0x1000, "wide ?:0" },
		{ 0x1010, "leaf ?:0 < wide ?:1" },
		{ 0x1020, "narrow ?:0" },
		{ 0x102f, "narrow ?:0" },
		{ 0x1030, "wide ?:0" },
		{ 0x3000, "first ?:0" },
		{ 0 },
	};
	struct image image = { 0 };
	struct writer *info = image_section(&image, "info");
	uint32_t leaf;
	size_t start;

	put_usual_abbrevs(&image);
	start = put_usual_unit(&image);
	leaf = put_function(info, "leaf", 0, 0);
	writer_u8(info, 0);
	put_function(info, "narrow", 0x1020, 0x10);
	writer_u8(info, 0);
	put_function(info, "wide", 0x1000, 0x40);
	put_inlined(info, leaf, 0x1010, 0x20, 1); /* into narrow, too */
	put_inlined(info, leaf, 0x2000, 0x20, 1); /* elsewhere */
	writer_zero(info, 3);
	put_function(info, "first", 0x3000, 0x10);
	writer_u8(info, 0);
	put_function(info, "second", 0x3000, 0x10);
	end_length(info, 4, start);
	check_index(&image, wanted);
}

/* Line 0 stands for the last before it in the same function, if that is not
 * far. */
static void line_zero(void)
{
	static const struct wanted wanted[] = {
		{ 0x1000, "f a.c:0" },  /* none before it */
		{ 0x1004, "f b.h:10" },
		{ 0x1008, "f b.h:10~" },
		{ 0x100c, "leaf a.c:0 < f a.c:7" },
		{ 0x1010, "f b.h:10~" },
		{ 0x1014, "f a.c:20" },
		{ 0x1018 + 4 * 100, "f a.c:20~" },
		{ 0x1018 + 4 * 299, "f a.c:0" },
		{ 0x2000, "g a.c:0" },
		{ 0x2004, "? a.c:0" }, /* behind the end of a sequence */
		{ 0 },
	};
	struct image image = { 0 };
	struct writer *info = image_section(&image, "info");
	struct writer *line = image_section(&image, "line");
	struct opened opened;
	uint32_t leaf;

	put_lined_abbrevs(&image);
	opened = begin_lined(&image);
	leaf = put_function(info, "leaf", 0, 0);
	writer_u8(info, 0);
	put_function(info, "f", 0x1000, 0x1000);
	put_inlined(info, leaf, 0x100c, 4, 7);
	writer_u16(info, 0);
	put_function(info, "g", 0x2000, 4);
	put_set_address(line, 0x1000);
	put_row(line, 0, -1);
	put_file(line, 2);
	put_row(line, 4, 10);
	put_file(line, 1);
	put_row(line, 4, -10);
	put_row(line, 4, 0);
	put_row(line, 4, 0);
	put_row(line, 4, 20);
	put_row(line, 4, -20);
	for (int i = 1; i < 300; i++)
		put_row(line, 4, 0);
	put_set_address(line, 0x2000);
	put_row(line, 0, 0);
	put_end(line, 4);
	put_set_address(line, 0x2004);
	put_row(line, 0, -1);
	put_end(line, 4);
	end_lined(&image, opened);
	check_index(&image, wanted);
}

/* Rows at the last address there is, which stands for "none" elsewhere. */
static void last_address(void)
{
	static const struct wanted wanted[] = {
		{ 0x1000, "? a.c:2" }, { UINT64_MAX, "" }, { 0 },
	};
	struct image image = { 0 };
	struct writer *line = image_section(&image, "line");
	struct opened opened;

	put_lined_abbrevs(&image);
	opened = begin_lined(&image);
	put_set_address(line, 0x1000);
	put_row(line, 0, 1);
	put_set_address(line, UINT64_MAX);
	for (int i = 0; i < 1000; i++)
		put_row(line, 0, 1);
	put_set_address(line, 0x2000);
	put_end(line, 0);
	end_lined(&image, opened);
	check_index(&image, wanted);
}

/* Of several instances of a function the linker has kept one, which all units
 * mean: what the others say may be of other code. */
static void several_units(void)
{
	static const struct wanted wanted[] = {
		{ 0x1000, "f a.c:2" }, { 0x1007, "f a.c:2" },
		{ 0x1008, "f a.c:3" }, { 0x100f, "f a.c:3" },
		{ 0x1010, "g a.c:3" }, { 0x1020, "" }, { 0 },
	};
	struct image image = { 0 };
	struct writer *info = image_section(&image, "info");
	struct writer *line = image_section(&image, "line");
	uint32_t f;

	put_lined_abbrevs(&image);
	for (unsigned i = 0; i < 3; i++) {
		struct opened opened = begin_lined(&image);
		uint64_t at = i == 1 ? 0x1010 : 0x1000;

		/* The last is where the first one is. */
		f = put_function(info, i == 1 ? "g" : "f", at, 0x10);
		if (i == 2)
			put_inlined(info, f - (uint32_t)opened.info + 4, at + 4,
				    8, 1);
		put_set_address(line, at);
		put_row(line, 0, i + 1);
		if (i == 0)
			put_row(line, 8, 1);
		put_end(line, i == 0 ? 8 : 0x10);
		end_lined(&image, opened);
	}
	check_index(&image, wanted);
}

/* Functions each of which is in the next: as many cells as there are of them,
 * squared, if all were painted. */
static void nested_for_ever(void)
{
	static const struct wanted wanted[] = { { 0 } };
	enum { N = 200000 };
	struct image image = { 0 };
	struct writer *info = image_section(&image, "info");
	size_t start;

	put_usual_abbrevs(&image);
	start = put_usual_unit(&image);
	for (uint64_t i = 0; i < N; i++) {
		put_function(info, "f", 0x1000 + i, 2 * (N - i));
		writer_u8(info, 0);
	}
	end_length(info, 4, start);
	alarm(TOO_LONG_S);
	check_index(&image, wanted);
	alarm(0);
}

/* Calls */

static void tail_calls(void)
{
	struct image image = { 0 };
	struct writer *info = image_section(&image, "info");
	struct writer *abbrev = image_section(&image, "abbrev");
	struct index_tail tails[4];
	struct writer out;
	struct index *index;
	uint32_t last, first;
	uint64_t callee = 0;
	size_t start;

	put_usual_abbrevs(&image);
	abbrev->len--;
	put_abbrev(abbrev, 20, DW_TAG_subprogram, true, DW_AT_name,
		   DW_FORM_string, DW_AT_low_pc, DW_FORM_addr, DW_AT_high_pc,
		   DW_FORM_data8, DW_AT_call_all_calls, DW_FORM_flag_present,
		   0);
	put_abbrev(abbrev, 21, DW_TAG_call_site, false, DW_AT_call_return_pc,
		   DW_FORM_addr, DW_AT_call_origin, DW_FORM_ref4,
		   DW_AT_call_tail_call, DW_FORM_flag, 0);
	start = put_usual_unit(&image);
	last = put_function(info, "last", 0x1000, 0x10);
	writer_u8(info, 0);
	first = (uint32_t)info->len;
	writer_uleb(info, 20);
	put_text(info, "first");
	writer_u64(info, 0x2000);
	writer_u64(info, 0x10);
	writer_uleb(info, 21);
	writer_u64(info, 0x2010);
	writer_u32(info, last);
	writer_u8(info, 1);
	writer_u8(info, 0);
	put_function(info, "main", 0x3000, 0x10);
	writer_uleb(info, 21);
	writer_u64(info, 0x3008);
	writer_u32(info, first);
	writer_u8(info, 0);
	end_length(info, 4, start);
	image_write(&image, &image.elf);
	index = make(image.elf.bytes, image.elf.len, &out);
	if (CHECK(index != NULL)) {
		CHECK(index_call(index, 0x3008, &callee));
		CHECK_NUMBER(callee, 0x2000);
		if (CHECK_NUMBER(index_tails(index, callee, tails, 4), 1)) {
			CHECK_NUMBER(tails[0].return_pc, 0x2010);
			CHECK_NUMBER(tails[0].callee, 0x1000);
			CHECK(!tails[0].is_end);
		}
	}
	index_close(index);
	writer_fini(&out);
	image_fini(&image);
}

/* Mutations */

static void try_index(const uint8_t *bytes, size_t len)
{
	char text[512];
	struct writer out;
	struct index *index = make(bytes, len, &out);

	if (index) {
		index_says(index, 0x1014, text, sizeof(text));
		index_says(index, 0x2000, text, sizeof(text));
	}
	index_close(index);
	writer_fini(&out);
}

static void mutations(void)
{
	struct image image = { 0 };

	put_sample(&image);
	image_write(&image, &image.elf);
	mutate_all(image.elf.bytes, image.elf.len, try_index);
	image_fini(&image);
}

static const struct test tests[] = {
	{ "functions, what was inlined, files and lines are told", sample },
	{ "functions that overlap do not share code", overlapping_functions },
	{ "code without a line has the nearest one", line_zero },
	{ "rows at the end of the address space do no harm", last_address },
	{ "of several instances of a function the first counts",
	  several_units },
	{ "functions in functions in functions take no time",
	  nested_for_ever },
	{ "tail calls are told", tail_calls },
	{ "no mutation of a file does harm", mutations },
};

int main(void)
{
	return TEST_RUN(tests);
}
