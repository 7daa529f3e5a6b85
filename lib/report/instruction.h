/* What a faulting instruction was, as far as a sentence about its fault needs
 * it. Pure. */
#ifndef EPITAPH_REPORT_INSTRUCTION_H
#define EPITAPH_REPORT_INSTRUCTION_H

#include "report.h"

enum instruction_kind {
	INSTRUCTION_PLAIN,
	INSTRUCTION_PRIVILEGED, /* only a kernel may */
	INSTRUCTION_UNDEFINED,  /* made to be illegal: ud2 and its like */
	INSTRUCTION_DIVIDE,
	INSTRUCTION_JUMP,       /* through a register or memory; ret */
};

struct instruction {
	enum instruction_kind kind;
	const char *name; /* of what is not PLAIN; NULL: not known */
	bool is_vector;   /* may want its operand aligned */
	bool has_address; /* the memory operand's */
	uint64_t address;
	unsigned width; /* of that operand, for DIVIDE */
	bool has_divisor; /* in a register */
	uint64_t divisor;
	bool has_target; /* in a register */
	uint64_t target;
};

/* Decode the instruction that BYTES (LEN of them, hostile) begin with, as it
 * would run with REGISTERS. False where it cannot be made out. */
bool instruction_decode(const uint8_t *bytes, size_t len,
			const struct registers *registers,
			struct instruction *out);

#endif
