/* The walk on x86-64: calls, stubs and trampolines by their bytes, and where a
 * return address is before anything was pushed. Runs in the helper, the command
 * line and the symbolizer. Trusts nothing. */
#include "arch.h"

#include <dwarf.h>
#include <string.h>

enum {
	SAVED_AT = 40, /* offsetof(ucontext_t, uc_mcontext.gregs) */
	SEGMENTS = 18, /* of gregset_t: cs is its low half */
	USER_CS = 0x33,
	MAX_FLAGS = 0xff, /* of uc_flags three bits are in use */
	MAX_STUBS = 3, /* of a linkage table, and jumps from name to name */
};

/* Linux' SHSTK_DATA_BIT. */
#define SIGNAL_TOKEN (UINT64_C(1) << 63)

/* libdw 0.188's idea of what an x86-64 function preserves has rax where rbx
 * should be. */
const uint8_t arch_cfi_defaults[] = {
	DW_CFA_undefined, R_RAX, DW_CFA_same_value, R_RBX,
};
const size_t arch_cfi_defaults_len = sizeof(arch_cfi_defaults);

bool arch_is_pc(const Dwarf_Op *op)
{
	return op->atom == DW_OP_breg0 + R_RIP;
}

uint64_t arch_code_address(uint64_t value)
{
	return value;
}

/* Length of the instruction "ff /2" whose two bytes behind ff are MODRM and
 * SIB; 0 if it is not that call. */
static size_t indirect_call_len(uint8_t modrm, uint8_t sib)
{
	unsigned mod = modrm >> 6, rm = modrm & 7;
	size_t len = 2;

	if ((modrm >> 3 & 7) != 2)
		return 0;
	if (mod == 3)
		return len;
	if (rm == 4)
		len++;
	if (mod == 1)
		return len + 1;
	if (mod == 2 || rm == 5 || (rm == 4 && (sib & 7) == 5))
		return len + 4;
	return len;
}

bool arch_ends_with_call(const struct unwind *unwind, const uint8_t *bytes,
			 uint64_t address)
{
	int32_t to;

	memcpy(&to, &bytes[ARCH_CALL_BYTES - sizeof(to)], sizeof(to));
	if (bytes[ARCH_CALL_BYTES - 1 - sizeof(to)] == 0xe8 &&
	    walk_is_code(unwind, address + (uint64_t)(int64_t)to))
		return true;
	for (size_t at = 0; at <= ARCH_CALL_BYTES - 2; at++) {
		size_t len = ARCH_CALL_BYTES - at;

		if (bytes[at] == 0xff &&
		    indirect_call_len(bytes[at + 1],
				      len > 2 ? bytes[at + 2] : 0) == len)
			return true;
	}
	return false;
}

uint64_t arch_shadow(const struct registers *regs)
{
	uint64_t shadow = regs->value[R_SSP];

	return regs->valid >> R_SSP & 1 && shadow % 8 == 0 ? shadow : 0;
}

uint64_t arch_shadow_token(uint64_t word)
{
	uint64_t shadow = word & ~SIGNAL_TOKEN;

	return word & SIGNAL_TOKEN && shadow % 8 == 0 ? shadow : 0;
}

bool arch_is_preserved(enum reg reg)
{
	return reg == R_RBX || reg == R_RBP || (reg >= R_R12 && reg <= R_R15);
}

bool arch_is_sigreturn(struct unwind *unwind, uint64_t address)
{
	/* mov $15, %rax; syscall */
	static const uint8_t code[] = {
		0x48, 0xc7, 0xc0, 0x0f, 0x00, 0x00, 0x00, 0x0f, 0x05,
	};
	uint8_t bytes[sizeof(code)];

	return walk_code(unwind, address, bytes, sizeof(bytes)) ==
		       sizeof(bytes) &&
	       memcmp(bytes, code, sizeof(code)) == 0;
}

bool arch_has_signal_frame(struct unwind *unwind, uint64_t sp)
{
	uint64_t head[2], segments; /* uc_flags and uc_link first */

	if (memory_copy(&unwind->memory, sp, head, sizeof(head)) !=
		    sizeof(head) ||
	    !memory_u64(&unwind->memory, sp + SAVED_AT + 8 * SEGMENTS,
			&segments))
		return true;
	return head[0] <= MAX_FLAGS && head[1] == 0 &&
	       (segments & 0xffff) == USER_CS;
}

