/* The walk held against the shadow stack. Runs in the helper, the command line
 * and the symbolizer. The shadow stack of a thread that was stopped is true;
 * what is in a report may be anything, so each word of it has to be what a call
 * returns to, and one that nothing on the stack agrees with is not believed. */
#include "shstk.h"
#include "arch.h"

/* For a return address 32 KiB of the stack are looked through, or as many pages
 * as there are reads where it cannot be read. */
enum { SEARCH_READS = 64, SEARCH_WORDS = 64 };

/* Does the table say that CURSOR's frame is the outermost? */
static bool is_outermost(struct unwind *unwind, const struct cursor *cursor)
{
	const struct row *row = walk_row(unwind, cursor);

	return row && row->regs[row->return_register].kind == RULE_UNDEFINED;
}

static uint64_t next_page(uint64_t address)
{
	return (address / MEMORY_PAGE + 1) * MEMORY_PAGE;
}

/* Where WORD is on the stack, from the stack pointer on or, where that is not
 * known, from the last place that was. */
static bool find_word(struct unwind *unwind, const struct cursor *cursor,
		      uint64_t word, uint64_t *at_out)
{
	uint64_t at = (cursor->regs.value[R_SP] + 7) & ~UINT64_C(7);
	uint64_t words[SEARCH_WORDS];

	for (int i = 0; i < SEARCH_READS; i++) {
		size_t n = memory_copy(&unwind->memory, at, words,
				       sizeof(words)) / sizeof(words[0]);

		for (size_t j = 0; j < n; j++) {
			if (words[j] != word)
				continue;
			*at_out = at + 8 * j;
			return true;
		}
		at = n > 0 ? at + 8 * n : next_page(at);
	}
	return false;
}

/* Go to the caller at WORD, which the shadow stack has next. */
static void follow(struct unwind *unwind, struct cursor *cursor, uint64_t word)
{
	cursor->regs.value[R_PC] = word;
	cursor->regs.valid |= REG_BIT(R_PC);
	cursor->trust = TRUST_SHSTK;
	cursor->exact = false;
	cursor->shadow += 8;
	cursor->module = walk_module(unwind, walk_lookup_pc(cursor));
}

/* The frame that CURSOR is at ends where its table says, and only the return
 * address there is another. */
static bool follow_row(struct unwind *unwind, struct cursor *cursor,
		       uint64_t word, uint64_t *cfa_out)
{
	const struct row *row = walk_row(unwind, cursor);
	struct registers caller = { .valid = 0 };
	uint64_t cfa = 0;
	enum apply_result result;

	if (!row)
		return false;
	result = walk_apply(unwind, row, &cursor->regs, &caller, &cfa);
	if (result == APPLY_END || cfa <= cursor->regs.value[R_SP])
		return false;
	cursor->corrupt_ra = result == APPLY_OK;
	if (result == APPLY_NO_VALUE) { /* it cannot be read */
		caller.value[R_SP] = cfa;
		caller.valid = REG_BIT(R_SP);
	}
	cursor->regs = caller;
	follow(unwind, cursor, word);
	*cfa_out = cfa;
	return true;
}

/* The return address lies on the stack, though no rule has led there. */
static bool follow_place(struct unwind *unwind, struct cursor *cursor,
			 uint64_t word, uint64_t *cfa_out)
{
	uint64_t at;

	if (!find_word(unwind, cursor, word, &at))
		return false;
	cursor->regs.value[R_SP] = at + 8;
	cursor->regs.valid = REG_BIT(R_SP);
	follow(unwind, cursor, word);
	*cfa_out = at + 8;
	return true;
}

/* Of the caller nothing is known but that it is there. */
static void follow_blindly(struct unwind *unwind, struct cursor *cursor,
			   uint64_t word)
{
	cursor->regs.valid = 0;
	follow(unwind, cursor, word);
}

/* Does the table of CURSOR's frame lead to what the shadow stack has next? */
static bool leads_on(struct unwind *unwind, const struct cursor *cursor)
{
	const struct row *row = walk_row(unwind, cursor);
	struct registers caller;
	uint64_t cfa, next;

	if (arch_is_sigreturn(unwind, cursor->regs.value[R_PC]))
		return arch_has_signal_frame(unwind,
					     cursor->regs.value[R_SP]);
	if (!row)
		return false;
	switch (walk_apply(unwind, row, &cursor->regs, &caller, &cfa)) {
	case APPLY_END:
		return true;
	case APPLY_OK:
		return memory_u64(&unwind->memory, cursor->shadow, &next) &&
		       caller.value[R_PC] == next;
	default:
		return false;
	}
}

