/* From tables to the bytes of an index. What differs little from what is before
 * it is written as the difference, and in blocks, so that a look-up reads from
 * the start of one. Runs in the process that can be lost. */
#include "pack.h"

#include <stdlib.h>
#include <string.h>

#include <isa-l/crc.h>

#include "../array.h"
#include "format.h"

struct packing {
	struct pack *pack;
	struct writer *out;
	uint64_t at[INDEX_SECTIONS], len[INDEX_SECTIONS];
	struct writer data; /* of the section after the one being written */
};

static void begin(struct packing *packing, enum index_section section)
{
	packing->at[section] = writer_align(packing->out, 8);
}

static void end(struct packing *packing, enum index_section section)
{
	packing->len[section] = packing->out->len - packing->at[section];
}

static void put_section(struct packing *packing, enum index_section section,
			const struct writer *from)
{
	begin(packing, section);
	writer_bytes(packing->out, from->bytes, from->len);
	packing->out->bad |= from->bad;
	end(packing, section);
}

/* Functions: the more often one is named, the shorter its number is. */

struct ranked {
	uint32_t uses, function;
};

static int by_uses(const void *left, const void *right)
{
	const struct ranked *a = left, *b = right;

	return a->uses > b->uses ? -1 : a->uses < b->uses;
}

static uint32_t flags_of(const struct pack_function *function)
{
	return (function->flags & BUILD_LINKAGE ? FUNCTION_LINKAGE : 0) |
	       (function->flags & BUILD_FOLDED ? FUNCTION_FOLDED : 0);
}

/* A function that nothing is in gets no number. */
static bool write_functions(struct packing *packing)
{
	struct pack *pack = packing->pack;
	struct ranked *ranked = calloc(pack->nfunctions, sizeof(*ranked));
	size_t n = pack->nfunctions;

	if (!ranked)
		return false;
	for (size_t i = 1; i < n; i++)
		ranked[i] = (struct ranked){ pack->functions[i].uses,
					     (uint32_t)i };
	if (!array_sort(ranked + 1, n - 1, sizeof(*ranked), by_uses)) {
		free(ranked);
		return false;
	}
	begin(packing, INDEX_FUNCTIONS);
	for (size_t i = 0; i < n; i++) {
		struct pack_function *function =
			&pack->functions[ranked[i].function];

		if (i > 0 && function->uses == 0)
			break;
		function->number = (uint32_t)i;
		writer_u32(packing->out, function->name);
		writer_u32(packing->out, function->file | flags_of(function));
		writer_u32(packing->out, function->line);
	}
	end(packing, INDEX_FUNCTIONS);
	free(ranked);
	return true;
}

static const struct pack_function *function_of(const struct packing *packing,
					       uint32_t scope)
{
	const struct pack *pack = packing->pack;

	return &pack->functions[pack->scopes[scope].function];
}

/* Rows */

struct row_state {
	uint64_t start;
	uint32_t scope;
	int64_t line; /* what the next one's is measured from */
};

static void put_row(struct packing *packing, struct row_state *state,
		    const struct build_row *row)
{
	const struct pack_function *function = function_of(packing,
							   row->scope);
	int64_t line = row->line & ~BUILD_APPROXIMATE;
	int64_t scope = (int64_t)row->scope - state->scope;
	int64_t delta;
	uint8_t control = 0;

	if (scope != 0) {
		control |= scope == 1 ? ROW_SCOPE_NEXT : ROW_SCOPE_DELTA;
		state->line = function->line;
	}
	if (row->file != function->file)
		control |= ROW_FILE;
	if (row->line & BUILD_APPROXIMATE)
		control |= ROW_APPROXIMATE;
	delta = line - state->line;
	control |= (uint8_t)((delta >= -ROW_LINE_BIAS &&
			      delta < ROW_LINE_LONG - ROW_LINE_BIAS
				      ? delta + ROW_LINE_BIAS
				      : ROW_LINE_LONG) << ROW_LINE_SHIFT);
	writer_u8(&packing->data, control);
	if ((control & ROW_SCOPE) == ROW_SCOPE_DELTA)
		writer_sleb(&packing->data, scope);
	if (control & ROW_FILE)
		writer_uleb(&packing->data, row->file);
	if (control >> ROW_LINE_SHIFT == ROW_LINE_LONG)
		writer_sleb(&packing->data, delta);
	state->scope = row->scope;
	state->line = line;
}

