/* DWARF's expressions. Runs in the process that can be lost. Neither the
 * program nor what it reads of the dead process is trusted: the stack, the
 * steps and the nesting are bounded, and what cannot be had is not guessed. */
#include "place.h"

#include <stdlib.h>
#include <string.h>

#include <dwarf.h>

#include "entry.h"
#include "lists.h"
#include "machine.h"
#include "reading.h"
#include "types.h"

enum {
	WORD = 8,
	OP_LAST_LIT = DW_OP_lit31,
	OP_GNU_UNINIT = 0xf0,
	OP_GNU_ADDR_INDEX = 0xfb,
	OP_GNU_CONST_INDEX = 0xfc,
	OP_GNU_VARIABLE_VALUE = 0xfd,
};

struct run {
	const struct evaluation *evaluation;
	struct number stack[PLACE_MAX_STACK];
	size_t depth;
	enum absent why;     /* of the piece at hand: it is not to be had */
	bool is_over;        /* nothing behind it makes sense either */
	struct piece piece;  /* that the last operations have named */
	bool has_piece;
	struct place *place;
};

/* What has gone wrong first is what counts. */
static void miss(struct run *run, enum absent why)
{
	if (run->why == ABSENT_NOT)
		run->why = why;
}

static void give_up(struct run *run)
{
	miss(run, ABSENT_NOT_UNDERSTOOD);
	run->is_over = true;
}

static void push(struct run *run, struct number number)
{
	if (run->depth == PLACE_MAX_STACK) {
		give_up(run);
		return;
	}
	run->stack[run->depth++] = number;
}

static void push_bits(struct run *run, uint64_t bits)
{
	push(run, number_generic(bits));
}

static struct number pop(struct run *run)
{
	if (run->depth == 0) {
		give_up(run);
		return number_generic(0);
	}
	return run->stack[--run->depth];
}

static void pick(struct run *run, size_t n)
{
	if (n >= run->depth)
		give_up(run);
	else
		push(run, run->stack[run->depth - 1 - n]);
}

/* Registers */

static uint64_t read_register(struct run *run, uint64_t number)
{
	const struct target_frame *frame = reading_frame(run->evaluation);
	size_t len;
	const uint8_t *bytes = reading_register(frame, number, &len);
	uint64_t value = 0;

	if (!bytes)
		miss(run, reading_no_register(frame));
	else
		memcpy(&value, bytes, sizeof(value));
	return value;
}

static void push_frame(struct run *run, uint64_t address)
{
	struct number number = number_generic(address);

	number.is_frame = true;
	push(run, number);
}

/* Whether register NUMBER says where the frame is. */
static bool is_of_frame(const struct run *run, uint64_t number)
{
	const struct target_frame *frame = reading_frame(run->evaluation);
	uint64_t base, type;
	struct reader expr;

	return number == R_SP ||
	       (frame->has_function &&
		node_block(&frame->function, NODE_FRAME_BASE, &expr) &&
		entry_register(expr, &base, &type) && base == number);
}

static void push_register(struct run *run, uint64_t number, int64_t plus)
{
	uint64_t value = read_register(run, number) + (uint64_t)plus;

	if (is_of_frame(run, number))
		push_frame(run, value);
	else
		push_bits(run, value);
}

/* Memory */

static uint64_t deref(struct run *run, uint64_t address, size_t size)
{
	const struct evaluation *evaluation = run->evaluation;
	uint64_t value = 0;

	if (size == 0 || size > sizeof(value))
		give_up(run);
	else if (run->why == ABSENT_NOT &&
		 reading_memory(evaluation, address, &value, size) != size)
		miss(run, reading_no_memory(evaluation));
	return value;
}

/* Types */

/* What numbers of the base type at OFFSET of the unit are; 0: generic ones. */
static bool number_type(struct run *run, uint64_t offset,
			enum number_kind *kind_out, uint8_t *size_out)
{
	struct unit *unit = run->evaluation->unit;
	uint64_t encoding, size;
	struct node node;

