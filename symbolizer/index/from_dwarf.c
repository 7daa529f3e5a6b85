/* From DWARF to rows. Runs in the process that can be lost; trusts nothing.
 *
 * The edges of all ranges of a unit's functions and inlined calls cut its code
 * into cells. Each function is painted over its cells, and then what was
 * inlined over what it was inlined into, and over nothing else: parents come
 * first, so a cell ends up with the innermost. With the rows of the line table,
 * which are merged in, that makes one list for the unit, in order. */
#include "from_dwarf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../array.h"
#include "../dwarf/ranges.h"
#include "../radix.h"
#include "known.h"

#define SCOPE_KNOWN UINT32_MAX /* a unit before has told of it */

enum {
	MAX_ROWS_BACK = 256, /* to a line that has a number */
	CELLS_PER_EDGE = 256, /* painted, of all ranges, on average: deeper
	                       * than anything that was ever nested */
};

struct work {
	struct build *build;
	struct known known; /* functions of the units before */
	struct unit *unit;
	const struct tree *tree;
	struct lines *lines;

	uint64_t *edges, *scratch; /* of cells: cell i is [edges[i],
	                            * edges[i + 1]) */
	size_t nedges, edges_cap;
	uint32_t *cells;      /* scope of each, TREE_NONE: none */

	uint32_t *scopes;     /* number in the build, or SCOPE_KNOWN; 0: not
	                       * told yet */
	uint32_t *files;      /* the same, of the lines' files */
	size_t nfiles;

	uint64_t *origins;    /* functions that were named, by DIE */
	uint32_t *functions;  /* their numbers */
	size_t norigins;      /* places for them, a power of two */

	size_t nbroken;       /* units that cannot be read to their end */
};

/* Cells */

static size_t add_edges(uint64_t *edges, const struct span *spans, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		*edges++ = spans[i].low;
		*edges++ = spans[i].high;
	}
	return 2 * n;
}

static bool make_cells(struct work *work)
{
	const struct tree *tree = work->tree;
	size_t n = 2 * (tree->nfunctions + tree->ninlines), kept = 0;

	if (n + 1 > work->edges_cap) {
		free(work->edges);
		free(work->scratch);
		free(work->cells);
		work->edges_cap = 2 * n + 1;
		work->edges = malloc(work->edges_cap * sizeof(uint64_t));
		work->scratch = malloc(work->edges_cap * sizeof(uint64_t));
		work->cells = malloc(work->edges_cap * sizeof(uint32_t));
	}
	work->nedges = 0;
	if (!work->edges || !work->scratch || !work->cells) {
		work->edges_cap = 0;
		return false;
	}
	n = add_edges(work->edges, tree->functions, tree->nfunctions);
	n += add_edges(work->edges + n, tree->inlines, tree->ninlines);
	radix_sort(work->edges, work->scratch, n, sizeof(*work->edges));
	for (size_t i = 0; i < n; i++)
		if (kept == 0 || work->edges[i] != work->edges[kept - 1])
			work->edges[kept++] = work->edges[i];
	work->nedges = kept;
	for (size_t i = 0; i < kept; i++)
		work->cells[i] = TREE_NONE;
	return true;
}

/* The cell that begins at EDGE, which is one, or whose middle it is. */
static size_t cell_at(const struct work *work, uint64_t edge)
{
	size_t low = 0, high = work->nedges;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (work->edges[middle] <= edge)
			low = middle + 1;
		else
			high = middle;
	}
	return low - 1;
}

/* Wide ones first, since one may be nested in another; of two that are the same
 * the first counts, so it comes last. */
static int by_width(const void *left, const void *right)
{
	const struct span *a = left, *b = right;
	uint64_t a_width = a->high - a->low, b_width = b->high - b->low;

	if (a_width != b_width)
		return a_width > b_width ? -1 : 1;
	return a->scope > b->scope ? -1 : a->scope < b->scope;
}

/* A function's cells are its own; what is inlined takes those of what it is
 * inlined into. False once *LEFT cells have been looked at. */
