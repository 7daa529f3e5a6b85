/* The unwinder with a shadow stack: what the rules find is confirmed by it,
 * what was written over is put right, and what it may say by mistake is not
 * believed. */
#include "usual_world.h"

enum { DEEP = 90 };

/* LEAF in MIDDLE in MAIN in START. */
static struct world *nested_world(struct registers *regs)
{
	struct world *w = usual_world();

	*regs = world_registers(function_at(LEAF, 3), 64);
	regs->value[R_RBP] = stack_at(128);
	world_push(w, 64, world_call(w, function_at(MIDDLE, 40)));
	world_push(w, 88, main_frame(w, 96));
	return w;
}

static void put_nested_shadow(struct world *w, struct registers *regs)
{
	PUT_SHADOW(w, regs, function_at(MIDDLE, 40), function_at(MAIN, 64),
		   function_at(START, 32));
}

static void check_nested_cfas(const struct walk *walk)
{
	CHECK_NUMBER(walk->frames[0].cfa, stack_at(72));
	CHECK_NUMBER(walk->frames[1].cfa, stack_at(96));
	CHECK_NUMBER(walk->frames[2].cfa, stack_at(144));
}

static void check_nested_walk(struct world *w, const struct registers *regs)
{
	struct walk walk;

	world_walk(w, regs, &walk);
	CHECK_WALK(&walk, NULL, { function_at(LEAF, 3), TRUST_CONTEXT },
		   { function_at(MIDDLE, 40), TRUST_CFI },
		   { function_at(MAIN, 64), TRUST_CFI },
		   { function_at(START, 32), TRUST_CFI });
	check_nested_cfas(&walk);
	for (int i = 0; i < 4; i++)
		CHECK(!walk.frames[i].corrupt_ra);
}

static void test_agreement(void)
{
	struct registers regs;
	struct world *w = nested_world(&regs);

	put_nested_shadow(w, &regs);
	check_nested_walk(w, &regs);
}

/* The word there is an address behind a call: nothing else could tell. */
static void test_other_code(void)
{
	struct registers regs;
	struct world *w = nested_world(&regs);
	struct walk walk;

	world_push(w, 64, world_call(w, function_at(MIDDLE, 80)));
	world_walk(w, &regs, &walk);
	CHECK_NUMBER(walk.frames[1].pc, function_at(MIDDLE, 80));
	CHECK_STRING(trust_name(walk.frames[1].trust), "cfi");
	put_nested_shadow(w, &regs);
	world_walk(w, &regs, &walk);
	CHECK_WALK(&walk, NULL, { function_at(LEAF, 3), TRUST_CONTEXT },
		   { function_at(MIDDLE, 40), TRUST_SHSTK },
		   { function_at(MAIN, 64), TRUST_CFI },
		   { function_at(START, 32), TRUST_CFI });
	CHECK(walk.frames[0].corrupt_ra);
	CHECK(!walk.frames[1].corrupt_ra);
	check_nested_cfas(&walk);
}

static void test_smashed(void)
{
	struct registers regs;
	struct world *w = nested_world(&regs);
	struct walk walk;

	put_nested_shadow(w, &regs);
	memset(w->stack + 64, 'A', 32); /* two return addresses */
	world_walk(w, &regs, &walk);
	CHECK_WALK(&walk, NULL, { function_at(LEAF, 3), TRUST_CONTEXT },
		   { function_at(MIDDLE, 40), TRUST_SHSTK },
		   { function_at(MAIN, 64), TRUST_SHSTK },
		   { function_at(START, 32), TRUST_CFI });
	CHECK(walk.frames[0].corrupt_ra);
	CHECK(walk.frames[1].corrupt_ra);
	CHECK(!walk.frames[2].corrupt_ra);
	check_nested_cfas(&walk);
}

/* All of them, and no more is known than that the last is the outermost. */
static void test_smashed_to_the_end(void)
{
	struct world *w = usual_world();
	struct registers regs = world_registers(function_at(LEAF, 3), 64);
	struct walk walk;

	memset(w->stack + 64, 'A', 32);
	world_call(w, function_at(MIDDLE, 40));
	world_call(w, function_at(START, 32));
	PUT_SHADOW(w, &regs, function_at(MIDDLE, 40), function_at(START, 32));
	world_walk(w, &regs, &walk);
	CHECK_WALK(&walk, NULL, { function_at(LEAF, 3), TRUST_CONTEXT },
		   { function_at(MIDDLE, 40), TRUST_SHSTK },
		   { function_at(START, 32), TRUST_SHSTK });
	CHECK(walk.frames[0].corrupt_ra && walk.frames[1].corrupt_ra);
}

