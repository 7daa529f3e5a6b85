/* Arrays that grow, and sorting that keeps the order of equals. Sorting merges
 * all runs that are in order already at once, with a heap of them (Knuth,
 * volume 3, 5.4.1), and takes from each as much as comes before the next one's
 * first: tables of addresses have few runs, which lie in each other in large
 * pieces. */
#include "array.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_CAP = 64 };

void *array_double(void *array, size_t *cap, size_t size)
{
	size_t more = *cap ? *cap * 2 : FIRST_CAP;

	if (more > SIZE_MAX / 2 / size)
		return NULL;
	array = realloc(array, more * size);
	if (array)
		*cap = more;
	return array;
}

/* Items that are in order: what is left of them. */
struct run {
	const char *at, *end;
};

struct sorting {
	size_t size;
	int (*compare)(const void *left, const void *right);
	struct run *runs; /* a heap: the one whose first comes first is [0] */
	size_t nruns, cap;
};

/* Of equals the one that lies before the other; so do runs. */
static bool is_before(const struct sorting *sorting, const char *a,
		      const char *b)
{
	int order = sorting->compare(a, b);

	return order < 0 || (order == 0 && a < b);
}

/* Where the run that begins at AT ends. */
static const char *run_end(const struct sorting *sorting, const char *at,
			   const char *end)
{
	const char *next = at + sorting->size;

	while (next < end &&
	       sorting->compare(next - sorting->size, next) <= 0)
		next += sorting->size;
	return next;
}

static bool find_runs(struct sorting *sorting, const char *at,
		      const char *end)
{
	while (at < end) {
		struct run *more = array_grow(sorting->runs, sorting->nruns,
					      &sorting->cap, sizeof(*more));

		if (!more)
			return false;
		sorting->runs = more;
		more += sorting->nruns++;
		*more = (struct run){ at, run_end(sorting, at, end) };
		at = more->end;
	}
	return true;
}

/* Of the two runs below number I of the heap the one that comes first. */
static size_t child_of(const struct sorting *sorting, size_t i)
{
	const struct run *runs = sorting->runs;
	size_t child = 2 * i + 1;

	return child + 1 < sorting->nruns &&
	       is_before(sorting, runs[child + 1].at, runs[child].at)
		       ? child + 1 : child;
}

static void sink(struct sorting *sorting, size_t i)
{
	struct run *runs = sorting->runs;
	size_t child;

	while ((child = child_of(sorting, i)) < sorting->nruns &&
	       is_before(sorting, runs[child].at, runs[i].at)) {
		struct run swap = runs[i];

		runs[i] = runs[child];
		runs[child] = swap;
		i = child;
	}
}

/* The bytes of RUN, whose first is, that are before RIVAL: by steps that
 * double, and then by halves. */
static size_t count_before(const struct sorting *sorting,
			   const struct run *run, const char *rival)
{
	size_t n = (size_t)(run->end - run->at) / sorting->size;
	size_t low = 1, high = 2;

	while (high < n &&
	       is_before(sorting, run->at + high * sorting->size, rival)) {
		low = high + 1;
		high *= 2;
	}
	high = high < n ? high : n;
	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (is_before(sorting, run->at + middle * sorting->size,
			      rival))
			low = middle + 1;
		else
			high = middle;
	}
	return low * sorting->size;
}

static void merge(struct sorting *sorting, char *to)
{
	struct run *top = sorting->runs;

	for (size_t i = sorting->nruns / 2; i-- > 0;)
		sink(sorting, i);
	while (sorting->nruns > 1) {
		const char *rival = sorting->runs[child_of(sorting, 0)].at;
		size_t len = count_before(sorting, top, rival);

		memcpy(to, top->at, len);
		to += len;
		top->at += len;
		if (top->at == top->end)
			*top = sorting->runs[--sorting->nruns];
		sink(sorting, 0);
	}
	memcpy(to, top->at, (size_t)(top->end - top->at));
}

bool array_sort(void *items, size_t n, size_t size,
		int (*compare)(const void *left, const void *right))
{
	struct sorting sorting = { .size = size, .compare = compare };
	const char *at = items, *end;
	char *sorted;

	if (n < 2)
		return true; /* ITEMS may be NULL */
	end = at + n * size;
	if (run_end(&sorting, at, end) == end)
		return true;
	sorted = malloc(n * size);
	if (!sorted || !find_runs(&sorting, at, end)) {
		free(sorted);
		free(sorting.runs);
		return false;
	}
	merge(&sorting, sorted);
	memcpy(items, sorted, n * size);
	free(sorted);
	free(sorting.runs);
	return true;
}
