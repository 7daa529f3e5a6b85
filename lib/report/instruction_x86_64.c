/* Enough of a decoder for x86-64 to say why an instruction faulted where the
 * kernel does not: the address that a general protection fault was about, and
 * instructions that fault whatever their operands are. Runs in the helper on
 * bytes of a dead process. Formats: Intel SDM volume 2, chapter 2. */
#include "instruction.h"

#include <string.h>

#include "bytes.h"

/* In the order of their numbers in ModRM, SIB and opcodes. */
static const uint8_t numbered[16] = {
	R_RAX, R_RCX, R_RDX, R_RBX, R_RSP, R_RBP, R_RSI, R_RDI,
	R_R8,  R_R9,  R_R10, R_R11, R_R12, R_R13, R_R14, R_R15,
};

enum { MAP_ONE, MAP_0F, MAP_0F38, MAP_0F3A };

enum { REX_B = 1, REX_X = 2, REX_R = 4, REX_W = 8 };

/* Relative to its end, which is known last. */
enum { TRAILING_MAX = 4 };

struct decoder {
	struct reader r;
	const struct registers *registers;
	uint8_t rex;
	bool has_66, short_address, vector_prefix;
	bool scales; /* EVEX: short displacements count vectors */
	enum reg segment; /* R_FS_BASE, R_GS_BASE, or REG_COUNT: none */
	int map;
	uint8_t opcode, modrm;
	bool unknown; /* needs a register that is not known */
};

static uint64_t value_of(struct decoder *d, enum reg reg)
{
	if (!(d->registers->valid >> reg & 1))
		d->unknown = true;
	return d->registers->value[reg];
}

static uint64_t value_numbered(struct decoder *d, unsigned number, uint8_t high)
{
	number = (number & 7) | (d->rex & high ? 8 : 0);
	return value_of(d, (enum reg)numbered[number]);
}

/* Legacy prefixes in any order, then REX: the opcode's first byte. */
static uint8_t take_prefixes(struct decoder *d)
{
	for (;;) {
		uint8_t byte = reader_u8(&d->r);

		if (byte == 0x64)
			d->segment = R_FS_BASE;
		else if (byte == 0x65)
			d->segment = R_GS_BASE;
		else if (byte == 0x66)
			d->has_66 = true;
		else if (byte == 0x67)
			d->short_address = true;
		else if (byte >= 0x40 && byte <= 0x4f) {
			d->rex = byte;
			return reader_u8(&d->r);
		} else if (byte != 0x26 && byte != 0x2e && byte != 0x36 &&
			   byte != 0x3e && byte != 0xf0 && byte != 0xf2 &&
			   byte != 0xf3)
			return byte;
		if (d->r.bad)
			return byte;
	}
}

/* VEX and EVEX carry REX's bits inverted, and the opcode's map. */
static void take_vex(struct decoder *d, uint8_t first)
{
	uint8_t byte = reader_u8(&d->r);

	d->vector_prefix = true;
	d->rex = byte & 0x80 ? 0 : REX_R;
	d->map = MAP_0F;
	if (first != 0xc5) {
		d->rex |= byte & 0x40 ? 0 : REX_X;
		d->rex |= byte & 0x20 ? 0 : REX_B;
		d->map = byte & (first == 0x62 ? 7 : 31);
		reader_u8(&d->r);
	}
	d->scales = first == 0x62;
	if (d->scales)
		reader_u8(&d->r);
	d->opcode = reader_u8(&d->r);
}

static void take_opcode(struct decoder *d)
{
	uint8_t byte = take_prefixes(d);

	if (byte == 0xc4 || byte == 0xc5 || byte == 0x62) {
		take_vex(d, byte);
		return;
	}
	if (byte == 0x0f) {
		d->map = MAP_0F;
		byte = reader_u8(&d->r);
		if (byte == 0x38 || byte == 0x3a) {
			d->map = byte == 0x38 ? MAP_0F38 : MAP_0F3A;
			byte = reader_u8(&d->r);
		}
	}
	d->opcode = byte;
}

static bool one_byte_has_modrm(uint8_t op)
{
	if (op < 0x40)
		return (op & 7) < 4;
	return op == 0x63 || op == 0x69 || op == 0x6b ||
	       (op >= 0x80 && op <= 0x8f) || op == 0xc0 || op == 0xc1 ||
	       op == 0xc6 || op == 0xc7 || (op >= 0xd0 && op <= 0xd3) ||
	       (op >= 0xd8 && op <= 0xdf) || op == 0xf6 || op == 0xf7 ||
	       op >= 0xfe;
}

