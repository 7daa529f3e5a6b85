/* Making an index. Runs in the process that can be lost. Everything is kept in
 * tables until all has been said; then rows are put in order, functions are
 * numbered by how often they are named, and each table is packed. */
#include "build.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../array.h"
#include "aliases.h"
#include "format.h"
#include "pack.h"
#include "strings.h"
#include "tails.h"

enum {
	MAX_FUNCTIONS = 1 << 24,
	FIRST_SLOTS = 1 << 12,
};

struct build {
	struct strings strings;
	struct pack_function *functions; /* [0]: none */
	size_t nfunctions, functions_cap;
	uint32_t *slots; /* of functions, by name and flags; 0: free */
	size_t nslots;
	uint32_t *files; /* path of each; [0]: none */
	size_t nfiles, files_cap;
	uint32_t *file_slots; /* by path */
	size_t nfile_slots;
	struct pack_scope *scopes; /* [0]: none */
	size_t nscopes, scopes_cap;
	struct build_row *rows;
	size_t nrows, rows_cap;
	struct pack_symbol *symbols;
	size_t nsymbols, symbols_cap;
	struct tails tails;
	struct aliases aliases;
	bool bad;
};

struct build *build_new(void)
{
	struct build *build = calloc(1, sizeof(*build));

	if (!build)
		return NULL;
	strings_init(&build->strings);
	build->functions = array_grow(NULL, 0, &build->functions_cap,
				      sizeof(*build->functions));
	build->files = array_grow(NULL, 0, &build->files_cap,
				  sizeof(*build->files));
	build->scopes = array_grow(NULL, 0, &build->scopes_cap,
				   sizeof(*build->scopes));
	if (!build->functions || !build->files || !build->scopes) {
		build_free(build);
		return NULL;
	}
	memset(&build->functions[0], 0, sizeof(build->functions[0]));
	memset(&build->scopes[0], 0, sizeof(build->scopes[0]));
	build->files[0] = 0;
	build->nfunctions = build->nfiles = build->nscopes = 1;
	return build;
}

void build_free(struct build *build)
{
	if (!build)
		return;
	strings_fini(&build->strings);
	free(build->functions);
	free(build->slots);
	free(build->files);
	free(build->file_slots);
	free(build->scopes);
	free(build->rows);
	free(build->symbols);
	tails_fini(&build->tails);
	aliases_fini(&build->aliases);
	free(build);
}

/* A table of numbers by key, for both functions and files: open addressing. */

static size_t first_place(uint64_t key, size_t nslots)
{
	return (size_t)(key * UINT64_C(0x9e3779b97f4a7c15) >> 32) &
	       (nslots - 1);
}

typedef uint64_t key_of(const struct build *build, uint32_t number);

static uint32_t *find_place(const struct build *build, uint32_t *slots,
			    size_t nslots, key_of *key, uint64_t wanted)
{
	size_t i = first_place(wanted, nslots);

	while (slots[i] != 0 && key(build, slots[i]) != wanted)
		i = (i + 1) & (nslots - 1);
	return &slots[i];
}

static bool make_places(struct build *build, uint32_t **slots, size_t *nslots,
			size_t n, key_of *key)
{
	size_t more = *nslots ? *nslots * 2 : FIRST_SLOTS;
	uint32_t *fresh;

	if (n * 2 < *nslots)
		return true;
	fresh = calloc(more, sizeof(*fresh));
	if (!fresh) {
		build->bad = true;
		return false;
	}
	for (uint32_t i = 1; i < n; i++)
		*find_place(build, fresh, more, key, key(build, i)) = i;
	free(*slots);
	*slots = fresh;
	*nslots = more;
	return true;
}

static uint64_t file_key(const struct build *build, uint32_t number)
{
	return build->files[number];
}

static uint64_t function_key(const struct build *build, uint32_t number)
{
	const struct pack_function *function = &build->functions[number];

	return (uint64_t)function->name << 32 | function->flags;
}

uint32_t build_file(struct build *build, const char *path)
{
	uint32_t text = strings_add(&build->strings, path), *place, *more;

	if (text == 0 || build->nfiles == FUNCTION_FILE ||
	    !make_places(build, &build->file_slots, &build->nfile_slots,
			 build->nfiles, file_key))
		return 0;
	place = find_place(build, build->file_slots, build->nfile_slots,
			   file_key, text);
	if (*place != 0)
		return *place;
	more = array_grow(build->files, build->nfiles, &build->files_cap,
			  sizeof(*more));
	if (!more) {
		build->bad = true;
		return 0;
	}
	build->files = more;
	more[build->nfiles] = text;
	*place = (uint32_t)build->nfiles++;
	return *place;
}

