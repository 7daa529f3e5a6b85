/* The functions of one compilation unit and what was inlined into them, by
 * address. Runs in the process that can be lost; the DIEs may be anybody's, so
 * depth and number are bounded, and siblings that run backwards end a walk. */
#include "scopes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <dwarf.h>

enum {
	MAX_SCOPES = 16 << 20,
	MAX_RANGES = 1 << 20, /* of one DIE */
};

/* Room for one more in an array that doubles; NULL without memory. */
static void *grow(void *array, size_t len, size_t *cap, size_t size)
{
	size_t more = *cap ? *cap * 2 : 64;

	if (len < *cap)
		return array;
	array = realloc(array, more * size);
	if (array)
		*cap = more;
	return array;
}

static bool add_scope(struct scopes *scopes, const Dwarf_Die *die,
		      uint32_t parent, uint32_t *index_out)
{
	struct scope *list = scopes->len < MAX_SCOPES
		? grow(scopes->list, scopes->len, &scopes->cap, sizeof(*list))
		: NULL;

	if (list == NULL) {
		scopes->bad = true;
		return false;
	}
	scopes->list = list;
	list[scopes->len].die = *die;
	list[scopes->len].parent = parent;
	list[scopes->len].qualified = NULL;
	*index_out = (uint32_t)scopes->len++;
	return true;
}

static bool add_span(struct scopes *scopes, bool is_function,
		     const struct span *span)
{
	struct span **array = is_function ? &scopes->functions
					  : &scopes->inlines;
	size_t *len = is_function ? &scopes->nfunctions : &scopes->ninlines;
	size_t *cap = is_function ? &scopes->functions_cap
				  : &scopes->inlines_cap;
	struct span *more = grow(*array, *len, cap, sizeof(*more));

	if (more == NULL) {
		scopes->bad = true;
		return false;
	}
	*array = more;
	more[(*len)++] = *span;
	return true;
}

/* Linkers leave what they dropped at 0, or at the top of the address space. */
static bool is_tombstone(uint64_t low, uint64_t high)
{
	return low == 0 || low >= high || low >= UINT64_MAX - 4 ||
	       (low >= UINT32_MAX - 4 && low <= UINT32_MAX);
}

static bool add_ranges(struct scopes *scopes, Dwarf_Die *die,
		       uint32_t scope, uint32_t owner)
{
	struct span span = { .scope = scope, .owner = owner };
	Dwarf_Addr base, low, high;
	ptrdiff_t at = 0;
	bool any = false;

	for (size_t i = 0; i < MAX_RANGES; i++) {
		at = dwarf_ranges(die, at, &base, &low, &high);
		if (at <= 0)
			break;
		if (is_tombstone(low, high))
			continue;
		span.low = low;
		span.high = high;
		any |= add_span(scopes, scope == owner, &span);
	}
	return any;
}

/* What the walk is inside of. */
struct place {
	uint32_t parent, owner;
	uint32_t context;
	unsigned depth;
};

/* DIE as what is around others; SCOPE_NONE without memory. */
static uint32_t add_context(struct scopes *scopes, const Dwarf_Die *die,
			    uint32_t parent)
{
	struct context *more = grow(scopes->contexts, scopes->ncontexts,
				    &scopes->contexts_cap, sizeof(*more));

	if (more == NULL)
		return SCOPE_NONE;
	scopes->contexts = more;
	more[scopes->ncontexts] = (struct context){
		.die = *die, .parent = parent,
	};
	return (uint32_t)scopes->ncontexts++;
}

/* Remember where the subprogram DIE is declared. */
static void add_declaration(struct scopes *scopes, Dwarf_Die *die,
			    uint32_t context)
{
	struct declaration *more;

	if (context == SCOPE_NONE)
		return;
	more = grow(scopes->declarations, scopes->ndeclarations,
		    &scopes->declarations_cap, sizeof(*more));
	if (more == NULL)
		return;
	scopes->declarations = more;
	more[scopes->ndeclarations++] = (struct declaration){
		.offset = dwarf_dieoffset(die), .context = context,
	};
}

