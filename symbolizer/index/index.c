/* What an index says of addresses. Runs anywhere: numbers are held to the
 * sections that they lie in, and no walk is longer than the levels that are
 * asked for. */
#include "index.h"

#include <string.h>

#include "format.h"
#include "parts.h"

bool index_has_lines(const struct index *index)
{
	return index->section_len[INDEX_STARTS] > 0;
}

const char *index_source(struct index *index)
{
	return parts_text(index, index->source);
}

const void *index_frames(struct index *index, size_t *len_out)
{
	struct reader r = parts_read(index, INDEX_FRAMES, 0, UINT64_MAX);

	if (r.bad || r.len == 0)
		return NULL;
	*len_out = r.len;
	return r.bytes;
}

const char *index_frames_why(struct index *index)
{
	return parts_text(index, index->frames_why);
}

static const char *file_path(struct index *index, uint32_t file)
{
	struct reader r = parts_item(index, INDEX_FILES, file,
				     sizeof(uint32_t));
	uint32_t text = reader_u32(&r);

	return file == 0 || r.bad ? NULL : parts_text(index, text);
}

struct row {
	uint64_t scope;
	uint64_t file;
	int64_t line;  /* less the line of the scope's function */
	bool has_file; /* else it is the function's */
	bool is_hole, approximate;
};

static void read_row(struct reader *r, struct row *row)
{
	uint8_t control = reader_u8(r);
	uint8_t scope = control & ROW_SCOPE;
	int64_t line = control >> ROW_LINE_SHIFT;

	row->is_hole = scope == ROW_HOLE;
	if (row->is_hole)
		return;
	if (scope != ROW_SCOPE_SAME)
		row->line = 0;
	if (scope == ROW_SCOPE_NEXT)
		row->scope++;
	else if (scope == ROW_SCOPE_DELTA)
		row->scope += (uint64_t)reader_sleb(r);
	row->has_file = control & ROW_FILE;
	if (row->has_file)
		row->file = reader_uleb(r);
	row->approximate = control & ROW_APPROXIMATE;
	row->line = (int64_t)((uint64_t)row->line +
			      (uint64_t)(line == ROW_LINE_LONG
						 ? reader_sleb(r)
						 : line - ROW_LINE_BIAS));
}

/* The rows of block NUMBER; *AT_OUT is where the first one begins. */
static struct reader rows_of(struct index *index, uint64_t number,
			     uint64_t *at_out)
{
	struct reader r = parts_item(index, INDEX_STARTS, number,
				     INDEX_STARTS_SIZE);

	*at_out = reader_u64(&r);
	return parts_block(index, INDEX_ROW_DATA, INDEX_STARTS,
			   INDEX_STARTS_SIZE, number,
			   INDEX_ROWS * INDEX_MAX_ROW);
}

/* The row that ADDRESS is in; false where nothing is known there. */
static bool find_row(struct index *index, uint64_t address, struct row *out)
{
	struct row row = { .is_hole = true };
	int left = INDEX_ROWS;
	struct reader r;
	uint64_t n, at;

	if (!parts_count(index, INDEX_STARTS, INDEX_STARTS_SIZE, address,
			 &n) || n == 0)
		return false;
	r = rows_of(index, n - 1, &at);
	do {
		read_row(&r, &row);
		if (--left == 0 || reader_left(&r) == 0)
			break;
		at += reader_uleb(&r);
	} while (at <= address);
	*out = row;
	return !r.bad && !row.is_hole;
}

uint64_t index_next_row(struct index *index, uint64_t address)
{
	struct row row = { 0 };
	int left = INDEX_ROWS;
	struct reader r;
	uint64_t n = 0, at = 0;

	if (address > 0 && !parts_count(index, INDEX_STARTS,
					INDEX_STARTS_SIZE, address - 1, &n))
		return UINT64_MAX;
	if (n > 0) {
		r = rows_of(index, n - 1, &at);
		while (at < address && --left > 0 && reader_left(&r) > 0) {
			read_row(&r, &row);
			if (reader_left(&r) > 0)
				at += reader_uleb(&r);
		}
		if (at >= address && !r.bad)
			return at;
	}
	r = parts_item(index, INDEX_STARTS, n, INDEX_STARTS_SIZE);
	at = reader_u64(&r);
	return r.bad || at < address ? UINT64_MAX : at;
}

/* Scope NUMBER from its block; false where there is none. */
static bool unpack_scope(struct index *index, uint64_t number,
			 struct scope *out)
{
	uint64_t block = number / INDEX_SCOPES;
	struct reader r = parts_block(index, INDEX_SCOPE_DATA, INDEX_SCOPE_AT,
				   sizeof(uint32_t), block,
				   INDEX_SCOPES * INDEX_MAX_ROW);

