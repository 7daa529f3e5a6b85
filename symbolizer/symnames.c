/* Lookups in one of Breakpad's symbol files. Runs in the process that can be
 * lost; what a record refers to may not be there, and no range need lie within
 * the one that it should. */
#include "symnames.h"

#include <stdlib.h>
#include <string.h>

#include "symbolize.h"

enum { MAX_ROWS_BACK = 64 }; /* for code of line 0 */

struct symnames {
	struct sym sym;
	char *strings; /* of the levels that were asked for last */
	char *public;  /* name of the last one */
};

struct symnames *symnames_open(struct sym_file *file, struct error *err)
{
	struct symnames *names = calloc(1, sizeof(*names));

	if (names == NULL) {
		fail(err, ERR_NO_MEMORY, "no memory");
		return NULL;
	}
	if (!sym_file_parse(file, SYM_NAMES, &names->sym, err)) {
		free(names);
		return NULL;
	}
	return names;
}

void symnames_close(struct symnames *names)
{
	if (names == NULL)
		return;
	sym_free(&names->sym);
	free(names->strings);
	free(names->public);
	free(names);
}

struct sym_trouble symnames_trouble(const struct symnames *names)
{
	return names->sym.trouble;
}

/* Where things are */

/* How many of the N items of SIZE bytes, each of which begins with its address,
 * have one of ADDRESS or less. All are sorted by it. */
static size_t count_until(const void *items, size_t n, size_t size,
			  uint32_t address)
{
	const char *bytes = items;
	size_t low = 0, high = n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		uint32_t at;

		memcpy(&at, bytes + middle * size, sizeof(at));
		if (at <= address)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static bool holds(uint32_t start, uint32_t size, uint32_t address)
{
	return address >= start && address - start < size;
}

/* The last function that begins at ADDRESS or before, or NULL. */
static const struct sym_function *last_function(const struct sym *sym,
						uint32_t address)
{
	size_t n = count_until(sym->functions, sym->nfunctions,
			       sizeof(*sym->functions), address);

	return n > 0 ? &sym->functions[n - 1] : NULL;
}

/* The range of DEPTH that holds ADDRESS, or NULL; those of one depth do not
 * overlap. */
static const struct sym_inline *inline_at(const struct sym *sym,
					  const struct sym_function *function,
					  uint32_t depth, uint32_t address)
{
	const struct sym_inline *all, *last;
	size_t low = 0, high = function->ninlines;

	if (high == 0)
		return NULL;
	all = &sym->inlines[function->inlined];
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		const struct sym_inline *at = &all[middle];

		if (at->depth < depth ||
		    (at->depth == depth && at->address <= address))
			low = middle + 1;
		else
			high = middle;
	}
	if (low == 0)
		return NULL;
	last = &all[low - 1];
	return last->depth == depth && holds(last->address, last->size, address)
		       ? last : NULL;
}

/* The inlined calls at ADDRESS, outermost first, at most MAX; their number. */
static size_t find_chain(const struct sym *sym,
			 const struct sym_function *function, uint32_t address,
			 const struct sym_inline **chain, size_t max)
{
	size_t n = 0;

	while (n < max) {
		chain[n] = inline_at(sym, function, (uint32_t)n, address);
		if (chain[n] == NULL)
			break;
		n++;
	}
	return n;
}

/* Whether two addresses of FUNCTION are in the same inlined call, or both in
 * none. */
static bool are_together(const struct sym *sym,
			 const struct sym_function *function, uint32_t a,
			 uint32_t b)
{
	for (uint32_t depth = 0; depth < SYMBOLIZE_MAX_INLINES; depth++) {
		const struct sym_inline *x, *y;

		x = inline_at(sym, function, depth, a);
		y = inline_at(sym, function, depth, b);
		if (x == NULL || y == NULL)
			return x == y;
		if (x->origin != y->origin || x->call_line != y->call_line ||
		    x->call_file != y->call_file)
			return false;
	}
	return true;
}

/* The row of ADDRESS, or NULL. The compiler gives line 0 to code that is of no
 * line: then *NUMBERED_OUT is the nearest row before it, in the same function,
 * that has one. It may be NULL, or the row itself. */
