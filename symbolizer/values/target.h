/* What values are evaluated over: the memory of a dead process, as far as it is
 * known, and the frames of one of its threads with their registers. Process:
 * one that can be lost. */
#ifndef EPITAPH_VALUES_TARGET_H
#define EPITAPH_VALUES_TARGET_H

#include "../../lib/unwind/unwind.h"
#include "../symbolize.h"
#include "node.h"

struct target_frame {
	struct registers registers; /* invalid: it may hold anything */
	const uint8_t *fpstate; /* 512 bytes of FXSAVE, of the innermost frame;
	                         * or NULL */
	uint64_t cfa;           /* 0: not known */
	uint64_t pc;            /* as on the stack */
	bool is_exact;          /* PC is the instruction itself, and no call
	                         * has been made from there */
	bool is_prologue;       /* PC is where the function has not put its
	                         * arguments where they belong */
	bool has_function;
	struct node function;   /* with the code */
	uint64_t bias; /* what is added to the module's own addresses */
};

/* What the function at ADDRESS is called, demangled, and how far from its start
 * that is; NULL: not known. The text lives until the next call. */
typedef const char *target_symbol(void *context, uint64_t address,
				  uint64_t *offset_out);

/* Where the call that returns to ADDRESS leads, by its instruction; 0: that
 * does not say. */
typedef uint64_t target_call(void *context, uint64_t address);

/* May the function at ADDRESS be left by a jump that leads back to it, by other
 * functions perhaps? True where that is not known. */
typedef bool target_reenters(void *context, uint64_t address);

struct target {
	unwind_read *read;
	unwind_read *read_constant; /* of that what cannot have changed since
	                             * the module was loaded */
	target_symbol *symbol;     /* or NULL, as the next two */
	target_call *call;
	target_reenters *reenters;
	void *context;             /* of them all */
	struct target_frame *frames; /* the innermost first */
	size_t nframes;
};

/* The address to look up for FRAME, of the module's own numbering. */
static inline uint64_t target_place(const struct target_frame *frame)
{
	return frame->pc - !frame->is_exact - frame->bias;
}

#endif
