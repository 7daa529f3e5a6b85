/* Values at a function's entry. Runs in the process that can be lost. A value
 * that might be another's is none: each step has to be certain. */
#include "entry.h"

#include <string.h>

#include <dwarf.h>

#include "../dwarf/ranges.h"

enum {
	MAX_ORIGINS = 16,
	MAX_DEPTH = 64, /* of what the call is in */
};

/* Call sites */

static bool is_call(uint16_t tag)
{
	return tag == DW_TAG_call_site || tag == DW_TAG_GNU_call_site;
}

/* Before DWARF 5 a call had its return address as what begins there. */
static bool returns_to(const struct node *call, uint64_t pc)
{
	uint64_t at;

	return (node_address(call, NODE_RETURN_PC, &at) ||
		node_address(call, NODE_LOW, &at)) && at == pc;
}

/* The call in IN that returns to PC. */
static bool find_call(const struct node *in, uint64_t pc, int depth,
		      struct node *out)
{
	struct node at;

	for (bool is_there = depth < MAX_DEPTH && node_child(in, &at); is_there;
	     is_there = node_sibling(&at, &at)) {
		if (is_call(at.tag) && returns_to(&at, pc)) {
			*out = at;
			return true;
		}
		if ((at.tag == DW_TAG_lexical_block ||
		     at.tag == DW_TAG_inlined_subroutine) &&
		    find_call(&at, pc, depth + 1, out))
			return true;
	}
	return false;
}

/* Whom it calls */

static bool next_origin(struct node *node)
{
	return node_follow(node, NODE_ORIGIN, node) ||
	       node_follow(node, NODE_SPECIFICATION, node);
}

/* Whether A is B, or one of what B is an instance of or was declared as. */
static bool is_origin(const struct node *a, const struct node *b)
{
	struct node at = *b;

	for (int i = 0; i < MAX_ORIGINS; i++) {
		if (at.unit->file == a->unit->file && at.offset == a->offset)
			return true;
		if (!next_origin(&at))
			return false;
	}
	return false;
}

static bool is_external(const struct node *node)
{
	struct node with;

	return node_with(node, NODE_EXTERNAL, &with) &&
	       attr_flag(&with.at[NODE_EXTERNAL]);
}

/* Two units know the same function by its name alone. */
static bool has_same_name(const struct node *a, const struct node *b)
{
	const char *left = node_text_with(a, NODE_LINKAGE);
	const char *right = node_text_with(b, NODE_LINKAGE);

	if (!is_external(a) || !is_external(b))
		return false;
	if (!left && !right) {
		left = node_text_with(a, NODE_NAME);
		right = node_text_with(b, NODE_NAME);
	}
	return left && right && strcmp(left, right) == 0;
}

static bool is_same_function(const struct node *callee,
			     const struct node *function)
{
	struct node at = *callee;

	if (is_origin(callee, function) || is_origin(function, callee))
		return true;
	while (next_origin(&at))
		if (is_origin(&at, function))
			return true;
	return has_same_name(callee, function);
}

static bool entry_of(const struct node *function, uint64_t *out)
{
	const struct die die = {
		.low = function->at[NODE_LOW],
		.high = function->at[NODE_HIGH],
		.ranges = function->at[NODE_RANGES],
	};

	return ranges_entry(function->unit, &die, out);
}

/* The caller's frame, at the time of the call. */
static struct evaluation at_call(const struct evaluation *evaluation,
				 struct unit *unit)
{
	struct evaluation outer = *evaluation;

	outer.frame++;
	outer.unit = unit;
	outer.is_of_past = true;
	return outer;
}

/* gcc makes several functions of one, and the one may jump to the other: then
 * all are the same by their DIEs. What they are called tells them apart. */
static bool may_be_part(const struct target *target, uint64_t entry)
{
	static const char *const parts[] = {
		".part.", ".cold", ".constprop.", ".isra.", "[clone ",
	};
	const char *name = NULL;
	uint64_t offset = 0;

	if (target->symbol)
		name = target->symbol(target->context, entry, &offset);
	if (!name || offset != 0)
		return true;
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		if (strstr(name, parts[i]))
			return true;
	return false;
}

/* Does CALL, of the caller of FRAME, lead to FRAME's function, and not to
 * another that has then jumped there? */
