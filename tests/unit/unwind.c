/* The unwinder on processes made by hand: what each rule finds, and what it
 * must not believe. */
#include "usual_world.h"

#include <sys/mman.h>
#include <unistd.h>

static void test_cfi(void)
{
	struct world *w = usual_world();
	struct registers regs = world_registers(function_at(LEAF, 3), 64);
	struct walk walk;

	world_push(w, 64, world_call(w, function_at(MIDDLE, 40)));
	world_push(w, 88, main_frame(w, 96));
	regs.value[R_RBP] = stack_at(128);
	world_walk(w, &regs, &walk);
	CHECK_WALK(&walk, NULL, { function_at(LEAF, 3), TRUST_CONTEXT },
		   { function_at(MIDDLE, 40), TRUST_CFI },
		   { function_at(MAIN, 64), TRUST_CFI },
		   { function_at(START, 32), TRUST_CFI });
	CHECK_NUMBER(walk.frames[0].cfa, stack_at(72));
	CHECK_NUMBER(walk.frames[1].cfa, stack_at(96));
	CHECK_NUMBER(walk.frames[2].cfa, stack_at(144));
}

/* Those that a call may change are not known of a caller. */
static void test_registers(void)
{
	struct world *w = usual_world();
	struct registers regs = world_registers(function_at(LEAF, 3), 64);
	struct unwind *unwind = world_unwind(w, -1, -1);
	struct registers each[3];
	struct frame frames[3];
	struct unwind_result result;

	world_push(w, 64, world_call(w, function_at(MIDDLE, 40)));
	world_push(w, 88, main_frame(w, 96));
	regs.value[R_RBP] = stack_at(128);
	regs.value[R_RBX] = 77;
	regs.value[R_RDI] = 78;
	regs.valid |= REG_BIT(R_RBX) | REG_BIT(R_RDI) | REG_BIT(R_RBP);
	unwind_registers(unwind, &regs, frames, each, 3, &result);
	CHECK_NUMBER(result.nframes, 3);
	CHECK_NUMBER(frames[2].pc, function_at(MAIN, 64));
	CHECK_NUMBER(frames[2].cfa, stack_at(144));
	CHECK_NUMBER(each[0].value[R_RDI], 78);
	CHECK(each[0].valid >> R_RDI & 1);
	CHECK_NUMBER(each[1].value[R_RSP], stack_at(72));
	CHECK_NUMBER(each[1].value[R_RBX], 77);
	CHECK(each[1].valid >> R_RBX & 1 && !(each[1].valid >> R_RDI & 1));
	CHECK_NUMBER(each[2].value[R_RSP], stack_at(96));
	unwind_free(unwind);
}

/* At the first byte nothing is pushed, whatever rbp says. */
static void test_first_instruction(void)
{
	struct world *w = usual_world();
	struct registers regs = world_registers(function_at(MAIN, 0), 64);
	struct walk walk;

	regs.value[R_RBP] = stack_at(128);
	world_push(w, 64, world_call(w, function_at(START, 32)));
	world_walk(w, &regs, &walk);
	CHECK_WALK(&walk, NULL, { function_at(MAIN, 0), TRUST_CONTEXT },
		   { function_at(START, 32), TRUST_CFI });
}

/* A call that does not return may be a function's last instruction. */
static void test_noreturn_call(void)
{
	struct world *w = usual_world();
	struct registers regs = world_registers(function_at(LEAF, 0), 64);
	struct walk walk;

	/* Behind MIDDLE begins LEAF, with another CFA. */
	world_push(w, 64, world_call(w, function_at(LEAF, 0)));
	world_push(w, 88, world_call(w, function_at(START, 32)));
	world_walk(w, &regs, &walk);
	CHECK_WALK(&walk, NULL, { function_at(LEAF, 0), TRUST_CONTEXT },
		   { function_at(LEAF, 0), TRUST_CFI },
		   { function_at(START, 32), TRUST_CFI });
}

