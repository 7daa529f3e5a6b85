/* What a function without CFI has done to its stack, from its own code read in
 * order: pushes, pops and constants that are added to rsp. It is no emulator: a
 * jump is not followed, and what cannot be told ends the attempt. Runs in the
 * helper, the command line and the symbolizer, on code that may be anything.
 * Formats: Intel SDM volume 2, chapter 2 and appendix A. */
#include "prologue.h"

#include <string.h>

#include "arch.h"

enum { INSTRUCTION_MAX = 15, MAP_ONE = 0, MAP_0F = 1, MAP_0F3A = 3 };

enum { BEFORE = 5 }; /* bytes that tell of a function's end */

enum { REX_B = 1, REX_X = 2, REX_R = 4, REX_W = 8 };

struct instruction {
	size_t len;
	unsigned map;
	uint8_t rex, opcode, modrm, sib;
	bool is_wide;  /* operands of 16 bits */
	bool is_vector; /* VEX or EVEX */
	int64_t displacement, immediate;
};

struct decoder {
	const uint8_t *code;
	size_t at, len;
	bool bad;
};

static uint8_t take(struct decoder *d)
{
	if (d->at == d->len) {
		d->bad = true;
		return 0;
	}
	return d->code[d->at++];
}

/* The next SIZE bytes, with their sign; those of eight bytes need not be
 * known. */
static int64_t take_signed(struct decoder *d, unsigned size)
{
	uint64_t value = 0;

	for (unsigned i = 0; i < size; i++)
		value |= (uint64_t)take(d) << 8 * i;
	if (size == 1)
		return (int8_t)value;
	return size == 2 ? (int16_t)value :
	       size == 4 ? (int32_t)value : (int64_t)value;
}

static bool is_prefix(uint8_t byte)
{
	return byte == 0x66 || byte == 0x67 || byte == 0xf0 || byte == 0xf2 ||
	       byte == 0xf3 || byte == 0x2e || byte == 0x36 || byte == 0x3e ||
	       byte == 0x26 || byte == 0x64 || byte == 0x65;
}

/* Prefixes, and the opcode with the map that it is of. */
static void take_opcode(struct decoder *d, struct instruction *out)
{
	uint8_t byte = take(d);

	for (; is_prefix(byte) && !d->bad; byte = take(d))
		out->is_wide |= byte == 0x66;
	if ((byte & 0xf0) == 0x40) {
		out->rex = byte & 0x0f;
		byte = take(d);
	}
	out->is_vector = byte == 0xc4 || byte == 0xc5 || byte == 0x62;
	if (byte == 0xc5) {
		take(d);
		out->map = MAP_0F;
	} else if (byte == 0xc4 || byte == 0x62) {
		out->map = take(d) & 7;
		for (int i = byte == 0xc4 ? 1 : 2; i > 0; i--)
			take(d);
	} else if (byte == 0x0f) {
		byte = take(d);
		out->map = byte == 0x38 ? 2 : byte == 0x3a ? 3 : MAP_0F;
		out->opcode = byte;
		if (out->map == MAP_0F)
			return;
	} else {
		out->opcode = byte;
		return;
	}
	out->opcode = take(d);
}

/* One-byte opcodes that there are not in 64-bit mode. */
static bool is_undefined(uint8_t op)
{
	return (op < 0x40 && (op & 7) >= 6) || op == 0x60 || op == 0x61 ||
	       op == 0x82 || op == 0x9a || op == 0xce || op == 0xd4 ||
	       op == 0xd5 || op == 0xd6 || op == 0xea;
}

static bool has_modrm(const struct instruction *i)
{
	uint8_t op = i->opcode;

	if (i->map == MAP_0F)
		return !((op >= 0x05 && op <= 0x0b) || op == 0x77 ||
			 (op >= 0x30 && op <= 0x37) || op >> 4 == 8 ||
			 (op >= 0xa0 && op <= 0xa2) ||
			 (op >= 0xa8 && op <= 0xaa) || op >> 3 == 0xc8 >> 3);
	if (i->map != MAP_ONE)
		return true;
	return (op < 0x40 && (op & 7) < 4) || op == 0x63 || op == 0x69 ||
	       op == 0x6b || op >> 4 == 8 || op == 0xc0 || op == 0xc1 ||
	       op == 0xc6 || op == 0xc7 || (op >= 0xd0 && op <= 0xd3) ||
	       op >= 0xfe || op == 0xf6 || op == 0xf7 || op >> 3 == 0xd8 >> 3;
}

