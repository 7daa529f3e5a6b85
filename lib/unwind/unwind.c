/* The walk over a thread: steps until the end, both ends of a deep stack kept,
 * bounded in frames and time. Runs in the helper, the command line and the
 * symbolizer. Trusts nothing that comes out of the dead process. */
#include "arch.h"
#include "../report/clock.h"
#include "shstk.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

static void *copy_array(const void *from, size_t n, size_t size)
{
	void *to = calloc(n + 1, size);

	if (to && n > 0)
		memcpy(to, from, n * size);
	return to;
}

struct unwind *unwind_new(const struct unwind_module *modules, size_t nmodules,
			  const struct unwind_range *code, size_t ncode,
			  unwind_read *read, void *context)
{
	struct unwind *unwind = calloc(1, sizeof(*unwind));

	if (!unwind)
		return NULL;
	unwind->modules = copy_array(modules, nmodules, sizeof(*modules));
	unwind->code = copy_array(code, ncode, sizeof(*code));
	unwind->nmodules = nmodules;
	unwind->ncode = ncode;
	unwind->left_ms = WALK_TOTAL_MS;
	if (!unwind->modules || !unwind->code ||
	    !memory_init(&unwind->memory, read, context) ||
	    !cfi_init(&unwind->cfi, &unwind->memory, unwind->modules,
		      nmodules)) {
		memory_fini(&unwind->memory);
		free(unwind->modules);
		free(unwind->code);
		free(unwind);
		return NULL;
	}
	return unwind;
}

void unwind_free(struct unwind *unwind)
{
	if (!unwind)
		return;
	cfi_fini(&unwind->cfi);
	memory_fini(&unwind->memory);
	free(unwind->modules);
	free(unwind->code);
	free(unwind);
}

/* FRAMES with room for MAX: the first half fills once, the second is a ring
 * that holds the last ones. */
struct store {
	struct frame *frames;
	struct registers *registers; /* of the frames, and none beyond them is
	                              * wanted; or NULL */
	size_t max, head;
	uint64_t n;
};

static struct frame *store_slot(struct store *store, uint64_t i)
{
	size_t tail = store->max - store->head;

	if (i < store->head || tail == 0)
		return i < store->max ? &store->frames[i] : NULL;
	return &store->frames[store->head + (i - store->head) % tail];
}

static void store_add(struct store *store, const struct unwind *unwind,
		      const struct cursor *cursor)
{
	struct frame *frame = store_slot(store, store->n++);
	uint64_t pc = cursor->regs.value[R_PC];

	if (!frame)
		return;
	frame->pc = pc;
	frame->cfa = 0;
	frame->module = cursor->module;
	frame->offset = 0;
	if (cursor->module >= 0)
		frame->offset = pc - unwind->modules[cursor->module].base;
	frame->trust = cursor->trust;
	frame->corrupt_ra = false;
	if (store->registers)
		store->registers[frame - store->frames] = cursor->regs;
}

/* What the step from it has told about the frame that was added last. */
static void store_complete(struct store *store, uint64_t cfa, bool corrupt_ra)
{
	struct frame *frame = store_slot(store, store->n - 1);

	if (!frame)
		return;
	frame->cfa = cfa;
	frame->corrupt_ra = corrupt_ra;
}

static void reverse(struct frame *frames, size_t n)
{
	for (size_t i = 0; i < n / 2; i++) {
		struct frame swap = frames[i];

		frames[i] = frames[n - 1 - i];
		frames[n - 1 - i] = swap;
	}
}

/* Turn the ring so that its oldest frame comes first. Returns how many frames
 * there are. */
static size_t store_finish(struct store *store)
{
	size_t tail = store->max - store->head;
	size_t oldest;

	if (store->n <= store->max)
		return (size_t)store->n;
	if (tail == 0)
		return store->max;
	oldest = (size_t)((store->n - store->head) % tail);
	reverse(store->frames + store->head, oldest);
	reverse(store->frames + store->head + oldest, tail - oldest);
	reverse(store->frames + store->head, tail);
	return store->max;
}

/* The walk's own clock, which stands while the caller makes frames. */
static int64_t now_ms(const struct unwind *unwind)
{
	return clock_monotonic_ms() - unwind->cfi.waited_ms;
}

/* Returns why it stopped early, or NULL. */
static const char *walk(struct unwind *unwind, struct cursor *cursor,
			struct store *store, int64_t deadline_ms)
{
	const char *why = NULL;

	for (;;) {
		enum step_result result;
		uint64_t cfa;

		store_add(store, unwind, cursor);
		if (store->n == WALK_MAX_FRAMES)
			return "too many frames";
		if (store->n % 64 == 1 && now_ms(unwind) >= deadline_ms)
			return "out of time";
		result = shstk_step(unwind, cursor, &cfa, &why);
		store_complete(store, cfa, cursor->corrupt_ra);
		if (store->registers && store->n == store->max)
			return NULL;
		if (cursor->missed == WALK_MAX_MISSED &&
		    shstk_is_foreign(cursor))
			return NULL;
		if (result == STEP_END)
			return NULL;
		if (result == STEP_LOST)
			return why;
	}
}

/* From the thread's registers on, with its shadow stack, or without where that
 * turns out to be another's. */
static const char *walk_thread(struct unwind *unwind,
			      const struct registers *registers,
			      struct store *store, int64_t deadline_ms)
{
	struct cursor start = {
		.regs = *registers, .trust = TRUST_CONTEXT, .exact = true,
		.module = walk_module(unwind, registers->value[R_PC]),
	};
	struct cursor cursor = start;
	const char *why;

	cursor.shadow = arch_shadow(registers);
	why = walk(unwind, &cursor, store, deadline_ms);
	if (!shstk_is_foreign(&cursor))
		return why;
	store->n = 0;
	return walk(unwind, &start, store, deadline_ms);
}

static void walk_bounded(struct unwind *unwind,
			 const struct registers *registers, struct store *store,
			 struct unwind_result *result_out)
{
	const uint64_t needed = REG_BIT(R_PC) | REG_BIT(R_SP);
	int64_t may_ms = unwind->left_ms < WALK_MAX_MS ? unwind->left_ms :
							 WALK_MAX_MS;
	int64_t began_ms = now_ms(unwind);

	memset(result_out, 0, sizeof(*result_out));
	if ((registers->valid & needed) != needed) {
		result_out->truncated = "no registers";
		return;
	}
	result_out->truncated = walk_thread(unwind, registers, store,
					    began_ms + may_ms);
	unwind->left_ms -= now_ms(unwind) - began_ms;
	result_out->nframes = store_finish(store);
	result_out->depth = store->n;
}

void unwind_thread(struct unwind *unwind, const struct registers *registers,
		   struct frame *frames, size_t max,
		   struct unwind_result *result_out)
{
	struct store store = { .frames = frames, .max = max, .head = max / 2 };

	walk_bounded(unwind, registers, &store, result_out);
}

void unwind_registers(struct unwind *unwind, const struct registers *registers,
		      struct frame *frames, struct registers *each, size_t max,
		      struct unwind_result *result_out)
{
	struct store store = { .frames = frames, .registers = each,
			       .max = max, .head = max };

	walk_bounded(unwind, registers, &store, result_out);
}

uint64_t unwind_call_target(struct unwind *unwind, uint64_t address)
{
	return arch_call_target(unwind, address);
}
