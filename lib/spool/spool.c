/* The spool directory. Used by the crash-time helper and by `epitaph flush`;
 * trusts nothing that lies in the directory, which others may write to. */
#include "spool.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <time.h>
#include <unistd.h>

#include "../report/report.h"
#include "../report/uuid.h"

#define SUFFIX ".dmp.gz"
#define RAW_SUFFIX ".raw"
#define SHARED_SPOOL "/var/spool/epitaph"

enum {
	ID_LEN = 36,
	NAME_LEN = ID_LEN + sizeof(SUFFIX), /* with its NUL */
	MAX_LISTED = 65536, /* entries looked at in one directory */
	PART_LIFE_S = 3600, /* no helper lives longer than a minute */
	MAX_INTERRUPTED = 100,
};

/* A raw record that has been tried before has the number of tries behind its
 * name: should it kill who reads it, that has been counted. */
static const char *const suffixes[] = {
	SUFFIX, RAW_SUFFIX, RAW_SUFFIX "1", RAW_SUFFIX "2",
};
enum { SUFFIXES = sizeof(suffixes) / sizeof(suffixes[0]) };

struct entry {
	char id[ID_LEN + 1];
	unsigned suffix; /* index into suffixes; 0: a report */
	uint64_t size;
};

/* Ours, or we are root; and nobody can swap it: not a link (O_NOFOLLOW). */
static bool is_trusted(const struct stat *st)
{
	uid_t own = geteuid();

	return own == 0 || st->st_uid == own;
}

/* A directory that others may write to is a spool only if it is sticky. */
static bool is_usable_dir(const struct stat *st)
{
	if (!S_ISDIR(st->st_mode))
		return false;
	if (st->st_mode & S_IWOTH)
		return (st->st_mode & S_ISVTX) && st->st_uid == 0;
	return is_trusted(st);
}

/* mkdir -p for the last three levels at most: $HOME is there or is not. */
static void make_dirs(const char *path, int levels)
{
	char parent[sizeof(((struct spool *)0)->path)];
	char *slash;

	if (mkdir(path, 0700) == 0 || errno != ENOENT || levels == 0)
		return;
	snprintf(parent, sizeof(parent), "%s", path);
	slash = strrchr(parent, '/');
	if (!slash || slash == parent)
		return;
	*slash = '\0';
	make_dirs(parent, levels - 1);
	mkdir(path, 0700);
}

/* Open PATH as a spool. In a place where anybody may have made it, the owner
 * has to be us: STRICT. */
static bool open_dir(const char *path, bool create, bool strict,
		     struct spool *spool_out, struct error *err)
{
	struct stat st;
	int fd;

	if (strlen(path) >= sizeof(spool_out->path))
		return fail(err, ERR_TOO_LARGE, "spool path too long");
	/* O_PATH first: a shared spool (1733) may be entered and written to,
	 * but not listed, by those who are not its owner. */
	fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0 && errno == ENOENT && create) {
		make_dirs(path, 3);
		fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	}
	if (fd < 0)
		return fail_errno(err, "spool %s", path);
	if (fstat(fd, &st) < 0 || !is_usable_dir(&st) ||
	    (strict && st.st_uid != geteuid())) {
		close(fd);
		return fail(err, ERR_REFUSED,
			    "spool %s: not a directory of ours", path);
	}
	if (faccessat(fd, ".", W_OK | X_OK, AT_EACCESS) < 0) {
		close(fd);
		return fail_errno(err, "spool %s", path);
	}
	spool_out->dir = fd;
	snprintf(spool_out->path, sizeof(spool_out->path), "%s", path);
	return true;
}

static bool is_set(const char *text)
{
	return text && *text;
}

bool spool_open(const struct spool_where *where, struct spool *spool_out,
		struct error *err)
{
	char path[sizeof(spool_out->path)];

