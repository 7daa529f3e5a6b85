/* The functions of one unit and what was inlined into them. Runs in the process
 * that can be lost; DIEs may be anybody's, so depth and number are bounded, and
 * none is read twice. */
#include "tree.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <dwarf.h>

#include "../array.h"
#include "ranges.h"

enum {
	MAX_SCOPES = 16 << 20,
	MAX_ORIGINS = 16, /* as libdw follows */
	MAX_NAME = 16384, /* bytes of a qualified one, but for the last part */
};

/* What a DIE is in. */
struct place {
	uint32_t parent;   /* scope */
	uint32_t function; /* scope */
	uint32_t context;
};

struct walk {
	struct unit *unit;
	struct tree *tree;
	struct reader r;
	struct place places[TREE_MAX_DEPTH];
	unsigned depth;
	uint32_t scope; /* that spans are added to */
	bool has_spans, is_function;
	uint64_t spans_left; /* each needs bytes of its own, but hostile lists
	                      * are shared */
};

static bool add_span(void *context, uint64_t low, uint64_t high)
{
	struct walk *walk = context;
	struct tree *tree = walk->tree;
	struct span **array = walk->is_function ? &tree->functions
						: &tree->inlines;
	size_t *len = walk->is_function ? &tree->nfunctions : &tree->ninlines;
	size_t *cap = walk->is_function ? &tree->functions_cap
					: &tree->inlines_cap;
	struct span *more = NULL;

	if (walk->spans_left > 0)
		more = array_grow(*array, *len, cap, sizeof(*more));
	if (!more)
		return false;
	walk->spans_left--;
	*array = more;
	more[(*len)++] = (struct span){ low, high, walk->scope };
	walk->has_spans = true;
	return true;
}

static uint32_t number_of(const struct attr *attr)
{
	uint64_t value;

	return attr_number(attr, &value) && value <= UINT32_MAX
		       ? (uint32_t)value : 0;
}

/* DIE, at OFFSET, is of a function without a place; it had one if it says how
 * long it is. */
static void add_dropped(struct walk *walk, uint64_t offset,
			const struct die *die)
{
	struct tree *tree = walk->tree;
	struct dropped *more;
	uint64_t low, size;

	if (!unit_address(walk->unit, &die->low, &low) ||
	    !attr_number(&die->high, &size) || size == 0)
		return;
	more = array_grow(tree->dropped, tree->ndropped, &tree->dropped_cap,
			  sizeof(*more));
	if (!more)
		return;
	tree->dropped = more;
	more[tree->ndropped++] = (struct dropped){ offset, size };
}

/* DIE, at OFFSET, with code of its own: its scope, or TREE_NONE. */
static uint32_t add_scope(struct walk *walk, uint64_t offset,
			  const struct die *die, uint32_t parent)
{
	struct tree *tree = walk->tree;
	struct scope *scopes = tree->nscopes < MAX_SCOPES
		? array_grow(tree->scopes, tree->nscopes, &tree->scopes_cap,
		       sizeof(*scopes))
		: NULL;
	struct die_ref origin = { NULL, 0 };

	if (!scopes)
		return TREE_NONE;
	tree->scopes = scopes;
	walk->scope = (uint32_t)tree->nscopes;
	walk->has_spans = false;
	walk->is_function = parent == TREE_NONE;
	ranges_of(walk->unit, die, add_span, walk);
	if (!walk->has_spans) {
		if (walk->is_function)
			add_dropped(walk, offset, die);
		return TREE_NONE;
	}
	unit_reference(walk->unit, &die->origin, &origin);
	scopes[tree->nscopes] = (struct scope){
		.die = offset,
		.origin = origin.file == walk->unit->file &&
			  origin.offset > walk->unit->offset &&
			  origin.offset < walk->unit->end ? origin.offset : 0,
		.parent = parent,
		.call_file = number_of(&die->call_file),
		.call_line = number_of(&die->call_line),
		.tells_tails = attr_flag(&die->all_calls),
	};
	if (walk->is_function)
		ranges_entry(walk->unit, die,
			     &scopes[tree->nscopes].entry);
	tree->nscopes++;
	return walk->scope;
}

