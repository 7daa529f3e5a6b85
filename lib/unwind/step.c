/* One step from a frame to its caller: CFI where there is any, and what else
 * can be believed where there is none, in the order of trust. Runs in the
 * helper, the command line and the symbolizer. */
#include "arch.h"
#include "expr.h"
#include "guess.h"

#include <string.h>

static const char no_progress[] = "the stack pointer does not advance";

uint64_t walk_lookup_pc(const struct cursor *cursor)
{
	uint64_t pc = cursor->regs.value[R_PC];

	return cursor->exact ? pc : pc - 1;
}

const struct row *walk_row(struct unwind *unwind, const struct cursor *cursor)
{
	if (cursor->module < 0)
		return NULL;
	return cfi_row(&unwind->cfi, (size_t)cursor->module,
		       walk_lookup_pc(cursor));
}

int32_t walk_module(const struct unwind *unwind, uint64_t address)
{
	size_t low = 0, high = unwind->nmodules;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (unwind->modules[middle].base <= address)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == 0 || address >= unwind->modules[low - 1].end)
		return -1;
	return (int32_t)(low - 1);
}

bool walk_is_code(const struct unwind *unwind, uint64_t address)
{
	size_t low = 0, high = unwind->ncode;

	if (unwind->ncode == 0)
		return walk_module(unwind, address) >= 0;
	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (unwind->code[middle].start <= address)
			low = middle + 1;
		else
			high = middle;
	}
	return low > 0 && address < unwind->code[low - 1].end;
}

bool walk_is_return(const struct unwind *unwind, uint64_t address)
{
	return walk_is_code(unwind, address) ||
	       walk_is_code(unwind, address - 1);
}

size_t walk_code(struct unwind *unwind, uint64_t address, void *to, size_t len)
{
	size_t n = memory_copy(&unwind->memory, address, to, len);
	int32_t module;

	if (n == len)
		return n;
	module = walk_module(unwind, address);
	if (module < 0)
		return 0;
	return cfi_file_bytes(&unwind->cfi, (size_t)module, address, to, len);
}

static bool rule_value(struct unwind *unwind, const struct rule *rule,
		       const struct registers *regs, uint64_t cfa, size_t self,
		       uint64_t *value_out)
{
	const struct expr_context context = {
		.memory = &unwind->memory,
		.registers = regs,
		.cfa = cfa,
		.has_cfa = true,
	};
	size_t from = rule->kind == RULE_REGISTER ? (size_t)rule->value : self;

	switch (rule->kind) {
	case RULE_SAME:
	case RULE_REGISTER:
		if (from >= REG_CFI_COUNT || !(regs->valid >> from & 1))
			return false;
		*value_out = regs->value[from];
		return true;
	case RULE_AT_CFA:
		return memory_u64(&unwind->memory,
				  cfa + (uint64_t)rule->value, value_out);
	case RULE_CFA_PLUS:
		*value_out = cfa + (uint64_t)rule->value;
		return true;
	case RULE_AT_EXPR:
		return expr_run(rule->ops, rule->nops, &context, value_out) &&
		       memory_u64(&unwind->memory, *value_out, value_out);
	case RULE_EXPR:
		return expr_run(rule->ops, rule->nops, &context, value_out);
	default:
		return false;
	}
}

static bool row_cfa(struct unwind *unwind, const struct row *row,
		    const struct registers *regs, uint64_t *cfa_out)
{
	const struct expr_context context = {
		.memory = &unwind->memory,
		.registers = regs,
	};

	if (row->cfa.kind == RULE_EXPR)
		return expr_run(row->cfa.ops, row->cfa.nops, &context,
				cfa_out);
	if (!(regs->valid >> row->cfa.value & 1))
		return false;
	*cfa_out = regs->value[row->cfa.value] + (uint64_t)row->cfa_offset;
	return true;
}

enum apply_result walk_apply(struct unwind *unwind, const struct row *row,
			     const struct registers *regs,
			     struct registers *caller_out, uint64_t *cfa_out)
{
	struct registers caller = { .valid = 0 };
	uint32_t ra = row->return_register;
	uint64_t cfa;

