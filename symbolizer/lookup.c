/* Names for the places of one module: its index, which has what DWARF, symbol
 * files of Breakpad's and symbol tables say, or the table of Go's runtime. Runs
 * in the process that can be lost, but for lookup_read_*, which read what that
 * process says and trust it no more than a file. */
#include "lookup.h"

#include <assert.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "demangle.h"
#include "gopclntab.h"
#include "index/index.h"
#include "index/make.h"
#include "store.h"
#include "tailcall.h"

#define MAX_INDEX ((size_t)1 << 31)

_Static_assert(LOOKUP_MAX_EXPECTED <= (int)AHEAD_MAX_ONLY,
	       "expected addresses can be told");

struct lookup {
	const struct module *module;
	struct finder *finder;
	struct module_files files;
	bool has_files; /* looked for only where no index is in the store */
	struct index *index;
	bool keeps;
	bool has_index; /* made only once an address is asked for */
	bool is_stored; /* it is in the store */
	struct ahead_only expected; /* N 0: nobody knows */
	struct writer bytes; /* of it, where it was made */
	struct gopclntab *gopclntab;
	bool has_gopclntab; /* read only once the index does not suffice */
	struct module *own; /* the module, where nobody else has it */
	bool is_sym; /* opened as a symbol file: addresses count from its
	              * base */
	char path[PATH_MAX]; /* of that */
	const char *why;
	char made_why[MAKE_WHY]; /* what it may point to */
};

static struct module_files *get_files(struct lookup *lookup)
{
	if (!lookup->has_files)
		finder_find(lookup->finder, lookup->module, &lookup->files);
	lookup->has_files = true;
	return &lookup->files;
}

struct index *lookup_stored(const struct module *module)
{
	char dir[PATH_MAX], path[PATH_MAX];
	struct index *index;

	if (!store_dir(dir, sizeof(dir)) ||
	    !store_index_path(dir, &module->build_id, path, sizeof(path)))
		return NULL;
	index = index_open(path, NULL);
	if (index && !build_id_equal(index_build_id(index),
				     &module->build_id)) {
		index_close(index);
		return NULL;
	}
	if (index)
		store_touch(path);
	return index;
}

/* One that is in the store has all there is to be had, unless it was made
 * without DWARF, and there is some now; or of DWARF and without the binary, and
 * both are there. */
static bool is_whole(struct lookup *lookup, const struct index *index)
{
	const unsigned all = INDEX_OF_DWARF | INDEX_OF_CODE;
	unsigned made_of = index_made_of(index);
	const struct module_files *files;

	if ((made_of & all) == all)
		return true;
	files = get_files(lookup);
	return !files->debug.has_dwarf ||
	       (made_of & INDEX_OF_DWARF && !files->code.elf);
}

static void use_stored(struct lookup *lookup)
{
	struct index *index = lookup_stored(lookup->module);

	if (index && !is_whole(lookup, index)) {
		index_close(index);
		index = NULL;
	}
	lookup->index = index;
	lookup->is_stored = index != NULL;
}

/* What is lost without lines, or half of the names, is made again when more
 * files are there. */
static void publish(struct lookup *lookup)
{
	char dir[PATH_MAX];

	if (!lookup->keeps || lookup->why ||
	    !index_has_lines(lookup->index) ||
	    !store_dir(dir, sizeof(dir)))
		return;
	lookup->is_stored = store_publish(dir, index_build_id(lookup->index),
					  lookup->bytes.bytes,
					  lookup->bytes.len, NULL);
}

/* The addresses that an index is wanted for, or NULL for a whole one. */
static struct ahead_only *wanted(struct lookup *lookup)
{
	char dir[PATH_MAX];

	if (lookup->expected.n == 0 || !get_files(lookup)->debug.has_dwarf ||
	    (store_dir(dir, sizeof(dir)) &&
	     !store_is_first(dir, &lookup->module->build_id)))
		return NULL;
	return &lookup->expected;
}

