/* Units and attributes of DWARF. Runs in the process that can be lost; every
 * offset is anybody's. */
#include "unit.h"

#include <stdlib.h>
#include <string.h>

#include <dwarf.h>

#include "tree.h"

enum {
	MAX_TEXT = 1 << 16, /* bytes, with the NUL; many DIEs may share one */
};

/* Opening */

/* lld and mold sign their work; no other does such a thing. */
static bool folds(const struct elf_file *file)
{
	size_t len;
	const void *comment = elf_file_section(file, ".comment", &len);

	return comment && (memmem(comment, len, "LLD", 3) ||
			   memmem(comment, len, "mold", 4));
}

struct dwarf_file *dwarf_file_open(const struct elf_file *file, bool split,
				   struct dwarf_file *alt)
{
	struct dwarf_file *dwarf = dwarf_file_of(sections_open(file, split),
						 alt);

	if (dwarf)
		dwarf->folds = folds(file);
	return dwarf;
}

struct dwarf_file *dwarf_file_of(struct sections *sections,
				 struct dwarf_file *alt)
{
	struct dwarf_file *dwarf = calloc(1, sizeof(*dwarf));

	if (!dwarf || !sections) {
		sections_close(sections);
		free(dwarf);
		return NULL;
	}
	dwarf->sections = sections;
	dwarf->abbrev = sections_get(sections, SECTION_ABBREV);
	dwarf->line = sections_get(sections, SECTION_LINE);
	dwarf->str = sections_get(sections, SECTION_STR);
	dwarf->line_str = sections_get(sections, SECTION_LINE_STR);
	dwarf->ranges = sections_get(sections, SECTION_RANGES);
	dwarf->rnglists = sections_get(sections, SECTION_RNGLISTS);
	dwarf->addr = sections_get(sections, SECTION_ADDR);
	dwarf->str_offsets = sections_get(sections, SECTION_STR_OFFSETS);
	dwarf->alt = alt;
	dwarf->keeps_all = alt || abbrevs_leave_unit(dwarf->abbrev);
	return dwarf;
}

void dwarf_file_close(struct dwarf_file *file)
{
	if (!file)
		return;
	for (size_t i = 0; i < file->nunits; i++) {
		abbrevs_fini(&file->units[i]->abbrevs);
		tree_free(file->units[i]->tree);
		free(file->units[i]);
	}
	free(file->units);
	sections_close(file->sections);
	free(file);
}

static bool load_abbrevs(struct unit *unit)
{
	if (unit->abbrevs.list)
		return true;
	abbrevs_read(&unit->file->abbrev, unit->abbrev_offset, &unit->sizes,
		     &unit->abbrevs);
	return unit->abbrevs.list != NULL;
}

void unit_release(struct unit *unit)
{
	if (unit->file->keeps_all)
		return;
	abbrevs_fini(&unit->abbrevs);
	tree_free(unit->tree);
	unit->tree = NULL;
}

void dwarf_file_drop(struct dwarf_file *file, uint64_t offset)
{
	if (!file->keeps_all)
		sections_drop(file->sections, offset);
}

/* Attributes */

static const char *text_at(struct reader section, uint64_t offset)
{
	if (offset >= section.len)
		return NULL;
	section.pos = (size_t)offset;
	if (section.len - section.pos > MAX_TEXT)
		section.len = section.pos + MAX_TEXT;
	return reader_text(&section);
}

bool unit_table_entry(struct reader section, uint64_t base, uint64_t index,
		      int size, uint64_t *out)
{
	uint64_t n = section.len / (unsigned)size;

	if (base > section.len || index > n ||
	    index * (unsigned)size > section.len - base)
		return false;
	section.pos = (size_t)(base + index * (unsigned)size);
	*out = attr_sized(&section, size);
	return !section.bad;
}