static bool has_modrm(const struct decoder *d)
{
	uint8_t op = d->opcode;

	if (d->vector_prefix)
		return op != 0x77; /* vzeroupper */
	if (d->map == MAP_ONE)
		return one_byte_has_modrm(op);
	if (d->map != MAP_0F)
		return true;
	return !((op >= 0x05 && op <= 0x0b) || (op >= 0x30 && op <= 0x37) ||
		 op == 0x77 || (op >= 0x80 && op <= 0x8f) ||
		 (op >= 0xa0 && op <= 0xa2) || (op >= 0xa8 && op <= 0xaa) ||
		 (op >= 0xc8 && op <= 0xcf));
}

/* Bytes of immediate operand behind the address, for what is relative to the
 * instruction's end. */
static unsigned immediate_len(const struct decoder *d)
{
	uint8_t op = d->opcode;
	unsigned word = d->has_66 ? 2 : TRAILING_MAX;

	if (d->map == MAP_0F3A)
		return 1;
	if (d->map == MAP_0F)
		return (op >= 0x70 && op <= 0x73) || op == 0xa4 ||
		       op == 0xac || op == 0xba || op == 0xc2 ||
		       (op >= 0xc4 && op <= 0xc6);
	if (d->map != MAP_ONE)
		return 0;
	if (op == 0x80 || op == 0x83 || op == 0xc0 || op == 0xc1 ||
	    op == 0xc6 || op == 0x6b)
		return 1;
	if (op == 0x81 || op == 0xc7 || op == 0x69)
		return word;
	if ((op == 0xf6 || op == 0xf7) && (d->modrm >> 3 & 7) < 2)
		return op == 0xf6 ? 1 : word;
	return 0;
}

static uint64_t take_displacement(struct decoder *d, unsigned mode)
{
	if (mode == 1)
		return (uint64_t)(int64_t)(int8_t)reader_u8(&d->r);
	if (mode == 2)
		return (uint64_t)(int64_t)(int32_t)reader_u32(&d->r);
	return 0;
}

/* The byte that names base, index and scale. */
static uint64_t take_sib(struct decoder *d, unsigned mode)
{
	uint8_t sib = reader_u8(&d->r);
	unsigned index = (sib >> 3 & 7) | (d->rex & REX_X ? 8 : 0);
	uint64_t address = 0;

	if (index != 4)
		address = value_of(d, (enum reg)numbered[index]) << (sib >> 6);
	if ((sib & 7) == 5 && mode == 0)
		return address + take_displacement(d, 2);
	address += value_numbered(d, sib, REX_B);
	return address + take_displacement(d, mode);
}

static uint64_t take_address(struct decoder *d)
{
	unsigned mode = d->modrm >> 6, base = d->modrm & 7;
	uint64_t address;

	if (base == 4) {
		address = take_sib(d, mode);
	} else if (base == 5 && mode == 0) {
		address = take_displacement(d, 2);
		address += value_of(d, R_RIP) + d->r.pos + immediate_len(d);
	} else {
		address = value_numbered(d, base, REX_B);
		address += take_displacement(d, mode);
	}
	if (d->short_address)
		address &= 0xffffffff;
	if (d->segment != REG_COUNT)
		address += value_of(d, d->segment);
	return address;
}

static const char *privileged_name(const struct decoder *d)
{
	uint8_t op = d->opcode;

	if (d->vector_prefix)
		return NULL;
	if (d->map == MAP_ONE) {
		if (op == 0xf4)
			return "hlt";
		if (op == 0xfa)
			return "cli";
		if (op == 0xfb)
			return "sti";
		if (op == 0xcd)
			return "int";
		if ((op & 0xf4) == 0xe4)
			return op & 2 ? "out" : "in";
		if ((op & 0xfc) == 0x6c)
			return op & 2 ? "outs" : "ins";
		return NULL;
	}
	if (d->map != MAP_0F)
		return NULL;
	switch (op) {
	case 0x06: return "clts";
	case 0x08: return "invd";
	case 0x09: return "wbinvd";
	case 0x20: case 0x22: return "mov of a control register";
	case 0x21: case 0x23: return "mov of a debug register";
	case 0x30: return "wrmsr";
	case 0x32: return "rdmsr";
	case 0x33: return "rdpmc";
	default: return NULL;
	}
}

static const char *undefined_name(const struct decoder *d)
{
	if (d->vector_prefix || d->map != MAP_0F)
		return NULL;
	return d->opcode == 0x0b ? "ud2" : d->opcode == 0xb9 ? "ud1"
		: d->opcode == 0xff ? "ud0" : NULL;
}