static void test_plt(void)
{
	struct world *w = usual_world();
	struct walk walk;

	for (unsigned offset = 6; offset <= 11; offset += 5) {
		size_t sp = offset == 11 ? 56 : 64; /* push $n was done */
		struct registers regs =
			world_registers(function_at(PLT, offset), sp);

		world_push(w, 56, 7);
		world_push(w, 64, world_call(w, function_at(START, 32)));
		world_walk(w, &regs, &walk);
		CHECK_WALK(&walk, NULL,
			   { function_at(PLT, offset), TRUST_CONTEXT },
			   { function_at(START, 32), TRUST_PLT });
	}
}

/* Stubs that no table describes, at the byte where AT says, with PUSHED words
 * on top of the return address. */
static void test_bare_plt(void)
{
	static const struct {
		char code[17];
		unsigned at, pushed;
	} stubs[] = {
		{ "\xff\x25\1\2\3\4\x68\1\0\0\0\xe9\1\2\3\4", 0, 0 },
		{ "\xff\x25\1\2\3\4\x68\1\0\0\0\xe9\1\2\3\4", 6, 0 },
		{ "\xff\x25\1\2\3\4\x68\1\0\0\0\xe9\1\2\3\4", 11, 1 },
		{ "\xf3\x0f\x1e\xfa\xff\x25\1\2\3\4", 0, 0 },
		{ "\xf3\x0f\x1e\xfa\xf2\xff\x25\1\2\3\4", 0, 0 },
		{ "\xf3\x0f\x1e\xfa\xf2\xff\x25\1\2\3\4", 4, 0 },
	};

	for (size_t i = 0; i < sizeof(stubs) / sizeof(stubs[0]); i++) {
		struct world *w = usual_world();
		uint64_t pc = function_at(NO_CFI, stubs[i].at);
		struct registers regs = world_registers(pc, 64);
		struct walk walk;

		world_code(w, function_at(NO_CFI, 0), stubs[i].code, 16);
		world_push(w, 64, 1);
		world_push(w, 64 + 8 * stubs[i].pushed,
			   world_call(w, function_at(START, 32)));
		world_walk(w, &regs, &walk);
		CHECK_WALK(&walk, NULL, { pc, TRUST_CONTEXT },
			   { function_at(START, 32), TRUST_PLT });
	}
}

/* Is a word a return address if CODE stands before what it points to? */
static bool is_believed(const char *code, size_t len)
{
	struct world *w = usual_world();
	struct registers regs = world_registers(0, 64);
	uint64_t address = function_at(NO_CFI_EITHER, 64);
	struct walk walk;

	regs.value[R_RBP] = 1;
	world_code(w, address - len, code, len);
	world_push(w, 64, address);
	world_walk(w, &regs, &walk);
	return walk.result.nframes > 1 && walk.frames[1].pc == address;
}

#define IS_BELIEVED(code) is_believed(code, sizeof(code) - 1)

static void test_calls(void)
{
	CHECK(IS_BELIEVED("\xe8\0\0\0\0"));
	CHECK(IS_BELIEVED("\xff\xd0"));                     /* *%rax */
	CHECK(IS_BELIEVED("\x41\xff\xd7"));                 /* *%r15 */
	CHECK(IS_BELIEVED("\xff\x10"));                     /* *(%rax) */
	CHECK(IS_BELIEVED("\xff\x14\xc8"));                 /* *(a,b,8) */
	CHECK(IS_BELIEVED("\xff\x50\x08"));                 /* *8(%rax) */
	CHECK(IS_BELIEVED("\xff\x54\x24\x08"));             /* *8(%rsp) */
	CHECK(IS_BELIEVED("\xff\x15\1\2\3\4"));            /* *(%rip) */
	CHECK(IS_BELIEVED("\xff\x90\1\2\3\4"));            /* *n(%rax) */
	CHECK(IS_BELIEVED("\xff\x94\x24\1\2\3\4"));        /* *n(%rsp) */
	CHECK(IS_BELIEVED("\xff\x14\x25\1\2\3\4"));        /* *n */
}

