/* The evaluator. Runs in the helper, the command line and the symbolizer.
 * The operations were checked by entry.c to be of the kinds that we know; what
 * they do to the stack, and where they jump, was not. */
#include "expr.h"

#include <dwarf.h>
#include <string.h>

struct machine {
	uint64_t stack[EXPR_MAX_STACK];
	size_t depth;
	const struct expr_context *context;
	bool bad;
};

static void push(struct machine *m, uint64_t value)
{
	if (m->depth == EXPR_MAX_STACK) {
		m->bad = true;
		return;
	}
	m->stack[m->depth++] = value;
}

static uint64_t pop(struct machine *m)
{
	if (m->depth == 0) {
		m->bad = true;
		return 0;
	}
	return m->stack[--m->depth];
}

/* The entry N below the top. */
static uint64_t peek(struct machine *m, uint64_t n)
{
	if (n >= m->depth) {
		m->bad = true;
		return 0;
	}
	return m->stack[m->depth - 1 - n];
}

static uint64_t read_register(struct machine *m, uint64_t number)
{
	const struct registers *registers = m->context->registers;

	if (number >= REG_CFI_COUNT || !(registers->valid >> number & 1)) {
		m->bad = true;
		return 0;
	}
	return registers->value[number];
}

static uint64_t read_memory(struct machine *m, uint64_t address, uint64_t size)
{
	uint64_t value = 0;

	if (size == 0 || size > sizeof(value) ||
	    memory_copy(m->context->memory, address, &value, (size_t)size) !=
		    size)
		m->bad = true;
	return value;
}

static uint64_t divide(struct machine *m, int64_t a, int64_t b)
{
	if (b == 0) {
		m->bad = true;
		return 0;
	}
	/* INT64_MIN / -1 traps. */
	return b == -1 ? -(uint64_t)a : (uint64_t)(a / b);
}

static uint64_t modulo(struct machine *m, uint64_t a, uint64_t b)
{
	if (b == 0) {
		m->bad = true;
		return 0;
	}
	return a % b;
}

static uint64_t shift_right(uint64_t a, uint64_t by, bool is_signed)
{
	uint64_t sign = is_signed && a >> 63 ? UINT64_MAX : 0;

	if (by == 0)
		return a;
	return by > 63 ? sign : a >> by | sign << (64 - by);
}

static uint64_t compare(uint8_t atom, int64_t a, int64_t b)
{
	switch (atom) {
	case DW_OP_eq:
		return a == b;
	case DW_OP_ge:
		return a >= b;
	case DW_OP_gt:
		return a > b;
	case DW_OP_le:
		return a <= b;
	case DW_OP_lt:
		return a < b;
	default:
		return a != b;
	}
}

/* The operations that take two values and give one; A was below B. */
static uint64_t binary(struct machine *m, uint8_t atom, uint64_t a, uint64_t b)
{
	switch (atom) {
	case DW_OP_and:
		return a & b;
	case DW_OP_div:
		return divide(m, (int64_t)a, (int64_t)b);
	case DW_OP_minus:
		return a - b;
	case DW_OP_mod:
		return modulo(m, a, b);
	case DW_OP_mul:
		return a * b;
	case DW_OP_or:
		return a | b;
	case DW_OP_plus:
		return a + b;
	case DW_OP_shl:
		return b > 63 ? 0 : a << b;
	case DW_OP_shr:
		return shift_right(a, b, false);
	case DW_OP_shra:
		return shift_right(a, b, true);
	case DW_OP_xor:
		return a ^ b;
	default:
		return compare(atom, (int64_t)a, (int64_t)b);
	}
}

static void rotate(struct machine *m)
{
	uint64_t a = pop(m), b = pop(m), c = pop(m);

	push(m, a);
	push(m, c);
	push(m, b);
}

static void swap(struct machine *m)
{
	uint64_t a = pop(m), b = pop(m);

	push(m, a);
	push(m, b);
}

static void push_cfa(struct machine *m)
{
	if (!m->context->has_cfa)
		m->bad = true;
	push(m, m->context->cfa);
}

