/* The bounded reader and the bounded writer: the only file that indexes binary
 * input. Any process; trusts neither lengths nor offsets. */
#include "bytes.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { WRITER_FIRST_CAP = 4096 };

void reader_init(struct reader *r, const void *bytes, size_t len)
{
	r->bytes = bytes;
	r->len = len;
	r->pos = 0;
	r->bad = false;
}

struct reader reader_at(struct reader *from, uint64_t offset, uint64_t len)
{
	struct reader r = { .bytes = from->bytes };

	if (from->bad || offset > from->len || len > from->len - offset) {
		from->bad = true;
		r.bad = true;
		return r;
	}
	/* NULL + 0, for an empty buffer, is not defined in C. */
	if (len > 0)
		r.bytes = from->bytes + offset;
	r.len = (size_t)len;
	return r;
}

size_t reader_left(const struct reader *r)
{
	return r->bad ? 0 : r->len - r->pos;
}

const uint8_t *reader_take(struct reader *r, size_t len)
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

void reader_skip(struct reader *r, size_t len)
{
	reader_take(r, len);
}

/* LEN (at most 8) bytes as a little-endian number; 0 where there are fewer. */
static uint64_t take_number(struct reader *r, size_t len)
{
	const uint8_t *at = reader_take(r, len);
	uint64_t v = 0;

	for (size_t i = 0; at != NULL && i < len; i++)
		v |= (uint64_t)at[i] << (8 * i);
	return v;
}

uint8_t reader_u8(struct reader *r)
{
	return (uint8_t)take_number(r, 1);
}

uint16_t reader_u16(struct reader *r)
{
	return (uint16_t)take_number(r, 2);
}

uint32_t reader_u32(struct reader *r)
{
	return (uint32_t)take_number(r, 4);
}

uint64_t reader_u64(struct reader *r)
{
	return take_number(r, 8);
}

size_t reader_count(struct reader *r, size_t max, size_t item_size)
{
	size_t n = reader_u32(r);

	assert(item_size > 0);
	if (n > max || n > reader_left(r) / item_size) {
		r->bad = true;
		return 0;
	}
	return n;
}

void writer_init(struct writer *w, size_t limit)
{
	memset(w, 0, sizeof(*w));
	w->limit = limit;
}

void writer_fini(struct writer *w)
{
	free(w->bytes);
	writer_init(w, 0);
}

/* Room for LEN more bytes, or NULL and bad. Doubles, so that appending is
 * linear, but never beyond the limit. */
static uint8_t *make_room(struct writer *w, size_t len)
{
	size_t cap = w->cap;
	uint8_t *grown;

	if (w->bad || len > w->limit - w->len) {
		w->bad = true;
		return NULL;
	}
	if (cap == 0)
		cap = WRITER_FIRST_CAP;
	while (cap - w->len < len)
		cap = cap > w->limit / 2 ? w->limit : cap * 2;
	if (cap != w->cap) {
		grown = realloc(w->bytes, cap);
		if (grown == NULL) {
			w->bad = true;
			return NULL;
		}
		w->bytes = grown;
		w->cap = cap;
	}
	return w->bytes + w->len;
}

void writer_bytes(struct writer *w, const void *bytes, size_t len)
{
	uint8_t *to;

	if (len == 0)
		return;
	to = make_room(w, len);
	if (to == NULL)
		return;
	memcpy(to, bytes, len);
	w->len += len;
}

void writer_zero(struct writer *w, size_t len)
{
	uint8_t *to;

	if (len == 0)
		return;
	to = make_room(w, len);
	if (to == NULL)
		return;
	memset(to, 0, len);
	w->len += len;
}

static void put_number(struct writer *w, uint64_t v, size_t len)
{
	uint8_t bytes[8];

	for (size_t i = 0; i < len; i++)
		bytes[i] = (uint8_t)(v >> (8 * i));
	writer_bytes(w, bytes, len);
}

void writer_u8(struct writer *w, uint8_t v)
{
	put_number(w, v, 1);
}

void writer_u16(struct writer *w, uint16_t v)
{
	put_number(w, v, 2);
}

void writer_u32(struct writer *w, uint32_t v)
{
	put_number(w, v, 4);
}

void writer_u64(struct writer *w, uint64_t v)
{
	put_number(w, v, 8);
}

size_t writer_align(struct writer *w, size_t alignment)
{
	size_t over;

	assert(alignment > 0);
	over = w->len % alignment;
	if (over != 0)
		writer_zero(w, alignment - over);
	return w->len;
}

void writer_patch_u32(struct writer *w, size_t offset, uint32_t v)
{
	/* A bad writer may lack what the caller believes it wrote. */
	if (w->bad)
		return;
	assert(w->len >= 4 && offset <= w->len - 4);
	for (size_t i = 0; i < 4; i++)
		w->bytes[offset + i] = (uint8_t)(v >> (8 * i));
}