static void test_not_calls(void)
{
	CHECK(!IS_BELIEVED("\x90\x90\x90\x90\x90\x90\x90"));
	CHECK(!IS_BELIEVED("\xe9\0\0\0\0"));               /* jmp */
	CHECK(!IS_BELIEVED("\xe8\0\0\0\x70"));             /* to nowhere */
	CHECK(!IS_BELIEVED("\xff\xe0"));                    /* jmp *%rax */
	CHECK(!IS_BELIEVED("\xff\xd8"));                    /* far */
	CHECK(!IS_BELIEVED("\xff\x15\1\2"));                /* cut */
	CHECK(!IS_BELIEVED("\xff\x50"));
}

/* A handler, called by the trampoline, which interrupted the first byte of
 * MIDDLE: not the byte before it. */
static void test_signal_frame(void)
{
	struct world *w = usual_world();
	struct registers regs = world_registers(function_at(LEAF, 3), 64);
	struct walk walk;

	world_push(w, 64, function_at(TRAMPOLINE, 1));
	world_push(w, 72 + 120, stack_at(128));
	world_push(w, 72 + 160, stack_at(512));
	world_push(w, 72 + 168, function_at(MIDDLE, 0));
	world_push(w, 512, world_call(w, function_at(START, 32)));
	world_walk(w, &regs, &walk);
	CHECK_WALK(&walk, NULL, { function_at(LEAF, 3), TRUST_CONTEXT },
		   { function_at(TRAMPOLINE, 1), TRUST_CFI },
		   { function_at(MIDDLE, 0), TRUST_SIGFRAME },
		   { function_at(START, 32), TRUST_CFI });
}

static void test_bare_trampoline(void)
{
	struct world *w = usual_world();
	struct registers regs = world_registers(function_at(LEAF, 3), 64);
	struct walk walk;

	put_trampoline(w);
	world_push(w, 64, function_at(TRAMPOLINE_BARE, 16));
	put_frame(w, 72, stack_at(1024), function_at(MIDDLE, 0));
	world_push(w, 1024, world_call(w, function_at(START, 32)));
	world_walk(w, &regs, &walk);
	CHECK_WALK(&walk, NULL, { function_at(LEAF, 3), TRUST_CONTEXT },
		   { function_at(TRAMPOLINE_BARE, 16), TRUST_CFI },
		   { function_at(MIDDLE, 0), TRUST_SIGFRAME },
		   { function_at(START, 32), TRUST_CFI });
}

/* Its address as sigaction() leaves it behind: no handler is there. */
static void test_stale_trampoline(void)
{
	struct world *w = usual_world();
	struct registers regs = world_registers(function_at(LEAF, 3), 64);
	struct walk walk;

	put_trampoline(w);
	world_push(w, 64, function_at(TRAMPOLINE_BARE, 16));
	put_greg(w, 72, REG_RSP, stack_at(1024));
	put_greg(w, 72, REG_RIP, function_at(MIDDLE, 0));
	world_push(w, 1024, world_call(w, function_at(START, 32)));
	world_push(w, 96, world_call(w, function_at(START, 48)));
	world_walk(w, &regs, &walk);
	CHECK_WALK(&walk, NULL, { function_at(LEAF, 3), TRUST_CONTEXT },
		   { function_at(START, 48), TRUST_CFI_SCAN });
}

/* A function that no rule knows, called from there: a guess, but not less. */
static void test_scan_to_trampoline(void)
{
	struct world *w = covered_world();
	struct registers regs = world_registers(function_at(NO_CFI, 8), 64);
	struct walk walk;

	put_trampoline(w);
	world_push(w, 80, function_at(TRAMPOLINE_BARE, 16));
	put_frame(w, 88, stack_at(1064), function_at(MIDDLE, 0));
	world_push(w, 1064, world_call(w, function_at(START, 32)));
	world_walk(w, &regs, &walk);
	CHECK_WALK(&walk, NULL, { function_at(NO_CFI, 8), TRUST_CONTEXT },
		   { function_at(TRAMPOLINE_BARE, 16), TRUST_SCAN },
		   { function_at(MIDDLE, 0), TRUST_SCAN },
		   { function_at(START, 32), TRUST_CFI_SCAN });
}

