/* From a symbol file of Breakpad's to rows. Runs in the process that can be
 * lost; what a record refers to may not be there, and no range need lie within
 * the one that it should.
 *
 * The edges of a function's lines and of what was inlined into it cut it into
 * cells, and each is told of by the line and the innermost call that it is
 * in. */
#include "from_sym.h"

#include <stdlib.h>
#include <string.h>

#include "../array.h"

enum { MAX_DEPTH = 255 }; /* of inlined calls: so many levels can be shown */

/* A function, or a call that was inlined, as it was told of last. */
struct place {
	uint32_t parent, scope; /* in the build; 0: not told yet */
	uint32_t file, line;    /* last line of its own code; 0: none yet */
};

struct work {
	struct build *build;
	const struct sym *sym;
	uint64_t base;
	const struct sym_function *function; /* that is being told of */
	struct place place;   /* of it */
	struct place *calls;  /* by number */
	uint32_t *files;      /* in the build, of each of the file's; */
	                      /* UINT32_MAX: not told yet */
	uint64_t *edges;      /* of the function's cells */
	size_t nedges, edges_cap;
	char text[MAX_STRING + 1];
};

/* TEXT, ended by a NUL; it stays until the next call. */
static const char *end_text(struct work *work, struct sym_text text)
{
	char *to = work->text;

	return sym_copy(work->sym, text, &to) ? work->text : "";
}

/* The function that TEXT names. */
static uint32_t function_of(struct work *work, struct sym_text text,
			    bool folded)
{
	const char *name = end_text(work, text);

	if (strcmp(name, SYM_NO_NAME) == 0)
		name = "";
	return build_function(work->build, name,
			      BUILD_LINKAGE | (folded ? BUILD_FOLDED : 0));
}

/* The entry with NUMBER, or NULL. */
static const struct sym_entry *find_entry(const struct sym_entry *entries,
					  size_t n, uint32_t number)
{
	size_t low = 0, high = n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (entries[middle].number <= number)
			low = middle + 1;
		else
			high = middle;
	}
	return low > 0 && entries[low - 1].number == number ? &entries[low - 1]
							    : NULL;
}

static uint32_t file_of(struct work *work, uint32_t number)
{
	const struct sym *sym = work->sym;
	const struct sym_entry *entry = find_entry(sym->files, sym->nfiles,
						   number);
	uint32_t *file;

	if (!entry)
		return 0;
	file = &work->files[entry - sym->files];
	if (*file == UINT32_MAX)
		*file = build_file(work->build, end_text(work, entry->text));
	return *file;
}

static uint32_t origin_of(struct work *work, uint32_t number)
{
	const struct sym *sym = work->sym;
	const struct sym_entry *entry = find_entry(sym->origins, sym->norigins,
						   number);

	return entry ? function_of(work, entry->text, false) : 0;
}

/* Calls */

static bool holds(uint32_t start, uint32_t size, uint64_t address)
{
	return address >= start && address - start < size;
}

/* The range of DEPTH that holds ADDRESS, or NULL; those of one depth do not
 * overlap. */
