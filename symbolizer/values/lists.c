/* Location lists. Runs in the process that can be lost; every offset is
 * anybody's. */
#include "lists.h"

#include <dwarf.h>

enum {
	MAX_ENTRIES = 1 << 20, /* of one list */
	HEAD = 12, /* bytes of .debug_loclists' own, in 32-bit DWARF */
	HEAD_64 = 20,
};

/* Kinds of entries of GNU's split units, before DWARF 5 had its own. */
enum { OLD_END, OLD_BASE, OLD_START_END, OLD_START_LENGTH };

struct search {
	const struct unit *unit;
	struct reader r;
	uint64_t pc, base;
	struct reader expr; /* that was found */
};

/* The next entry's expression, of LEN bytes; true where it is for PC. */
static bool take(struct search *search, uint64_t low, uint64_t high,
		 uint64_t len)
{
	const uint8_t *bytes = len > 0 ? reader_take(&search->r, (size_t)len)
				       : NULL;

	if (search->r.bad || search->pc < low || search->pc >= high)
		return false;
	reader_init(&search->expr, bytes, (size_t)len);
	return true;
}

static uint64_t next_indexed(struct search *search)
{
	const struct attr attr = {
		.value = reader_uleb(&search->r), .form = DW_FORM_addrx,
	};
	uint64_t address = 0;

	if (!unit_address(search->unit, &attr, &address))
		search->r.bad = true;
	return address;
}

static bool find_old(struct search *search)
{
	struct reader *r = &search->r;

	for (int i = 0; i < MAX_ENTRIES && !r->bad; i++) {
		uint64_t low = reader_u64(r), high = reader_u64(r);

		if (low == 0 && high == 0)
			return false;
		if (low == UINT64_MAX)
			search->base = high;
		else if (take(search, search->base + low, search->base + high,
			      reader_u16(r)))
			return true;
	}
	return false;
}

static bool find_old_split(struct search *search)
{
	struct reader *r = &search->r;

	for (int i = 0; i < MAX_ENTRIES && !r->bad; i++) {
		uint8_t kind = reader_u8(r);
		uint64_t low, high;

		if (kind == OLD_BASE) {
			search->base = next_indexed(search);
			continue;
		}
		if (kind != OLD_START_END && kind != OLD_START_LENGTH)
			return false;
		low = next_indexed(search);
		high = kind == OLD_START_END ? next_indexed(search)
					     : low + reader_u32(r);
		if (take(search, low, high, reader_u16(r)))
			return true;
	}
	return false;
}

/* Whether a new base was all there is to the entry; else its addresses. False
 * where the list ends. */
static bool next_entry(struct search *search, bool *has_out, uint64_t *low_out,
		       uint64_t *high_out)
{
	struct reader *r = &search->r;

	*has_out = true;
	switch (reader_u8(r)) {
	case DW_LLE_base_addressx:
		search->base = next_indexed(search);
		*has_out = false;
		return true;
	case DW_LLE_base_address:
		search->base = reader_u64(r);
		*has_out = false;
		return true;
	case DW_LLE_GNU_view_pair:
		reader_uleb(r);
		reader_uleb(r);
		*has_out = false;
		return true;
	case DW_LLE_startx_endx:
		*low_out = next_indexed(search);
		*high_out = next_indexed(search);
		return true;
	case DW_LLE_startx_length:
		*low_out = next_indexed(search);
		*high_out = *low_out + reader_uleb(r);
		return true;
	case DW_LLE_offset_pair:
		*low_out = search->base + reader_uleb(r);
		*high_out = search->base + reader_uleb(r);
		return true;
	case DW_LLE_start_end:
		*low_out = reader_u64(r);
		*high_out = reader_u64(r);
		return true;
	case DW_LLE_start_length:
		*low_out = reader_u64(r);
		*high_out = *low_out + reader_uleb(r);
		return true;
	case DW_LLE_default_location:
		*low_out = 0;
		*high_out = UINT64_MAX;
		return true;
	default: /* DW_LLE_end_of_list among them */
		return false;
	}
}

/* The one for all other addresses counts only where no entry does. */
static bool find_new(struct search *search)
{
	struct search fallback = { .pc = 0 };
	bool has_fallback = false;

	for (int i = 0; i < MAX_ENTRIES && !search->r.bad; i++) {
		uint64_t low = 0, high = 0;
		bool has, is_default;

		if (!next_entry(search, &has, &low, &high))
			break;
		if (!has)
			continue;
		is_default = low == 0 && high == UINT64_MAX;
		if (!take(search, low, high, reader_uleb(&search->r)))
			continue;
		if (!is_default)
			return true;
		fallback = *search;
		has_fallback = true;
	}
	if (has_fallback)
		search->expr = fallback.expr;
	return has_fallback;
}

static uint64_t lists_base(struct unit *unit)
{
	uint64_t base = unit->sizes.offset == 8 ? HEAD_64 : HEAD;
	struct node root;

	if (node_root(unit, &root))
		node_number(&root, NODE_LOCLISTS_BASE, &base);
	return base;
}

static bool find_in_list(const struct node *node, const struct attr *attr,
			 struct search *search)
{
	struct unit *unit = node->unit;
	struct sections *sections = unit->file->sections;
	uint64_t offset = attr->value;
	struct reader section;

	if (unit->sizes.version < 5) {
		section = sections_get(sections, SECTION_LOC);
		search->r = section_from(section, offset);
		return unit->skeleton ? find_old_split(search)
				      : find_old(search);
	}
	section = sections_get(sections, SECTION_LOCLISTS);
	if (attr->form == DW_FORM_loclistx) {
		uint64_t base = lists_base(unit);

		if (!unit_table_entry(section, base, attr->value,
				      unit->sizes.offset, &offset))
			return false;
		offset += base;
	}
	search->r = section_from(section, offset);
	return find_new(search);
}

bool list_find(const struct node *node, enum node_attr attr, uint64_t pc,
	       struct reader *expr_out)
{
	struct search search = {
		.unit = node->unit, .pc = pc,
		.base = unit_holder(node->unit)->base,
	};

	if (node_block(node, attr, expr_out))
		return true;
	switch (node->at[attr].form) {
	case DW_FORM_sec_offset:
	case DW_FORM_loclistx:
	case DW_FORM_data4:
	case DW_FORM_data8:
		break;
	default:
		return false;
	}
	if (!find_in_list(node, &node->at[attr], &search))
		return false;
	*expr_out = search.expr;
	return true;
}