/* A zero there would be the end of the stack. */
static void test_zeroed(void)
{
	struct registers regs;
	struct world *w = nested_world(&regs);
	struct walk walk;

	put_nested_shadow(w, &regs);
	world_push(w, 64, 0);
	world_walk(w, &regs, &walk);
	CHECK_WALK(&walk, NULL, { function_at(LEAF, 3), TRUST_CONTEXT },
		   { function_at(MIDDLE, 40), TRUST_SHSTK },
		   { function_at(MAIN, 64), TRUST_CFI },
		   { function_at(START, 32), TRUST_CFI });
	CHECK(walk.frames[0].corrupt_ra);
}

/* The frame pointer was written over with the rest: where the caller's frame
 * ends is found by the next return address. */
static void test_smashed_frame_pointer(void)
{
	struct world *w = usual_world();
	struct registers regs = world_registers(function_at(MAIN, 64), 0);
	struct walk walk;

	regs.value[R_RBP] = stack_at(32);
	memset(w->stack + 24, 'A', 24); /* rbx, rbp, return address */
	world_push(w, 136, world_call(w, function_at(START, 32)));
	world_call(w, function_at(MAIN, 80));
	PUT_SHADOW(w, &regs, function_at(MAIN, 80), function_at(START, 32));
	world_walk(w, &regs, &walk);
	CHECK_WALK(&walk, NULL, { function_at(MAIN, 64), TRUST_CONTEXT },
		   { function_at(MAIN, 80), TRUST_SHSTK },
		   { function_at(START, 32), TRUST_SHSTK });
	CHECK(walk.frames[0].corrupt_ra);
	CHECK(!walk.frames[1].corrupt_ra);
	CHECK_NUMBER(walk.frames[0].cfa, stack_at(48));
	CHECK_NUMBER(walk.frames[1].cfa, stack_at(144));
}

/* No table, no frame pointer, and a word that a scan would take. */
static void test_no_tables(void)
{
	struct world *w = usual_world();
	struct registers regs = world_registers(function_at(NO_CFI, 8), 64);
	struct walk walk;

	world_push(w, 72, world_call(w, function_at(NO_CFI_EITHER, 99)));
	world_push(w, 104, world_call(w, function_at(NO_CFI_EITHER, 48)));
	world_push(w, 160, world_call(w, function_at(START, 32)));
	PUT_SHADOW(w, &regs, function_at(NO_CFI_EITHER, 48),
		   function_at(START, 32));
	world_walk(w, &regs, &walk);
	CHECK_WALK(&walk, NULL, { function_at(NO_CFI, 8), TRUST_CONTEXT },
		   { function_at(NO_CFI_EITHER, 48), TRUST_SHSTK },
		   { function_at(START, 32), TRUST_SHSTK });
	CHECK_NUMBER(walk.frames[0].cfa, stack_at(112));
	CHECK_NUMBER(walk.frames[1].cfa, stack_at(168));
	CHECK(!walk.frames[0].corrupt_ra);
}

/* The stack pointer may be odd, or have left the stack by an overflow. */
static void test_no_tables_elsewhere(void)
{
	const uint64_t pointers[] = { stack_at(57), WORLD_STACK - 64 };

	for (int i = 0; i < 2; i++) {
		struct world *w = usual_world();
		struct registers regs =
			world_registers(function_at(NO_CFI, 8), 0);
		struct walk walk;

		regs.value[R_SP] = pointers[i];
		world_push(w, 104, world_call(w, function_at(START, 32)));
		PUT_SHADOW(w, &regs, function_at(START, 32));
		world_walk(w, &regs, &walk);
		CHECK_WALK(&walk, NULL, { function_at(NO_CFI, 8),
					  TRUST_CONTEXT },
			   { function_at(START, 32), TRUST_SHSTK });
		CHECK_NUMBER(walk.frames[0].cfa, stack_at(112));
	}
}

