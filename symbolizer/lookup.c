/* Names for the places of one module: DWARF where there is some, then the table
 * of Go's runtime, and symbol tables where there are none or where they do not
 * know. Runs in the process that can be lost, but for lookup_read_*, which read
 * what that process says and trust it no more than a file. */
#include "lookup.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "demangle.h"
#include "dwarf.h"
#include "gopclntab.h"
#include "stubs.h"
#include "symtab.h"
#include "tailcall.h"

enum {
	MAX_COMPARED = 64 << 20, /* names, of one module; then calls to
	                          * other units' functions are unknown */
	MAX_STUB = 1024, /* bytes of the name of one */
};

struct lookup {
	struct module_files files;
	struct elf_file alt; /* dwz's common file */
	struct finder *finder;
	struct dwarf *dwarf;
	bool has_dwarf; /* opened only once an address is asked for: libdw
	                 * unpacks all sections then */
	struct gopclntab *gopclntab;
	bool has_gopclntab; /* looked for only once DWARF does not suffice */
	struct symtab symtab;
	bool has_symtab; /* the same */
	size_t compared; /* names */
	struct tailcall tailcall;
	char stub[MAX_STUB]; /* name of the last one that was asked for */
	uint64_t base;
	enum symbols_status status;
	const char *why;
};

static tailcall_resolve find_by_name;