static bool paint_span(struct work *work, const struct span *span,
		       size_t *left)
{
	uint32_t parent = work->tree->scopes[span->scope].parent;

	for (size_t at = cell_at(work, span->low); work->edges[at] < span->high;
	     at++) {
		if ((*left)-- == 0)
			return false;
		if (parent == TREE_NONE || work->cells[at] == parent)
			work->cells[at] = span->scope;
	}
	return true;
}

static void paint(struct work *work)
{
	const struct tree *tree = work->tree;
	size_t left = work->nedges * CELLS_PER_EDGE;
	struct span *spans = malloc((tree->nfunctions + 1) * sizeof(*spans));
	bool goes_on;

	if (!spans || tree->nfunctions == 0) {
		free(spans);
		return;
	}
	memcpy(spans, tree->functions, tree->nfunctions * sizeof(*spans));
	goes_on = array_sort(spans, tree->nfunctions, sizeof(*spans), by_width);
	for (size_t i = 0; goes_on && i < tree->nfunctions; i++)
		goes_on = paint_span(work, &spans[i], &left);
	for (size_t i = 0; goes_on && i < tree->ninlines; i++)
		goes_on = paint_span(work, &tree->inlines[i], &left);
	free(spans);
}

/* Names */

static uint32_t name_function(struct work *work, uint64_t die)
{
	struct function_name name;
	uint32_t number = 0;

	tree_name((struct die_ref){ work->unit->file, die }, &name);
	if (name.linkage)
		number = build_function(work->build, name.linkage,
					BUILD_LINKAGE);
	else if (name.qualified)
		number = build_function(work->build, name.qualified, 0);
	free(name.qualified);
	return number;
}

/* The function of SCOPE; that of calls is named once for all of them. */
static uint32_t function_of(struct work *work, const struct scope *scope)
{
	uint64_t origin = scope->origin;
	size_t i;

	if (scope->parent == TREE_NONE || origin == 0)
		return name_function(work, scope->die);
	i = (size_t)(origin * UINT64_C(0x9e3779b97f4a7c15) >> 32) &
	    (work->norigins - 1);
	while (work->origins[i] != 0 && work->origins[i] != origin)
		i = (i + 1) & (work->norigins - 1);
	if (work->origins[i] == 0) {
		work->functions[i] = name_function(work, origin);
		work->origins[i] = origin;
	}
	return work->functions[i];
}

/* The number of file INDEX of the lines, told of once. */
static uint32_t file_of(struct work *work, uint32_t index)
{
	char path[LINES_MAX_PATH];

	if (index >= work->nfiles)
		return 0;
	if (work->files[index] == UINT32_MAX)
		work->files[index] =
			lines_path(work->lines, index, path, sizeof(path))
				? build_file(work->build, path) : 0;
	return work->files[index];
}

/* The number of scope INDEX; it, and those around it, are told of when code of
 * theirs is come upon. */
static uint32_t scope_of(struct work *work, uint32_t index)
{
	const struct scope *scope;
	uint32_t parent = 0;

	if (index == TREE_NONE)
		return 0;
	if (work->scopes[index] != 0)
		return work->scopes[index];
	scope = &work->tree->scopes[index];
	if (scope->parent != TREE_NONE)
		parent = scope_of(work, scope->parent);
	if (parent == SCOPE_KNOWN)
		return SCOPE_KNOWN;
	work->scopes[index] = parent == 0
		? build_scope(work->build, function_of(work, scope),
			      scope->entry)
		: build_inlined(work->build, parent, function_of(work, scope),
				file_of(work, scope->call_file),
				scope->call_line);
	return work->scopes[index];
}

/* Rows */

static void add_row(struct work *work, uint64_t start, uint64_t end,
		    struct build_row *what)
{
	what->start = start;
	what->len = end - start <= UINT32_MAX ? (uint32_t)(end - start)
					      : UINT32_MAX;
	build_add(work->build, what);
}

static uint32_t scope_at(const struct work *work, uint64_t address)
{
	if (work->nedges == 0 || address < work->edges[0])
		return TREE_NONE;
	return work->cells[cell_at(work, address)];
}

/* A compiler gives line 0 to code that is of no line; the best that can be said
 * then is the nearest row before it, in the same sequence and function, that
 * has one. */