	if (is_set(where->spool))
		return open_dir(where->spool, true, false, spool_out, err);
	if (open_dir(SHARED_SPOOL, false, false, spool_out, err))
		return true;
	if (is_set(where->state_home))
		snprintf(path, sizeof(path), "%s/epitaph", where->state_home);
	else if (is_set(where->home))
		snprintf(path, sizeof(path), "%s/.local/state/epitaph",
			 where->home);
	else
		path[0] = '\0';
	if (path[0] && open_dir(path, true, false, spool_out, err))
		return true;
	snprintf(path, sizeof(path), "/tmp/epitaph-%u", geteuid());
	return open_dir(path, true, true, spool_out, err);
}

void spool_close(struct spool *spool)
{
	if (spool->dir >= 0)
		close(spool->dir);
	spool->dir = -1;
}

static void file_name(const char *id, unsigned suffix,
		      char name_out[NAME_LEN])
{
	snprintf(name_out, NAME_LEN, "%.36s%s", id, suffixes[suffix]);
}

/* True where NAME is an id and one of our suffixes; they go to ENTRY. */
static bool parse_name(const char *name, struct entry *entry)
{
	int64_t time_ms;

	if (strlen(name) <= ID_LEN)
		return false;
	memcpy(entry->id, name, ID_LEN);
	entry->id[ID_LEN] = '\0';
	for (entry->suffix = 0; entry->suffix < SUFFIXES; entry->suffix++) {
		if (strcmp(name + ID_LEN, suffixes[entry->suffix]) == 0)
			return uuid_parse(entry->id, &time_ms);
	}
	return false;
}

static enum spool_kind kind_of(const struct entry *entry)
{
	return entry->suffix == 0 ? SPOOL_REPORTS : SPOOL_RAW;
}

/* UUIDv7 begins with the time: by id is by age. */
static int by_id(const void *a, const void *b)
{
	return memcmp(a, b, ID_LEN);
}

/* Take away what a helper that was killed had begun to write. */
static void sweep_part(int dir, const char *name)
{
	size_t len = strlen(name);
	struct stat st;

	if (name[0] == '.' && len > 5 && strcmp(name + len - 5, ".part") == 0 &&
	    fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	    S_ISREG(st.st_mode) && is_trusted(&st) &&
	    time(NULL) - st.st_mtime > PART_LIFE_S)
		unlinkat(dir, name, 0);
}

static void remove_file(struct spool *spool, const char *id, unsigned suffix)
{
	char name[NAME_LEN];

	file_name(id, suffix, name);
	unlinkat(spool->dir, name, 0);
}

/* What is in the spool of KINDS, bits by enum spool_kind, oldest first,
 * malloc'd; those that are not ours or not plain files are passed over, and
 * others not even asked about: there may be thousands. NULL and 0 where the
 * directory cannot be read (a shared spool, seen by somebody who is not root).
 */
