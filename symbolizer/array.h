/* Arrays that grow, and sorting that keeps the order of equals. */
#ifndef EPITAPH_SYMBOLIZER_ARRAY_H
#define EPITAPH_SYMBOLIZER_ARRAY_H

#include <stdbool.h>
#include <stddef.h>

/* Make room for twice *CAP items of SIZE bytes in ARRAY: the array, perhaps
 * moved. NULL without memory; then it is as it was. */
void *array_double(void *array, size_t *cap, size_t size);

/* The same only where there is no room for one more than LEN. */
static inline void *array_grow(void *array, size_t len, size_t *cap,
			       size_t size)
{
	return len < *cap ? array : array_double(array, cap, size);
}

/* Sort N items of SIZE bytes by merging the runs that are in order already, as
 * tables of addresses mostly are. False without memory; then they are as they
 * were. */
bool array_sort(void *items, size_t n, size_t size,
		int (*compare)(const void *left, const void *right));

#endif