static void find_line(struct work *work, size_t index, uint32_t scope,
		      struct build_row *what)
{
	const struct line_row *rows = work->lines->rows;

	what->file = file_of(work, rows[index].file);
	what->line = rows[index].line;
	for (size_t i = index; rows[index].line == 0 && i-- > 0 &&
			       index - i < MAX_ROWS_BACK;) {
		if (rows[i].file == LINES_END)
			return;
		if (rows[i].line == 0 ||
		    scope_at(work, rows[i].address) != scope)
			continue;
		what->file = file_of(work, rows[i].file);
		what->line = rows[i].line | BUILD_APPROXIMATE;
		return;
	}
}

/* What is between START and END, behind NCELLS edges and NROWS rows. */
static void tell(struct work *work, uint64_t start, uint64_t end, size_t ncells,
		 size_t nrows)
{
	const struct line_row *rows = work->lines->rows;
	bool has_line = nrows > 0 && rows[nrows - 1].file != LINES_END;
	uint32_t scope = ncells > 0 ? work->cells[ncells - 1] : TREE_NONE;
	struct build_row what = { 0 };

	if (start >= end || (!has_line && scope == TREE_NONE))
		return;
	what.scope = scope_of(work, scope);
	if (what.scope == SCOPE_KNOWN)
		return;
	if (has_line)
		find_line(work, nrows - 1, scope, &what);
	add_row(work, start, end, &what);
}

/* Go through cells and rows together. */
static void merge(struct work *work)
{
	const struct lines *lines = work->lines;
	size_t cell = 0, row = 0;
	uint64_t at = 0;

	while (cell < work->nedges || row < lines->nrows) {
		bool is_row = cell == work->nedges ||
			      (row < lines->nrows &&
			       lines->rows[row].address < work->edges[cell]);
		uint64_t next = is_row ? lines->rows[row].address
				       : work->edges[cell];

		tell(work, at, next, cell, row);
		at = next;
		cell += !is_row;
		row += is_row;
	}
}

/* Calls */

/* Where the callee at REF begins, or what others call it. */
static void find_callee(struct work *work, struct die_ref ref,
			struct build_call *call)
{
	struct unit *unit = ref.file ? dwarf_file_unit(ref.file, ref.offset)
				     : NULL;
	struct function_name name;
	struct die die;

	if (!unit || !unit_die(unit, ref.offset, &die))
		return;
	if (!attr_flag(&die.declaration)) {
		ranges_entry(unit, &die, &call->callee);
		return;
	}
	tree_name(ref, &name);
	if (name.linkage)
		call->callee_name = build_text(work->build, name.linkage);
	else if (name.plain)
		call->callee_name = build_text(work->build, name.plain);
	free(name.qualified);
}

static void tell_calls(struct work *work)
{
	const struct tree *tree = work->tree;

	for (size_t i = 0; i < tree->nscopes; i++)
		if (tree->scopes[i].parent == TREE_NONE &&
		    work->scopes[i] != SCOPE_KNOWN)
			build_entry(work->build, tree->scopes[i].entry,
				    tree->scopes[i].tells_tails);
	for (size_t i = 0; i < tree->ncalls; i++) {
		const struct call *from = &tree->calls[i];
		struct build_call call = {
			.caller = tree->scopes[from->function].entry,
			.return_pc = from->return_pc,
			.is_tail = from->is_tail,
		};

		if (work->scopes[from->function] == SCOPE_KNOWN)
			continue;
		find_callee(work, from->callee, &call);
		build_call(work->build, &call);
	}
}

/* Functions that were made one */

static void tell_folded(struct work *work, const struct scope *scope)
{
	struct function_name name;

	tree_name((struct die_ref){ work->unit->file, scope->die }, &name);
	if (name.linkage)
		build_folded(work->build, scope->entry, name.linkage,
			     BUILD_LINKAGE);
	else if (name.qualified)
		build_folded(work->build, scope->entry, name.qualified, 0);
	free(name.qualified);
}

static void tell_dropped(struct work *work, const struct dropped *dropped)
{
	struct function_name name;

	tree_name((struct die_ref){ work->unit->file, dropped->die }, &name);
	if (name.linkage || name.plain)
		build_dropped(work->build,
			      name.linkage ? name.linkage : name.plain,
			      dropped->size);
	free(name.qualified);
}

