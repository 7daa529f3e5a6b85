/* Line tables. Runs in the process that can be lost; a table has no more rows
 * than bytes, and nothing else about it is believed. */
#include "lines.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <dwarf.h>

#include "../array.h"
#include "ranges.h"

enum {
	MAX_FORMATS = 16, /* of an entry; five are defined */
};

/* The state machine, and what the head says of it. */
struct machine {
	struct lines *lines;
	struct reader program;
	struct sizes sizes;
	uint8_t min_instruction, max_ops, line_range, opcode_base;
	int8_t line_base;
	uint8_t operands[256]; /* of the opcodes below opcode_base */

	uint64_t address, op_index, file, line;
	size_t first; /* row of the sequence */
};

/* The head */

static bool add_dir(struct lines *lines, const char *dir)
{
	const char **more = array_grow(lines->dirs, lines->ndirs,
				       &lines->dirs_cap, sizeof(*more));

	if (!more)
		return false;
	lines->dirs = more;
	more[lines->ndirs++] = dir;
	return true;
}

static bool add_file(struct lines *lines, const char *name, uint64_t dir)
{
	struct line_file *more = array_grow(lines->files, lines->nfiles,
					    &lines->files_cap, sizeof(*more));

	if (!more)
		return false;
	lines->files = more;
	more[lines->nfiles++] = (struct line_file){ name, dir };
	return true;
}

/* What there is of each directory or file of DWARF 5: DW_LNCT_* and
 * DW_FORM_*. */
struct format {
	uint16_t content, form;
};

/* One of them. */
static bool read_entry(struct machine *machine, struct reader *r,
		       const struct format *formats, size_t nformats,
		       bool is_file)
{
	struct lines *lines = machine->lines;
	const char *path = NULL;
	uint64_t dir = 0;

	for (size_t i = 0; i < nformats; i++) {
		struct attr attr = { .form = 0 };

		attr_read(r, &machine->sizes, formats[i].form, 0, &attr);
		if (formats[i].content == DW_LNCT_path)
			path = unit_string(lines->unit, &attr);
		else if (formats[i].content == DW_LNCT_directory_index)
			attr_number(&attr, &dir);
	}
	if (r->bad)
		return false;
	return is_file ? add_file(lines, path, dir) : add_dir(lines, path);
}

static bool read_entries(struct machine *machine, struct reader *r,
			 bool is_file)
{
	struct format formats[MAX_FORMATS];
	size_t nformats = reader_u8(r);
	uint64_t n;

	if (nformats > MAX_FORMATS)
		return false;
	for (size_t i = 0; i < nformats; i++) {
		formats[i].content = (uint16_t)reader_uleb(r);
		formats[i].form = (uint16_t)reader_uleb(r);
	}
	n = reader_uleb(r);
	if (n > reader_left(r)) /* each has a byte at least */
		return false;
	for (uint64_t i = 0; i < n; i++)
		if (!read_entry(machine, r, formats, nformats, is_file))
			return false;
	return !r->bad;
}

/* Up to DWARF 4: directory 0 is the compiler's own, and there is no file 0. */
static bool read_old_entries(struct lines *lines, struct reader *r)
{
	const char *name;

	add_dir(lines, lines->unit->comp_dir);
	while ((name = reader_text(r)) != NULL && *name)
		if (!add_dir(lines, name))
			return false;
	add_file(lines, NULL, 0);
	while ((name = reader_text(r)) != NULL && *name) {
		uint64_t dir = reader_uleb(r);

		reader_uleb(r); /* time */
		reader_uleb(r); /* size */
		if (!add_file(lines, name, dir))
			return false;
	}
	return !r->bad;
}

