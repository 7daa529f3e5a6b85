/* Values as text. Runs in the process that can be lost; types may be said to
 * hold themselves, so depth is bounded, and so is what is written. */
#include "format.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <dwarf.h>

#include "show.h"

struct format {
	const struct evaluation *evaluation;
	struct writer *out;
	unsigned depth;
};

/* LEN bytes at AT of a value. */
struct part {
	const struct contents *of;
	size_t at, len;
};

/* What is known */

static const uint8_t *bytes_of(const struct part *part)
{
	return part->of->bytes + part->at;
}

/* The part of LEN bytes at AT of PART; false where that is not within it. */
static bool part_at(const struct part *part, uint64_t at, uint64_t len,
		    struct part *out)
{
	if (at > part->len || len > part->len - at)
		return false;
	*out = (struct part){ part->of, part->at + (size_t)at, (size_t)len };
	return true;
}

/* Why PART is not known as a whole, or ABSENT_NOT. */
static enum absent missing(const struct part *part)
{
	for (size_t i = 0; i < part->len; i++)
		if (part->of->why[part->at + i] != ABSENT_NOT)
			return (enum absent)part->of->why[part->at + i];
	return ABSENT_NOT;
}

/* Why nothing of PART is known, or ABSENT_NOT. */
static enum absent all_missing(const struct part *part)
{
	for (size_t i = 0; i < part->len; i++)
		if (part->of->why[part->at + i] == ABSENT_NOT)
			return ABSENT_NOT;
	return part->len > 0 ? (enum absent)part->of->why[part->at]
			     : ABSENT_NOT;
}

static void put_absent(struct format *f, enum absent why)
{
	show_print(f->out, "<%s>", absent_name(why));
}

/* PART as a number, of up to eight bytes. */
static uint64_t number_in(const struct part *part, bool is_signed)
{
	unsigned len = part->len < 8 ? (unsigned)part->len : 8;
	uint64_t value = 0;

	memcpy(&value, bytes_of(part), len);
	if (is_signed && len > 0 && len < 8 && value >> (8 * len - 1) & 1)
		value |= UINT64_MAX << 8 * len;
	return value;
}

/* Numbers */

static void put_wide_integer(struct format *f, const struct part *part,
			     bool is_signed)
{
	char digits[48];
	size_t at = sizeof(digits);
	unsigned __int128 value = 0;
	bool is_negative;

	memcpy(&value, bytes_of(part), sizeof(value));
	is_negative = is_signed && value >> 127;
	if (is_negative)
		value = -value;
	digits[--at] = '\0';
	do {
		digits[--at] = (char)('0' + (int)(value % 10));
		value /= 10;
	} while (value != 0);
	show_print(f->out, "%s%s", is_negative ? "-" : "", digits + at);
}

static void put_integer(struct format *f, const struct part *part,
			bool is_signed)
{
	uint64_t value = number_in(part, is_signed);

	if (part->len > 8)
		put_wide_integer(f, part, is_signed);
	else if (is_signed)
		show_print(f->out, "%lld", (long long)value);
	else
		show_print(f->out, "%llu", (unsigned long long)value);
}

/* printf's own form says nothing of what is in a NaN. */
static void put_nan(struct format *f, uint64_t mantissa, bool is_negative)
{
	show_print(f->out, "%snan(0x%llx)", is_negative ? "-" : "",
		   (unsigned long long)mantissa);
}

static void put_float(struct format *f, const struct part *part)
{
	uint64_t bits = number_in(part, false);
	long double wide = 0;
	double middle;
	float narrow;

	switch (part->len) {
	case sizeof(narrow):
		memcpy(&narrow, bytes_of(part), sizeof(narrow));
		if (isnan(narrow))
			put_nan(f, bits & 0x7fffff, bits >> 31);
		else
			show_print(f->out, "%.9g", (double)narrow);
		break;
	case sizeof(middle):
		memcpy(&middle, bytes_of(part), sizeof(middle));
		if (isnan(middle))
			put_nan(f, bits & UINT64_C(0xfffffffffffff),
				bits >> 63);
		else
			show_print(f->out, "%.17g", middle);
		break;
	default: /* 80 bits of x87's, where this machine has the same */
		if (part->len != sizeof(wide) || LDBL_MANT_DIG != 64) {
			put_absent(f, ABSENT_NOT_UNDERSTOOD);
			break;
		}
		memcpy(&wide, bytes_of(part), 10);
		if (isnan(wide))
			put_nan(f, bits, bytes_of(part)[9] & 0x80);
		else
			show_print(f->out, "%.21Lg", wide);
	}
}

