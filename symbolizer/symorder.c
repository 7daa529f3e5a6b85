/* The order of what a symbol file of Breakpad's says. Runs in the process that
 * can be lost; the records may come in any order and overlap as they like. */
#include "symorder.h"

#include <string.h>

#include "array.h"

static int order(uint32_t a, uint32_t b)
{
	return a < b ? -1 : a > b;
}

/* Of records that begin with what they are looked up by: an address, or a
 * number. */
static int compare_keys(const void *left, const void *right)
{
	uint32_t a, b;

	memcpy(&a, left, sizeof(a));
	memcpy(&b, right, sizeof(b));
	return order(a, b);
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

static bool sort_publics(struct sym_public *all, size_t *n)
{
	size_t kept = 0;

	if (!array_sort(all, *n, sizeof(*all), compare_keys))
		return false;
	for (size_t i = 0; i < *n; i++)
		if (kept == 0 || all[kept - 1].address != all[i].address)
			all[kept++] = all[i];
	*n = kept;
	return true;
}

static bool sort_entries(struct sym_entry *all, size_t *n)
{
	size_t kept = 0;

	if (!array_sort(all, *n, sizeof(*all), compare_keys))
		return false;
	for (size_t i = 0; i < *n; i++)
		if (kept == 0 || all[kept - 1].number != all[i].number)
			all[kept++] = all[i];
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
	if (!sort_entries(sym->files, &sym->nfiles) ||
	    !sort_entries(sym->origins, &sym->norigins) ||
	    !sort_publics(sym->publics, &sym->npublics) ||
	    !sort_functions(sym))
		return false;
	for (size_t i = 0; i < sym->nfunctions; i++)
		if (!sort_within(sym, &sym->functions[i]))
			return false;
	return true;
}
