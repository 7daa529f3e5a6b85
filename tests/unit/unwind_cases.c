/* The unwinder on the cases that are known to be hard, as far as they can be
 * made by hand; docs/unwinding.md has the list of all of them. */
#include "usual_world.h"

enum { LAST = (WORLD_FRAMES - WORLD_CODE) / WORLD_FUNCTION - 1 };

/* MAIN pushes rbp at byte 0, has it as its frame from byte 4 on, and from byte
 * 0xe4 to 0xe5 has popped it again. rbp is the caller's where it was not set
 * yet, which a walk by frame pointers would take for MAIN's. */
static void test_every_byte(void)
{
	static const struct {
		unsigned offset, pushed;
	} table[] = {
		{ 0, 0 }, { 1, 1 }, { 2, 1 }, { 3, 1 }, { 0xe4, 0 },
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct world *w = usual_world();
		uint64_t pc = function_at(MAIN, table[i].offset);
		struct registers regs = world_registers(pc, 0);
		size_t at = 8 * table[i].pushed;
		struct walk walk;

		regs.value[R_RBP] = stack_at(512);
		world_push(w, 0, stack_at(512));
		world_push(w, at, world_call(w, function_at(MIDDLE, 40)));
		world_push(w, at + 24, world_call(w, function_at(START, 32)));
		world_push(w, 520, world_call(w, function_at(MIDDLE, 99)));
		world_walk(w, &regs, &walk);
		CHECK_WALK(&walk, NULL, { pc, TRUST_CONTEXT },
			   { function_at(MIDDLE, 40), TRUST_CFI },
			   { function_at(START, 32), TRUST_CFI });
		CHECK_NUMBER(walk.frames[0].cfa, stack_at(at + 8));
	}
}

/* A call that does not return may also be the last of all code: what it
 * returns to lies behind the mapping, and in no module. */
static void test_end_of_code(void)
{
	struct world *w = usual_world();
	struct registers regs = world_registers(function_at(LEAF, 3), 64);
	uint64_t end = function_at(LAST + 1, 0);
	struct walk walk;

	world_code(w, end - 5, "\xe8\xfb\xff\xff\xff", 5); /* to itself */
	world_push(w, 64, end);
	regs.value[R_RBP] = stack_at(96);
	world_push(w, 96, 0);
	world_push(w, 104, world_call(w, function_at(START, 32)));
	world_walk(w, &regs, &walk);
	CHECK_WALK(&walk, NULL, { function_at(LEAF, 3), TRUST_CONTEXT },
		   { end, TRUST_CFI },
		   { function_at(START, 32), TRUST_FRAME_POINTER });
}

/* After a jump to nowhere the frame pointer is good for something, if what is
 * on top of the stack is not. */
static void test_jump_with_frame(void)
{
	struct world *w = usual_world();
	struct registers regs = world_registers(0x10, 64);
	struct walk walk;

	world_push(w, 64, function_at(MIDDLE, 41)); /* no call before it */
	regs.value[R_RBP] = stack_at(96);
	world_push(w, 96, 0);
	world_push(w, 104, world_call(w, function_at(START, 32)));
	world_walk(w, &regs, &walk);
	CHECK_WALK(&walk, NULL, { 0x10, TRUST_CONTEXT },
		   { function_at(START, 32), TRUST_FRAME_POINTER });
}

/* A return address that was written over with one of code, where no call is:
 * CFI says where it is, and nobody vouches for what. */
static void test_not_returned_to(void)
{
	struct world *w = usual_world();
	struct registers regs = world_registers(function_at(LEAF, 3), 64);
	struct walk walk;

	world_push(w, 64, function_at(MIDDLE, 41));
	world_push(w, 88, world_call(w, function_at(START, 32)));
	world_walk(w, &regs, &walk);
	CHECK_WALK(&walk, NULL, { function_at(LEAF, 3), TRUST_CONTEXT },
		   { function_at(MIDDLE, 41), TRUST_SCAN },
		   { function_at(START, 32), TRUST_CFI });
}

/* A function that aligns its stack keeps where it came from in r10 or in a
 * saved register: rsp and rbp alone do not find its caller. */
static void test_realigned(void)
{
	static struct world w;
	struct registers regs = world_registers(function_at(LEAF, 3), 64);
	struct walk walk;

	world_init(&w, WORLD_FRAMES + 0x80);
	world_cie(&w, "zR");
	WORLD_FDE(&w, START, DW_CFA_undefined, R_RIP);
	/* The CFA is what was saved at rbp - 8; rbx is saved at rbp - 16. */
	WORLD_FDE(&w, MAIN, DW_CFA_def_cfa_expression, 3, DW_OP_breg6, 0x78,
		  DW_OP_deref, DW_CFA_expression, R_RBX, 2, DW_OP_breg6, 0x70,
		  DW_CFA_expression, R_RBP, 2, DW_OP_breg6, 0);
	WORLD_FDE(&w, MIDDLE, DW_CFA_def_cfa, R_RBX, 16);
	WORLD_FDE(&w, LEAF, DW_CFA_nop);
	world_finish(&w, WORLD_FRAMES, true);
	regs.value[R_RBP] = stack_at(128);
	world_push(&w, 64, world_call(&w, function_at(MAIN, 64)));
	world_push(&w, 112, stack_at(512));     /* rbx */
	world_push(&w, 120, stack_at(408));     /* CFA */
	world_push(&w, 128, 1);                 /* rbp */
	world_push(&w, 400, world_call(&w, function_at(MIDDLE, 40)));
	world_push(&w, 520, world_call(&w, function_at(START, 32)));
	world_walk(&w, &regs, &walk);
	CHECK_WALK(&walk, NULL, { function_at(LEAF, 3), TRUST_CONTEXT },
		   { function_at(MAIN, 64), TRUST_CFI },
		   { function_at(MIDDLE, 40), TRUST_CFI },
		   { function_at(START, 32), TRUST_CFI });
}

static const struct test tests[] = {
	{ "in prologue and epilogue the caller is exact at every byte",
	  test_every_byte },
	{ "a call may be the last of all code", test_end_of_code },
	{ "after a jump to nowhere the frame pointer is tried",
	  test_jump_with_frame },
	{ "a return to where no call is has little trust",
	  test_not_returned_to },
	{ "CFA and registers by expression: a stack that was aligned",
	  test_realigned },
};

int main(void)
{
	return TEST_RUN(tests);
}
