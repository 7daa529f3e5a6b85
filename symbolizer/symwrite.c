/* From an index to a symbol file of Breakpad's. Runs in the process that can be
 * lost; an index may say anything, but each address comes once, and a name
 * keeps to its line.
 *
 * The module is gone through from its first address to the last, piece by
 * piece, where a piece is what one answer holds for. Pieces of one function
 * that follow each other are a FUNC. That is done twice, since files and
 * functions that were inlined have numbers, and what these mean comes first. */
#include "symwrite.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "../lib/report/machine.h"
#include "array.h"
#include "demangle.h"
#include "index/index.h"
#include "index/strings.h"
#include "symbolize.h"

enum { CACHED = 1 << 12 };

/* Texts by number, in the order in which they were come upon. */
struct numbering {
	struct strings texts;
	uint32_t *at; /* where each is in TEXTS; it goes up */
	size_t n, cap;
	struct {
		const char *text; /* as the index has it */
		uint32_t number;
	} cache[CACHED];
};

/* What is at all addresses of a piece. */
struct piece {
	uint64_t start, end;
	struct level levels[SYMBOLIZE_MAX_INLINES]; /* innermost first */
	size_t n;
	struct index_symbol symbol; /* where the levels do not say all */
	bool has_symbol;
};

struct range {
	uint64_t start, end;
	uint32_t next; /* of the same place; 0: none */
};

/* The function itself, which is number 0, or a call that was inlined. */
struct place {
	uint64_t scope;
	uint32_t parent, child, last_child, sibling; /* 0: none */
	uint32_t range, last_range; /* first and last one */
	uint32_t depth, call_line, call_file, origin;
	uint32_t file, line; /* of its code that was told of last; 0: none */
};

struct line {
	uint64_t start, end;
	uint32_t line, file;
};

/* The FUNC that is being collected. */
struct function {
	bool is_open;
	uint64_t start, end, scope;
	struct index_symbol symbol;
	struct level level;
	struct place *places;
	size_t nplaces, places_cap;
	struct range *ranges; /* [0]: none */
	size_t nranges, ranges_cap;
	struct line *lines;
	size_t nlines, lines_cap;
};

struct public {
	uint64_t address;
	const char *name;
	bool folded;
};

struct work {
	struct index *index;
	uint64_t base;
	FILE *out; /* NULL while numbers are given out */
	struct numbering files, origins;
	struct function function;
	uint32_t *place_of; /* by scope; to be believed where that place is of
	                     * that scope */
	size_t nplace_of;
	struct public *publics;
	size_t npublics, publics_cap;
	uint64_t public_of, public_end; /* the last one */
	bool no_memory;
};

/* Room for one more of the N in *ARRAY; false without memory. */
#define MAKE_ROOM(work, array, n, cap) \
	make_room(work, (void **)&(array), n, &(cap), sizeof(*(array)))

static bool make_room(struct work *work, void **array, size_t n, size_t *cap,
		      size_t size)
{
	void *more = array_grow(*array, n, cap, size);

	if (more)
		*array = more;
	else
		work->no_memory = true;
	return more != NULL;
}

/* Names and numbers */

static const char *readable(const char *name, bool is_linkage)
{
	static char text[SYMBOLIZE_MAX_NAME];

	if (!name || !is_linkage)
		return name ? name : SYM_NO_NAME;
	demangle(name, text, sizeof(text));
	return text;
}

/* TEXT cannot end its line, or begin in a way that a reader skips. */
static void put_name(const struct work *work, const char *text)
{
	for (const char *at = text; *at; at++)
		fputc((unsigned char)*at < ' ' ? '?' : *at, work->out);
	fputc('\n', work->out);
}

/* The number of TEXT, which gets one if it has none. Those that were given are
 * found by their place among the texts. */
static uint32_t find_number(struct work *work, struct numbering *numbers,
			    const char *text)
{
	uint32_t at = strings_add(&numbers->texts, text);
	size_t low = 0, high = numbers->n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (numbers->at[middle] < at)
			low = middle + 1;
		else
			high = middle;
	}
	if (low < numbers->n && numbers->at[low] == at)
		return (uint32_t)low;
	if (!MAKE_ROOM(work, numbers->at, numbers->n, numbers->cap))
		return 0;
	numbers->at[numbers->n] = at;
	return (uint32_t)numbers->n++;
}