/* The operations on one value, on none, and on the stack itself. */
static void other(struct machine *m, const Dwarf_Op *op)
{
	uint64_t a;

	switch (op->atom) {
	case DW_OP_deref:
		push(m, read_memory(m, pop(m), 8));
		break;
	case DW_OP_deref_size:
		push(m, read_memory(m, pop(m), op->number));
		break;
	case DW_OP_dup:
		push(m, peek(m, 0));
		break;
	case DW_OP_drop:
		pop(m);
		break;
	case DW_OP_over:
		push(m, peek(m, 1));
		break;
	case DW_OP_pick:
		push(m, peek(m, op->number));
		break;
	case DW_OP_swap:
		swap(m);
		break;
	case DW_OP_rot:
		rotate(m);
		break;
	case DW_OP_abs:
		a = pop(m);
		push(m, a >> 63 ? -a : a);
		break;
	case DW_OP_neg:
		push(m, -pop(m));
		break;
	case DW_OP_not:
		push(m, ~pop(m));
		break;
	case DW_OP_plus_uconst:
		push(m, pop(m) + op->number);
		break;
	case DW_OP_bregx:
		push(m, read_register(m, op->number) + op->number2);
		break;
	case DW_OP_call_frame_cfa:
		push_cfa(m);
		break;
	case DW_OP_nop:
	case DW_OP_stack_value:
		break;
	default:
		m->bad = true;
	}
}

static bool is_constant(uint8_t atom)
{
	return atom == DW_OP_addr ||
	       (atom >= DW_OP_const1u && atom <= DW_OP_consts);
}

static bool is_binary(uint8_t atom)
{
	return atom == DW_OP_and || (atom >= DW_OP_div && atom <= DW_OP_mul) ||
	       atom == DW_OP_or || atom == DW_OP_plus ||
	       (atom >= DW_OP_shl && atom <= DW_OP_xor) ||
	       (atom >= DW_OP_eq && atom <= DW_OP_ne);
}

static void run_one(struct machine *m, const Dwarf_Op *op)
{
	uint8_t atom = op->atom;

	if (is_constant(atom)) {
		push(m, op->number);
	} else if (atom >= DW_OP_lit0 && atom <= DW_OP_lit31) {
		push(m, (uint64_t)atom - DW_OP_lit0);
	} else if (atom >= DW_OP_breg0 && atom <= DW_OP_breg31) {
		push(m, read_register(m, (uint64_t)atom - DW_OP_breg0) +
				op->number);
	} else if (is_binary(atom)) {
		uint64_t b = pop(m), a = pop(m);

		push(m, binary(m, atom, a, b));
	} else {
		other(m, op);
	}
}

/* The operation that a jump in OPS[AT] leads to; NOPS, the end, counts as
 * one. libdw's own operations at both ends have no offset in the block. */
static size_t jump_target(const Dwarf_Op *ops, size_t nops, size_t at,
			  struct machine *m)
{
	uint64_t to = ops[at].offset + 3 + ops[at].number;

	for (size_t i = 0; i < nops; i++)
		if (ops[i].offset == to)
			return i;
	/* Behind the last one: allowed, and there is nothing to tell it from
	 * a jump into the middle of an operand but that it lies further. */
	if ((int64_t)ops[at].number >= 0 && to > ops[nops - 1].offset)
		return nops;
	m->bad = true;
	return nops;
}

bool expr_run(const Dwarf_Op *ops, size_t nops,
	      const struct expr_context *context, uint64_t *value_out)
{
	struct machine m;
	size_t at = 0;

	m.depth = 0;
	m.context = context;
	m.bad = false;
	for (int steps = 0; at < nops && !m.bad; steps++) {
		const Dwarf_Op *op = &ops[at];

		if (steps == EXPR_MAX_STEPS)
			return false;
		if (op->atom == DW_OP_skip ||
		    (op->atom == DW_OP_bra && pop(&m) != 0))
			at = jump_target(ops, nops, at, &m);
		else if (op->atom == DW_OP_bra)
			at++;
		else {
			run_one(&m, op);
			at++;
		}
	}
	if (m.bad || m.depth == 0)
		return false;
	*value_out = m.stack[m.depth - 1];
	return true;
}