static void forget_bytes(struct lookup *lookup)
{
	writer_fini(&lookup->bytes);
	writer_init(&lookup->bytes, MAX_INDEX);
}

/* Write the index of what is about the addresses that are expected, if units
 * say where those are: true. Else that of all. */
static bool write_part(struct lookup *lookup, const struct elf_file *alt)
{
	struct module_files *files = get_files(lookup);
	struct ahead_only *only = wanted(lookup);

	if (only && make_index(files, alt, only, &lookup->bytes,
			       lookup->made_why) && ahead_found_all(only))
		return true;
	forget_bytes(lookup);
	if (!make_index(files, alt, NULL, &lookup->bytes, lookup->made_why))
		forget_bytes(lookup);
	return false;
}

static void make(struct lookup *lookup)
{
	struct module_files *files = get_files(lookup);
	const struct elf_file *debug = &files->debug;
	struct elf_file alt = ELF_FILE_NONE;
	bool is_part;
	size_t len;

	if (debug->elf && debug->has_dwarf &&
	    !finder_find_alt(lookup->finder, debug, &alt) &&
	    elf_file_section(debug, ".gnu_debugaltlink", &len))
		lookup->why = "the common debug file (dwz) was not found";
	finder_find_packages(lookup->finder, lookup->module, files);
	is_part = write_part(lookup, &alt);
	lookup->index = index_memory(lookup->bytes.bytes, lookup->bytes.len,
				     NULL);
	if (lookup->made_why[0])
		lookup->why = lookup->made_why;
	elf_file_close(&alt);
	if (lookup->index && !is_part)
		publish(lookup);
}

static struct index *get_index(struct lookup *lookup)
{
	if (!lookup->has_index && !lookup->index)
		make(lookup);
	lookup->has_index = true;
	return lookup->index;
}

/* True where the stored index turned out to be damaged, and another has taken
 * its place: what it said is to be asked again. */
static bool repair(struct lookup *lookup)
{
	if (!lookup->index || !index_is_damaged(lookup->index) ||
	    lookup->bytes.len > 0)
		return false;
	index_close(lookup->index);
	lookup->index = NULL;
	lookup->has_index = lookup->is_stored = false;
	return true;
}

struct lookup *lookup_open(struct finder *finder, const struct module *module,
			   bool keeps)
{
	struct lookup *lookup = calloc(1, sizeof(*lookup));

	if (lookup == NULL)
		return NULL;
	lookup->module = module;
	lookup->keeps = keeps;
	lookup->finder = finder;
	lookup->files.code = lookup->files.debug = ELF_FILE_NONE;
	writer_init(&lookup->bytes, MAX_INDEX);
	use_stored(lookup);
	return lookup;
}

/* A file without a build-id stands for itself: nothing else is known to be of
 * the same build, and nothing is kept of it. */
static bool stand_alone(struct lookup *lookup, const char *path,
			struct error *err)
{
	lookup->has_files = true;
	return elf_file_open(path, &lookup->files.code, err) &&
	       elf_file_open(path, &lookup->files.debug, err);
}

/* A lookup for a module of its own, which is to be filled in. */
static struct lookup *open_own(struct finder *finder, const char *path,
			       struct error *err)
{
	struct module *module = calloc(1, sizeof(*module));
	struct lookup *lookup = module ? lookup_open(finder, module, true)
				       : NULL;

	if (!lookup) {
		free(module);
		fail(err, ERR_NO_MEMORY, "no memory");
		return NULL;
	}
	lookup->own = module;
	module->path = realpath(path, lookup->path);
	return lookup;
}

/* Breakpad's symbol file FILE, which is the lookup's now. Nothing else is taken
 * for its module. */
static struct lookup *open_sym(struct finder *finder, struct sym_file *file,
			       struct error *err)
{
	struct lookup *lookup = open_own(finder, file->path, err);

	if (!lookup) {
		sym_file_close(file);
		return NULL;
	}
	lookup->files.sym = *file;
	lookup->has_files = lookup->is_sym = true;
	lookup->own->build_id = file->id.code;
	use_stored(lookup);
	return lookup;
}