static void take_modrm(struct decoder *d, struct instruction *out)
{
	unsigned mod, rm;

	out->modrm = take(d);
	mod = out->modrm >> 6;
	rm = out->modrm & 7;
	if (mod == 3)
		return;
	if (rm == 4) {
		out->sib = take(d);
		if ((out->sib & 7) == 5 && mod == 0)
			rm = 5;
	}
	if (mod == 1)
		out->displacement = take_signed(d, 1);
	else if (mod == 2 || rm == 5)
		out->displacement = take_signed(d, 4);
}

static unsigned immediate_size(const struct instruction *i)
{
	uint8_t op = i->opcode;
	unsigned z = i->is_wide ? 2 : 4;

	if (i->map == MAP_0F)
		return op >> 4 == 8 ? 4 :
		       (op >= 0x70 && op <= 0x73) || op == 0xa4 ||
				       op == 0xac || op == 0xba ||
				       op == 0xc2 ||
				       (op >= 0xc4 && op <= 0xc6) ? 1 : 0;
	if (i->map != MAP_ONE)
		return i->map == MAP_0F3A;
	if (op < 0x40)
		return (op & 7) == 4 ? 1 : (op & 7) == 5 ? z : 0;
	if (op == 0x68 || op == 0x69 || op == 0x81 || op == 0xa9 || op == 0xc7)
		return z;
	if (op == 0xe8 || op == 0xe9)
		return 4;
	if (op >= 0xb8 && op <= 0xbf)
		return i->rex & REX_W ? 8 : z;
	if (op >= 0xa0 && op <= 0xa3)
		return 8;
	if (op == 0xf7 && (i->modrm & 0x30) == 0)
		return z;
	if (op == 0xc2)
		return 2;
	return op == 0x6a || op == 0x6b || op >> 4 == 7 || op == 0x80 ||
	       op == 0x83 || op == 0xa8 || op >> 3 == 0xb0 >> 3 ||
	       op == 0xc0 || op == 0xc1 || op == 0xc6 || op == 0xcd ||
	       op >> 3 == 0xe0 >> 3 || op == 0xeb ||
	       (op == 0xf6 && (i->modrm & 0x30) == 0);
}

static bool decode(const uint8_t *code, size_t len, struct instruction *out)
{
	struct decoder d = { .code = code, .len = len };

	memset(out, 0, sizeof(*out));
	take_opcode(&d, out);
	if (out->map == MAP_ONE && !out->is_vector &&
	    is_undefined(out->opcode))
		return false;
	if (has_modrm(out))
		take_modrm(&d, out);
	out->immediate = take_signed(&d, immediate_size(out));
	out->len = d.at;
	return !d.bad;
}

/* Below the return address, in bytes. */
struct state {
	int64_t depth;   /* of the stack pointer; or UNKNOWN */
	int64_t frame;   /* of the frame pointer; or UNKNOWN */
	int64_t stored;  /* of where it was stored last; or UNKNOWN */
	int64_t before;  /* of the stack pointer before what may be an exit */
	bool is_leaving; /* since then */
	bool is_new;     /* behind a return */
	struct prologue saved;
};

enum { UNKNOWN = -1, MAX_DEPTH = 1 << 20 };

static enum reg numbered(unsigned low, bool high)
{
	static const uint8_t order[8] = {
		R_RAX, R_RCX, R_RDX, R_RBX, R_RSP, R_RBP, R_RSI, R_RDI,
	};

	return high ? (enum reg)(R_R8 + low) : (enum reg)order[low];
}

/* The register, or that of an address without an index; REG_COUNT where there
 * is more to it. */
