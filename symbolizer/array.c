/* Arrays that grow, and sorting that keeps the order of equals: a natural
 * merge sort (Knuth, volume 3, 5.2.4, algorithm N). */
#include "array.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_CAP = 64 };

void *array_grow(void *array, size_t len, size_t *cap, size_t size)
{
	size_t more = *cap ? *cap * 2 : FIRST_CAP;

	if (len < *cap)
		return array;
	if (more > SIZE_MAX / 2 / size)
		return NULL;
	array = realloc(array, more * size);
	if (array)
		*cap = more;
	return array;
}

struct sorting {
	size_t size;
	int (*compare)(const void *left, const void *right);
};

/* Where the run that begins at item FROM of N ends. */
static size_t run_end(const struct sorting *sorting, const char *items,
		      size_t from, size_t n)
{
	size_t at = from + 1;

	while (at < n && sorting->compare(items + (at - 1) * sorting->size,
					  items + at * sorting->size) <= 0)
		at++;
	return at < n ? at : n;
}

/* The runs [LEFT, MIDDLE) and [MIDDLE, RIGHT) of FROM, as one, into TO. */
static void merge(const struct sorting *sorting, const char *from, char *to,
		  size_t left, size_t middle, size_t right)
{
	size_t size = sorting->size;
	size_t a = left, b = middle;

	for (size_t i = left; i < right; i++) {
		bool is_left = a < middle &&
			(b == right || sorting->compare(from + a * size,
							from + b * size) <= 0);

		memcpy(to + i * size, from + (is_left ? a++ : b++) * size,
		       size);
	}
}

/* One pass: pairs of runs of FROM become one each in TO. How many there are
 * then. */
static size_t pass(const struct sorting *sorting, const char *from, char *to,
		   size_t n)
{
	size_t runs = 0;

	for (size_t left = 0; left < n; runs++) {
		size_t middle = run_end(sorting, from, left, n);
		size_t right = middle < n ? run_end(sorting, from, middle, n)
					  : n;

		merge(sorting, from, to, left, middle, right);
		left = right;
	}
	return runs;
}

bool array_sort(void *items, size_t n, size_t size,
		int (*compare)(const void *left, const void *right))
{
	const struct sorting sorting = { size, compare };
	char *from = items, *to, *scratch;
	size_t runs = 2;

	if (n < 2 || run_end(&sorting, items, 0, n) == n)
		return true;
	scratch = malloc(n * size);
	if (!scratch)
		return false;
	to = scratch;
	while (runs > 1) {
		char *swap = from;

		runs = pass(&sorting, from, to, n);
		from = to;
		to = swap;
	}
	if (from == scratch)
		memcpy(items, scratch, n * size);
	free(scratch);
	return true;
}
