/* Packages of split units. Runs in the process that can be lost; every number
 * of the index is anybody's. Each unit has a piece of every section, and what
 * it says counts from there: so what it is given is these pieces, as if they
 * were a file. */
#include "package.h"

#include <stdlib.h>
#include <string.h>

#include <dwarf.h>

enum {
	GNU_VERSION = 2,
	HEAD = 16,      /* bytes: version, columns, units, slots */
	SLOT = 8 + 4,   /* id; row, from 1 */
	CELL = 4,
	MAX_COLUMNS = 8,
	NEEDED = 1 << DW_SECT_INFO | 1 << DW_SECT_ABBREV |
		 1 << DW_SECT_STR_OFFSETS,
};

struct package {
	struct elf_file elf;
	struct sections *sections;
	struct reader index;
	uint32_t version, ncolumns, nunits, nslots;
};

/* The tables behind the head have the sizes that it says: slots with ids, those
 * with rows, and then the columns' names, offsets and lengths. */
static bool read_head(struct package *package)
{
	struct reader *r = &package->index;
	uint64_t cells;

	package->version = reader_u32(r);
	package->ncolumns = reader_u32(r);
	package->nunits = reader_u32(r);
	package->nslots = reader_u32(r);
	if (r->bad || (package->version != GNU_VERSION &&
		       package->version != 5) ||
	    package->ncolumns > MAX_COLUMNS ||
	    package->nslots == 0 || (package->nslots & (package->nslots - 1)) ||
	    package->nslots > reader_left(r) / SLOT)
		return false;
	cells = (1 + 2 * (uint64_t)package->nunits) * package->ncolumns;
	return cells <= (reader_left(r) - (uint64_t)package->nslots * SLOT) /
				CELL;
}

struct package *package_open(const char *path)
{
	struct elf_file file;

	return elf_file_open(path, &file, NULL) ? package_of(&file) : NULL;
}

struct package *package_of(struct elf_file *file)
{
	struct package *package = calloc(1, sizeof(*package));

	if (!package) {
		elf_file_close(file);
		return NULL;
	}
	package->elf = *file;
	*file = ELF_FILE_NONE;
	package->sections = sections_open(&package->elf, true);
	if (package->sections)
		package->index = sections_get(package->sections,
					      SECTION_CU_INDEX);
	if (package->sections && read_head(package))
		return package;
	package_close(package);
	return NULL;
}

void package_close(struct package *package)
{
	if (!package)
		return;
	sections_close(package->sections);
	elf_file_close(&package->elf);
	free(package);
}

/* Number INDEX of the table at BASE, which is in the index. */
static uint64_t number_at(const struct package *package, uint64_t base,
			  uint64_t index, int size)
{
	uint64_t value = 0;

	unit_table_entry(package->index, base, index, size, &value);
	return value;
}

/* The row of ID, from 1 on; 0 where there is none. */
static uint64_t find_row(const struct package *package, uint64_t id)
{
	uint64_t last = package->nslots - 1;
	uint64_t slot = id & last, step = (id >> 32 & last) | 1;
	uint64_t rows = HEAD + (uint64_t)package->nslots * sizeof(id);

	for (uint64_t i = 0; i <= last; i++) {
		uint64_t row = number_at(package, rows, slot, CELL);

		if (row == 0 || row > package->nunits)
			return 0;
		if (number_at(package, HEAD, slot, sizeof(id)) == id)
			return row;
		slot = (slot + step) & last;
	}
	return 0;
}

/* Which section COLUMN is of; SECTION_COUNT: none that is read. */
static enum section_kind kind_of(const struct package *package, uint64_t column)
{
	switch (column) {
	case DW_SECT_INFO:
		return SECTION_INFO;
	case DW_SECT_ABBREV:
		return SECTION_ABBREV;
	case DW_SECT_STR_OFFSETS:
		return SECTION_STR_OFFSETS;
	case DW_SECT_LOCLISTS: /* the same number as GNU's */
		return package->version == 5 ? SECTION_LOCLISTS : SECTION_LOC;
	case DW_SECT_RNGLISTS: /* GNU's macros, before */
		return package->version == 5 ? SECTION_RNGLISTS : SECTION_COUNT;
	default:
		return SECTION_COUNT;
	}
}

/* What ROW has of each section. False where the columns are not told apart, or
 * one is not there that every unit needs. */
static bool find_parts(const struct package *package, uint64_t row,
		       struct section_part parts[SECTION_COUNT])
{
	uint64_t n = package->ncolumns;
	uint64_t columns = HEAD + (uint64_t)package->nslots * SLOT;
	uint64_t offsets = columns + n * CELL;
	uint64_t lengths = offsets + package->nunits * n * CELL;
	uint32_t seen = 0;

	memset(parts, 0, SECTION_COUNT * sizeof(*parts));
	for (uint64_t i = 0; i < n; i++) {
		uint64_t cell = (row - 1) * n + i;
		uint64_t column = number_at(package, columns, i, CELL);

		if (column > DW_SECT_RNGLISTS || (seen >> column & 1))
			return false;
		seen |= UINT32_C(1) << column;
		parts[kind_of(package, column)] = (struct section_part){
			number_at(package, offsets, cell, CELL),
			number_at(package, lengths, cell, CELL),
		};
	}
	parts[SECTION_STR].len = sections_get(package->sections,
					       SECTION_STR).len;
	return (seen & NEEDED) == NEEDED;
}

/* A unit, or a table, that ends within R, as far as its head says. */
static bool is_whole(const struct package *package, struct reader r)
{
	uint64_t len = reader_u32(&r);

	if (len == UINT32_MAX)
		len = reader_u64(&r);
	return len <= reader_left(&r) &&
	       (reader_u16(&r) == 5) == (package->version == 5) && !r.bad;
}

/* An index that has another unit's piece would give names of that. */
static bool fits(const struct package *package, struct sections *sections)
{
	struct reader info = sections_get(sections, SECTION_INFO);
	struct reader texts = sections_get(sections, SECTION_STR_OFFSETS);
	struct reader ranges = sections_get(sections, SECTION_RNGLISTS);

	return is_whole(package, info) &&
	       (package->version != 5 || is_whole(package, texts)) &&
	       (ranges.len == 0 || is_whole(package, ranges));
}

struct dwarf_file *package_find(const struct package *package, uint64_t id)
{
	uint64_t row = find_row(package, id);
	struct section_part parts[SECTION_COUNT + 1]; /* the last: not read */
	struct sections *sections = NULL;

	if (row != 0 && find_parts(package, row, parts))
		sections = sections_part(package->sections, parts);
	if (sections && !fits(package, sections)) {
		sections_close(sections);
		return NULL;
	}
	return dwarf_file_of(sections, NULL);
}