const char *unit_string(const struct unit *unit, const struct attr *attr)
{
	const struct dwarf_file *file = unit->file;
	uint64_t offset;

	switch (attr->form) {
	case DW_FORM_string:
		return attr->text && strnlen(attr->text, MAX_TEXT) < MAX_TEXT
			       ? attr->text : NULL;
	case DW_FORM_strp:
		return text_at(file->str, attr->value);
	case DW_FORM_line_strp:
		return text_at(file->line_str, attr->value);
	case DW_FORM_strp_sup:
	case DW_FORM_GNU_strp_alt:
		return file->alt ? text_at(file->alt->str, attr->value) : NULL;
	case DW_FORM_strx:
	case DW_FORM_strx1:
	case DW_FORM_strx2:
	case DW_FORM_strx3:
	case DW_FORM_strx4:
	case DW_FORM_GNU_str_index:
		if (!unit_table_entry(file->str_offsets,
				      unit->str_offsets_base, attr->value,
				      unit->sizes.offset, &offset))
			return NULL;
		return text_at(file->str, offset);
	default:
		return NULL;
	}
}

bool unit_address(const struct unit *unit, const struct attr *attr,
		  uint64_t *out)
{
	const struct unit *holder = unit_holder(unit);

	switch (attr->form) {
	case DW_FORM_addr:
		*out = attr->value;
		return true;
	case DW_FORM_addrx:
	case DW_FORM_addrx1:
	case DW_FORM_addrx2:
	case DW_FORM_addrx3:
	case DW_FORM_addrx4:
	case DW_FORM_GNU_addr_index:
		return unit_table_entry(holder->file->addr, holder->addr_base,
					attr->value, holder->sizes.address,
					out);
	default:
		return false;
	}
}

bool unit_reference(const struct unit *unit, const struct attr *attr,
		    struct die_ref *out)
{
	switch (attr->form) {
	case DW_FORM_ref1:
	case DW_FORM_ref2:
	case DW_FORM_ref4:
	case DW_FORM_ref8:
	case DW_FORM_ref_udata:
		if (attr->value >= unit->end - unit->offset)
			return false;
		*out = (struct die_ref){ unit->file,
					 unit->offset + attr->value };
		return true;
	case DW_FORM_ref_addr:
		*out = (struct die_ref){ unit->file, attr->value };
		return true;
	case DW_FORM_ref_sup4:
	case DW_FORM_ref_sup8:
	case DW_FORM_GNU_ref_alt:
		*out = (struct die_ref){ unit->file->alt, attr->value };
		return unit->file->alt != NULL;
	default:
		return false;
	}
}

/* DIEs */

/* All attributes have one size: those that nobody asks for cost nothing. */
static void read_fixed(const struct unit *unit, struct reader *r,
		       const struct abbrev *abbrev, struct die *out)
{
	struct reader at = *r;

	reader_skip(r, (size_t)abbrev->fixed);
	if (r->bad)
		return;
	for (uint32_t n = abbrev->first; n < abbrev->first + abbrev->nattrs;
	     n++) {
		const struct abbrev_attr *attr = &unit->abbrevs.attrs[n];
		struct attr *to;

		if (attr->slot < 0)
			continue;
		to = &out->slots[attr->slot];
		to->form = attr->form;
		to->value = (uint64_t)unit->abbrevs.implicit[n];
		at.pos = r->pos - (size_t)abbrev->fixed + attr->at;
		if (attr->size > 0)
			to->value = attr_sized(&at, attr->size);
	}
}

void unit_read_die(const struct unit *unit, struct reader *r,
		   const struct abbrev *abbrev, struct die *out)
{
	for (int i = 0; i < DIE_SLOTS; i++)
		out->slots[i].form = 0;
	if (abbrev->fixed >= 0) {
		read_fixed(unit, r, abbrev, out);
		return;
	}
	for (uint32_t n = abbrev->first; n < abbrev->first + abbrev->nattrs;
	     n++) {
		const struct abbrev_attr *attr = &unit->abbrevs.attrs[n];
		struct attr ignored;

		if (attr->slot < 0 && attr->size >= 0)
			reader_skip(r, (size_t)attr->size);
		else
			attr_read(r, &unit->sizes, attr->form,
				  unit->abbrevs.implicit[n],
				  attr->slot < 0 ? &ignored
						 : &out->slots[attr->slot]);
	}
}

