/* What the parts of the walk share: the unwinder itself, a place in the stack,
 * and the tests that a return address has to pass. Inside lib/unwind only. */
#ifndef EPITAPH_UNWIND_WALK_H
#define EPITAPH_UNWIND_WALK_H

#include "cfi.h"

enum {
	WALK_MAX_FRAMES = 200000, /* 8 MiB of stack in frames of 48 bytes is
	                           * 174,763 */
	WALK_MAX_MS = 500,        /* 200,000 frames take a fifth of it */
	WALK_TOTAL_MS = 2000,     /* of all threads together */
	WALK_MAX_BACKWARD = 64,   /* stack switches: coroutines, sigaltstack */
	WALK_MAX_GUESSES = 64,    /* frames found by scanning, per thread */
	WALK_LOWEST_PC = 4096,    /* below it lies no code: an end marker */
	SCAN_WORDS = 40,          /* as Breakpad and rust-minidump */
	SCAN_WORDS_CONTEXT = 160,
	WALK_MAX_MISSED = 8,      /* then a shadow stack is another's */
	WALK_PROLOGUES_BITS = 6,
};

/* What a function's code has done to its stack: see prologue.h. */
struct prologue {
	uint64_t depth; /* of the stack pointer below the return address */
	/* Where a register was saved, counted in the same way; 0: it was
	 * not. */
	uint64_t at[REG_CFI_COUNT];
};

/* A place of the cache of those. */
struct walk_prologue {
	uint64_t start, pc;
	bool has;
	struct prologue found;
};

struct unwind {
	struct memory memory;
	struct cfi cfi;
	struct unwind_module *modules;
	size_t nmodules;
	struct unwind_range *code;
	size_t ncode;
	int64_t left_ms; /* of WALK_TOTAL_MS */
	struct walk_prologue prologues[1 << WALK_PROLOGUES_BITS];
};

/* One frame, as far as it is known. */
struct cursor {
	struct registers regs; /* the REG_CFI_COUNT first; where the shadow
	                        * stack alone has led here, R_SP is not valid,
	                        * and no further than the true one */
	enum trust trust;
	bool exact;            /* pc is the instruction itself */
	int32_t module;        /* -1: none */
	bool corrupt_ra;       /* the frame that was left: see report.h */
	unsigned backward, guesses;
	uint64_t shadow;       /* where the shadow stack has what comes next;
	                        * 0: nothing more is known of one */
	unsigned agreed, missed; /* its words that were found on the stack, and
	                          * those that were not */
};

enum step_result {
	STEP_FRAME, /* the cursor is at the caller */
	STEP_END,   /* this was the outermost frame */
	STEP_LOST,  /* there should be a caller, and *why_out says why not */
};

/* Go from the frame in CURSOR to its caller. *CFA_OUT is the CFA of the frame
 * that is left, also where there is no caller, or 0. */
enum step_result walk_step(struct unwind *unwind, struct cursor *cursor,
			   uint64_t *cfa_out, const char **why_out);

/* The pc to look up: inside the call where the frame is at a return. */
uint64_t walk_lookup_pc(const struct cursor *cursor);

/* The row of CFI for CURSOR's frame, or NULL. */
const struct row *walk_row(struct unwind *unwind, const struct cursor *cursor);

int32_t walk_module(const struct unwind *unwind, uint64_t address);
bool walk_is_code(const struct unwind *unwind, uint64_t address);

/* True where ADDRESS may be what a call returns to: the call, if it returns to
 * nobody, may have been the last of its mapping. */
bool walk_is_return(const struct unwind *unwind, uint64_t address);

/* Up to LEN bytes of code at ADDRESS, from memory or the module's file. */
size_t walk_code(struct unwind *unwind, uint64_t address, void *to, size_t len);

enum apply_result { APPLY_OK, APPLY_END, APPLY_NO_VALUE };

/* Use ROW on REGS: the caller's registers, pc among them, and the CFA. END
 * where the return address is undefined by rule. */
enum apply_result walk_apply(struct unwind *unwind, const struct row *row,
			     const struct registers *regs,
			     struct registers *caller_out, uint64_t *cfa_out);

#endif
