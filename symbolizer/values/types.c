/* Types. Runs in the process that can be lost; a type may be said to be of
 * itself, so all ways are of bounded length. */
#include "types.h"

#include <stdio.h>
#include <string.h>

#include <dwarf.h>

#include "lists.h"

enum {
	MAX_STEPS = 32, /* of typedefs, pointers, arrays */
	MAX_CONTEXTS = 32,
	MAX_PARAMETERS = 16,
	MAX_NESTED = 3, /* functions that take functions */
	POINTER = 8,
};

/* Going through */

static bool is_transparent(uint16_t tag)
{
	switch (tag) {
	case DW_TAG_typedef:
	case DW_TAG_const_type:
	case DW_TAG_volatile_type:
	case DW_TAG_restrict_type:
	case DW_TAG_atomic_type:
	case DW_TAG_immutable_type: return true;
	default: return false;
	}
}

static enum type_kind kind_of(const struct node *node)
{
	switch (node->tag) {
	case DW_TAG_base_type: return TYPE_BASE;
	case DW_TAG_pointer_type: return TYPE_POINTER;
	case DW_TAG_reference_type:
	case DW_TAG_rvalue_reference_type: return TYPE_REFERENCE;
	case DW_TAG_subroutine_type: return TYPE_FUNCTION;
	case DW_TAG_enumeration_type: return TYPE_ENUM;
	case DW_TAG_structure_type:
	case DW_TAG_class_type: return TYPE_STRUCT;
	case DW_TAG_union_type: return TYPE_UNION;
	case DW_TAG_array_type: return TYPE_ARRAY;
	default: return TYPE_UNKNOWN;
	}
}

static char wide_of(const struct node *node)
{
	const char *name = node_text(node, NODE_NAME);

	if (!name)
		return 0;
	if (strcmp(name, "wchar_t") == 0)
		return 'L';
	if (strcmp(name, "char16_t") == 0)
		return 'u';
	return strcmp(name, "char32_t") == 0 ? 'U' : 0;
}

void type_of(const struct node *node, struct type *out)
{
	struct node at = *node;
	char wide = 0;

	out->kind = TYPE_UNKNOWN;
	out->dimension = 0;
	for (int i = 0; i < MAX_STEPS; i++) {
		if (!node_has(&at, NODE_TYPE)) {
			out->kind = TYPE_VOID;
			out->wide = 0;
			return;
		}
		if (!node_follow(&at, NODE_TYPE, &at))
			return;
		if (wide == 0)
			wide = wide_of(&at);
		if (!is_transparent(at.tag))
			break;
	}
	out->kind = kind_of(&at);
	out->node = at;
	out->wide = wide;
}

unsigned type_encoding(const struct type *type)
{
	uint64_t encoding = 0;

	node_number(&type->node, NODE_ENCODING, &encoding);
	return (unsigned)encoding;
}

bool type_is_signed(const struct type *type)
{
	unsigned encoding = type_encoding(type);

	return encoding == DW_ATE_signed || encoding == DW_ATE_signed_char;
}

const char *type_base_name(const struct type *type)
{
	const char *name = node_text(&type->node, NODE_NAME);

	return name ? name : "";
}

/* Sizes */

/* Dimension NUMBER of an array. */
static bool find_dimension(const struct type *array, unsigned number,
			   struct node *out)
{
	bool is_there = node_child(&array->node, out);

	while (is_there && (out->tag != DW_TAG_subrange_type || number > 0)) {
		number -= out->tag == DW_TAG_subrange_type;
		is_there = node_sibling(out, out);
	}
	return is_there;
}

void type_element(const struct type *array, struct type *out)
{
	struct node next;

	if (find_dimension(array, array->dimension + 1, &next)) {
		*out = *array;
		out->dimension++;
	} else {
		type_of(&array->node, out);
	}
}

