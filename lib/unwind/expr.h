/* DWARF expressions as CFI has them, over registers and memory of the dead
 * process. Used by step.c. */
#ifndef EPITAPH_UNWIND_EXPR_H
#define EPITAPH_UNWIND_EXPR_H

#include <elfutils/libdw.h>

#include "memory.h"

enum { EXPR_MAX_STEPS = 4096, EXPR_MAX_STACK = 256 };

struct expr_context {
	struct memory *memory;
	const struct registers *registers;
	uint64_t cfa;
	bool has_cfa; /* false: it is the CFA that is being computed */
};

/* Run NOPS operations. The value is the top of the stack at the end. False on
 * an unknown register, unreadable memory, a division by zero, or a program
 * that makes no sense or does not end. */
bool expr_run(const Dwarf_Op *ops, size_t nops,
	      const struct expr_context *context, uint64_t *value_out);

#endif
