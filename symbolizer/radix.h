/* Sorting by addresses: items that begin with a uint64_t, a byte of it a pass,
 * but for bytes that are the same in all (Knuth, volume 3, 5.2.5). Equals keep
 * their order. Inline, so that the size of an item is a constant. */
#ifndef EPITAPH_SYMBOLIZER_RADIX_H
#define EPITAPH_SYMBOLIZER_RADIX_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum { RADIX = 256 };

static inline uint64_t radix_key(const void *items, size_t i, size_t size)
{
	uint64_t key;

	memcpy(&key, (const char *)items + i * size, sizeof(key));
	return key;
}

/* Move N items from FROM to TO, in the order of the byte at SHIFT. */
static inline void radix_pass(const void *from, void *to, size_t n,
			      size_t size, unsigned shift)
{
	size_t starts[RADIX] = { 0 }, at = 0;

	for (size_t i = 0; i < n; i++)
		starts[radix_key(from, i, size) >> shift & (RADIX - 1)]++;
	for (size_t i = 0; i < RADIX; i++) {
		size_t len = starts[i];

		starts[i] = at;
		at += len;
	}
	for (size_t i = 0; i < n; i++) {
		size_t byte = radix_key(from, i, size) >> shift & (RADIX - 1);

		memcpy((char *)to + starts[byte]++ * size,
		       (const char *)from + i * size, size);
	}
}

/* Sort N ITEMS of SIZE bytes; SCRATCH has room for as many. */
static inline void radix_sort(void *items, void *scratch, size_t n,
			      size_t size)
{
	void *from = items, *to = scratch;
	uint64_t all = UINT64_MAX, any = 0;

	for (size_t i = 0; i < n; i++) {
		all &= radix_key(items, i, size);
		any |= radix_key(items, i, size);
	}
	for (unsigned shift = 0; shift < 64; shift += 8) {
		void *swap = from;

		if (((all ^ any) >> shift & (RADIX - 1)) == 0)
			continue;
		radix_pass(from, to, n, size, shift);
		from = to;
		to = swap;
	}
	if (from != items)
		memcpy(items, from, n * size);
}

#endif
