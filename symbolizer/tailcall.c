/* Frames that tail calls left out, inferred as gdb does ("Tail call frames" in
 * its manual). Runs in the process that can be lost; the DIEs may be anybody's,
 * so their number, the depth and the ways tried are bounded.
 *
 * The call site that returns to the outer frame says which function it called.
 * If that is the inner frame's, nothing is missing. Else the tail calls of that
 * function, and of those that they lead to, are followed. What all ways to the
 * inner frame's function begin and end with has been gone through. Wherever one
 * of those calls goes to an unknown place (through a pointer, to another
 * file), that could be another way, so nothing is said. */
#include "tailcall.h"

#include <string.h>

#include <dwarf.h>
#include <elfutils/libdw.h>

#include "scopes.h"

enum {
	MAX_DIES = 1 << 15,   /* for one question: what a switch of 2,000
	                       * inlined calls has */
	MAX_BUDGET = 4 << 20, /* for one file: about half a second */
	MAX_TAILS = 128,      /* of one function */
	MAX_TRIES = 1024,
	MAX_ORIGINS = 16,
};

/* What is looked for below a function. */
struct wish {
	uint64_t return_pc; /* of one call site; 0: all tail calls */
	Dwarf_Die found[MAX_TAILS];
	size_t n;
};

struct way {
	uint64_t pcs[TAILCALL_MAX]; /* outermost first */
	size_t len;
};

struct search {
	struct tailcall *tailcall;
	uint64_t wanted;         /* where the inner function begins */
	const char *wanted_name; /* its linkage name if others know it by that,
	                          * or NULL */
	struct way way;  /* where the search is */
	struct way best; /* the first that led there */
	size_t outer, inner; /* how many of the best one's first and last all
	                      * others share */
	size_t dies_left, tries_left;
	bool unknown; /* there may be ways that are not seen: give up */
};

void tailcall_init(struct tailcall *tailcall, struct dwarf *dwarf,
		   tailcall_resolve *resolve, void *context)
{
	tailcall->dwarf = dwarf;
	tailcall->resolve = resolve;
	tailcall->context = context;
	tailcall->budget = MAX_BUDGET;
}

/* Reading DIEs */

static bool has_flag(Dwarf_Die *die, unsigned name, unsigned gnu_name)
{
	Dwarf_Attribute attr;
	bool is_set = false;

	if (dwarf_attr_integrate(die, name, &attr) == NULL &&
	    dwarf_attr_integrate(die, gnu_name, &attr) == NULL)
		return false;
	return dwarf_formflag(&attr, &is_set) == 0 && is_set;
}

static bool is_tail_call(Dwarf_Die *site)
{
	return has_flag(site, DW_AT_call_tail_call, DW_AT_GNU_tail_call);
}

/* A compiler need not describe all calls; only where it says that it did, can
 * it be known that there is no other way. */
static bool tells_all_tail_calls(Dwarf_Die *function)
{
	return has_flag(function, DW_AT_call_all_calls,
			DW_AT_GNU_all_call_sites) ||
	       has_flag(function, DW_AT_call_all_tail_calls,
			DW_AT_GNU_all_tail_call_sites);
}

/* Of a tail call clang's DWARF 5 has the address of the jump alone. gdb has no
 * use for that, and a frame's pc would be where the jump ends. */
static bool return_pc_of(Dwarf_Die *site, uint64_t *out)
{
	Dwarf_Attribute attr;

	if (dwarf_attr(site, DW_AT_call_return_pc, &attr) == NULL &&
	    dwarf_attr(site, DW_AT_low_pc, &attr) == NULL)
		return false;
	return dwarf_formaddr(&attr, out) == 0;
}

static bool entry_of(Dwarf_Die *function, uint64_t *out)
{
	Dwarf_Addr base, low, high;

	if (dwarf_lowpc(function, &low) != 0 &&
	    dwarf_ranges(function, 0, &base, &low, &high) <= 0)
		return false;
	*out = low;
	return low != 0;
}

static bool is_declaration(Dwarf_Die *function)
{
	Dwarf_Attribute attr;
	bool is_set = false;

	return dwarf_attr(function, DW_AT_declaration, &attr) != NULL &&
	       dwarf_formflag(&attr, &is_set) == 0 && is_set;
}