static void put_complex(struct format *f, const struct part *part)
{
	struct part real, imaginary;

	if (!part_at(part, 0, part->len / 2, &real) ||
	    !part_at(part, part->len / 2, part->len / 2, &imaginary))
		return;
	put_float(f, &real);
	show_put(f->out, " + ");
	put_float(f, &imaginary);
	show_put(f->out, "i");
}

/* Width of the characters that a type is taken for; 0: it is for none. */
static unsigned character_width(const struct type *type, uint64_t size,
				char *wide_out)
{
	unsigned encoding = type->kind == TYPE_BASE ? type_encoding(type) : 0;

	*wide_out = type->wide;
	if (encoding == DW_ATE_signed_char || encoding == DW_ATE_unsigned_char)
		return size == 1;
	if (encoding == DW_ATE_UTF && !type->wide)
		*wide_out = size == 2 ? 'u' : size == 4 ? 'U' : 0;
	if (*wide_out && (size == 2 || size == 4))
		return (unsigned)size;
	return 0;
}

static void put_base(struct format *f, const struct type *type,
		     const struct part *part)
{
	unsigned encoding = type_encoding(type), width;
	bool is_signed = type_is_signed(type);
	uint64_t value = number_in(part, is_signed);
	char wide;

	switch (encoding) {
	case DW_ATE_boolean:
		if (value <= 1)
			show_put(f->out, value ? "true" : "false");
		else
			put_integer(f, part, false);
		return;
	case DW_ATE_float:
		if (strcmp(type_base_name(type), "__float128") != 0 &&
		    strcmp(type_base_name(type), "_Float128") != 0)
			put_float(f, part);
		else
			put_absent(f, ABSENT_NOT_UNDERSTOOD);
		return;
	case DW_ATE_complex_float:
		put_complex(f, part);
		return;
	case DW_ATE_signed:
	case DW_ATE_signed_char:
	case DW_ATE_unsigned:
	case DW_ATE_unsigned_char:
	case DW_ATE_UTF:
	case DW_ATE_address:
		break;
	default:
		put_absent(f, ABSENT_NOT_UNDERSTOOD);
		return;
	}
	if (part->len > 8 && part->len != 16) {
		put_absent(f, ABSENT_NOT_UNDERSTOOD);
		return;
	}
	put_integer(f, part, is_signed);
	width = character_width(type, part->len, &wide);
	if (width > 0) {
		show_put(f->out, " ");
		show_character(f->out, (uint32_t)value &
				       (width == 4 ? UINT32_MAX
						   : (1u << 8 * width) - 1),
			       width, wide);
	}
}

/* Enumerations */

/* Whether each of the named values is a bit, or none: gdb's rule. */
static bool is_of_flags(const struct type *type)
{
	struct node at;

	for (bool is_there = node_child(&type->node, &at); is_there;
	     is_there = node_sibling(&at, &at)) {
		uint64_t value = 0;

		if (at.tag == DW_TAG_enumerator &&
		    node_number(&at, NODE_CONST_VALUE, &value) &&
		    (value >> 63 || value & (value - 1)))
			return false;
	}
	return true;
}

static void put_enumerator(struct format *f, const struct type *type,
			   const struct node *enumerator)
{
	bool is_scoped = attr_flag(&type->node.at[NODE_ENUM_CLASS]);
	const char *name = node_text(enumerator, NODE_NAME);
	char full[TYPE_MAX_NAME];

	type_full_name(is_scoped ? &type->node : enumerator, full);
	show_put(f->out, full);
	if (is_scoped)
		show_print(f->out, "::%s", name ? name : "");
}

static void put_flags(struct format *f, const struct type *type,
		      uint64_t value)
{
	const char *before = "(";
	struct node at;

	for (bool is_there = node_child(&type->node, &at);
	     is_there && !f->out->bad; is_there = node_sibling(&at, &at)) {
		uint64_t bits = 0;

		if (at.tag != DW_TAG_enumerator ||
		    !node_number(&at, NODE_CONST_VALUE, &bits) ||
		    !(value & bits))
			continue;
		show_put(f->out, before);
		put_enumerator(f, type, &at);
		value &= ~bits;
		before = " | ";
	}
	if (value != 0)
		show_print(f->out, "%sunknown: 0x%llx)", before,
			   (unsigned long long)value);
	else
		show_put(f->out, *before == '(' ? "0" : ")");
}

