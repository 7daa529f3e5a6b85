/* The unwinder on functions without a table, by what their code has pushed. */
#include "usual_world.h"

/* A call to NO_CFI at offset AT of FROM: its return address. */
static uint64_t call_no_cfi(struct world *w, int from, unsigned at)
{
	uint64_t address = world_call(w, function_at(from, at));
	int32_t distance = (int32_t)(function_at(NO_CFI, 0) - address);

	world_code(w, address - 4, &distance, sizeof(distance));
	return address;
}

/* push %rbx; push %rbp; sub $16, %rsp; test; je out; call *%rax;
 * out: add $16, %rsp; pop %rbp; pop %rbx; ret */
static const uint8_t pushing[] = {
	0x53, 0x55, 0x48, 0x83, 0xec, 0x10, 0x85, 0xc0, 0x74, 0x02, 0xff, 0xd0,
	0x48, 0x83, 0xc4, 0x10, 0x5d, 0x5b, 0xc3,
};

/* Where the stack pointer is, from the return address on, at each instruction
 * of that; and a stale return address lies on top of the stack. */
static void test_prologue(void)
{
	static const struct {
		unsigned at, depth;
	} places[] = {
		{ 0, 0 },   { 1, 8 },   { 2, 16 },  { 6, 32 }, { 8, 32 },
		{ 10, 32 }, { 12, 32 }, { 16, 16 }, { 17, 8 }, { 18, 0 },
	};

	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		struct world *w = usual_world();
		uint64_t pc = function_at(NO_CFI, places[i].at);
		struct registers regs =
			world_registers(pc, 128 - places[i].depth);
		struct walk walk;

		world_code(w, function_at(NO_CFI, 0), pushing,
			   sizeof(pushing));
		if (places[i].depth == 32)
			world_push(w, 96,
				   world_call(w, function_at(MIDDLE, 40)));
		world_push(w, 128, call_no_cfi(w, START, 32));
		world_walk(w, &regs, &walk);
		CHECK_WALK(&walk, NULL, { pc, TRUST_CONTEXT },
			   { function_at(START, 32),
			     places[i].depth ? TRUST_PROLOGUE : TRUST_LEAF });
	}
}

/* What was pushed comes back: MAIN's frame hangs on rbp. */
static void test_prologue_registers(void)
{
	struct world *w = usual_world();
	struct registers regs = world_registers(function_at(NO_CFI, 8), 96);
	struct walk walk;

	world_code(w, function_at(NO_CFI, 0), pushing, sizeof(pushing));
	regs.value[R_RBP] = 77;
	main_frame(w, 136);
	world_push(w, 112, stack_at(168)); /* rbp */
	world_push(w, 128, call_no_cfi(w, MAIN, 64));
	world_walk(w, &regs, &walk);
	CHECK_WALK(&walk, NULL, { function_at(NO_CFI, 8), TRUST_CONTEXT },
		   { function_at(MAIN, 64), TRUST_PROLOGUE },
		   { function_at(START, 32), TRUST_CFI });
}

/* sub $24, %rsp; mov %rbp, 16(%rsp); lea 16(%rsp), %rbp; call *%rax;
 * mov 16(%rsp), %rbp; add $24, %rsp; ret: what Go makes. */
static const uint8_t storing[] = {
	0x48, 0x83, 0xec, 0x18, 0x48, 0x89, 0x6c, 0x24, 0x10, 0x48,
	0x8d, 0x6c, 0x24, 0x10, 0xff, 0xd0, 0x48, 0x8b, 0x6c, 0x24,
	0x10, 0x48, 0x83, 0xc4, 0x18, 0xc3,
};

/* MAIN's frame hangs on rbp, which is in its place, on the stack, or back. */
static void test_stored_frame_pointer(void)
{
	static const struct {
		unsigned at, depth;
		bool has_moved;
	} places[] = {
		{ 0, 0, false },   { 4, 24, false },  { 9, 24, false },
		{ 14, 24, true },  { 16, 24, true },  { 21, 24, false },
		{ 25, 0, false },
	};

	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		struct world *w = usual_world();
		uint64_t pc = function_at(NO_CFI, places[i].at);
		struct registers regs =
			world_registers(pc, 128 - places[i].depth);
		struct walk walk;

		world_code(w, function_at(NO_CFI, 0), storing,
			   sizeof(storing));
		main_frame(w, 136);
		regs.value[R_RBP] = stack_at(places[i].has_moved ? 120 : 168);
		world_push(w, 120, places[i].at < 9 ? 77 : stack_at(168));
		world_push(w, 128, call_no_cfi(w, MAIN, 64));
		world_walk(w, &regs, &walk);
		CHECK_WALK(&walk, NULL, { pc, TRUST_CONTEXT },
			   { function_at(MAIN, 64), places[i].depth ?
						    TRUST_PROLOGUE :
						    TRUST_LEAF },
			   { function_at(START, 32), TRUST_CFI });
	}
}

/* Called by a pointer: the function begins behind another one's end. */
static void test_start(void)
{
	static const uint8_t indirect[] = { 0xff, 0xd0 };
	struct world *w = usual_world();
	uint64_t pc = function_at(NO_CFI, 8);
	struct registers regs = world_registers(pc, 96);
	struct walk walk;

	world_code(w, function_at(NO_CFI, 0), pushing, sizeof(pushing));
	world_code(w, function_at(START, 30), indirect, sizeof(indirect));
	world_push(w, 128, function_at(START, 32));
	world_walk(w, &regs, &walk);
	CHECK_WALK(&walk, NULL, { pc, TRUST_CONTEXT },
		   { function_at(START, 32), TRUST_PROLOGUE });
}

/* Code that is anything: every byte of it, and cut at each. No more is asked
 * than an end. */
static void test_any_code(void)
{
	for (unsigned byte = 0; byte < 256 * sizeof(pushing); byte++) {
		struct world *w = usual_world();
		uint64_t pc = function_at(NO_CFI, 18);
		struct registers regs = world_registers(pc, 96);
		struct walk walk;
		uint8_t code[sizeof(pushing)];

		memcpy(code, pushing, sizeof(code));
		code[byte / 256] = (uint8_t)byte;
		world_code(w, function_at(NO_CFI, 0), code, sizeof(code));
		for (size_t at = 96; at < 256; at += 8)
			world_push(w, at, call_no_cfi(w, START, 32));
		world_walk(w, &regs, &walk);
		CHECK(walk.result.nframes > 1);
	}
}

static const struct test tests[] = {
	{ "without a table a function's code tells what it has pushed",
	  test_prologue },
	{ "and where its caller's registers are", test_prologue_registers },
	{ "Go stores its frame pointer", test_stored_frame_pointer },
	{ "a function that is called by a pointer begins behind another",
	  test_start },
	{ "code may be anything", test_any_code },
};

int main(void)
{
	return TEST_RUN(tests);
}
