/* Which attributes are asked for. Runs in the process that can be lost. */
#include "die.h"

#include <dwarf.h>
#include <stddef.h>

#define SLOT(field) \
	(int)(offsetof(struct die, field) / sizeof(struct attr))

int die_slot(uint16_t name)
{
	switch (name) {
	case DW_AT_name:
		return SLOT(name);
	case DW_AT_linkage_name:
	case DW_AT_MIPS_linkage_name:
		return SLOT(linkage);
	case DW_AT_low_pc:
		return SLOT(low);
	case DW_AT_high_pc:
		return SLOT(high);
	case DW_AT_ranges:
		return SLOT(ranges);
	case DW_AT_abstract_origin:
		return SLOT(origin);
	case DW_AT_specification:
		return SLOT(specification);
	case DW_AT_call_file:
		return SLOT(call_file);
	case DW_AT_call_line:
		return SLOT(call_line);
	case DW_AT_declaration:
		return SLOT(declaration);
	case DW_AT_call_all_calls:
	case DW_AT_call_all_tail_calls:
	case DW_AT_GNU_all_call_sites:
	case DW_AT_GNU_all_tail_call_sites:
		return SLOT(all_calls);
	case DW_AT_call_return_pc:
		return SLOT(return_pc);
	case DW_AT_call_origin:
		return SLOT(callee);
	case DW_AT_call_target:
	case DW_AT_GNU_call_site_target:
		return SLOT(target);
	case DW_AT_call_tail_call:
	case DW_AT_GNU_tail_call:
		return SLOT(tail_call);
	default:
		return -1;
	}
}
