/* Names for the places of one module: its index, which has what DWARF and
 * symbol tables say, Breakpad's symbol file, or the table of Go's runtime. Runs
 * in the process that can be lost, but for lookup_read_*, which read what that
 * process says and trust it no more than a file. */
#include "lookup.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "demangle.h"
#include "gopclntab.h"
#include "index/index.h"
#include "index/make.h"
#include "store.h"
#include "stubs.h"
#include "symnames.h"
#include "tailcall.h"

#define MAX_INDEX ((size_t)1 << 31)

enum {
	MAX_STUB = 1024, /* bytes of the name of one */
};

struct lookup {
	const struct module *module;
	struct finder *finder;
	struct module_files files;
	bool has_files; /* looked for only where no index is in the store */
	struct index *index;
	bool keeps;
	bool has_index; /* made only once an address is asked for */
	struct writer bytes; /* of it, where it was made */
	struct symnames *symnames;
	bool has_symnames; /* read only once the index does not suffice */
	struct gopclntab *gopclntab;
	bool has_gopclntab; /* the same */
	struct module *own; /* the module, where nobody else has it */
	char path[PATH_MAX]; /* of that */
	char stub[MAX_STUB]; /* name of the last one that was asked for */
	const char *why;
	char sym_why[SYM_TROUBLE]; /* what it may point to */
};

static const struct module_files *get_files(struct lookup *lookup)
{
	if (!lookup->has_files)
		finder_find(lookup->finder, lookup->module, &lookup->files);
	lookup->has_files = true;
	return &lookup->files;
}

/* One that is in the store has all there is to be had. */
static struct index *open_stored(const struct module *module)
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

/* What is lost without lines, or half of the names, is made again when more
 * files are there. */
static void publish(const struct lookup *lookup)
{
	char dir[PATH_MAX];

	if (!lookup->keeps || lookup->why ||
	    !index_has_lines(lookup->index) ||
	    !store_dir(dir, sizeof(dir)))
		return;
	store_publish(dir, index_build_id(lookup->index), lookup->bytes.bytes,
		      lookup->bytes.len, NULL);
}