static uint32_t number_of(struct work *work, struct numbering *numbers,
			  const char *text, bool is_linkage)
{
	size_t slot = ((uintptr_t)text ^ (uintptr_t)text >> 12) % CACHED;

	if (numbers->cache[slot].text != text || !text) {
		numbers->cache[slot].number =
			find_number(work, numbers, readable(text, is_linkage));
		numbers->cache[slot].text = text;
	}
	return numbers->cache[slot].number;
}

/* Where nobody knows the file, a number that none has. */
static uint32_t file_number(struct work *work, const char *path)
{
	return path ? number_of(work, &work->files, path, false) : UINT32_MAX;
}

static void put_numbers(const struct work *work,
			const struct numbering *numbers, const char *record)
{
	for (size_t i = 0; i < numbers->n; i++) {
		fprintf(work->out, "%s %zu ", record, i);
		put_name(work, (const char *)numbers->texts.bytes.bytes +
				       numbers->at[i]);
	}
}

/* Places of a function */

/* Make room for the number of the place of SCOPE. */
static bool reach_scope(struct work *work, uint64_t scope)
{
	size_t n = (size_t)scope + 1;
	uint32_t *more;

	if (scope < work->nplace_of)
		return true;
	n += n / 2;
	more = realloc(work->place_of, n * sizeof(*more));
	if (!more) {
		work->no_memory = true;
		return false;
	}
	memset(more + work->nplace_of, 0,
	       (n - work->nplace_of) * sizeof(*more));
	work->place_of = more;
	work->nplace_of = n;
	return true;
}

/* A new place below PARENT, behind its others. */
static uint32_t add_place(struct work *work, uint32_t parent,
			  const struct place *place)
{
	struct function *function = &work->function;
	uint32_t number = (uint32_t)function->nplaces;
	struct place *above;

	if (!MAKE_ROOM(work, function->places, function->nplaces,
		       function->places_cap))
		return 0;
	function->places[function->nplaces++] = *place;
	above = &function->places[parent];
	if (above->last_child)
		function->places[above->last_child].sibling = number;
	else
		above->child = number;
	above->last_child = number;
	work->place_of[place->scope] = number;
	return number;
}

/* The place of CALLEE as it was inlined into PARENT by CALLER. */
static uint32_t place_of(struct work *work, uint32_t parent,
			 const struct level *callee, const struct level *caller)
{
	const struct function *function = &work->function;
	struct place place = { .scope = callee->scope, .parent = parent };
	uint32_t number;

	if (!reach_scope(work, callee->scope))
		return 0;
	number = work->place_of[callee->scope];
	if (number > 0 && number < function->nplaces &&
	    function->places[number].scope == callee->scope)
		return number;
	place.depth = parent ? function->places[parent].depth + 1 : 0;
	place.call_line = caller->line;
	place.call_file = file_number(work, caller->file);
	place.origin = number_of(work, &work->origins, callee->function,
				 callee->is_linkage);
	return add_place(work, parent, &place);
}

static void add_range(struct work *work, uint32_t number,
		      const struct piece *piece)
{
	struct function *function = &work->function;
	struct place *place = &function->places[number];
	uint32_t last = place->last_range;

	if (last && function->ranges[last].end == piece->start) {
		function->ranges[last].end = piece->end;
		return;
	}
	if (!MAKE_ROOM(work, function->ranges, function->nranges,
		       function->ranges_cap))
		return;
	place->last_range = (uint32_t)function->nranges++;
	function->ranges[place->last_range] = (struct range){
		.start = piece->start, .end = piece->end,
	};
	if (last)
		function->ranges[last].next = place->last_range;
	else
		place->range = place->last_range;
}

/* The line of code that its compiler gave none is said by none, where a reader
 * will find it: it takes the one before it in the same place. */
static void add_line(struct work *work, uint32_t number,
		     const struct piece *piece)
{
	struct function *function = &work->function;
	struct place *place = &function->places[number];
	const struct level *level = &piece->levels[0];
	struct line line = {
		.start = piece->start, .end = piece->end, .line = level->line,
	};
	struct line *last = function->nlines
				    ? &function->lines[function->nlines - 1]
				    : NULL;

	if (!level->file)
		return;
	line.file = file_number(work, level->file);
	if (level->approximate && place->line == level->line &&
	    place->file == line.file)
		line.line = 0;
	if (line.line > 0) {
		place->line = line.line;
		place->file = line.file;
	} else if (place->line > 0) {
		line.file = place->file;
	}
	if (last && last->end == line.start && last->line == line.line &&
	    last->file == line.file)
		last->end = line.end;
	else if (MAKE_ROOM(work, function->lines, function->nlines,
			   function->lines_cap))
		function->lines[function->nlines++] = line;
}

