/* The index of one module, from its files. Runs in the process that can be
 * lost; trusts none of them. */
#include "make.h"

#include "../symtab.h"
#include "build.h"
#include "from_dwarf.h"

static void add_dwarf(struct build *build, const struct elf_file *debug,
		      const struct elf_file *alt, const char **why_out)
{
	struct dwarf_file *common = NULL, *dwarf;

	if (!debug->elf || !debug->has_dwarf)
		return;
	if (alt->elf)
		common = dwarf_file_open(alt, false, NULL);
	dwarf = dwarf_file_open(debug, false, common);
	if (dwarf)
		from_dwarf(dwarf, debug->path, build);
	else
		*why_out = "its DWARF cannot be read";
	dwarf_file_close(dwarf);
	dwarf_file_close(common);
}

bool make_index(const struct module_files *files, const struct elf_file *alt,
		struct writer *out, const char **why_out)
{
	const struct elf_file *any = files->code.elf ? &files->code
						     : &files->debug;
	const struct build_module module = {
		.build_id = any->build_id, .base = elf_file_base(any),
		.source = files->debug.elf ? files->debug.path : any->path,
	};
	struct build *build = build_new();
	struct symtab symtab = { 0 };
	bool done;

	if (!build)
		return false;
	*why_out = NULL;
	add_dwarf(build, &files->debug, alt, why_out);
	symtab_add(&symtab, &files->debug);
	symtab_add(&symtab, &files->code);
	symtab_finish(&symtab);
	build_symbols(build, &symtab);
	done = build_write(build, &module, out);
	symtab_fini(&symtab);
	build_free(build);
	return done;
}
