/* Finding the files of a module by build-id: ELF files, and where they have no
 * DWARF one of Breakpad's. A file whose build-id is another is refused,
 * wherever it lies: no name is better than a wrong one. Process: the child that
 * can be lost. */
#ifndef EPITAPH_SYMBOLIZER_FINDER_H
#define EPITAPH_SYMBOLIZER_FINDER_H

#include <stddef.h>

#include "elffile.h"
#include "symfile.h"

struct finder;

/* DIRS are searched first, in order, then the symbol store (store_dir()), the
 * module's own path below ROOT (NULL: /), and /usr/lib/debug. Borrows its
 * arguments. NULL without memory. */
struct finder *finder_new(const char *const *dirs, size_t ndirs,
			  const char *root);
void finder_free(struct finder *finder);

enum { FINDER_MAX_PACKAGES = 64 };

/* Files that may be packages of split units (.dwp): these have no build-id, and
 * each unit in them is known by an id of its own. */
struct package_paths {
	char *paths[FINDER_MAX_PACKAGES]; /* malloc'd */
	size_t len;
};

/* The first two may be one and the same file, open twice. */
struct module_files {
	struct elf_file code;  /* has the module's code, or fd -1 */
	struct elf_file debug; /* has .debug_info or a symbol table */
	struct sym_file sym;   /* looked for where either has not got it all */
	struct package_paths packages; /* by finder_find_packages() */
};

/* Find what there is for MODULE. What is not found stays closed. */
void finder_find(struct finder *finder, const struct module *module,
		 struct module_files *out);
void module_files_close(struct module_files *files);

/* The build-id that OF's .gnu_debugaltlink (dwz) has. False where there is
 * none. */
bool finder_alt_id(const struct elf_file *of, struct build_id *out);

/* The file that OF's .gnu_debugaltlink names (dwz). False where it names none
 * or there is none. */
bool finder_find_alt(struct finder *finder, const struct elf_file *of,
		     struct elf_file *out);

/* Where packages of split units may be that FILES, which are MODULE's, leave
 * names to: the best place first. For module_files_close(). */
void finder_find_packages(struct finder *finder, const struct module *module,
			  struct module_files *files);

#endif