/* A context that restores itself would go round for ever. */
static void test_signal_circle(void)
{
	struct world *w = usual_world();
	struct registers regs = world_registers(function_at(LEAF, 3), 64);
	struct unwind *unwind = world_unwind(w, -1, -1);
	static struct frame frames[1024];
	struct unwind_result result;

	put_trampoline(w);
	world_push(w, 64, function_at(TRAMPOLINE_BARE, 16));
	put_frame(w, 72, stack_at(64), function_at(LEAF, 3));
	unwind_thread(unwind, &regs, frames, 1024, &result);
	CHECK(result.depth < 1024);
	CHECK(result.truncated != NULL);
	unwind_free(unwind);
}

static void test_bad_call(void)
{
	static const uint64_t targets[] = {
		0, 0x10, 0xdeadbeef0000, WORLD_STACK, UINT64_MAX,
	};

	for (size_t i = 0; i < sizeof(targets) / sizeof(targets[0]); i++) {
		struct world *w = usual_world();
		struct registers regs = world_registers(targets[i], 64);
		struct walk walk;

		regs.value[R_RBP] = stack_at(128);
		world_push(w, 64, main_frame(w, 96));
		world_walk(w, &regs, &walk);
		CHECK_WALK(&walk, NULL, { targets[i], TRUST_CONTEXT },
			   { function_at(MAIN, 64), TRUST_LEAF },
			   { function_at(START, 32), TRUST_CFI });
	}
}

/* A jump, not a call: the word on top is no return address. */
static void test_bad_jump(void)
{
	struct world *w = usual_world();
	struct registers regs = world_registers(0, 64);
	struct walk walk;

	world_push(w, 64, function_at(MIDDLE, 40)); /* no call before it */
	world_push(w, 80, world_call(w, function_at(MIDDLE, 80)));
	world_push(w, 104, world_call(w, function_at(START, 32)));
	regs.value[R_RBP] = 1;
	world_walk(w, &regs, &walk);
	CHECK_WALK(&walk, NULL, { 0, TRUST_CONTEXT },
		   { function_at(MIDDLE, 80), TRUST_CFI_SCAN },
		   { function_at(START, 32), TRUST_CFI_SCAN });
}

static void test_frame_pointer(void)
{
	struct world *w = usual_world();
	struct registers regs = world_registers(function_at(NO_CFI, 8), 64);
	struct walk walk;

	world_push(w, 64, function_at(MIDDLE, 41)); /* not after a call */
	regs.value[R_RBP] = stack_at(96);
	world_push(w, 96, stack_at(160));
	world_push(w, 104, world_call(w, function_at(NO_CFI_EITHER, 48)));
	world_push(w, 160, 0);
	world_push(w, 168, world_call(w, function_at(START, 32)));
	world_walk(w, &regs, &walk);
	CHECK_WALK(&walk, NULL, { function_at(NO_CFI, 8), TRUST_CONTEXT },
		   { function_at(NO_CFI_EITHER, 48), TRUST_FRAME_POINTER },
		   { function_at(START, 32), TRUST_FRAME_POINTER });
}

/* Not called, but made to look so: what has faulted in Go, under sigpanic. It
 * is believed where a call lies behind the frame after it, and as a guess. */
static void test_injected(void)
{
	for (int is_called = 0; is_called < 2; is_called++) {
		struct world *w = usual_world();
		struct registers regs =
			world_registers(function_at(NO_CFI, 8), 64);
		struct walk walk;

		regs.value[R_RBP] = stack_at(96);
		world_push(w, 96, stack_at(1000));
		world_push(w, 104, function_at(NO_CFI_EITHER, 48));
		world_push(w, 1000, 0);
		world_push(w, 1008, is_called ?
			   world_call(w, function_at(START, 32)) :
			   function_at(START, 32));
		world_walk(w, &regs, &walk);
		if (!is_called) {
			CHECK_NUMBER(walk.result.nframes, 1);
			continue;
		}
		CHECK_WALK(&walk, NULL,
			   { function_at(NO_CFI, 8), TRUST_CONTEXT },
			   { function_at(NO_CFI_EITHER, 48), TRUST_SCAN },
			   { function_at(START, 32), TRUST_FRAME_POINTER });
	}
}

