/* Names for the places of one module: its index, which has what DWARF and
 * symbol tables say, or the table of Go's runtime. Runs in the process that can
 * be lost, but for lookup_read_*, which read what that process says and trust
 * it no more than a file. */
#include "lookup.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "demangle.h"
#include "gopclntab.h"
#include "index/index.h"
#include "index/make.h"
#include "stubs.h"
#include "symtab.h"
#include "tailcall.h"

#define MAX_INDEX ((size_t)1 << 31)

enum {
	MAX_STUB = 1024, /* bytes of the name of one */
};

struct lookup {
	struct module_files files;
	struct elf_file alt; /* dwz's common file */
	struct finder *finder;
	struct writer bytes; /* of the index */
	struct index *index;
	bool has_index; /* made only once an address is asked for */
	struct gopclntab *gopclntab;
	bool has_gopclntab; /* looked for only once DWARF does not suffice */
	char stub[MAX_STUB]; /* name of the last one that was asked for */
	uint64_t base;
	enum symbols_status status;
	const char *why;
};

static void open_alt(struct lookup *lookup)
{
	const struct elf_file *debug = &lookup->files.debug;
	size_t len;

	if (lookup->alt.elf || !debug->elf || !debug->has_dwarf)
		return;
	if (!finder_find_alt(lookup->finder, debug, &lookup->alt) &&
	    elf_file_section(debug, ".gnu_debugaltlink", &len))
		lookup->why = "the common debug file (dwz) was not found";
}

static struct index *get_index(struct lookup *lookup)
{
	const char *why = NULL;

	if (lookup->has_index)
		return lookup->index;
	lookup->has_index = true;
	if (!lookup->files.code.elf && !lookup->files.debug.elf)
		return NULL;
	open_alt(lookup);
	writer_init(&lookup->bytes, MAX_INDEX);
	if (make_index(&lookup->files, &lookup->alt, &lookup->bytes, &why))
		lookup->index = index_memory(lookup->bytes.bytes,
					     lookup->bytes.len, NULL);
	if (why)
		lookup->why = why;
	return lookup->index;
}

struct lookup *lookup_open(struct finder *finder, const struct module *module)
{
	struct lookup *lookup = calloc(1, sizeof(*lookup));

	if (lookup == NULL)
		return NULL;
	lookup->alt = ELF_FILE_NONE;
	lookup->finder = finder;
	finder_find(finder, module, &lookup->files);
	if (module->build_id.len == 0)
		lookup->status = SYMBOLS_NONE;
	else if (lookup->files.debug.elf)
		lookup->status = SYMBOLS_FOUND;
	else
		lookup->status = SYMBOLS_MISSING;
	if (lookup->files.code.elf)
		lookup->base = elf_file_base(&lookup->files.code);
	else if (lookup->files.debug.elf)
		lookup->base = elf_file_base(&lookup->files.debug);
	return lookup;
}

void lookup_close(struct lookup *lookup)
{
	if (lookup == NULL)
		return;
	index_close(lookup->index);
	writer_fini(&lookup->bytes);
	gopclntab_close(lookup->gopclntab);
	elf_file_close(&lookup->alt);
	module_files_close(&lookup->files);
	free(lookup);
}

/* The table is needed at run time, so it is where the code is. */
static const struct gopclntab *get_gopclntab(struct lookup *lookup)
{
	if (!lookup->has_gopclntab && lookup->files.code.elf)
		lookup->gopclntab = gopclntab_open(&lookup->files.code);
	lookup->has_gopclntab = true;
	return lookup->gopclntab;
}

enum symbols_status lookup_status(struct lookup *lookup)
{
	if (lookup->status == SYMBOLS_MISSING && get_gopclntab(lookup))
		lookup->status = SYMBOLS_FOUND;
	return lookup->status;
}

const char *lookup_debug_path(const struct lookup *lookup)
{
	if (lookup->files.debug.elf)
		return lookup->files.debug.path;
	return lookup->files.code.path;
}

const char *lookup_why(const struct lookup *lookup)
{
	return lookup->why;
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

/* DWARF leaves out the linkage name of some functions (local classes, lambdas,
 * assembler), and has no functions at all for others; the symbol that the
 * outermost one has then says more. */
static void complete(struct lookup *lookup, uint64_t address,
		     struct level *outermost)
{
	struct index_symbol symbol;

	if (outermost->is_linkage)
		return;
	if (!find_symbol(lookup, address, &symbol)) {
		if (outermost->function == NULL &&
		    stubs_name(&lookup->files.code, address, lookup->stub,
			       sizeof(lookup->stub))) {
			outermost->function = lookup->stub;
			outermost->is_linkage = true;
		}
	} else if (outermost->function == NULL) {
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
	writer_u32(out, level->approximate ? NAME_APPROXIMATE : 0);
}

/* The functions at ADDRESS by what has files, lines and inlines: DWARF, which
 * says most, or Go's table, which knows nothing of C. Their number, at most
 * SYMBOLIZE_MAX_INLINES. */
static size_t find_levels(struct lookup *lookup, uint64_t address,
			  struct level *levels)
{
	struct index *index = get_index(lookup);
	const struct gopclntab *gopclntab;
	size_t n = index ? index_levels(index, address, levels,
					SYMBOLIZE_MAX_INLINES)
			 : 0;

	gopclntab = n == 0 ? get_gopclntab(lookup) : NULL;
	if (gopclntab)
		n = gopclntab_levels(gopclntab, address, levels,
				     SYMBOLIZE_MAX_INLINES);
	return n;
}

void lookup_write(struct lookup *lookup, uint64_t offset, struct writer *out)
{
	struct level levels[SYMBOLIZE_MAX_INLINES];
	uint64_t address = lookup->base + offset;
	size_t n = find_levels(lookup, address, levels);

	if (n == 0) {
		memset(&levels[0], 0, sizeof(levels[0]));
		n = 1;
	}
	complete(lookup, address, &levels[n - 1]);
	if (n == 1 && !levels[0].function && !levels[0].file)
		n = 0;
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
		n = tailcall_between(index, lookup->base + return_offset,
				     lookup->base + inner_offset, pcs);
	writer_u32(out, (uint32_t)n);
	for (size_t i = 0; i < n; i++) {
		writer_u64(out, pcs[i] - lookup->base);
		lookup_write(lookup, pcs[i] - lookup->base - 1, out);
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
