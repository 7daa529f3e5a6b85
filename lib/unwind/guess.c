/* Guesses, each held to what a machine can check: alignment, order, executable
 * memory, and a call instruction before every return address. Runs in the
 * helper, the command line and the symbolizer. */
#include "arch.h"
#include "prologue.h"

enum {
	MAX_FRAME_BYTES = 1 << 20, /* of one that its pointer finds */
	PROLOGUE_WORDS = 1024,     /* of a frame that its code finds, */
	PROLOGUE_TRIES = 16,       /* and so many calls in it may be the one */
	/* Where nothing says where the function begins: */
	START_BYTES = 1024,        /* so far back is looked, */
	START_TRIES = 16,          /* and so many are tried */
};

/* A signal handler returns to the trampoline, which nobody called. */
enum call_check guess_is_after_call(struct unwind *unwind, uint64_t address)
{
	uint8_t bytes[ARCH_CALL_BYTES];

	if (address < WALK_LOWEST_PC)
		return CALL_NO;
	if (walk_code(unwind, address - sizeof(bytes), bytes,
		      sizeof(bytes)) != sizeof(bytes))
		return CALL_UNKNOWN;
	return arch_ends_with_call(unwind, bytes, address) ||
			       arch_is_sigreturn(unwind, address) ?
		       CALL_YES : CALL_NO;
}

/* The call itself is code, whatever is behind it: the first byte of a mapping
 * is what no call returns to. */
bool guess_is_return(struct unwind *unwind, uint64_t address)
{
	return walk_is_code(unwind, address - 1) &&
	       guess_is_after_call(unwind, address) != CALL_NO;
}

static uint64_t reg(const struct cursor *cursor, enum reg number)
{
	return cursor->regs.value[number];
}

static void set_reg(struct cursor *cursor, enum reg number, uint64_t value)
{
	cursor->regs.value[number] = value;
	cursor->regs.valid |= REG_BIT(number);
}

void guess_move(struct cursor *cursor, uint64_t pc, uint64_t sp,
		enum trust trust)
{
	set_reg(cursor, R_PC, pc);
	set_reg(cursor, R_SP, sp);
	cursor->trust = trust;
	cursor->exact = false;
}

bool guess_is_stale_trampoline(struct unwind *unwind, uint64_t pc,
			       uint64_t sp)
{
	return arch_is_sigreturn(unwind, pc) &&
	       !arch_has_signal_frame(unwind, sp);
}

bool guess_sigreturn(struct unwind *unwind, struct cursor *cursor,
		     uint64_t *cfa_out)
{
	uint64_t sp = reg(cursor, R_SP);

	if (!arch_is_sigreturn(unwind, reg(cursor, R_PC)) ||
	    !arch_interrupted(unwind, cursor))
		return false;
	*cfa_out = sp;
	cursor->trust = TRUST_SIGFRAME;
	cursor->exact = true;
	return true;
}

bool guess_may_return(struct unwind *unwind, uint64_t address)
{
	return walk_module(unwind, address - 1) < 0 ?
		       walk_is_code(unwind, address) :
		       guess_is_return(unwind, address);
}

/* Is what lies behind the frame pointer FP a return address, behind a call? */
static bool is_called(struct unwind *unwind, uint64_t fp)
{
	uint64_t pc;

	return fp % 8 == 0 && memory_u64(&unwind->memory, fp + 8, &pc) &&
	       walk_is_code(unwind, arch_code_address(pc)) &&
	       guess_is_after_call(unwind, arch_code_address(pc)) == CALL_YES;
}

/* Who was not called, but made to look so: Go pushes the address of what has
 * faulted, and goes on in runtime.sigpanic; and where a goroutine begins, that
 * of goexit. Then the next frame has to be of the usual kind, or none. */
static bool is_injected(struct unwind *unwind, const struct cursor *cursor,
			uint64_t pc, uint64_t saved)
{
	uint64_t fp = reg(cursor, R_FP);

	if (!walk_is_code(unwind, pc))
		return false;
	if (saved == 0)
		return cursor->trust == TRUST_PROLOGUE ||
		       cursor->trust == TRUST_FRAME_POINTER;
	return saved - fp <= MAX_FRAME_BYTES && is_called(unwind, saved);
}

bool guess_frame_pointer(struct unwind *unwind, struct cursor *cursor,
			 uint64_t *cfa_out)
{
	uint64_t fp = reg(cursor, R_FP), sp = reg(cursor, R_SP);
	enum trust trust = TRUST_FRAME_POINTER;
	uint64_t saved, pc;

	if (!(cursor->regs.valid >> R_FP & 1) || fp % 8 != 0 || fp < sp ||
	    fp - sp > MAX_FRAME_BYTES ||
	    !memory_u64(&unwind->memory, fp, &saved) ||
	    !memory_u64(&unwind->memory, fp + 8, &pc) ||
	    (saved != 0 && saved < fp + 16))
		return false;
	pc = arch_code_address(pc);
	if (!guess_may_return(unwind, pc)) {
		trust = TRUST_SCAN;
		if (!is_injected(unwind, cursor, pc, saved))
			return false;
	}
	cursor->regs.valid = 0;
	guess_move(cursor, pc, fp + 16, trust);
	set_reg(cursor, R_FP, saved);
	*cfa_out = fp + 16;
	return true;
}

/* The caller's registers: those that were pushed are on the stack, unless they
 * have been popped already; the function keeps the others as they were. */
