/* The symbol store. Runs in the child that makes an index and in the command
 * line; trusts what is there no more than any other file. */
#include "store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "array.h"

enum {
	MODE_DIR = 0755,
	MODE_FILE = 0644,
	TOUCH_EVERY_S = 3600,
};

#define SHARED_STORE "/var/lib/epitaph/symbols"
#define ENDING ".csym"

bool store_dir(char *out, size_t cap)
{
	const char *store = getenv("EPITAPH_SYMBOLS");
	const char *cache = getenv("XDG_CACHE_HOME");
	const char *home = getenv("HOME");
	int len;

	if (store && *store)
		len = snprintf(out, cap, "%s", store);
	else if (access(SHARED_STORE, W_OK) == 0)
		len = snprintf(out, cap, "%s", SHARED_STORE);
	else if (cache && *cache)
		len = snprintf(out, cap, "%s/epitaph/symbols", cache);
	else if (home && *home)
		len = snprintf(out, cap, "%s/.cache/epitaph/symbols", home);
	else
		return false;
	return len > 0 && (size_t)len < cap;
}

bool store_index_path(const char *dir, const struct build_id *id, char *out,
		      size_t cap)
{
	char hex[2 * MAX_BUILD_ID + 1];

	build_id_format(id, hex);
	return id->len > 1 &&
	       (size_t)snprintf(out, cap, "%s/%.2s/%s" ENDING, dir, hex,
				hex + 2) < cap;
}

void store_touch(const char *path)
{
	const struct timespec now[2] = { { .tv_nsec = UTIME_NOW },
					 { .tv_nsec = UTIME_OMIT } };
	struct stat st;

	if (stat(path, &st) == 0 &&
	    time(NULL) - st.st_atime > TOUCH_EVERY_S)
		utimensat(AT_FDCWD, path, now, 0);
}

/* Make PATH and what is above it. */
static void make_dirs(char *path)
{
	for (char *at = path + 1; (at = strchr(at, '/')) != NULL; at++) {
		*at = '\0';
		mkdir(path, MODE_DIR);
		*at = '/';
	}
	mkdir(path, MODE_DIR);
}

/* Making room */

struct kept {
	time_t used;
	uint64_t len;
	char *path;
};

struct inventory {
	struct kept *list;
	size_t len, cap;
	uint64_t bytes;
};

static void add_index(struct inventory *inventory, const char *path)
{
	struct kept *more;
	struct stat st;

	if (lstat(path, &st) != 0 || !S_ISREG(st.st_mode))
		return;
	more = array_grow(inventory->list, inventory->len, &inventory->cap,
			  sizeof(*more));
	if (!more)
		return;
	inventory->list = more;
	more[inventory->len].used = st.st_atime;
	more[inventory->len].len = (uint64_t)st.st_size;
	more[inventory->len].path = strdup(path);
	if (!more[inventory->len].path)
		return;
	inventory->bytes += more[inventory->len++].len;
}

/* The indexes in DIR/NAME. */
static void take_inventory(struct inventory *inventory, const char *dir,
			   const char *name)
{
	const size_t ending = sizeof(ENDING) - 1;
	char path[PATH_MAX];
	struct dirent *entry;
	DIR *handle;

	if ((size_t)snprintf(path, sizeof(path), "%s/%s", dir, name) >=
	    sizeof(path))
		return;
	handle = opendir(path);
	while (handle && (entry = readdir(handle)) != NULL) {
		size_t len = strlen(entry->d_name);

		if (len > ending && strcmp(entry->d_name + len - ending,
					   ENDING) == 0 &&
		    (size_t)snprintf(path, sizeof(path), "%s/%s/%s", dir, name,
				     entry->d_name) < sizeof(path))
			add_index(inventory, path);
	}
	if (handle)
		closedir(handle);
}

static int by_use(const void *left, const void *right)
{
	const struct kept *a = left, *b = right;

	return a->used < b->used ? -1 : a->used > b->used;
}

static void make_room(const char *dir, uint64_t needed)
{
	struct inventory inventory = { 0 };
	struct dirent *entry;
	DIR *handle = opendir(dir);

	while (handle && (entry = readdir(handle)) != NULL)
		if (strlen(entry->d_name) == 2 && entry->d_name[0] != '.')
			take_inventory(&inventory, dir, entry->d_name);
	if (handle)
		closedir(handle);
	inventory.bytes += needed;
	array_sort(inventory.list, inventory.len, sizeof(*inventory.list),
		   by_use);
	for (size_t i = 0; i < inventory.len; i++) {
		if (inventory.bytes > STORE_MAX_BYTES &&
		    unlink(inventory.list[i].path) == 0)
			inventory.bytes -= inventory.list[i].len;
		free(inventory.list[i].path);
	}
	free(inventory.list);
}

/* Publishing */

static bool write_all(int fd, const char *bytes, size_t len, struct error *err)
{
	while (len > 0) {
		ssize_t n = write(fd, bytes, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return fail_errno(err, "write");
		bytes += n;
		len -= (size_t)n;
	}
	return true;
}

bool store_publish(const char *dir, const struct build_id *id,
		   const void *bytes, size_t len, struct error *err)
{
	char path[PATH_MAX], aside[PATH_MAX + 16], *slash;
	bool done;
	int fd;

	if (!store_index_path(dir, id, path, sizeof(path)))
		return fail(err, ERR_BAD_DATA, "no build-id");
	slash = strrchr(path, '/');
	*slash = '\0';
	make_dirs(path);
	*slash = '/';
	make_room(dir, len);
	/* Power may fail before all of it is on disk: then the checksums say
	 * so, and it is made again. */
	snprintf(aside, sizeof(aside), "%s.%d", path, (int)getpid());
	fd = open(aside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW,
		  MODE_FILE);
	if (fd < 0)
		return fail_errno(err, "open");
	done = write_all(fd, bytes, len, err);
	close(fd);
	if (done && rename(aside, path) != 0)
		done = fail_errno(err, "rename");
	if (!done)
		unlink(aside);
	return done;
}