static bool enum_is_signed(const struct type *type)
{
	struct node at;
	struct type under;

	type_of(&type->node, &under);
	if (under.kind == TYPE_BASE)
		return type_is_signed(&under);
	for (bool is_there = node_child(&type->node, &at); is_there;
	     is_there = node_sibling(&at, &at))
		if (at.tag == DW_TAG_enumerator &&
		    at.at[NODE_CONST_VALUE].value >> 63)
			return true;
	return false;
}

static void put_enum(struct format *f, const struct type *type,
		     const struct part *part)
{
	uint64_t mask = part->len < 8 ? (UINT64_C(1) << 8 * part->len) - 1
				      : UINT64_MAX;
	uint64_t value = number_in(part, false);
	struct node at;

	if (part->len > 8) {
		put_absent(f, ABSENT_NOT_UNDERSTOOD);
		return;
	}
	for (bool is_there = node_child(&type->node, &at); is_there;
	     is_there = node_sibling(&at, &at)) {
		uint64_t named;

		if (at.tag == DW_TAG_enumerator &&
		    node_number(&at, NODE_CONST_VALUE, &named) &&
		    (named & mask) == value) {
			put_enumerator(f, type, &at);
			return;
		}
	}
	if (is_of_flags(type))
		put_flags(f, type, value);
	else
		put_integer(f, part, enum_is_signed(type));
}

/* Pointers */

/* The string at ADDRESS, as far as it is there. */
static void put_string_at(struct format *f, uint64_t address, unsigned width,
			  char wide)
{
	size_t max = (FORMAT_ELEMENTS + 1) * (size_t)width, n = 0, known = 0;
	struct contents contents;
	bool is_cut;

	if (!place_memory(f->evaluation, address, max, &contents))
		return;
	while (known < max && contents.why[known] == ABSENT_NOT)
		known++;
	known /= width;
	for (uint32_t code = 1; n < known; n++) {
		memcpy(&code, contents.bytes + n * width, width);
		if (code == 0)
			break;
	}
	is_cut = n == known;
	if (n > FORMAT_ELEMENTS)
		n = FORMAT_ELEMENTS;
	if (known > 0) {
		show_put(f->out, " ");
		show_string(f->out, contents.bytes, n, width, wide, is_cut);
	}
	contents_fini(&contents);
}

static void put_symbol(struct format *f, uint64_t address)
{
	const struct target *target = f->evaluation->target;
	uint64_t offset = 0;
	const char *name = NULL;

	if (target->symbol)
		name = target->symbol(target->context, address, &offset);
	if (!name)
		return;
	show_put(f->out, " <");
	show_put(f->out, name);
	if (offset > 0)
		show_print(f->out, "+%llu", (unsigned long long)offset);
	show_put(f->out, ">");
}

static void put_pointer(struct format *f, const struct type *type,
			const struct part *part)
{
	uint64_t address = number_in(part, false), size = 0;
	struct type target;
	unsigned width;
	char wide;

	show_print(f->out, "0x%llx", (unsigned long long)address);
	if (address == 0)
		return;
	type_of(&type->node, &target);
	if (target.kind == TYPE_FUNCTION) {
		put_symbol(f, address);
		return;
	}
	if (target.kind != TYPE_BASE)
		return;
	type_size(f->evaluation, &target, &size);
	width = character_width(&target, size, &wide);
	if (width > 0)
		put_string_at(f, address, width, wide);
}

static void put_value(struct format *f, const struct type *type,
		      const struct part *part);

/* Outside of structures what is referred to is shown, too. */
static void put_reference(struct format *f, const struct type *type,
			  const struct part *part)
{
	uint64_t address = number_in(part, false), size = 0;
	struct contents contents;
	struct type target;

	show_print(f->out, "@0x%llx", (unsigned long long)address);
	if (f->depth > 0)
		return;
	type_of(&type->node, &target);
	show_put(f->out, ": ");
	if (type_size(f->evaluation, &target, &size) != ABSENT_NOT ||
	    size > PLACE_MAX_BYTES ||
	    !place_memory(f->evaluation, address, (size_t)size, &contents)) {
		put_absent(f, ABSENT_NOT_UNDERSTOOD);
		return;
	}
	f->depth++;
	put_value(f, &target, &(struct part){ &contents, 0, contents.len });
	f->depth--;
	contents_fini(&contents);
}

/* Structures */