static void restore(struct unwind *unwind, struct cursor *cursor,
		    const struct prologue *prologue, uint64_t return_at)
{
	for (size_t i = 0; i < REG_CFI_COUNT; i++) {
		uint64_t at = prologue->at[i], value;

		if (!arch_is_preserved((enum reg)i))
			cursor->regs.valid &= ~REG_BIT(i);
		else if (at != 0 && at <= prologue->depth &&
			 memory_u64(&unwind->memory, return_at - at, &value))
			set_reg(cursor, (enum reg)i, value);
	}
}

/* prologue_find, of which the same is asked again and again in recursion. */
static const struct prologue *find(struct unwind *unwind, uint64_t start,
				   uint64_t pc)
{
	struct walk_prologue *slot =
		&unwind->prologues[memory_hash(start ^ pc << 1,
					       WALK_PROLOGUES_BITS)];

	if (slot->start != start || slot->pc != pc) {
		slot->start = start;
		slot->pc = pc;
		slot->has = prologue_find(unwind, start, pc, &slot->found);
	}
	return slot->has ? &slot->found : NULL;
}

bool guess_prologue(struct unwind *unwind, struct cursor *cursor,
		    uint64_t *cfa_out)
{
	uint64_t sp = reg(cursor, R_SP), pc = reg(cursor, R_PC);
	bool exact = cursor->exact;
	int tries = 0;

	for (int i = 0; i < PROLOGUE_WORDS && tries < PROLOGUE_TRIES; i++) {
		uint64_t at = sp + 8 * (uint64_t)i, word, start;
		const struct prologue *prologue;

		if (!memory_u64(&unwind->memory, at, &word))
			return false;
		if (!walk_is_code(unwind, word))
			continue;
		start = arch_call_target(unwind, word);
		if (start == 0 || start > pc || pc - start > PROLOGUE_MAX_CODE)
			continue;
		tries++;
		prologue = find(unwind, start, pc);
		if (!prologue || prologue->depth != at - sp)
			continue;
		restore(unwind, cursor, prologue, at);
		guess_move(cursor, word, at + 8,
			   exact && at == sp ? TRUST_LEAF : TRUST_PROLOGUE);
		*cfa_out = at + 8;
		return true;
	}
	return false;
}

/* Called by a pointer: no call says where the function begins. Where it may,
 * going back from here, its code has to lead to another such call. */
bool guess_start(struct unwind *unwind, struct cursor *cursor,
		 uint64_t *cfa_out)
{
	uint64_t sp = reg(cursor, R_SP), pc = reg(cursor, R_PC);
	uint64_t start = cursor->exact ? pc + 1 : pc;
	const struct prologue *prologue;

	for (int i = 0; i < START_TRIES; i++) {
		uint64_t word, at;

		start = prologue_start(unwind, pc - START_BYTES, start);
		if (start == 0)
			return false;
		prologue = find(unwind, start, pc);
		if (!prologue)
			continue;
		at = sp + prologue->depth;
		if (!memory_u64(&unwind->memory, at, &word) ||
		    !walk_is_code(unwind, word) ||
		    guess_is_after_call(unwind, word) != CALL_YES ||
		    arch_call_target(unwind, word) != 0)
			continue;
		restore(unwind, cursor, prologue, at);
		guess_move(cursor, word, at + 8, TRUST_PROLOGUE);
		*cfa_out = at + 8;
		return true;
	}
	return false;
}

/* What CFI says to the idea that CURSOR, found by scanning, is a frame: agree
 * (cfi_scan), nothing (scan), or no (TRUST_COUNT). */
static enum trust judge(struct unwind *unwind, const struct cursor *cursor)
{
	const struct row *row = walk_row(unwind, cursor);
	struct registers caller;
	uint64_t cfa;

	if (arch_is_sigreturn(unwind, cursor->regs.value[R_PC]))
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
		return caller.value[R_PC] == 0 ||
			       guess_is_return(unwind,
					       caller.value[R_PC]) ?
			       TRUST_CFI_SCAN : TRUST_COUNT;
	default:
		return TRUST_SCAN;
	}
}

/* The word at AT as a return address: nothing of the registers is known then
 * but sp, and fp where it points further up and may have been preserved. */
static bool try_word(struct unwind *unwind, struct cursor *cursor, uint64_t at)
{
	struct cursor found = *cursor;
	uint64_t pc;

	if (!memory_u64(&unwind->memory, at, &pc))
		return false;
	pc = arch_code_address(pc);
	if (!guess_is_return(unwind, pc) ||
	    guess_is_stale_trampoline(unwind, pc, at + 8))
		return false;
	found.regs.valid &= REG_BIT(R_FP);
	if (reg(cursor, R_FP) <= at)
		found.regs.valid = 0;
	guess_move(&found, pc, at + 8, TRUST_SCAN);
	found.module = walk_module(unwind, walk_lookup_pc(&found));
	found.trust = judge(unwind, &found);
	if (found.trust == TRUST_COUNT)
		return false;
	*cursor = found;
	return true;
}

bool guess_top(struct unwind *unwind, struct cursor *cursor, uint64_t *cfa_out)
{
	uint64_t sp = reg(cursor, R_SP);

	if (sp % 8 != 0 || cursor->guesses == WALK_MAX_GUESSES ||
	    !try_word(unwind, cursor, sp))
		return false;
	cursor->guesses++;
	*cfa_out = sp + 8;
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
