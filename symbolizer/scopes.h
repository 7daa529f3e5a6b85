/* The functions of one unit and what was inlined into them, by address.
 * libdw's own dwarf_getscopes walks the unit again for each address (5 ms on
 * average in a large library); this walks it once. Process: the child that can
 * be lost. */
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
	char *qualified; /* for the caller to keep a name in; malloc'd */
};

#define SCOPE_NONE UINT32_MAX

/* An address range of a scope; one scope may have many. */
struct span {
	uint64_t low, high;
	uint32_t scope;
	uint32_t owner; /* the subprogram that it is in; itself for one */
};

/* A namespace, type or function that others are declared in. libdw (0.188)
 * knows no way from a DIE to the one around it. */
struct context {
	Dwarf_Die die;
	uint32_t parent; /* SCOPE_NONE: the unit */
};

struct declaration {
	Dwarf_Off offset; /* of a subprogram */
	uint32_t context;
};

struct scopes {
	struct context *contexts;
	size_t ncontexts, contexts_cap;
	struct declaration *declarations; /* by offset */
	size_t ndeclarations, declarations_cap;
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

/* NAME as declared at OFFSET, with the namespaces and types around it
 * ("a::B::name"): malloc'd, or NULL where there are none. */
char *scopes_qualify(const struct scopes *scopes, Dwarf_Off offset,
		     const char *name);

#endif
