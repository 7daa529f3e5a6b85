/* The report's arena, its look-ups and its names. Any process. */
#include "report.h"

#include <stdlib.h>
#include <string.h>

#include <sha2.h>

/* What a report may own in all: the bytes of a dump, which the decoder keeps
 * whole, and as much again in structures made from them. */
#define ARENA_LIMIT (2 * MAX_REPORT_BYTES)

enum {
	BLOCK_SIZE = 65536,
	ALIGNMENT = 16,
	GO_BUILD_ID = 20, /* bytes; as long as GNU ld's */
};

struct block {
	struct block *next;
	size_t used, size; /* of the bytes, which follow */
	_Alignas(ALIGNMENT) uint8_t bytes[];
};

struct arena {
	struct block *blocks; /* the newest first */
	size_t total;
};

bool report_init(struct report *report, struct error *err)
{
	struct arena *arena = calloc(1, sizeof(*arena));

	if (arena == NULL)
		return fail(err, ERR_NO_MEMORY, "no memory for a report");
	memset(report, 0, sizeof(*report));
	report->arena = arena;
	report->uptime_ms = -1;
	report->frozen_us = -1;
	report->unwind_us = -1;
	report->total_us = -1;
	return true;
}

void report_free(struct report *report)
{
	struct block *block, *next;

	if (report->arena == NULL)
		return;
	for (block = report->arena->blocks; block != NULL; block = next) {
		next = block->next;
		free(block);
	}
	free(report->arena);
	memset(report, 0, sizeof(*report));
}

static struct block *add_block(struct arena *arena, size_t size)
{
	struct block *block;

	if (size < BLOCK_SIZE)
		size = BLOCK_SIZE;
	if (size > ARENA_LIMIT - arena->total)
		return NULL;
	block = calloc(1, sizeof(*block) + size);
	if (block == NULL)
		return NULL;
	block->size = size;
	block->next = arena->blocks;
	arena->blocks = block;
	arena->total += size;
	return block;
}

void *report_alloc(struct report *report, size_t size)
{
	struct block *block = report->arena->blocks;
	void *at;

	if (size > MAX_REPORT_BYTES)
		return NULL;
	size = (size + ALIGNMENT) / ALIGNMENT * ALIGNMENT;
	if (block == NULL || size > block->size - block->used)
		block = add_block(report->arena, size);
	if (block == NULL)
		return NULL;
	at = block->bytes + block->used;
	block->used += size;
	return at;
}

void *report_copy(struct report *report, const void *bytes, size_t len)
{
	void *copy = report_alloc(report, len);

	if (copy != NULL && len > 0)
		memcpy(copy, bytes, len);
	return copy;
}

char *report_string(struct report *report, const char *text, size_t len)
{
	char *copy = NULL;

	if (len < MAX_REPORT_BYTES)
		copy = report_alloc(report, len + 1);
	if (copy != NULL && len > 0)
		memcpy(copy, text, len);
	return copy;
}

uint64_t thread_sp(const struct thread *thread)
{
	if (!(thread->registers.valid >> R_SP & 1))
		return 0;
	return thread->registers.value[R_SP];
}

const struct thread *report_crashed_thread(const struct report *report)
{
	for (size_t i = 0; i < report->nthreads; i++) {
		if (report->threads[i].crashed)
			return &report->threads[i];
	}
	return NULL;
}

int32_t report_find_module(const struct report *report, uint64_t address)
{
	size_t low = 0, high = report->nmodules;
	const struct module *m;

	/* The first module above ADDRESS; the one before it may hold it. */
	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (report->modules[middle].base <= address)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == 0)
		return -1;
	m = &report->modules[low - 1];
	return address - m->base < m->size ? (int32_t)(low - 1) : -1;
}

const struct module *report_find_unloaded(const struct report *report,
					  uint64_t address)
{
	for (size_t i = 0; i < report->nunloaded; i++) {
		const struct module *m = &report->unloaded[i];

		if (address >= m->base && address - m->base < m->size)
			return m;
	}
	return NULL;
}

