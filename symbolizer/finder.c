/* Finding the files of a module by build-id. Runs in the process that can be
 * lost; trusts neither the module's path nor any file that it leads to. */
#include "finder.h"

#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/stat.h>
#include <unistd.h>

#include <zlib.h>

#include "debuginfod.h"
#include "store.h"

enum {
	MAX_SCANNED = 20000, /* files of a -S folder */
	MAX_SCAN_DEPTH = 6,
	GUID_LEN = 16, /* what older minidumps keep of a build-id */
	VDSO_SIZE = 2 * 4096, /* all of x86's, since 2.6.23 */
};

#define DEBUG_ROOT "/usr/lib/debug"
#define PACKAGE ".dwp"

/* A file of a -S folder: ELF, Breakpad's, or a package of split units, whose
 * name is all that is known. */
struct scanned {
	bool is_sym, is_package;
	struct build_id id;
	struct sym_id sym;
	char *path;
};

struct finder {
	const char *const *dirs;
	size_t ndirs;
	const char *root;
	char store[PATH_MAX];
	struct scanned *scanned;
	size_t nscanned;
	bool has_scanned;
};

/* One search. */
struct search {
	struct finder *finder;
	const struct module *module;
	struct module_files *files;
};

struct finder *finder_new(const char *const *dirs, size_t ndirs,
			  const char *root)
{
	struct finder *finder = calloc(1, sizeof(*finder));

	if (finder == NULL)
		return NULL;
	finder->dirs = dirs;
	finder->ndirs = ndirs;
	finder->root = root ? root : "";
	if (!store_dir(finder->store, sizeof(finder->store)))
		finder->store[0] = '\0';
	return finder;
}

void finder_free(struct finder *finder)
{
	if (finder == NULL)
		return;
	for (size_t i = 0; i < finder->nscanned; i++)
		free(finder->scanned[i].path);
	free(finder->scanned);
	free(finder);
}

/* Breakpad's older dumps keep the first 16 bytes of a build-id, so those are
 * all there is to compare. */
static bool id_matches(const struct build_id *wanted,
		       const struct build_id *has)
{
	if (wanted->len == GUID_LEN && has->len > GUID_LEN)
		return memcmp(wanted->bytes, has->bytes, GUID_LEN) == 0;
	return build_id_equal(wanted, has);
}

static bool is_complete(const struct module_files *files)
{
	return files->code.elf && files->debug.elf && files->debug.has_dwarf;
}

/* Whether FILE says more than what is there already. */
static bool is_better_debug(const struct elf_file *file,
			    const struct elf_file *than)
{
	if (than->elf == NULL)
		return file->has_dwarf || file->has_symtab;
	if (file->has_dwarf != than->has_dwarf)
		return file->has_dwarf;
	return false;
}

static void reopen(const char *path, struct elf_file *into)
{
	struct elf_file again;

	elf_file_close(into);
	if (elf_file_open(path, &again, NULL))
		*into = again;
}

/* Keep of FILE (which has been checked) what is missing so far. */
static void keep(struct search *search, const char *path,
		 const struct elf_file *file)
{
	struct module_files *files = search->files;

	if (file->has_code && files->code.elf == NULL)
		reopen(path, &files->code);
	if (is_better_debug(file, &files->debug))
		reopen(path, &files->debug);
}

/* Take PATH if it is the module's. True where the search is over. */
static bool consider(struct search *search, const char *path)
{
	struct elf_file file;

	if (!elf_file_open(path, &file, NULL))
		return false;
	if (id_matches(&search->module->build_id, &file.build_id))
		keep(search, path, &file);
	elf_file_close(&file);
	return is_complete(search->files);
}

/* DIR/ab/cdef..., for an id of which only the beginning is known. */
static bool consider_prefix(struct search *search, const char *dir,
			    const char *hex)
{
	char path[PATH_MAX];
	struct dirent *entry;
	bool done = false;
	DIR *handle;

	snprintf(path, sizeof(path), "%s/%.2s", dir, hex);
	handle = opendir(path);
	if (handle == NULL)
		return false;
	while (!done && (entry = readdir(handle)) != NULL) {
		if (strncmp(entry->d_name, hex + 2, strlen(hex + 2)) != 0)
			continue;
		snprintf(path, sizeof(path), "%s/%.2s/%s", dir, hex,
			 entry->d_name);
		done = consider(search, path);
	}
	closedir(handle);
	return done;
}