static const char *linkage_name(Dwarf_Die *function)
{
	Dwarf_Attribute attr;

	if (dwarf_attr_integrate(function, DW_AT_linkage_name, &attr) == NULL &&
	    dwarf_attr_integrate(function, DW_AT_MIPS_linkage_name,
				 &attr) == NULL &&
	    dwarf_attr_integrate(function, DW_AT_name, &attr) == NULL)
		return NULL;
	return dwarf_formstring(&attr);
}

static void take_site(struct wish *wish, Dwarf_Die *site,
		      struct search *search)
{
	uint64_t pc;

	if (wish->return_pc ? !return_pc_of(site, &pc) || pc != wish->return_pc
			    : !is_tail_call(site))
		return;
	if (wish->n == MAX_TAILS)
		search->unknown = true;
	else
		wish->found[wish->n++] = *site;
}

static void find_sites(struct search *search, Dwarf_Die *parent,
		       unsigned depth, struct wish *wish);

static void visit(struct search *search, Dwarf_Die *die, unsigned depth,
		  struct wish *wish)
{
	switch (dwarf_tag(die)) {
	case DW_TAG_call_site:
	case DW_TAG_GNU_call_site:
		take_site(wish, die, search);
		break;
	case DW_TAG_inlined_subroutine:
	case DW_TAG_lexical_block:
	case DW_TAG_try_block:
	case DW_TAG_catch_block:
	case DW_TAG_with_stmt:
		find_sites(search, die, depth + 1, wish);
		break;
	}
}

/* The call sites below PARENT that WISH is for, those of what was inlined into
 * it included. */
static void find_sites(struct search *search, Dwarf_Die *parent,
		       unsigned depth, struct wish *wish)
{
	Dwarf_Die child, next;

	if (depth > SCOPES_MAX_DEPTH)
		search->unknown = true;
	if (search->unknown || dwarf_child(parent, &child) != 0)
		return;
	for (;;) {
		if (search->dies_left == 0 || search->tailcall->budget == 0) {
			search->unknown = true;
			return;
		}
		search->dies_left--;
		search->tailcall->budget--;
		visit(search, &child, depth, wish);
		if (search->unknown || (wish->return_pc && wish->n > 0) ||
		    dwarf_siblingof(&child, &next) != 0 ||
		    next.addr <= child.addr)
			return;
		child = next;
	}
}

/* Where calls go */

/* The function that begins at ENTRY. */
static bool function_at(struct search *search, uint64_t entry, Dwarf_Die *out)
{
	uint64_t low;

	return dwarf_function(search->tailcall->dwarf, entry, out) &&
	       entry_of(out, &low) && low == entry;
}

static bool resolve(struct search *search, Dwarf_Die *declaration,
		    uint64_t *entry_out)
{
	const char *name = linkage_name(declaration);

	if (name == NULL)
		return false;
	/* The usual case is the cheap one. */
	if (search->wanted_name && strcmp(name, search->wanted_name) == 0) {
		*entry_out = search->wanted;
		return true;
	}
	return search->tailcall->resolve(search->tailcall->context, name,
					 entry_out);
}

/* Where the function begins that SITE calls. False where it is not known: the
 * target is computed, or the DIE is that of an abstract function. */
static bool callee_of(struct search *search, Dwarf_Die *site,
		      uint64_t *entry_out)
{
	Dwarf_Attribute attr;
	Dwarf_Die callee;

	if (dwarf_attr(site, DW_AT_call_target, &attr) != NULL ||
	    dwarf_attr(site, DW_AT_GNU_call_site_target, &attr) != NULL)
		return false;
	if (dwarf_attr(site, DW_AT_call_origin, &attr) == NULL &&
	    dwarf_attr(site, DW_AT_abstract_origin, &attr) == NULL)
		return false;
	if (dwarf_formref_die(&attr, &callee) == NULL)
		return false;
	if (is_declaration(&callee))
		return resolve(search, &callee, entry_out);
	return entry_of(&callee, entry_out);
}

/* The search */

