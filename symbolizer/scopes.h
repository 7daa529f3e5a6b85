/* The functions of one compilation unit and what was inlined into them, by
 * address. libdw's own dwarf_getscopes walks the unit again for each address
 * (5 ms on average in a large library); this walks it once. Process: the child
 * that can be lost. */
#ifndef EPITAPH_SYMBOLIZER_SCOPES_H
#define EPITAPH_SYMBOLIZER_SCOPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <elfutils/libdw.h>

enum { SCOPES_MAX_DEPTH = 256 };

struct scope {
	Dwarf_Die die;   /* DW_TAG_subprogram or DW_TAG_inlined_subroutine */
	uint32_t parent; /* index of the scope around it, SCOPE_NONE: none */
};

#define SCOPE_NONE UINT32_MAX

/* An address range of a scope; one scope may have many. */
struct span {
	uint64_t low, high;
	uint32_t scope;
	uint32_t owner; /* the subprogram that it is in; itself for one */
};

struct scopes {
	struct scope *list; /* parents before children */
	size_t len, cap;
	struct span *functions; /* of subprograms, by low */
	size_t nfunctions, functions_cap;
	uint64_t *reach; /* reach[i]: the largest high of functions[0..i] */
	struct span *inlines; /* by owner, then in the order of the DIEs */
	size_t ninlines, inlines_cap;
	bool bad; /* without memory, or DIEs that make no sense: partial */
};

/* Walk the DIEs below UNIT. */
void scopes_build(Dwarf_Die *unit, struct scopes *out);
void scopes_fini(struct scopes *scopes);

/* The scopes at ADDRESS, innermost first, as indices into the list, at most
 * MAX. The last is the subprogram. Returns their number. */
size_t scopes_find(const struct scopes *scopes, uint64_t address,
		   uint32_t *chain, size_t max);

#endif