/* ROW, or with NULL that nothing is from START on. */
static void add_row(struct packing *packing, struct row_state *state,
		    size_t *n, uint64_t start, const struct build_row *row)
{
	if (*n % INDEX_ROWS == 0) {
		writer_u64(packing->out, start);
		writer_u32(packing->out, (uint32_t)packing->data.len);
		memset(state, 0, sizeof(*state));
	} else {
		writer_uleb(&packing->data, start - state->start);
	}
	++*n;
	state->start = start;
	if (row)
		put_row(packing, state, row);
	else
		writer_u8(&packing->data, ROW_HOLE);
}

static void write_rows(struct packing *packing)
{
	struct row_state state = { 0 };
	uint64_t reach = 0;
	size_t n = 0;

	begin(packing, INDEX_STARTS);
	for (size_t i = 0; i < packing->pack->nrows; i++) {
		const struct build_row *row = &packing->pack->rows[i];

		if (n > 0 && reach < row->start)
			add_row(packing, &state, &n, reach, NULL);
		add_row(packing, &state, &n, row->start, row);
		reach = row->start + row->len;
	}
	if (n > 0)
		add_row(packing, &state, &n, reach, NULL);
	end(packing, INDEX_STARTS);
	put_section(packing, INDEX_ROW_DATA, &packing->data);
	packing->data.len = 0;
}

/* Scopes */

/* Where rows begin: entries are told as distances from it. */
static uint64_t first_address(const struct pack *pack)
{
	return pack->nrows > 0 ? pack->rows[0].start : 0;
}

static void put_scope(struct packing *packing, uint32_t number)
{
	const struct pack_scope *scope = &packing->pack->scopes[number];
	const struct pack_function *function = function_of(packing, number);
	const struct pack_function *caller;
	int64_t delta;
	bool is_other_file;

	writer_uleb(&packing->data, function->number);
	if (scope->parent == 0) {
		writer_uleb(&packing->data, 0);
		writer_sleb(&packing->data,
			    (int64_t)(scope->entry -
				      first_address(packing->pack)));
		return;
	}
	caller = function_of(packing, scope->parent);
	is_other_file = scope->call.file != caller->file;
	writer_uleb(&packing->data,
		    (uint64_t)(number - scope->parent) << 1 | is_other_file);
	if (is_other_file)
		writer_uleb(&packing->data, scope->call.file);
	delta = (int64_t)scope->call.line - caller->line;
	writer_sleb(&packing->data, delta);
}

static void write_scopes(struct packing *packing)
{
	begin(packing, INDEX_SCOPE_AT);
	for (uint32_t i = 0; i < packing->pack->nscopes; i++) {
		if (i % INDEX_SCOPES == 0)
			writer_u32(packing->out, (uint32_t)packing->data.len);
		put_scope(packing, i);
	}
	end(packing, INDEX_SCOPE_AT);
	put_section(packing, INDEX_SCOPE_DATA, &packing->data);
	packing->data.len = 0;
}

/* The rest */

static void write_files(struct packing *packing)
{
	begin(packing, INDEX_FILES);
	for (size_t i = 0; i < packing->pack->nfiles; i++)
		writer_u32(packing->out, packing->pack->files[i]);
	end(packing, INDEX_FILES);
}

static void write_symbols(struct packing *packing)
{
	begin(packing, INDEX_SYMBOLS);
	for (size_t i = 0; i < packing->pack->nsymbols; i++) {
		const struct pack_symbol *symbol = &packing->pack->symbols[i];

		writer_u64(packing->out, symbol->start);
		writer_u32(packing->out, symbol->size);
		writer_u32(packing->out, symbol->reach);
		writer_u32(packing->out, symbol->name);
		writer_u32(packing->out, symbol->file_and_flags);
	}
	end(packing, INDEX_SYMBOLS);
}