static void walk(struct scopes *scopes, Dwarf_Die *parent,
		 struct place place);

/* A subprogram or an inlined call with code of its own opens a scope; without,
 * it is a declaration, and nothing below it has code of its own either, but
 * for the functions that are nested in it. */
static void visit_function(struct scopes *scopes, Dwarf_Die *die, int tag,
			   struct place place)
{
	bool is_inline = tag == DW_TAG_inlined_subroutine;
	uint32_t index;

	if (is_inline && place.owner == SCOPE_NONE)
		return;
	if (!is_inline) {
		add_declaration(scopes, die, place.context);
		if (dwarf_haschildren(die))
			place.context = add_context(scopes, die,
						    place.context);
	}
	if (!is_inline && !dwarf_hasattr(die, DW_AT_low_pc) &&
	    !dwarf_hasattr(die, DW_AT_ranges)) {
		place.parent = place.owner = SCOPE_NONE;
		walk(scopes, die, place);
		return;
	}
	if (!add_scope(scopes, die, is_inline ? place.parent : SCOPE_NONE,
		       &index))
		return;
	if (!is_inline)
		place.owner = index;
	if (add_ranges(scopes, die, index, place.owner)) {
		place.parent = index;
		walk(scopes, die, place);
	}
}

static void visit(struct scopes *scopes, Dwarf_Die *die, struct place place)
{
	int tag = dwarf_tag(die);

	switch (tag) {
	case DW_TAG_subprogram:
	case DW_TAG_inlined_subroutine:
		visit_function(scopes, die, tag, place);
		break;
	case DW_TAG_namespace:
	case DW_TAG_module:
	case DW_TAG_class_type:
	case DW_TAG_structure_type:
	case DW_TAG_union_type:
	case DW_TAG_enumeration_type: /* Rust puts functions into types */
		place.context = add_context(scopes, die, place.context);
		walk(scopes, die, place);
		break;
	case DW_TAG_lexical_block:
	case DW_TAG_try_block:
	case DW_TAG_catch_block:
	case DW_TAG_with_stmt:
	case DW_TAG_common_block:
		walk(scopes, die, place);
		break;
	}
}

static void walk(struct scopes *scopes, Dwarf_Die *parent, struct place place)
{
	Dwarf_Die child, next;

	if (++place.depth > SCOPES_MAX_DEPTH) {
		scopes->bad = true;
		return;
	}
	if (dwarf_child(parent, &child) != 0)
		return;
	for (;;) {
		visit(scopes, &child, place);
		if (scopes->bad || dwarf_siblingof(&child, &next) != 0 ||
		    next.addr <= child.addr)
			return;
		child = next;
	}
}

static int by_low(const void *left, const void *right)
{
	const struct span *a = left, *b = right;

	if (a->low != b->low)
		return a->low < b->low ? -1 : 1;
	return a->scope < b->scope ? -1 : a->scope > b->scope;
}

static int by_owner(const void *left, const void *right)
{
	const struct span *a = left, *b = right;

	if (a->owner != b->owner)
		return a->owner < b->owner ? -1 : 1;
	if (a->scope != b->scope)
		return a->scope < b->scope ? -1 : 1;
	return a->low < b->low ? -1 : a->low > b->low;
}

void scopes_build(Dwarf_Die *unit, struct scopes *out)
{
	struct place place = { SCOPE_NONE, SCOPE_NONE, SCOPE_NONE, 0 };
	uint64_t reach = 0;

	memset(out, 0, sizeof(*out));
	walk(out, unit, place);
	if (out->nfunctions == 0)
		return;
	qsort(out->functions, out->nfunctions, sizeof(struct span), by_low);
	if (out->ninlines > 0)
		qsort(out->inlines, out->ninlines, sizeof(struct span),
		      by_owner);
	out->reach = calloc(out->nfunctions, sizeof(*out->reach));
	for (size_t i = 0; out->reach && i < out->nfunctions; i++) {
		if (out->functions[i].high > reach)
			reach = out->functions[i].high;
		out->reach[i] = reach;
	}
}

