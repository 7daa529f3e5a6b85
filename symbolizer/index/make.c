/* The index of one module, from its files. Runs in the process that can be
 * lost; trusts none of them. */
#include "make.h"

#include <stdio.h>

#include "../gopclntab.h"
#include "../stubs.h"
#include "../symframes.h"
#include "../symtab.h"
#include "build.h"
#include "from_cfi.h"
#include "from_dwarf.h"
#include "from_sym.h"
#include "index.h"

#define MAX_FRAMES ((size_t)256 << 20) /* of CFI; libjvm's has 1.4 MB */

static bool add_dwarf(struct build *build, const struct module_files *files,
		      const struct elf_file *alt,
		      struct ahead_only *only, char why_out[MAKE_WHY])
{
	const struct elf_file *debug = &files->debug;
	struct split_places places = {
		.path = debug->path,
		.packages = files->packages.paths,
		.npackages = files->packages.len,
	};
	struct dwarf_file *common = NULL, *dwarf;

	if (!debug->elf || !debug->has_dwarf)
		return false;
	if (alt->elf)
		common = dwarf_file_open(alt, false, NULL);
	dwarf = dwarf_file_open(debug, false, common);
	if (dwarf)
		from_dwarf(dwarf, &places, only, build, why_out);
	else
		snprintf(why_out, MAKE_WHY, "its DWARF cannot be read");
	split_places_close(&places);
	dwarf_file_close(dwarf);
	dwarf_file_close(common);
	return true;
}

static bool add_sym(struct build *build, struct sym_file *file, uint64_t base,
		    char why_out[MAKE_WHY])
{
	struct error err;
	struct sym sym;

	if (!file->path)
		return false;
	if (!sym_file_parse(file, SYM_NAMES, &sym, &err)) {
		snprintf(why_out, MAKE_WHY, "its symbol file: %.200s",
			 err.text);
		return false;
	}
	from_sym(&sym, base, build);
	sym_say_trouble(&sym.trouble, why_out);
	sym_free(&sym);
	return true;
}

static void add_stub(void *context, uint64_t address, size_t size,
		     const char *name)
{
	build_stub(context, address, size, name);
}

static bool has_go(const struct elf_file *code)
{
	struct gopclntab *table = code->elf ? gopclntab_open(code) : NULL;

	gopclntab_close(table);
	return table != NULL;
}

static void add_symbols(struct build *build, const struct module_files *files)
{
	struct symtab symtab = { 0 };

	symtab_add(&symtab, &files->debug);
	symtab_add(&symtab, &files->code);
	symtab_finish(&symtab);
	build_symbols(build, &symtab);
	symtab_fini(&symtab);
	stubs_tell(&files->code, add_stub, build);
}

/* A binary's, or a symbol file's where there is none, or what its debug file
 * has. A line that this leaves out is told with the rules, and does not keep
 * the index from the store: nearly every libc has one. */
static void add_frames(struct module_files *files, struct writer *out,
		       char why_out[MAKE_WHY])
{
	struct sym sym;

	if (!files->code.elf && files->sym.path &&
	    sym_file_parse(&files->sym, SYM_RULES, &sym, NULL)) {
		symframes_make(&sym, out, &sym.trouble);
		sym_say_trouble(&sym.trouble, why_out);
		sym_free(&sym);
	} else {
		from_cfi(files->code.fd, files->debug.fd, out);
	}
	if (out->bad) {
		writer_fini(out);
		snprintf(why_out, MAKE_WHY, "it has too many rules");
	}
}

/* By an ELF file where there is one. What a symbol file calls its build-id is
 * that only where it is not a lie. */
static void identify(const struct module_files *files,
		     struct build_module *module)
{
	const struct sym_id *sym = &files->sym.id;
	const struct elf_file *elf = files->code.elf ? &files->code
						     : &files->debug;

	if (elf->elf) {
		module->build_id = elf->build_id;
		module->base = elf_file_base(elf);
		module->source = files->debug.elf ? files->debug.path
						  : elf->path;
		module->made_of = INDEX_OF_ELF |
				  (files->code.elf ? INDEX_OF_CODE : 0) |
				  (has_go(&files->code) ? INDEX_LACKS_GO : 0);
	} else if (sym_id_matches(&sym->code, sym)) {
		module->build_id = sym->code;
	}
}

static void tell(struct build *build, struct module_files *files,
		 const struct elf_file *alt, struct ahead_only *only,
		 struct build_module *module, char why_out[MAKE_WHY])
{
	if (add_dwarf(build, files, alt, only, why_out)) {
		module->made_of |= INDEX_OF_DWARF;
	} else if (add_sym(build, &files->sym, module->base, why_out)) {
		module->made_of |= INDEX_OF_SYM;
		module->source = files->sym.path;
	}
	add_symbols(build, files);
}

bool make_index(struct module_files *files, const struct elf_file *alt,
		struct ahead_only *only, struct writer *out,
		char why_out[MAKE_WHY])
{
	char frames_why[MAKE_WHY] = "";
	struct writer frames;
	struct build_module module = {
		.source = "", .frames = &frames, .frames_why = frames_why,
	};
	struct build *build = build_new();
	bool done = false;

	why_out[0] = '\0';
	if (!build)
		return false;
	writer_init(&frames, MAX_FRAMES);
	identify(files, &module);
	tell(build, files, alt, only, &module, why_out);
	if (module.made_of != 0) {
		if (!only)
			add_frames(files, &frames, frames_why);
		done = build_write(build, &module, out);
	}
	writer_fini(&frames);
	build_free(build);
	return done;
}