static enum reg modrm_rm(const struct instruction *i)
{
	bool is_memory = i->modrm >> 6 != 3;

	if (!is_memory || (i->modrm & 7) != 4)
		return numbered(i->modrm & 7, i->rex & REX_B);
	if ((i->sib >> 3 & 7) != 4 || i->rex & REX_X)
		return REG_COUNT;
	return numbered(i->sib & 7, i->rex & REX_B);
}

static enum reg modrm_reg(const struct instruction *i)
{
	return numbered(i->modrm >> 3 & 7, i->rex & REX_R);
}

static void set_depth(struct state *s, int64_t depth)
{
	s->depth = depth < 0 || depth > MAX_DEPTH ? UNKNOWN : depth;
}

static void grow(struct state *s, int64_t by)
{
	if (by < 0 && !s->is_leaving) {
		s->is_leaving = true;
		s->before = s->depth;
	}
	if (s->depth != UNKNOWN)
		set_depth(s, s->depth + by);
}

/* What is pushed first is what the caller had there. */
static void save(struct state *s, enum reg reg)
{
	grow(s, 8);
	if (s->depth != UNKNOWN && s->saved.at[reg] == 0)
		s->saved.at[reg] = (uint64_t)s->depth;
}

static void leave_to(struct state *s, int64_t depth)
{
	if (!s->is_leaving) {
		s->is_leaving = true;
		s->before = s->depth;
	}
	set_depth(s, s->frame == UNKNOWN ? UNKNOWN : depth);
}

/* Where the operand of I, a constant above rsp, is. */
static int64_t above_sp(const struct state *s, const struct instruction *i)
{
	int64_t at = s->depth - i->displacement;

	return s->depth == UNKNOWN || at < 0 ? UNKNOWN : at;
}

/* Go keeps frame pointers without a push: mov %rbp, N(%rsp); lea N(%rsp), %rbp.
 */
static void set_frame(struct state *s, const struct instruction *i)
{
	s->frame = above_sp(s, i);
	if (s->frame > 0 && s->frame == s->stored && s->saved.at[R_RBP] == 0)
		s->saved.at[R_RBP] = (uint64_t)s->frame;
}

/* mov, lea, add and the like, to rsp or from it. */
static void move(struct state *s, const struct instruction *i)
{
	bool is_register = i->modrm >> 6 == 3;
	bool is_load = i->opcode == 0x8b || i->opcode == 0x8d ||
		       i->opcode == 0x03 || i->opcode == 0x2b ||
		       i->opcode == 0x63;
	enum reg to = is_load ? modrm_reg(i) : modrm_rm(i);
	enum reg from = is_load ? modrm_rm(i) : modrm_reg(i);
	bool is_lea = i->opcode == 0x8d;
	bool is_mov = (i->opcode == 0x89 || i->opcode == 0x8b) && is_register;

	if (i->opcode == 0x89 && !is_register && to == R_RSP &&
	    from == R_RBP && i->rex & REX_W)
		s->stored = above_sp(s, i);
	if (!is_load && !is_register)
		return;
	if (is_lea && to == R_RBP && from == R_RSP)
		set_frame(s, i);
	else if (is_mov && to == R_RBP && from == R_RSP)
		s->frame = s->depth;
	else if (to == R_RSP && from == R_RBP && (is_mov || is_lea))
		leave_to(s, s->frame - i->displacement);
	else if (is_lea && to == R_RSP && from == R_RSP)
		grow(s, -i->displacement);
	else if (to == R_RSP)
		set_depth(s, UNKNOWN);
}

/* add, sub, and and the like, of a constant. */
static void constant(struct state *s, const struct instruction *i)
{
	unsigned which = i->modrm >> 3 & 7;

	if (i->modrm >> 6 != 3 || modrm_rm(i) != R_RSP || which == 7)
		return;
	if (which == 5)
		grow(s, i->immediate);
	else if (which == 0)
		grow(s, -i->immediate);
	else
		set_depth(s, UNKNOWN);
}

/* Control does not come to what follows: that is reached from elsewhere, with
 * the stack as it was before this exit. */
