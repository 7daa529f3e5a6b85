/* The bytes of values. Runs in the process that can be lost: places come from
 * programs that are not trusted, so each length is held to what is there. */
#include "place.h"

#include <stdlib.h>
#include <string.h>

#include <dwarf.h>

#include "lists.h"
#include "reading.h"

enum { WORD = 8 };

static bool contents_init(struct contents *contents, size_t len)
{
	*contents = (struct contents){
		.bytes = calloc(len + 1, 1),
		.why = malloc(len + 1),
		.len = len,
	};
	if (contents->bytes && contents->why) {
		memset(contents->why, ABSENT_OPTIMIZED_OUT, len);
		return true;
	}
	contents_fini(contents);
	return false;
}

void contents_fini(struct contents *contents)
{
	free(contents->bytes);
	free(contents->why);
	*contents = (struct contents){ .len = 0 };
}

/* What cannot be read is passed over up to the next word: what is kept begins
 * and ends at words. */
static void fill_memory(const struct evaluation *evaluation, uint64_t address,
			struct contents *out)
{
	enum absent missing = reading_no_memory(evaluation);
	size_t at = 0;

	while (at < out->len) {
		size_t n = reading_memory(evaluation, address + at,
					  out->bytes + at, out->len - at);
		size_t gap = WORD - (size_t)(address + at) % WORD;

		if (gap > out->len - at)
			gap = out->len - at;
		memset(out->why + at, n > 0 ? (int)ABSENT_NOT : (int)missing,
		       n > 0 ? n : gap);
		at += n > 0 ? n : gap;
	}
}

static void fill_bytes(const uint8_t *bytes, size_t have,
		       struct contents *out)
{
	size_t n = have < out->len ? have : out->len;

	if (n > 0 && bytes)
		memcpy(out->bytes, bytes, n);
	memset(out->why, ABSENT_NOT, bytes ? n : 0);
	memset(out->why + n, ABSENT_NOT_UNDERSTOOD, out->len - n);
}

/* OUT's bytes, from the first of what PIECE is of. */
static void fill(const struct evaluation *evaluation, const struct piece *piece,
		 struct contents *out)
{
	const struct target_frame *frame = reading_frame(evaluation);
	const uint8_t *bytes;
	size_t len;

	switch (piece->kind) {
	case PIECE_ABSENT:
		memset(out->why, piece->why, out->len);
		break;
	case PIECE_MEMORY:
		fill_memory(evaluation, piece->value, out);
		break;
	case PIECE_REGISTER:
		bytes = reading_register(frame, piece->value, &len);
		if (bytes)
			fill_bytes(bytes, len, out);
		else
			memset(out->why, reading_no_register(frame), out->len);
		break;
	case PIECE_VALUE:
		if (piece->is_frame && out->len < WORD) {
			memset(out->why, ABSENT_NOT_UNDERSTOOD, out->len);
			break;
		}
		fill_bytes((const uint8_t *)&piece->value,
			   sizeof(piece->value), out);
		break;
	case PIECE_BYTES:
		fill_bytes(piece->bytes, (size_t)piece->value, out);
		break;
	}
}

/* COUNT bits from bit FROM_AT of FROM to bit TO_AT of TO, which are 0. */
static void copy_bits(const struct contents *from, uint64_t from_at,
		      struct contents *to, uint64_t to_at, uint64_t count)
{
	for (uint64_t i = 0; i < count; i++) {
		uint64_t f = from_at + i, t = to_at + i;
		unsigned bit = (unsigned)from->bytes[f / 8] >> f % 8 & 1;

		to->bytes[t / 8] |= (uint8_t)(bit << t % 8);
		if (t % 8 == 0 || from->why[f / 8] != ABSENT_NOT)
			to->why[t / 8] = from->why[f / 8];
	}
}

static bool fill_piece(const struct evaluation *evaluation,
		       const struct piece *piece, uint64_t at,
		       struct contents *out)
{
	uint64_t left = 8 * (uint64_t)out->len - at, bits = piece->bits;
	struct contents source;

	if (bits > left)
		bits = left;
	if (piece->skip > 8 * PLACE_MAX_BYTES)
		return true;
	if (!contents_init(&source, (size_t)(piece->skip + bits + 7) / 8))
		return false;
	fill(evaluation, piece, &source);
	copy_bits(&source, piece->skip, out, at, bits);
	contents_fini(&source);
	return true;
}

