/* The walk on AArch64: calls, stubs and trampolines by their instructions, and
 * return addresses that may carry a signature. Runs in the helper, the command
 * line and the symbolizer. Trusts nothing. */
#include "arch.h"

#include <string.h>

enum {
	/* In struct rt_sigframe: offsetof(uc.uc_mcontext.regs), behind the
	 * siginfo, flags, link, stack, 128 bytes of mask, and fault_address. */
	SIGINFO = 128, /* struct siginfo, before the ucontext */
	SAVED_AT = SIGINFO + 176 + 8,
	SAVED_WORDS = R_PC + 1, /* x0 to x30, sp, pc: in our order */
};

/* Nothing: libdw knows. */
const uint8_t arch_cfi_defaults[] = { 0 /* DW_CFA_nop */ };
const size_t arch_cfi_defaults_len = sizeof(arch_cfi_defaults);

/* No stub's CFA does: nothing is pushed on the way through one. */
bool arch_is_pc(const Dwarf_Op *op)
{
	(void)op;
	return false;
}

/* A signature of pointer authentication, and a tag, are above bit 47: that is
 * how far the addresses of a program's code go, also where its data may be
 * mapped higher on request. */
uint64_t arch_code_address(uint64_t value)
{
	return value & ((UINT64_C(1) << 48) - 1);
}

static uint32_t instruction_at(const uint8_t *bytes)
{
	uint32_t instruction;

	memcpy(&instruction, bytes, sizeof(instruction));
	return instruction;
}

/* Where the branch with link INSTRUCTION, which ends before ADDRESS, goes. */
static uint64_t branch_target(uint32_t instruction, uint64_t address)
{
	int64_t words = (int32_t)(instruction << 6) >> 6;

	return address - 4 + (uint64_t)(words * 4);
}

bool arch_ends_with_call(const struct unwind *unwind, const uint8_t *bytes,
			 uint64_t address)
{
	uint32_t instruction = instruction_at(bytes);

	if (address % 4 != 0)
		return false;
	if ((instruction & 0xfc000000) == 0x94000000) /* bl */
		return walk_is_code(unwind,
				    branch_target(instruction, address));
	return (instruction & 0xfffffc1f) == 0xd63f0000 || /* blr */
	       (instruction & 0xfefff800) == 0xd63f0800; /* blraa, blrabz ... */
}

bool arch_is_sigreturn(struct unwind *unwind, uint64_t address)
{
	/* mov x8, #139; svc #0 */
	static const uint8_t code[] = {
		0x68, 0x11, 0x80, 0xd2, 0x01, 0x00, 0x00, 0xd4,
	};
	uint8_t bytes[sizeof(code)];

	return walk_code(unwind, address, bytes, sizeof(bytes)) ==
		       sizeof(bytes) &&
	       memcmp(bytes, code, sizeof(code)) == 0;
}

bool arch_has_signal_frame(struct unwind *unwind, uint64_t sp)
{
	uint64_t head[2]; /* uc_flags and uc_link */

	return memory_copy(&unwind->memory, sp + SIGINFO, head,
			   sizeof(head)) != sizeof(head) ||
	       (head[0] == 0 && head[1] == 0);
}

bool arch_interrupted(struct unwind *unwind, struct cursor *cursor)
{
	uint64_t saved[SAVED_WORDS];

	if (memory_copy(&unwind->memory, cursor->regs.value[R_SP] + SAVED_AT,
			saved, sizeof(saved)) != sizeof(saved))
		return false;
	memcpy(cursor->regs.value, saved, sizeof(saved));
	cursor->regs.valid |= REG_BIT(SAVED_WORDS) - 1;
	return true;
}

/* The link register holds the return address. What it held for the caller is
 * lost then. */
static bool return_by_link(struct unwind *unwind, struct cursor *cursor,
			   enum trust trust, uint64_t *cfa_out)
{
	uint64_t pc = arch_code_address(cursor->regs.value[R_LINK]);
	uint64_t sp = cursor->regs.value[R_SP];

	if (!(cursor->regs.valid & REG_BIT(R_LINK)) ||
	    !guess_is_return(unwind, pc))
		return false;
	guess_move(cursor, pc, sp, trust);
	cursor->regs.valid &= ~REG_BIT(R_LINK);
	*cfa_out = sp;
	return true;
}

/* adrp x16, PAGE; ldr x17, [x16, #]; add x16, x16, #; br x17 (or braa x17,
 * x16), with a landing pad before it perhaps. True where INSTRUCTION is step
 * STEP of that. */
static bool is_stub_step(uint32_t instruction, int step)
{
	switch (step) {
	case 0:
		return (instruction & 0x9f00001f) == 0x90000010;
	case 1:
		return (instruction & 0xffc003ff) == 0xf9400211;
	case 2:
		return (instruction & 0xff8003ff) == 0x91000210;
	default:
		return instruction == 0xd61f0220 || instruction == 0xd71f0a30;
	}
}

/* The whole stub, or what is left of it, from wherever pc is. */
bool guess_plt(struct unwind *unwind, struct cursor *cursor,
	       uint64_t *cfa_out)
{
	uint64_t pc = cursor->regs.value[R_PC];
	uint8_t code[5 * 4];
	size_t n = walk_code(unwind, pc, code, sizeof(code)) / 4, at = 0;
	bool landing = n > 0 && instruction_at(code) == 0xd503245f; /* bti c */

	if (landing)
		at++;
	for (int first = 0; first < (landing ? 1 : 4); first++) {
		size_t i = at;
		int step = first;

		while (step < 4 && i < n &&
		       is_stub_step(instruction_at(code + 4 * i), step))
			i++, step++;
		if (step == 4)
			return return_by_link(unwind, cursor, TRUST_PLT,
					      cfa_out);
	}
	return false;
}

/* Whether the frame that x29 points to holds the same return address: it has
 * been saved, and the caller's x29 with it. */
static bool is_link_saved(struct unwind *unwind, const struct cursor *cursor)
{
	uint64_t saved;

	return cursor->regs.valid & REG_BIT(R_FP) &&
	       memory_u64(&unwind->memory, cursor->regs.value[R_FP] + 8,
			  &saved) &&
	       arch_code_address(saved) ==
		       arch_code_address(cursor->regs.value[R_LINK]);
}

bool guess_leaf(struct unwind *unwind, struct cursor *cursor,
		uint64_t *cfa_out)
{
	return !is_link_saved(unwind, cursor) &&
	       return_by_link(unwind, cursor, TRUST_LEAF, cfa_out);
}

/* Of use to prologue.h alone. */
uint64_t arch_call_target(struct unwind *unwind, uint64_t address)
{
	(void)unwind, (void)address;
	return 0;
}

/* Of a guarded control stack nothing is read yet. */
uint64_t arch_shadow(const struct registers *regs)
{
	(void)regs;
	return 0;
}

uint64_t arch_shadow_token(uint64_t word)
{
	(void)word;
	return 0;
}

bool arch_is_preserved(enum reg reg)
{
	(void)reg;
	return false;
}
