/* Split units. Runs in the process that can be lost; the path is the compiled
 * file's word, and what is found there has to have the same id. */
#include "split.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#include <dwarf.h>

#include "package.h"

/* Opened only once a skeleton is come upon. */
static void open_packages(struct split_places *places)
{
	for (size_t i = 0; !places->is_open && i < places->npackages; i++)
		places->open[i] = package_open(places->packages[i]);
	places->is_open = true;
}

void split_places_close(struct split_places *places)
{
	for (size_t i = 0; i < places->npackages; i++)
		package_close(places->open[i]);
}

/* The one of OUT's units that SKELETON stands for, if any. */
static bool find_unit(const struct unit *skeleton, struct split *out)
{
	while (out->dwarf && (out->unit = dwarf_file_next(out->dwarf))) {
		if (!out->unit->has_dwo_id ||
		    out->unit->dwo_id != skeleton->dwo_id)
			continue;
		out->unit->skeleton = skeleton;
		if (!out->unit->comp_dir)
			out->unit->comp_dir = skeleton->comp_dir;
		return true;
	}
	split_close(out);
	return false;
}

static bool open_packed(struct split_places *places,
			const struct unit *skeleton, struct split *out)
{
	open_packages(places);
	for (size_t i = 0; i < places->npackages; i++) {
		if (!places->open[i])
			continue;
		out->dwarf = package_find(places->open[i], skeleton->dwo_id);
		if (find_unit(skeleton, out))
			return true;
	}
	return false;
}

static bool open_at(const char *path, const struct unit *skeleton,
		    struct split *out)
{
	if (!elf_file_open(path, &out->elf, NULL))
		return false;
	out->dwarf = dwarf_file_open(&out->elf, true, NULL);
	return find_unit(skeleton, out);
}

static bool open_file(const char *main_path, const struct unit *skeleton,
		      struct split *out)
{
	const char *name = skeleton->dwo_name, *dir = skeleton->comp_dir;
	const char *slash = strrchr(main_path, '/');
	char at[PATH_MAX];

	if (!name)
		return false;
	if (name[0] == '/')
		return open_at(name, skeleton, out);
	if (dir && (size_t)snprintf(at, sizeof(at), "%s/%s", dir, name) <
			   sizeof(at) &&
	    open_at(at, skeleton, out))
		return true;
	return slash &&
	       (size_t)snprintf(at, sizeof(at), "%.*s/%s",
				(int)(slash - main_path), main_path, name) <
		       sizeof(at) &&
	       open_at(at, skeleton, out);
}

static bool is_skeleton(const struct unit *unit)
{
	return unit->has_dwo_id &&
	       (unit->dwo_name || unit->type == DW_UT_skeleton);
}

bool split_open(struct split_places *places, const struct unit *skeleton,
		struct split *out)
{
	*out = (struct split){ .elf = ELF_FILE_NONE };
	if (!is_skeleton(skeleton))
		return false;
	if (open_packed(places, skeleton, out) ||
	    open_file(places->path, skeleton, out))
		return true;
	/* clang's modules have no code, and stand for no .dwo file. */
	if (skeleton->has_lines && places->nlost++ == 0)
		places->lost = skeleton->dwo_name;
	return false;
}

void split_close(struct split *split)
{
	dwarf_file_close(split->dwarf);
	elf_file_close(&split->elf);
	*split = (struct split){ .elf = ELF_FILE_NONE };
}
