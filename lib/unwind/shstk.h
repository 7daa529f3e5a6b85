/* The walk held against the shadow stack, where the processor keeps one: the
 * return addresses that calls have pushed, in memory that no store of the
 * program's can reach. Inside lib/unwind only.
 *
 * Layout: Intel's SDM, volume 1, chapter 17; Linux' shstk.rst and shstk.c. */
#ifndef EPITAPH_UNWIND_SHSTK_H
#define EPITAPH_UNWIND_SHSTK_H

#include "walk.h"

/* As walk_step(). What the shadow stack has next is the caller, whatever the
 * rules say: where they agree the frame is certain, and where they do not it is
 * the shadow stack's, and CURSOR's stack pointer may be unknown. Without a
 * shadow stack, or beyond its end, the rules have it alone. */
enum step_result shstk_step(struct unwind *unwind, struct cursor *cursor,
			    uint64_t *cfa_out, const char **why_out);

/* Has all that the shadow stack said been at odds with the stack? Then it is
 * another's. */
bool shstk_is_foreign(const struct cursor *cursor);

#endif