/* Records of a function */

static void put_ranges(const struct work *work, const struct place *place)
{
	const struct range *ranges = work->function.ranges;

	for (uint32_t i = place->range; i != 0; i = ranges[i].next)
		fprintf(work->out, " %" PRIx64 " %" PRIx64,
			ranges[i].start - work->base,
			ranges[i].end - ranges[i].start);
}

/* Each behind what it was inlined into, which Breakpad's reader counts on. */
static void put_inlines(const struct work *work)
{
	const struct place *places = work->function.places;
	uint32_t at = places[0].child;

	while (at != 0) {
		const struct place *place = &places[at];

		fprintf(work->out, "INLINE %u %u %u %u", place->depth,
			place->call_line, place->call_file, place->origin);
		put_ranges(work, place);
		fputc('\n', work->out);
		if (place->child) {
			at = place->child;
			continue;
		}
		while (at != 0 && places[at].sibling == 0)
			at = places[at].parent;
		at = at ? places[at].sibling : 0;
	}
}

static void put_function(const struct work *work)
{
	const struct function *function = &work->function;
	const struct level *level = &function->level;

	fprintf(work->out, "FUNC %s%" PRIx64 " %" PRIx64 " 0 ",
		level->icf ? "m " : "", function->start - work->base,
		function->end - function->start);
	put_name(work, readable(level->function, level->is_linkage));
	put_inlines(work);
	for (size_t i = 0; i < function->nlines; i++) {
		const struct line *line = &function->lines[i];

		fprintf(work->out, "%" PRIx64 " %" PRIx64 " %u %u\n",
			line->start - work->base, line->end - line->start,
			line->line, line->file);
	}
}

static void end_function(struct work *work)
{
	struct function *function = &work->function;

	if (function->is_open && work->out)
		put_function(work);
	function->is_open = false;
}

static void begin_function(struct work *work, const struct piece *piece)
{
	struct function *function = &work->function;
	const struct level *outermost = &piece->levels[piece->n - 1];
	struct index_symbol symbol;

	function->is_open = true;
	function->start = piece->start;
	function->scope = outermost->scope;
	function->symbol = piece->symbol;
	function->level = *outermost;
	function->nplaces = function->nranges = 1;
	function->nlines = 0;
	function->places[0] = (struct place){ .scope = outermost->scope };
	if (!outermost->is_linkage &&
	    index_symbol(work->index, piece->start, &symbol))
		index_complete(&function->level, &symbol);
}

/* True where PIECE goes on with the function that is open. */
static bool continues(const struct function *function,
		      const struct piece *piece)
{
	return function->is_open && function->end == piece->start &&
	       function->scope == piece->levels[piece->n - 1].scope &&
	       function->symbol.start == piece->symbol.start &&
	       function->symbol.name == piece->symbol.name;
}

static void add_code(struct work *work, const struct piece *piece)
{
	uint32_t place = 0;

	if (!continues(&work->function, piece)) {
		end_function(work);
		begin_function(work, piece);
	}
	work->function.end = piece->end;
	for (size_t i = piece->n - 1; i-- > 0;) {
		place = place_of(work, place, &piece->levels[i],
				 &piece->levels[i + 1]);
		if (place == 0)
			return;
		add_range(work, place, piece);
	}
	add_line(work, place, piece);
}

/* A symbol without a size, which goes on until something else begins, and may
 * go on behind that. */
static void add_public(struct work *work, const struct piece *piece)
{
	const struct index_symbol *symbol = &piece->symbol;
	bool goes_on = work->public_end == piece->start &&
		       work->public_of == symbol->start;

	work->public_end = piece->end;
	work->public_of = symbol->start;
	if (goes_on || !work->out ||
	    !MAKE_ROOM(work, work->publics, work->npublics, work->publics_cap))
		return;
	work->publics[work->npublics++] = (struct public){
		piece->start, symbol->name, symbol->icf,
	};
}