bool place_contents(const struct evaluation *evaluation,
		    const struct place *place, size_t len,
		    struct contents *out)
{
	uint64_t at = 0;
	bool ok;

	if (len > PLACE_MAX_BYTES || !contents_init(out, len))
		return false;
	if (place->is_whole) {
		fill(evaluation, &place->pieces[0], out);
		if (place->pieces[0].kind == PIECE_MEMORY)
			out->address = place->pieces[0].value;
		return true;
	}
	ok = true;
	for (size_t i = 0; i < place->npieces && at < 8 * len && ok; i++) {
		ok = fill_piece(evaluation, &place->pieces[i], at, out);
		at += place->pieces[i].bits < 8 * len ? place->pieces[i].bits
						      : 8 * len;
	}
	if (!ok)
		contents_fini(out);
	return ok;
}

bool place_memory(const struct evaluation *evaluation, uint64_t address,
		  size_t len, struct contents *out)
{
	if (len > PLACE_MAX_BYTES || !contents_init(out, len))
		return false;
	fill_memory(evaluation, address, out);
	out->address = address;
	return true;
}

/* Variables */

/* A constant that stands in the DIE itself. */
static bool constant_of(const struct node *node, struct place *out)
{
	struct piece piece = { .kind = PIECE_VALUE };
	const char *text = node_text(node, NODE_CONST_VALUE);
	struct reader block;

	if (text) {
		piece.kind = PIECE_BYTES;
		piece.bytes = (const uint8_t *)text;
		piece.value = strlen(text) + 1;
	} else if (node_block(node, NODE_CONST_VALUE, &block)) {
		piece.kind = PIECE_BYTES;
		piece.bytes = block.bytes;
		piece.value = block.len;
	} else if (!node_number(node, NODE_CONST_VALUE, &piece.value)) {
		return false;
	}
	out->is_whole = true;
	out->npieces = 1;
	out->pieces[0] = piece;
	return true;
}

/* What DWARF says of a variable that is always in one place is true once the
 * function has put it there. What was passed on the stack is there before. */
static bool is_not_set(const struct evaluation *evaluation,
		       const struct node *variable, struct reader expr,
		       const struct place *place)
{
	const struct target_frame *frame = reading_frame(evaluation);
	struct reader whole, base;
	uint8_t op = reader_u8(&expr);

	if (!frame->is_prologue || !place->is_whole ||
	    place->pieces[0].kind != PIECE_MEMORY ||
	    !node_block(variable, NODE_LOCATION, &whole) ||
	    (op != DW_OP_fbreg && !(op >= DW_OP_breg0 && op <= DW_OP_breg31)))
		return false;
	return !node_block(&frame->function, NODE_FRAME_BASE, &base) ||
	       reader_u8(&base) != DW_OP_call_frame_cfa ||
	       place->pieces[0].value < frame->cfa;
}

void place_of(const struct evaluation *evaluation, const struct node *node,
	      struct place *out)
{
	const struct target_frame *frame = reading_frame(evaluation);
	struct evaluation inner = *evaluation;
	struct reader expr;
	struct node with;

	if (node_with(node, NODE_LOCATION, &with)) {
		inner.unit = with.unit;
		if (list_find(&with, NODE_LOCATION, target_place(frame),
			      &expr))
			place_find(&inner, expr, out);
		else
			place_set_absent(out, ABSENT_OPTIMIZED_OUT);
		if (is_not_set(&inner, &with, expr, out))
			place_set_absent(out, ABSENT_NOT_SET);
	} else if (!node_with(node, NODE_CONST_VALUE, &with) ||
		   !constant_of(&with, out)) {
		place_set_absent(out, ABSENT_OPTIMIZED_OUT);
	}
}

enum absent place_value(const struct evaluation *evaluation,
			const struct node *node, size_t size, uint64_t *out)
{
	struct contents contents;
	struct place place;
	enum absent why = ABSENT_NOT;
	uint64_t value = 0;

	place_of(evaluation, node, &place);
	if (size == 0 || size > sizeof(value) ||
	    !place_contents(evaluation, &place, size, &contents))
		return ABSENT_NOT_UNDERSTOOD;
	for (size_t i = 0; i < size && why == ABSENT_NOT; i++)
		why = (enum absent)contents.why[i];
	memcpy(&value, contents.bytes, size);
	contents_fini(&contents);
	if (why == ABSENT_NOT)
		*out = value;
	return why;
}