static uint32_t add_context(struct walk *walk, uint64_t offset, uint16_t tag)
{
	struct tree *tree = walk->tree;
	struct context *more = array_grow(tree->contexts, tree->ncontexts,
				    &tree->contexts_cap, sizeof(*more));

	if (!more)
		return TREE_NONE;
	tree->contexts = more;
	more[tree->ncontexts] = (struct context){
		offset, walk->places[walk->depth].context, tag,
	};
	return (uint32_t)tree->ncontexts++;
}

/* Remember where the function at OFFSET is declared, if that says anything. */
static void add_declaration(struct walk *walk, uint64_t offset)
{
	struct tree *tree = walk->tree;
	uint32_t context = walk->places[walk->depth].context;
	struct declaration *more;

	if (context == TREE_NONE)
		return;
	more = array_grow(tree->declarations, tree->ndeclarations,
		    &tree->declarations_cap, sizeof(*more));
	if (!more)
		return;
	tree->declarations = more;
	more[tree->ndeclarations++] = (struct declaration){ offset, context };
}

/* Pass over the children of the DIE whose attributes were just read. */
static bool skip_children(struct walk *walk)
{
	unsigned depth = 1;

	while (depth > 0) {
		uint64_t code = reader_uleb(&walk->r);
		const struct abbrev *abbrev;

		if (code == 0) {
			depth--;
			if (walk->r.bad)
				return false;
			continue;
		}
		abbrev = abbrevs_find(&walk->unit->abbrevs, code);
		if (!abbrev)
			return false;
		unit_skip_die(walk->unit, &walk->r, abbrev);
		depth += abbrev->has_children;
	}
	return true;
}

/* Children follow, in PLACE; too deep ones are passed over. */
static bool descend(struct walk *walk, struct place place)
{
	if (walk->depth + 1 == TREE_MAX_DEPTH)
		return skip_children(walk);
	walk->places[++walk->depth] = place;
	return true;
}

/* To the DIE behind this one's children, where it says where that is. R is at
 * its attributes. */
static bool jump_to_sibling(struct walk *walk, const struct abbrev *abbrev)
{
	struct reader at = walk->r;
	uint64_t to;

	reader_skip(&at, (size_t)abbrev->sibling);
	to = walk->unit->offset + reader_u32(&at);
	if (at.bad || to < at.pos || to > walk->r.len)
		return false;
	walk->r.pos = (size_t)to;
	return true;
}

static bool pass_over(struct walk *walk, const struct abbrev *abbrev)
{
	if (abbrev->has_children && abbrev->sibling >= 0)
		return jump_to_sibling(walk, abbrev);
	unit_skip_die(walk->unit, &walk->r, abbrev);
	return !abbrev->has_children || skip_children(walk);
}

/* A function or an inlined call with code opens a scope; without, it is a
 * declaration, and nothing in it has code either, but for functions that are
 * nested in it. */
static bool visit_function(struct walk *walk, uint64_t offset,
			   const struct abbrev *abbrev)
{
	bool is_inline = abbrev->tag == DW_TAG_inlined_subroutine;
	struct place place = walk->places[walk->depth];
	struct die die;

	if (is_inline && place.parent == TREE_NONE)
		return pass_over(walk, abbrev);
	unit_read_die(walk->unit, &walk->r, abbrev, &die);
	if (walk->r.bad)
		return false;
	if (!is_inline) {
		add_declaration(walk, offset);
		if (abbrev->has_children)
			place.context = add_context(walk, offset, abbrev->tag);
	}
	place.parent = add_scope(walk, offset, &die,
				 is_inline ? place.parent : TREE_NONE);
	if (!is_inline)
		place.function = place.parent;
	if (!abbrev->has_children)
		return true;
	if (is_inline && place.parent == TREE_NONE)
		return skip_children(walk);
	return descend(walk, place);
}