	*kind_out = NUMBER_GENERIC;
	*size_out = WORD;
	if (offset == 0)
		return true;
	if (!node_at((struct die_ref){ unit->file, unit->offset + offset },
		     &node) ||
	    !node_number(&node, NODE_ENCODING, &encoding) ||
	    !node_number(&node, NODE_BYTE_SIZE, &size) ||
	    size == 0 || size > WORD) {
		give_up(run);
		return false;
	}
	*size_out = (uint8_t)size;
	*kind_out = NUMBER_UNSIGNED;
	if (encoding == DW_ATE_signed || encoding == DW_ATE_signed_char)
		*kind_out = NUMBER_SIGNED;
	else if (encoding == DW_ATE_float)
		*kind_out = NUMBER_FLOAT;
	if (*kind_out == NUMBER_FLOAT && size != 4 && size != WORD)
		give_up(run);
	return !run->is_over;
}

static void push_typed(struct run *run, uint64_t bits, uint64_t type)
{
	enum number_kind kind;
	uint8_t size;

	if (number_type(run, type, &kind, &size))
		push(run, number_make(bits, kind, size));
}

static void push_constant(struct run *run, struct reader *r)
{
	uint64_t type = reader_uleb(r), size = reader_u8(r);
	uint64_t bits = attr_sized(r, size <= WORD ? (int)size : 0);

	if (size > WORD)
		give_up(run);
	else
		push_typed(run, bits, type);
}

static void convert(struct run *run, uint64_t type, bool keeps_bits)
{
	struct number a = pop(run);
	enum number_kind kind;
	uint8_t size;

	if (!number_type(run, type, &kind, &size))
		return;
	if (a.is_frame && size < WORD) {
		give_up(run);
		return;
	}
	push(run, keeps_bits ? number_make(a.bits, kind, size)
			     : number_convert(a, kind, size));
}

/* Expressions in expressions */

static struct evaluation nested(const struct evaluation *evaluation)
{
	struct evaluation inner = *evaluation;

	inner.nested++;
	return inner;
}

static void push_frame_base(struct run *run, int64_t plus)
{
	const struct target_frame *frame = reading_frame(run->evaluation);
	struct evaluation inner = nested(run->evaluation);
	uint64_t base = 0;
	struct reader expr;
	enum absent why = ABSENT_NOT_UNDERSTOOD;

	inner.unit = frame->function.unit;
	if (frame->has_function &&
	    list_find(&frame->function, NODE_FRAME_BASE, target_place(frame),
		      &expr))
		why = place_number(&inner, expr, &base);
	if (why != ABSENT_NOT)
		miss(run, why);
	push_frame(run, base + (uint64_t)plus);
}

static void push_cfa(struct run *run)
{
	uint64_t cfa = reading_frame(run->evaluation)->cfa;

	if (cfa == 0)
		miss(run, ABSENT_NOT_CAPTURED);
	push_frame(run, cfa);
}

static void push_entry(struct run *run, struct reader *r)
{
	struct evaluation inner = nested(run->evaluation);
	uint64_t len = reader_uleb(r), number, type, value = 0;
	struct reader block = reader_at(r, r->pos, len);

	reader_skip(r, (size_t)len);
	if (r->bad)
		return;
	if (!entry_register(block, &number, &type)) {
		give_up(run);
		return;
	}
	miss(run, entry_value(&inner, number, &value));
	push_typed(run, value, type);
}

static void push_parameter(struct run *run, uint64_t offset)
{
	struct evaluation inner = nested(run->evaluation);
	uint64_t value = 0;

	miss(run, entry_parameter(&inner, inner.unit->offset + offset,
				  &value));
	push_bits(run, value);
}

static void run_all(struct run *run, struct reader r);

/* Go through the location of the DIE at REF, as if it stood here. */
static void call(struct run *run, struct die_ref ref)
{
	struct evaluation inner = nested(run->evaluation);
	const struct evaluation *outer = run->evaluation;
	struct reader expr;
	struct node node;

	if (inner.nested > PLACE_MAX_NESTED || !node_at(ref, &node)) {
		give_up(run);
		return;
	}
	inner.unit = node.unit;
	run->evaluation = &inner;
	if (list_find(&node, NODE_LOCATION, target_place(reading_frame(outer)),
		      &expr))
		run_all(run, expr);
	run->evaluation = outer;
}

/* The value, not the place, of the variable at REF. */
static void push_variable(struct run *run, struct die_ref ref)
{
	struct evaluation inner = nested(run->evaluation);
	uint64_t value = 0;
	struct node node;

	if (inner.nested > PLACE_MAX_NESTED || !node_at(ref, &node)) {
		give_up(run);
		return;
	}
	miss(run, place_value(&inner, &node, type_value_size(&node), &value));
	push_bits(run, value);
}