static const struct sym_inline *inline_at(const struct work *work,
					  uint32_t depth, uint64_t address)
{
	const struct sym_inline *all, *last;
	size_t low = 0, high = work->function->ninlines;

	if (high == 0)
		return NULL;
	all = &work->sym->inlines[work->function->inlined];
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

/* FILE is that of the line, for an old record that does not say where it
 * calls. */
static void tell_call(struct work *work, struct place *call, uint32_t parent,
		      const struct sym_inline *inlined, uint32_t file)
{
	if (inlined->call_file != SYM_NO_FILE)
		file = file_of(work, inlined->call_file);
	*call = (struct place){
		.parent = parent,
		.scope = build_inlined(work->build, parent,
				       origin_of(work, inlined->origin), file,
				       inlined->call_line),
	};
}

/* The innermost call at ADDRESS, or the function itself. */
static struct place *place_at(struct work *work, uint64_t address,
			      uint32_t file)
{
	struct place *place = &work->place;

	for (uint32_t depth = 0; depth < MAX_DEPTH; depth++) {
		const struct sym_inline *inlined = inline_at(work, depth,
							     address);
		struct place *call;

		if (!inlined)
			break;
		call = &work->calls[inlined->call];
		if (call->scope == 0 || call->parent != place->scope)
			tell_call(work, call, place->scope, inlined, file);
		place = call;
	}
	return place;
}

/* Functions */

static uint64_t *put_edges(const struct work *work, uint64_t *to,
			   uint32_t address, uint32_t size)
{
	uint64_t start = work->function->address;
	uint64_t end = start + work->function->size;
	const uint64_t edges[] = { address, (uint64_t)address + size };

	for (size_t i = 0; i < 2; i++)
		if (edges[i] > start && edges[i] < end)
			*to++ = edges[i];
	return to;
}

static int by_value(const void *left, const void *right)
{
	const uint64_t *a = left, *b = right;

	return *a < *b ? -1 : *a > *b;
}

static bool find_edges(struct work *work)
{
	const struct sym_function *function = work->function;
	const struct sym_line *lines = work->sym->lines;
	const struct sym_inline *inlines = work->sym->inlines;
	size_t most = 2 + 2 * ((size_t)function->nlines + function->ninlines);
	uint64_t *to;

	if (most > work->edges_cap) {
		free(work->edges);
		work->edges_cap = 2 * most;
		work->edges = malloc(work->edges_cap * sizeof(*work->edges));
	}
	if (!work->edges) {
		work->edges_cap = 0;
		return false;
	}
	to = work->edges;
	*to++ = function->address;
	for (size_t i = 0; i < function->nlines; i++) {
		const struct sym_line *line = &lines[function->line + i];

		to = put_edges(work, to, line->address, line->size);
	}
	for (size_t i = 0; i < function->ninlines; i++) {
		const struct sym_inline *at = &inlines[function->inlined + i];

		to = put_edges(work, to, at->address, at->size);
	}
	*to++ = (uint64_t)function->address + function->size;
	work->nedges = (size_t)(to - work->edges);
	return array_sort(work->edges, work->nedges, sizeof(*work->edges),
			  by_value);
}

/* What is between START and END, where LINE is, or none. The compiler gives
 * line 0 to code that is of no line: it gets the one before it in the same
 * call. */
static void tell_cell(struct work *work, uint64_t start, uint64_t end,
		      const struct sym_line *line)
{
	struct build_row row = {
		.start = work->base + start, .len = (uint32_t)(end - start),
	};
	struct place *place;

	if (line)
		row.file = file_of(work, line->file);
	place = place_at(work, start, row.file);
	row.scope = place->scope;
	if (line && line->line > 0 && line->line < BUILD_APPROXIMATE) {
		place->file = row.file;
		place->line = row.line = line->line;
	} else if (line && place->line > 0) {
		row.file = place->file;
		row.line = place->line | BUILD_APPROXIMATE;
	}
	build_add(work->build, &row);
}

static void tell_cells(struct work *work)
{
	const struct sym_function *function = work->function;
	const struct sym_line *lines = NULL;
	size_t n = 0; /* of the lines, that begin there or before */

	if (function->nlines > 0)
		lines = &work->sym->lines[function->line];
	for (size_t i = 0; i + 1 < work->nedges; i++) {
		uint64_t start = work->edges[i], end = work->edges[i + 1];
		bool has_line;

		if (start == end)
			continue;
		while (n < function->nlines && lines[n].address <= start)
			n++;
		has_line = n > 0 && holds(lines[n - 1].address,
					  lines[n - 1].size, start);
		tell_cell(work, start, end, has_line ? &lines[n - 1] : NULL);
	}
}

static void tell_function(struct work *work,
			  const struct sym_function *function)
{
	uint32_t number = function_of(work, function->name, function->folded);

	work->function = function;
	work->place = (struct place){
		.scope = build_scope(work->build, number,
				     work->base + function->address),
	};
	if (find_edges(work))
		tell_cells(work);
}

/* Each goes on to the next one, or to a function. */
static void tell_publics(struct work *work)
{
	const struct sym *sym = work->sym;
	size_t next = 0;

	for (size_t i = 0; i < sym->npublics; i++) {
		const struct sym_public *public = &sym->publics[i];
		uint64_t end = UINT64_MAX - work->base;

		while (next < sym->nfunctions &&
		       sym->functions[next].address < public->address)
			next++;
		if (i + 1 < sym->npublics)
			end = sym->publics[i + 1].address;
		if (next < sym->nfunctions &&
		    sym->functions[next].address < end)
			end = sym->functions[next].address;
		if (end > public->address)
			build_public(work->build, work->base + public->address,
				     work->base + end,
				     end_text(work, public->name),
				     public->folded);
	}
}

void from_sym(const struct sym *sym, uint64_t base, struct build *build)
{
	struct work *work = calloc(1, sizeof(*work));

	if (!work)
		return;
	work->build = build;
	work->sym = sym;
	work->base = base;
	work->calls = calloc(sym->ncalls + 1, sizeof(*work->calls));
	work->files = malloc((sym->nfiles + 1) * sizeof(*work->files));
	if (work->calls && work->files) {
		memset(work->files, 0xff, sym->nfiles * sizeof(*work->files));
		for (size_t i = 0; i < sym->nfunctions; i++)
			tell_function(work, &sym->functions[i]);
		tell_publics(work);
	}
	free(work->calls);
	free(work->files);
	free(work->edges);
	free(work);
}
