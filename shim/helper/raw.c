/* Reading raw records. Runs in the helper as `epitaph flush` starts it; trusts
 * nothing: the record lay in a directory that others may write to. */
#include "raw.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../../lib/report/bytes.h"

enum {
	MAX_PIECES = 16384,
	HEAD_SIZE = 16,   /* of struct raw_head */
	MODULE_HEAD = 4096,
	NOT_OPENED = -2,
};

struct piece {
	uint32_t type;
	uint64_t address, len;
	const uint8_t *bytes;
};

struct raw {
	struct piece *pieces;
	size_t npieces;
	const struct maps *maps;
	int *files; /* one for each of maps; -1: not to be had */
};

static bool parse_pieces(struct raw *raw, struct reader *r)
{
	while (reader_left(r) >= HEAD_SIZE && raw->npieces < MAX_PIECES) {
		struct piece *piece = &raw->pieces[raw->npieces];

		piece->type = reader_u32(r);
		piece->len = reader_u32(r);
		piece->address = reader_u64(r);
		if (piece->type == RAW_END)
			return true;
		if (piece->len > reader_left(r))
			piece->len = reader_left(r); /* cut short */
		piece->bytes = reader_take(r, (size_t)piece->len);
		raw->npieces++;
	}
	return raw->npieces > 0;
}

struct raw *raw_new(const void *bytes, size_t len, struct error *err)
{
	struct raw *raw = calloc(1, sizeof(*raw));
	struct reader r;

	if (raw)
		raw->pieces = calloc(MAX_PIECES, sizeof(*raw->pieces));
	if (!raw || !raw->pieces) {
		raw_free(raw);
		fail(err, ERR_NO_MEMORY, "raw record: out of memory");
		return NULL;
	}
	reader_init(&r, bytes, len);
	if (!parse_pieces(raw, &r) || raw->pieces[0].type != RAW_RECORD) {
		raw_free(raw);
		fail(err, ERR_BAD_DATA, "raw record: %zu bytes that are none",
		     len);
		return NULL;
	}
	return raw;
}

void raw_free(struct raw *raw)
{
	if (!raw)
		return;
	for (size_t i = 0; raw->files && i < raw->maps->len; i++) {
		if (raw->files[i] >= 0)
			close(raw->files[i]);
	}
	free(raw->files);
	free(raw->pieces);
	free(raw);
}

static const struct piece *find_piece(const struct raw *raw, uint32_t type)
{
	for (size_t i = 0; i < raw->npieces; i++) {
		if (raw->pieces[i].type == type)
			return &raw->pieces[i];
	}
	return NULL;
}

bool raw_record(const struct raw *raw, struct crash_record *record,
		struct error *err)
{
	const struct piece *head = find_piece(raw, RAW_RECORD);
	const struct piece *threads = find_piece(raw, RAW_THREADS);
	size_t size = offsetof(struct crash_record, threads), n = 0;

	if (!head || head->len != size)
		return fail(err, ERR_BAD_DATA,
			    "raw record: not one of this build");
	memcpy(record, head->bytes, size);
	if (threads)
		n = threads->len / sizeof(record->threads[0]);
	if (record->nthreads > n)
		record->nthreads = (uint32_t)n;
	if (record->nthreads > RECORD_THREADS)
		record->nthreads = RECORD_THREADS;
	if (threads)
		memcpy(record->threads, threads->bytes,
		       record->nthreads * sizeof(record->threads[0]));
	return true;
}

const uint8_t *raw_text(const struct raw *raw, enum raw_type type,
			size_t *len_out)
{
	const struct piece *piece = find_piece(raw, type);

	*len_out = piece ? (size_t)piece->len : 0;
	return piece ? piece->bytes : NULL;
}

void raw_use_maps(struct raw *raw, const struct maps *maps)
{
	raw->maps = maps;
	raw->files = malloc((maps->len + 1) * sizeof(*raw->files));
	for (size_t i = 0; raw->files && i < maps->len; i++)
		raw->files[i] = NOT_OPENED;
}

static size_t read_pieces(const struct raw *raw, uint64_t address, void *to,
			  size_t len)
{
	for (size_t i = 0; i < raw->npieces; i++) {
		const struct piece *piece = &raw->pieces[i];
		uint64_t into = address - piece->address;

		if (piece->type != RAW_MEMORY || into >= piece->len)
			continue;
		if (len > piece->len - into)
			len = (size_t)(piece->len - into);
		memcpy(to, piece->bytes + into, len);
		return len;
	}
	return 0;
}

/* Whether FD is the file that MAP was made of: its head is what the process
 * had at the start of the file, and the inode has not changed. */
static bool is_same_file(const struct raw *raw, const struct map *map, int fd)
{
	uint8_t then[MODULE_HEAD], now[MODULE_HEAD];
	struct stat st;

	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) ||
	    st.st_ino != map->inode)
		return false;
	for (size_t i = 0; i < raw->maps->len; i++) {
		const struct map *first = &raw->maps->entries[i];
		size_t n;

		if (first->inode != map->inode || first->offset)
			continue;
		n = read_pieces(raw, first->start, then, sizeof(then));
		return n >= 64 && pread(fd, now, n, 0) == (ssize_t)n &&
		       memcmp(then, now, n) == 0;
	}
	return false;
}

static int open_file(const struct raw *raw, const struct map *map)
{
	int fd;

	if (map->path[0] != '/')
		return -1;
	/* The path is the dead program's: a device or a pipe must not hang or
	 * act. */
	fd = open(map->path,
		  O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd >= 0 && !is_same_file(raw, map, fd)) {
		close(fd);
		fd = -1;
	}
	return fd;
}

/* What was never written to is in the file as it was in memory. */
static size_t read_file(struct raw *raw, uint64_t address, void *to,
			size_t len)
{
	const struct map *map = raw->maps ? maps_find(raw->maps, address)
					  : NULL;
	uint64_t into;
	size_t i;
	ssize_t n;

	if (!map || map->write || !raw->files)
		return 0;
	i = (size_t)(map - raw->maps->entries);
	if (raw->files[i] == NOT_OPENED)
		raw->files[i] = open_file(raw, map);
	if (raw->files[i] < 0)
		return 0;
	into = address - map->start;
	if (len > map->end - address)
		len = (size_t)(map->end - address);
	n = pread(raw->files[i], to, len, (off_t)(map->offset + into));
	return n > 0 ? (size_t)n : 0;
}

size_t raw_read(struct raw *raw, uint64_t address, void *to, size_t len)
{
	size_t done = 0;

	while (done < len) {
		uint8_t *at = (uint8_t *)to + done;
		size_t n = read_pieces(raw, address + done, at, len - done);

		if (n == 0)
			n = read_file(raw, address + done, at, len - done);
		if (n == 0)
			break;
		done += n;
	}
	return done;
}
