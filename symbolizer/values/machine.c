/* Arithmetic of DWARF's expressions. Runs in the process that can be lost; any
 * number may be divided by any. */
#include "machine.h"

#include <string.h>

#include <dwarf.h>

enum { MAX_ALIGNMENT = 6 }; /* bits: of a cache line */

struct number number_make(uint64_t bits, enum number_kind kind, uint8_t size)
{
	if (size < sizeof(bits))
		bits &= (UINT64_C(1) << 8 * size) - 1;
	return (struct number){ .bits = bits, .kind = kind, .size = size };
}

static int64_t as_signed(struct number a)
{
	unsigned shift = 64 - 8u * a.size;

	return (int64_t)(a.bits << shift) >> shift;
}

static double as_double(struct number a)
{
	double wide;
	float narrow;

	if (a.kind == NUMBER_SIGNED)
		return (double)as_signed(a);
	if (a.kind != NUMBER_FLOAT)
		return (double)a.bits;
	memcpy(&wide, &a.bits, sizeof(wide));
	memcpy(&narrow, &a.bits, sizeof(narrow));
	return a.size == sizeof(narrow) ? (double)narrow : wide;
}

static struct number from_double(double value, uint8_t size)
{
	struct number out = { .kind = NUMBER_FLOAT, .size = size };
	float narrow = (float)value;

	if (size == sizeof(narrow))
		memcpy(&out.bits, &narrow, sizeof(narrow));
	else
		memcpy(&out.bits, &value, sizeof(value));
	return out;
}

/* As far as it fits: C leaves open what the rest is. */
static uint64_t truncated(double value)
{
	if (!(value >= (double)INT64_MIN && value < 0x1p64))
		return 0;
	return value < 0 ? (uint64_t)(int64_t)value : (uint64_t)value;
}

struct number number_convert(struct number a, enum number_kind kind,
			     uint8_t size)
{
	if (kind == NUMBER_FLOAT)
		return from_double(as_double(a), size);
	if (a.kind == NUMBER_FLOAT)
		return number_make(truncated(as_double(a)), kind, size);
	if (a.kind == NUMBER_SIGNED)
		return number_make((uint64_t)as_signed(a), kind, size);
	return number_make(a.bits, kind, size);
}

static bool float_binary(uint8_t op, struct number a, struct number b,
			 struct number *out)
{
	double x = as_double(a), y = as_double(b);

	switch (op) {
	case DW_OP_plus: *out = from_double(x + y, a.size); return true;
	case DW_OP_minus: *out = from_double(x - y, a.size); return true;
	case DW_OP_mul: *out = from_double(x * y, a.size); return true;
	case DW_OP_div: *out = from_double(x / y, a.size); return true;
	case DW_OP_eq: *out = number_generic(x == y); return true;
	case DW_OP_ge: *out = number_generic(x >= y); return true;
	case DW_OP_gt: *out = number_generic(x > y); return true;
	case DW_OP_le: *out = number_generic(x <= y); return true;
	case DW_OP_lt: *out = number_generic(x < y); return true;
	case DW_OP_ne: *out = number_generic(x != y); return true;
	default: return false;
	}
}

static uint64_t divide(struct number a, struct number b)
{
	int64_t by = as_signed(b);

	if (a.kind == NUMBER_UNSIGNED)
		return a.bits / b.bits;
	/* INT64_MIN / -1 traps. */
	return by == -1 ? -(uint64_t)as_signed(a)
			: (uint64_t)(as_signed(a) / by);
}

static uint64_t modulo(struct number a, struct number b)
{
	int64_t by = as_signed(b);

	if (a.kind != NUMBER_SIGNED)
		return a.bits % b.bits;
	return by == -1 ? 0 : (uint64_t)(as_signed(a) % by);
}

static uint64_t shift(uint8_t op, struct number a, uint64_t by)
{
	if (op == DW_OP_shra)
		return (uint64_t)(as_signed(a) >> (by > 63 ? 63 : by));
	if (by > 63)
		return 0;
	return op == DW_OP_shl ? a.bits << by : a.bits >> by;
}