static void open_dwarf(struct lookup *lookup)
{
	const struct elf_file *debug = &lookup->files.debug;
	size_t len;

	lookup->has_dwarf = true;
	if (!debug->elf || !debug->has_dwarf)
		return;
	if (!finder_find_alt(lookup->finder, debug, &lookup->alt) &&
	    elf_file_section(debug, ".gnu_debugaltlink", &len))
		lookup->why = "the common debug file (dwz) was not found";
	lookup->dwarf = dwarf_open(debug, lookup->alt.elf ? &lookup->alt
							  : NULL);
	if (lookup->dwarf == NULL)
		lookup->why = "its DWARF cannot be read";
	tailcall_init(&lookup->tailcall, lookup->dwarf, find_by_name, lookup);
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
	dwarf_close(lookup->dwarf);
	gopclntab_close(lookup->gopclntab);
	symtab_fini(&lookup->symtab);
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

static const struct symtab *get_symtab(struct lookup *lookup)
{
	if (!lookup->has_symtab) {
		symtab_add(&lookup->symtab, &lookup->files.debug);
		symtab_add(&lookup->symtab, &lookup->files.code);
		symtab_finish(&lookup->symtab);
		lookup->has_symtab = true;
	}
	return &lookup->symtab;
}

static const struct symbol *find_symbol(struct lookup *lookup,
					uint64_t address)
{
	return symtab_find(get_symtab(lookup), address);
}

static bool find_by_name(void *context, const char *name, uint64_t *out)
{
	struct lookup *lookup = context;
	const struct symtab *symtab = get_symtab(lookup);

	if (symtab->len > MAX_COMPARED - lookup->compared)
		return false;
	lookup->compared += symtab->len;
	return symtab_find_name(symtab, name, out);
}

static bool is_mangled(const char *name)
{
	return strncmp(name, "_Z", 2) == 0 || strncmp(name, "_R", 2) == 0;
}

/* DWARF leaves out the linkage name of some functions (local classes, lambdas,
 * assembler), and has no functions at all for others; the symbol that the
 * outermost one has then says more. */
static void complete(struct lookup *lookup, uint64_t address,
		     struct dwarf_level *outermost)
{
	const struct symbol *symbol;

	if (outermost->linkage)
		return;
	symbol = find_symbol(lookup, address);
	if (symbol == NULL && outermost->name == NULL &&
	    stubs_name(&lookup->files.code, address, lookup->stub,
		       sizeof(lookup->stub)))
		outermost->linkage = lookup->stub;
	if (symbol == NULL)
		return;
	if (outermost->name == NULL) {
		outermost->linkage = symbol->name;
		outermost->approximate |= !symbol->sized;
		if (outermost->file == NULL)
			outermost->file = symbol->file;
	} else if (symbol->sized && is_mangled(symbol->name)) {
		outermost->linkage = symbol->name;
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

/* Take "." and ".." out of the relative PATH, and the directory that comes
 * twice: Debian builds map theirs to "./nptl", the compiler puts that before
 * "./nptl/kill.c" and "../sysdeps/x.h", and libdw before some of them. Absolute
 * paths stay: ".." behind a link is another place. */
static void tidy(char *path, const char *dir)
{
	size_t len = 0, dir_len = dir ? strlen(dir) : 0;
	char *at = path;

	if (dir_len > 0 && strncmp(path, dir, dir_len) == 0 &&
	    path[dir_len] == '/' &&
	    strncmp(path + dir_len + 1, dir, dir_len) == 0 &&
	    path[2 * dir_len + 1] == '/')
		at += dir_len + 1;
	while (*at) {
		size_t part = strcspn(at, "/");

		if (part == 2 && strncmp(at, "..", 2) == 0 && len > 0 &&
		    !(len >= 3 && strncmp(path + len - 3, "../", 3) == 0)) {
			for (len--; len > 0 && path[len - 1] != '/';)
				len--;
		} else if (part > 0 && !(part == 1 && *at == '.')) {
			memmove(path + len, at, part + 1);
			len += part + 1;
		}
		at += part + (at[part] == '/');
	}
	path[len > 0 ? len - 1 : 0] = '\0';
}

static void write_file(struct writer *out, const char *dir, const char *file)
{
	char path[4096];
	size_t dir_len = dir ? strlen(dir) : 0;
	bool has_dir;

	if (file == NULL || file[0] == '/') {
		lookup_write_text(out, file);
		return;
	}
	has_dir = dir_len == 0 || (strncmp(file, dir, dir_len) == 0 &&
				   file[dir_len] == '/');
	if ((size_t)snprintf(path, sizeof(path), "%s%s%s", has_dir ? "" : dir,
			     has_dir ? "" : "/", file) >= sizeof(path)) {
		lookup_write_text(out, file);
		return;
	}
	if (path[0] != '/')
		tidy(path, dir);
	lookup_write_text(out, path);
}

static void write_level(struct writer *out, const struct dwarf_level *level)
{
	char name[SYMBOLIZE_MAX_NAME];

	if (level->linkage) {
		demangle(level->linkage, name, sizeof(name));
		lookup_write_text(out, name);
	} else {
		lookup_write_text(out, level->name);
	}
	write_file(out, level->dir, level->file);
	writer_u32(out, level->line);
	writer_u32(out, level->approximate ? NAME_APPROXIMATE : 0);
}

/* The functions at ADDRESS by what has files, lines and inlines: DWARF, which
 * says most, or Go's table, which knows nothing of C. Their number, at most
 * SYMBOLIZE_MAX_INLINES. */
static size_t find_levels(struct lookup *lookup, uint64_t address,
			  struct dwarf_level *levels)
{
	const struct gopclntab *gopclntab;
	size_t n = 0;

	if (!lookup->has_dwarf)
		open_dwarf(lookup);
	if (lookup->dwarf)
		n = dwarf_levels(lookup->dwarf, address, levels,
				 SYMBOLIZE_MAX_INLINES);
	gopclntab = n == 0 ? get_gopclntab(lookup) : NULL;
	if (gopclntab)
		n = gopclntab_levels(gopclntab, address, levels,
				     SYMBOLIZE_MAX_INLINES);
	return n;
}

void lookup_write(struct lookup *lookup, uint64_t offset, struct writer *out)
{
	struct dwarf_level levels[SYMBOLIZE_MAX_INLINES];
	uint64_t address = lookup->base + offset;
	size_t n = find_levels(lookup, address, levels);

	if (n == 0) {
		memset(&levels[0], 0, sizeof(levels[0]));
		n = 1;
	}
	complete(lookup, address, &levels[n - 1]);
	if (n == 1 && !levels[0].linkage && !levels[0].name && !levels[0].file)
		n = 0;
	writer_u32(out, (uint32_t)n);
	for (size_t i = 0; i < n; i++)
		write_level(out, &levels[i]);
}

size_t lookup_write_tail_calls(struct lookup *lookup, uint64_t inner_offset,
			       uint64_t return_offset, struct writer *out)
{
	uint64_t inner = lookup->base + inner_offset;
	const struct symbol *symbol;
	uint64_t pcs[TAILCALL_MAX] = { 0 };
	size_t n = 0;

	if (!lookup->has_dwarf)
		open_dwarf(lookup);
	if (lookup->dwarf) {
		symbol = find_symbol(lookup, inner);
		n = tailcall_between(&lookup->tailcall,
				     lookup->base + return_offset, inner,
				     symbol ? symbol->start : 0, pcs);
	}
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