/* DWARF 5 has names of its own for what GNU had before. */
static bool visit_call(struct walk *walk, const struct abbrev *abbrev)
{
	struct tree *tree = walk->tree;
	uint32_t function = walk->places[walk->depth].function;
	struct call *more;
	struct die die;

	if (function == TREE_NONE)
		return pass_over(walk, abbrev);
	unit_read_die(walk->unit, &walk->r, abbrev, &die);
	if (walk->r.bad)
		return false;
	more = array_grow(tree->calls, tree->ncalls, &tree->calls_cap,
			  sizeof(*more));
	if (!more)
		return false;
	tree->calls = more;
	more += tree->ncalls++;
	*more = (struct call){
		.function = function, .is_tail = attr_flag(&die.tail_call),
	};
	if (!unit_address(walk->unit, &die.return_pc, &more->return_pc) &&
	    !unit_address(walk->unit, &die.low, &more->return_pc))
		more->return_pc = 0;
	if (die.target.form == 0 &&
	    !unit_reference(walk->unit, &die.callee, &more->callee))
		unit_reference(walk->unit, &die.origin, &more->callee);
	return !abbrev->has_children || skip_children(walk);
}

static bool visit(struct walk *walk, uint64_t offset,
		  const struct abbrev *abbrev)
{
	struct place place = walk->places[walk->depth];

	switch (abbrev->tag) {
	case DW_TAG_subprogram:
	case DW_TAG_inlined_subroutine:
		return visit_function(walk, offset, abbrev);
	case DW_TAG_call_site:
	case DW_TAG_GNU_call_site:
		return visit_call(walk, abbrev);
	case DW_TAG_namespace:
	case DW_TAG_module:
	case DW_TAG_class_type:
	case DW_TAG_structure_type:
	case DW_TAG_union_type:
	case DW_TAG_interface_type:
	case DW_TAG_enumeration_type: /* Rust puts functions into types */
		if (!abbrev->has_children)
			break;
		unit_skip_die(walk->unit, &walk->r, abbrev);
		place.context = add_context(walk, offset, abbrev->tag);
		return descend(walk, place);
	case DW_TAG_compile_unit:
	case DW_TAG_partial_unit:
	case DW_TAG_skeleton_unit:
	case DW_TAG_lexical_block:
	case DW_TAG_try_block:
	case DW_TAG_catch_block:
	case DW_TAG_with_stmt:
	case DW_TAG_common_block:
		unit_skip_die(walk->unit, &walk->r, abbrev);
		return !abbrev->has_children || descend(walk, place);
	}
	return pass_over(walk, abbrev);
}

/* False where they end too soon, or in nonsense. */
static bool walk_dies(struct walk *walk)
{
	while (reader_left(&walk->r) > 0) {
		uint64_t offset = walk->r.pos;
		uint64_t code = reader_uleb(&walk->r);
		const struct abbrev *abbrev;

		if (code == 0) {
			if (walk->depth == 0)
				return !walk->r.bad;
			walk->depth--;
			continue;
		}
		abbrev = abbrevs_find(&walk->unit->abbrevs, code);
		if (!abbrev || !visit(walk, offset, abbrev))
			return false;
	}
	return walk->depth == 0 && !walk->r.bad;
}

const struct tree *tree_of(struct unit *unit)
{
	struct walk walk = {
		.unit = unit,
		.places = { { TREE_NONE, TREE_NONE, TREE_NONE } },
		.spans_left = unit->end - unit->offset +
			      unit->file->rnglists.len +
			      unit_holder(unit)->file->ranges.len,
	};

	if (unit->tree)
		return unit->tree;
	walk.tree = calloc(1, sizeof(*walk.tree));
	if (!walk.tree)
		return NULL;
	walk.r = unit_dies(unit);
	walk.tree->is_cut = !walk_dies(&walk);
	unit->tree = walk.tree;
	return walk.tree;
}

