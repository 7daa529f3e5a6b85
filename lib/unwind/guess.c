/* Guesses, each held to what a machine can check: alignment, order, executable
 * memory, and a call instruction before every return address. Runs in the
 * helper, the command line and the symbolizer. */
#include "guess.h"

#include <stddef.h>
#include <string.h>
#include <ucontext.h>

enum {
	MAX_CALL = 7,            /* ff /2 with SIB and a 32-bit displacement */
	MAX_FRAME_BYTES = 1 << 20, /* of one that is found by rbp */
};

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

/* BYTES are the MAX_CALL bytes before ADDRESS. A direct call must also lead to
 * code. */
static bool ends_with_call(const struct unwind *unwind, const uint8_t *bytes,
			   uint64_t address)
{
	const uint8_t *end = bytes + MAX_CALL;
	int32_t to;

	memcpy(&to, end - sizeof(to), sizeof(to));
	if (end[-5] == 0xe8 &&
	    walk_is_code(unwind, address + (uint64_t)(int64_t)to))
		return true;
	for (size_t len = 2; len <= MAX_CALL; len++)
		if (end[-(int)len] == 0xff &&
		    indirect_call_len(end[1 - (int)len],
				      len > 2 ? end[2 - (int)len] : 0) == len)
			return true;
	return false;
}

static bool is_sigreturn(struct unwind *unwind, uint64_t address)
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

/* A signal handler returns to the trampoline, which nobody called. */
enum call_check guess_is_after_call(struct unwind *unwind, uint64_t address)
{
	uint8_t bytes[MAX_CALL];

	if (address < WALK_LOWEST_PC)
		return CALL_NO;
	if (walk_code(unwind, address - MAX_CALL, bytes, MAX_CALL) != MAX_CALL)
		return CALL_UNKNOWN;
	return ends_with_call(unwind, bytes, address) ||
			       is_sigreturn(unwind, address) ?
		       CALL_YES : CALL_NO;
}

bool guess_is_return(struct unwind *unwind, uint64_t address)
{
	return walk_is_code(unwind, address) &&
	       guess_is_after_call(unwind, address) != CALL_NO;
}

static uint64_t reg(const struct cursor *cursor, enum reg number)
{
	return cursor->regs.value[number];
}

static void set_reg(struct cursor *cursor, enum reg number, uint64_t value)
{
	cursor->regs.value[number] = value;
	cursor->regs.valid |= 1u << number;
}

/* Go to a caller of which only what is passed here is known. */
static void move_to(struct cursor *cursor, uint64_t pc, uint64_t sp,
		    enum trust trust)
{
	set_reg(cursor, R_RIP, pc);
	set_reg(cursor, R_RSP, sp);
	cursor->trust = trust;
}

bool guess_sigreturn(struct unwind *unwind, struct cursor *cursor,
		     uint64_t *cfa_out)
{
	/* In the order of gregset_t. */
	static const uint8_t order[] = {
		R_R8, R_R9, R_R10, R_R11, R_R12, R_R13, R_R14,
		R_R15, R_RDI, R_RSI, R_RBP, R_RBX, R_RDX, R_RAX,
		R_RCX, R_RSP, R_RIP,
	};
	uint64_t saved[sizeof(order)];
	uint64_t sp = reg(cursor, R_RSP);
	uint64_t at = sp + offsetof(ucontext_t, uc_mcontext.gregs);

	if (!is_sigreturn(unwind, reg(cursor, R_RIP)) ||
	    memory_copy(&unwind->memory, at, saved, sizeof(saved)) !=
		    sizeof(saved))
		return false;
	for (size_t i = 0; i < sizeof(order); i++)
		set_reg(cursor, order[i], saved[i]);
	*cfa_out = sp;
	cursor->trust = TRUST_SIGFRAME;
	return true;
}

/* A return address on a chain of frame pointers. Outside of modules there need
 * not be a call before it: HotSpot's interpreter pushes an entry point and
 * jumps. */
static bool is_chain_return(struct unwind *unwind, uint64_t address)
{
	return walk_module(unwind, address) < 0 ?
		       walk_is_code(unwind, address) :
		       guess_is_return(unwind, address);
}