/* How far MEMBER is from its structure's start, in bits. */
static bool member_offset(const struct node *member, uint64_t size,
			  uint64_t *out)
{
	uint64_t bytes = 0, bits = 0, from_top, width = 0;
	struct reader expr;

	if (node_number(member, NODE_DATA_BIT_OFFSET, out))
		return true;
	if (node_block(member, NODE_MEMBER_LOCATION, &expr)) {
		if (reader_u8(&expr) != DW_OP_plus_uconst)
			return false;
		bytes = reader_uleb(&expr);
		if (expr.bad || reader_left(&expr) > 0)
			return false;
	} else if (node_has(member, NODE_MEMBER_LOCATION) &&
		   !node_number(member, NODE_MEMBER_LOCATION, &bytes)) {
		return false;
	}
	/* Before DWARF 4 the bits of a unit were counted from its top. */
	if (node_number(member, NODE_BIT_OFFSET, &from_top)) {
		node_number(member, NODE_BIT_SIZE, &width);
		node_number(member, NODE_BYTE_SIZE, &size);
		bits = 8 * size - from_top - width;
	}
	*out = 8 * bytes + bits;
	return bytes <= PLACE_MAX_BYTES;
}

/* WIDTH bits at AT of PART, as a value of SIZE bytes. */
static void put_bits(struct format *f, const struct type *type,
		     const struct part *part, uint64_t at, uint64_t width,
		     uint64_t size)
{
	bool is_signed = (type->kind == TYPE_BASE && type_is_signed(type)) ||
			 (type->kind == TYPE_ENUM && enum_is_signed(type));
	uint8_t why[8] = { 0 };
	uint64_t value = 0;
	struct contents contents = {
		.bytes = (uint8_t *)&value, .why = why, .len = (size_t)size,
	};
	struct part within;

	if (size > 8 || width > 64 ||
	    !part_at(part, at / 8, (at % 8 + width + 7) / 8, &within)) {
		put_absent(f, ABSENT_NOT_UNDERSTOOD);
		return;
	}
	memset(why, missing(&within), sizeof(why));
	for (uint64_t i = 0; i < width; i++) {
		uint64_t from = at % 8 + i;

		value |= (uint64_t)(bytes_of(&within)[from / 8] >> from % 8 &
				    1) << i;
	}
	if (is_signed && width > 0 && width < 64 && value >> (width - 1) & 1)
		value |= UINT64_MAX << width;
	put_value(f, type, &(struct part){ &contents, 0, (size_t)size });
}

static void put_member(struct format *f, const struct node *member,
		       const struct part *part)
{
	uint64_t size = 0, bits = 0, width;
	struct part within;
	struct type type;
	enum absent why;

	type_of(member, &type);
	why = type_size(f->evaluation, &type, &size);
	if (why != ABSENT_NOT || !member_offset(member, size, &bits))
		put_absent(f, why ? why : ABSENT_NOT_UNDERSTOOD);
	else if (node_number(member, NODE_BIT_SIZE, &width))
		put_bits(f, &type, part, bits, width, size);
	else if (part_at(part, bits / 8, size, &within))
		put_value(f, &type, &within);
	else
		put_absent(f, ABSENT_NOT_UNDERSTOOD);
}

static bool is_static(const struct node *member)
{
	return attr_flag(&member->at[NODE_EXTERNAL]) ||
	       attr_flag(&member->at[NODE_DECLARATION]);
}

static bool put_bases(struct format *f, const struct type *type,
		      const struct part *part)
{
	bool has_any = false;
	struct node at;

	for (bool is_there = node_child(&type->node, &at);
	     is_there && !f->out->bad; is_there = node_sibling(&at, &at)) {
		char name[TYPE_MAX_NAME];
		struct type base;

		if (at.tag != DW_TAG_inheritance)
			continue;
		type_of(&at, &base);
		name[0] = '\0';
		if (base.kind == TYPE_STRUCT)
			type_full_name(&base.node, name);
		show_print(f->out, "<%s> = ", name);
		put_member(f, &at, part);
		show_put(f->out, ", ");
		has_any = true;
	}
	return has_any;
}

static void put_members(struct format *f, const struct type *type,
			const struct part *part)
{
	bool has_any = false;
	struct node at;

	for (bool is_there = node_child(&type->node, &at);
	     is_there && !f->out->bad; is_there = node_sibling(&at, &at)) {
		const char *name;

		if (at.tag != DW_TAG_member || is_static(&at))
			continue;
		name = node_text(&at, NODE_NAME);
		show_put(f->out, has_any ? ", " : "");
		if (name && *name) {
			show_put(f->out, name);
			show_put(f->out, " = ");
		}
		put_member(f, &at, part);
		has_any = true;
	}
	if (!has_any)
		show_put(f->out, "<No data fields>");
}

