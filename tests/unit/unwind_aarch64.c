/* The unwinder for AArch64, on processes made by hand, wherever this runs: the
 * library is built for that machine by -DMACHINE_AARCH64. */
#include "world.h"

enum {
	START,   /* return address undefined */
	MAIN,    /* frame by x29, which it saves with x30 */
	MIDDLE,  /* signs its return address, and saves it */
	LEAF,    /* has no frame at all */
	NO_CFI,
	NO_CFI_EITHER,
	TRAMPOLINE, /* without a table */
};

#define SIGNED UINT64_C(0x00a5000000000000) /* what a signature may look like */
#define PUT(w, at, ...)                                                        \
	do {                                                                   \
		const uint32_t code_[] = { __VA_ARGS__ };                      \
		world_code(w, at, code_, sizeof(code_));                       \
	} while (0)

static struct world *new_world(void)
{
	static struct world w;

	world_init(&w, WORLD_FRAMES + 0x80);
	world_cie(&w, "zR");
	WORLD_FDE(&w, START, DW_CFA_undefined, R_LINK);
	WORLD_FDE(&w, MAIN, DW_CFA_advance_loc + 1, DW_CFA_def_cfa_offset, 32,
		  DW_CFA_offset | R_X29, 4, DW_CFA_offset | R_LINK, 3,
		  DW_CFA_advance_loc + 1, DW_CFA_def_cfa_register, R_X29);
	WORLD_FDE(&w, MIDDLE, DW_CFA_advance_loc + 1,
		  DW_CFA_AARCH64_negate_ra_state, DW_CFA_advance_loc + 1,
		  DW_CFA_def_cfa_offset, 48, DW_CFA_offset | R_X29, 6,
		  DW_CFA_offset | R_LINK, 5, DW_CFA_offset | R_X19, 4);
	WORLD_FDE(&w, LEAF, DW_CFA_nop);
	world_finish(&w, WORLD_FRAMES, true);
	return &w;
}

/* main's frame at SP, called by start, and a place in main to return to. */
static uint64_t main_frame(struct world *w, size_t sp)
{
	world_push(w, sp, 0); /* x29 of start */
	world_push(w, sp + 8, world_call(w, function_at(START, 32)));
	return world_call(w, function_at(MAIN, 64));
}

static void test_cfi(void)
{
	struct world *w = new_world();
	struct registers regs = world_registers(function_at(LEAF, 4), 64);
	struct walk walk;

	regs.value[R_LINK] = world_call(w, function_at(MIDDLE, 40));
	regs.value[R_FP] = stack_at(112);
	world_push(w, 64, stack_at(112));
	world_push(w, 72, main_frame(w, 112) | SIGNED);
	world_walk(w, &regs, &walk);
	CHECK_WALK(&walk, NULL, { function_at(LEAF, 4), TRUST_CONTEXT },
		   { function_at(MIDDLE, 40), TRUST_CFI },
		   { function_at(MAIN, 64), TRUST_CFI },
		   { function_at(START, 32), TRUST_CFI });
	CHECK_NUMBER(walk.frames[0].cfa, stack_at(64));
	CHECK_NUMBER(walk.frames[1].cfa, stack_at(112));
	CHECK_NUMBER(walk.frames[2].cfa, stack_at(144));
}

/* Signed, and not yet saved. */
static void test_signed_link(void)
{
	struct world *w = new_world();
	struct registers regs = world_registers(function_at(MIDDLE, 4), 64);
	struct walk walk;

	regs.value[R_LINK] = main_frame(w, 64) | SIGNED;
	regs.value[R_FP] = stack_at(64);
	world_walk(w, &regs, &walk);
	CHECK_WALK(&walk, NULL, { function_at(MIDDLE, 4), TRUST_CONTEXT },
		   { function_at(MAIN, 64), TRUST_CFI },
		   { function_at(START, 32), TRUST_CFI });
}

/* A function without a frame whose return address leads into itself, in the
 * middle of a stack, has no caller: nothing would ever change. */
static void test_no_progress(void)
{
	struct world *w = new_world();
	struct registers regs = world_registers(function_at(LEAF, 4), 64);
	struct walk walk;

	regs.value[R_LINK] = world_call(w, function_at(LEAF, 32));
	world_walk(w, &regs, &walk);
	CHECK_NUMBER(walk.result.nframes, 2);
	CHECK(walk.result.truncated != NULL);
}

static const uint32_t stub[] = {
	0xd503245f, /* bti c */
	0x90000110, /* adrp x16, . + 0x20000 */
	0xf9400611, /* ldr x17, [x16, #8] */
	0x91002210, /* add x16, x16, #8 */
	0xd61f0220, /* br x17 */
};

static void test_plt(void)
{
	for (unsigned from = 0; from < 5; from++) {
		struct world *w = new_world();
		uint64_t pc = function_at(NO_CFI, 4 * from);
		struct registers regs = world_registers(pc, 64);
		struct walk walk;

		world_code(w, function_at(NO_CFI, 0), stub, sizeof(stub));
		regs.value[R_LINK] = world_call(w, function_at(START, 32));
		world_walk(w, &regs, &walk);
		CHECK_WALK(&walk, NULL, { pc, TRUST_CONTEXT },
			   { function_at(START, 32), TRUST_PLT });
	}
}