/* rbp as data: odd, below rsp, far away, or at a word that is no return
 * address. Then there is no caller, and none is invented. */
static void test_bad_frame_pointer(void)
{
	const uint64_t values[] = {
		stack_at(97), stack_at(56), WORLD_STACK + (4 << 20),
		stack_at(96), 5,
	};

	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		struct world *w = usual_world();
		struct registers regs =
			world_registers(function_at(NO_CFI, 8), 64);
		struct walk walk;

		regs.value[R_RBP] = values[i];
		world_push(w, 96, stack_at(160));
		world_push(w, 104, function_at(MIDDLE, 41));
		world_walk(w, &regs, &walk);
		CHECK_WALK(&walk, "no rule finds a caller",
			   { function_at(NO_CFI, 8), TRUST_CONTEXT });
	}
}

/* A return address that was written over: the walk goes on where it can, and
 * says that it is guessing. */
static void test_smashed_stack(void)
{
	struct world *w = usual_world();
	struct registers regs = world_registers(function_at(MIDDLE, 40), 64);
	struct walk walk;

	memset(w->stack + 64, 'A', 64);
	world_push(w, 136, world_call(w, function_at(MIDDLE, 80)));
	world_push(w, 160, world_call(w, function_at(START, 32)));
	world_walk(w, &regs, &walk);
	CHECK_WALK(&walk, NULL, { function_at(MIDDLE, 40), TRUST_CONTEXT },
		   { function_at(MIDDLE, 80), TRUST_CFI_SCAN },
		   { function_at(START, 32), TRUST_CFI_SCAN });
	CHECK(walk.frames[0].corrupt_ra);
	CHECK(!walk.frames[1].corrupt_ra);
}

static void test_smashed_for_good(void)
{
	struct world *w = usual_world();
	struct registers regs = world_registers(function_at(MIDDLE, 40), 64);
	struct walk walk;

	memset(w->stack, 'A', sizeof(w->stack));
	world_walk(w, &regs, &walk);
	CHECK_WALK(&walk, "corrupt return address",
		   { function_at(MIDDLE, 40), TRUST_CONTEXT });
	CHECK(walk.frames[0].corrupt_ra);
}

/* A word that may be a return address, N words from the crash. */
static size_t scan_frames(struct world *w, int number, size_t n)
{
	struct registers regs = world_registers(function_at(NO_CFI, 8), 0);
	struct walk walk;

	world_push(w, n * 8, world_call(w, function_at(number, 48)));
	world_push(w, n * 8 + 24, world_call(w, function_at(START, 32)));
	world_walk(w, &regs, &walk);
	return walk.result.nframes;
}

/* Scanning looks at 160 words, and takes none whose code should have CFI. */
static void test_scan_limits(void)
{
	CHECK_NUMBER(scan_frames(covered_world(), MIDDLE, 159), 3);
	CHECK_NUMBER(scan_frames(covered_world(), MIDDLE, 160), 1);
	CHECK_NUMBER(scan_frames(covered_world(), NO_CFI, 157), 1);
	CHECK_NUMBER(scan_frames(usual_world(), NO_CFI, 157), 3);
}

/* Executable memory in no module, as a JIT compiler makes it. */
static void test_jit(void)
{
	struct world *w = usual_world();
	struct registers regs = world_registers(0x900010, 64);
	struct walk walk;

	regs.value[R_RBP] = stack_at(96);
	world_push(w, 96, stack_at(160));
	world_push(w, 104, 0x900110);
	world_push(w, 160, 0);
	world_push(w, 168, world_call(w, function_at(START, 32)));
	world_walk(w, &regs, &walk);
	CHECK_WALK(&walk, NULL, { 0x900010, TRUST_CONTEXT },
		   { 0x900110, TRUST_FRAME_POINTER },
		   { function_at(START, 32), TRUST_FRAME_POINTER });
	CHECK_NUMBER(walk.frames[0].module, -1);
	CHECK_NUMBER(walk.frames[0].offset, 0);
}