/* What a chain of frame pointers has found is no guess any more. */
static void test_certain(void)
{
	struct world *w = usual_world();
	struct registers regs = world_registers(function_at(NO_CFI, 8), 64);
	struct walk walk;

	regs.value[R_RBP] = stack_at(96);
	world_push(w, 96, stack_at(160));
	world_push(w, 104, world_call(w, function_at(NO_CFI_EITHER, 48)));
	world_push(w, 160, 0);
	world_push(w, 168, world_call(w, function_at(START, 32)));
	PUT_SHADOW(w, &regs, function_at(NO_CFI_EITHER, 48),
		   function_at(START, 32));
	world_walk(w, &regs, &walk);
	CHECK_WALK(&walk, NULL, { function_at(NO_CFI, 8), TRUST_CONTEXT },
		   { function_at(NO_CFI_EITHER, 48), TRUST_SHSTK },
		   { function_at(START, 32), TRUST_SHSTK });
	CHECK_NUMBER(walk.frames[0].cfa, stack_at(112));
}

/* The table has the return address where it is not: a mistake of the table's,
 * and nothing was written over. What else it says of registers is not used, so
 * that main's frame pointer is not known. */
static void test_wrong_table(void)
{
	struct registers regs;
	struct world *w = nested_world(&regs);
	struct walk walk;

	put_nested_shadow(w, &regs);
	regs.value[R_SP] = stack_at(40);
	world_push(w, 40, world_call(w, function_at(MIDDLE, 80)));
	world_walk(w, &regs, &walk);
	CHECK_WALK(&walk, NULL, { function_at(LEAF, 3), TRUST_CONTEXT },
		   { function_at(MIDDLE, 40), TRUST_SHSTK },
		   { function_at(MAIN, 64), TRUST_CFI },
		   { function_at(START, 32), TRUST_SHSTK });
	CHECK(!walk.frames[0].corrupt_ra);
	check_nested_cfas(&walk);
}

/* Or ends the frame where it has begun; the caller is on the stack, or not. */
static void test_stuck_table(void)
{
	for (int is_there = 0; is_there < 2; is_there++) {
		struct world *w = usual_world();
		struct registers regs =
			world_registers(function_at(STUCK, 8), 64);
		uint64_t caller = world_call(w, function_at(MIDDLE, 40));
		struct walk walk;

		world_push(w, 80, is_there ? caller : 0);
		world_push(w, 104, world_call(w, function_at(START, 32)));
		PUT_SHADOW(w, &regs, caller, function_at(START, 32));
		world_walk(w, &regs, &walk);
		CHECK_WALK(&walk, NULL,
			   { function_at(STUCK, 8), TRUST_CONTEXT },
			   { caller, TRUST_SHSTK },
			   { function_at(START, 32),
			     is_there ? TRUST_CFI : TRUST_SHSTK });
		CHECK_NUMBER(walk.frames[0].cfa, is_there ? stack_at(88) : 0);
	}
}

/* A stack that could not be read, and tables that need nothing of it. */
static void test_unreadable_stack(void)
{
	struct world *w = usual_world();
	struct registers regs = world_registers(function_at(LEAF, 3),
						WORLD_STACK_LEN);
	struct walk walk;

	world_call(w, function_at(MIDDLE, 40));
	world_call(w, function_at(START, 32));
	PUT_SHADOW(w, &regs, function_at(MIDDLE, 40), function_at(START, 32));
	world_walk(w, &regs, &walk);
	CHECK_WALK(&walk, NULL, { function_at(LEAF, 3), TRUST_CONTEXT },
		   { function_at(MIDDLE, 40), TRUST_SHSTK },
		   { function_at(START, 32), TRUST_SHSTK });
	CHECK_NUMBER(walk.frames[0].cfa, stack_at(WORLD_STACK_LEN + 8));
	CHECK_NUMBER(walk.frames[1].cfa, stack_at(WORLD_STACK_LEN + 32));
	CHECK(!walk.frames[0].corrupt_ra);
}