struct lookup *lookup_open_file(struct finder *finder, const char *path,
				struct error *err)
{
	struct lookup *lookup;
	struct elf_file file;
	struct sym_file sym;

	if (!elf_file_open(path, &file, err))
		return sym_file_open(path, &sym, NULL)
			       ? open_sym(finder, &sym, err) : NULL;
	lookup = open_own(finder, path, err);
	if (lookup) {
		lookup->own->build_id = file.build_id;
		use_stored(lookup);
	}
	elf_file_close(&file);
	if (lookup && lookup->own->build_id.len == 0 &&
	    !stand_alone(lookup, path, err)) {
		lookup_close(lookup);
		return NULL;
	}
	return lookup;
}

void lookup_close(struct lookup *lookup)
{
	if (lookup == NULL)
		return;
	index_close(lookup->index);
	writer_fini(&lookup->bytes);
	gopclntab_close(lookup->gopclntab);
	module_files_close(&lookup->files);
	free(lookup->own);
	free(lookup);
}

/* One that no index was made of yet may turn out to be unreadable. */
static bool has_sym_file(struct lookup *lookup)
{
	if (lookup->index)
		return index_made_of(lookup->index) & INDEX_OF_SYM;
	return !lookup->has_index && get_files(lookup)->sym.path;
}

/* The table is needed at run time, so it is where the code is. */
static const struct gopclntab *get_gopclntab(struct lookup *lookup)
{
	const struct elf_file *code;

	if (lookup->has_gopclntab)
		return lookup->gopclntab;
	lookup->has_gopclntab = true;
	code = &get_files(lookup)->code;
	if (code->elf)
		lookup->gopclntab = gopclntab_open(code);
	return lookup->gopclntab;
}

enum symbols_status lookup_status(struct lookup *lookup)
{
	if (lookup->module->build_id.len == 0)
		return SYMBOLS_NONE;
	if ((lookup->index && index_has_lines(lookup->index)) ||
	    get_files(lookup)->debug.elf || has_sym_file(lookup) ||
	    get_gopclntab(lookup))
		return SYMBOLS_FOUND;
	return SYMBOLS_MISSING;
}

const char *lookup_debug_path(struct lookup *lookup)
{
	const struct module_files *files;
	const char *source;

	source = lookup->index ? index_source(lookup->index) : NULL;
	if (source)
		return source;
	files = get_files(lookup);
	if (has_sym_file(lookup))
		return files->sym.path;
	return files->debug.elf ? files->debug.path : files->code.path;
}

const char *lookup_why(const struct lookup *lookup)
{
	return lookup->why;
}

/* The address of the module's base in its own numbering. */
static uint64_t base_of(struct lookup *lookup)
{
	struct index *index = get_index(lookup);
	const struct module_files *files;

	if (lookup->is_sym)
		return 0;
	if (index && index_made_of(index) & INDEX_OF_ELF)
		return index_base(index);
	files = get_files(lookup);
	if (!files->code.elf && !files->debug.elf)
		return 0;
	return elf_file_base(files->code.elf ? &files->code : &files->debug);
}

/* ADDRESS as INDEX has it, which may have been made where the module's own
 * numbering was not known. */
static uint64_t index_address(struct lookup *lookup, struct index *index,
			      uint64_t address)
{
	return address - base_of(lookup) + index_base(index);
}

static bool find_symbol(struct lookup *lookup, uint64_t address,
			struct index_symbol *out)
{
	struct index *index = get_index(lookup);

	return index && index_symbol(index,
				     index_address(lookup, index, address),
				     out);
}

/* The outermost function at ADDRESS by its symbol, where that says more. */
static void complete(struct lookup *lookup, uint64_t address,
		     struct level *outermost)
{
	struct index_symbol symbol;

	if ((!outermost->is_linkage || !outermost->file) &&
	    find_symbol(lookup, address, &symbol))
		index_complete(outermost, &symbol);
}