/* What ATTR of NODE says: a number, an expression, or a variable. */
static enum absent bound(const struct evaluation *evaluation,
			 const struct node *node, enum node_attr attr,
			 uint64_t *out)
{
	const struct target_frame *frame =
		&evaluation->target->frames[evaluation->frame];
	struct evaluation inner = *evaluation;
	struct node variable;
	struct reader expr;

	inner.nested++;
	inner.unit = node->unit;
	if (inner.nested > PLACE_MAX_NESTED)
		return ABSENT_NOT_UNDERSTOOD;
	if (node->at[attr].form != DW_FORM_sec_offset &&
	    node_number(node, attr, out))
		return ABSENT_NOT;
	if (list_find(node, attr, target_place(frame), &expr))
		return place_number(&inner, expr, out);
	if (node_follow(node, attr, &variable))
		return place_value(&inner, &variable,
				   type_value_size(&variable), out);
	return ABSENT_OPTIMIZED_OUT;
}

enum absent type_count(const struct evaluation *evaluation,
		       const struct type *array, uint64_t *count_out,
		       bool *has_count_out)
{
	uint64_t upper = 0, lower = 0;
	struct node dimension;
	enum absent why;

	*has_count_out = false;
	if (!find_dimension(array, array->dimension, &dimension))
		return ABSENT_NOT;
	if (node_has(&dimension, NODE_COUNT)) {
		*has_count_out = true;
		return bound(evaluation, &dimension, NODE_COUNT, count_out);
	}
	if (!node_has(&dimension, NODE_UPPER_BOUND))
		return ABSENT_NOT;
	node_number(&dimension, NODE_LOWER_BOUND, &lower);
	why = bound(evaluation, &dimension, NODE_UPPER_BOUND, &upper);
	if (why != ABSENT_NOT)
		return why;
	*has_count_out = true;
	*count_out = (int64_t)(upper - lower) < -1 ? 0 : upper - lower + 1;
	return ABSENT_NOT;
}

static enum absent array_size(const struct evaluation *evaluation,
			      const struct type *type, uint64_t *out)
{
	struct type at = *type;
	uint64_t total = 1, size = 0;
	enum absent why;

	for (int i = 0; i < MAX_STEPS && at.kind == TYPE_ARRAY; i++) {
		uint64_t count = 0;
		bool has;

		why = type_count(evaluation, &at, &count, &has);
		if (why != ABSENT_NOT)
			return why;
		if (__builtin_mul_overflow(total, count, &total))
			return ABSENT_TOO_LARGE;
		type_element(&at, &at);
	}
	why = at.kind == TYPE_ARRAY ? ABSENT_NOT_UNDERSTOOD
				    : type_size(evaluation, &at, &size);
	if (why == ABSENT_NOT && __builtin_mul_overflow(total, size, out))
		return ABSENT_TOO_LARGE;
	return why;
}

enum absent type_size(const struct evaluation *evaluation,
		      const struct type *type, uint64_t *out)
{
	struct type under;

	switch (type->kind) {
	case TYPE_POINTER:
	case TYPE_REFERENCE:
		*out = POINTER;
		node_number(&type->node, NODE_BYTE_SIZE, out);
		return ABSENT_NOT;
	case TYPE_ARRAY:
		return array_size(evaluation, type, out);
	case TYPE_BASE:
	case TYPE_ENUM:
	case TYPE_STRUCT:
	case TYPE_UNION:
		if (node_number(&type->node, NODE_BYTE_SIZE, out))
			return ABSENT_NOT;
		if (type->kind != TYPE_ENUM)
			break;
		type_of(&type->node, &under);
		if (under.kind == TYPE_BASE &&
		    node_number(&under.node, NODE_BYTE_SIZE, out))
			return ABSENT_NOT;
		break;
	default:
		break;
	}
	return ABSENT_NOT_UNDERSTOOD;
}