void scopes_fini(struct scopes *scopes)
{
	for (size_t i = 0; i < scopes->len; i++)
		free(scopes->list[i].qualified);
	free(scopes->list);
	free(scopes->contexts);
	free(scopes->declarations);
	free(scopes->functions);
	free(scopes->inlines);
	free(scopes->reach);
	memset(scopes, 0, sizeof(*scopes));
}

static const struct declaration *find_declaration(const struct scopes *scopes,
						  Dwarf_Off offset)
{
	size_t low = 0, high = scopes->ndeclarations;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (scopes->declarations[middle].offset < offset)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == scopes->ndeclarations ||
	    scopes->declarations[low].offset != offset)
		return NULL;
	return &scopes->declarations[low];
}

/* What CONTEXT is called in a qualified name. */
static const char *context_name(struct context *context)
{
	const char *name = dwarf_diename(&context->die);

	if (name && strncmp(name, "<lambda", 7) == 0)
		return "{lambda}";
	if (name)
		return name;
	return dwarf_tag(&context->die) == DW_TAG_namespace
		       ? "(anonymous namespace)" : "{unnamed}";
}

char *scopes_qualify(const struct scopes *scopes, Dwarf_Off offset,
		     const char *name)
{
	const struct declaration *declaration = find_declaration(scopes,
								 offset);
	uint32_t at = declaration ? declaration->context : SCOPE_NONE;
	char *text = strdup(name), *more;
	bool is_worth = false;

	for (int i = 0; text && at != SCOPE_NONE && i < SCOPES_MAX_DEPTH;
	     i++) {
		struct context *context = &scopes->contexts[at];

		if (asprintf(&more, "%s::%s", context_name(context), text) < 0)
			more = NULL;
		free(text);
		text = more;
		/* C's nested functions need no telling apart. */
		is_worth |= dwarf_tag(&context->die) != DW_TAG_subprogram;
		at = context->parent;
	}
	if (is_worth)
		return text;
	free(text);
	return NULL;
}

static bool holds(const struct span *span, uint64_t address)
{
	return span->low <= address && address < span->high;
}

/* The narrowest function at ADDRESS: one may be nested in another's range. */
static const struct span *find_function(const struct scopes *scopes,
					uint64_t address)
{
	const struct span *best = NULL;
	size_t low = 0, high = scopes->reach ? scopes->nfunctions : 0;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (scopes->functions[middle].low <= address)
			low = middle + 1;
		else
			high = middle;
	}
	while (low-- > 0 && scopes->reach[low] > address) {
		const struct span *at = &scopes->functions[low];

		if (holds(at, address) &&
		    (!best || at->high - at->low <= best->high - best->low))
			best = at;
	}
	return best;
}

static size_t first_inline(const struct scopes *scopes, uint32_t owner)
{
	size_t low = 0, high = scopes->ninlines;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (scopes->inlines[middle].owner < owner)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

size_t scopes_find(const struct scopes *scopes, uint64_t address,
		   uint32_t *chain, size_t max)
{
	const struct span *function = find_function(scopes, address);
	uint32_t deepest;
	size_t n = 0;

	if (function == NULL)
		return 0;
	deepest = function->scope;
	/* Parents come before their children, so one pass descends. */
	for (size_t i = first_inline(scopes, function->owner);
	     i < scopes->ninlines; i++) {
		const struct span *at = &scopes->inlines[i];

		if (at->owner != function->owner)
			break;
		if (holds(at, address) &&
		    scopes->list[at->scope].parent == deepest)
			deepest = at->scope;
	}
	while (deepest != SCOPE_NONE && n < max) {
		chain[n++] = deepest;
		deepest = scopes->list[deepest].parent;
	}
	return n;
}