int32_t report_frame_module(const struct report *report,
			    const struct frame *frame, uint64_t *offset_out)
{
	const struct module *gone;

	if (frame->module >= 0) {
		*offset_out = frame->offset;
		return frame->module;
	}
	gone = report_find_unloaded(report, frame_place(frame));
	if (gone == NULL)
		return -1;
	*offset_out = frame->pc - gone->base;
	return (int32_t)(report->nmodules + (size_t)(gone - report->unloaded));
}

size_t report_module_count(const struct report *report)
{
	return report->nmodules + report->nunloaded;
}

const struct module *report_module(const struct report *report,
				   int32_t number)
{
	if (number < 0 || (size_t)number >= report_module_count(report))
		return NULL;
	return report_is_unloaded(report, number)
		? &report->unloaded[(size_t)number - report->nmodules]
		: &report->modules[number];
}

bool report_is_unloaded(const struct report *report, int32_t number)
{
	return number >= 0 && (size_t)number >= report->nmodules;
}

const struct jit_region *report_find_jit(const struct report *report,
					 uint64_t address)
{
	for (size_t i = 0; i < report->njit; i++) {
		const struct jit_region *region = &report->jit[i];

		if (address >= region->start &&
		    address - region->start < region->size)
			return region;
	}
	return NULL;
}

bool frame_is_exact(const struct frame *frame)
{
	return frame->trust == TRUST_CONTEXT || frame->trust == TRUST_SIGFRAME;
}

uint64_t frame_place(const struct frame *frame)
{
	return frame_is_exact(frame) || frame->pc == 0 ? frame->pc
						       : frame->pc - 1;
}

static const char *const trust_names[TRUST_COUNT] = {
	[TRUST_CONTEXT] = "context",
	[TRUST_SHSTK] = "shstk",
	[TRUST_LEAF] = "leaf",
	[TRUST_CFI] = "cfi",
	[TRUST_CFI_DEBUG] = "cfi_debug",
	[TRUST_SIGFRAME] = "sigframe",
	[TRUST_PLT] = "plt",
	[TRUST_PROLOGUE] = "prologue",
	[TRUST_FRAME_POINTER] = "frame_pointer",
	[TRUST_CFI_SCAN] = "cfi_scan",
	[TRUST_SCAN] = "scan",
};

const char *trust_name(enum trust trust)
{
	return (unsigned)trust < TRUST_COUNT ? trust_names[trust] : NULL;
}

bool trust_from_name(const char *name, enum trust *trust_out)
{
	for (unsigned i = 0; i < TRUST_COUNT; i++) {
		if (strcmp(name, trust_names[i]) == 0) {
			*trust_out = (enum trust)i;
			return true;
		}
	}
	return false;
}

void build_id_format(const struct build_id *id, char *text_out)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < id->len && i < MAX_BUILD_ID; i++) {
		*text_out++ = digits[id->bytes[i] >> 4];
		*text_out++ = digits[id->bytes[i] & 15];
	}
	*text_out = '\0';
}

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

bool build_id_parse(const char *text, struct build_id *id_out)
{
	size_t len = strnlen(text, 2 * MAX_BUILD_ID + 1);
	struct build_id id = { 0 };

	if (len == 0 || len % 2 != 0 || len > 2 * MAX_BUILD_ID)
		return false;
	for (size_t i = 0; i < len; i += 2) {
		int high = hex_value(text[i]);
		int low = hex_value(text[i + 1]);

		if (high < 0 || low < 0)
			return false;
		id.bytes[id.len++] = (uint8_t)(high << 4 | low);
	}
	*id_out = id;
	return true;
}

bool build_id_equal(const struct build_id *a, const struct build_id *b)
{
	return a->len == b->len && memcmp(a->bytes, b->bytes, a->len) == 0;
}

void build_id_from_go(const void *text, size_t len, struct build_id *id_out)
{
	uint8_t hash[SHA256_DIGEST_LENGTH];
	SHA2_CTX sha;

	id_out->len = 0;
	if (len == 0)
		return;
	SHA256Init(&sha);
	SHA256Update(&sha, text, len);
	SHA256Final(hash, &sha);
	id_out->len = GO_BUILD_ID;
	memcpy(id_out->bytes, hash, GO_BUILD_ID);
}