static void test_no_progress(void)
{
	struct world *w = usual_world();
	struct registers regs = world_registers(function_at(STUCK, 8), 64);
	struct walk walk;

	world_walk(w, &regs, &walk);
	CHECK_WALK(&walk, "the stack pointer does not advance",
		   { function_at(STUCK, 8), TRUST_CONTEXT });
}

static void test_end_marks(void)
{
	for (uint64_t mark = 0; mark < 4096; mark += 4095) {
		struct world *w = usual_world();
		struct registers regs =
			world_registers(function_at(LEAF, 3), 64);
		struct walk walk;

		world_push(w, 64, mark);
		world_walk(w, &regs, &walk);
		CHECK_WALK(&walk, NULL,
			   { function_at(LEAF, 3), TRUST_CONTEXT });
	}
}

static void test_cut_stack(void)
{
	struct world *w = usual_world();
	struct registers regs = world_registers(function_at(MIDDLE, 40),
						WORLD_STACK_LEN - 16);
	struct walk walk;

	world_walk(w, &regs, &walk);
	CHECK_WALK(&walk, "stack memory is not readable",
		   { function_at(MIDDLE, 40), TRUST_CONTEXT });
}

static void test_no_registers(void)
{
	struct world *w = usual_world();
	struct registers regs = { .valid = 0 };
	struct walk walk;

	world_walk(w, &regs, &walk);
	CHECK_NUMBER(walk.result.nframes, 0);
	CHECK_STRING(walk.result.truncated, "no registers");
}

/* A stack that goes on for ever: every word of it returns to LEAF. */
static size_t read_endless(void *context, uint64_t address, void *to,
			   size_t len)
{
	uint64_t word = function_at(LEAF, 40);

	if (address < WORLD_STACK)
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

	world_call(w, function_at(LEAF, 40));
	for (int i = 0; i < 100; i++) {
		unwind_thread(unwind, &regs, frames, 1024, &result);
		CHECK(result.depth <= 200000 && result.depth > 0);
		CHECK(result.truncated != NULL);
		CHECK(result.depth == result.nframes || result.depth > 1024);
	}
	/* The time for all threads together is used up. */
	CHECK_STRING(result.truncated, "out of time");
	CHECK_NUMBER(result.nframes, 1);
	unwind_free(unwind);
}

static void test_both_ends(void)
{
	struct world *w = usual_world();
	struct registers regs = world_registers(function_at(LEAF, 3), 0);
	struct unwind *unwind = world_unwind(w, -1, -1);
	struct frame frames[11];
	struct unwind_result result;
	uint64_t pcs[100] = { function_at(LEAF, 3) };

	for (unsigned i = 1; i < 99; i++) {
		pcs[i] = world_call(w, function_at(LEAF, 8 + i));
		world_push(w, (i - 1) * 8, pcs[i]);
	}
	pcs[99] = world_call(w, function_at(START, 32));
	world_push(w, 98 * 8, pcs[99]);
	unwind_thread(unwind, &regs, frames, 11, &result);
	CHECK_NUMBER(result.nframes, 11);
	CHECK_NUMBER(result.depth, 100);
	CHECK_STRING(result.truncated, NULL);
	for (size_t i = 0; i < 11; i++)
		CHECK_NUMBER(frames[i].pc, pcs[i < 5 ? i : 100 - 11 + i]);
	CHECK_NUMBER(frames[9].cfa, stack_at(99 * 8));
	unwind_free(unwind);
}

static void check_usual_walk(struct world *w, struct unwind *unwind,
			     enum trust trust)
{
	struct registers regs = world_registers(function_at(LEAF, 3), 64);
	struct walk walk;

