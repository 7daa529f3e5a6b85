/* Line tables, which are written here byte by byte, and the paths of files. */
#include "../../symbolizer/dwarf/lines.h"
#include "dwarf_image.h"

/* What a table's head says. */
struct table {
	unsigned version, width;
	uint8_t min_instruction, max_ops, opcode_base;
	const char *dirs[4];  /* from number 1; up to NULL */
	const char *files[4]; /* from number 1; file N is in directory N - 1 */
};

enum { LINE_BASE = (uint8_t)-3, LINE_RANGE = 12, OPCODE_BASE = 13 };

static const struct table USUAL = {
	.version = 4, .width = 4, .min_instruction = 1, .max_ops = 1,
	.opcode_base = OPCODE_BASE, .files = { "a.c", "b.c", "c.c" },
};

/* Up to DWARF 4. */
static void put_old_files(struct writer *w, const struct table *table)
{
	for (size_t i = 0; table->dirs[i]; i++)
		put_text(w, table->dirs[i]);
	writer_u8(w, 0);
	for (size_t i = 0; table->files[i]; i++) {
		put_text(w, table->files[i]);
		writer_uleb(w, i); /* directory */
		writer_u16(w, 0);  /* time and size */
	}
	writer_u8(w, 0);
}

/* The first directory and file are the compiler's own, and come again. */
static void put_files(struct writer *w, const struct table *table)
{
	size_t n = 1;

	while (table->dirs[n - 1])
		n++;
	writer_u8(w, 1);
	writer_uleb(w, DW_LNCT_path);
	writer_uleb(w, DW_FORM_string);
	writer_uleb(w, n);
	put_text(w, "/build");
	for (size_t i = 0; table->dirs[i]; i++)
		put_text(w, table->dirs[i]);
	writer_u8(w, 3);
	writer_uleb(w, DW_LNCT_path);
	writer_uleb(w, DW_FORM_line_strp);
	writer_uleb(w, DW_LNCT_directory_index);
	writer_uleb(w, DW_FORM_udata);
	writer_uleb(w, DW_LNCT_MD5);
	writer_uleb(w, DW_FORM_data16);
	for (n = 1; table->files[n - 1];)
		n++;
	writer_uleb(w, n);
	for (size_t i = 0; i < n; i++) {
		put_offset(w, table->width, 4 * (i > 0 ? i - 1 : 0));
		writer_uleb(w, i > 0 ? i - 1 : 0);
		writer_zero(w, 16);
	}
}

/* The head of a line table; the program follows. For end_length(). */
static size_t put_table(struct image *image, const struct table *table)
{
	static const uint8_t operands[] = {
		0, 1, 1, 1, 1, 0, 0, 0, 1, 0, 0, 1, 3, 3, 3,
	};
	struct writer *w = image_section(image, "line");
	struct writer *names = image_section(image, "line_str");
	size_t start = put_length(w, table->width), head;

	for (size_t i = 0; table->files[i] && table->version == 5; i++)
		put_text(names, table->files[i]); /* of three bytes each */
	writer_u16(w, (uint16_t)table->version);
	if (table->version == 5)
		writer_u16(w, 8); /* sizes of address and selector */
	put_offset(w, table->width, 0);
	head = w->len;
	writer_u8(w, table->min_instruction);
	if (table->version >= 4)
		writer_u8(w, table->max_ops);
	writer_u8(w, 1); /* default_is_stmt */
	writer_u8(w, LINE_BASE);
	writer_u8(w, LINE_RANGE);
	writer_u8(w, table->opcode_base);
	writer_bytes(w, operands, table->opcode_base - 1u);
	if (table->version == 5)
		put_files(w, table);
	else
		put_old_files(w, table);
	end_length(w, table->width, head);
	return start;
}

/* A unit of DWARF VERSION, compiled in DIR, whose line table is the first. */
static struct unit *open_unit(struct image *image, unsigned version,
			      const char *dir)
{
	struct writer *info = image_section(image, "info");
	struct writer *abbrev = image_section(image, "abbrev");
	size_t start = put_length(info, 4);

	put_abbrev(abbrev, 1, DW_TAG_compile_unit, false, DW_AT_stmt_list,
		   DW_FORM_sec_offset, DW_AT_comp_dir, DW_FORM_string, 0);
	writer_u8(abbrev, 0);
	put_unit_head(info, version, 4, DW_UT_compile, 0);
	writer_uleb(info, 1);
	writer_u32(info, 0);
	put_text(info, dir);
	end_length(info, 4, start);
	if (!CHECK(image_open(image, false, NULL) != NULL))
		return NULL;
	return dwarf_file_next(image->dwarf);
}