static void make(struct lookup *lookup)
{
	const struct module_files *files = get_files(lookup);
	const struct elf_file *debug = &files->debug;
	struct elf_file alt = ELF_FILE_NONE;
	const char *why = NULL;
	size_t len;

	if (!files->code.elf && !debug->elf)
		return;
	if (debug->elf && debug->has_dwarf &&
	    !finder_find_alt(lookup->finder, debug, &alt) &&
	    elf_file_section(debug, ".gnu_debugaltlink", &len))
		lookup->why = "the common debug file (dwz) was not found";
	if (make_index(files, &alt, &lookup->bytes, &why))
		lookup->index = index_memory(lookup->bytes.bytes,
					     lookup->bytes.len, NULL);
	if (why)
		lookup->why = why;
	elf_file_close(&alt);
	if (lookup->index)
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
	lookup->has_index = false;
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
	lookup->index = open_stored(module);
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

struct lookup *lookup_open_file(struct finder *finder, const char *path,
				struct error *err)
{
	struct lookup *lookup = NULL;
	struct elf_file file;
	struct module *module;

	if (!elf_file_open(path, &file, err))
		return NULL;
	module = calloc(1, sizeof(*module));
	if (module)
		lookup = lookup_open(finder, module, true);
	if (!lookup) {
		free(module);
		elf_file_close(&file);
		fail(err, ERR_NO_MEMORY, "no memory");
		return NULL;
	}
	lookup->own = module;
	module->build_id = file.build_id;
	module->path = realpath(path, lookup->path);
	elf_file_close(&file);
	if (module->build_id.len > 0)
		lookup->index = open_stored(module);
	if (module->build_id.len == 0 && !stand_alone(lookup, path, err)) {
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
	symnames_close(lookup->symnames);
	gopclntab_close(lookup->gopclntab);
	module_files_close(&lookup->files);
	free(lookup->own);
	free(lookup);
}

static void open_symnames(struct lookup *lookup)
{
	struct sym_file *file;
	struct sym_trouble trouble;
	struct error err;

	get_files(lookup);
	file = &lookup->files.sym;
	if (file->path == NULL)
		return;
	lookup->symnames = symnames_open(file, &err);
	if (lookup->symnames == NULL) {
		snprintf(lookup->sym_why, sizeof(lookup->sym_why),
			 "its symbol file: %.200s", err.text);
	} else {
		trouble = symnames_trouble(lookup->symnames);
		sym_say_trouble(&trouble, lookup->sym_why);
	}
	if (lookup->sym_why[0])
		lookup->why = lookup->sym_why;
}

static struct symnames *get_symnames(struct lookup *lookup)
{
	if (!lookup->has_symnames)
		open_symnames(lookup);
	lookup->has_symnames = true;
	return lookup->symnames;
}

/* False where it turned out to be unreadable. */
static bool has_sym_file(struct lookup *lookup)
{
	return get_files(lookup)->sym.path &&
	       (!lookup->has_symnames || lookup->symnames);
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
	if (source && index_has_lines(lookup->index))
		return source;
	files = get_files(lookup);
	if (has_sym_file(lookup))
		return files->sym.path;
	if (source)
		return source;
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

	return index ? index_base(index) : 0;
}

static bool find_symbol(struct lookup *lookup, uint64_t address,
			struct index_symbol *out)
{
	struct index *index = get_index(lookup);

	return index && index_symbol(index, address, out);
}

static bool is_mangled(const char *name)
{
	return strncmp(name, "_Z", 2) == 0 || strncmp(name, "_R", 2) == 0;
}

/* A name for what no function is known to be at, by something better than an
 * ELF symbol without a size: a stub, or a symbol file's function that the file
 * has no size of. */
static bool find_unsized(struct lookup *lookup, uint64_t address,
			 bool has_symbol, struct level *level)
{
	struct symnames *symnames;

	if (!has_symbol &&
	    stubs_name(&get_files(lookup)->code, address, lookup->stub,
		       sizeof(lookup->stub))) {
		level->function = lookup->stub;
	} else {
		symnames = get_symnames(lookup);
		if (symnames)
			level->function = symnames_public(symnames,
				address - base_of(lookup), &level->icf);
		level->approximate |= level->function != NULL;
	}
	level->is_linkage = level->function != NULL;
	return level->is_linkage;
}

/* DWARF leaves out the linkage name of some functions (local classes, lambdas,
 * assembler), and has no functions at all for others; the symbol that the
 * outermost one has then says more. */
static void complete(struct lookup *lookup, uint64_t address,
		     struct level *outermost)
{
	struct index_symbol symbol;
	bool has_symbol;

	if (outermost->is_linkage)
		return;
	has_symbol = find_symbol(lookup, address, &symbol);
	if (outermost->function == NULL && !(has_symbol && symbol.sized) &&
	    find_unsized(lookup, address, has_symbol, outermost))
		return;
	if (!has_symbol)
		return;
	if (outermost->function == NULL) {
		outermost->function = symbol.name;
		outermost->is_linkage = true;
		outermost->approximate |= !symbol.sized;
		if (outermost->file == NULL)
			outermost->file = symbol.file;
	} else if (symbol.sized && is_mangled(symbol.name)) {
		outermost->function = symbol.name;
		outermost->is_linkage = true;
	}
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

static void write_level(struct writer *out, const struct level *level)
{
	char name[SYMBOLIZE_MAX_NAME];

	if (level->function && level->is_linkage) {
		demangle(level->function, name, sizeof(name));
		lookup_write_text(out, name);
	} else {
		lookup_write_text(out, level->function);
	}
	lookup_write_text(out, level->file);
	writer_u32(out, level->line);
	writer_u32(out, (level->approximate ? NAME_APPROXIMATE : 0) |
			(level->icf ? NAME_ICF : 0));
}

/* The functions at ADDRESS by what has files, lines and inlines: DWARF, which
 * says most, the symbol file, which was made of it, or Go's table, which knows
 * nothing of C. Their number, at most SYMBOLIZE_MAX_INLINES. */
static size_t find_levels(struct lookup *lookup, uint64_t address,
			  struct level *levels)
{
	struct index *index = get_index(lookup);
	const struct gopclntab *gopclntab;
	struct symnames *symnames;
	size_t n = index ? index_levels(index, address, levels,
					SYMBOLIZE_MAX_INLINES)
			 : 0;

	symnames = n == 0 ? get_symnames(lookup) : NULL;
	if (symnames)
		n = symnames_levels(symnames, address - base_of(lookup),
				    levels, SYMBOLIZE_MAX_INLINES);
	gopclntab = n == 0 ? get_gopclntab(lookup) : NULL;
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

bool lookup_prepare(struct lookup *lookup)
{
	struct index *index = get_index(lookup);

	return index && index_has_lines(index);
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
	struct level levels[SYMBOLIZE_MAX_INLINES];
	size_t n = lookup_levels(lookup, base_of(lookup) + offset, levels);

	writer_u32(out, (uint32_t)n);
	for (size_t i = 0; i < n; i++)
		write_level(out, &levels[i]);
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

void lookup_read_name(struct reader *r, struct report *report,
		      struct name *out)
{
	out->function = lookup_read_text(r, report);
	out->file = lookup_read_text(r, report);
	out->line = reader_u32(r);
	out->flags = reader_u32(r);
}