static const struct sym_line *find_row(const struct sym *sym,
				       const struct sym_function *function,
				       uint32_t address,
				       const struct sym_line **numbered_out)
{
	const struct sym_line *rows, *row;
	size_t n;

	*numbered_out = NULL;
	if (function->nlines == 0)
		return NULL;
	rows = &sym->lines[function->line];
	n = count_until(rows, function->nlines, sizeof(*rows), address);
	if (n == 0)
		return NULL;
	row = &rows[n - 1];
	if (!holds(row->address, row->size, address))
		return NULL;
	for (size_t i = n; i-- > 0 && n - i <= MAX_ROWS_BACK;) {
		if (rows[i].line == 0 ||
		    (i + 1 < n && !are_together(sym, function,
						rows[i].address, address)))
			continue;
		*numbered_out = &rows[i];
		break;
	}
	return row;
}

/* What is said of it */

static struct sym_text text_of(const struct sym_entry *entries, size_t n,
			       uint32_t number)
{
	size_t last = count_until(entries, n, sizeof(*entries), number);

	if (last == 0 || entries[last - 1].number != number)
		return (struct sym_text){ 0 };
	return entries[last - 1].text;
}

/* One level before its strings are ended by a NUL. */
struct found {
	struct sym_text name, file;
	uint32_t line;
	bool approximate;
};

/* Copies of the strings of the N levels FOUND. */
static bool give_out(struct symnames *names, const struct found *found,
		     size_t n, struct level *levels)
{
	size_t len = 0;
	char *to;

	for (size_t i = 0; i < n; i++)
		len += found[i].name.len + found[i].file.len + 2;
	to = realloc(names->strings, len);
	if (to == NULL)
		return false;
	names->strings = to;
	memset(levels, 0, n * sizeof(*levels));
	for (size_t i = 0; i < n; i++) {
		struct level *level = &levels[i];

		level->function = sym_copy(&names->sym, found[i].name, &to);
		level->is_linkage = level->function != NULL;
		level->file = sym_copy(&names->sym, found[i].file, &to);
		level->line = found[i].line;
		level->approximate = found[i].approximate;
	}
	return true;
}

static void put_row(const struct sym *sym, const struct sym_function *function,
		    uint32_t address, struct found *found)
{
	const struct sym_line *numbered, *row;

	row = find_row(sym, function, address, &numbered);
	if (row == NULL)
		return;
	if (numbered == NULL)
		numbered = row;
	found->file = text_of(sym->files, sym->nfiles, numbered->file);
	found->line = numbered->line;
	found->approximate = numbered != row;
}

size_t symnames_levels(struct symnames *names, uint64_t offset,
		       struct level *levels, size_t max)
{
	const struct sym_inline *chain[SYMBOLIZE_MAX_INLINES];
	struct found found[SYMBOLIZE_MAX_INLINES] = { 0 };
	const struct sym *sym = &names->sym;
	const struct sym_function *function;
	uint32_t address = (uint32_t)offset;
	size_t n;

	function = offset <= UINT32_MAX ? last_function(sym, address) : NULL;
	if (function == NULL || max == 0 ||
	    !holds(function->address, function->size, address))
		return 0;
	if (max > SYMBOLIZE_MAX_INLINES)
		max = SYMBOLIZE_MAX_INLINES;
	n = find_chain(sym, function, address, chain, max - 1);
	put_row(sym, function, address, &found[0]);
	for (size_t i = 0; i < n; i++) {
		const struct sym_inline *inlined = chain[n - 1 - i];

		found[i].name = text_of(sym->origins, sym->norigins,
					inlined->origin);
		found[i + 1].line = inlined->call_line;
		found[i + 1].file = inlined->call_file == SYM_NO_FILE
			? found[0].file
			: text_of(sym->files, sym->nfiles, inlined->call_file);
	}
	found[n].name = function->name;
	if (!give_out(names, found, n + 1, levels))
		return 0;
	levels[n].icf = function->folded;
	return n + 1;
}

const char *symnames_public(struct symnames *names, uint64_t offset,
			    bool *icf_out)
{
	const struct sym *sym = &names->sym;
	const struct sym_function *function;
	const struct sym_public *public;
	uint32_t address = (uint32_t)offset;
	size_t n;
	char *to;

	if (offset > UINT32_MAX)
		return NULL;
	n = count_until(sym->publics, sym->npublics, sizeof(*sym->publics),
			address);
	public = n > 0 ? &sym->publics[n - 1] : NULL;
	function = last_function(sym, address);
	if (public == NULL ||
	    (function && function->address >= public->address))
		return NULL;
	to = realloc(names->public, public->name.len + 1);
	if (to == NULL)
		return NULL;
	names->public = to;
	*icf_out = public->folded;
	return sym_copy(sym, public->name, &to);
}