/* The rows as text: address, file and line, or where a sequence ends. */
static void check_rows(struct image *image, unsigned version,
		       const char *wanted)
{
	struct unit *unit = open_unit(image, version, "/build");
	struct lines lines;
	char *text = NULL;
	size_t len;
	FILE *out;

	if (!CHECK(unit != NULL))
		return;
	lines_read(unit, &lines);
	out = open_memstream(&text, &len);
	for (size_t i = 0; i < lines.nrows; i++) {
		const struct line_row *row = &lines.rows[i];

		fprintf(out, "%s%" PRIx64, i > 0 ? " " : "", row->address);
		if (row->file != LINES_END)
			fprintf(out, "=%u:%u", row->file, row->line);
	}
	fclose(out);
	CHECK_STRING(text, wanted);
	free(text);
	lines_fini(&lines);
	image_fini(image);
}

/* Of the usual table with the program that FILL writes. */
static void program_is(const struct table *table,
		       void fill(struct writer *program), const char *wanted)
{
	struct image image = { 0 };
	struct writer *w = image_section(&image, "line");
	size_t start = put_table(&image, table);

	fill(w);
	end_length(w, table->width, start);
	check_rows(&image, 4, wanted);
}

/* Programs */

static void simple(struct writer *w)
{
	put_set_address(w, 0x1000);
	put_row(w, 0, 9);
	put_row(w, 4, 1);
	writer_u8(w, DW_LNS_set_file);
	writer_uleb(w, 2);
	put_row(w, 4, -2);
	put_end(w, 8);
}

/* Whatever width the unit has that the table is of. */
static void versions(void)
{
	for (unsigned version = 2; version <= 5; version++)
		for (unsigned width = 4; width <= 8; width += 4) {
			struct table table = USUAL;

			table.version = version;
			table.width = width;
			program_is(&table, simple,
				   "1000=1:10 1004=1:11 1008=2:9 1010");
		}
}

static void other_versions(void)
{
	struct table table = USUAL;

	table.version = 6;
	program_is(&table, simple, "");
	table.version = 1;
	program_is(&table, simple, "");
}

static void special(struct writer *w)
{
	put_set_address(w, 0x1000);
	writer_u8(w, OPCODE_BASE + 3 + 2 + 12 * 4); /* 2 lines, 4 bytes */
	writer_u8(w, OPCODE_BASE);                  /* back 3 lines */
	writer_u8(w, DW_LNS_const_add_pc);          /* as 255 does: 20 */
	writer_u8(w, DW_LNS_copy);
	writer_u8(w, DW_LNS_fixed_advance_pc);
	writer_u16(w, 0x100);
	writer_u8(w, 255);
	put_end(w, 1);
}

static void special_opcodes(void)
{
	program_is(&USUAL, special,
		   "1004=1:3 1004=1:0 1018=1:0 112c=1:0 112d");
}

static void long_instructions(void)
{
	struct table table = USUAL;

	table.min_instruction = 4;
	program_is(&table, simple, "1000=1:10 1010=1:11 1020=2:9 1040");
}

static void bundles(struct writer *w)
{
	put_set_address(w, 0x1000);
	put_row(w, 0, 1);
	put_row(w, 2, 1); /* in the same bundle of three */
	put_row(w, 2, 1); /* in the next one */
	put_row(w, 6, 1);
	put_set_address(w, 0x1040);
	put_row(w, 2, 1); /* counts from the bundle's start again */
	put_end(w, 1);
}

static void long_words(void)
{
	struct table table = USUAL;

	table.max_ops = 3;
	table.min_instruction = 16;
	program_is(&table, bundles,
		   "1000=1:2 1000=1:3 1010=1:4 1030=1:5 1040=1:6 1050");
}

/* Opcodes that nobody knows: the head says what to pass over. */
static void unknown(struct writer *w)
{
	put_set_address(w, 0x1000);
	writer_u8(w, 14); /* of three operands */
	writer_u8(w, 0x81);
	writer_u8(w, 0x01);
	writer_u16(w, 0x0505);
	writer_u8(w, DW_LNS_set_column);
	writer_uleb(w, 900);
	writer_u8(w, DW_LNS_negate_stmt);
	writer_u8(w, DW_LNS_set_prologue_end);
	writer_u8(w, DW_LNS_set_isa);
	writer_uleb(w, 900);
	writer_u8(w, 0);
	writer_uleb(w, 3);
	writer_u8(w, DW_LNE_set_discriminator);
	writer_u16(w, 0x0181);
	writer_u8(w, 0);
	writer_uleb(w, 4);
	writer_u8(w, DW_LNE_hi_user);
	writer_zero(w, 3);
	writer_u8(w, 0);
	writer_uleb(w, 0); /* of no length */
	put_row(w, 0, 1);
	put_end(w, 8);
}

