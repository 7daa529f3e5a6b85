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
	COPY = 1 << 16, /* bytes at once */
};

#define SHARED_STORE "/var/lib/epitaph/symbols"

static const char *const endings[] = {
	[STORE_INDEX] = ".csym", [STORE_DEBUG] = ".debug", [STORE_CODE] = "",
};

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

bool store_path(const char *dir, const struct build_id *id,
		enum store_kind kind, char *out, size_t cap)
{
	char hex[2 * MAX_BUILD_ID + 1];

	build_id_format(id, hex);
	return id->len > 1 &&
	       (size_t)snprintf(out, cap, "%s/%.2s/%s%s", dir, hex, hex + 2,
				endings[kind]) < cap;
}

bool store_index_path(const char *dir, const struct build_id *id, char *out,
		      size_t cap)
{
	return store_path(dir, id, STORE_INDEX, out, cap);
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

void store_make_dirs(char *path)
{
	for (char *at = path + 1; (at = strchr(at, '/')) != NULL; at++) {
		*at = '\0';
		mkdir(path, MODE_DIR);
		*at = '/';
	}
	mkdir(path, MODE_DIR);
}

/* "cdef.once" */

static bool once_path(const char *dir, const struct build_id *id, char *out,
		      size_t cap)
{
	size_t len;

	if (!store_path(dir, id, STORE_CODE, out, cap))
		return false;
	len = strlen(out);
	return (size_t)snprintf(out + len, cap - len, ".once") < cap - len;
}

bool store_is_first(const char *dir, const struct build_id *id)
{
	char path[PATH_MAX], *slash;
	int fd;

	if (!once_path(dir, id, path, sizeof(path)))
		return true;
	slash = strrchr(path, '/');
	*slash = '\0';
	store_make_dirs(path);
	*slash = '/';
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW,
		  MODE_FILE);
	if (fd < 0)
		return errno != EEXIST;
	close(fd);
	return true;
}

/* What is there */

/* "cdef.csym" in the directory "ab": of which build, and what it is. */
static bool read_name(const char *dir, const char *name,
		      struct store_entry *out)
{
	size_t len = strlen(name), ending;
	char hex[2 * MAX_BUILD_ID + 1];

	for (int kind = STORE_INDEX; kind <= STORE_CODE; kind++) {
		ending = strlen(endings[kind]);
		if (len <= ending ||
		    strcmp(name + len - ending, endings[kind]) != 0)
			continue;
		out->kind = (enum store_kind)kind;
		return (size_t)snprintf(hex, sizeof(hex), "%s%.*s", dir,
					(int)(len - ending), name) <
			       sizeof(hex) &&
		       build_id_parse(hex, &out->id);
	}
	return false;
}

static bool add_entry(struct store_list *list, const struct store_entry *entry)
{
	struct store_entry *more = array_grow(list->entries, list->len,
					      &list->cap, sizeof(*more));

	if (!more)
		return false;
	list->entries = more;
	more[list->len] = *entry;
	more[list->len].path = strdup(entry->path);
	return more[list->len++].path != NULL;
}

/* What is in DIR/NAME. */
static bool list_below(struct store_list *list, const char *dir,
		       const char *name)
{
	char path[PATH_MAX], below[PATH_MAX];
	struct store_entry entry;
	struct dirent *found;
	bool ok = true;
	DIR *handle;

	if ((size_t)snprintf(below, sizeof(below), "%s/%s", dir, name) >=
	    sizeof(below))
		return true;
	handle = opendir(below);
	while (handle && ok && (found = readdir(handle)) != NULL) {
		struct stat st;

		if ((size_t)snprintf(path, sizeof(path), "%s/%s", below,
				     found->d_name) >= sizeof(path) ||
		    !read_name(name, found->d_name, &entry) ||
		    lstat(path, &st) != 0 || !S_ISREG(st.st_mode))
			continue;
		entry.bytes = (uint64_t)st.st_size;
		entry.used_s = st.st_atime;
		entry.path = path;
		ok = add_entry(list, &entry);
	}
	if (handle)
		closedir(handle);
	return ok;
}

static int by_use(const void *left, const void *right)
{
	const struct store_entry *a = left, *b = right;

	return a->used_s < b->used_s ? -1 : a->used_s > b->used_s;
}

bool store_list(const char *dir, struct store_list *out)
{
	struct dirent *found;
	DIR *handle = opendir(dir);
	bool ok = true;

	memset(out, 0, sizeof(*out));
	while (handle && ok && (found = readdir(handle)) != NULL)
		if (strlen(found->d_name) == 2 && found->d_name[0] != '.')
			ok = list_below(out, dir, found->d_name);
	if (handle)
		closedir(handle);
	ok = ok && array_sort(out->entries, out->len, sizeof(*out->entries),
			      by_use);
	if (!ok)
		store_list_free(out);
	return ok;
}

void store_list_free(struct store_list *list)
{
	for (size_t i = 0; i < list->len; i++)
		free(list->entries[i].path);
	free(list->entries);
	memset(list, 0, sizeof(*list));
}

