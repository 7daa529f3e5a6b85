/* Split units. Runs in the process that can be lost; the path is the compiled
 * file's word, and what is found there has to have the same id. */
#include "split.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

static bool open_at(const char *path, const struct unit *skeleton,
		    struct split *out)
{
	if (!elf_file_open(path, &out->elf, NULL))
		return false;
	out->dwarf = dwarf_file_open(&out->elf, true, NULL);
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

bool split_open(const struct unit *skeleton, const char *path,
		struct split *out)
{
	const char *name = skeleton->dwo_name, *dir = skeleton->comp_dir;
	const char *slash = strrchr(path, '/');
	char at[PATH_MAX];

	*out = (struct split){ .elf = ELF_FILE_NONE };
	if (!name || !skeleton->has_dwo_id)
		return false;
	if (name[0] == '/')
		return open_at(name, skeleton, out);
	if (dir && (size_t)snprintf(at, sizeof(at), "%s/%s", dir, name) <
			   sizeof(at) &&
	    open_at(at, skeleton, out))
		return true;
	return slash &&
	       (size_t)snprintf(at, sizeof(at), "%.*s/%s",
				(int)(slash - path), path, name) <
		       sizeof(at) &&
	       open_at(at, skeleton, out);
}

void split_close(struct split *split)
{
	dwarf_file_close(split->dwarf);
	elf_file_close(&split->elf);
	*split = (struct split){ .elf = ELF_FILE_NONE };
}
