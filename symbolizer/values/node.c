/* DIEs with their attributes. Runs in the process that can be lost; every
 * offset is anybody's, so each step leads on, or through a bounded number. */
#include "node.h"

#include <string.h>

#include <dwarf.h>

#include "../dwarf/ranges.h"

enum {
	MAX_ORIGINS = 16, /* as libdw follows */
	DATA16 = 16,
};

/* DWARF 5's names, and GNU's before that. NODE_ATTRS: it is none of ours. */
static enum node_attr attr_of(uint16_t name)
{
	switch (name) {
	case DW_AT_call_all_calls:
	case DW_AT_call_all_tail_calls:
	case DW_AT_GNU_all_call_sites:
	case DW_AT_GNU_all_tail_call_sites: return NODE_ALL_CALLS;
	case DW_AT_bit_offset: return NODE_BIT_OFFSET;
	case DW_AT_bit_size: return NODE_BIT_SIZE;
	case DW_AT_byte_size: return NODE_BYTE_SIZE;
	case DW_AT_call_target:
	case DW_AT_GNU_call_site_target: return NODE_CALL_TARGET;
	case DW_AT_call_value:
	case DW_AT_GNU_call_site_value: return NODE_CALL_VALUE;
	case DW_AT_call_origin: return NODE_CALLEE;
	case DW_AT_const_value: return NODE_CONST_VALUE;
	case DW_AT_count: return NODE_COUNT;
	case DW_AT_data_bit_offset: return NODE_DATA_BIT_OFFSET;
	case DW_AT_declaration: return NODE_DECLARATION;
	case DW_AT_encoding: return NODE_ENCODING;
	case DW_AT_enum_class: return NODE_ENUM_CLASS;
	case DW_AT_external: return NODE_EXTERNAL;
	case DW_AT_frame_base: return NODE_FRAME_BASE;
	case DW_AT_high_pc: return NODE_HIGH;
	case DW_AT_language: return NODE_LANGUAGE;
	case DW_AT_linkage_name:
	case DW_AT_MIPS_linkage_name: return NODE_LINKAGE;
	case DW_AT_location: return NODE_LOCATION;
	case DW_AT_loclists_base: return NODE_LOCLISTS_BASE;
	case DW_AT_low_pc: return NODE_LOW;
	case DW_AT_lower_bound: return NODE_LOWER_BOUND;
	case DW_AT_data_member_location: return NODE_MEMBER_LOCATION;
	case DW_AT_name: return NODE_NAME;
	case DW_AT_abstract_origin: return NODE_ORIGIN;
	case DW_AT_call_parameter: return NODE_PARAMETER;
	case DW_AT_ranges: return NODE_RANGES;
	case DW_AT_call_return_pc: return NODE_RETURN_PC;
	case DW_AT_sibling: return NODE_SIBLING;
	case DW_AT_specification: return NODE_SPECIFICATION;
	case DW_AT_call_tail_call:
	case DW_AT_GNU_tail_call: return NODE_TAIL_CALL;
	case DW_AT_type: return NODE_TYPE;
	case DW_AT_upper_bound: return NODE_UPPER_BOUND;
	default: return NODE_ATTRS;
	}
}

static size_t block_len(const struct attr *attr)
{
	switch (attr->form) {
	case DW_FORM_block1:
	case DW_FORM_block2:
	case DW_FORM_block4:
	case DW_FORM_block:
	case DW_FORM_exprloc:
		return (size_t)attr->value;
	case DW_FORM_data16:
		return DATA16;
	default:
		return 0;
	}
}

static void read_attrs(struct reader *r, const struct abbrev *abbrev,
		       struct node *out)
{
	const struct unit *unit = out->unit;

	for (uint32_t i = 0; i < abbrev->nattrs && !r->bad; i++) {
		uint32_t n = abbrev->first + i;
		enum node_attr which = attr_of(unit->abbrevs.attrs[n].name);
		struct attr attr;
		size_t len;

		attr_read(r, &unit->sizes, unit->abbrevs.attrs[n].form,
			  unit->abbrevs.implicit[n], &attr);
		if (which == NODE_ATTRS || r->bad)
			continue;
		len = block_len(&attr);
		out->at[which] = attr;
		out->blocks[which] = len ? r->bytes + r->pos - len : NULL;
	}
}