static size_t smaller(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* The way that the search is on has led there. */
static void arrive(struct search *search)
{
	const struct way *way = &search->way, *best = &search->best;
	size_t n = 0;

	if (best->len == 0) {
		search->best = *way;
		search->outer = search->inner = way->len;
		return;
	}
	search->outer = smaller(search->outer, way->len);
	search->inner = smaller(search->inner, way->len);
	while (n < search->outer && way->pcs[n] == best->pcs[n])
		n++;
	search->outer = n;
	for (n = 0; n < search->inner; n++)
		if (way->pcs[way->len - 1 - n] !=
		    best->pcs[best->len - 1 - n])
			break;
	search->inner = n;
	if (search->outer == 0 && search->inner == 0)
		search->unknown = true;
}

static bool is_on(const struct way *way, uint64_t pc)
{
	for (size_t i = 0; i < way->len; i++)
		if (way->pcs[i] == pc)
			return true;
	return false;
}

static void follow(struct search *search, uint64_t entry);

static void try_site(struct search *search, Dwarf_Die *site)
{
	uint64_t pc, entry;

	if (search->tries_left == 0 || !return_pc_of(site, &pc)) {
		search->unknown = true;
		return;
	}
	search->tries_left--;
	if (is_on(&search->way, pc))
		return;
	if (search->way.len == TAILCALL_MAX ||
	    !callee_of(search, site, &entry)) {
		search->unknown = true;
		return;
	}
	search->way.pcs[search->way.len++] = pc;
	if (entry == search->wanted)
		arrive(search);
	else
		follow(search, entry);
	search->way.len--;
}

/* Go on with the tail calls of the function at ENTRY. */
static void follow(struct search *search, uint64_t entry)
{
	struct wish tails = { .return_pc = 0 };
	Dwarf_Die function;

	if (!function_at(search, entry, &function)) {
		search->unknown = true;
		return;
	}
	if (!tells_all_tail_calls(&function))
		return;
	find_sites(search, &function, 0, &tails);
	for (size_t i = 0; i < tails.n && !search->unknown; i++)
		try_site(search, &tails.found[i]);
}

static bool is_external(Dwarf_Die *function)
{
	Dwarf_Attribute attr;
	bool is_set = false;

	return dwarf_attr_integrate(function, DW_AT_external, &attr) != NULL &&
	       dwarf_formflag(&attr, &is_set) == 0 && is_set;
}

static void find_wanted(struct search *search, uint64_t inner,
			uint64_t symbol_start)
{
	Dwarf_Die function;

	search->wanted = symbol_start;
	if (!dwarf_function(search->tailcall->dwarf, inner, &function) ||
	    !entry_of(&function, &search->wanted))
		return;
	if (is_external(&function))
		search->wanted_name = linkage_name(&function);
}

/* What is certain of the ways found, innermost first. */
static size_t collect(const struct search *search, uint64_t pcs[TAILCALL_MAX])
{
	const struct way *best = &search->best;
	size_t outer = search->outer, n = 0;

	if (search->unknown)
		return 0;
	for (size_t i = 0; i < search->inner; i++)
		pcs[n++] = best->pcs[best->len - 1 - i];
	if (outer > best->len - search->inner)
		outer = best->len - search->inner;
	while (outer-- > 0)
		pcs[n++] = best->pcs[outer];
	return n;
}

size_t tailcall_between(struct tailcall *tailcall, uint64_t return_pc,
			uint64_t inner, uint64_t symbol_start,
			uint64_t pcs[TAILCALL_MAX])
{
	struct search search = {
		.tailcall = tailcall, .dies_left = MAX_DIES,
		.tries_left = MAX_TRIES,
	};
	struct wish call = { .return_pc = return_pc };
	Dwarf_Die caller;
	uint64_t entry;

	if (return_pc == 0 ||
	    !dwarf_function(tailcall->dwarf, return_pc - 1, &caller))
		return 0;
	find_sites(&search, &caller, 0, &call);
	if (call.n == 0)
		return 0;
	find_wanted(&search, inner, symbol_start);
	if (search.wanted == 0 || !callee_of(&search, &call.found[0], &entry))
		return 0;
	if (entry != search.wanted)
		follow(&search, entry);
	return collect(&search, pcs);
}