/* Each symbol of an assembler's unit is described as if it were a function, so
 * there an alias is nothing else. */
static void tell_aliases(struct work *work)
{
	const struct tree *tree = work->tree;

	if (work->unit->is_assembler)
		return;
	for (size_t i = 0; i < tree->nscopes; i++)
		if (tree->scopes[i].parent == TREE_NONE &&
		    work->scopes[i] == SCOPE_KNOWN)
			tell_folded(work, &tree->scopes[i]);
	for (size_t i = 0; unit_holder(work->unit)->file->folds &&
			   i < tree->ndropped; i++)
		tell_dropped(work, &tree->dropped[i]);
}

/* Units */

static bool make_tables(struct work *work)
{
	size_t nscopes = work->tree->nscopes, nfiles = work->lines->nfiles;
	size_t norigins = 64;

	while (norigins < 2 * nscopes)
		norigins *= 2;
	free(work->scopes);
	free(work->files);
	free(work->origins);
	free(work->functions);
	work->norigins = norigins;
	work->nfiles = nfiles;
	work->scopes = calloc(nscopes + 1, sizeof(*work->scopes));
	work->files = malloc((nfiles + 1) * sizeof(*work->files));
	work->origins = calloc(norigins, sizeof(*work->origins));
	work->functions = malloc(norigins * sizeof(*work->functions));
	if (!work->scopes || !work->files || !work->origins ||
	    !work->functions)
		return false;
	memset(work->files, 0xff, nfiles * sizeof(*work->files));
	return true;
}

/* Of instances that a linker has made one of the first counts. Each is known by
 * its first range. */
static void find_known(struct work *work)
{
	const struct tree *tree = work->tree;
	uint32_t last = TREE_NONE;

	for (size_t i = 0; i < tree->nfunctions; i++) {
		const struct span *span = &tree->functions[i];

		if (span->scope != last &&
		    known_has(&work->known, span->low, span->high))
			work->scopes[span->scope] = SCOPE_KNOWN;
		known_add(&work->known, span->low, span->high);
		last = span->scope;
	}
}

/* FROM's unit has the lines, and all names of files; what else there is, its
 * split unit may have. */
static void do_unit(struct work *work, struct ahead_unit *from,
		    struct split_places *places)
{
	struct split split;

	work->unit = split_open(places, from->unit, &split) ? split.unit
							    : from->unit;
	work->unit->file->near = work->unit;
	work->tree = tree_of(work->unit);
	work->nbroken += !work->tree || work->tree->is_cut;
	work->lines = &from->lines;
	if (work->tree && make_cells(work) && make_tables(work)) {
		find_known(work);
		paint(work);
		merge(work);
		tell_calls(work);
		tell_aliases(work);
	}
	split_close(&split);
}

static void say_what_is_missing(const struct work *work,
				const struct split_places *places,
				char why_out[FROM_DWARF_WHY])
{
	const char *lost = places->lost ? places->lost : "?";

	if (places->nlost > 0)
		snprintf(why_out, FROM_DWARF_WHY,
			 "%zu split unit%s not found, first: %.200s",
			 places->nlost, places->nlost > 1 ? "s" : "", lost);
	else if (work->nbroken > 0)
		snprintf(why_out, FROM_DWARF_WHY,
			 "%zu of its DWARF's units cannot be read to the end",
			 work->nbroken);
}

void from_dwarf(struct dwarf_file *file, struct split_places *places,
		struct ahead_only *only, struct build *build,
		char why_out[FROM_DWARF_WHY])
{
	struct work work = { .build = build };
	struct ahead *ahead = ahead_open(file, only);
	struct ahead_unit from;

	while (ahead && ahead_next(ahead, &from)) {
		do_unit(&work, &from, places);
		ahead_done(&from);
	}
	ahead_close(ahead);
	work.nbroken += file->nunread;
	say_what_is_missing(&work, places, why_out);
	known_fini(&work.known);
	free(work.edges);
	free(work.scratch);
	free(work.cells);
	free(work.scopes);
	free(work.files);
	free(work.origins);
	free(work.functions);
}
