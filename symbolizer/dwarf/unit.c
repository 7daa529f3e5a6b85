/* Units and attributes of DWARF. Runs in the process that can be lost; every
 * offset is anybody's. */
#include "unit.h"

#include <stdlib.h>
#include <string.h>

#include <dwarf.h>

#include "tree.h"

enum {
	MAX_RANGES = 1 << 20, /* of one DIE */
	HEAD_V5_STR_OFFSETS = 8, /* bytes before the first, in 32-bit DWARF */
	HEAD_V5_RNGLISTS = 12,
};

/* Opening */

struct dwarf_file *dwarf_file_open(const struct elf_file *file, bool split,
				   struct dwarf_file *alt)
{
	struct dwarf_file *dwarf = calloc(1, sizeof(*dwarf));
	struct sections *sections = sections_open(file, split);

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
	dwarf->is_split = split;
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
	return abbrevs_read(&unit->file->abbrev, unit->abbrev_offset,
			    &unit->sizes, &unit->abbrevs) &&
	       unit->abbrevs.list;
}

void unit_release(struct unit *unit)
{
	if (unit->file->keeps_all)
		return;
	abbrevs_fini(&unit->abbrevs);
	tree_free(unit->tree);
	unit->tree = NULL;
	sections_drop(unit->file->sections, unit->end);
}

/* Attributes */

static inline uint64_t read_sized(struct reader *r, int size)
{
	const uint8_t *at;

	switch (size) {
	case 0:
		return 0;
	case 1:
		return reader_u8(r);
	case 2:
		return reader_u16(r);
	case 3:
		at = reader_take(r, 3);
		return at ? (uint64_t)at[0] | (uint64_t)at[1] << 8 |
				    (uint64_t)at[2] << 16
			  : 0;
	case 4:
		return reader_u32(r);
	case 8:
		return reader_u64(r);
	default:
		reader_skip(r, (size_t)size);
		return 0;
	}
}

static void read_block(struct reader *r, uint64_t len, struct attr *out)
{
	if (len > reader_left(r))
		r->bad = true;
	out->value = len;
	reader_skip(r, (size_t)len);
}

void unit_attr(const struct unit *unit, struct reader *r, uint16_t form,
	       int64_t implicit, struct attr *out)
{
	int size = abbrev_form_size(&unit->sizes, form);

	out->form = form;
	if (form == DW_FORM_implicit_const) {
		out->value = (uint64_t)implicit;
		return;
	}
	if (size >= 0) {
		out->value = read_sized(r, size);
		return;
	}
	switch (form) {
	case DW_FORM_string:
		out->text = reader_text(r);
		break;
	case DW_FORM_udata:
	case DW_FORM_ref_udata:
	case DW_FORM_strx:
	case DW_FORM_addrx:
	case DW_FORM_loclistx:
	case DW_FORM_rnglistx:
	case DW_FORM_GNU_addr_index:
	case DW_FORM_GNU_str_index:
		out->value = reader_uleb(r);
		break;
	case DW_FORM_sdata:
		out->value = (uint64_t)reader_sleb(r);
		break;
	case DW_FORM_block1:
		read_block(r, reader_u8(r), out);
		break;
	case DW_FORM_block2:
		read_block(r, reader_u16(r), out);
		break;
	case DW_FORM_block4:
		read_block(r, reader_u32(r), out);
		break;
	case DW_FORM_block:
	case DW_FORM_exprloc:
		read_block(r, reader_uleb(r), out);
		break;
	case DW_FORM_indirect:
		form = (uint16_t)reader_uleb(r);
		if (form == DW_FORM_indirect || r->bad)
			r->bad = true;
		else
			unit_attr(unit, r, form, 0, out);
		break;
	default:
		r->bad = true;
	}
}

static const char *text_at(struct reader section, uint64_t offset)
{
	if (offset >= section.len)
		return NULL;
	section.pos = (size_t)offset;
	return reader_text(&section);
}

