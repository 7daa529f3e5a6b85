/* Which bytes of a stack are kept, and what is blanked in them. */
#include <string.h>

#include "crash.h"

/* Words below this are counters, sizes and flags, not secrets. */
enum { SMALL_INTEGER = 4096 };

/* How far below its stack a stack pointer may lie after an overflow: as much
 * as one frame is large. */
enum { MAX_OVERSHOOT = 1 << 20 };

/* Where the useful part of the stack in MAP ends: at the argument count of the
 * main thread, above which the kernel put arguments and environment; at the
 * TCB of another, above which lies nothing that unwinds. */
static uint64_t stack_end(const struct crash *crash, const struct map *map,
			  const struct registers *registers)
{
	uint64_t sp = registers->value[R_SP];
	uint64_t argc = crash->record->main_stack_end;
	uint64_t tcb = registers->value[R_THREAD];
	uint64_t end = map->end;

	if (argc > sp && argc < end)
		end = argc;
	if ((registers->valid & REG_BIT(R_THREAD)) && tcb > sp && tcb < end)
		end = tcb;
	return end;
}

/* The mapping of the stack at SP: that which holds it, or, after an overflow,
 * the next one above. NULL if there is none to read. */
static const struct map *stack_map(const struct crash *crash, uint64_t sp)
{
	const struct map *map = maps_find(&crash->maps, sp);

	if (map && map->read)
		return map;
	for (size_t i = 0; i < crash->maps.len; i++) {
		map = &crash->maps.entries[i];
		if (map->start > sp && map->read)
			return map->start - sp <= MAX_OVERSHOOT ? map : NULL;
	}
	return NULL;
}

struct stack_window stack_window(const struct crash *crash,
				 const struct registers *registers,
				 uint64_t wanted)
{
	struct stack_window window = { 0 };
	uint64_t sp = registers->value[R_SP];
	const struct map *map = stack_map(crash, sp);
	uint64_t argc = crash->record->main_stack_end;
	uint64_t start, end;

	if (!map || !wanted || (argc >= map->start && argc <= sp &&
				sp < map->end))
		return window; /* above it is the environment */
	start = map->start;
	if (sp > start && sp - start > RED_ZONE)
		start = sp - RED_ZONE;
	end = stack_end(crash, map, registers);
	window.start = start;
	window.len = end - start;
	if (window.len <= wanted)
		return window;
	/* Too much: three quarters from the top of the stack, one from its
	 * base, where the thread came from. */
	window.len = wanted - wanted / 4;
	window.base_len = wanted / 4;
	window.base_start = end - window.base_len;
	return window;
}

/* A word that tells where the program is, or how many, but not what: its
 * address lies in code or in MAP, or it is small. */
static bool is_harmless(const struct crash *crash, uint64_t word,
			const struct map *own)
{
	const struct map *map;

	if (word < SMALL_INTEGER || word > UINT64_MAX - SMALL_INTEGER)
		return true;
	map = maps_find(&crash->maps, word);
	return map && (map->exec || map == own);
}

void stack_sanitize(const struct crash *crash, uint8_t *bytes, uint64_t start,
		    uint64_t len)
{
	const struct map *own = maps_find(&crash->maps, start);
	uint64_t word, at = (8 - (start & 7)) & 7;

	if (at > len)
		at = len;
	memset(bytes, 0, at);
	for (; at + 8 <= len; at += 8) {
		memcpy(&word, bytes + at, sizeof(word));
		if (!is_harmless(crash, word, own))
			memset(bytes + at, 0, sizeof(word));
	}
	memset(bytes + at, 0, len - at);
}

void registers_sanitize(const struct crash *crash, struct registers *registers)
{
	const struct map *own = stack_map(crash, registers->value[R_SP]);

	/* Where the pc and the stack are says nothing of what is there. */
	for (unsigned i = 0; i < REG_CFI_COUNT; i++) {
		if (i != R_SP && i != R_PC &&
		    !is_harmless(crash, registers->value[i], own))
			registers->valid &= ~REG_BIT(i);
		if (!(registers->valid & REG_BIT(i)))
			registers->value[i] = 0;
	}
}