static void unknown_opcodes(void)
{
	struct table table = USUAL;

	table.opcode_base = 16;
	program_is(&table, unknown, "1000=1:2 1008");
}

/* Before DWARF 3 there are fewer: 10 is a special one. */
static void few(struct writer *w)
{
	put_set_address(w, 0x1000);
	writer_u8(w, 10 + 3 + 1);
	put_end(w, 8);
}

static void few_opcodes(void)
{
	struct table table = USUAL;

	table.opcode_base = 10;
	program_is(&table, few, "1000=1:2 1008");
}

/* Sequences */

static void put_sequence(struct writer *w, uint64_t address, int64_t line)
{
	put_set_address(w, address);
	put_row(w, 0, line - 1);
	put_row(w, 4, 1);
	put_end(w, 4);
}

static void shuffled(struct writer *w)
{
	put_sequence(w, 0x3000, 30);
	put_sequence(w, 0x1000, 10);
	put_sequence(w, 0x1008, 20); /* where that one ends */
	put_sequence(w, 0x2000, 40);
}

static void sequences(void)
{
	program_is(&USUAL, shuffled,
		   "1000=1:10 1004=1:11 1008 1008=1:20 100c=1:21 1010 "
		   "2000=1:40 2004=1:41 2008 3000=1:30 3004=1:31 3008");
}

static void backwards(struct writer *w)
{
	put_set_address(w, 0x1008);
	put_row(w, 0, 9);
	put_set_address(w, 0x1000);
	put_row(w, 0, 1);
	put_set_address(w, 0x1010);
	put_end(w, 0);
}

static void unsorted_rows(void)
{
	program_is(&USUAL, backwards, "1000=1:11 1008=1:10 1010");
}

static void dropped(struct writer *w)
{
	put_sequence(w, 0, 10);
	put_sequence(w, 0x1000, 20);
	put_sequence(w, UINT64_MAX, 30);
	put_sequence(w, UINT64_MAX - 1, 30);
	put_sequence(w, UINT32_MAX, 30);
	put_set_address(w, 0x2000);
	put_row(w, 0, 1); /* has no end */
}

static void dropped_sequences(void)
{
	program_is(&USUAL, dropped, "1000=1:20 1004=1:21 1008");
}

/* Of rows at one address the last counts, and none at the end. */
static void empty(struct writer *w)
{
	put_set_address(w, 0x1000);
	put_row(w, 0, 1);
	put_row(w, 0, 1);
	put_row(w, 4, 1);
	put_row(w, 4, 1);
	put_row(w, 0, 1);
	put_end(w, 0);
	put_set_address(w, 0x2000);
	put_row(w, 0, 1);
	put_end(w, 0); /* nothing at all */
}

static void empty_rows(void)
{
	program_is(&USUAL, empty, "1000=1:2 1000=1:3 1004=1:4 1008");
}

/* Numbers that no source has. */
static void far(struct writer *w)
{
	put_set_address(w, 0x1000);
	put_row(w, 0, INT32_MAX - 1);
	put_row(w, 4, 1);
	put_row(w, 4, INT32_MAX);
	put_row(w, 4, 2);
	writer_u8(w, DW_LNS_set_file);
	writer_uleb(w, UINT64_MAX >> 1);
	put_row(w, 4, 0);
	put_end(w, 4);
}

static void far_lines(void)
{
	program_is(&USUAL, far,
		   "1000=1:2147483647 1004=1:0 1008=1:0 100c=1:0 1010 1014");
}

static void cut_programs(void)
{
	for (unsigned cut = 1; cut < 30; cut++) { /* of twice 28 bytes */
		struct image image = { 0 };
		struct writer *w = image_section(&image, "line");
		size_t start = put_table(&image, &USUAL);

		put_sequence(w, 0x1000, 10);
		put_sequence(w, 0x2000, 20);
		end_length(w, 4, start);
		w->len -= cut;
		check_rows(&image, 4,
			   cut <= 28 ? "1000=1:10 1004=1:11 1008" : "");
	}
}