size_t type_value_size(const struct node *node)
{
	struct type type;
	uint64_t size = 0;

	type_of(node, &type);
	if (type.kind == TYPE_POINTER)
		size = POINTER;
	else if (type.kind == TYPE_BASE || type.kind == TYPE_ENUM)
		node_number(&type.node, NODE_BYTE_SIZE, &size);
	return size <= PLACE_MAX_BYTES ? (size_t)size : 0;
}

/* Names */

/* A declaration grows around the place where its name would be. */
struct declarator {
	char text[TYPE_MAX_NAME];
	bool is_const, is_volatile; /* of what comes next */
};

static void put_before(struct declarator *d, const char *text)
{
	char more[TYPE_MAX_NAME];

	if (snprintf(more, sizeof(more), "%s%s", text, d->text) <
	    (int)sizeof(more))
		memcpy(d->text, more, sizeof(more));
}

static void put_behind(struct declarator *d, const char *text)
{
	size_t len = strlen(d->text), more = strlen(text);

	if (len + more < sizeof(d->text))
		memcpy(d->text + len, text, more + 1);
}

/* Between a pointer's star and what binds closer. */
static void enclose(struct declarator *d)
{
	if (d->text[0] != '*' && d->text[0] != '&')
		return;
	put_before(d, "(");
	put_behind(d, ")");
}

static void put_pointer(struct declarator *d, const char *sign)
{
	if (d->text[0] != '\0' && (d->is_const || d->is_volatile) &&
	    d->text[0] != ')')
		put_before(d, " ");
	if (d->is_volatile)
		put_before(d, " volatile");
	if (d->is_const)
		put_before(d, " const");
	d->is_const = d->is_volatile = false;
	put_before(d, sign);
}

static void put_dimensions(struct declarator *d, const struct node *array)
{
	struct type type = { .node = *array };
	struct node dimension;
	uint64_t count;
	char text[24];

	enclose(d);
	for (; type.dimension < MAX_STEPS &&
	       find_dimension(&type, type.dimension, &dimension);
	     type.dimension++) {
		snprintf(text, sizeof(text), "[]");
		if (node_number(&dimension, NODE_COUNT, &count))
			snprintf(text, sizeof(text), "[%llu]",
				 (unsigned long long)count);
		else if (dimension.at[NODE_UPPER_BOUND].form !=
				 DW_FORM_sec_offset &&
			 node_number(&dimension, NODE_UPPER_BOUND, &count))
			snprintf(text, sizeof(text), "[%llu]",
				 (unsigned long long)count + 1);
		put_behind(d, text);
	}
}

static void name_type(const struct node *node, int nested,
		      char out[TYPE_MAX_NAME]);

static void put_parameters(struct declarator *d, const struct node *function,
			   int nested)
{
	char name[TYPE_MAX_NAME];
	struct node parameter;
	bool is_there = node_child(function, &parameter);

	enclose(d);
	put_behind(d, "(");
	for (int i = 0; is_there && i < MAX_PARAMETERS; i++) {
		put_behind(d, i > 0 ? ", " : "");
		if (parameter.tag == DW_TAG_unspecified_parameters) {
			put_behind(d, "...");
		} else {
			name_type(&parameter, nested + 1, name);
			put_behind(d, name);
		}
		is_there = node_sibling(&parameter, &parameter);
	}
	put_behind(d, ")");
}

static bool is_c(struct unit *unit)
{
	uint64_t language = 0;
	struct node root;

	if (node_root(unit, &root))
		node_number(&root, NODE_LANGUAGE, &language);
	return language == DW_LANG_C || language == DW_LANG_C89 ||
	       language == DW_LANG_C99 || language == DW_LANG_C11;
}

static const char *keyword(const struct node *node)
{
	bool has_name = node_has(node, NODE_NAME);

	if (has_name && !is_c(node->unit))
		return "";
	switch (node->tag) {
	case DW_TAG_structure_type: return "struct ";
	case DW_TAG_union_type: return "union ";
	case DW_TAG_enumeration_type: return "enum ";
	default: return has_name ? "" : "class ";
	}
}