static struct die_ref in_unit(const struct run *run, uint64_t offset)
{
	const struct unit *unit = run->evaluation->unit;

	return (struct die_ref){ unit->file, unit->offset + offset };
}

static struct die_ref in_file(const struct run *run, struct reader *r)
{
	const struct unit *unit = run->evaluation->unit;

	return (struct die_ref){ unit->file,
				 attr_sized(r, unit->sizes.offset) };
}

/* Pieces */

static void name_piece(struct run *run, enum piece_kind kind, uint64_t value)
{
	run->piece = (struct piece){ .kind = kind, .value = value };
	run->has_piece = true;
}

static void name_value(struct run *run, struct number number)
{
	name_piece(run, PIECE_VALUE, number.bits);
	run->piece.is_frame = number.is_frame;
}

static void name_bytes(struct run *run, struct reader *r)
{
	uint64_t len = reader_uleb(r);

	name_piece(run, PIECE_BYTES, len);
	run->piece.bytes = reader_take(r, (size_t)len);
}

/* What was named, or what is on top of the stack; without either nothing is. */
static struct piece take_piece(struct run *run)
{
	struct piece piece = { .why = ABSENT_OPTIMIZED_OUT };

	if (run->why == ABSENT_NOT && run->has_piece)
		piece = run->piece;
	else if (run->why == ABSENT_NOT && run->depth > 0)
		piece = (struct piece){ .kind = PIECE_MEMORY,
					.value = pop(run).bits };
	else if (run->why != ABSENT_NOT)
		piece.why = run->why;
	if (!run->is_over)
		run->why = ABSENT_NOT;
	run->has_piece = false;
	run->depth = 0;
	return piece;
}

static void add_piece(struct run *run, uint64_t bits, uint64_t skip)
{
	struct place *place = run->place;
	struct piece piece = take_piece(run);

	if (place->npieces == PLACE_MAX_PIECES) {
		give_up(run);
		return;
	}
	piece.bits = bits;
	piece.skip = skip;
	place->pieces[place->npieces++] = piece;
}

/* Operations */

static void jump(struct run *run, struct reader *r, bool is_taken)
{
	int64_t by = (int16_t)reader_u16(r);
	int64_t to = (int64_t)r->pos + by;

	if (!is_taken)
		return;
	/* Which way it is, nobody knows. */
	if (run->why != ABSENT_NOT)
		run->is_over = true;
	else if (to < 0 || to > (int64_t)r->len)
		give_up(run);
	else
		r->pos = (size_t)to;
}

static void push_address(struct run *run, uint64_t address)
{
	push_bits(run, address + reading_frame(run->evaluation)->bias);
}

static void push_indexed(struct run *run, uint64_t index, bool is_address)
{
	const struct attr attr = { .value = index, .form = DW_FORM_addrx };
	uint64_t value = 0;

	if (!unit_address(run->evaluation->unit, &attr, &value))
		give_up(run);
	else if (is_address)
		push_address(run, value);
	else
		push_bits(run, value);
}

static void rotate(struct run *run)
{
	struct number a = pop(run), b = pop(run), c = pop(run);

	push(run, a);
	push(run, c);
	push(run, b);
}

static void swap(struct run *run)
{
	struct number a = pop(run), b = pop(run);

	push(run, a);
	push(run, b);
}

static bool run_constant(struct run *run, uint8_t op, struct reader *r)
{
	switch (op) {
	case DW_OP_addr: push_address(run, reader_u64(r)); return true;
	case DW_OP_const1u: push_bits(run, reader_u8(r)); return true;
	case DW_OP_const2u: push_bits(run, reader_u16(r)); return true;
	case DW_OP_const4u: push_bits(run, reader_u32(r)); return true;
	case DW_OP_const8u:
	case DW_OP_const8s: push_bits(run, reader_u64(r)); return true;
	case DW_OP_const1s:
		push_bits(run, (uint64_t)(int8_t)reader_u8(r));
		return true;
	case DW_OP_const2s:
		push_bits(run, (uint64_t)(int16_t)reader_u16(r));
		return true;
	case DW_OP_const4s:
		push_bits(run, (uint64_t)(int32_t)reader_u32(r));
		return true;
	case DW_OP_constu: push_bits(run, reader_uleb(r)); return true;
	case DW_OP_consts:
		push_bits(run, (uint64_t)reader_sleb(r));
		return true;
	case DW_OP_addrx:
	case OP_GNU_ADDR_INDEX:
		push_indexed(run, reader_uleb(r), true);
		return true;
	case DW_OP_constx:
	case OP_GNU_CONST_INDEX:
		push_indexed(run, reader_uleb(r), false);
		return true;
	default:
		if (op < DW_OP_lit0 || op > OP_LAST_LIT)
			return false;
		push_bits(run, (uint64_t)op - DW_OP_lit0);
		return true;
	}
}