/* A tree as gdb has it: DIR/ab/cdef.debug, and DIR/ab/cdef for the binary. */
static bool consider_tree(struct search *search, const char *dir)
{
	static const char *const endings[] = { ".debug", "" };
	char hex[2 * MAX_BUILD_ID + 1], path[PATH_MAX];

	build_id_format(&search->module->build_id, hex);
	if (strlen(hex) <= 2)
		return false;
	for (size_t i = 0; i < sizeof(endings) / sizeof(endings[0]); i++) {
		snprintf(path, sizeof(path), "%s/%.2s/%s%s", dir, hex, hex + 2,
			 endings[i]);
		if (consider(search, path))
			return true;
	}
	if (search->module->build_id.len == GUID_LEN)
		return consider_prefix(search, dir, hex);
	return false;
}

static bool ends_with(const char *text, const char *end)
{
	size_t len = strlen(text), end_len = strlen(end);

	return len >= end_len && strcmp(text + len - end_len, end) == 0;
}

/* Who the file at PATH is, if anybody. */
static bool identify(const char *path, struct scanned *out)
{
	struct elf_file elf;
	struct sym_file sym;

	if (elf_file_open(path, &elf, NULL)) {
		out->id = elf.build_id;
		out->is_package = ends_with(path, PACKAGE);
		elf_file_close(&elf);
		return out->id.len > 0 || out->is_package;
	}
	if ((!ends_with(path, ".sym") && !ends_with(path, ".sym.gz")) ||
	    !sym_file_open(path, &sym, NULL))
		return false;
	out->is_sym = true;
	out->sym = sym.id;
	sym_file_close(&sym);
	return true;
}

static void remember(struct finder *finder, const char *path)
{
	struct scanned file = { .is_sym = false }, *more;

	if (!identify(path, &file))
		return;
	more = realloc(finder->scanned,
		       (finder->nscanned + 1) * sizeof(*more));
	if (more == NULL)
		return;
	finder->scanned = more;
	file.path = strdup(path);
	if (file.path)
		more[finder->nscanned++] = file;
}

static void scan(struct finder *finder, const char *path, int depth,
		 size_t *seen)
{
	char below[PATH_MAX];
	struct dirent *entry;
	struct stat st;
	DIR *dir;

	if (++*seen > MAX_SCANNED || depth > MAX_SCAN_DEPTH ||
	    stat(path, &st) != 0)
		return;
	if (S_ISREG(st.st_mode)) {
		remember(finder, path);
		return;
	}
	dir = S_ISDIR(st.st_mode) ? opendir(path) : NULL;
	if (dir == NULL)
		return;
	while ((entry = readdir(dir)) != NULL) {
		if (entry->d_name[0] == '.')
			continue; /* trees by build-id were asked already */
		if ((size_t)snprintf(below, sizeof(below), "%s/%s", path,
				     entry->d_name) < sizeof(below))
			scan(finder, below, depth + 1, seen);
	}
	closedir(dir);
}

/* Files with any names in the -S folders, looked at once. */
static void scan_dirs(struct finder *finder)
{
	size_t seen = 0;

	for (size_t i = 0; !finder->has_scanned && i < finder->ndirs; i++)
		scan(finder, finder->dirs[i], 0, &seen);
	finder->has_scanned = true;
}

static bool consider_scanned(struct search *search)
{
	struct finder *finder = search->finder;

	scan_dirs(finder);
	for (size_t i = 0; i < finder->nscanned; i++)
		if (!finder->scanned[i].is_sym &&
		    id_matches(&search->module->build_id,
			       &finder->scanned[i].id) &&
		    consider(search, finder->scanned[i].path))
			return true;
	return false;
}

static bool consider_downloads(struct search *search)
{
	char dir[PATH_MAX];

	return debuginfod_dir(search->finder->store, dir, sizeof(dir)) &&
	       consider_tree(search, dir);
}