/* The name that the declaration is around. */
static void put_base(struct declarator *d, const struct node *node)
{
	const char *name = node ? node_text(node, NODE_NAME) : "void";
	const char *space = d->text[0] ? " " : "";
	char text[TYPE_MAX_NAME];

	if (node && kind_of(node) >= TYPE_ENUM && kind_of(node) <= TYPE_UNION)
		snprintf(text, sizeof(text), "%s%s%s%s%s",
			 d->is_const ? "const " : "",
			 d->is_volatile ? "volatile " : "", keyword(node),
			 name ? name : "{...}", space);
	else
		snprintf(text, sizeof(text), "%s%s%s%s",
			 d->is_const ? "const " : "",
			 d->is_volatile ? "volatile " : "",
			 name ? name : "?", space);
	put_before(d, text);
}

/* One step from the outermost type inwards. False at a name. */
static bool declare(struct declarator *d, const struct node *node, int nested)
{
	switch (node->tag) {
	case DW_TAG_pointer_type: put_pointer(d, "*"); return true;
	case DW_TAG_reference_type: put_pointer(d, "&"); return true;
	case DW_TAG_rvalue_reference_type: put_pointer(d, "&&"); return true;
	case DW_TAG_const_type: d->is_const = true; return true;
	case DW_TAG_volatile_type: d->is_volatile = true; return true;
	case DW_TAG_restrict_type:
	case DW_TAG_atomic_type: return true;
	case DW_TAG_array_type: put_dimensions(d, node); return true;
	case DW_TAG_subroutine_type:
		put_parameters(d, node, nested);
		return true;
	default: return false;
	}
}

static void name_type(const struct node *node, int nested,
		      char out[TYPE_MAX_NAME])
{
	struct declarator d = { .text = "" };
	struct node at = *node;
	bool is_over = nested > MAX_NESTED;

	for (int i = 0; i < MAX_STEPS && !is_over; i++) {
		bool is_void = !node_has(&at, NODE_TYPE);

		if (!is_void && !node_follow(&at, NODE_TYPE, &at))
			break;
		is_over = is_void || !declare(&d, &at, nested);
		if (is_over)
			put_base(&d, is_void ? NULL : &at);
	}
	if (!is_over || nested > MAX_NESTED)
		put_before(&d, "?");
	memcpy(out, d.text, sizeof(d.text));
}

void type_name(const struct node *node, char out[TYPE_MAX_NAME])
{
	struct node with;

	if (node_with(node, NODE_TYPE, &with))
		name_type(&with, 0, out);
	else
		snprintf(out, TYPE_MAX_NAME, "void");
}

static bool is_context(uint16_t tag)
{
	return tag == DW_TAG_namespace || tag == DW_TAG_structure_type ||
	       tag == DW_TAG_class_type || tag == DW_TAG_union_type;
}

/* The child of *IN whose DIEs hold OFFSET becomes *IN. */
static bool descend(struct node *in, uint64_t offset)
{
	struct node at, next;

	if (!node_child(in, &at) || at.offset > offset)
		return false;
	while (node_sibling(&at, &next) && next.offset <= offset)
		at = next;
	*in = at;
	return true;
}

void type_full_name(const struct node *node, char out[TYPE_MAX_NAME])
{
	const char *name = node_text(node, NODE_NAME);
	size_t len = 0;
	struct node in;

	out[0] = '\0';
	if (!name || !node_root(node->unit, &in))
		return;
	for (int i = 0; i < MAX_CONTEXTS && descend(&in, node->offset) &&
			in.offset < node->offset; i++) {
		const char *context = node_text(&in, NODE_NAME);

		if (!is_context(in.tag))
			continue;
		len += (size_t)snprintf(out + len, TYPE_MAX_NAME - len, "%s::",
					context ? context
						: "(anonymous namespace)");
		if (len >= TYPE_MAX_NAME)
			return;
	}
	snprintf(out + len, TYPE_MAX_NAME - len, "%s", name);
}