static struct entry *read_entries(struct spool *spool, unsigned kinds,
				  size_t *n_out)
{
	int fd = openat(spool->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	struct entry *entries = NULL, *grown;
	size_t n = 0, cap = 0;
	struct dirent *d;
	struct stat st;

	*n_out = 0;
	if (!dir) {
		if (fd >= 0)
			close(fd);
		return NULL;
	}
	while (n < MAX_LISTED && (d = readdir(dir))) {
		sweep_part(fd, d->d_name);
		if (n == cap) {
			cap = cap ? 2 * cap : 64;
			grown = realloc(entries, cap * sizeof(*entries));
			if (!grown)
				break;
			entries = grown;
		}
		if (!parse_name(d->d_name, &entries[n]) ||
		    !(kinds >> kind_of(&entries[n]) & 1) ||
		    fstatat(fd, d->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
		    !S_ISREG(st.st_mode) || !is_trusted(&st))
			continue;
		entries[n++].size = (uint64_t)st.st_size;
	}
	closedir(dir);
	if (n)
		qsort(entries, n, sizeof(*entries), by_id);
	*n_out = n;
	return entries;
}

static void make_room(struct spool *spool, uint64_t wanted, uint64_t max)
{
	size_t n;
	struct entry *entries =
		read_entries(spool, 1u << SPOOL_REPORTS | 1u << SPOOL_RAW, &n);
	uint64_t total = wanted;

	for (size_t i = 0; i < n; i++)
		total += entries[i].size;
	for (size_t i = 0; i < n && total > max; i++) {
		total -= entries[i].size;
		remove_file(spool, entries[i].id, entries[i].suffix);
	}
	free(entries);
}

static bool write_all(int fd, const uint8_t *bytes, size_t len)
{
	int interrupted = 0;

	while (len) {
		ssize_t n = write(fd, bytes, len);

		if (n < 0 && errno == EINTR && interrupted++ < MAX_INTERRUPTED)
			continue;
		if (n <= 0)
			return false;
		bytes += n;
		len -= (size_t)n;
	}
	return true;
}

/* The name is on disk too; in a shared spool that we may not read, the file
 * alone is. */
static void sync_dir(const struct spool *spool)
{
	int fd = openat(spool->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return;
	fsync(fd);
	close(fd);
}

/* The bytes have to be on the disk before the name is. ext4 commits a name and
 * what a file's bytes are in one transaction, so there it is enough that they
 * have been written when the name changes, and one commit follows. Two took 5.5
 * ms in the median where one took 2.5 (150 files each, on a busy disk). */
static bool has_one_commit(int fd)
{
	struct statfs info;

	return fstatfs(fd, &info) == 0 && info.f_type == EXT4_SUPER_MAGIC;
}

/* A disk that fails is no place for a report; a call that is refused says
 * nothing about the disk. */
static bool sync_file(int fd)
{
	return fsync(fd) == 0 ||
	       (errno != EIO && errno != ENOSPC && errno != EDQUOT);
}

static bool sync_bytes(int fd)
{
	static const unsigned all = SYNC_FILE_RANGE_WAIT_BEFORE |
				    SYNC_FILE_RANGE_WRITE |
				    SYNC_FILE_RANGE_WAIT_AFTER;

	return (has_one_commit(fd) &&
		sync_file_range(fd, 0, 0, all) == 0) || sync_file(fd);
}

/* The file of FD has got its name. */
static bool sync_name(const struct spool *spool, int fd)
{
	if (has_one_commit(fd))
		return sync_file(fd);
	sync_dir(spool);
	return true;
}

/* BYTES into the new file FD, which becomes NAME instead of ASIDE. */
static bool fill(const struct spool *spool, int fd, const void *bytes,
		 size_t len, const char *aside, const char *name)
{
	return write_all(fd, bytes, len) && sync_bytes(fd) &&
	       renameat(spool->dir, aside, spool->dir, name) == 0 &&
	       sync_name(spool, fd);
}

bool spool_put(struct spool *spool, const char *id, const void *bytes,
	       size_t len, uint64_t max, struct error *err)
{
	char name[NAME_LEN], aside[NAME_LEN];
	int fd;

	if (len > max)
		return fail(err, ERR_TOO_LARGE,
			    "report of %zu bytes, spool limit %llu", len,
			    (unsigned long long)max);
	make_room(spool, len, max);
	file_name(id, 0, name);
	snprintf(aside, sizeof(aside), ".%.36s.part", id);
	fd = openat(spool->dir, aside,
		    O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return fail_errno(err, "spool %s", spool->path);
	if (!fill(spool, fd, bytes, len, aside, name)) {
		fail_errno(err, "spool %s", spool->path);
		close(fd);
		unlinkat(spool->dir, aside, 0);
		unlinkat(spool->dir, name, 0);
		return false;
	}
	close(fd);
	return true;
}

size_t spool_list(struct spool *spool, enum spool_kind kind, char (*ids)[37],
		  size_t max)
{
	size_t n, taken = 0;
	struct entry *entries = read_entries(spool, 1u << kind, &n);

	for (size_t i = 0; i < n && taken < max; i++)
		memcpy(ids[taken++], entries[i].id, ID_LEN + 1);
	free(entries);
	return taken;
}

static bool read_all(int fd, struct writer *out, struct error *err)
{
	uint8_t buffer[16384];
	ssize_t n;

	while ((n = read(fd, buffer, sizeof(buffer))) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return fail_errno(err, "read");
		writer_bytes(out, buffer, (size_t)n);
		if (out->bad)
			return fail(err, ERR_TOO_LARGE, "more than %zu bytes",
				    out->limit);
	}
	return true;
}

static bool get_file(struct spool *spool, const char *name,
		     struct writer *out, struct error *err)
{
	struct stat st;
	bool done;
	int fd;

	fd = openat(spool->dir, name,
		    O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0)
		return fail_errno(err, "%s/%s", spool->path, name);
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || !is_trusted(&st)) {
		close(fd);
		return fail(err, ERR_REFUSED, "%s/%s: not a file of ours",
			    spool->path, name);
	}
	done = read_all(fd, out, err);
	close(fd);
	return done || fail_context(err, "%s/%s", spool->path, name);
}

bool spool_get(struct spool *spool, const char *id, struct writer *out,
	       struct error *err)
{
	char name[NAME_LEN];

	file_name(id, 0, name);
	return get_file(spool, name, out, err);
}

void spool_remove(struct spool *spool, const char *id)
{
	remove_file(spool, id, 0);
}

void spool_remove_raw(struct spool *spool, const char *id)
{
	for (unsigned i = 1; i < SUFFIXES; i++)
		remove_file(spool, id, i);
}

static void refuse_file(struct spool *spool, const char *name)
{
	struct stat st;
	int refused;

	if (faccessat(spool->dir, name, F_OK, AT_SYMLINK_NOFOLLOW) < 0)
		return;
	mkdirat(spool->dir, "refused", 0700);
	refused = openat(spool->dir, "refused",
			 O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (refused < 0)
		return;
	/* In a shared spool it may be another's, or lead elsewhere. */
	if (fstat(refused, &st) == 0 && st.st_uid == geteuid())
		renameat(spool->dir, name, refused, name);
	close(refused);
}

bool spool_take_raw(struct spool *spool, const char *id, struct writer *out,
		    struct error *err)
{
	char name[NAME_LEN], next[NAME_LEN];

	for (unsigned i = 1; i < SUFFIXES; i++) {
		file_name(id, i, name);
		if (faccessat(spool->dir, name, F_OK, AT_SYMLINK_NOFOLLOW) < 0)
			continue;
		if (i + 1 == SUFFIXES) {
			refuse_file(spool, name);
			return fail(err, ERR_REFUSED, "%s/%s: no report could "
				    "be made of it in %u tries; it is in %s/"
				    "refused", spool->path, name, i - 1,
				    spool->path);
		}
		file_name(id, i + 1, next);
		if (renameat(spool->dir, name, spool->dir, next) < 0)
			return fail_errno(err, "%s/%s", spool->path, name);
		return get_file(spool, next, out, err);
	}
	return fail(err, ERR_NOT_FOUND, "%s: no raw record %s", spool->path,
		    id);
}

void spool_refuse(struct spool *spool, const char *id)
{
	char name[NAME_LEN];

	file_name(id, 0, name);
	refuse_file(spool, name);
}

/* Our lock file; -1 where it cannot be had. One of another's, who may hold it
 * for ever, is taken away, which root may do. */
static int open_lock(struct spool *spool)
{
	char name[32];
	struct stat st;
	int fd;

	snprintf(name, sizeof(name), ".lock-%u", geteuid());
	for (int tries = 0; tries < 2; tries++) {
		fd = openat(spool->dir, name,
			    O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW |
				    O_NONBLOCK, 0600);
		if (fd >= 0 && fstat(fd, &st) == 0 && st.st_uid == geteuid())
			return fd;
		if (fd >= 0)
			close(fd);
		unlinkat(spool->dir, name, 0);
	}
	return -1;
}

bool spool_lock(struct spool *spool, int *lock_out)
{
	int fd = open_lock(spool);

	if (fd < 0)
		return false;
	if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		close(fd);
		return false;
	}
	*lock_out = fd;
	return true;
}

void spool_unlock(int lock)
{
	close(lock);
}