uint32_t build_function(struct build *build, const char *name, unsigned flags)
{
	uint32_t text = strings_add(&build->strings, name), *place;
	struct pack_function *more;

	if (text == 0 || build->nfunctions == MAX_FUNCTIONS ||
	    !make_places(build, &build->slots, &build->nslots,
			 build->nfunctions, function_key))
		return 0;
	place = find_place(build, build->slots, build->nslots, function_key,
			   (uint64_t)text << 32 | flags);
	if (*place != 0)
		return *place;
	more = array_grow(build->functions, build->nfunctions,
			  &build->functions_cap, sizeof(*more));
	if (!more) {
		build->bad = true;
		return 0;
	}
	build->functions = more;
	more[build->nfunctions] = (struct pack_function){
		.name = text, .flags = flags,
	};
	*place = (uint32_t)build->nfunctions++;
	return *place;
}

static uint32_t add_scope(struct build *build, const struct pack_scope *scope)
{
	struct pack_scope *more = NULL;

	if (build->nscopes < UINT32_MAX)
		more = array_grow(build->scopes, build->nscopes,
				  &build->scopes_cap, sizeof(*more));
	if (!more) {
		build->bad = true;
		return 0;
	}
	build->scopes = more;
	more[build->nscopes] = *scope;
	build->functions[scope->function].uses++;
	return (uint32_t)build->nscopes++;
}

uint32_t build_scope(struct build *build, uint32_t function, uint64_t entry)
{
	const struct pack_scope scope = {
		.function = function, .entry = entry,
	};

	return add_scope(build, &scope);
}

uint32_t build_inlined(struct build *build, uint32_t parent, uint32_t function,
		       uint32_t call_file, uint32_t call_line)
{
	const struct pack_scope scope = {
		.parent = parent, .function = function,
		.call = { call_file, call_line },
	};

	return add_scope(build, &scope);
}

uint32_t build_text(struct build *build, const char *text)
{
	return strings_add(&build->strings, text);
}

void build_folded(struct build *build, uint64_t entry, const char *name,
		  unsigned flags)
{
	aliases_folded(&build->aliases, entry,
		       strings_add(&build->strings, name),
		       flags & BUILD_LINKAGE);
}

void build_dropped(struct build *build, const char *name, uint64_t size)
{
	aliases_dropped(&build->aliases, name, size);
}

void build_entry(struct build *build, uint64_t entry, bool tells_tails)
{
	tails_entry(&build->tails, entry, tells_tails);
}

void build_call(struct build *build, const struct build_call *call)
{
	tails_call(&build->tails, call);
}

/* True where ROW, which goes on where the last one ends, says the same, and was
 * made one with it. */
static bool extend_last(struct build *build, const struct build_row *row)
{
	struct build_row *last = build->nrows > 0
				 ? &build->rows[build->nrows - 1] : NULL;

	if (!last || last->start + last->len != row->start ||
	    last->scope != row->scope || last->file != row->file ||
	    last->line != row->line || row->len > UINT32_MAX - last->len)
		return false;
	last->len += row->len;
	return true;
}

void build_add(struct build *build, const struct build_row *row)
{
	struct build_row *more;

	if (extend_last(build, row))
		return;
	more = array_grow(build->rows, build->nrows, &build->rows_cap,
			  sizeof(*more));
	if (!more) {
		build->bad = true;
		return;
	}
	build->rows = more;
	more[build->nrows++] = *row;
}

static uint32_t clamp(uint64_t value)
{
	return value < UINT32_MAX ? (uint32_t)value : UINT32_MAX;
}

static void add_symbol(struct build *build, const struct pack_symbol *symbol)
{
	struct pack_symbol *more = array_grow(build->symbols, build->nsymbols,
					      &build->symbols_cap,
					      sizeof(*more));

	if (!more) {
		build->bad = true;
		return;
	}
	build->symbols = more;
	more[build->nsymbols++] = *symbol;
}

/* The name that others know a symbol by: without its version. */
static uint32_t add_name(struct build *build, const char *name)
{
	size_t len = strcspn(name, "@");
	uint32_t text;
	char *plain;

	if (name[len] == '\0' || len == 0)
		return strings_add(&build->strings, name);
	plain = strndup(name, len);
	text = plain ? strings_add(&build->strings, plain) : 0;
	build->bad |= !plain;
	free(plain);
	return text;
}

void build_symbols(struct build *build, const struct symtab *symtab)
{
	for (size_t i = 0; i < symtab->len; i++) {
		const struct symbol *from = &symtab->symbols[i];
		struct pack_symbol to = {
			.start = from->start,
			.size = clamp(from->end - from->start),
			.name = add_name(build, from->name),
			.file_and_flags =
				(uint32_t)from->rank << SYMBOL_RANK_SHIFT,
		};

		if (from->file)
			to.file_and_flags |= build_file(build, from->file);
		if (from->sized)
			to.file_and_flags |= SYMBOL_SIZED;
		add_symbol(build, &to);
	}
}