static void write_calls(struct packing *packing)
{
	const struct pack *pack = packing->pack;

	begin(packing, INDEX_CALLS);
	for (size_t i = 0; i < pack->ncalls; i++) {
		writer_u64(packing->out, pack->calls[i].return_pc);
		writer_u64(packing->out, pack->calls[i].callee);
	}
	end(packing, INDEX_CALLS);
	begin(packing, INDEX_TAILS);
	for (size_t i = 0; i < pack->ntails; i++) {
		writer_u64(packing->out, pack->tails[i].caller);
		writer_u64(packing->out, pack->tails[i].return_pc);
		writer_u64(packing->out, pack->tails[i].callee);
	}
	end(packing, INDEX_TAILS);
}

static void write_aliases(struct packing *packing)
{
	const struct pack *pack = packing->pack;

	begin(packing, INDEX_ALIASES);
	for (size_t i = 0; i < pack->naliases; i++) {
		const struct pack_alias *alias = &pack->aliases[i];

		writer_u64(packing->out, alias->entry);
		writer_u32(packing->out, alias->name);
		writer_u32(packing->out,
			   alias->is_linkage ? FUNCTION_LINKAGE : 0);
	}
	end(packing, INDEX_ALIASES);
}

static void patch_head(struct packing *packing, uint64_t sums_at)
{
	const struct build_id *id = packing->pack->build_id;
	struct writer head;

	writer_init(&head, INDEX_HEAD);
	writer_u64(&head, INDEX_MAGIC);
	writer_u32(&head, INDEX_VERSION);
	writer_u32(&head, id->len);
	writer_bytes(&head, id->bytes, MAX_BUILD_ID);
	writer_u64(&head, packing->pack->base);
	writer_u64(&head, first_address(packing->pack));
	writer_u32(&head, packing->pack->source);
	writer_u32(&head, packing->pack->made_of);
	writer_u32(&head, packing->pack->frames_why);
	writer_u32(&head, 0);
	writer_u64(&head, sums_at);
	for (int i = 0; i < INDEX_SECTIONS; i++) {
		writer_u64(&head, packing->at[i]);
		writer_u64(&head, packing->len[i]);
	}
	writer_zero(&head, INDEX_HEAD - head.len);
	if (!head.bad && !packing->out->bad)
		memcpy(packing->out->bytes, head.bytes, INDEX_HEAD);
	packing->out->bad |= head.bad;
	writer_fini(&head);
}

/* A checksum of each chunk, and at last one of these. */
static void write_sums(struct packing *packing)
{
	struct writer *out = packing->out;
	size_t len, sums_at = writer_align(out, 8);

	patch_head(packing, sums_at);
	for (size_t at = 0; at < sums_at && !out->bad; at += len) {
		len = sums_at - at < INDEX_CHUNK ? sums_at - at : INDEX_CHUNK;
		writer_u32(out, crc32_gzip_refl(0, out->bytes + at, len));
	}
	if (!out->bad)
		writer_u32(out, crc32_gzip_refl(0, out->bytes + sums_at,
						out->len - sums_at));
}

bool pack_write(struct pack *pack, struct writer *out)
{
	struct packing packing = { .pack = pack, .out = out };

	writer_init(&packing.data, UINT32_MAX);
	writer_zero(out, INDEX_HEAD);
	if (!write_functions(&packing)) {
		writer_fini(&packing.data);
		return false;
	}
	write_rows(&packing);
	write_scopes(&packing);
	write_files(&packing);
	write_symbols(&packing);
	write_calls(&packing);
	write_aliases(&packing);
	if (pack->frames)
		put_section(&packing, INDEX_FRAMES, pack->frames);
	writer_align(out, INDEX_CHUNK);
	put_section(&packing, INDEX_STRINGS, &pack->strings->bytes);
	write_sums(&packing);
	writer_fini(&packing.data);
	return !out->bad;
}