void unit_skip_die(const struct unit *unit, struct reader *r,
		   const struct abbrev *abbrev)
{
	struct attr ignored;

	if (abbrev->fixed >= 0) {
		reader_skip(r, (size_t)abbrev->fixed);
		return;
	}
	for (uint32_t i = 0; i < abbrev->nattrs; i++)
		attr_read(r, &unit->sizes,
			  unit->abbrevs.attrs[abbrev->first + i].form, 0,
			  &ignored);
}

struct reader unit_dies(struct unit *unit)
{
	struct reader r = sections_info(unit->file->sections, unit->end);

	if (unit->end > r.len || !load_abbrevs(unit)) {
		reader_init(&r, NULL, 0);
		return r;
	}
	r.pos = (size_t)unit->dies;
	r.len = (size_t)unit->end;
	return r;
}

const struct abbrev *unit_abbrev_at(struct unit *unit, uint64_t offset,
				    struct reader *r_out)
{
	struct reader r = unit_dies(unit);
	uint64_t code;

	if (offset < r.pos || offset >= r.len)
		return NULL;
	r.pos = (size_t)offset;
	code = reader_uleb(&r);
	*r_out = r;
	return abbrevs_find(&unit->abbrevs, code);
}

bool unit_die(struct unit *unit, uint64_t offset, struct die *out)
{
	struct reader r;
	const struct abbrev *abbrev = unit_abbrev_at(unit, offset, &r);

	if (!abbrev)
		return false;
	unit_read_die(unit, &r, abbrev, out);
	return !r.bad;
}

/* Units */

static void read_root_attr(struct unit *unit, uint16_t name,
			   const struct attr *attr)
{
	uint64_t value = 0;
	bool has = attr_number(attr, &value);

	switch (name) {
	case DW_AT_language:
		unit->is_assembler = value == DW_LANG_Mips_Assembler;
		break;
	case DW_AT_stmt_list:
		unit->has_lines = has;
		unit->line_offset = value;
		break;
	case DW_AT_str_offsets_base:
		unit->str_offsets_base = value;
		break;
	case DW_AT_addr_base:
	case DW_AT_GNU_addr_base:
		unit->addr_base = value;
		break;
	case DW_AT_rnglists_base:
		unit->rnglists_base = value;
		break;
	case DW_AT_GNU_ranges_base:
		unit->ranges_base = value;
		break;
	case DW_AT_GNU_dwo_id:
		unit->has_dwo_id = has;
		unit->dwo_id = value;
		break;
	}
}

/* What needs the bases. */
static void read_root_text(struct unit *unit, uint16_t name,
			   const struct attr *attr)
{
	switch (name) {
	case DW_AT_comp_dir:
		unit->comp_dir = unit_string(unit, attr);
		break;
	case DW_AT_dwo_name:
	case DW_AT_GNU_dwo_name:
		unit->dwo_name = unit_string(unit, attr);
		break;
	case DW_AT_low_pc:
		unit_address(unit, attr, &unit->base);
		break;
	}
}

typedef void root_attr(struct unit *unit, uint16_t name,
		       const struct attr *attr);

static void read_root(struct unit *unit, struct reader r, root_attr *each)
{
	const struct abbrev *abbrev;

	r.pos = (size_t)unit->dies;
	abbrev = abbrevs_find(&unit->abbrevs, reader_uleb(&r));
	if (!abbrev)
		return;
	for (uint32_t i = 0; i < abbrev->nattrs; i++) {
		uint32_t n = abbrev->first + i;
		struct attr attr = { .form = 0 };

		attr_read(&r, &unit->sizes, unit->abbrevs.attrs[n].form,
			  unit->abbrevs.implicit[n], &attr);
		if (r.bad)
			return;
		each(unit, unit->abbrevs.attrs[n].name, &attr);
	}
}

/* The head of the unit at R; false where it is none of ours. *END_OUT is where
 * the next one begins, 0 where nobody knows. */