/* Where the stack pointer was is lost between two frames, and found again. */
static void test_lost_and_found(void)
{
	struct world *w = usual_world();
	struct registers regs = world_registers(function_at(NO_CFI, 8), 64);
	struct walk walk;

	world_call(w, function_at(NO_CFI_EITHER, 48)); /* on no stack */
	world_push(w, 160, world_call(w, function_at(MIDDLE, 40)));
	world_push(w, 184, world_call(w, function_at(START, 32)));
	PUT_SHADOW(w, &regs, function_at(NO_CFI_EITHER, 48),
		   function_at(MIDDLE, 40), function_at(START, 32));
	world_walk(w, &regs, &walk);
	CHECK_WALK(&walk, NULL, { function_at(NO_CFI, 8), TRUST_CONTEXT },
		   { function_at(NO_CFI_EITHER, 48), TRUST_SHSTK },
		   { function_at(MIDDLE, 40), TRUST_SHSTK },
		   { function_at(START, 32), TRUST_CFI });
	CHECK_NUMBER(walk.frames[0].cfa, 0);
	CHECK_NUMBER(walk.frames[1].cfa, stack_at(168));
}

/* It is lost for good: pcs to the outermost frame, or to the end of what there
 * is of the shadow stack. */
static void test_lost(void)
{
	for (int is_cut = 0; is_cut < 2; is_cut++) {
		struct world *w = usual_world();
		struct registers regs =
			world_registers(function_at(LEAF, 3), 64);
		struct walk walk;

		world_push(w, 64, world_call(w, function_at(NO_CFI, 48)));
		world_call(w, function_at(NO_CFI_EITHER, 48));
		world_call(w, function_at(START, 32));
		PUT_SHADOW(w, &regs, function_at(NO_CFI, 48),
			   function_at(NO_CFI_EITHER, 48),
			   is_cut ? 0 : function_at(START, 32));
		world_walk(w, &regs, &walk);
		CHECK_NUMBER(walk.result.nframes, is_cut ? 3 : 4);
		CHECK_NUMBER(walk.frames[2].pc,
			     function_at(NO_CFI_EITHER, 48));
		CHECK_NUMBER(walk.frames[2].cfa, 0);
		CHECK_STRING(walk.result.truncated, is_cut ?
			     "the shadow stack ends, and where the stack is "
			     "is lost" : NULL);
	}
}

/* The kernel pushes a token before the address that the handler returns to,
 * and the handler has called LEAF. */
static void test_signal(void)
{
	struct world *w = usual_world();
	struct registers regs = world_registers(function_at(LEAF, 3), 64);
	uint64_t restorer = function_at(TRAMPOLINE_BARE, 16);
	struct walk walk;

	put_trampoline(w);
	world_push(w, 64, world_call(w, function_at(LEAF, 40)));
	world_push(w, 72, restorer);
	put_frame(w, 80, stack_at(1024), function_at(MIDDLE, 8));
	world_push(w, 1040, world_call(w, function_at(MIDDLE, 80)));
	world_push(w, 1064, world_call(w, function_at(START, 32)));
	PUT_SHADOW(w, &regs, function_at(LEAF, 40), restorer,
		   SIGNAL_TOKEN | shadow_at(2), function_at(MIDDLE, 40),
		   function_at(START, 32));
	world_call(w, function_at(MIDDLE, 40));
	world_walk(w, &regs, &walk);
	CHECK_WALK(&walk, NULL, { function_at(LEAF, 3), TRUST_CONTEXT },
		   { function_at(LEAF, 40), TRUST_CFI },
		   { restorer, TRUST_CFI },
		   { function_at(MIDDLE, 8), TRUST_SIGFRAME },
		   { function_at(MIDDLE, 40), TRUST_SHSTK },
		   { function_at(START, 32), TRUST_CFI });
	CHECK(walk.frames[3].corrupt_ra);
	CHECK_NUMBER(walk.frames[3].cfa, stack_at(1048));
}

/* The handler's own return address was written over; where the trampoline is
 * to find its frame follows from where that was, not from where sigaction() has
 * left its address. */
static void test_smashed_handler(void)
{
	struct world *w = usual_world();
	struct registers regs = world_registers(function_at(LEAF, 3), 64);
	uint64_t restorer = function_at(TRAMPOLINE_BARE, 16);
	struct walk walk;

	put_trampoline(w);
	world_push(w, 64, 0x4141414141414141);
	put_frame(w, 72, stack_at(1024), function_at(MIDDLE, 0));
	world_push(w, 72 + 16, restorer);
	world_push(w, 1024, world_call(w, function_at(START, 32)));
	PUT_SHADOW(w, &regs, restorer, SIGNAL_TOKEN | shadow_at(1),
		   function_at(START, 32));
	world_walk(w, &regs, &walk);
	CHECK_WALK(&walk, NULL, { function_at(LEAF, 3), TRUST_CONTEXT },
		   { restorer, TRUST_SHSTK },
		   { function_at(MIDDLE, 0), TRUST_SIGFRAME },
		   { function_at(START, 32), TRUST_CFI });
	CHECK(walk.frames[0].corrupt_ra);
}

