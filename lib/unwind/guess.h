/* Finding a caller without CFI, and telling a return address from a number.
 * Inside lib/unwind only. Each of these leaves CURSOR alone and returns false
 * where it finds nothing; otherwise CURSOR is at the caller. */
#ifndef EPITAPH_UNWIND_GUESS_H
#define EPITAPH_UNWIND_GUESS_H

#include "walk.h"

enum call_check { CALL_NO, CALL_YES, CALL_UNKNOWN };

/* Does a call instruction end at ADDRESS? Unknown where the code cannot be
 * read. */
enum call_check guess_is_after_call(struct unwind *unwind, uint64_t address);

/* A code address behind a call, as far as can be told. */
bool guess_is_return(struct unwind *unwind, uint64_t address);

/* The same for one that stands where a rule says. Outside of modules there need
 * be no call before it: HotSpot's interpreter pushes an entry point and jumps.
 */
bool guess_may_return(struct unwind *unwind, uint64_t address);

/* Would PC with the stack pointer SP be in the kernel's trampoline, but without
 * a signal frame? Its address alone is on many a stack: sigaction() leaves it
 * there. */
bool guess_is_stale_trampoline(struct unwind *unwind, uint64_t pc,
			       uint64_t sp);

/* The kernel's trampoline, by its bytes, for those without CFI: musl's and the
 * shim's. The caller is the interrupted frame. */
bool guess_sigreturn(struct unwind *unwind, struct cursor *cursor,
		     uint64_t *cfa_out);

/* Go to a caller of which, besides what stays, pc and sp are known. */
void guess_move(struct cursor *cursor, uint64_t pc, uint64_t sp,
		enum trust trust);

/* arch_MACHINE.c: a stub of a procedure linkage table, by its bytes. */
bool guess_plt(struct unwind *unwind, struct cursor *cursor,
	       uint64_t *cfa_out);

/* The same: a bad call, or a function that has pushed nothing yet, so that the
 * return address is where a call leaves it. */
bool guess_leaf(struct unwind *unwind, struct cursor *cursor,
		uint64_t *cfa_out);

/* In code: by what the function has pushed since it was called, read off its
 * own code, where that and the call agree on where it begins. */
bool guess_prologue(struct unwind *unwind, struct cursor *cursor,
		    uint64_t *cfa_out);

/* The same where the call does not say where it begins. */
bool guess_start(struct unwind *unwind, struct cursor *cursor,
		 uint64_t *cfa_out);

/* The word on top of the stack, if it may be a return address. */
bool guess_top(struct unwind *unwind, struct cursor *cursor,
	       uint64_t *cfa_out);

bool guess_frame_pointer(struct unwind *unwind, struct cursor *cursor,
			 uint64_t *cfa_out);

/* The first word from FROM on that may be a return address. */
bool guess_scan(struct unwind *unwind, struct cursor *cursor, uint64_t from,
		uint64_t *cfa_out);

#endif