static bool consider_dirs(struct search *search)
{
	struct finder *finder = search->finder;
	char tree[PATH_MAX];

	for (size_t i = 0; i < finder->ndirs; i++) {
		snprintf(tree, sizeof(tree), "%s/.build-id", finder->dirs[i]);
		if (consider_tree(search, tree) ||
		    consider_tree(search, finder->dirs[i]))
			return true;
	}
	if (finder->ndirs > 0 && consider_scanned(search))
		return true;
	return finder->store[0] && (consider_tree(search, finder->store) ||
				    consider_downloads(search));
}

/* The path that maps has, without what the kernel appends. */
static bool module_path(const struct search *search, char *out, size_t cap)
{
	static const char deleted[] = " (deleted)";
	const char *path = search->module->path;
	size_t len, tail = sizeof(deleted) - 1;

	if (path == NULL || path[0] != '/')
		return false;
	len = strlen(path);
	if (len > tail && strcmp(path + len - tail, deleted) == 0)
		len -= tail;
	return (size_t)snprintf(out, cap, "%s%.*s", search->finder->root,
				(int)len, path) < cap;
}

/* The CRC that .gnu_debuglink means, over the whole file. */
static bool has_crc(const struct elf_file *file, uint32_t wanted)
{
	uLong sum = crc32(0, NULL, 0);
	size_t len;
	char *bytes = elf_rawfile(file->elf, &len);

	if (bytes == NULL)
		return false;
	while (len > 0) {
		uInt part = len < (1u << 30) ? (uInt)len : 1u << 30;

		sum = crc32(sum, (const Bytef *)bytes, part);
		bytes += part;
		len -= part;
	}
	return sum == wanted;
}

/* A debug link's target: by build-id where it has one, else by CRC. */
static bool consider_link(struct search *search, const char *path,
			  uint32_t crc)
{
	struct elf_file file;

	if (!elf_file_open(path, &file, NULL))
		return false;
	if (file.build_id.len > 0
		    ? id_matches(&search->module->build_id, &file.build_id)
		    : has_crc(&file, crc))
		keep(search, path, &file);
	elf_file_close(&file);
	return is_complete(search->files);
}

/* .gnu_debuglink: a name, padding to four bytes, a CRC. */
static bool read_debuglink(const struct elf_file *file, const char **name_out,
			   uint32_t *crc_out)
{
	size_t len, name_len, at;
	const char *link = elf_file_section(file, ".gnu_debuglink", &len);

	if (link == NULL)
		return false;
	name_len = strnlen(link, len);
	at = (name_len + 1 + 3) & ~(size_t)3;
	if (name_len == 0 || name_len >= len || at > len || len - at < 4 ||
	    memchr(link, '/', name_len))
		return false;
	*name_out = link;
	memcpy(crc_out, link + at, 4);
	return true;
}

static bool consider_debuglink(struct search *search)
{
	static const char *const patterns[] = {
		"%s/%s", "%s/.debug/%s", DEBUG_ROOT "%s/%s",
	};
	char real[PATH_MAX], path[3 * PATH_MAX];
	const char *name;
	uint32_t crc;

	if (search->files->code.elf == NULL ||
	    !read_debuglink(&search->files->code, &name, &crc) ||
	    realpath(search->files->code.path, real) == NULL)
		return false;
	*strrchr(real, '/') = '\0';
	for (size_t i = 0; i < sizeof(patterns) / sizeof(patterns[0]); i++) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
		snprintf(path, sizeof(path), patterns[i], real, name);
#pragma GCC diagnostic pop
		if (consider_link(search, path, crc))
			return true;
	}
	return false;
}

/* The vdso is no file, but if the process ran on this very kernel, ours is
 * the same. */
static bool consider_vdso(struct search *search)
{
	void *image = (void *)getauxval(AT_SYSINFO_EHDR);
	struct module_files *files = search->files;
	const char *path = search->module->path;

	if (image == NULL || path == NULL ||
	    (!strstr(path, "vdso") && !strstr(path, "linux-gate")))
		return false;
	if (!elf_file_memory("[vdso]", image, VDSO_SIZE, &files->code, NULL))
		return false;
	if (!build_id_equal(&search->module->build_id, &files->code.build_id))
		elf_file_close(&files->code);
	return files->code.elf != NULL;
}