/* A call to nowhere, and a function of which nothing is known. */
static void test_leaf(void)
{
	const uint64_t pcs[] = { 0, function_at(NO_CFI, 16) };

	for (size_t i = 0; i < 2; i++) {
		struct world *w = new_world();
		struct registers regs = world_registers(pcs[i], 64);
		struct walk walk;

		regs.value[R_LINK] = main_frame(w, 64) | SIGNED;
		regs.value[R_FP] = stack_at(64);
		world_walk(w, &regs, &walk);
		CHECK_WALK(&walk, NULL, { pcs[i], TRUST_CONTEXT },
			   { function_at(MAIN, 64), TRUST_LEAF },
			   { function_at(START, 32), TRUST_CFI });
	}
}

/* What the link register says has been saved: by x29 then, once. */
static void test_frame_pointer(void)
{
	struct world *w = new_world();
	uint64_t pc = function_at(NO_CFI, 16);
	struct registers regs = world_registers(pc, 64);
	uint64_t back = world_call(w, function_at(NO_CFI_EITHER, 32));
	struct walk walk;

	regs.value[R_LINK] = back;
	regs.value[R_FP] = stack_at(80);
	world_push(w, 80, stack_at(128));
	world_push(w, 88, back | SIGNED);
	world_push(w, 128, stack_at(192));
	world_push(w, 136, main_frame(w, 192) | SIGNED);
	world_walk(w, &regs, &walk);
	CHECK_WALK(&walk, NULL, { pc, TRUST_CONTEXT },
		   { back, TRUST_FRAME_POINTER },
		   { function_at(MAIN, 64), TRUST_FRAME_POINTER },
		   { function_at(START, 32), TRUST_CFI });
}

/* The kernel's struct rt_sigframe, at the handler's sp; the interrupted frame
 * knows all its registers, the link register among them. */
static void test_signal_frame(void)
{
	struct world *w = new_world();
	uint64_t trampoline = function_at(TRAMPOLINE, 0);
	struct registers regs = world_registers(function_at(LEAF, 4), 64);
	const size_t saved = 64 + 128 + 176 + 8;
	struct walk walk;

	PUT(w, trampoline, 0xd2801168, 0xd4000001);
	regs.value[R_LINK] = trampoline;
	world_push(w, saved + 8 * R_LINK, main_frame(w, 2048));
	world_push(w, saved + 8 * R_X29, stack_at(2048));
	world_push(w, saved + 8 * R_SP, stack_at(2048));
	world_push(w, saved + 8 * R_PC, function_at(LEAF, 8));
	world_walk(w, &regs, &walk);
	CHECK_WALK(&walk, NULL, { function_at(LEAF, 4), TRUST_CONTEXT },
		   { trampoline, TRUST_CFI },
		   { function_at(LEAF, 8), TRUST_SIGFRAME },
		   { function_at(MAIN, 64), TRUST_CFI },
		   { function_at(START, 32), TRUST_CFI });
}

/* Is a word a return address if INSTRUCTION stands before what it points to? */
static bool is_believed(uint32_t instruction, unsigned skew)
{
	struct world *w = new_world();
	struct registers regs = world_registers(0, 64);
	uint64_t address = function_at(NO_CFI_EITHER, 64);
	struct walk walk;

	regs.value[R_LINK] = 0;
	regs.value[R_FP] = 1;
	PUT(w, address + skew - 4, instruction);
	world_push(w, 64, (address + skew) | SIGNED);
	world_walk(w, &regs, &walk);
	return walk.result.nframes > 1 && walk.frames[1].pc == address + skew;
}

static void test_calls(void)
{
	CHECK(is_believed(0x94000000, 0));  /* bl . */
	CHECK(is_believed(0x97fffffe, 0));  /* bl . - 8 */
	CHECK(!is_believed(0x94100000, 0)); /* bl . + 4 MiB: no code there */
	CHECK(is_believed(0xd63f0100, 0));  /* blr x8 */
	CHECK(is_believed(0xd73f0a11, 0));  /* blraa x16, x17 */
	CHECK(is_believed(0xd63f081f, 0));  /* blraaz x0 */
	CHECK(!is_believed(0xd61f0100, 0)); /* br x8 */
	CHECK(!is_believed(0xd65f03c0, 0)); /* ret */
	CHECK(!is_believed(0x14000000, 0)); /* b . */
	CHECK(!is_believed(0x94000000, 2)); /* not at an instruction */
}

static const struct test tests[] = {
	{ "CFI, with return addresses that are signed", test_cfi },
	{ "a return address that is signed and not saved yet",
	  test_signed_link },
	{ "a frame that changes nothing is the last", test_no_progress },
	{ "a PLT stub, at each instruction", test_plt },
	{ "the link register, where nothing else is known", test_leaf },
	{ "frame pointers, where the link register is saved",
	  test_frame_pointer },
	{ "a signal frame without CFI", test_signal_frame },
	{ "which instructions are calls", test_calls },
};

int main(void)
{
	return TEST_RUN(tests);
}
