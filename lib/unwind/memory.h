/* The dead process's memory through a page cache: an unwinder reads many
 * words that lie close together, and each read may be a system call. */
#ifndef EPITAPH_UNWIND_MEMORY_H
#define EPITAPH_UNWIND_MEMORY_H

#include "unwind.h"

enum {
	MEMORY_PAGE = 4096,
	MEMORY_PAGES_BITS = 6,
	MEMORY_PAGES = 1 << MEMORY_PAGES_BITS, /* direct-mapped */
};

/* Spreads addresses over the 2^BITS places of a cache: code, stack and tables
 * lie at round distances from each other. Fibonacci hashing. */
static inline size_t memory_hash(uint64_t value, unsigned bits)
{
	return (size_t)(value * UINT64_C(0x9e3779b97f4a7c15) >> (64 - bits));
}

/* What one place of the cache holds. */
struct memory_page {
	uint64_t address;
	size_t len; /* readable from its start; 0 is an answer too */
};

/* The bytes lie apart from what says whose they are: to touch all of them once
 * would take 0.12 ms, as long as the walk. */
struct memory {
	unwind_read *read;
	void *context;
	struct memory_page pages[MEMORY_PAGES];
	uint8_t (*bytes)[MEMORY_PAGE];
};

/* False without memory. */
bool memory_init(struct memory *memory, unwind_read *read, void *context);
void memory_fini(struct memory *memory);

/* As unwind_read: up to LEN bytes at ADDRESS, how many from the first on. */
size_t memory_copy(struct memory *memory, uint64_t address, void *to,
		   size_t len);

/* The eight bytes at ADDRESS. False where they are not all readable. */
bool memory_u64(struct memory *memory, uint64_t address, uint64_t *value_out);

#endif