	if (!row_cfa(unwind, row, regs, &cfa))
		return APPLY_NO_VALUE;
	*cfa_out = cfa;
	if (row->regs[ra].kind == RULE_UNDEFINED)
		return APPLY_END;
	for (size_t i = 0; i < REG_CFI_COUNT; i++)
		if (rule_value(unwind, &row->regs[i], regs, cfa, i,
			       &caller.value[i]))
			caller.valid |= REG_BIT(i);
	if (!(caller.valid >> ra & 1))
		return APPLY_NO_VALUE;
	caller.value[R_PC] = arch_code_address(caller.value[ra]);
	caller.valid |= REG_BIT(R_PC);
	if (!(caller.valid >> R_SP & 1)) {
		caller.value[R_SP] = cfa;
		caller.valid |= REG_BIT(R_SP);
	}
	*caller_out = caller;
	return APPLY_OK;
}

static enum trust row_trust(const struct row *row)
{
	if (row->is_signal)
		return TRUST_SIGFRAME;
	if (row->is_plt)
		return TRUST_PLT;
	return row->is_debug ? TRUST_CFI_DEBUG : TRUST_CFI;
}

/* A frame that no rule may believe: look for the next plausible one from FROM
 * on. */
static enum step_result rescue(struct unwind *unwind, struct cursor *cursor,
			       uint64_t from, uint64_t *cfa_out,
			       const char *why, const char **why_out)
{
	uint64_t ignored;

	if (guess_scan(unwind, cursor, from, *cfa_out ? &ignored : cfa_out))
		return STEP_FRAME;
	*why_out = why;
	return STEP_LOST;
}

/* The stack grows down, so callers lie higher; only signal handlers on another
 * stack and switches between stacks go down, and not often. Where a call pushes
 * nothing a function that was interrupted may have no frame at all. */
static bool is_progress(struct cursor *cursor, const struct registers *caller,
			bool may_switch)
{
	uint64_t from = cursor->regs.value[R_SP], to = caller->value[R_SP];

	if (to > from ||
	    (to == from && !ARCH_CALL_PUSHES && cursor->exact))
		return true;
	if (!may_switch || cursor->backward == WALK_MAX_BACKWARD)
		return false;
	cursor->backward++;
	return true;
}

static enum step_result use_row(struct unwind *unwind, struct cursor *cursor,
				const struct row *row, uint64_t *cfa_out,
				const char **why_out)
{
	struct registers caller;
	bool may_switch = row->is_signal || row->cfa.kind == RULE_EXPR ||
			  row->cfa.value != R_SP;
	enum trust trust = row_trust(row);

	switch (walk_apply(unwind, row, &cursor->regs, &caller, cfa_out)) {
	case APPLY_END:
		return STEP_END;
	case APPLY_NO_VALUE:
		return rescue(unwind, cursor, cursor->regs.value[R_SP],
			      cfa_out,
			      *cfa_out ? "stack memory is not readable" :
					 "a register that CFI needs is lost",
			      why_out);
	default:
		break;
	}
	if (trust != TRUST_SIGFRAME &&
	    caller.value[R_PC] < WALK_LOWEST_PC)
		return STEP_END;
	if (!is_progress(cursor, &caller, may_switch)) {
		*why_out = no_progress;
		return STEP_LOST;
	}
	if (trust != TRUST_SIGFRAME &&
	    (!walk_is_return(unwind, caller.value[R_PC]) ||
	     guess_is_stale_trampoline(unwind, caller.value[R_PC],
				       caller.value[R_SP]))) {
		cursor->corrupt_ra = cursor->guesses == 0;
		return rescue(unwind, cursor, caller.value[R_SP], cfa_out,
			      "corrupt return address", why_out);
	}
	cursor->regs = caller;
	cursor->trust = trust;
	cursor->exact = row->is_signal;
	return STEP_FRAME;
}

/* Where a call leaves the return address, which is still there if nothing else
 * has happened since. On the stack it may be an old one. */
static bool guess_last_call(struct unwind *unwind, struct cursor *cursor,
			    uint64_t *cfa_out)
{
	return ARCH_CALL_PUSHES ? guess_top(unwind, cursor, cfa_out) :
				  guess_leaf(unwind, cursor, cfa_out);
}

/* In frame 0 and in an interrupted one nothing says how far the function has
 * come: where pc itself is bad the call has just happened. */
static bool guess_exact(struct unwind *unwind, struct cursor *cursor,
			uint64_t *cfa_out)
{
	bool is_code = walk_is_code(unwind, cursor->regs.value[R_PC]);

	if (!is_code)
		return guess_leaf(unwind, cursor, cfa_out) ||
		       guess_frame_pointer(unwind, cursor, cfa_out);
	if (cursor->module < 0) /* JIT: frame pointers are kept */
		return guess_frame_pointer(unwind, cursor, cfa_out) ||
		       guess_last_call(unwind, cursor, cfa_out);
	return guess_plt(unwind, cursor, cfa_out) ||
	       guess_prologue(unwind, cursor, cfa_out) ||
	       guess_start(unwind, cursor, cfa_out) ||
	       guess_last_call(unwind, cursor, cfa_out) ||
	       guess_frame_pointer(unwind, cursor, cfa_out);
}