/* A head that says that there are files without end, of no bytes each. */
static void files_of_nothing(void)
{
	struct image image = { 0 };
	struct writer *w = image_section(&image, "line");
	size_t start = put_length(w, 4), head;
	struct lines lines;
	struct unit *unit;

	writer_u16(w, 5);
	writer_u16(w, 8);
	writer_u32(w, 0);
	head = w->len;
	writer_u32(w, 0x01010101);
	writer_u16(w, 0x0101); /* range of lines, opcode_base */
	for (int i = 0; i < 2; i++) {
		writer_u8(w, 1);
		writer_uleb(w, DW_LNCT_path);
		writer_uleb(w, DW_FORM_flag_present);
		writer_uleb(w, 1000000);
	}
	end_length(w, 4, head);
	end_length(w, 4, start);
	unit = open_unit(&image, 5, "/build");
	if (CHECK(unit != NULL)) {
		lines_read(unit, &lines);
		CHECK(lines.ndirs < 1000 && lines.nfiles < 1000);
		lines_fini(&lines);
	}
	image_fini(&image);
}

/* Paths */

static void path_is(const struct table *table, const char *comp_dir,
		    uint64_t file, const char *wanted)
{
	struct image image = { 0 };
	struct writer *w = image_section(&image, "line");
	size_t start = put_table(&image, table);
	struct lines lines;
	struct unit *unit;
	char path[64];

	writer_u8(w, 0);
	writer_uleb(w, 8);
	writer_u8(w, DW_LNE_define_file);
	put_text(w, "def");
	writer_uleb(w, 1);
	writer_u16(w, 0);
	end_length(w, table->width, start);
	unit = open_unit(&image, table->version, comp_dir);
	if (CHECK(unit != NULL)) {
		lines_read(unit, &lines);
		if (!lines_path(&lines, file, path, sizeof(path)))
			path[0] = '\0';
		CHECK_STRING(path, wanted);
		lines_fini(&lines);
	}
	image_fini(&image);
}

/* Whatever width the unit has that the table is of. */
static void paths(void)
{
	struct table table = USUAL;

	table.dirs[0] = "sub";
	table.dirs[1] = "/usr/include";
	for (unsigned i = 0; i < 4; i++) {
		table.version = 4 + i % 2;
		table.width = i < 2 ? 4 : 8;
		path_is(&table, "/build", 1, "/build/a.c");
		path_is(&table, "/build", 2, "/build/sub/b.c");
		path_is(&table, "/build", 3, "/usr/include/c.c");
		path_is(&table, "/build", 4, "/build/sub/def");
		path_is(&table, "/build", 5, "");
		path_is(&table, "/build", UINT64_MAX, "");
	}
	table.version = 4;
	path_is(&table, "/build", 0, "");
	table.version = 5;
	path_is(&table, "/build", 0, "/build/a.c");
	table.files[0] = "/a";
	path_is(&table, "/build", 1, "/a");
}

/* Debian maps the directory of a build to one such as "./nptl", and compilers
 * put it before what has it already. */
static void relative_paths(void)
{
	struct table table = USUAL;

	table.dirs[0] = "../sys";
	table.dirs[1] = "./nptl";
	path_is(&table, "./nptl", 1, "nptl/a.c");
	path_is(&table, "./nptl", 2, "sys/b.c");
	path_is(&table, "./nptl", 3, "nptl/c.c");
	table.dirs[0] = "..";
	table.dirs[1] = "../..";
	path_is(&table, "./nptl", 2, "b.c");
	path_is(&table, "./nptl", 3, "../c.c");
	path_is(&table, "/build", 2, "/build/../b.c");
	table.dirs[0] = "/somewhere/that/is/far/too/long/for/the/reader/of/it";
	path_is(&table, "/build", 2,
		"/somewhere/that/is/far/too/long/for/the/reader/of/it/b.c");
	table.dirs[0] = "somewhere/that/is/far/too/long/for/the/reader/of/it";
	path_is(&table, "/build/1234567890", 2, "");
}

static const struct test tests[] = {
	{ "tables of DWARF 2 to 5 are read, 32-bit and 64-bit", versions },
	{ "tables of other versions have nothing", other_versions },
	{ "all ways to advance are known", special_opcodes },
	{ "instructions may be of several bytes", long_instructions },
	{ "instructions may come in bundles", long_words },
	{ "unknown opcodes are passed over", unknown_opcodes },
	{ "there may be fewer opcodes", few_opcodes },
	{ "sequences come in the order of their addresses", sequences },
	{ "rows that are out of order are sorted", unsorted_rows },
	{ "what the linker dropped, or has no end, is left out",
	  dropped_sequences },
	{ "rows of no length are left out", empty_rows },
	{ "lines and files that cannot be are none", far_lines },
	{ "a program that is cut has what came before", cut_programs },
	{ "files are no more than bytes could say", files_of_nothing },
	{ "paths are absolute, or below a directory", paths },
	{ "relative paths are tidied", relative_paths },
};

int main(void)
{
	return TEST_RUN(tests);
}