static void put_publics(const struct work *work)
{
	for (size_t i = 0; i < work->npublics; i++) {
		const struct public *public = &work->publics[i];

		fprintf(work->out, "PUBLIC %s%" PRIx64 " 0 ",
			public->folded ? "m " : "",
			public->address - work->base);
		put_name(work, readable(public->name, true));
	}
}

/* Pieces */

static uint64_t nearer(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* What is at AT. Where no function of the rows is, symbols cut pieces, too,
 * and what one with a size names is code without lines. */
static void find_piece(struct work *work, uint64_t at, struct piece *piece)
{
	struct index *index = work->index;

	piece->start = at;
	piece->end = index_next_row(index, at + 1);
	piece->symbol = (struct index_symbol){ 0 };
	piece->n = index_levels(index, at, piece->levels,
				SYMBOLIZE_MAX_INLINES);
	if (piece->n > 0 && piece->levels[piece->n - 1].scope != 0)
		return;
	piece->end = nearer(piece->end, index_next_symbol(index, at + 1));
	piece->has_symbol = index_symbol(index, at, &piece->symbol);
	if (!piece->has_symbol)
		return;
	piece->end = nearer(piece->end, piece->symbol.end);
	if (piece->n == 0 && piece->symbol.sized) {
		piece->levels[0] = (struct level){ 0 };
		piece->n = 1;
	}
	if (piece->n > 0)
		index_complete(&piece->levels[piece->n - 1], &piece->symbol);
}

static void go_through(struct work *work)
{
	struct piece *piece = calloc(1, sizeof(*piece));
	uint64_t at;

	if (!piece) {
		work->no_memory = true;
		return;
	}
	at = nearer(index_next_row(work->index, work->base),
		    index_next_symbol(work->index, work->base));
	for (; at != UINT64_MAX && !work->no_memory; at = piece->end) {
		find_piece(work, at, piece);
		if (piece->n > 0)
			add_code(work, piece);
		else if (piece->has_symbol)
			add_public(work, piece);
	}
	end_function(work);
	free(piece);
}

/* The whole */

static void put_identity(const struct work *work, const struct sym_id *id,
			 const char *name)
{
	char text[SYM_DEBUG_ID], hex[2 * MAX_BUILD_ID + 1];

	sym_debug_id(id, text);
	fprintf(work->out, "MODULE Linux " MACHINE_NAME " %s ", text);
	put_name(work, name);
	if (id->code.len == 0)
		return;
	build_id_format(&id->code, hex);
	for (char *at = hex; *at; at++)
		*at = (char)(*at >= 'a' ? *at - 'a' + 'A' : *at);
	fprintf(work->out, "INFO CODE_ID %s\n", hex);
}

static void put_all(struct work *work, struct symrules_left *left)
{
	const void *frames;
	size_t len = 0;

	put_numbers(work, &work->files, "FILE");
	put_numbers(work, &work->origins, "INLINE_ORIGIN");
	go_through(work);
	put_publics(work);
	frames = index_frames(work->index, &len);
	if (frames)
		symrules_write(frames, len, work->out, left);
}

static bool begin(struct work *work)
{
	struct function *function = &work->function;

	strings_init(&work->files.texts);
	strings_init(&work->origins.texts);
	return MAKE_ROOM(work, function->places, 0, function->places_cap) &&
	       MAKE_ROOM(work, function->ranges, 0, function->ranges_cap);
}

static void end(struct work *work)
{
	strings_fini(&work->files.texts);
	strings_fini(&work->origins.texts);
	free(work->files.at);
	free(work->origins.at);
	free(work->function.places);
	free(work->function.ranges);
	free(work->function.lines);
	free(work->place_of);
	free(work->publics);
	free(work);
}

bool symwrite(struct index *index, const struct sym_id *id, const char *name,
	      FILE *out, struct symrules_left *left, struct error *err)
{
	struct work *work = calloc(1, sizeof(*work));
	bool done;

	if (!work)
		return fail(err, ERR_NO_MEMORY, "no memory");
	work->index = index;
	work->base = index_base(index);
	if (begin(work)) {
		go_through(work);
		work->out = out;
		put_identity(work, id, name);
		put_all(work, left);
	}
	done = !work->no_memory && !work->files.texts.bytes.bad &&
	       !work->origins.texts.bytes.bad;
	end(work);
	return done || fail(err, ERR_NO_MEMORY, "no memory");
}