	regs.value[R_RBP] = stack_at(128);
	world_push(w, 64, world_call(w, function_at(MIDDLE, 40)));
	world_push(w, 88, main_frame(w, 96));
	unwind_thread(unwind, &regs, walk.frames, 64, &walk.result);
	CHECK_WALK(&walk, NULL, { function_at(LEAF, 3), TRUST_CONTEXT },
		   { function_at(MIDDLE, 40), trust },
		   { function_at(MAIN, 64), trust },
		   { function_at(START, 32), trust });
	unwind_free(unwind);
}

/* gold and lld put .eh_frame below its header. */
static void test_frame_before_hdr(void)
{
	static struct world w;

	world_init(&w, WORLD_FRAMES);
	add_frames(&w);
	world_finish(&w, WORLD_FRAMES + 0x800, true);
	check_usual_walk(&w, world_unwind(&w, -1, -1), TRUST_CFI);
}

static void test_no_search_table(void)
{
	static struct world w;

	world_init(&w, WORLD_FRAMES + 0x400);
	add_frames(&w);
	world_finish(&w, WORLD_FRAMES, false);
	check_usual_walk(&w, world_unwind(&w, -1, -1), TRUST_CFI);
}

static int file_of(const void *bytes, size_t len)
{
	int fd = memfd_create("elf", MFD_CLOEXEC);

	CHECK(fd >= 0 && write(fd, bytes, len) == (ssize_t)len);
	return fd;
}

/* The image is not in the memory that was kept. */
static void test_from_file(void)
{
	struct world *w = usual_world();
	int fd;

	world_call(w, function_at(MIDDLE, 40));
	main_frame(w, 96);
	fd = file_of(w->image, sizeof(w->image));
	w->image_len = 0;
	/* world_call() still writes to w->image, which nobody reads. */
	check_usual_walk(w, world_unwind(w, fd, -1), TRUST_CFI);
	close(fd);
}

/* The world's .eh_frame made into a .debug_frame section of a debug file:
 * absolute addresses, CIEs by offset, no augmentation. */
static size_t write_debug_frame(uint8_t *out)
{
	static const uint8_t cie[] = {
		16, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 3, '\0', 1, 0x78, R_RIP,
		DW_CFA_def_cfa, R_RSP, 8, DW_CFA_offset | R_RIP, 1, 0, 0,
	};
	static const uint8_t programs[][8] = {
		[START] = { DW_CFA_undefined, R_RIP },
		[MAIN] = { DW_CFA_def_cfa, R_RBP, 16, DW_CFA_offset | R_RBP,
			   2 },
		[MIDDLE] = { DW_CFA_def_cfa_offset, 24 },
		[LEAF] = { DW_CFA_nop },
	};
	size_t at = sizeof(cie);

	memcpy(out, cie, sizeof(cie));
	for (int i = START; i <= LEAF; i++) {
		uint32_t head[2] = { 4 + 16 + 8, 0 };
		uint64_t range[2] = { function_at(i, 0), WORLD_FUNCTION };

		memcpy(out + at, head, 8);
		memcpy(out + at + 8, range, 16);
		memcpy(out + at + 24, programs[i], 8);
		at += 32;
	}
	return at;
}

static int debug_file(void)
{
	static uint8_t file[0x1000];
	static const char names[] = "\0.debug_frame\0.shstrtab";
	size_t len = write_debug_frame(file + 0x200);
	Elf64_Shdr sections[3] = {
		[1] = { .sh_name = 1, .sh_type = SHT_PROGBITS,
			.sh_offset = 0x200, .sh_size = len,
			.sh_addralign = 1 },
		[2] = { .sh_name = 14, .sh_type = SHT_STRTAB,
			.sh_offset = 0x180, .sh_size = sizeof(names),
			.sh_addralign = 1 },
	};
	struct world *w = usual_world();
	Elf64_Ehdr ehdr;

	memcpy(file, w->image, 0x180);
	memcpy(&ehdr, file, sizeof(ehdr));
	ehdr.e_phnum = 1;
	ehdr.e_shoff = 0x400;
	ehdr.e_shnum = 3;
	ehdr.e_shentsize = sizeof(Elf64_Shdr);
	ehdr.e_shstrndx = 2;
	memcpy(file, &ehdr, sizeof(ehdr));
	memcpy(file + 0x180, names, sizeof(names));
	memcpy(file + 0x400, sections, sizeof(sections));
	return file_of(file, 0x600);
}