	if (r.bad)
		return false;
	for (uint64_t i = block * INDEX_SCOPES; i <= number; i++) {
		uint64_t parent;

		out->function = reader_uleb(&r);
		parent = reader_uleb(&r);
		out->parent = parent >> 1 <= i ? i - (parent >> 1) : 0;
		if (parent == 0) {
			out->parent = 0;
			out->entry = index->first + (uint64_t)reader_sleb(&r);
			continue;
		}
		out->has_call_file = parent & 1;
		if (out->has_call_file)
			out->call_file = reader_uleb(&r);
		out->call_line = reader_sleb(&r);
	}
	return !r.bad && number != 0 && out->parent < number;
}

/* The same, which may be known already. */
static bool read_scope(struct index *index, uint64_t number, struct scope *out)
{
	struct known_scope *known = &index->known[number % KNOWN_SCOPES];

	if (known->number != number || number == 0) {
		struct scope scope = { 0 };

		if (!unpack_scope(index, number, &scope))
			return false;
		*known = (struct known_scope){ number, scope };
	}
	*out = known->scope;
	return true;
}

struct function {
	const char *name;
	uint32_t file, line;
	bool is_linkage, icf;
};

static bool read_function(struct index *index, uint64_t number,
			  struct function *out)
{
	struct reader r = parts_item(index, INDEX_FUNCTIONS, number,
				     INDEX_FUNCTION_SIZE);
	uint32_t name = reader_u32(&r), file = reader_u32(&r);

	out->line = reader_u32(&r);
	if (r.bad)
		return false;
	out->name = parts_text(index, name);
	out->file = file & FUNCTION_FILE;
	out->is_linkage = file & FUNCTION_LINKAGE;
	out->icf = file & FUNCTION_FOLDED;
	return true;
}

static void set_place(struct index *index, struct level *level,
		      const struct function *function, bool has_file,
		      uint64_t file, int64_t line)
{
	uint64_t number = has_file ? file : function->file;

	line = (int64_t)((uint64_t)line + function->line);
	if (number <= UINT32_MAX)
		level->file = file_path(index, (uint32_t)number);
	if (line > 0 && line <= INT32_MAX)
		level->line = (uint32_t)line;
}

size_t index_levels(struct index *index, uint64_t address,
		    struct level *levels, size_t max)
{
	struct function function = { 0 };
	struct row row;
	bool has_file;
	uint64_t file, scope;
	int64_t line;
	size_t n = 0;

	if (max == 0 || !find_row(index, address, &row))
		return 0;
	has_file = row.has_file;
	file = row.file;
	line = row.line;
	memset(&levels[0], 0, sizeof(levels[0]));
	if (row.scope == 0) {
		set_place(index, &levels[0], &function, has_file, file, line);
		levels[0].approximate = row.approximate;
		return 1;
	}
	scope = row.scope;
	while (scope != 0 && n < max) {
		struct level *level = &levels[n++];
		struct scope found = { 0 };

		memset(level, 0, sizeof(*level));
		if (!read_scope(index, scope, &found) ||
		    !read_function(index, found.function, &function))
			return 0;
		level->function = function.name;
		level->is_linkage = function.is_linkage;
		level->icf = function.icf;
		level->scope = scope;
		set_place(index, level, &function, has_file, file, line);
		has_file = found.has_call_file;
		file = found.call_file;
		line = found.call_line;
		scope = found.parent;
	}
	levels[0].approximate = row.approximate;
	return n;
}

/* Symbols */

struct found_symbol {
	uint64_t start, end, reach;
	uint32_t name, file;
	unsigned rank;
	bool sized, is_public, icf;
};

static bool read_symbol(struct index *index, uint64_t number,
			struct found_symbol *out)
{
	struct reader r = parts_item(index, INDEX_SYMBOLS, number,
				     INDEX_SYMBOL_SIZE);
	uint32_t flags;

	out->start = reader_u64(&r);
	out->end = out->start + reader_u32(&r);
	out->reach = out->start + reader_u32(&r);
	out->name = reader_u32(&r);
	flags = reader_u32(&r);
	out->file = flags & SYMBOL_FILE;
	out->rank = flags >> SYMBOL_RANK_SHIFT & SYMBOL_RANK_MASK;
	out->sized = flags & SYMBOL_SIZED;
	out->is_public = flags & SYMBOL_PUBLIC;
	out->icf = flags & SYMBOL_FOLDED;
	return !r.bad;
}

static bool is_better(const struct found_symbol *a,
		      const struct found_symbol *than)
{
	if (a->sized != than->sized)
		return a->sized;
	if (a->is_public != than->is_public)
		return a->is_public;
	if (a->start != than->start)
		return a->start > than->start;
	return a->rank < than->rank;
}

bool index_symbol(struct index *index, uint64_t address,
		  struct index_symbol *out)
{
	struct found_symbol best = { 0 }, at;
	bool found = false;
	uint64_t i;