/* A chain of frame pointers goes on as one, which is quick. */
static bool guess_inexact(struct unwind *unwind, struct cursor *cursor,
			  uint64_t *cfa_out)
{
	if ((cursor->trust == TRUST_FRAME_POINTER || cursor->module < 0) &&
	    guess_frame_pointer(unwind, cursor, cfa_out))
		return true;
	return guess_prologue(unwind, cursor, cfa_out) ||
	       guess_start(unwind, cursor, cfa_out) ||
	       guess_frame_pointer(unwind, cursor, cfa_out);
}

/* The frame pointer is 0 in the outermost frame, by the ABI. In code that does
 * not use it it is still 0 further in, so others are asked first. */
static bool is_outermost(const struct cursor *cursor)
{
	return !cursor->exact &&
	       cursor->regs.valid >> R_FP & 1 &&
	       cursor->regs.value[R_FP] == 0;
}

static enum step_result without_row(struct unwind *unwind,
				    struct cursor *cursor, uint64_t *cfa_out,
				    const char **why_out)
{
	if (cursor->exact) {
		if (guess_exact(unwind, cursor, cfa_out))
			return STEP_FRAME;
	} else if (guess_inexact(unwind, cursor, cfa_out)) {
		return STEP_FRAME;
	} else if (is_outermost(cursor)) {
		return STEP_END;
	}
	return rescue(unwind, cursor, cursor->regs.value[R_SP], cfa_out,
		      "no rule finds a caller", why_out);
}

/* A trampoline without the letter S follows other code, so pc - 1 may find a
 * row that ends just there and is not for it. */
static bool may_be_sigreturn(const struct cursor *cursor,
			     const struct row *row)
{
	return !cursor->exact &&
	       (!row || (!row->is_signal &&
			 row->end == cursor->regs.value[R_PC]));
}

static enum step_result leave_handler(struct cursor *cursor,
				      struct cursor *interrupted,
				      const char **why_out)
{
	if (!is_progress(cursor, &interrupted->regs, true)) {
		*why_out = no_progress;
		return STEP_LOST;
	}
	interrupted->backward = cursor->backward;
	*cursor = *interrupted;
	return STEP_FRAME;
}

/* CFI says where the return address is. If no call is before what it is, it may
 * have been written over. Coroutines and goroutines begin like that, too. */
static bool is_doubtful(struct unwind *unwind, const struct cursor *cursor)
{
	const struct row *row;

	if ((cursor->trust != TRUST_CFI && cursor->trust != TRUST_CFI_DEBUG) ||
	    guess_may_return(unwind, cursor->regs.value[R_PC]))
		return false;
	row = walk_row(unwind, cursor);
	return !row || !row->is_signal;
}

/* What is found from a guess is one, whoever finds it: the words there may be
 * all that is left of a stack that was. */
static enum trust no_better(enum trust trust, bool has_row)
{
	if (trust >= TRUST_CFI_SCAN)
		return trust;
	return has_row ? TRUST_CFI_SCAN : TRUST_SCAN;
}

enum step_result walk_step(struct unwind *unwind, struct cursor *cursor,
			   uint64_t *cfa_out, const char **why_out)
{
	const struct row *row = walk_row(unwind, cursor);
	struct cursor interrupted = *cursor;
	bool is_guess = cursor->guesses > 0;
	enum step_result result;

	*cfa_out = 0;
	cursor->corrupt_ra = false;
	if (may_be_sigreturn(cursor, row) &&
	    guess_sigreturn(unwind, &interrupted, cfa_out))
		result = leave_handler(cursor, &interrupted, why_out);
	else if (row)
		result = use_row(unwind, cursor, row, cfa_out, why_out);
	else
		result = without_row(unwind, cursor, cfa_out, why_out);
	if (result != STEP_FRAME)
		return result;
	cursor->module = walk_module(unwind, walk_lookup_pc(cursor));
	if (is_doubtful(unwind, cursor))
		cursor->trust = TRUST_SCAN;
	if (is_guess)
		cursor->trust = no_better(cursor->trust, row);
	return result;
}