/* Of indexes alone, or of everything. */
static size_t prune(const char *dir, uint64_t max, bool indexes_only)
{
	struct store_list list;
	uint64_t bytes = 0;
	size_t n = 0;

	if (!store_list(dir, &list))
		return 0;
	for (size_t i = 0; i < list.len; i++)
		if (!indexes_only || list.entries[i].kind == STORE_INDEX)
			bytes += list.entries[i].bytes;
	for (size_t i = 0; i < list.len && bytes > max; i++) {
		if ((indexes_only && list.entries[i].kind != STORE_INDEX) ||
		    unlink(list.entries[i].path) != 0)
			continue;
		bytes -= list.entries[i].bytes;
		n++;
	}
	store_list_free(&list);
	return n;
}

size_t store_prune(const char *dir, uint64_t max)
{
	return prune(dir, max, true);
}

size_t store_trim(const char *dir, uint64_t max)
{
	return prune(dir, max, false);
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

/* What is written aside, to take the place of PATH. */
struct aside {
	const char *path;
	char aside[PATH_MAX + 16];
	int fd;
};

/* Make the directories that PATH lies in. */
static void make_dirs_of(const char *path)
{
	char dir[PATH_MAX];
	const char *slash = strrchr(path, '/');

	if (slash == NULL || slash == path ||
	    (size_t)(slash - path) >= sizeof(dir))
		return;
	memcpy(dir, path, (size_t)(slash - path));
	dir[slash - path] = '\0';
	store_make_dirs(dir);
}

static bool open_aside(const char *path, struct aside *out, struct error *err)
{
	out->path = path;
	make_dirs_of(path);
	snprintf(out->aside, sizeof(out->aside), "%s.%d", path, (int)getpid());
	out->fd = open(out->aside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC |
					   O_NOFOLLOW, MODE_FILE);
	return out->fd >= 0 || fail_errno(err, "open");
}

static bool close_aside(struct aside *aside, bool done, struct error *err)
{
	close(aside->fd);
	if (done && rename(aside->aside, aside->path) != 0)
		done = fail_errno(err, "rename");
	if (!done)
		unlink(aside->aside);
	return done;
}

/* Power may fail before all of it is on disk: then the checksums say so, and it
 * is made again. */
bool store_publish(const char *dir, const struct build_id *id,
		   const void *bytes, size_t len, struct error *err)
{
	char path[PATH_MAX], once[PATH_MAX];
	struct aside aside;

	if (!store_path(dir, id, STORE_INDEX, path, sizeof(path)))
		return fail(err, ERR_BAD_DATA, "no build-id");
	if (len < STORE_MAX_BYTES)
		store_prune(dir, STORE_MAX_BYTES - len);
	if (once_path(dir, id, once, sizeof(once)))
		unlink(once);
	return open_aside(path, &aside, err) &&
	       close_aside(&aside, write_all(aside.fd, bytes, len, err), err);
}

/* The name of a file is durable once its directory is. */
static bool sync_dir_of(const char *path, struct error *err)
{
	char dir[PATH_MAX];
	bool ok;
	int fd;

	snprintf(dir, sizeof(dir), "%.*s", (int)(strrchr(path, '/') - path),
		 path);
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ok = (fd >= 0 && fsync(fd) == 0) || fail_errno(err, "sync %s", dir);
	if (fd >= 0)
		close(fd);
	return ok;
}

bool store_copy(const char *path, int fd, struct error *err)
{
	char bytes[COPY];
	struct aside aside;
	bool done = true;
	ssize_t n;

	if (!open_aside(path, &aside, err))
		return false;
	for (off_t at = 0; done && (n = pread(fd, bytes, COPY, at)) != 0;
	     at += n)
		done = n > 0 ? write_all(aside.fd, bytes, (size_t)n, err)
			     : fail_errno(err, "read");
	if (done && fsync(aside.fd) != 0)
		done = fail_errno(err, "fsync");
	return close_aside(&aside, done, err) && sync_dir_of(path, err);
}

bool store_move(const char *from, const char *path, int fd, struct error *err)
{
	make_dirs_of(path);
	if (fchmod(fd, MODE_FILE) != 0 || fsync(fd) != 0)
		return fail_errno(err, "fsync");
	if (rename(from, path) == 0)
		return sync_dir_of(path, err);
	if (errno != EXDEV)
		return fail_errno(err, "rename");
	return store_copy(path, fd, err) && (unlink(from) == 0 ||
					     fail_errno(err, "unlink"));
}

bool store_link(const char *dir, const struct build_id *id, struct error *err)
{
	char code[PATH_MAX], debug[PATH_MAX];

	if (!store_path(dir, id, STORE_CODE, code, sizeof(code)) ||
	    !store_path(dir, id, STORE_DEBUG, debug, sizeof(debug)))
		return fail(err, ERR_BAD_DATA, "no build-id");
	return link(code, debug) == 0 || errno == EEXIST ||
	       fail_errno(err, "link");
}