	if (!parts_count(index, INDEX_SYMBOLS, INDEX_SYMBOL_SIZE, address,
			 &i))
		return false;
	while (i-- > 0) {
		if (!read_symbol(index, i, &at))
			return false;
		if (at.reach <= address)
			break; /* nothing from here on comes so far */
		if (at.end > address && (!found || is_better(&at, &best))) {
			best = at;
			found = true;
		}
		if (found && best.sized && at.start < best.start)
			break;
	}
	if (!found)
		return false;
	out->start = best.start;
	out->end = best.end;
	out->name = parts_text(index, best.name);
	out->file = file_path(index, best.file);
	out->sized = best.sized;
	out->is_public = best.is_public;
	out->icf = best.icf;
	return out->name != NULL;
}

uint64_t index_next_symbol(struct index *index, uint64_t address)
{
	uint64_t n = 0, at;
	struct reader r;

	if (address > 0 && !parts_count(index, INDEX_SYMBOLS,
					INDEX_SYMBOL_SIZE, address - 1, &n))
		return UINT64_MAX;
	r = parts_item(index, INDEX_SYMBOLS, n, INDEX_SYMBOL_SIZE);
	at = reader_u64(&r);
	return r.bad || at < address ? UINT64_MAX : at;
}

static bool is_mangled(const char *name)
{
	return strncmp(name, "_Z", 2) == 0 || strncmp(name, "_R", 2) == 0;
}

void index_complete(struct level *outermost, const struct index_symbol *symbol)
{
	if (outermost->file == NULL && outermost->line == 0)
		outermost->file = symbol->file;
	if (outermost->is_linkage)
		return;
	if (outermost->function == NULL) {
		outermost->function = symbol->name;
		outermost->is_linkage = true;
		outermost->approximate |= !symbol->sized;
		outermost->icf = symbol->icf;
	} else if (symbol->sized && is_mangled(symbol->name)) {
		outermost->function = symbol->name;
		outermost->is_linkage = true;
	}
}

/* Tail calls */

bool index_entry(struct index *index, uint64_t address, uint64_t *out)
{
	struct scope scope = { 0 };
	struct row row;

	if (!find_row(index, address, &row) || row.scope == 0)
		return false;
	scope.parent = row.scope;
	for (int i = 0; scope.parent != 0; i++)
		if (i == INDEX_MAX_LEVELS ||
		    !read_scope(index, scope.parent, &scope))
			return false;
	*out = scope.entry;
	return true;
}

bool index_call(struct index *index, uint64_t return_pc, uint64_t *callee_out)
{
	struct reader r;
	uint64_t n, callee;

	if (!parts_count(index, INDEX_CALLS, INDEX_CALL_SIZE, return_pc,
			 &n) || n == 0)
		return false;
	r = parts_item(index, INDEX_CALLS, n - 1, INDEX_CALL_SIZE);
	if (reader_u64(&r) != return_pc)
		return false;
	callee = reader_u64(&r);
	if (r.bad)
		return false;
	*callee_out = callee;
	return true;
}

/* There may be tail calls, but what is known of them is damaged. */
static size_t unknown_tail(struct index_tail *tails)
{
	tails[0] = (struct index_tail){ .is_end = true };
	return 1;
}

size_t index_tails(struct index *index, uint64_t entry,
		   struct index_tail *tails, size_t max)
{
	uint64_t i;
	size_t n = 0;

	if (max == 0)
		return 0;
	if (!parts_count(index, INDEX_TAILS, INDEX_TAIL_SIZE, entry, &i))
		return unknown_tail(tails);
	while (i-- > 0 && n < max) {
		struct reader r = parts_item(index, INDEX_TAILS, i,
					     INDEX_TAIL_SIZE);
		uint64_t caller = reader_u64(&r);
		uint64_t return_pc = reader_u64(&r), callee = reader_u64(&r);

		if (r.bad)
			return unknown_tail(tails);
		if (caller != entry)
			break;
		tails[n++] = (struct index_tail){
			.return_pc = return_pc, .callee = callee & ~TAIL_ENDS,
			.is_end = callee & TAIL_ENDS,
		};
	}
	return n;
}

/* Functions that were made one */

size_t index_aliases(struct index *index, uint64_t address,
		     struct index_alias aliases[INDEX_MAX_ALIASES])
{
	uint64_t entry, i;
	size_t n = 0;

	if (index->section_len[INDEX_ALIASES] == 0 ||
	    !index_entry(index, address, &entry) ||
	    !parts_count(index, INDEX_ALIASES, INDEX_ALIAS_SIZE, entry,
			 &i))
		return 0;
	while (i-- > 0 && n < INDEX_MAX_ALIASES) {
		struct reader r = parts_item(index, INDEX_ALIASES, i,
					     INDEX_ALIAS_SIZE);
		uint64_t at = reader_u64(&r);
		uint32_t name = reader_u32(&r), flags = reader_u32(&r);

		if (r.bad || at != entry)
			break;
		aliases[n].name = parts_text(index, name);
		aliases[n].is_linkage = flags & FUNCTION_LINKAGE;
		n += aliases[n].name != NULL;
	}
	return n;
}