static bool run_register(struct run *run, uint8_t op, struct reader *r)
{
	uint64_t number;

	if (op >= DW_OP_breg0 && op <= DW_OP_breg31) {
		push_register(run, (uint64_t)op - DW_OP_breg0, reader_sleb(r));
		return true;
	}
	if (op >= DW_OP_reg0 && op <= DW_OP_reg31) {
		name_piece(run, PIECE_REGISTER, (uint64_t)op - DW_OP_reg0);
		return true;
	}
	switch (op) {
	case DW_OP_regx:
		name_piece(run, PIECE_REGISTER, reader_uleb(r));
		return true;
	case DW_OP_bregx:
		number = reader_uleb(r);
		push_register(run, number, reader_sleb(r));
		return true;
	case DW_OP_regval_type:
	case DW_OP_GNU_regval_type:
		number = reader_uleb(r);
		push_typed(run, read_register(run, number), reader_uleb(r));
		return true;
	case DW_OP_fbreg: push_frame_base(run, reader_sleb(r)); return true;
	case DW_OP_call_frame_cfa: push_cfa(run); return true;
	default: return false;
	}
}

static bool run_stack(struct run *run, uint8_t op, struct reader *r)
{
	switch (op) {
	case DW_OP_dup: pick(run, 0); return true;
	case DW_OP_drop: pop(run); return true;
	case DW_OP_over: pick(run, 1); return true;
	case DW_OP_pick: pick(run, reader_u8(r)); return true;
	case DW_OP_swap: swap(run); return true;
	case DW_OP_rot: rotate(run); return true;
	case DW_OP_skip: jump(run, r, true); return true;
	case DW_OP_bra: jump(run, r, pop(run).bits != 0); return true;
	case DW_OP_nop:
	case OP_GNU_UNINIT: return true;
	default: return false;
	}
}

static bool run_memory(struct run *run, uint8_t op, struct reader *r)
{
	uint64_t size;

	switch (op) {
	case DW_OP_deref:
		push_bits(run, deref(run, pop(run).bits, WORD));
		return true;
	case DW_OP_deref_size:
		size = reader_u8(r);
		push_bits(run, deref(run, pop(run).bits, size));
		return true;
	case DW_OP_deref_type:
	case DW_OP_GNU_deref_type:
		size = reader_u8(r);
		push_typed(run, deref(run, pop(run).bits, size),
			   reader_uleb(r));
		return true;
	case DW_OP_form_tls_address:
	case DW_OP_GNU_push_tls_address:
		miss(run, ABSENT_THREAD_LOCAL);
		return true;
	default:
		return false;
	}
}

static bool run_typed(struct run *run, uint8_t op, struct reader *r)
{
	switch (op) {
	case DW_OP_const_type:
	case DW_OP_GNU_const_type: push_constant(run, r); return true;
	case DW_OP_convert:
	case DW_OP_GNU_convert:
		convert(run, reader_uleb(r), false);
		return true;
	case DW_OP_reinterpret:
	case DW_OP_GNU_reinterpret:
		convert(run, reader_uleb(r), true);
		return true;
	default: return false;
	}
}

static bool run_nested(struct run *run, uint8_t op, struct reader *r)
{
	switch (op) {
	case DW_OP_entry_value:
	case DW_OP_GNU_entry_value: push_entry(run, r); return true;
	case DW_OP_GNU_parameter_ref:
		push_parameter(run, reader_u32(r));
		return true;
	case DW_OP_call2: call(run, in_unit(run, reader_u16(r))); return true;
	case DW_OP_call4: call(run, in_unit(run, reader_u32(r))); return true;
	case DW_OP_call_ref: call(run, in_file(run, r)); return true;
	case OP_GNU_VARIABLE_VALUE:
		push_variable(run, in_file(run, r));
		return true;
	default: return false;
	}
}

