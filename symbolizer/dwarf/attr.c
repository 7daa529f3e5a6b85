/* Attributes. Runs in the process that can be lost; nothing is trusted. */
#include "attr.h"

#include <dwarf.h>

int attr_form_size(const struct sizes *sizes, uint16_t form)
{
	switch (form) {
	case DW_FORM_flag_present:
	case DW_FORM_implicit_const:
		return 0;
	case DW_FORM_data1:
	case DW_FORM_flag:
	case DW_FORM_ref1:
	case DW_FORM_strx1:
	case DW_FORM_addrx1:
		return 1;
	case DW_FORM_data2:
	case DW_FORM_ref2:
	case DW_FORM_strx2:
	case DW_FORM_addrx2:
		return 2;
	case DW_FORM_strx3:
	case DW_FORM_addrx3:
		return 3;
	case DW_FORM_data4:
	case DW_FORM_ref4:
	case DW_FORM_ref_sup4:
	case DW_FORM_strx4:
	case DW_FORM_addrx4:
		return 4;
	case DW_FORM_data8:
	case DW_FORM_ref8:
	case DW_FORM_ref_sig8:
	case DW_FORM_ref_sup8:
		return 8;
	case DW_FORM_data16:
		return 16;
	case DW_FORM_addr:
		return sizes->address;
	case DW_FORM_ref_addr:
		return sizes->version <= 2 ? sizes->address : sizes->offset;
	case DW_FORM_strp:
	case DW_FORM_line_strp:
	case DW_FORM_sec_offset:
	case DW_FORM_strp_sup:
	case DW_FORM_GNU_ref_alt:
	case DW_FORM_GNU_strp_alt:
		return sizes->offset;
	default:
		return -1;
	}
}

static void read_block(struct reader *r, uint64_t len, struct attr *out)
{
	if (len > reader_left(r))
		r->bad = true;
	out->value = len;
	reader_skip(r, (size_t)len);
}

void attr_read(struct reader *r, const struct sizes *sizes, uint16_t form,
	       int64_t implicit, struct attr *out)
{
	int size = attr_form_size(sizes, form);

	out->form = form;
	if (form == DW_FORM_implicit_const) {
		out->value = (uint64_t)implicit;
		return;
	}
	if (size >= 0) {
		out->value = attr_sized(r, size);
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
			attr_read(r, sizes, form, 0, out);
		break;
	default:
		r->bad = true;
	}
}

bool attr_number(const struct attr *attr, uint64_t *out)
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

bool attr_flag(const struct attr *attr)
{
	return attr->form == DW_FORM_flag_present ||
	       (attr->form != 0 && attr->value != 0);
}