static void test_debug_frame(void)
{
	int fd = debug_file();
	struct world *w = usual_world();

	/* No PT_GNU_EH_FRAME in memory. */
	world_headers(w, false);
	check_usual_walk(w, world_unwind(w, -1, fd), TRUST_CFI_DEBUG);
	close(fd);
}

/* Where both are there, .eh_frame counts. */
static void test_debug_frame_second(void)
{
	int fd = debug_file();
	struct world *w = usual_world();

	check_usual_walk(w, world_unwind(w, -1, fd), TRUST_CFI);
	close(fd);
}

static void test_tour(void)
{
	struct world *w = usual_world();
	struct registers regs;
	struct walk walk;

	tour(w, &regs);
	world_walk(w, &regs, &walk);
	CHECK_WALK(&walk, NULL, { function_at(LEAF, 3), TRUST_CONTEXT },
		   { function_at(MIDDLE, 40), TRUST_CFI },
		   { function_at(TRAMPOLINE, 1), TRUST_CFI },
		   { function_at(PLT, 11), TRUST_SIGFRAME },
		   { function_at(MIDDLE, 80), TRUST_PLT },
		   { function_at(MAIN, 64), TRUST_CFI },
		   { function_at(START, 32), TRUST_CFI });
}

static const struct test tests[] = {
	{ "CFI leads to the outermost frame", test_cfi },
	{ "and to what registers were kept on the way", test_registers },
	{ "at a function's first byte its caller is on top",
	  test_first_instruction },
	{ "a call that is a function's last instruction finds its own row",
	  test_noreturn_call },
	{ "a PLT stub is left by the expression of its CFA", test_plt },
	{ "and, where there is no CFI, by its bytes", test_bare_plt },
	{ "every encoding of a call is known", test_calls },
	{ "what is no call makes no return address", test_not_calls },
	{ "a signal frame leads to the very instruction", test_signal_frame },
	{ "a trampoline without CFI is known by its bytes",
	  test_bare_trampoline },
	{ "without a signal frame it is what sigaction has left",
	  test_stale_trampoline },
	{ "scanning finds it", test_scan_to_trampoline },
	{ "a signal frame that restores itself ends the walk",
	  test_signal_circle },
	{ "a call to nowhere has its caller on top", test_bad_call },
	{ "a jump to nowhere does not", test_bad_jump },
	{ "frame pointers lead on where there is no table",
	  test_frame_pointer },
	{ "a frame that nobody called is one if the next is", test_injected },
	{ "a register that is no frame pointer is not used as one",
	  test_bad_frame_pointer },
	{ "beyond an overwritten return address frames are guesses",
	  test_smashed_stack },
	{ "with nothing left to guess from the walk says so",
	  test_smashed_for_good },
	{ "scanning has limits", test_scan_limits },
	{ "code in no module is walked by frame pointer", test_jit },
	{ "a CFA that does not advance ends the walk", test_no_progress },
	{ "a return address below 4096 is the end", test_end_marks },
	{ "a stack that was cut off is said to be", test_cut_stack },
	{ "no registers, no frames", test_no_registers },
	{ "a stack without end is walked for a while, all threads together",
	  test_endless },
	{ "of a deep stack both ends and the depth are kept",
	  test_both_ends },
	{ ".eh_frame may lie before its header", test_frame_before_hdr },
	{ "without a search table the section is read through",
	  test_no_search_table },
	{ "a file serves where memory has not got the tables",
	  test_from_file },
	{ ".debug_frame serves where there is no .eh_frame",
	  test_debug_frame },
	{ ".eh_frame goes before .debug_frame", test_debug_frame_second },
	{ "all kinds of frames in one stack", test_tour },
};

int main(void)
{
	return TEST_RUN(tests);
}
