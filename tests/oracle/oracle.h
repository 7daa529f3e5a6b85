/* A program that is stepped through, the stack that it has in truth, and what
 * others say of that stack. The parts of the oracle share this. */
#ifndef EPITAPH_TESTS_ORACLE_ORACLE_H
#define EPITAPH_TESTS_ORACLE_ORACLE_H

#include <sys/user.h>

#include "../../lib/proc/files.h"
#include "../../lib/proc/maps.h"
#include "../../lib/unwind/unwind.h"

enum { MAX_DEPTH = 1000 };

/* target.c: the program, stopped */

/* Where nothing is mapped: the shadow stack that we make up ends here. */
#define SHADOW_END UINT64_C(0x600000000000)

struct target {
	pid_t pid;
	bool has_maps;
	char *text;
	struct maps maps;
	uint8_t **copies; /* of maps that cannot change; NULL: not read yet */
	struct files files;
	struct report report;
	struct unwind *unwind;
	/* What a processor with shadow stacks would have on the program's, the
	 * innermost first; it ends at SHADOW_END. */
	bool has_shadow;
	uint64_t shadow[MAX_DEPTH];
	size_t nshadow;
};

/* Look at the program's maps anew. */
void target_look(struct target *target);
void target_forget(struct target *target);

/* An unwind_read; CONTEXT is a struct target. */
size_t target_read(void *context, uint64_t address, void *to, size_t len);
uint64_t target_word(struct target *target, uint64_t address);

/* Run our unwinder: how many frames. */
size_t target_unwind(struct target *target,
		     const struct user_regs_struct *regs, struct frame *frames,
		     size_t max);

/* Print REASON and end. */
_Noreturn void give_up(const char *what);

/* shadow.c: the truth */

enum entry_kind {
	ENTRY_RETURN,      /* a return address, at AT */
	ENTRY_INTERRUPTED, /* by a signal, whose frame is at AT */
};

struct entry {
	enum entry_kind kind;
	uint64_t at, pc;
	bool jumped; /* pc was reached by a jump that was no call */
};

struct shadow {
	struct entry entries[MAX_DEPTH]; /* the outermost first */
	size_t n;
};

enum instruction_is { IS_OTHER, IS_CALL, IS_SYSCALL };

/* The instruction BEFORE was at is what IS says; now the program is at
 * AFTER. */
void shadow_step(struct shadow *shadow, struct target *target,
		 enum instruction_is is,
		 const struct user_regs_struct *before,
		 const struct user_regs_struct *after);

/* True where AFTER is at the first instruction of a handler, and BEFORE, to
 * which a jump has led if JUMPED, was interrupted for it. */
bool shadow_signal(struct shadow *shadow, struct target *target,
		   const struct user_regs_struct *before,
		   const struct user_regs_struct *after, bool jumped);

/* What a processor would have on the shadow stack, the innermost first: how
 * many words. WORDS has room for MAX_DEPTH. */
size_t shadow_words(const struct shadow *shadow, uint64_t *words);

/* A frame as it is in truth. */
struct truth {
	uint64_t pc, cfa; /* CFA is 0 where nothing says it */
	bool exact, jumped;
};

/* The frames at PC, reached by a jump if JUMPED, the innermost first: how many.
 * TRUTH has room for MAX_DEPTH + 1. */
size_t shadow_frames(const struct shadow *shadow, uint64_t pc, bool jumped,
		     struct truth *truth);

/* second.c: elfutils' unwinder, another interpreter of the same tables */

struct second;

struct second *second_new(pid_t pid);
void second_free(struct second *second);

/* Is there a table with a row for PC? */
bool second_covers(struct second *second, uint64_t pc);

/* Does it, from the innermost frame on, see TRUTH's N frames up to the caller
 * of number AT? */
bool second_agrees(struct second *second, const struct truth *truth, size_t n,
		   size_t at);

/* judge.c: the comparison */

enum stack_class {
	STACK_RIGHT, /* each frame has CFI, and it is right */
	STACK_WRONG, /* the frame that stopped us has wrong CFI */
	STACK_NONE,  /* some frame has none */
	STACK_CLASSES,
};

struct level {
	uint64_t frames; /* that we gave this trust */
	uint64_t untrue; /* and that are not on the stack */
	uint64_t derived; /* of these, behind an earlier mistake */
	uint64_t wrong_cfi; /* of these, found by wrong CFI */
	uint64_t jumped; /* of these, behind a jump that was no call */
};

struct tally {
	uint64_t stacks, exact;
	uint64_t pcs; /* stacks of which at least the pcs are all true */
	uint64_t frames, prefix; /* true ones, and those before a wrong one */
	struct level levels[TRUST_COUNT];
};

struct judge {
	struct target *target;
	struct second *second;
	struct tally tallies[STACK_CLASSES];
	size_t shown, show; /* mistakes to print */
};

/* Judge our NFRAMES by the N true ones. */
void judge_stack(struct judge *judge, const struct truth *truth, size_t n,
		 const struct frame *frames, size_t nframes);

#endif