/* The divisor of div and idiv where it is in a register. */
static void take_divisor(struct decoder *d, struct instruction *out)
{
	unsigned number = d->modrm & 7;
	uint64_t value;

	if (d->opcode == 0xf6 && !d->rex && number >= 4) /* ah, ch, dh, bh */
		value = value_numbered(d, number - 4, 0) >> 8 & 0xff;
	else
		value = value_numbered(d, number, REX_B);
	if (d->opcode == 0xf6)
		value &= 0xff;
	else if (!(d->rex & REX_W))
		value &= d->has_66 ? 0xffff : 0xffffffff;
	out->has_divisor = !d->unknown;
	out->divisor = value;
}

/* What an indirect call or jump goes to, where a register says so. */
static void take_target(struct decoder *d, struct instruction *out)
{
	out->target = value_numbered(d, d->modrm, REX_B);
	out->has_target = !d->unknown;
}

static bool is_divide(const struct decoder *d)
{
	return d->map == MAP_ONE && (d->opcode & 0xfe) == 0xf6 &&
	       (d->modrm >> 3 & 7) >= 6;
}

static bool is_indirect_jump(const struct decoder *d)
{
	unsigned what = d->modrm >> 3 & 7;

	return d->map == MAP_ONE && d->opcode == 0xff &&
	       (what == 2 || what == 4);
}

/* A vector of indices is not among our registers. */
static bool is_gather(const struct decoder *d)
{
	return d->vector_prefix && d->map == MAP_0F38 &&
	       ((d->opcode >= 0x90 && d->opcode <= 0x93) ||
		(d->opcode >= 0xa0 && d->opcode <= 0xa3));
}

static void take_operand(struct decoder *d, struct instruction *out)
{
	d->modrm = reader_u8(&d->r);
	if (is_divide(d))
		out->kind = INSTRUCTION_DIVIDE;
	if (is_indirect_jump(d))
		out->kind = INSTRUCTION_JUMP;
	if (d->modrm >> 6 != 3) {
		out->address = take_address(d);
		out->has_address = !d->unknown && !is_gather(d) &&
				   !(d->scales && d->modrm >> 6 == 1);
	} else if (out->kind == INSTRUCTION_DIVIDE) {
		take_divisor(d, out);
	} else if (out->kind == INSTRUCTION_JUMP) {
		take_target(d, out);
	}
	out->width = d->opcode == 0xf6 ? 1
		: d->rex & REX_W ? 8 : d->has_66 ? 2 : 4;
}

/* Instructions without ModRM: what a register points to, or an address. */
static void take_implied(struct decoder *d, struct instruction *out)
{
	uint8_t op = d->opcode;

	if (d->map != MAP_ONE || d->vector_prefix)
		return;
	if (op >= 0xa0 && op <= 0xa3)
		out->address = d->short_address ? reader_u32(&d->r)
						: reader_u64(&d->r);
	if (op == 0xc3 || op == 0xc2)
		out->kind = INSTRUCTION_JUMP;
	if (op == 0xc3 || op == 0xc2 || op == 0xc9 || op == 0xe8 ||
	    (op >= 0x50 && op <= 0x5f) || op == 0x68 || op == 0x6a)
		out->address = value_of(d, op == 0xc9 ? R_RBP : R_RSP);
	else if (op == 0xaa || op == 0xab || op == 0xae || op == 0xaf)
		out->address = value_of(d, R_RDI);
	else if (op == 0xac || op == 0xad)
		out->address = value_of(d, R_RSI);
	else if (op < 0xa0 || op > 0xa3)
		return;
	out->has_address = !d->unknown;
}

bool instruction_decode(const uint8_t *bytes, size_t len,
			const struct registers *registers,
			struct instruction *out)
{
	struct decoder d = { .registers = registers, .segment = REG_COUNT };
	struct instruction found = { .kind = INSTRUCTION_PLAIN };

	reader_init(&d.r, bytes, len < 15 ? len : 15);
	take_opcode(&d);
	if (d.r.bad)
		return false;
	found.is_vector = d.vector_prefix || d.map != MAP_ONE;
	found.name = privileged_name(&d);
	if (found.name)
		found.kind = INSTRUCTION_PRIVILEGED;
	else if ((found.name = undefined_name(&d)))
		found.kind = INSTRUCTION_UNDEFINED;
	else if (has_modrm(&d))
		take_operand(&d, &found);
	else
		take_implied(&d, &found);
	if (d.r.bad)
		return false;
	*out = found;
	return true;
}