/* No token, or one that leads back, where a handler returns to: the walk goes
 * on as if there were no shadow stack. */
static void test_bad_token(void)
{
	const uint64_t tokens[] = {
		0, SIGNAL_TOKEN, SIGNAL_TOKEN | shadow_at(3),
		SIGNAL_TOKEN | (shadow_at(1) + 4), function_at(MIDDLE, 40),
		function_at(MIDDLE, 0), /* what was interrupted */
	};

	for (size_t i = 0; i < sizeof(tokens) / sizeof(tokens[0]); i++) {
		struct world *w = usual_world();
		struct registers regs =
			world_registers(function_at(LEAF, 3), 64);
		uint64_t restorer = function_at(TRAMPOLINE_BARE, 16);
		struct walk walk;

		put_trampoline(w);
		world_push(w, 64, restorer);
		put_frame(w, 72, stack_at(1024), function_at(MIDDLE, 0));
		world_push(w, 1024, world_call(w, function_at(START, 32)));
		PUT_SHADOW(w, &regs, restorer, tokens[i],
			   world_call(w, function_at(MIDDLE, 40)));
		world_walk(w, &regs, &walk);
		CHECK_WALK(&walk, NULL,
			   { function_at(LEAF, 3), TRUST_CONTEXT },
			   { restorer, TRUST_CFI },
			   { function_at(MIDDLE, 0), TRUST_SIGFRAME },
			   { function_at(START, 32), TRUST_CFI });
	}
}

/* Called by itself: the same return address is in every frame, and in one of
 * them it was written over. */
static void test_recursion(void)
{
	struct world *w = usual_world();
	struct registers regs = world_registers(function_at(LEAF, 3), 0);
	uint64_t again = world_call(w, function_at(LEAF, 40));
	struct unwind *unwind = world_unwind(w, -1, -1);
	struct frame frames[DEEP + 2];
	struct unwind_result result;
	uint64_t words[DEEP + 1];

	for (size_t i = 0; i < DEEP; i++) {
		words[i] = again;
		world_push(w, 8 * i, i == 30 ? 0x4141414141414141 : again);
	}
	words[DEEP] = world_call(w, function_at(START, 32));
	world_push(w, 8 * DEEP, words[DEEP]);
	put_shadow(w, &regs, words, DEEP + 1);
	unwind_thread(unwind, &regs, frames, DEEP + 2, &result);
	CHECK_NUMBER(result.depth, DEEP + 2);
	CHECK_STRING(result.truncated, NULL);
	for (size_t i = 0; i <= DEEP; i++) {
		CHECK_NUMBER(frames[i + 1].pc, words[i]);
		CHECK_NUMBER(frames[i].cfa, stack_at(8 * (i + 1)));
		CHECK(frames[i].corrupt_ra == (i == 30));
	}
	unwind_free(unwind);
}

/* The same in a function with a frame pointer, which was written over as well,
 * so that its caller's table does not tell. */
static void test_recursion_by_frame_pointer(void)
{
	struct world *w = usual_world();
	struct registers regs = world_registers(function_at(MAIN, 64), 0);
	uint64_t again = world_call(w, function_at(MAIN, 80));
	struct walk walk;

	regs.value[R_RBP] = stack_at(32);
	memset(w->stack + 24, 'A', 24);
	world_push(w, 96, stack_at(160));
	world_push(w, 104, again);
	world_push(w, 160, 0);
	world_push(w, 168, world_call(w, function_at(START, 32)));
	PUT_SHADOW(w, &regs, again, again, function_at(START, 32));
	world_walk(w, &regs, &walk);
	CHECK_WALK(&walk, NULL, { function_at(MAIN, 64), TRUST_CONTEXT },
		   { again, TRUST_SHSTK }, { again, TRUST_SHSTK },
		   { function_at(START, 32), TRUST_SHSTK });
	CHECK(walk.frames[0].corrupt_ra);
	CHECK_NUMBER(walk.frames[0].cfa, stack_at(48));
	CHECK_NUMBER(walk.frames[1].cfa, stack_at(112));
	CHECK_NUMBER(walk.frames[2].cfa, stack_at(176));
}

