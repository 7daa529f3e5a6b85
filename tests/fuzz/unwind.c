/* libFuzzer's way into the unwinder: two lengths, ELF headers, unwind tables
 * and a stack, in a world whose code has calls and a signal trampoline. With
 * the highest bit of the first length the stack's upper half is the shadow
 * stack. */
#include "../unit/world.h"
#include "fuzz.h"

#include <stdlib.h>

enum { FUZZ_HEAD = 4, FUZZ_HEADERS = 0x400 };

static void add_code(struct world *w)
{
	static const uint8_t sigreturn[] = {
		0x48, 0xc7, 0xc0, 0x0f, 0, 0, 0, 0x0f, 0x05,
	};

	for (int i = 0; i < 16; i++)
		world_call(w, function_at(i, 64));
	world_code(w, function_at(9, 16), sigreturn, sizeof(sigreturn));
}

/* Up to WANT bytes and at most ROOM of what is left go to TO. */
static void take(const uint8_t **data, size_t *size, void *to, size_t want,
		 size_t room)
{
	if (want > *size)
		want = *size;
	memcpy(to, *data, want < room ? want : room);
	*data += want;
	*size -= want;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct world w;
	struct registers regs;
	struct walk walk;
	size_t headers, tables;
	bool has_shadow;

	if (size < FUZZ_HEAD)
		return 0;
	headers = data[0] + 256u * (data[1] & 3);
	has_shadow = data[1] & 0x80;
	tables = data[2] + 256u * (data[3] & 15);
	data += FUZZ_HEAD;
	size -= FUZZ_HEAD;
	world_init(&w, WORLD_FRAMES);
	add_code(&w);
	take(&data, &size, w.image, headers, FUZZ_HEADERS);
	take(&data, &size, w.image + WORLD_FRAMES, tables,
	     WORLD_IMAGE - WORLD_FRAMES);
	take(&data, &size, w.stack, size, sizeof(w.stack));
	regs = world_registers(function_at(3, 3), 64);
	regs.value[R_RBP] = stack_at(640);
	regs.value[R_SSP] = has_shadow ? stack_at(WORLD_STACK_LEN / 2) : 0;
	world_walk(&w, &regs, &walk);
	if (walk.result.nframes < 1 || walk.result.nframes > 64)
		abort();
	return 0;
}
