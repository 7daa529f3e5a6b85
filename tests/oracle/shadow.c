/* The true stack: each call pushes its return address here too, and whatever
 * the stack pointer has gone past is no frame any more, be it by a return, a
 * longjmp or an exception. That is all; no table is asked.
 *
 * Alternate stacks have to lie below the stack proper, as those in .bss do. */
#include <stdlib.h>

#include "oracle.h"

/* Of ucontext_t, which stands above the trampoline's address: RSP and RIP. */
enum { CONTEXT_RSP = 40 + 8 * 15, CONTEXT_RIP = 40 + 8 * 16 };

#define SIGNAL_TOKEN (UINT64_C(1) << 63) /* Linux' SHSTK_DATA_BIT */

static void push(struct shadow *shadow, struct entry entry)
{
	if (shadow->n == MAX_DEPTH)
		give_up("the stack is too deep");
	shadow->entries[shadow->n++] = entry;
}

static void push_return(struct shadow *shadow, struct target *target,
			uint64_t at)
{
	push(shadow, (struct entry){ .kind = ENTRY_RETURN, .at = at,
				     .pc = target_word(target, at) });
}

void shadow_step(struct shadow *shadow, struct target *target,
		 enum instruction_is is,
		 const struct user_regs_struct *before,
		 const struct user_regs_struct *after)
{
	while (shadow->n > 0 &&
	       shadow->entries[shadow->n - 1].at < after->rsp)
		shadow->n--;
	if (is != IS_CALL || after->rsp != before->rsp - 8)
		return;
	/* A call to what follows only asks where it is. */
	if (target_word(target, after->rsp) != after->rip)
		push_return(shadow, target, after->rsp);
}

bool shadow_signal(struct shadow *shadow, struct target *target,
		   const struct user_regs_struct *before,
		   const struct user_regs_struct *after, bool jumped)
{
	uint64_t context = after->rsp + 8;
	uint64_t pc = target_word(target, context + CONTEXT_RIP);

	/* A system call that is to be made again is gone back to. */
	if (target_word(target, context + CONTEXT_RSP) != before->rsp ||
	    (pc != before->rip && pc != before->rip - 2))
		return false;
	push(shadow, (struct entry){ ENTRY_INTERRUPTED, context, pc, jumped });
	push_return(shadow, target, after->rsp);
	return true;
}

/* The kernel pushes where the shadow stack was, which is just above, before the
 * address that the handler returns to. */
size_t shadow_words(const struct shadow *shadow, uint64_t *words)
{
	for (size_t i = 0; i < shadow->n; i++) {
		const struct entry *entry = &shadow->entries[i];

		words[shadow->n - 1 - i] =
			entry->kind == ENTRY_RETURN ? entry->pc :
			SIGNAL_TOKEN | (SHADOW_END - 8 * i);
	}
	return shadow->n;
}

size_t shadow_frames(const struct shadow *shadow, uint64_t pc, bool jumped,
		     struct truth *truth)
{
	size_t n = 0;

	truth[n++] = (struct truth){
		.pc = pc, .exact = true, .jumped = jumped,
	};
	for (size_t i = shadow->n; i-- > 0;) {
		const struct entry *entry = &shadow->entries[i];
		bool exact = entry->kind == ENTRY_INTERRUPTED;

		truth[n - 1].cfa = exact ? 0 : entry->at + 8;
		truth[n++] = (struct truth){
			.pc = entry->pc, .exact = exact,
			.jumped = entry->jumped,
		};
	}
	return n;
}