/* The DIE at OFFSET of UNIT; false for the end of a list of children, too. */
static bool read_node(struct unit *unit, uint64_t offset, struct node *out)
{
	struct reader r;
	const struct abbrev *abbrev = unit_abbrev_at(unit, offset, &r);

	if (!abbrev)
		return false;
	memset(out, 0, sizeof(*out));
	out->unit = unit;
	out->offset = offset;
	out->tag = abbrev->tag;
	out->has_children = abbrev->has_children;
	read_attrs(&r, abbrev, out);
	out->next = r.pos;
	return !r.bad;
}

bool node_at(struct die_ref ref, struct node *out)
{
	struct unit *unit = ref.file ? dwarf_file_unit(ref.file, ref.offset)
				     : NULL;

	return unit && read_node(unit, ref.offset, out);
}

bool node_root(struct unit *unit, struct node *out)
{
	return read_node(unit, unit->dies, out);
}

bool node_child(const struct node *parent, struct node *out)
{
	return parent->has_children &&
	       read_node(parent->unit, parent->next, out);
}

/* Where what is in NODE ends. */
static uint64_t end_of(const struct node *node)
{
	struct reader r = unit_dies(node->unit);
	unsigned depth = 1;

	r.pos = (size_t)node->next;
	while (depth > 0 && !r.bad) {
		uint64_t code = reader_uleb(&r);
		const struct abbrev *abbrev;

		if (code == 0) {
			depth--;
			continue;
		}
		abbrev = abbrevs_find(&node->unit->abbrevs, code);
		if (!abbrev)
			return UINT64_MAX;
		unit_skip_die(node->unit, &r, abbrev);
		depth += abbrev->has_children;
	}
	return r.bad ? UINT64_MAX : r.pos;
}

bool node_sibling(const struct node *node, struct node *out)
{
	struct unit *unit = node->unit;
	uint64_t at = node->next;
	struct die_ref said;

	if (node->has_children &&
	    unit_reference(unit, &node->at[NODE_SIBLING], &said) &&
	    said.file == unit->file && said.offset > at)
		at = said.offset;
	else if (node->has_children)
		at = end_of(node);
	return read_node(unit, at, out);
}

bool node_number(const struct node *node, enum node_attr attr, uint64_t *out)
{
	return attr_number(&node->at[attr], out);
}

bool node_address(const struct node *node, enum node_attr attr, uint64_t *out)
{
	return unit_address(node->unit, &node->at[attr], out);
}

const char *node_text(const struct node *node, enum node_attr attr)
{
	return unit_string(node->unit, &node->at[attr]);
}

bool node_block(const struct node *node, enum node_attr attr,
		struct reader *out)
{
	size_t len = block_len(&node->at[attr]);

	reader_init(out, node->blocks[attr], len);
	return len > 0 || node->at[attr].form == DW_FORM_exprloc;
}

bool node_follow(const struct node *node, enum node_attr attr,
		 struct node *out)
{
	struct die_ref ref;

	return unit_reference(node->unit, &node->at[attr], &ref) &&
	       node_at(ref, out);
}

bool node_with(const struct node *node, enum node_attr attr, struct node *out)
{
	*out = *node;
	for (int i = 0; i < MAX_ORIGINS && !node_has(out, attr); i++)
		if (!node_follow(out, NODE_ORIGIN, out) &&
		    !node_follow(out, NODE_SPECIFICATION, out))
			return false;
	return node_has(out, attr);
}

const char *node_text_with(const struct node *node, enum node_attr attr)
{
	struct node with;

	return node_with(node, attr, &with) ? node_text(&with, attr) : NULL;
}

struct held {
	uint64_t pc;
	bool is_in;
};

static bool look_in(void *context, uint64_t low, uint64_t high)
{
	struct held *held = context;

	held->is_in = held->pc >= low && held->pc < high;
	return !held->is_in;
}

bool node_holds(const struct node *node, uint64_t pc)
{
	struct held held = { .pc = pc };
	const struct die die = {
		.low = node->at[NODE_LOW],
		.high = node->at[NODE_HIGH],
		.ranges = node->at[NODE_RANGES],
	};

	ranges_of(node->unit, &die, look_in, &held);
	return held.is_in;
}