static bool compare(uint8_t op, struct number a, struct number b)
{
	bool less = a.kind == NUMBER_UNSIGNED ? a.bits < b.bits
					      : as_signed(a) < as_signed(b);

	switch (op) {
	case DW_OP_eq: return a.bits == b.bits;
	case DW_OP_ne: return a.bits != b.bits;
	case DW_OP_lt: return less;
	case DW_OP_ge: return !less;
	case DW_OP_le: return less || a.bits == b.bits;
	default: return !less && a.bits != b.bits;
	}
}

/* An address is as good as a number of its width that has no sign. */
static bool is_same_type(struct number a, struct number b)
{
	enum number_kind left = a.kind == NUMBER_GENERIC ? NUMBER_UNSIGNED
							 : a.kind;
	enum number_kind right = b.kind == NUMBER_GENERIC ? NUMBER_UNSIGNED
							  : b.kind;

	return left == right && a.size == b.size;
}

/* Does anybody calculate with places in that way? */
static bool is_sensible(uint8_t op, struct number a, struct number b)
{
	if (!a.is_frame && !b.is_frame)
		return true;
	switch (op) {
	case DW_OP_plus:
	case DW_OP_minus:
	case DW_OP_eq:
	case DW_OP_ge:
	case DW_OP_gt:
	case DW_OP_le:
	case DW_OP_lt:
	case DW_OP_ne: return true;
	case DW_OP_and: /* that aligns, but does not cut */
		return (a.is_frame ? b.bits : a.bits) > UINT32_MAX;
	case DW_OP_shl: /* gcc aligns by shifting there and back */
	case DW_OP_shr: return b.bits <= MAX_ALIGNMENT;
	default: return false;
	}
}

/* Is what OP makes of A and B a place in the frame, too? */
static bool stays_in_frame(uint8_t op, struct number a, struct number b)
{
	switch (op) {
	case DW_OP_plus: return a.is_frame != b.is_frame;
	case DW_OP_minus: return a.is_frame && !b.is_frame;
	case DW_OP_and: return a.is_frame || b.is_frame;
	case DW_OP_shl:
	case DW_OP_shr: return a.is_frame;
	default: return false;
	}
}

bool number_binary(uint8_t op, struct number a, struct number b,
		   struct number *out)
{
	uint64_t bits;

	if (!is_same_type(a, b) || !is_sensible(op, a, b))
		return false;
	if (a.kind == NUMBER_FLOAT)
		return float_binary(op, a, b, out);
	switch (op) {
	case DW_OP_and: bits = a.bits & b.bits; break;
	case DW_OP_or: bits = a.bits | b.bits; break;
	case DW_OP_xor: bits = a.bits ^ b.bits; break;
	case DW_OP_plus: bits = a.bits + b.bits; break;
	case DW_OP_minus: bits = a.bits - b.bits; break;
	case DW_OP_mul: bits = a.bits * b.bits; break;
	case DW_OP_div:
	case DW_OP_mod:
		if (b.bits == 0)
			return false;
		bits = op == DW_OP_div ? divide(a, b) : modulo(a, b);
		break;
	case DW_OP_shl:
	case DW_OP_shr:
	case DW_OP_shra: bits = shift(op, a, b.bits); break;
	case DW_OP_eq:
	case DW_OP_ge:
	case DW_OP_gt:
	case DW_OP_le:
	case DW_OP_lt:
	case DW_OP_ne:
		*out = number_generic(compare(op, a, b));
		return true;
	default:
		return false;
	}
	*out = number_make(bits, a.kind, a.size);
	out->is_frame = stays_in_frame(op, a, b);
	return true;
}

bool number_unary(uint8_t op, struct number a, struct number *out)
{
	double value;

	switch (op) {
	case DW_OP_abs:
	case DW_OP_neg:
		value = as_double(a);
		if (a.kind == NUMBER_FLOAT)
			*out = from_double(op == DW_OP_neg || value < 0
						   ? -value : value,
					   a.size);
		else if (op == DW_OP_neg || (a.kind != NUMBER_UNSIGNED &&
					     as_signed(a) < 0))
			*out = number_make(-a.bits, a.kind, a.size);
		else
			*out = a;
		return true;
	case DW_OP_not:
		*out = number_make(~a.bits, a.kind, a.size);
		return a.kind != NUMBER_FLOAT;
	default:
		return false;
	}
}