void lookup_write_text(struct writer *out, const char *text)
{
	size_t len;

	if (text == NULL) {
		writer_u32(out, 0);
		return;
	}
	len = strnlen(text, MAX_STRING - 1);
	writer_u32(out, (uint32_t)len + 1);
	writer_bytes(out, text, len);
}

const char *lookup_read_text(struct reader *r, struct report *report)
{
	uint32_t len = reader_u32(r);
	const uint8_t *bytes;
	char *copy;

	if (len == 0)
		return NULL;
	if (len > MAX_STRING) {
		r->bad = true;
		return NULL;
	}
	bytes = reader_take(r, len - 1);
	if (bytes == NULL && len > 1)
		return NULL;
	copy = report_string(report, bytes ? (const char *)bytes : "",
			     len - 1);
	if (copy == NULL)
		r->bad = true;
	return copy;
}

/* NAME as it is shown, by way of BUFFER. */
static const char *shown(const char *name, bool is_linkage,
			 char buffer[SYMBOLIZE_MAX_NAME])
{
	if (!name || !is_linkage)
		return name;
	demangle(name, buffer, SYMBOLIZE_MAX_NAME);
	return buffer;
}

/* The NALIASES other names of LEVEL's function that differ from it. C++ has two
 * constructors of one name. */
static void write_aliases(struct writer *out, const char *function,
			  const struct index_alias *aliases, size_t naliases)
{
	char name[SYMBOLIZE_MAX_NAME];
	size_t count_at = out->len;
	uint32_t n = 0;

	writer_u32(out, 0);
	for (size_t i = 0; function && i < naliases; i++) {
		const char *text = shown(aliases[i].name,
					 aliases[i].is_linkage, name);

		if (strcmp(text, function) == 0)
			continue;
		lookup_write_text(out, text);
		n++;
	}
	writer_patch_u32(out, count_at, n);
}

static void write_level(struct writer *out, const struct level *level,
			const struct index_alias *aliases, size_t naliases)
{
	char name[SYMBOLIZE_MAX_NAME];
	const char *function = shown(level->function, level->is_linkage, name);

	lookup_write_text(out, function);
	lookup_write_text(out, level->file);
	writer_u32(out, level->line);
	writer_u32(out, (level->approximate ? NAME_APPROXIMATE : 0) |
			(level->icf ? NAME_ICF : 0));
	write_aliases(out, function, aliases, naliases);
}

/* The functions at ADDRESS by what has files, lines and inlines: the index, or
 * Go's table, which knows nothing of C. Their number, at most
 * SYMBOLIZE_MAX_INLINES. */
static size_t find_levels(struct lookup *lookup, uint64_t address,
			  struct level *levels)
{
	struct index *index = get_index(lookup);
	const struct gopclntab *gopclntab;
	size_t n = 0;

	if (index)
		n = index_levels(index, index_address(lookup, index, address),
				 levels, SYMBOLIZE_MAX_INLINES);
	gopclntab = n == 0 && (!index || index_made_of(index) & INDEX_LACKS_GO)
			    ? get_gopclntab(lookup) : NULL;
	if (gopclntab)
		n = gopclntab_levels(gopclntab, address, levels,
				     SYMBOLIZE_MAX_INLINES);
	return n;
}

static size_t name_place(struct lookup *lookup, uint64_t address,
			 struct level *levels)
{
	size_t n = find_levels(lookup, address, levels);

	if (n == 0) {
		memset(&levels[0], 0, sizeof(levels[0]));
		n = 1;
	}
	complete(lookup, address, &levels[n - 1]);
	if (n == 1 && !levels[0].function && !levels[0].file)
		n = 0;
	return n;
}

size_t lookup_levels(struct lookup *lookup, uint64_t address,
		     struct level *levels)
{
	size_t n;

	do
		n = name_place(lookup, address, levels);
	while (repair(lookup));
	return n;
}