static void stop_here(struct state *s, bool is_return)
{
	if (s->is_leaving)
		s->depth = s->before;
	s->is_leaving = false;
	s->is_new = is_return;
}

static void indirect(struct state *s, const struct instruction *i)
{
	unsigned which = i->modrm >> 3 & 7;

	if (which == 6)
		grow(s, 8);
	else if (which == 4)
		stop_here(s, false);
}

static void execute(struct state *s, const struct instruction *i)
{
	uint8_t op = i->opcode;

	if (i->is_vector || i->map != MAP_ONE) {
		if (i->map == MAP_0F && op >> 4 == 8)
			s->is_leaving = false;
		return;
	}
	if (op >= 0x50 && op <= 0x57)
		save(s, numbered(op & 7, i->rex & REX_B));
	else if (op == 0xc8 || (op == 0x5c && !(i->rex & REX_B)))
		set_depth(s, UNKNOWN); /* enter, pop %rsp */
	else if ((op >= 0x58 && op <= 0x5f) || op == 0x8f || op == 0x9d)
		grow(s, -8);
	else if (op == 0x68 || op == 0x6a || op == 0x9c)
		grow(s, 8);
	else if (op == 0x81 || op == 0x83)
		constant(s, i);
	else if (op == 0x89 || op == 0x8b || op == 0x8d || op == 0x87 ||
		 op == 0x01 || op == 0x03 || op == 0x29 || op == 0x2b)
		move(s, i);
	else if (op == 0xc9)
		leave_to(s, s->frame - 8);
	else if (op == 0xc2 || op == 0xc3)
		stop_here(s, true);
	else if (op == 0xe9 || op == 0xeb)
		stop_here(s, false);
	else if (op == 0xff)
		indirect(s, i);
	else if (op >> 4 == 7 || op == 0xe8)
		s->is_leaving = false;
}

/* Between functions lie no-ops and traps; behind a return they mean that
 * another one begins. */
static bool is_padding(const struct instruction *i)
{
	return (i->map == MAP_0F && i->opcode == 0x1f) ||
	       (i->map == MAP_ONE &&
		(i->opcode == 0x90 || i->opcode == 0xcc));
}

bool prologue_find(struct unwind *unwind, uint64_t start, uint64_t pc,
		   struct prologue *out)
{
	uint8_t code[PROLOGUE_MAX_CODE + INSTRUCTION_MAX];
	struct state s = { .frame = UNKNOWN, .stored = UNKNOWN,
			   .before = UNKNOWN };
	struct instruction i;
	size_t len = (size_t)(pc - start), at = 0;

	if (pc < start || len > PROLOGUE_MAX_CODE ||
	    walk_code(unwind, start, code, len) != len)
		return false;
	while (at < len) {
		if (!decode(code + at, len - at, &i) ||
		    (s.is_new && is_padding(&i)))
			return false;
		s.is_new = false;
		execute(&s, &i);
		at += i.len;
	}
	if (s.depth == UNKNOWN)
		return false;
	s.saved.depth = (uint64_t)s.depth;
	*out = s.saved;
	return true;
}

/* CODE is what stands before AT: does it end with a return, a jump, or padding
 * up to a round address? */
static bool may_begin(uint64_t at, const uint8_t code[BEFORE])
{
	if (code[BEFORE - 1] == 0xc3 || code[BEFORE - 2] == 0xeb ||
	    code[BEFORE - 5] == 0xe9)
		return true;
	return at % 16 == 0 &&
	       (code[BEFORE - 1] == 0x90 || code[BEFORE - 1] == 0xcc ||
		code[BEFORE - 1] == 0x00 || code[BEFORE - 5] == 0xe8);
}

uint64_t prologue_start(struct unwind *unwind, uint64_t from, uint64_t below)
{
	uint8_t code[BEFORE];

	for (uint64_t at = below - 1; at >= from && at < below; at--)
		if (walk_code(unwind, at - BEFORE, code, BEFORE) == BEFORE &&
		    may_begin(at, code))
			return at;
	return 0;
}