/* Leaves the program in MACHINE. */
static bool read_head(struct machine *machine, struct reader *r)
{
	uint64_t len = reader_u32(r);
	struct reader table;

	machine->sizes.offset = 4;
	machine->sizes.address = 8;
	if (len == UINT32_MAX) {
		len = reader_u64(r);
		machine->sizes.offset = 8;
	}
	if (len > r->len - r->pos)
		len = r->len - r->pos;
	table = reader_at(r, r->pos, len);
	machine->sizes.version = reader_u16(&table);
	if (machine->sizes.version < 2 || machine->sizes.version > 5)
		return false;
	if (machine->sizes.version == 5)
		reader_u16(&table); /* sizes of address and selector */
	len = attr_sized(&table, machine->sizes.offset);
	if (table.bad || len > reader_left(&table))
		return false;
	machine->program = reader_at(&table, table.pos + len,
				     table.len - table.pos - len);
	machine->min_instruction = reader_u8(&table);
	machine->max_ops = machine->sizes.version >= 4 ? reader_u8(&table) : 1;
	reader_u8(&table); /* default_is_stmt */
	machine->line_base = (int8_t)reader_u8(&table);
	machine->line_range = reader_u8(&table);
	machine->opcode_base = reader_u8(&table);
	for (int i = 1; i < machine->opcode_base; i++)
		machine->operands[i] = reader_u8(&table);
	if (table.bad || machine->line_range == 0 || machine->max_ops == 0)
		return false;
	if (machine->sizes.version == 5)
		return read_entries(machine, &table, false) &&
		       read_entries(machine, &table, true);
	return read_old_entries(machine->lines, &table);
}

/* The program */

static void start_sequence(struct machine *machine)
{
	machine->address = machine->op_index = 0;
	machine->file = machine->line = 1;
	machine->first = machine->lines->nrows;
}

static bool add_row(struct machine *machine, bool is_end)
{
	struct lines *lines = machine->lines;
	struct line_row *more = array_grow(lines->rows, lines->nrows,
					   &lines->rows_cap, sizeof(*more));

	if (!more)
		return false;
	lines->rows = more;
	more[lines->nrows++] = (struct line_row){
		.address = machine->address,
		.file = is_end || machine->file >= LINES_END
				? LINES_END : (uint32_t)machine->file,
		.line = machine->line <= INT32_MAX
				? (uint32_t)machine->line : 0,
	};
	return true;
}

/* What the linker has dropped is not kept, nor are rows of no length before the
 * end: sorted, they would come behind it. */
static bool end_sequence(struct machine *machine)
{
	struct lines *lines = machine->lines;

	while (lines->nrows > machine->first &&
	       lines->rows[lines->nrows - 1].address == machine->address)
		lines->nrows--;
	if (!add_row(machine, true))
		return false;
	if (ranges_is_dropped(lines->rows[machine->first].address,
			      machine->address))
		lines->nrows = machine->first;
	start_sequence(machine);
	return true;
}

static void advance(struct machine *machine, uint64_t operations)
{
	uint64_t at = machine->op_index + operations;

	machine->address += machine->min_instruction *
			    (at / machine->max_ops);
	machine->op_index = at % machine->max_ops;
}

static bool run_extended(struct machine *machine)
{
	struct reader *r = &machine->program;
	uint64_t len = reader_uleb(r);
	struct reader operands;

	if (len == 0 || len > reader_left(r))
		return len == 0;
	operands = reader_at(r, r->pos, len);
	reader_skip(r, (size_t)len);
	switch (reader_u8(&operands)) {
	case DW_LNE_end_sequence:
		return end_sequence(machine);
	case DW_LNE_set_address:
		machine->address = reader_u64(&operands);
		machine->op_index = 0;
		return !operands.bad;
	case DW_LNE_define_file: {
		const char *name = reader_text(&operands);

		return add_file(machine->lines, name, reader_uleb(&operands));
	}
	default:
		return true;
	}
}

static bool run_standard(struct machine *machine, uint8_t opcode)
{
	struct reader *r = &machine->program;

	switch (opcode) {
	case DW_LNS_copy:
		return add_row(machine, false);
	case DW_LNS_advance_pc:
		advance(machine, reader_uleb(r));
		return true;
	case DW_LNS_advance_line:
		machine->line += (uint64_t)reader_sleb(r);
		return true;
	case DW_LNS_set_file:
		machine->file = reader_uleb(r);
		return true;
	case DW_LNS_const_add_pc:
		advance(machine, (255u - machine->opcode_base) /
					 machine->line_range);
		return true;
	case DW_LNS_fixed_advance_pc:
		machine->address += reader_u16(r);
		machine->op_index = 0;
		return true;
	default:
		for (int i = 0; i < machine->operands[opcode]; i++)
			reader_uleb(r);
		return true;
	}
}