void lookup_expect(struct lookup *lookup, const uint64_t *addresses, size_t n)
{
	assert(n <= LOOKUP_MAX_EXPECTED);
	lookup->expected.n = n;
	memcpy(lookup->expected.addresses, addresses, n * sizeof(*addresses));
}

bool lookup_prepare(struct lookup *lookup)
{
	get_index(lookup);
	if (lookup->is_sym && lookup->files.sym.id.code.len == 0 &&
	    !lookup->why)
		lookup->why = "it has no CODE_ID, which it would be kept by";
	return lookup->is_stored;
}

struct index *lookup_index(struct lookup *lookup, struct sym_id *id_out)
{
	struct index *index = get_index(lookup);

	if (!index)
		return NULL;
	if (lookup->is_sym)
		*id_out = lookup->files.sym.id;
	else
		sym_id_of(index_build_id(index), id_out);
	return index;
}

bool lookup_section(struct lookup *lookup, const char *name,
		    uint64_t *address_out)
{
	const struct module_files *files = get_files(lookup);

	return elf_file_section_address(files->code.elf ? &files->code
							: &files->debug,
					name, address_out);
}

void lookup_write(struct lookup *lookup, uint64_t offset, struct writer *out)
{
	struct index_alias aliases[INDEX_MAX_ALIASES];
	struct level levels[SYMBOLIZE_MAX_INLINES];
	uint64_t address = base_of(lookup) + offset;
	size_t n = lookup_levels(lookup, address, levels), naliases = 0;

	if (n > 0 && lookup->index)
		naliases = index_aliases(lookup->index,
					 index_address(lookup, lookup->index,
						       address),
					 aliases);
	writer_u32(out, (uint32_t)n);
	for (size_t i = 0; i < n; i++)
		write_level(out, &levels[i], aliases,
			    i == n - 1 ? naliases : 0);
}

size_t lookup_write_tail_calls(struct lookup *lookup, uint64_t inner_offset,
			       uint64_t return_offset, struct writer *out)
{
	struct index *index = get_index(lookup);
	uint64_t pcs[TAILCALL_MAX] = { 0 };
	size_t n = 0;

	if (index)
		n = tailcall_between(index, index_base(index) + return_offset,
				     index_base(index) + inner_offset, pcs);
	writer_u32(out, (uint32_t)n);
	for (size_t i = 0; i < n; i++) {
		uint64_t passed = pcs[i] - index_base(index);

		writer_u64(out, passed);
		lookup_write(lookup, passed - 1, out);
	}
	return n;
}

bool lookup_symbol(struct lookup *lookup, uint64_t offset, char *out,
		   size_t cap, uint64_t *from_out)
{
	struct index *index = get_index(lookup);
	struct index_symbol symbol;
	uint64_t address;

	if (!index)
		return false;
	address = index_base(index) + offset;
	if (!index_symbol(index, address, &symbol) || !symbol.name)
		return false;
	demangle(symbol.name, out, cap);
	*from_out = address - symbol.start;
	return true;
}

bool lookup_reenters(struct lookup *lookup, uint64_t offset)
{
	struct index *index = get_index(lookup);

	return !index || tailcall_reenters(index, index_base(index) + offset);
}

static void read_aliases(struct reader *r, struct report *report,
			 struct name *out)
{
	size_t n = reader_count(r, INDEX_MAX_ALIASES, sizeof(uint32_t));

	out->aliases = n ? report_alloc(report, n * sizeof(*out->aliases))
			 : NULL;
	out->naliases = out->aliases ? n : 0;
	r->bad |= out->naliases < n;
	for (size_t i = 0; i < out->naliases; i++)
		out->aliases[i] = lookup_read_text(r, report);
	if (n > 0)
		out->flags |= NAME_ICF;
}

void lookup_read_name(struct reader *r, struct report *report,
		      struct name *out)
{
	out->function = lookup_read_text(r, report);
	out->file = lookup_read_text(r, report);
	out->line = reader_u32(r);
	out->flags = reader_u32(r);
	read_aliases(r, report, out);
}