static bool read_head(struct unit *unit, struct reader *r, uint64_t *end_out)
{
	uint64_t len = reader_u32(r);

	*end_out = 0;
	unit->sizes.offset = 4;
	if (len == UINT32_MAX) {
		unit->sizes.offset = 8;
		len = reader_u64(r);
	}
	if (r->bad || len > SECTION_MAX)
		return false;
	*end_out = unit->end = r->pos + len;
	unit->sizes.version = reader_u16(r);
	unit->type = DW_UT_compile;
	if (unit->sizes.version < 2 || unit->sizes.version > 5)
		return false;
	if (unit->sizes.version == 5) {
		unit->type = reader_u8(r);
		unit->sizes.address = reader_u8(r);
	}
	unit->abbrev_offset = attr_sized(r, unit->sizes.offset);
	if (unit->sizes.version < 5)
		unit->sizes.address = reader_u8(r);
	if (unit->type == DW_UT_skeleton || unit->type == DW_UT_split_compile) {
		unit->has_dwo_id = true;
		unit->dwo_id = reader_u64(r);
	} else if (unit->type == DW_UT_type ||
		   unit->type == DW_UT_split_type) {
		reader_u64(r);
		attr_sized(r, unit->sizes.offset);
	}
	unit->dies = r->pos;
	return !r->bad && unit->dies <= unit->end && unit->sizes.address == 8;
}

static bool add_unit(struct dwarf_file *file, struct unit *unit)
{
	if (file->nunits == file->units_cap) {
		size_t cap = file->units_cap ? file->units_cap * 2 : 256;
		struct unit **more = realloc(file->units,
					     cap * sizeof(struct unit *));

		if (!more)
			return false;
		file->units = more;
		file->units_cap = cap;
	}
	file->units[file->nunits++] = unit;
	return true;
}

/* What a split unit need not say: its tables are the only ones, and begin
 * behind their heads. */
static void set_bases(struct unit *unit)
{
	unit->str_offsets_base = unit->sizes.offset == 8 ? 16 : 8;
	unit->rnglists_base = unit->sizes.offset == 8 ? 20 : 12;
}

/* Read the unit at FILE's next; NULL where it is none of ours. */
static struct unit *read_unit(struct dwarf_file *file)
{
	enum { MOST_OF_HEAD = 64 };
	struct reader r = sections_info(file->sections,
					file->next + MOST_OF_HEAD);
	struct unit *unit = calloc(1, sizeof(*unit));
	uint64_t at = file->next, end;

	file->next = UINT64_MAX;
	if (!unit)
		return NULL;
	unit->file = file;
	unit->offset = at;
	r.pos = (size_t)at;
	if (!read_head(unit, &r, &end)) {
		free(unit);
		file->next = end ? end : UINT64_MAX;
		return NULL;
	}
	file->next = end;
	r = sections_info(file->sections, end);
	if (unit->end > r.len)
		unit->end = r.len;
	if (unit->sizes.version == 5)
		set_bases(unit);
	r.len = (size_t)unit->end;
	if (!load_abbrevs(unit) || !add_unit(file, unit)) {
		file->nunread++;
		abbrevs_fini(&unit->abbrevs);
		free(unit);
		return NULL;
	}
	read_root(unit, r, read_root_attr);
	read_root(unit, r, read_root_text);
	return unit;
}

struct unit *dwarf_file_next(struct dwarf_file *file)
{
	while (file->nunits < DWARF_MAX_UNITS &&
	       file->next < sections_info(file->sections,
					  file->next + 1).len) {
		struct unit *unit = read_unit(file);

		if (unit)
			return unit;
	}
	return NULL;
}

struct unit *dwarf_file_unit(struct dwarf_file *file, uint64_t offset)
{
	size_t low = 0, high;

	if (file->near && offset >= file->near->offset &&
	    offset < file->near->end)
		return file->near;
	if (file->is_ahead)
		return NULL;
	while (file->next <= offset && dwarf_file_next(file))
		;
	high = file->nunits;
	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (file->units[middle]->offset <= offset)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == 0 || offset >= file->units[low - 1]->end)
		return NULL;
	return file->units[low - 1];
}
