/* The unwinder on every small mutation of a process: tables, headers, stacks.
 * Whatever it finds, it ends, and harms nothing. */
#include "usual_world.h"

#include "mutate.h"

/* Walks of the tour that found something else than it. */
static size_t other_walks;

/* Walk W, which was tampered with: any answer will do that is one. */
static void walk_tampered(struct world *w, const struct registers *regs)
{
	struct walk walk;

	world_walk(w, regs, &walk);
	CHECK(walk.result.nframes >= 1 && walk.result.nframes <= 64);
	CHECK(walk.result.depth >= walk.result.nframes);
	CHECK_NUMBER(walk.frames[0].pc, function_at(LEAF, 3));
	other_walks += walk.result.nframes != 7 ||
		       walk.frames[6].pc != function_at(START, 32);
}

static void try_tables(const uint8_t *bytes, size_t len)
{
	struct world *w = usual_world();
	struct registers regs;

	tour(w, &regs);
	memcpy(w->image + WORLD_FRAMES, bytes, len);
	w->image_len = WORLD_FRAMES + len;
	walk_tampered(w, &regs);
}

static void try_headers(const uint8_t *bytes, size_t len)
{
	struct world *w = usual_world();
	struct registers regs;

	tour(w, &regs);
	memcpy(w->image, bytes, len);
	walk_tampered(w, &regs);
}

static void try_stack(const uint8_t *bytes, size_t len)
{
	struct world *w = usual_world();
	struct registers regs;

	tour(w, &regs);
	memset(w->stack, 0, sizeof(w->stack));
	memcpy(w->stack, bytes, len);
	walk_tampered(w, &regs);
}

static void try_shadow(const uint8_t *bytes, size_t len)
{
	struct world *w = usual_world();
	struct registers regs;
	uint64_t words[6] = { 0 };

	tour(w, &regs);
	memcpy(words, bytes, len);
	put_shadow(w, &regs, words, 6);
	walk_tampered(w, &regs);
}

/* Most bits of a table matter to somebody. */
static void test_mutated_tables(void)
{
	struct world *w = usual_world();
	size_t hdr_len = 12 + 8 * w->nfdes;
	size_t len = w->end - WORLD_FRAMES;
	uint8_t bytes[WORLD_IMAGE - WORLD_FRAMES];

	memcpy(bytes, w->image + WORLD_FRAMES, len);
	other_walks = 0;
	mutate_all(bytes, hdr_len, try_tables);
	CHECK(other_walks > hdr_len);
	other_walks = 0;
	mutate_all(bytes, len, try_tables);
	CHECK(other_walks > len);
}

static void test_mutated_headers(void)
{
	struct world *w = usual_world();
	size_t len = sizeof(Elf64_Ehdr) + 2 * sizeof(Elf64_Phdr);
	uint8_t bytes[sizeof(Elf64_Ehdr) + 2 * sizeof(Elf64_Phdr)];

	memcpy(bytes, w->image, len);
	other_walks = 0;
	mutate_all(bytes, len, try_headers);
	CHECK(other_walks > len);
}

static void test_mutated_stack(void)
{
	struct world *w = usual_world();
	struct registers regs;
	uint8_t bytes[704];

	tour(w, &regs);
	memcpy(bytes, w->stack, sizeof(bytes));
	other_walks = 0;
	mutate_all(bytes, sizeof(bytes), try_stack);
	CHECK(other_walks > 100);
}

/* What is not behind a call is not believed, so nothing changes, but for a
 * token that leads two calls too far. */
static void test_mutated_shadow(void)
{
	const uint64_t words[6] = {
		function_at(MIDDLE, 40), function_at(TRAMPOLINE, 1),
		SIGNAL_TOKEN | shadow_at(3), function_at(MIDDLE, 80),
		function_at(MAIN, 64), function_at(START, 32),
	};
	uint8_t bytes[sizeof(words)];

	memcpy(bytes, words, sizeof(words));
	other_walks = 0;
	mutate_all(bytes, sizeof(bytes), try_shadow);
	CHECK_NUMBER(other_walks, 1);
}

static const struct test tests[] = {
	{ "mutated tables are walked without harm", test_mutated_tables },
	{ "mutated ELF headers are, too", test_mutated_headers },
	{ "and mutated stacks", test_mutated_stack },
	{ "and mutated shadow stacks", test_mutated_shadow },
};

int main(void)
{
	return TEST_RUN(tests);
}
