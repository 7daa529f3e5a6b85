/* The order of what a symbol file of Breakpad's says. Runs in the process that
 * can be lost; the records may come in any order and overlap as they like. */
#include "symorder.h"

#include <string.h>

#include "array.h"

static int order(uint32_t a, uint32_t b)
{
	return a < b ? -1 : a > b;
}

/* Records begin with what they are looked up by: an address, or a number. */
static uint32_t key(const void *record)
{
	uint32_t value;

	memcpy(&value, record, sizeof(value));
	return value;
}

static int compare_keys(const void *left, const void *right)
{
	return order(key(left), key(right));
}

static int compare_inlines(const void *left, const void *right)
{
	const struct sym_inline *a = left, *b = right;
	int depths = order(a->depth, b->depth);

	return depths ? depths : order(a->address, b->address);
}

/* Those that begin in another are left out, as rust-minidump does. */
static bool sort_functions(struct sym *sym)
{
	struct sym_function *all = sym->functions;
	size_t kept = 0;
	uint64_t end = 0;

	if (!array_sort(all, sym->nfunctions, sizeof(*all), compare_keys))
		return false;
	for (size_t i = 0; i < sym->nfunctions; i++) {
		if (all[i].size == 0 || all[i].address < end)
			continue;
		end = (uint64_t)all[i].address + all[i].size;
		all[kept++] = all[i];
	}
	sym->nfunctions = kept;
	return true;
}

/* *N records of SIZE bytes; the first of each key stays. */
static bool sort_firsts(void *records, size_t *n, size_t size)
{
	char *all = records;
	size_t kept = 0;

	if (!array_sort(all, *n, size, compare_keys))
		return false;
	for (size_t i = 0; i < *n; i++)
		if (kept == 0 ||
		    key(all + (kept - 1) * size) != key(all + i * size))
			memmove(all + kept++ * size, all + i * size, size);
	*n = kept;
	return true;
}

/* What belongs to FUNCTION. */
static bool sort_within(struct sym *sym, const struct sym_function *function)
{
	return (function->nlines == 0 ||
		array_sort(&sym->lines[function->line], function->nlines,
			   sizeof(*sym->lines), compare_keys)) &&
	       (function->ninlines == 0 ||
		array_sort(&sym->inlines[function->inlined],
			   function->ninlines, sizeof(*sym->inlines),
			   compare_inlines));
}

bool symorder_sort(struct sym *sym)
{
	if (!sort_firsts(sym->files, &sym->nfiles, sizeof(*sym->files)) ||
	    !sort_firsts(sym->origins, &sym->norigins, sizeof(*sym->origins)) ||
	    !sort_firsts(sym->publics, &sym->npublics, sizeof(*sym->publics)) ||
	    !sort_functions(sym))
		return false;
	for (size_t i = 0; i < sym->nfunctions; i++)
		if (!sort_within(sym, &sym->functions[i]))
			return false;
	return true;
}