/* No table, or a wrong one, and the same return address in each frame. */
static void test_recursion_without_tables(void)
{
	for (int is_wrong = 0; is_wrong < 2; is_wrong++) {
		struct world *w = usual_world();
		int number = is_wrong ? LEAF : NO_CFI;
		struct registers regs =
			world_registers(function_at(number, 3), 40);
		uint64_t again = world_call(w, function_at(number, 40));
		struct walk walk;

		world_push(w, 40, world_call(w, function_at(MIDDLE, 80)));
		world_push(w, 64, again);
		world_push(w, 72, again);
		world_push(w, 80, world_call(w, function_at(START, 32)));
		PUT_SHADOW(w, &regs, again, again, function_at(START, 32));
		world_walk(w, &regs, &walk);
		CHECK_NUMBER(walk.result.nframes, 4);
		CHECK(!walk.frames[0].corrupt_ra);
		for (size_t i = 0; i < 3; i++)
			CHECK_NUMBER(walk.frames[i].cfa, stack_at(72 + 8 * i));
	}
}

/* All of it written over, as far as it can be read: more than a few words at
 * odds with the stack are another's, as long as nothing else agrees. */
static void test_how_much_is_believed(void)
{
	for (unsigned smashed = 8; smashed <= 9; smashed++) {
		struct world *w = usual_world();
		struct registers regs =
			world_registers(function_at(LEAF, 3), 0);
		uint64_t words[10];
		struct walk walk;

		for (unsigned i = 0; i < 9; i++) {
			words[i] = world_call(w, function_at(LEAF, 40 + 8 * i));
			world_push(w, 8 * i, i < smashed ? 0x4141414141414141 :
							   words[i]);
		}
		words[9] = world_call(w, function_at(START, 32));
		world_push(w, 72, words[9]);
		put_shadow(w, &regs, words, 10);
		world_walk(w, &regs, &walk);
		CHECK_NUMBER(walk.result.nframes, smashed == 8 ? 11 : 2);
	}
}

/* Another's: of a coroutine that this thread is just leaving, or stale. */
static void test_foreign(void)
{
	struct registers regs;
	struct world *w = nested_world(&regs);
	uint64_t words[12];

	for (unsigned i = 0; i < 12; i++)
		words[i] = world_call(w, function_at(NO_CFI, 48 + 8 * i));
	put_shadow(w, &regs, words, 12);
	check_nested_walk(w, &regs);
	put_shadow(w, &regs, words, 2); /* less than it takes to see that */
	check_nested_walk(w, &regs);
}

/* The same where no table says otherwise. */
static void test_foreign_without_tables(void)
{
	struct world *w = usual_world();
	struct registers regs = world_registers(function_at(NO_CFI, 8), 64);
	struct walk walk;

	regs.value[R_RBP] = stack_at(96);
	world_push(w, 96, 0);
	world_push(w, 104, world_call(w, function_at(START, 32)));
	PUT_SHADOW(w, &regs, world_call(w, function_at(NO_CFI_EITHER, 48)),
		   world_call(w, function_at(NO_CFI_EITHER, 64)));
	world_walk(w, &regs, &walk);
	CHECK_WALK(&walk, NULL, { function_at(NO_CFI, 8), TRUST_CONTEXT },
		   { function_at(START, 32), TRUST_FRAME_POINTER });
}

/* The shadow stack was switched on later than main was called, or is kept in
 * part: what is there agrees, and then the tables go on alone. */
static void test_ends_early(void)
{
	struct registers regs;
	struct world *w = nested_world(&regs);

	PUT_SHADOW(w, &regs, function_at(MIDDLE, 40));
	check_nested_walk(w, &regs);
	PUT_SHADOW(w, &regs, function_at(MIDDLE, 40), 0);
	check_nested_walk(w, &regs);
	/* The token of a shadow stack that was left for another. */
	PUT_SHADOW(w, &regs, function_at(MIDDLE, 40), shadow_at(1) | 1);
	check_nested_walk(w, &regs);
}