/* Entry INDEX of a table of SIZE-byte numbers at BASE of SECTION. */
static bool table_entry(struct reader section, uint64_t base, uint64_t index,
			int size, uint64_t *out)
{
	uint64_t n = section.len / (unsigned)size;

	if (base > section.len || index > n ||
	    index * (unsigned)size > section.len - base)
		return false;
	section.pos = (size_t)(base + index * (unsigned)size);
	*out = read_sized(&section, size);
	return !section.bad;
}

const char *unit_string(const struct unit *unit, const struct attr *attr)
{
	const struct dwarf_file *file = unit->file;
	uint64_t offset;

	switch (attr->form) {
	case DW_FORM_string:
		return attr->text;
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
		if (!table_entry(file->str_offsets, unit->str_offsets_base,
				 attr->value, unit->sizes.offset, &offset))
			return NULL;
		return text_at(file->str, offset);
	default:
		return NULL;
	}
}

static const struct unit *address_holder(const struct unit *unit)
{
	return unit->skeleton ? unit->skeleton : unit;
}

static bool indexed_address(const struct unit *unit, uint64_t index,
			    uint64_t *out)
{
	const struct unit *holder = address_holder(unit);

	return table_entry(holder->file->addr, holder->addr_base, index,
			   holder->sizes.address, out);
}

bool unit_address(const struct unit *unit, const struct attr *attr,
		  uint64_t *out)
{
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
		return indexed_address(unit, attr->value, out);
	default:
		return false;
	}
}

bool unit_number(const struct attr *attr, uint64_t *out)
{
	switch (attr->form) {
	case DW_FORM_data1:
	case DW_FORM_data2:
	case DW_FORM_data4:
	case DW_FORM_data8:
	case DW_FORM_udata:
	case DW_FORM_sdata:
	case DW_FORM_implicit_const:
	case DW_FORM_sec_offset:
		*out = attr->value;
		return true;
	default:
		return false;
	}
}