static void find_elf(struct search *search)
{
	char path[PATH_MAX];

	if (consider_vdso(search) || consider_dirs(search))
		return;
	if (module_path(search, path, sizeof(path)) && consider(search, path))
		return;
	if (consider_tree(search, DEBUG_ROOT "/.build-id"))
		return;
	consider_debuglink(search);
}

/* Take PATH if it is the module's. */
static bool take_sym(struct search *search, const char *path)
{
	struct sym_file file;

	if (!sym_file_open(path, &file, NULL))
		return false;
	if (!sym_id_matches(&search->module->build_id, &file.id)) {
		sym_file_close(&file);
		return false;
	}
	search->files->sym = file;
	return true;
}

/* As Breakpad's symbol stores have it: DIR/NAME/DEBUGID/NAME.sym. */
static bool take_stored_sym(struct search *search, const char *dir,
			    const char *name)
{
	static const char *const endings[] = { "sym", "sym.gz" };
	char debug_id[SYM_DEBUG_ID], path[2 * PATH_MAX];
	struct sym_id id;

	sym_id_of(&search->module->build_id, &id);
	sym_debug_id(&id, debug_id);
	for (size_t i = 0; i < sizeof(endings) / sizeof(endings[0]); i++)
		if ((size_t)snprintf(path, sizeof(path), "%s/%s/%s/%s.%s", dir,
				     name, debug_id, name, endings[i]) <
			    sizeof(path) &&
		    take_sym(search, path))
			return true;
	return false;
}

static bool take_scanned_sym(struct search *search)
{
	struct finder *finder = search->finder;

	scan_dirs(finder);
	for (size_t i = 0; i < finder->nscanned; i++)
		if (finder->scanned[i].is_sym &&
		    sym_id_matches(&search->module->build_id,
				   &finder->scanned[i].sym) &&
		    take_sym(search, finder->scanned[i].path))
			return true;
	return false;
}

/* The last part of the module's path, by way of BUFFER (PATH_MAX bytes); NULL
 * where that is no name of a file. Some dumps have nothing but a name. */
static const char *module_name(const struct search *search, char *buffer)
{
	const char *path = search->module->path, *slash;

	if (module_path(search, buffer, PATH_MAX))
		path = buffer;
	slash = path ? strrchr(path, '/') : NULL;
	if (slash)
		path = slash + 1;
	return path && path[0] != '\0' && path[0] != '.' ? path : NULL;
}

static void find_sym(struct search *search)
{
	struct finder *finder = search->finder;
	char buffer[PATH_MAX];
	const char *name = module_name(search, buffer);

	for (size_t i = 0; name && i < finder->ndirs; i++)
		if (take_stored_sym(search, finder->dirs[i], name))
			return;
	if (finder->ndirs > 0 && take_scanned_sym(search))
		return;
	if (name && finder->store[0])
		take_stored_sym(search, finder->store, name);
}

void finder_find(struct finder *finder, const struct module *module,
		 struct module_files *out)
{
	struct search search = {
		.finder = finder, .module = module, .files = out,
	};

	out->code = out->debug = ELF_FILE_NONE;
	out->sym = (struct sym_file){ 0 };
	out->packages.len = 0;
	if (module->build_id.len == 0)
		return;
	find_elf(&search);
	if (!is_complete(out))
		find_sym(&search);
}

void module_files_close(struct module_files *files)
{
	elf_file_close(&files->code);
	elf_file_close(&files->debug);
	sym_file_close(&files->sym);
	while (files->packages.len > 0)
		free(files->packages.paths[--files->packages.len]);
}

/* .gnu_debugaltlink: a name, and what is left is a build-id. The name, or NULL.
 */
