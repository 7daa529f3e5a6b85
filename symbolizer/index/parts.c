/* Opening an index and reading its sections. Runs anywhere; no byte is used
 * before its chunk has been checked. */
#include "parts.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <isa-l/crc.h>

#include "index.h"

/* Opening */

static bool read_head(struct index *index)
{
	struct reader r;
	const uint8_t *id;
	uint32_t id_len;

	reader_init(&r, index->bytes, index->len);
	if (reader_u64(&r) != INDEX_MAGIC || reader_u32(&r) != INDEX_VERSION)
		return false;
	id_len = reader_u32(&r);
	id = reader_take(&r, MAX_BUILD_ID);
	if (!id || id_len > MAX_BUILD_ID)
		return false;
	index->build_id.len = (uint8_t)id_len;
	memcpy(index->build_id.bytes, id, id_len);
	index->base = reader_u64(&r);
	index->first = reader_u64(&r);
	index->source = reader_u32(&r);
	index->made_of = reader_u32(&r);
	index->frames_why = reader_u32(&r);
	reader_u32(&r);
	index->sums_at = reader_u64(&r);
	for (int i = 0; i < INDEX_SECTIONS; i++) {
		index->at[i] = reader_u64(&r);
		index->section_len[i] = reader_u64(&r);
		if (index->at[i] > index->sums_at ||
		    index->section_len[i] > index->sums_at - index->at[i])
			return false;
	}
	return !r.bad && index->sums_at >= INDEX_HEAD &&
	       index->sums_at < index->len &&
	       index->at[INDEX_STRINGS] % INDEX_CHUNK == 0;
}

/* The checksums have one themselves, and there is one for each chunk. */
static bool check_sums(struct index *index)
{
	size_t nchunks = (size_t)(index->sums_at + INDEX_CHUNK - 1) /
			 INDEX_CHUNK;
	size_t len = index->len - (size_t)index->sums_at;
	struct reader r;

	if (len != (nchunks + 1) * sizeof(uint32_t))
		return false;
	reader_init(&r, index->bytes + index->sums_at, len);
	reader_skip(&r, len - sizeof(uint32_t));
	if (reader_u32(&r) != crc32_gzip_refl(0, index->bytes + index->sums_at,
					      len - sizeof(uint32_t)))
		return false;
	index->checked = calloc(nchunks, sizeof(*index->checked));
	index->known = calloc(KNOWN_SCOPES, sizeof(*index->known));
	return index->checked && index->known;
}

/* A chunk of strings ends with a NUL, so that each ends in it. */
static bool has_end(const struct index *index, size_t at, size_t len)
{
	uint64_t end = index->at[INDEX_STRINGS] +
		       index->section_len[INDEX_STRINGS];

	if (at < index->at[INDEX_STRINGS] || at >= end)
		return true;
	return index->bytes[(end - at < len ? end : at + len) - 1] == '\0';
}

static bool check_chunk(struct index *index, size_t chunk)
{
	size_t at = chunk * INDEX_CHUNK;
	size_t len = index->sums_at - at < INDEX_CHUNK
			     ? (size_t)index->sums_at - at : INDEX_CHUNK;
	struct reader r;

	reader_init(&r, index->bytes + index->sums_at,
		    index->len - (size_t)index->sums_at);
	reader_skip(&r, chunk * sizeof(uint32_t));
	if (reader_u32(&r) != crc32_gzip_refl(0, index->bytes + at, len) ||
	    !has_end(index, at, len)) {
		index->is_damaged = true;
		return false;
	}
	index->checked[chunk] = true;
	return true;
}

bool parts_check(struct index *index, size_t first, size_t last)
{
	for (size_t i = first; i <= last; i++)
		if (!index->checked[i] && !check_chunk(index, i))
			return false;
	return true;
}

static void free_index(struct index *index)
{
	free(index->checked);
	free(index->known);
	free(index);
}

static struct index *open_bytes(const void *bytes, size_t len, bool is_mapped,
				struct error *err)
{
	struct index *index = calloc(1, sizeof(*index));

	if (!index) {
		fail(err, ERR_NO_MEMORY, "no memory");
		return NULL;
	}
	index->bytes = bytes;
	index->len = len;
	if (!read_head(index) || !check_sums(index) ||
	    !parts_sound(index, 0, INDEX_HEAD)) {
		fail(err, ERR_BAD_DATA, "not an index of version %d",
		     INDEX_VERSION);
		free_index(index);
		return NULL;
	}
	index->is_mapped = is_mapped;
	return index;
}

struct index *index_memory(const void *bytes, size_t len, struct error *err)
{
	return open_bytes(bytes, len, false, err);
}

struct index *index_open(const char *path, struct error *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct index *index;
	struct stat st;
	void *bytes;

	if (fd < 0) {
		fail_errno(err, "open");
		return NULL;
	}
	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || st.st_size == 0) {
		close(fd);
		fail(err, ERR_BAD_DATA, "not an index");
		return NULL;
	}
	bytes = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	close(fd);
	if (bytes == MAP_FAILED) {
		fail_errno(err, "mmap");
		return NULL;
	}
	index = open_bytes(bytes, (size_t)st.st_size, true, err);
	if (!index)
		munmap(bytes, (size_t)st.st_size);
	return index;
}

void index_close(struct index *index)
{
	if (!index)
		return;
	if (index->is_mapped)
		munmap((void *)index->bytes, index->len);
	free_index(index);
}

const struct build_id *index_build_id(const struct index *index)
{
	return &index->build_id;
}

bool index_is_damaged(const struct index *index)
{
	return index->is_damaged;
}

unsigned index_made_of(const struct index *index)
{
	return index->made_of;
}

uint64_t index_base(const struct index *index)
{
	return index->base;
}

/* Reading */

static uint64_t item_address(const struct index *index,
			     enum index_section section, size_t size,
			     uint64_t number)
{
	uint64_t at;

	memcpy(&at, index->bytes + index->at[section] + number * size,
	       sizeof(at));
	return le64toh(at);
}

bool parts_count(struct index *index, enum index_section section,
		 size_t size, uint64_t address, uint64_t *out)
{
	uint64_t n = index->section_len[section] / size, step = 1;
	uint64_t low = index->near[section], high = n;

	if (!index->is_sound[section] &&
	    !parts_sound(index, index->at[section], n * size))
		return false;
	index->is_sound[section] = true;
	if (low > 0 &&
	    item_address(index, section, size, low - 1) > address)
		low = 0;
	for (; low > 0 && low + step < n; step *= 2) {
		if (item_address(index, section, size, low + step) > address) {
			high = low + step;
			break;
		}
		low += step;
	}
	while (low < high) {
		uint64_t middle = low + (high - low) / 2;

		if (item_address(index, section, size, middle) <= address)
			low = middle + 1;
		else
			high = middle;
	}
	index->near[section] = *out = low;
	return true;
}

struct reader parts_block(struct index *index, enum index_section section,
			  enum index_section table, size_t size,
			  uint64_t number, uint64_t most)
{
	struct reader r = parts_item(index, table, number, size);
	uint64_t from;

	reader_skip(&r, size - sizeof(uint32_t));
	from = reader_u32(&r);
	if (r.bad)
		return r;
	return parts_read(index, section, from, from + most);
}