bool unit_flag(const struct attr *attr)
{
	return attr->form == DW_FORM_flag_present ||
	       (attr->form != 0 && attr->value != 0);
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

static inline struct attr *slot(struct die *die, uint16_t name)
{
	switch (name) {
	case DW_AT_name:
		return &die->name;
	case DW_AT_linkage_name:
	case DW_AT_MIPS_linkage_name:
		return &die->linkage;
	case DW_AT_low_pc:
		return &die->low;
	case DW_AT_high_pc:
		return &die->high;
	case DW_AT_ranges:
		return &die->ranges;
	case DW_AT_abstract_origin:
		return &die->origin;
	case DW_AT_specification:
		return &die->specification;
	case DW_AT_call_file:
		return &die->call_file;
	case DW_AT_call_line:
		return &die->call_line;
	case DW_AT_declaration:
		return &die->declaration;
	case DW_AT_call_all_calls:
	case DW_AT_call_all_tail_calls:
	case DW_AT_GNU_all_call_sites:
	case DW_AT_GNU_all_tail_call_sites:
		return &die->all_calls;
	case DW_AT_call_return_pc:
		return &die->return_pc;
	case DW_AT_call_origin:
		return &die->callee;
	case DW_AT_call_target:
	case DW_AT_GNU_call_site_target:
		return &die->target;
	case DW_AT_call_tail_call:
	case DW_AT_GNU_tail_call:
		return &die->tail_call;
	default:
		return NULL;
	}
}

void unit_read_die(const struct unit *unit, struct reader *r,
		   const struct abbrev *abbrev, struct die *out)
{
	const struct abbrev_attr *attrs = unit->abbrevs.attrs + abbrev->first;

	memset(out, 0, sizeof(*out));
	out->abbrev = abbrev;
	for (uint32_t i = 0; i < abbrev->nattrs; i++) {
		struct attr *to = slot(out, attrs[i].name), ignored;

		if (attrs[i].size < 0 ||
		    attrs[i].form == DW_FORM_implicit_const) {
			unit_attr(unit, r, attrs[i].form,
				  unit->abbrevs.implicit[abbrev->first + i],
				  to ? to : &ignored);
		} else if (to) {
			to->form = attrs[i].form;
			to->value = read_sized(r, attrs[i].size);
		} else {
			reader_skip(r, (size_t)attrs[i].size);
		}
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
		unit_attr(unit, r,
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

bool unit_die(struct unit *unit, uint64_t offset, struct die *out)
{
	struct reader r = unit_dies(unit);
	const struct abbrev *abbrev;

	if (offset < r.pos || offset >= r.len)
		return false;
	r.pos = (size_t)offset;
	abbrev = abbrevs_find(&unit->abbrevs, reader_uleb(&r));
	if (!abbrev)
		return false;
	unit_read_die(unit, &r, abbrev, out);
	return !r.bad;
}

/* Ranges */

bool dwarf_is_tombstone(uint64_t low, uint64_t high)
{
	return low == 0 || low >= high || low >= UINT64_MAX - 4 ||
	       (low >= UINT32_MAX - 4 && low <= UINT32_MAX);
}

/* Where ranges go. */
struct range_sink {
	const struct unit *unit;
	unit_range *each;
	void *context;
	uint64_t base;
	bool is_over;
};

static void add_range(struct range_sink *sink, uint64_t low, uint64_t high)
{
	if (!dwarf_is_tombstone(low, high))
		sink->is_over |= !sink->each(sink->context, low, high);
}

static void add_pair(struct range_sink *sink, uint64_t low, uint64_t high)
{
	if (sink->base < UINT64_MAX - 4)
		add_range(sink, sink->base + low, sink->base + high);
}

/* DWARF 2 to 4: section 2.17.3 of the fourth. */
static void read_ranges(struct range_sink *sink, struct reader r)
{
	for (int i = 0; i < MAX_RANGES && !sink->is_over; i++) {
		uint64_t low = reader_u64(&r), high = reader_u64(&r);

		if (r.bad || (low == 0 && high == 0))
			return;
		if (low == UINT64_MAX)
			sink->base = high;
		else
			add_pair(sink, low, high);
	}
}

static uint64_t next_indexed(struct range_sink *sink, struct reader *r)
{
	uint64_t address = 0;

	r->bad |= !indexed_address(sink->unit, reader_uleb(r), &address);
	return address;
}

/* DWARF 5: section 2.17.3. */
static void read_rnglist(struct range_sink *sink, struct reader r)
{
	for (int i = 0; i < MAX_RANGES && !sink->is_over && !r.bad; i++) {
		uint8_t kind = reader_u8(&r);
		uint64_t low, high;

		switch (kind) {
		case DW_RLE_base_addressx:
			sink->base = next_indexed(sink, &r);
			continue;
		case DW_RLE_base_address:
			sink->base = reader_u64(&r);
			continue;
		case DW_RLE_startx_endx:
			low = next_indexed(sink, &r);
			high = next_indexed(sink, &r);
			break;
		case DW_RLE_startx_length:
			low = next_indexed(sink, &r);
			high = low + reader_uleb(&r);
			break;
		case DW_RLE_start_end:
			low = reader_u64(&r);
			high = reader_u64(&r);
			break;
		case DW_RLE_start_length:
			low = reader_u64(&r);
			high = low + reader_uleb(&r);
			break;
		case DW_RLE_offset_pair:
			low = reader_uleb(&r);
			high = reader_uleb(&r);
			if (!r.bad)
				add_pair(sink, low, high);
			continue;
		default: /* DW_RLE_end_of_list among them */
			return;
		}
		if (!r.bad)
			add_range(sink, low, high);
	}
}

/* R from OFFSET on; bad where that is not in it. */
static struct reader from_offset(struct reader r, uint64_t offset)
{
	if (offset > r.len)
		r.bad = true;
	else
		r.pos = (size_t)offset;
	return r;
}

static void range_list(struct range_sink *sink, const struct attr *attr)
{
	const struct unit *unit = sink->unit;
	uint64_t offset = attr->value;

	if (unit->sizes.version < 5) {
		const struct unit *holder = address_holder(unit);

		if (unit->skeleton)
			offset += holder->ranges_base;
		read_ranges(sink, from_offset(holder->file->ranges, offset));
		return;
	}
	if (attr->form == DW_FORM_rnglistx) {
		if (!table_entry(unit->file->rnglists, unit->rnglists_base,
				 attr->value, unit->sizes.offset, &offset))
			return;
		offset += unit->rnglists_base;
	}
	read_rnglist(sink, from_offset(unit->file->rnglists, offset));
}

void unit_ranges(const struct unit *unit, const struct die *die,
		 unit_range *each, void *context)
{
	struct range_sink sink = {
		.unit = unit, .each = each, .context = context,
		.base = address_holder(unit)->base,
	};
	uint64_t low, high;

	if (die->ranges.form) {
		range_list(&sink, &die->ranges);
		return;
	}
	if (!unit_address(unit, &die->low, &low))
		return;
	if (unit_number(&die->high, &high))
		add_range(&sink, low, low + high);
	else if (unit_address(unit, &die->high, &high))
		add_range(&sink, low, high);
}

static bool take_first(void *context, uint64_t low, uint64_t high)
{
	uint64_t *out = context;

	(void)high;
	*out = low;
	return false;
}

bool unit_entry(const struct unit *unit, const struct die *die, uint64_t *out)
{
	uint64_t entry = 0;

	if (!unit_address(unit, &die->low, &entry))
		unit_ranges(unit, die, take_first, &entry);
	*out = entry;
	return entry != 0;
}

/* Units */

static void read_root_attr(struct unit *unit, uint16_t name,
			   const struct attr *attr)
{
	uint64_t value = 0;
	bool has = unit_number(attr, &value);

	switch (name) {
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
	case DW_AT_name:
		unit->name = unit_string(unit, attr);
		break;
	case DW_AT_comp_dir:
		unit->comp_dir = unit_string(unit, attr);
		break;
	case DW_AT_dwo_name:
	case DW_AT_GNU_dwo_name:
		unit->dwo_name = unit_string(unit, attr);
		break;
	case DW_AT_low_pc:
		unit->has_code |= unit_address(unit, attr, &unit->base);
		break;
	case DW_AT_ranges:
		unit->has_code = true;
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
	unit->tag = abbrev->tag;
	for (uint32_t i = 0; i < abbrev->nattrs; i++) {
		uint32_t n = abbrev->first + i;
		struct attr attr = { .form = 0 };

		unit_attr(unit, &r, unit->abbrevs.attrs[n].form,
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
	unit->abbrev_offset = read_sized(r, unit->sizes.offset);
	if (unit->sizes.version < 5)
		unit->sizes.address = reader_u8(r);
	if (unit->type == DW_UT_skeleton || unit->type == DW_UT_split_compile) {
		unit->has_dwo_id = true;
		unit->dwo_id = reader_u64(r);
	} else if (unit->type == DW_UT_type ||
		   unit->type == DW_UT_split_type) {
		reader_u64(r);
		read_sized(r, unit->sizes.offset);
	}
	unit->dies = r->pos;
	return !r->bad && unit->sizes.address == 8;
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

/* Read the unit at FILE's next; NULL where it is none of ours. */
static struct unit *read_unit(struct dwarf_file *file)
{
	enum { MOST_OF_HEAD = 64 };
	struct reader r = sections_info(file->sections,
					file->next + MOST_OF_HEAD);
	struct unit *unit = calloc(1, sizeof(*unit));
	uint64_t end;

	if (!unit)
		return NULL;
	unit->file = file;
	unit->offset = file->next;
	r.pos = (size_t)file->next;
	if (!read_head(unit, &r, &end)) {
		free(unit);
		file->next = end ? end : UINT64_MAX;
		return NULL;
	}
	file->next = end;
	r = sections_info(file->sections, end);
	if (unit->end > r.len)
		unit->end = r.len;
	if (unit->sizes.version == 5) { /* what a split unit need not say */
		unit->str_offsets_base = HEAD_V5_STR_OFFSETS;
		unit->rnglists_base = HEAD_V5_RNGLISTS;
	}
	r.len = (size_t)unit->end;
	if (!load_abbrevs(unit) || !add_unit(file, unit)) {
		abbrevs_fini(&unit->abbrevs);
		free(unit);
		return NULL;
	}
	read_root(unit, r, read_root_attr);
	read_root(unit, r, read_root_text);
	/* A split unit's table of files stands alone. */
	if (file->is_split && !unit->has_lines && file->line.len > 0)
		unit->has_lines = true;
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