static bool calls(const struct evaluation *evaluation, const struct node *call,
		  const struct target_frame *frame)
{
	const struct target *target = evaluation->target;
	struct evaluation outer = at_call(evaluation, call->unit);
	uint64_t entry, to;
	struct node callee;
	struct reader expr;

	if (!entry_of(&frame->function, &entry))
		return false;
	entry += frame->bias;
	if (target->call &&
	    target->call(target->context, frame[1].pc) == entry)
		return true;
	if (node_follow(call, NODE_CALLEE, &callee) ||
	    (call->tag == DW_TAG_GNU_call_site &&
	     node_follow(call, NODE_ORIGIN, &callee)))
		return is_same_function(&callee, &frame->function) &&
		       !may_be_part(target, entry);
	return node_block(call, NODE_CALL_TARGET, &expr) &&
	       place_number(&outer, expr, &to) == ABSENT_NOT && to == entry;
}

/* The call that has led to EVALUATION's function, if that is certain. A
 * function that was left by a jump, and entered again by another, has been
 * called with other values since; it must tell of all its jumps. */
static bool find_own_call(const struct evaluation *evaluation,
			  struct node *out)
{
	const struct target *target = evaluation->target;
	const struct target_frame *frame = &target->frames[evaluation->frame];
	const struct target_frame *caller = frame + 1;

	if (evaluation->frame + 1 >= target->nframes || caller->is_exact ||
	    !frame->has_function || !caller->has_function ||
	    !attr_flag(&frame->function.at[NODE_ALL_CALLS]))
		return false;
	return find_call(&caller->function, caller->pc - caller->bias, 0,
			 out) &&
	       calls(evaluation, out, frame) &&
	       target->reenters &&
	       !target->reenters(target->context,
				 target_place(frame) + frame->bias);
}

static enum absent evaluate(const struct evaluation *evaluation,
			    const struct node *parameter, uint64_t *out)
{
	struct evaluation outer = at_call(evaluation, parameter->unit);
	struct reader expr;

	if (!node_block(parameter, NODE_CALL_VALUE, &expr))
		return ABSENT_CLOBBERED;
	return place_number(&outer, expr, out);
}

static bool is_parameter(uint16_t tag)
{
	return tag == DW_TAG_call_site_parameter ||
	       tag == DW_TAG_GNU_call_site_parameter;
}

bool entry_register(struct reader expr, uint64_t *number_out,
		    uint64_t *type_out)
{
	uint8_t op = reader_u8(&expr);

	*type_out = 0;
	if (op >= DW_OP_reg0 && op <= DW_OP_reg31) {
		*number_out = (uint64_t)op - DW_OP_reg0;
	} else if (op == DW_OP_regx) {
		*number_out = reader_uleb(&expr);
	} else if (op == DW_OP_regval_type || op == DW_OP_GNU_regval_type) {
		*number_out = reader_uleb(&expr);
		*type_out = reader_uleb(&expr);
	} else {
		return false;
	}
	return !expr.bad && reader_left(&expr) == 0;
}

enum absent entry_value(const struct evaluation *evaluation, uint64_t number,
			uint64_t *out)
{
	struct node call, at;

	if (evaluation->nested > PLACE_MAX_NESTED)
		return ABSENT_NOT_UNDERSTOOD;
	if (!find_own_call(evaluation, &call))
		return ABSENT_CLOBBERED;
	for (bool is_there = node_child(&call, &at); is_there;
	     is_there = node_sibling(&at, &at)) {
		uint64_t passed, type;
		struct reader where;

		if (is_parameter(at.tag) &&
		    node_block(&at, NODE_LOCATION, &where) &&
		    entry_register(where, &passed, &type) && passed == number)
			return evaluate(evaluation, &at, out);
	}
	return ABSENT_CLOBBERED;
}

enum absent entry_parameter(const struct evaluation *evaluation,
			    uint64_t offset, uint64_t *out)
{
	struct node call, at, parameter;

	if (evaluation->nested > PLACE_MAX_NESTED)
		return ABSENT_NOT_UNDERSTOOD;
	if (!find_own_call(evaluation, &call))
		return ABSENT_CLOBBERED;
	for (bool is_there = node_child(&call, &at); is_there;
	     is_there = node_sibling(&at, &at))
		if (is_parameter(at.tag) &&
		    (node_follow(&at, NODE_PARAMETER, &parameter) ||
		     node_follow(&at, NODE_ORIGIN, &parameter)) &&
		    parameter.unit->file == evaluation->unit->file &&
		    parameter.offset == offset)
			return evaluate(evaluation, &at, out);
	return ABSENT_CLOBBERED;
}