void tree_free(struct tree *tree)
{
	if (!tree)
		return;
	free(tree->scopes);
	free(tree->functions);
	free(tree->inlines);
	free(tree->calls);
	free(tree->contexts);
	free(tree->declarations);
	free(tree->dropped);
	free(tree);
}

/* Names */

static uint32_t context_of(const struct tree *tree, uint64_t die)
{
	size_t low = 0, high = tree->ndeclarations;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (tree->declarations[middle].die < die)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == tree->ndeclarations || tree->declarations[low].die != die)
		return TREE_NONE;
	return tree->declarations[low].context;
}

/* From the function at *REF to the one that it is an instance of, or that is
 * declared for it, and so on, up to *REF: what they are called. The unit of the
 * last, or NULL. */
static struct unit *find_declared(struct die_ref *ref,
				  struct function_name *out)
{
	struct die_ref next = *ref;
	struct unit *unit = NULL;

	memset(out, 0, sizeof(*out));
	for (int i = 0; i < MAX_ORIGINS; i++) {
		struct unit *at = dwarf_file_unit(next.file, next.offset);
		struct die die;

		if (!at || !unit_die(at, next.offset, &die))
			break;
		unit = at;
		*ref = next;
		if (!out->linkage)
			out->linkage = unit_string(at, &die.linkage);
		if (!out->plain)
			out->plain = unit_string(at, &die.name);
		if (!unit_reference(at, &die.origin, &next) &&
		    !unit_reference(at, &die.specification, &next))
			break;
	}
	return unit;
}

/* What a namespace or type is called in a qualified name. */
static const char *context_name(struct unit *unit,
				const struct context *context)
{
	const char *name;
	struct die die;

	if (!unit_die(unit, context->die, &die))
		return "{unnamed}";
	name = unit_string(unit, &die.name);
	if (name && strncmp(name, "<lambda", 7) == 0)
		return "{lambda}";
	if (name)
		return name;
	return context->tag == DW_TAG_namespace ? "(anonymous namespace)"
						: "{unnamed}";
}

/* Where the DIE at OFFSET of UNIT is declared. */
struct enclosure {
	struct unit *unit;
	const struct tree *tree;
	uint32_t context;
};

static struct enclosure enclosure_of(struct unit *unit, uint64_t offset)
{
	const struct tree *tree = unit ? tree_of(unit) : NULL;

	return (struct enclosure){
		unit, tree, tree ? context_of(tree, offset) : TREE_NONE,
	};
}

/* What IN is called; then it is what that is declared in. */
static const char *leave(struct enclosure *in)
{
	const struct context *context = &in->tree->contexts[in->context];
	struct die_ref ref = { in->unit->file, context->die };
	struct function_name name;
	struct unit *unit;

	if (context->tag != DW_TAG_subprogram) {
		in->context = context->parent;
		return context_name(in->unit, context);
	}
	unit = find_declared(&ref, &name);
	*in = enclosure_of(unit, ref.offset);
	return name.plain ? name.plain : "{unnamed}";
}

/* NAME, declared at OFFSET of UNIT, with what is around that. */
static char *qualify(struct unit *unit, uint64_t offset, const char *name)
{
	struct enclosure in = enclosure_of(unit, offset);
	char *text = strndup(name, MAX_NAME), *more;
	bool is_worth = false;

	for (int i = 0; text && in.context != TREE_NONE && i < TREE_MAX_DEPTH &&
			strlen(text) < MAX_NAME; i++) {
		/* C's nested functions need no telling apart. */
		is_worth |= in.tree->contexts[in.context].tag !=
			    DW_TAG_subprogram;
		if (asprintf(&more, "%.*s::%s", MAX_NAME, leave(&in), text) < 0)
			more = NULL;
		free(text);
		text = more;
	}
	if (is_worth)
		return text;
	free(text);
	return strndup(name, MAX_NAME);
}

void tree_name(struct die_ref ref, struct function_name *out)
{
	struct unit *unit = find_declared(&ref, out);

	if (!out->linkage && out->plain)
		out->qualified = qualify(unit, ref.offset, out->plain);
}