static bool run_special(struct machine *machine, uint8_t opcode)
{
	unsigned adjusted = (unsigned)(opcode - machine->opcode_base);

	advance(machine, adjusted / machine->line_range);
	machine->line += (uint64_t)(int64_t)(machine->line_base +
			(int)(adjusted % machine->line_range));
	return add_row(machine, false);
}

static void run(struct machine *machine)
{
	bool goes_on = true;

	start_sequence(machine);
	while (goes_on && reader_left(&machine->program) > 0) {
		uint8_t opcode = reader_u8(&machine->program);

		if (opcode >= machine->opcode_base)
			goes_on = run_special(machine, opcode);
		else if (opcode == 0)
			goes_on = run_extended(machine);
		else
			goes_on = run_standard(machine, opcode);
	}
	machine->lines->nrows = machine->first; /* a sequence without end */
}

/* Compilers that give each function a section of its own write their sequences
 * in any order. One ends where the next may begin, and at one address that
 * comes first. */
static int by_address(const void *left, const void *right)
{
	const struct line_row *a = left, *b = right;
	bool a_ends = a->file == LINES_END, b_ends = b->file == LINES_END;

	if (a->address != b->address)
		return a->address < b->address ? -1 : 1;
	return b_ends - a_ends;
}

void lines_read(const struct unit *unit, struct lines *out)
{
	struct machine machine = { .lines = out };
	struct reader r = unit->file->line;

	memset(out, 0, sizeof(*out));
	out->unit = unit;
	if (!unit->has_lines || unit->line_offset >= r.len)
		return;
	r.pos = (size_t)unit->line_offset;
	if (!read_head(&machine, &r))
		return;
	run(&machine);
	if (!array_sort(out->rows, out->nrows, sizeof(*out->rows), by_address))
		out->nrows = 0;
}

void lines_fini(struct lines *lines)
{
	free(lines->rows);
	free(lines->files);
	free(lines->dirs);
	memset(lines, 0, sizeof(*lines));
}

/* Paths */

/* Take "." and ".." out of the relative PATH: Debian builds map their directory
 * to "./nptl", and the compiler puts that before "../sysdeps/x.h". Absolute
 * paths stay: ".." behind a link is another place. */
static void tidy(char *path)
{
	size_t len = 0;
	char *at = path;

	while (*at) {
		size_t part = strcspn(at, "/");

		if (part == 2 && strncmp(at, "..", 2) == 0 && len > 0 &&
		    !(len >= 3 && strncmp(path + len - 3, "../", 3) == 0)) {
			for (len--; len > 0 && path[len - 1] != '/';)
				len--;
		} else if (part > 0 && !(part == 1 && *at == '.')) {
			memmove(path + len, at, part + 1);
			len += part + 1;
		}
		at += part + (at[part] == '/');
	}
	path[len > 0 ? len - 1 : 0] = '\0';
}

/* Debian builds map their directory to one such as "./nptl", and the compiler
 * puts that before a path that has it already. */
static bool is_twice(const char *path, const char *dir)
{
	size_t len = strlen(dir);

	return strncmp(dir, "./", 2) == 0 && strncmp(path, dir, len) == 0 &&
	       (path[len] == '/' || path[len] == '\0');
}

bool lines_path(const struct lines *lines, uint64_t index, char *out,
		size_t cap)
{
	const char *comp_dir = lines->unit->comp_dir, *dir = NULL, *name;
	int len;

	if (index >= lines->nfiles || !lines->files[index].name)
		return false;
	name = lines->files[index].name;
	if (lines->files[index].dir < lines->ndirs)
		dir = lines->dirs[lines->files[index].dir];
	if (name[0] == '/' || !dir || is_twice(name, dir))
		dir = "";
	if (name[0] == '/' || dir[0] == '/' || !comp_dir ||
	    lines->files[index].dir == 0 || is_twice(dir, comp_dir) ||
	    is_twice(name, comp_dir))
		comp_dir = "";
	len = snprintf(out, cap, "%s%s%s%s%s", comp_dir, *comp_dir ? "/" : "",
		       dir, *dir ? "/" : "", name);
	if (len < 0 || (size_t)len >= cap)
		return false;
	if (out[0] != '/')
		tidy(out);
	return true;
}