static const char *read_alt(const struct elf_file *of, struct build_id *out)
{
	size_t len, name_len;
	const char *link = elf_file_section(of, ".gnu_debugaltlink", &len);

	name_len = link ? strnlen(link, len) : 0;
	if (name_len == 0 || name_len >= len ||
	    len - name_len - 1 > MAX_BUILD_ID || len == name_len + 1)
		return NULL;
	out->len = (uint8_t)(len - name_len - 1);
	memcpy(out->bytes, link + name_len + 1, out->len);
	return link;
}

bool finder_alt_id(const struct elf_file *of, struct build_id *out)
{
	return read_alt(of, out) != NULL;
}

bool finder_find_alt(struct finder *finder, const struct elf_file *of,
		     struct elf_file *out)
{
	struct module_files files = {
		.code = ELF_FILE_NONE, .debug = ELF_FILE_NONE,
	};
	struct module wanted = { .path = "" };
	struct search search = {
		.finder = finder, .module = &wanted, .files = &files,
	};
	char dir[PATH_MAX], path[2 * PATH_MAX];
	const char *link = read_alt(of, &wanted.build_id);

	if (link == NULL)
		return false;
	if (!consider_dirs(&search) &&
	    !consider_tree(&search, DEBUG_ROOT "/.build-id") &&
	    realpath(of->path, dir) != NULL) {
		*strrchr(dir, '/') = '\0';
		snprintf(path, sizeof(path), "%s/%s",
			 link[0] == '/' ? "" : dir, link);
		consider(&search, path);
	}
	elf_file_close(&files.code);
	*out = files.debug;
	return out->elf != NULL;
}

static void add_package(struct search *search, const char *path)
{
	struct package_paths *to = &search->files->packages;

	if (to->len < FINDER_MAX_PACKAGES && access(path, R_OK) == 0 &&
	    (to->paths[to->len] = strdup(path)) != NULL)
		to->len++;
}

static void add_package_of(struct search *search, const struct elf_file *file)
{
	static const char debug[] = ".debug";
	char path[PATH_MAX];
	int len;

	if (!file->path)
		return;
	snprintf(path, sizeof(path), "%s" PACKAGE, file->path);
	add_package(search, path);
	if (!ends_with(file->path, debug))
		return;
	len = (int)(strlen(file->path) - strlen(debug));
	snprintf(path, sizeof(path), "%.*s" PACKAGE, len, file->path);
	add_package(search, path);
}

static void add_package_in(struct search *search, const char *dir)
{
	char hex[2 * MAX_BUILD_ID + 1], path[PATH_MAX];

	build_id_format(&search->module->build_id, hex);
	if (strlen(hex) <= 2)
		return;
	snprintf(path, sizeof(path), "%s/%.2s/%s" PACKAGE, dir, hex, hex + 2);
	add_package(search, path);
}

static void add_scanned_packages(struct search *search)
{
	struct finder *finder = search->finder;

	scan_dirs(finder);
	for (size_t i = 0; i < finder->nscanned; i++)
		if (finder->scanned[i].is_package)
			add_package(search, finder->scanned[i].path);
}

/* Skeletons have their addresses there. */
static bool may_have_skeletons(const struct elf_file *file)
{
	size_t len;

	return elf_file_section(file, ".debug_addr", &len) ||
	       elf_file_section(file, ".zdebug_addr", &len);
}

void finder_find_packages(struct finder *finder, const struct module *module,
			  struct module_files *files)
{
	struct search search = {
		.finder = finder, .module = module, .files = files,
	};
	char path[PATH_MAX], beside[PATH_MAX + sizeof(PACKAGE)];

	if (!may_have_skeletons(&files->debug))
		return;
	for (size_t i = 0; i < finder->ndirs; i++) {
		snprintf(path, sizeof(path), "%s/.build-id", finder->dirs[i]);
		add_package_in(&search, path);
		add_package_in(&search, finder->dirs[i]);
	}
	if (finder->store[0])
		add_package_in(&search, finder->store);
	add_package_of(&search, &files->debug);
	add_package_of(&search, &files->code);
	if (module_path(&search, path, sizeof(path))) {
		snprintf(beside, sizeof(beside), "%s" PACKAGE, path);
		add_package(&search, beside);
	}
	add_package_in(&search, DEBUG_ROOT "/.build-id");
	add_scanned_packages(&search);
}