static bool run_piece(struct run *run, uint8_t op, struct reader *r)
{
	uint64_t bits;

	switch (op) {
	case DW_OP_piece: add_piece(run, 8 * reader_uleb(r), 0); return true;
	case DW_OP_bit_piece:
		bits = reader_uleb(r);
		add_piece(run, bits, reader_uleb(r));
		return true;
	case DW_OP_stack_value:
		name_value(run, pop(run));
		return true;
	case DW_OP_implicit_value: name_bytes(run, r); return true;
	case DW_OP_implicit_pointer:
	case DW_OP_GNU_implicit_pointer:
		in_file(run, r);
		reader_sleb(r);
		miss(run, ABSENT_SYNTHETIC);
		return true;
	default: return false;
	}
}

static bool run_arithmetic(struct run *run, uint8_t op, struct reader *r)
{
	struct number a, b, result;

	if (op == DW_OP_plus_uconst) {
		a = pop(run);
		result = number_make(a.bits + reader_uleb(r), a.kind, a.size);
		result.is_frame = a.is_frame;
		push(run, result);
		return true;
	}
	if (op == DW_OP_abs || op == DW_OP_neg || op == DW_OP_not) {
		if (!number_unary(op, pop(run), &result))
			return false;
		push(run, result);
		return true;
	}
	b = pop(run);
	a = pop(run);
	if (number_binary(op, a, b, &result)) {
		push(run, result);
		return true;
	}
	/* A 0 that stands for what is not known divides nothing. */
	push_bits(run, 0);
	return run->why != ABSENT_NOT && !run->is_over;
}

static void run_one(struct run *run, struct reader *r)
{
	uint8_t op = reader_u8(r);

	if (!run_constant(run, op, r) && !run_register(run, op, r) &&
	    !run_stack(run, op, r) && !run_memory(run, op, r) &&
	    !run_typed(run, op, r) && !run_nested(run, op, r) &&
	    !run_piece(run, op, r) && !run_arithmetic(run, op, r))
		give_up(run);
}

static void run_all(struct run *run, struct reader r)
{
	while (reader_left(&r) > 0 && !run->is_over) {
		if (*run->evaluation->steps_left == 0) {
			give_up(run);
			return;
		}
		--*run->evaluation->steps_left;
		run_one(run, &r);
	}
	if (r.bad)
		give_up(run);
}

void place_set_absent(struct place *out, enum absent why)
{
	out->is_whole = true;
	out->npieces = 1;
	out->pieces[0] = (struct piece){ .why = why };
}

static void start(struct run *run, const struct evaluation *evaluation,
		  struct place *place)
{
	run->evaluation = evaluation;
	run->place = place;
	run->depth = 0;
	run->why = ABSENT_NOT;
	run->is_over = run->has_piece = false;
	place->npieces = 0;
	place->is_whole = false;
}

void place_find(const struct evaluation *evaluation, struct reader expr,
		struct place *out)
{
	struct run run;

	if (evaluation->nested > PLACE_MAX_NESTED) {
		place_set_absent(out, ABSENT_NOT_UNDERSTOOD);
		return;
	}
	start(&run, evaluation, out);
	run_all(&run, expr);
	if (run.is_over && run.why != ABSENT_NOT) {
		place_set_absent(out, run.why);
	} else if (out->npieces == 0) {
		out->pieces[0] = take_piece(&run);
		out->npieces = 1;
		out->is_whole = true;
	}
}

enum absent place_number(const struct evaluation *evaluation,
			 struct reader expr, uint64_t *out)
{
	const struct target_frame *frame = reading_frame(evaluation);
	const uint8_t *bytes;
	struct piece *piece;
	struct place place;
	size_t len;

	place_find(evaluation, expr, &place);
	piece = &place.pieces[0];
	if (!place.is_whole || piece->kind == PIECE_BYTES)
		return ABSENT_NOT_UNDERSTOOD;
	if (piece->kind == PIECE_ABSENT)
		return piece->why;
	if (piece->kind != PIECE_REGISTER) {
		*out = piece->value;
		return ABSENT_NOT;
	}
	bytes = reading_register(frame, piece->value, &len);
	if (!bytes)
		return reading_no_register(frame);
	memcpy(out, bytes, sizeof(*out));
	return ABSENT_NOT;
}
