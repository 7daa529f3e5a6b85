/* The variables of a frame. Runs in the process that can be lost; DIEs may be
 * anybody's, so their number is bounded. */
#include "variables.h"

#include <stdlib.h>

#include "../lookup.h"
#include "code.h"
#include "format.h"
#include "show.h"

enum { MAX_PLAIN = 16 }; /* blocks without addresses, in each other */

struct list {
	const struct target *target;
	size_t frame;
	struct writer *out;
	size_t left;  /* of VARIABLES_MAX */
	size_t count; /* of the function at hand */
};

/* Values */

static enum absent read_value(const struct evaluation *evaluation,
			      const struct node *variable, struct writer *text)
{
	uint64_t size = 0;
	struct contents contents;
	struct place place;
	struct node with;
	struct type type;
	enum absent why;

	if (!node_with(variable, NODE_TYPE, &with))
		return ABSENT_NOT_UNDERSTOOD;
	type_of(&with, &type);
	place_of(evaluation, variable, &place);
	if (place.is_whole && place.pieces[0].kind == PIECE_ABSENT)
		return place.pieces[0].why;
	why = type_size(evaluation, &type, &size);
	if (why != ABSENT_NOT)
		return why;
	if (size > PLACE_MAX_BYTES)
		return ABSENT_TOO_LARGE;
	if (!place_contents(evaluation, &place, (size_t)size, &contents))
		return ABSENT_NOT_UNDERSTOOD;
	why = format_value(evaluation, &type, &contents, text);
	contents_fini(&contents);
	return why;
}

static void put_value(struct list *list, const struct node *variable)
{
	unsigned steps = PLACE_MAX_STEPS;
	const struct evaluation evaluation = {
		.target = list->target, .frame = list->frame,
		.unit = variable->unit, .steps_left = &steps,
	};
	struct writer text;
	enum absent why;

	writer_init(&text, FORMAT_MAX);
	why = read_value(&evaluation, variable, &text);
	if (!show_end(&text))
		why = ABSENT_NOT_UNDERSTOOD;
	lookup_write_text(list->out, why == ABSENT_NOT
					     ? (const char *)text.bytes
					     : NULL);
	writer_u32(list->out, why);
	writer_fini(&text);
}

static void put_variable(struct list *list, const struct node *variable)
{
	bool is_argument = variable->tag == DW_TAG_formal_parameter;
	const char *name = node_text_with(variable, NODE_NAME);
	char type[TYPE_MAX_NAME];

	/* What is only declared is elsewhere. */
	if (!name || attr_flag(&variable->at[NODE_DECLARATION]) ||
	    list->left == 0)
		return;
	list->left--;
	list->count++;
	type_name(variable, type);
	writer_u32(list->out, is_argument);
	lookup_write_text(list->out, name);
	lookup_write_text(list->out, type);
	put_value(list, variable);
}

/* Which of them */

/* True where a DIE in SCOPE is an instance of ORIGIN. */
static bool has_instance(const struct node *scope, const struct node *origin)
{
	struct node at;

	for (bool is_there = node_child(scope, &at); is_there;
	     is_there = node_sibling(&at, &at)) {
		struct die_ref ref;

		if (unit_reference(at.unit, &at.at[NODE_ORIGIN], &ref) &&
		    ref.file == origin->unit->file &&
		    ref.offset == origin->offset)
			return true;
	}
	return false;
}

static bool is_plain_block(const struct node *node)
{
	return node->tag == DW_TAG_lexical_block &&
	       !node_has(node, NODE_RANGES) && !node_has(node, NODE_LOW);
}

/* The variables of kind TAG in SCOPE itself, and in its blocks without
 * addresses. */
static void put_own(struct list *list, const struct node *scope, uint16_t tag,
		    int plain)
{
	struct node at;

	for (bool is_there = node_child(scope, &at); is_there;
	     is_there = node_sibling(&at, &at)) {
		if (at.tag == tag)
			put_variable(list, &at);
		else if (is_plain_block(&at) && plain < MAX_PLAIN)
			put_own(list, &at, tag, plain + 1);
	}
}

/* Those of what SCOPE is an instance of that the instance has lost. */
static void put_lost(struct list *list, const struct node *scope, uint16_t tag)
{
	struct node origin, at;

	if (!node_follow(scope, NODE_ORIGIN, &origin))
		return;
	for (bool is_there = node_child(&origin, &at); is_there;
	     is_there = node_sibling(&at, &at))
		if (at.tag == tag && !has_instance(scope, &at))
			put_variable(list, &at);
}

static void put_scope(struct list *list, const struct node *scope, uint16_t tag)
{
	put_own(list, scope, tag, 0);
	put_lost(list, scope, tag);
}

/* One function: SCOPES, itself first. */
static void put_function(struct list *list, const struct node *scopes, size_t n)
{
	size_t count_at = list->out->len;

	list->count = 0;
	writer_u32(list->out, 0);
	put_scope(list, &scopes[0], DW_TAG_formal_parameter);
	for (size_t i = n; i-- > 0;)
		put_scope(list, &scopes[i], DW_TAG_variable);
	if (!list->out->bad)
		writer_patch_u32(list->out, count_at, (uint32_t)list->count);
}

void variables_write(const struct target *target, size_t index,
		     struct writer *out)
{
	const struct target_frame *frame = &target->frames[index];
	struct list list = { .target = target, .frame = index, .out = out,
			     .left = VARIABLES_MAX };
	struct node *scopes = NULL;
	size_t end = code_scopes(&frame->function, target_place(frame),
				 &scopes);
	uint32_t nfunctions = 0;

	for (size_t i = 0; i < end; i++)
		nfunctions += code_is_function(&scopes[i]);
	writer_u32(out, nfunctions);
	for (size_t start = end; start-- > 0;) {
		if (!code_is_function(&scopes[start]))
			continue;
		put_function(&list, &scopes[start], end - start);
		end = start;
	}
	free(scopes);
}
