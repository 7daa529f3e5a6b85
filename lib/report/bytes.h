/* The only place, with bytes.c, where binary input is indexed. A reader is
 * sticky: the first read past the end marks it bad and every later read returns
 * 0, so a decoder reads as its format does and asks once, at the end.
 * Little-endian. */
#ifndef EPITAPH_REPORT_BYTES_H
#define EPITAPH_REPORT_BYTES_H

#include <endian.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "error.h"

/* Invariant: pos <= len. `bad` never becomes false again. The bytes are
 * borrowed and must outlive the reader. */
struct reader {
	const uint8_t *bytes;
	size_t len;
	size_t pos;
	bool bad;
};

static inline void reader_init(struct reader *r, const void *bytes, size_t len)
{
	r->bytes = (const uint8_t *)bytes;
	r->len = len;
	r->pos = 0;
	r->bad = false;
}

/* A reader over LEN bytes at OFFSET of FROM's buffer (not of its position).
 * Where that range does not lie within FROM, FROM becomes bad and the new
 * reader is empty and bad. */
struct reader reader_at(struct reader *from, uint64_t offset, uint64_t len);

static inline size_t reader_left(const struct reader *r)
{
	return r->bad ? 0 : r->len - r->pos;
}

/* The next LEN bytes, still in the buffer; NULL (and bad) if there are fewer.
 * Valid as long as the buffer is. */
static inline const uint8_t *reader_take(struct reader *r, size_t len)
{
	const uint8_t *at;

	if (len > reader_left(r)) {
		r->bad = true;
		return NULL;
	}
	if (r->bad || r->bytes == NULL)
		return NULL;
	at = r->bytes + r->pos;
	r->pos += len;
	return at;
}

static inline void reader_skip(struct reader *r, size_t len)
{
	reader_take(r, len);
}

/* The next one, two, four or eight bytes as a number; 0 where there are
 * fewer. */
static inline uint8_t reader_u8(struct reader *r)
{
	const uint8_t *at = reader_take(r, 1);

	return at ? *at : 0;
}

static inline uint16_t reader_u16(struct reader *r)
{
	const uint8_t *at = reader_take(r, sizeof(uint16_t));
	uint16_t v = 0;

	if (at)
		memcpy(&v, at, sizeof(v));
	return le16toh(v);
}

static inline uint32_t reader_u32(struct reader *r)
{
	const uint8_t *at = reader_take(r, sizeof(uint32_t));
	uint32_t v = 0;

	if (at)
		memcpy(&v, at, sizeof(v));
	return le32toh(v);
}

static inline uint64_t reader_u64(struct reader *r)
{
	const uint8_t *at = reader_take(r, sizeof(uint64_t));
	uint64_t v = 0;

	if (at)
		memcpy(&v, at, sizeof(v));
	return le64toh(v);
}

/* The next LEB128 number; bad where it has no end within ten bytes. */
static inline uint64_t reader_uleb(struct reader *r)
{
	uint64_t value = 0;

	if (!r->bad && r->pos < r->len && r->bytes[r->pos] < 0x80)
		return r->bytes[r->pos++]; /* as most are */
	for (unsigned shift = 0; shift < 70; shift += 7) {
		uint8_t byte = reader_u8(r);

		if (shift < 64)
			value |= (uint64_t)(byte & 0x7f) << shift;
		if (!(byte & 0x80))
			return value;
	}
	r->bad = true;
	return 0;
}

static inline int64_t reader_sleb(struct reader *r)
{
	uint64_t value = 0;

	if (!r->bad && r->pos < r->len && r->bytes[r->pos] < 0x80)
		return (r->bytes[r->pos++] ^ 0x40) - 0x40;
	for (unsigned shift = 0; shift < 70; shift += 7) {
		uint8_t byte = reader_u8(r);

		if (shift < 64)
			value |= (uint64_t)(byte & 0x7f) << shift;
		if (byte & 0x80)
			continue;
		if (byte & 0x40 && shift + 7 < 64)
			value |= ~(uint64_t)0 << (shift + 7);
		return (int64_t)value;
	}
	r->bad = true;
	return 0;
}

/* The NUL-terminated text that is next, in the buffer; NULL (and bad) where
 * it has no end. */
const char *reader_text(struct reader *r);

/* A u32 count of things at least ITEM_SIZE bytes each: no more than MAX, and
 * no more than the bytes left could hold; otherwise 0, and bad. */
size_t reader_count(struct reader *r, size_t max, size_t item_size);

/* A growing output buffer with a ceiling. Sticky like the reader: past LIMIT,
 * or without memory, it is bad and swallows what follows. */
struct writer {
	uint8_t *bytes;
	size_t len;
	size_t cap;
	size_t limit;
	bool bad;
};

void writer_init(struct writer *w, size_t limit);
void writer_fini(struct writer *w);
void writer_u8(struct writer *w, uint8_t v);
void writer_u16(struct writer *w, uint16_t v);
void writer_u32(struct writer *w, uint32_t v);
void writer_u64(struct writer *w, uint64_t v);
/* LEB128. */
void writer_uleb(struct writer *w, uint64_t v);
void writer_sleb(struct writer *w, int64_t v);
void writer_bytes(struct writer *w, const void *bytes, size_t len);
void writer_zero(struct writer *w, size_t len);
/* Pad with zeros to a multiple of ALIGNMENT and return the offset there. */
size_t writer_align(struct writer *w, size_t alignment);
/* Overwrite four bytes already written at OFFSET. */
void writer_patch_u32(struct writer *w, size_t offset, uint32_t v);

#endif
