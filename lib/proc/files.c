/* Opening what another process has mapped. Runs in `epitaph stack`. The paths
 * are the process's: it may have put anything there, so that only regular
 * files are opened, and only what still has the inode that is mapped. */
#include "files.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PATH_LEN = 4096 + 32 };

static int open_one(pid_t pid, const struct map *map)
{
	char path[PATH_LEN];
	struct stat st;
	int fd;

	if (map->path[0] != '/' ||
	    snprintf(path, sizeof(path), "/proc/%d/root%s", pid, map->path) >=
		    (int)sizeof(path))
		return -1;
	/* Looked at first: opening a device may do something. */
	if (stat(path, &st) != 0 || !S_ISREG(st.st_mode))
		return -1;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return -1;
	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) ||
	    st.st_ino != map->inode) {
		close(fd);
		return -1;
	}
	return fd;
}

static int compare_files(const void *a, const void *b)
{
	const struct mapped_file *x = a, *y = b;

	return x->inode < y->inode ? -1 : x->inode > y->inode;
}

void files_open(pid_t pid, const struct maps *maps, struct files *out)
{
	out->len = 0;
	out->entries = calloc(FILES_MAX, sizeof(*out->entries));
	for (size_t i = 0; out->entries && i < maps->len; i++) {
		const struct map *map = &maps->entries[i];
		int fd;

		if (!map->exec || map->inode == 0 || out->len == FILES_MAX)
			continue;
		fd = open_one(pid, map);
		if (fd < 0)
			continue;
		out->entries[out->len].inode = map->inode;
		out->entries[out->len++].fd = fd;
	}
	if (out->len > 0)
		qsort(out->entries, out->len, sizeof(*out->entries),
		      compare_files);
}

void files_close(struct files *files)
{
	for (size_t i = 0; i < files->len; i++)
		close(files->entries[i].fd);
	free(files->entries);
	files->entries = NULL;
	files->len = 0;
}

int files_find(const struct files *files, uint64_t inode)
{
	const struct mapped_file key = { .inode = inode };
	const struct mapped_file *found = NULL;

	if (files->len > 0)
		found = bsearch(&key, files->entries, files->len, sizeof(key),
				compare_files);
	return found ? found->fd : -1;
}