static void put_struct(struct format *f, const struct type *type,
		       const struct part *part)
{
	if (f->depth >= FORMAT_DEPTH) {
		show_put(f->out, "{...}");
		return;
	}
	f->depth++;
	show_put(f->out, "{");
	put_bases(f, type, part);
	put_members(f, type, part);
	show_put(f->out, "}");
	f->depth--;
}

/* Arrays */

static void put_characters(struct format *f, const struct part *part,
			   unsigned width, char wide)
{
	size_t count = part->len / width, known = 0;
	uint32_t last = 1;

	while (known < part->len &&
	       part->of->why[part->at + known] == ABSENT_NOT)
		known++;
	known /= width;
	if (known == 0) {
		put_absent(f, missing(part));
		return;
	}
	if (known == count)
		memcpy(&last, bytes_of(part) + (count - 1) * width, width);
	show_string(f->out, bytes_of(part), known - (last == 0), width, wide,
		    known < count);
}

static bool is_equal(const struct part *a, const struct part *b)
{
	return memcmp(bytes_of(a), bytes_of(b), a->len) == 0 &&
	       memcmp(a->of->why + a->at, b->of->why + b->at, a->len) == 0;
}

static void put_elements(struct format *f, const struct type *element,
			 const struct part *part, size_t size)
{
	size_t count = part->len / size, at = 0, shown = 0;

	while (at < count && shown < FORMAT_ELEMENTS && !f->out->bad) {
		struct part one = { part->of, part->at + at * size, size };
		struct part next = one;
		size_t run = 1;

		for (next.at += size; at + run < count &&
				      is_equal(&one, &next); next.at += size)
			run++;
		show_put(f->out, at > 0 ? ", " : "");
		put_value(f, element, &one);
		if (run > FORMAT_REPEATS) {
			show_print(f->out, " <repeats %zu times>", run);
			at += run;
			shown += FORMAT_REPEATS;
		} else {
			at++;
			shown++;
		}
	}
	if (at < count)
		show_put(f->out, "...");
}

static void put_array(struct format *f, const struct type *type,
		      const struct part *part)
{
	uint64_t size = 0;
	struct type element;
	unsigned width;
	char wide;

	type_element(type, &element);
	if (part->len == 0 && part->of->address) {
		show_print(f->out, "0x%llx",
			   (unsigned long long)part->of->address + part->at);
		return;
	}
	if (type_size(f->evaluation, &element, &size) != ABSENT_NOT ||
	    size == 0 || f->depth >= FORMAT_DEPTH) {
		show_put(f->out, "{...}");
		return;
	}
	width = character_width(&element, size, &wide);
	if (width > 0) {
		put_characters(f, part, width, wide);
		return;
	}
	f->depth++;
	show_put(f->out, "{");
	put_elements(f, &element, part, (size_t)size);
	show_put(f->out, "}");
	f->depth--;
}

static bool is_scalar(const struct type *type)
{
	return type->kind != TYPE_STRUCT && type->kind != TYPE_UNION &&
	       type->kind != TYPE_ARRAY;
}

static void put_value(struct format *f, const struct type *type,
		      const struct part *part)
{
	enum absent why = is_scalar(type) ? missing(part) : all_missing(part);

	if (why != ABSENT_NOT) {
		put_absent(f, why);
		return;
	}
	switch (type->kind) {
	case TYPE_BASE: put_base(f, type, part); break;
	case TYPE_POINTER: put_pointer(f, type, part); break;
	case TYPE_REFERENCE: put_reference(f, type, part); break;
	case TYPE_ENUM: put_enum(f, type, part); break;
	case TYPE_STRUCT:
	case TYPE_UNION: put_struct(f, type, part); break;
	case TYPE_ARRAY: put_array(f, type, part); break;
	default: put_absent(f, ABSENT_NOT_UNDERSTOOD);
	}
}

enum absent format_value(const struct evaluation *evaluation,
			 const struct type *type,
			 const struct contents *contents, struct writer *out)
{
	struct format f = { .evaluation = evaluation, .out = out };
	struct part all = { contents, 0, contents->len };
	enum absent why = is_scalar(type) ? missing(&all) : all_missing(&all);

	if (why == ABSENT_NOT && type->kind != TYPE_UNKNOWN)
		put_value(&f, type, &all);
	else if (why == ABSENT_NOT)
		why = ABSENT_NOT_UNDERSTOOD;
	return why;
}
