/* Abbreviations. Runs in the process that can be lost; nothing is trusted. */
#include "abbrev.h"

#include <stdlib.h>
#include <string.h>

#include <dwarf.h>

#include "../array.h"
#include "die.h"

struct building {
	struct abbrevs *to;
	const struct sizes *sizes;
	size_t attrs_len, attrs_cap, implicit_cap, list_cap;
};

static bool add_attr(struct building *building, const struct abbrev *abbrev,
		     uint16_t name, uint16_t form, int64_t implicit)
{
	struct abbrevs *to = building->to;
	size_t n = building->attrs_len;
	struct abbrev_attr *attrs;
	int64_t *values;

	if (n == ABBREV_MAX_ATTRS)
		return false;
	attrs = array_grow(to->attrs, n, &building->attrs_cap, sizeof(*attrs));
	if (!attrs)
		return false;
	to->attrs = attrs;
	values = array_grow(to->implicit, n, &building->implicit_cap,
		      sizeof(*values));
	if (!values)
		return false;
	to->implicit = values;
	attrs[n] = (struct abbrev_attr){
		.name = name, .form = form,
		.size = (int8_t)attr_form_size(building->sizes, form),
		.slot = (int8_t)die_slot(name),
		.at = (uint16_t)(abbrev->fixed >= 0 ? abbrev->fixed : 0),
	};
	values[n] = implicit;
	building->attrs_len++;
	return true;
}

static void add_size(struct abbrev *abbrev, const struct sizes *sizes,
		     uint16_t name, uint16_t form)
{
	int size = attr_form_size(sizes, form);

	if (name == DW_AT_sibling && form == DW_FORM_ref4 &&
	    abbrev->fixed >= 0)
		abbrev->sibling = abbrev->fixed;
	if (size < 0 || abbrev->fixed > INT16_MAX)
		abbrev->fixed = -1;
	else if (abbrev->fixed >= 0)
		abbrev->fixed += size;
}

/* The attributes of one; false where they have no end. */
static bool read_attrs(struct building *building, struct reader *r,
		       struct abbrev *abbrev)
{
	abbrev->first = (uint32_t)building->attrs_len;
	for (;;) {
		uint64_t name = reader_uleb(r), form = reader_uleb(r);
		int64_t implicit = 0;

		if (form == DW_FORM_implicit_const)
			implicit = reader_sleb(r);
		if (r->bad || (name == 0 && form == 0))
			break;
		if (name > UINT16_MAX || form > UINT16_MAX ||
		    abbrev->nattrs == UINT16_MAX ||
		    !add_attr(building, abbrev, (uint16_t)name, (uint16_t)form,
			      implicit))
			return false;
		abbrev->nattrs++;
		add_size(abbrev, building->sizes, (uint16_t)name,
			 (uint16_t)form);
	}
	return !r->bad;
}

static int by_code(const void *left, const void *right)
{
	const struct abbrev *a = left, *b = right;

	return a->code < b->code ? -1 : a->code > b->code;
}

void abbrevs_read(struct reader *section, uint64_t offset,
		  const struct sizes *sizes, struct abbrevs *out)
{
	struct abbrevs abbrevs = { .is_dense = true };
	struct building building = { .to = &abbrevs, .sizes = sizes };
	struct reader r;

	if (offset > section->len)
		offset = section->len;
	r = reader_at(section, offset, section->len - offset);
	while (abbrevs.len < ABBREV_MAX) {
		struct abbrev abbrev = { .code = reader_uleb(&r),
					 .sibling = -1 };
		struct abbrev *list;

		if (abbrev.code == 0)
			break;
		abbrev.tag = (uint16_t)reader_uleb(&r);
		abbrev.has_children = reader_u8(&r) != 0;
		if (!read_attrs(&building, &r, &abbrev))
			break;
		list = array_grow(abbrevs.list, abbrevs.len, &building.list_cap,
			    sizeof(*list));
		if (!list)
			break;
		abbrevs.list = list;
		list[abbrevs.len++] = abbrev;
		abbrevs.is_dense &= abbrev.code == abbrevs.len;
	}
	if (!abbrevs.is_dense)
		qsort(abbrevs.list, abbrevs.len, sizeof(*abbrevs.list),
		      by_code);
	*out = abbrevs;
}

void abbrevs_fini(struct abbrevs *abbrevs)
{
	free(abbrevs->list);
	free(abbrevs->attrs);
	free(abbrevs->implicit);
	memset(abbrevs, 0, sizeof(*abbrevs));
}

const struct abbrev *abbrevs_find(const struct abbrevs *abbrevs, uint64_t code)
{
	struct abbrev key = { .code = code };

	if (abbrevs->is_dense)
		return code - 1 < abbrevs->len ? &abbrevs->list[code - 1]
					       : NULL;
	return bsearch(&key, abbrevs->list, abbrevs->len,
		       sizeof(*abbrevs->list), by_code);
}

static bool leaves_unit(uint64_t name, uint64_t form)
{
	return form == DW_FORM_ref_addr &&
	       (name == DW_AT_abstract_origin || name == DW_AT_specification ||
		name == DW_AT_call_origin);
}

bool abbrevs_leave_unit(struct reader section)
{
	struct reader *r = &section;

	while (reader_left(r) > 0) {
		uint64_t name, form;

		if (reader_uleb(r) == 0) /* between two tables */
			continue;
		reader_uleb(r);
		reader_u8(r);
		do {
			name = reader_uleb(r);
			form = reader_uleb(r);
			if (form == DW_FORM_implicit_const)
				reader_sleb(r);
			if (leaves_unit(name, form))
				return true;
		} while (!r->bad && (name != 0 || form != 0));
	}
	return false;
}