/* The table says that START is the outermost, whatever lies behind. */
static void test_goes_on(void)
{
	struct registers regs;
	struct world *w = nested_world(&regs);

	PUT_SHADOW(w, &regs, function_at(MIDDLE, 40), function_at(MAIN, 64),
		   function_at(START, 32), function_at(MIDDLE, 40));
	check_nested_walk(w, &regs);
}

static void test_nothing_there(void)
{
	const uint64_t pointers[] = {
		0, 1, 0x1000, UINT64_MAX, UINT64_MAX - 7,
		WORLD_SHADOW + 8 * WORLD_SHADOW_WORDS, shadow_at(3) + 4,
		stack_at(0), WORLD_BASE,
	};

	for (size_t i = 0; i < sizeof(pointers) / sizeof(pointers[0]); i++) {
		struct registers regs;
		struct world *w = nested_world(&regs);

		put_nested_shadow(w, &regs);
		regs.value[R_SSP] = pointers[i];
		check_nested_walk(w, &regs);
	}
}

static void test_not_known(void)
{
	struct registers regs;
	struct world *w = nested_world(&regs);

	PUT_SHADOW(w, &regs, world_call(w, function_at(NO_CFI, 48)));
	regs.valid &= ~REG_BIT(R_SSP);
	check_nested_walk(w, &regs);
}

/* A shadow stack without end, in words that are all return addresses. */
static size_t read_endless(void *context, uint64_t address, void *to,
			   size_t len)
{
	uint64_t word = function_at(NO_CFI, 48);

	if (address < WORLD_SHADOW || address >= WORLD_STACK)
		return world_read(context, address, to, len);
	for (size_t i = 0; i + 8 <= len; i += 8)
		memcpy((uint8_t *)to + i, &word, 8);
	return len;
}

static void test_endless(void)
{
	struct world *w = usual_world();
	const struct unwind_module module = {
		.base = WORLD_BASE, .end = WORLD_BASE + WORLD_IMAGE,
		.elf_fd = -1, .debug_fd = -1,
	};
	struct unwind *unwind =
		unwind_new(&module, 1, NULL, 0, read_endless, w);
	struct registers regs = world_registers(function_at(LEAF, 3), 0);
	static struct frame frames[1024];
	struct unwind_result result;

	world_push(w, 0, world_call(w, function_at(NO_CFI, 48)));
	regs.value[R_SSP] = shadow_at(1);
	unwind_thread(unwind, &regs, frames, 1024, &result);
	CHECK(result.depth <= 200000);
	CHECK(result.truncated != NULL);
	unwind_free(unwind);
}

static const struct test tests[] = {
	{ "what the tables say and the shadow stack has is as it was",
	  test_agreement },
	{ "a return address written over with another is seen, and put right",
	  test_other_code },
	{ "and with what is no address", test_smashed },
	{ "and with zeros", test_zeroed },
	{ "and all of them", test_smashed_to_the_end },
	{ "and the frame pointer with it", test_smashed_frame_pointer },
	{ "where there is no table each frame is found", test_no_tables },
	{ "wherever the stack pointer is", test_no_tables_elsewhere },
	{ "what was a guess is certain", test_certain },
	{ "a table that is wrong is not called an overwritten stack",
	  test_wrong_table },
	{ "nor is one that does not advance", test_stuck_table },
	{ "a stack that cannot be read is walked by the tables",
	  test_unreadable_stack },
	{ "a frame that is nowhere on the stack is one by its pc",
	  test_lost_and_found },
	{ "from there on pcs are known, to the end", test_lost },
	{ "a signal's token leads to what was interrupted", test_signal },
	{ "a handler's return address is put right as well",
	  test_smashed_handler },
	{ "a token that is none is not followed", test_bad_token },
	{ "in recursion it is the frame that was written over",
	  test_recursion },
	{ "also where its frame pointer was as well",
	  test_recursion_by_frame_pointer },
	{ "also without a table, or with a wrong one",
	  test_recursion_without_tables },
	{ "it is not believed against everything else",
	  test_how_much_is_believed },
	{ "one that is of another stack is left alone", test_foreign },
	{ "also where no table knows better", test_foreign_without_tables },
	{ "where it ends the tables go on", test_ends_early },
	{ "beyond the outermost frame there is none", test_goes_on },
	{ "a pointer to nothing is as none", test_nothing_there },
	{ "so is one that is not known", test_not_known },
	{ "one without end is walked for a while", test_endless },
};

int main(void)
{
	return TEST_RUN(tests);
}