bool arch_interrupted(struct unwind *unwind, struct cursor *cursor)
{
	/* In the order of gregset_t. */
	static const uint8_t order[] = {
		R_R8, R_R9, R_R10, R_R11, R_R12, R_R13, R_R14,
		R_R15, R_RDI, R_RSI, R_RBP, R_RBX, R_RDX, R_RAX,
		R_RCX, R_RSP, R_RIP,
	};
	uint64_t saved[sizeof(order)];
	struct registers *regs = &cursor->regs;

	if (memory_copy(&unwind->memory, regs->value[R_RSP] + SAVED_AT, saved,
			sizeof(saved)) != sizeof(saved))
		return false;
	for (size_t i = 0; i < sizeof(order); i++) {
		regs->value[order[i]] = saved[i];
		regs->valid |= REG_BIT(order[i]);
	}
	return true;
}

/* The return address is at SP. */
static bool return_at(struct unwind *unwind, struct cursor *cursor,
		      uint64_t sp, enum trust trust, uint64_t *cfa_out)
{
	uint64_t pc;

	if (!memory_u64(&unwind->memory, sp, &pc) ||
	    !guess_is_return(unwind, pc))
		return false;
	guess_move(cursor, pc, sp + 8, trust);
	*cfa_out = sp + 8;
	return true;
}

/* jmp *disp(%rip), with a bnd prefix perhaps. */
static size_t jump_len(const uint8_t *code)
{
	if (code[0] == 0xf2)
		return code[1] == 0xff && code[2] == 0x25 ? 7 : 0;
	return code[0] == 0xff && code[1] == 0x25 ? 6 : 0;
}

static const uint8_t endbr[] = { 0xf3, 0x0f, 0x1e, 0xfa };

/* What the stub at TARGET jumps to, through a word of the linkage table or
 * straight on; TARGET itself where there is none. */
static uint64_t through_stub(struct unwind *unwind, uint64_t target)
{
	uint8_t code[7] = { 0 };
	uint64_t at = target, to;
	int32_t distance;
	size_t len;

	if (walk_code(unwind, target, code, sizeof(endbr)) != sizeof(endbr))
		return target;
	if (memcmp(code, endbr, sizeof(endbr)) == 0)
		at += sizeof(endbr);
	if (walk_code(unwind, at, code, sizeof(code)) != sizeof(code))
		return target;
	len = code[0] == 0xe9 ? 5 : jump_len(code);
	if (len == 0)
		return target;
	memcpy(&distance, &code[len - sizeof(distance)], sizeof(distance));
	to = at + len + (uint64_t)(int64_t)distance;
	if (code[0] == 0xe9)
		return to;
	return memory_u64(&unwind->memory, to, &to) ? to : target;
}

uint64_t arch_call_target(struct unwind *unwind, uint64_t address)
{
	uint8_t code[6];
	uint64_t target;
	int32_t to;

	if (walk_code(unwind, address - sizeof(code), code, sizeof(code)) !=
	    sizeof(code))
		return 0;
	memcpy(&to, &code[2], sizeof(to));
	target = address + (uint64_t)(int64_t)to;
	if (code[0] == 0xff && code[1] == 0x15) /* *to(%rip) */
		return memory_u64(&unwind->memory, target, &target) ? target :
								      0;
	if (code[1] != 0xe8 || !walk_is_code(unwind, target))
		return 0;
	for (int i = 0; i < MAX_STUBS; i++)
		target = through_stub(unwind, target);
	return target;
}

bool guess_plt(struct unwind *unwind, struct cursor *cursor,
	       uint64_t *cfa_out)
{
	uint64_t pc = cursor->regs.value[R_RIP];
	uint64_t sp = cursor->regs.value[R_RSP];
	uint8_t code[16] = { 0 };
	size_t n = walk_code(unwind, pc - 5, code, sizeof(code));
	const uint8_t *at = code + 5;

	if (n < 12)
		return false;
	if (n == sizeof(code) && memcmp(at, endbr, sizeof(endbr)) == 0)
		at += sizeof(endbr);
	/* jmp *GOT, or push $n before jmp PLT0: nothing pushed yet. */
	if (jump_len(at) || (at[0] == 0x68 && at[5] == 0xe9))
		return return_at(unwind, cursor, sp, TRUST_PLT, cfa_out);
	/* jmp PLT0, behind push $n. */
	if (code[0] == 0x68 && code[5] == 0xe9)
		return return_at(unwind, cursor, sp + 8, TRUST_PLT, cfa_out);
	return false;
}

bool guess_leaf(struct unwind *unwind, struct cursor *cursor,
		uint64_t *cfa_out)
{
	return return_at(unwind, cursor, cursor->regs.value[R_RSP], TRUST_LEAF,
			 cfa_out);
}