void build_stub(struct build *build, uint64_t start, size_t size,
		const char *name)
{
	struct pack_symbol symbol = {
		.start = start, .size = clamp(size),
		.file_and_flags = SYMBOL_SIZED |
				  (uint32_t)SYMTAB_RANK_STUB
					  << SYMBOL_RANK_SHIFT,
	};
	char *text;

	if (asprintf(&text, "%s@plt", name) < 0)
		return;
	symbol.name = strings_add(&build->strings, text);
	free(text);
	add_symbol(build, &symbol);
}

void build_public(struct build *build, uint64_t start, uint64_t end,
		  const char *name, bool folded)
{
	const struct pack_symbol symbol = {
		.start = start, .size = clamp(end - start),
		.name = strings_add(&build->strings, name),
		.file_and_flags = SYMBOL_PUBLIC | (folded ? SYMBOL_FOLDED : 0),
	};

	add_symbol(build, &symbol);
}

static int by_symbol_start(const void *left, const void *right)
{
	const struct pack_symbol *a = left, *b = right;

	return a->start < b->start ? -1 : a->start > b->start;
}

static bool is_same_symbol(const struct pack_symbol *a,
			   const struct pack_symbol *b)
{
	return a->start == b->start && a->size == b->size &&
	       a->name == b->name && a->file_and_flags == b->file_and_flags;
}

/* A binary has many of its debug file's. */
static void drop_repeated_symbols(struct build *build)
{
	size_t kept = 0;

	for (size_t i = 0; i < build->nsymbols; i++)
		if (kept == 0 || !is_same_symbol(&build->symbols[kept - 1],
						 &build->symbols[i]))
			build->symbols[kept++] = build->symbols[i];
	build->nsymbols = kept;
}

/* By start, each once, and how far each or any before it comes. */
static bool finish_symbols(struct build *build)
{
	uint64_t reach = 0;

	if (!array_sort(build->symbols, build->nsymbols,
			sizeof(*build->symbols), by_symbol_start))
		return false;
	drop_repeated_symbols(build);
	for (size_t i = 0; i < build->nsymbols; i++) {
		struct pack_symbol *symbol = &build->symbols[i];
		uint64_t end = symbol->start + symbol->size;

		if (end > reach)
			reach = end;
		symbol->reach = clamp(reach - symbol->start);
	}
	return true;
}

static int by_start(const void *left, const void *right)
{
	const struct build_row *a = left, *b = right;

	return a->start < b->start ? -1 : a->start > b->start;
}

/* Take out what lies under what came before it. */
static void cut_overlaps(struct build *build)
{
	uint64_t reach = 0;
	size_t kept = 0;

	for (size_t i = 0; i < build->nrows; i++) {
		struct build_row row = build->rows[i];
		uint64_t end = row.start + row.len;

		if (end <= reach || end < row.start)
			continue;
		if (row.start < reach) {
			row.len = (uint32_t)(end - reach);
			row.start = reach;
		}
		reach = end;
		build->rows[kept++] = row;
	}
	build->nrows = kept;
}

/* Where most of a function's code is of: the first file and line that are
 * named stand for it. */
static void find_places(struct build *build)
{
	for (size_t i = 0; i < build->nrows; i++) {
		const struct build_row *row = &build->rows[i];
		struct pack_function *function =
			&build->functions[build->scopes[row->scope].function];
		uint32_t line = row->line & ~BUILD_APPROXIMATE;

		if (function->file != 0 || row->file == 0 || line == 0)
			continue;
		function->file = row->file;
		function->line = line;
	}
	memset(&build->functions[0], 0, sizeof(build->functions[0]));
}

bool build_write(struct build *build, const struct build_module *module,
		 struct writer *out)
{
	struct pack pack;

	if (build->bad || build->strings.bytes.bad ||
	    !array_sort(build->rows, build->nrows, sizeof(*build->rows),
			by_start) ||
	    !finish_symbols(build) ||
	    !tails_finish(&build->tails, build->symbols, build->nsymbols))
		return false;
	cut_overlaps(build);
	find_places(build);
	pack = (struct pack){
		.rows = build->rows, .nrows = build->nrows,
		.scopes = build->scopes, .nscopes = build->nscopes,
		.functions = build->functions,
		.nfunctions = build->nfunctions,
		.files = build->files, .nfiles = build->nfiles,
		.symbols = build->symbols, .nsymbols = build->nsymbols,
		.calls = build->tails.kept, .ncalls = build->tails.nkept,
		.tails = build->tails.tails, .ntails = build->tails.ntails,
		.strings = &build->strings,
		.source = strings_add(&build->strings, module->source),
		.build_id = &module->build_id, .base = module->base,
		.made_of = module->made_of, .frames = module->frames,
		.frames_why = strings_add(&build->strings,
					  module->frames_why
						  ? module->frames_why : ""),
	};
	if (!aliases_finish(&build->aliases, &pack))
		return false;
	pack.aliases = build->aliases.kept;
	pack.naliases = build->aliases.nkept;
	return pack_write(&pack, out);
}