/* Is what the shadow stack has next further up the stack than the place that
 * FOUND has come from? In recursion that may be another frame's, and its own
 * have been written over. */
static bool is_in_order(struct unwind *unwind, const struct cursor *cursor,
			const struct cursor *found)
{
	uint64_t next, at;

	return !memory_u64(&unwind->memory, found->shadow, &next) ||
	       !find_word(unwind, cursor, next, &at) ||
	       at >= found->regs.value[R_SP];
}

/* The rules lead elsewhere, or nowhere, and WORD is the true caller. Either its
 * place was written over, or the table is wrong, if there is one: where the
 * caller's own table leads on from tells which. */
static void overrule(struct unwind *unwind, struct cursor *cursor,
		     uint64_t word, uint64_t *cfa_out)
{
	struct cursor by_row = *cursor, by_place = *cursor;
	uint64_t row_cfa = 0, place_cfa;
	bool has_row = follow_row(unwind, &by_row, word, &row_cfa);
	bool is_row = has_row && by_row.corrupt_ra && leads_on(unwind, &by_row);

	if (!is_row && follow_place(unwind, &by_place, word, &place_cfa) &&
	    (!has_row || leads_on(unwind, &by_place) ||
	     is_in_order(unwind, cursor, &by_place))) {
		*cursor = by_place;
		*cfa_out = place_cfa;
		cursor->agreed++;
	} else if (has_row) {
		*cursor = by_row;
		*cfa_out = row_cfa;
		cursor->agreed += is_row;
		cursor->missed += by_row.corrupt_ra && !is_row;
	} else {
		follow_blindly(unwind, cursor, word);
		*cfa_out = 0;
		cursor->missed++;
	}
}

static bool is_by_table(enum trust trust)
{
	return trust == TRUST_CFI || trust == TRUST_CFI_DEBUG ||
	       trust == TRUST_PLT;
}

/* What was a guess is none any more. */
static void agree(struct cursor *found)
{
	if (!is_by_table(found->trust))
		found->trust = TRUST_SHSTK;
	found->shadow += 8;
	found->agreed++;
}

/* Where the stack pointer is lost only the shadow stack leads on. */
static enum step_result step_by_rules(struct unwind *unwind,
				      struct cursor *cursor,
				      uint64_t *cfa_out, const char **why_out)
{
	if (cursor->regs.valid >> R_SP & 1)
		return walk_step(unwind, cursor, cfa_out, why_out);
	*cfa_out = 0;
	*why_out = "the shadow stack ends, and where the stack is is lost";
	return is_outermost(unwind, cursor) ? STEP_END : STEP_LOST;
}

/* The kernel has pushed where the shadow stack was when the signal came; to
 * where the handler returns it has pushed before that, as a call does. */
static uint64_t interrupted(const struct cursor *cursor, uint64_t word)
{
	uint64_t shadow = arch_shadow_token(word);

	return shadow > cursor->shadow ? shadow : 0;
}

enum step_result shstk_step(struct unwind *unwind, struct cursor *cursor,
			    uint64_t *cfa_out, const char **why_out)
{
	struct cursor found;
	enum step_result result;
	bool left_handler;
	uint64_t word;

	if (cursor->shadow == 0)
		return walk_step(unwind, cursor, cfa_out, why_out);
	cursor->corrupt_ra = false;
	if (is_outermost(unwind, cursor) ||
	    !memory_u64(&unwind->memory, cursor->shadow, &word))
		word = 0;
	found = *cursor;
	result = step_by_rules(unwind, &found, cfa_out, why_out);
	left_handler = result == STEP_FRAME && found.exact;
	if (result == STEP_FRAME && found.regs.value[R_PC] == word &&
	    found.trust < TRUST_CFI_SCAN && !left_handler) {
		agree(&found);
	} else if (!left_handler && guess_is_return(unwind, word)) {
		overrule(unwind, cursor, word, cfa_out);
		return STEP_FRAME;
	} else {
		found.shadow = left_handler ? interrupted(cursor, word) : 0;
	}
	*cursor = found;
	return result;
}

bool shstk_is_foreign(const struct cursor *cursor)
{
	return cursor->missed > 0 && cursor->agreed == 0;
}