/* The return address is at SP. */
static bool return_at(struct unwind *unwind, struct cursor *cursor,
		      uint64_t sp, enum trust trust, uint64_t *cfa_out)
{
	uint64_t pc;

	if (!memory_u64(&unwind->memory, sp, &pc) ||
	    !guess_is_return(unwind, pc))
		return false;
	move_to(cursor, pc, sp + 8, trust);
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

bool guess_plt(struct unwind *unwind, struct cursor *cursor,
	       uint64_t *cfa_out)
{
	static const uint8_t endbr[] = { 0xf3, 0x0f, 0x1e, 0xfa };
	uint64_t pc = reg(cursor, R_RIP), sp = reg(cursor, R_RSP);
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
	return return_at(unwind, cursor, reg(cursor, R_RSP), TRUST_LEAF,
			 cfa_out);
}

bool guess_frame_pointer(struct unwind *unwind, struct cursor *cursor,
			 uint64_t *cfa_out)
{
	uint64_t bp = reg(cursor, R_RBP), sp = reg(cursor, R_RSP);
	uint64_t saved, pc;

	if (!(cursor->regs.valid >> R_RBP & 1) || bp % 8 != 0 || bp < sp ||
	    bp - sp > MAX_FRAME_BYTES ||
	    !memory_u64(&unwind->memory, bp, &saved) ||
	    !memory_u64(&unwind->memory, bp + 8, &pc) ||
	    (saved != 0 && saved < bp + 16) || !is_chain_return(unwind, pc))
		return false;
	cursor->regs.valid = 0;
	move_to(cursor, pc, bp + 16, TRUST_FRAME_POINTER);
	set_reg(cursor, R_RBP, saved);
	*cfa_out = bp + 16;
	return true;
}

/* What CFI says to the idea that CURSOR, found by scanning, is a frame: agree
 * (cfi_scan), nothing (scan), or no (TRUST_COUNT). */
static enum trust judge(struct unwind *unwind, const struct cursor *cursor)
{
	const struct row *row = walk_row(unwind, cursor);
	struct registers caller;
	uint64_t cfa;

	if (is_sigreturn(unwind, cursor->regs.value[R_RIP]))
		return TRUST_SCAN;
	if (!row)
		return cursor->module >= 0 &&
			       cfi_is_covered(&unwind->cfi,
					      (size_t)cursor->module) ?
			       TRUST_COUNT : TRUST_SCAN;
	switch (walk_apply(unwind, row, &cursor->regs, &caller, &cfa)) {
	case APPLY_END:
		return TRUST_CFI_SCAN;
	case APPLY_OK:
		return caller.value[R_RIP] == 0 ||
			       guess_is_return(unwind,
					       caller.value[R_RIP]) ?
			       TRUST_CFI_SCAN : TRUST_COUNT;
	default:
		return TRUST_SCAN;
	}
}

/* The word at AT as a return address: nothing of the registers is known then
 * but rsp, and rbp where it points further up and may have been preserved. */
static bool try_word(struct unwind *unwind, struct cursor *cursor, uint64_t at)
{
	struct cursor found = *cursor;
	uint64_t pc;

	if (!memory_u64(&unwind->memory, at, &pc) || !walk_is_code(unwind, pc))
		return false;
	if (guess_is_after_call(unwind, pc) == CALL_NO)
		return false;
	found.regs.valid &= 1u << R_RBP;
	if (reg(cursor, R_RBP) <= at)
		found.regs.valid = 0;
	move_to(&found, pc, at + 8, TRUST_SCAN);
	found.module = walk_module(unwind, pc);
	found.trust = judge(unwind, &found);
	if (found.trust == TRUST_COUNT)
		return false;
	*cursor = found;
	return true;
}

bool guess_scan(struct unwind *unwind, struct cursor *cursor, uint64_t from,
		uint64_t *cfa_out)
{
	int words = cursor->trust == TRUST_CONTEXT ? SCAN_WORDS_CONTEXT :
						     SCAN_WORDS;

	if (from % 8 != 0 || cursor->guesses == WALK_MAX_GUESSES)
		return false;
	for (int i = 0; i < words; i++, from += 8) {
		if (!try_word(unwind, cursor, from))
			continue;
		cursor->guesses++;
		*cfa_out = from + 8;
		return true;
	}
	return false;
}
