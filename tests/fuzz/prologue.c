/* libFuzzer's way into the reader of code without tables: where its function
 * is, where the walk begins in it, its bytes, and a stack that has return
 * addresses of calls to it here and there. */
#include "../unit/world.h"
#include "fuzz.h"

#include <stdlib.h>

enum {
	CODE_HEAD = 4,
	CODE_WORDS = 64, /* of the stack are not 0 */
	CODE_AT = 3,     /* number of the function that is anything, */
	CODE_BEHIND = 8, /* and of the one behind its last byte */
	CODE_MOST = (CODE_BEHIND - CODE_AT) * WORLD_FUNCTION,
};

/* Calls to the function by its address, and by a pointer. */
static void add_calls(struct world *w, uint64_t *direct_out,
		      uint64_t *indirect_out)
{
	static const uint8_t indirect[] = { 0xff, 0xd0 };
	uint64_t direct = world_call(w, function_at(CODE_BEHIND, 64));
	int32_t distance = (int32_t)(function_at(CODE_AT, 0) - direct);

	world_code(w, direct - 4, &distance, sizeof(distance));
	world_code(w, function_at(CODE_BEHIND, 94), indirect, sizeof(indirect));
	*direct_out = direct;
	*indirect_out = function_at(CODE_BEHIND, 96);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct world w;
	uint64_t direct, indirect;
	struct registers regs;
	struct walk walk;
	size_t pc, len;

	if (size < CODE_HEAD)
		return 0;
	pc = (data[0] + 256u * data[1]) % CODE_MOST;
	world_init(&w, WORLD_FRAMES);
	world_headers(&w, false);
	add_calls(&w, &direct, &indirect);
	len = size - CODE_HEAD < CODE_MOST ? size - CODE_HEAD : CODE_MOST;
	world_code(&w, function_at(CODE_AT, 0), data + CODE_HEAD, len);
	/* Each byte of the head tells of every eighth word. */
	for (size_t i = 0; i < CODE_WORDS; i++) {
		unsigned bits = data[2 + i / 8 % 2];

		world_push(&w, 8 * i, bits >> i % 8 & 1 ? direct :
				      bits & 1		? indirect : i);
	}
	regs = world_registers(function_at(CODE_AT, (unsigned)pc), 64);
	regs.value[R_RBP] = stack_at(256);
	world_walk(&w, &regs, &walk);
	if (walk.result.nframes < 1 || walk.result.nframes > 64)
		abort();
	return 0;
}
