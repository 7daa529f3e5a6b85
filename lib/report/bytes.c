/* The bounded reader and the bounded writer: the only file that indexes binary
 * input. Any process; trusts neither lengths nor offsets. */
#include "bytes.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum {
	WRITER_FIRST_CAP = 4096,
	MAX_LEB = 10, /* bytes of a number */
};

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

const char *reader_text(struct reader *r)
{
	const uint8_t *at = r->bytes ? r->bytes + r->pos : NULL;
	const uint8_t *end = at ? memchr(at, '\0', reader_left(r)) : NULL;

	if (end == NULL) {
		r->bad = true;
		return NULL;
	}
	return (const char *)reader_take(r, (size_t)(end - at) + 1);
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
		cap = w->limit < WRITER_FIRST_CAP ? w->limit
						  : WRITER_FIRST_CAP;
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

static inline uint8_t *room(struct writer *w, size_t len)
{
	return !w->bad && len <= w->cap - w->len ? w->bytes + w->len
						 : make_room(w, len);
}

void writer_uleb(struct writer *w, uint64_t v)
{
	uint8_t *to = room(w, MAX_LEB);
	size_t n = 0;

	if (to == NULL)
		return;
	for (; v >= 0x80; v >>= 7)
		to[n++] = (uint8_t)(v | 0x80);
	to[n++] = (uint8_t)v;
	w->len += n;
}

void writer_sleb(struct writer *w, int64_t v)
{
	uint8_t *to = room(w, MAX_LEB);
	size_t n = 0;

	if (to == NULL)
		return;
	for (; v < -64 || v > 63; v >>= 7)
		to[n++] = (uint8_t)(v & 0x7f) | 0x80;
	to[n++] = (uint8_t)(v & 0x7f);
	w->len += n;
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

static inline void put_number(struct writer *w, uint64_t v, size_t len)
{
	uint8_t *to = room(w, len);

	if (to == NULL)
		return;
	v = htole64(v);
	memcpy(to, &v, len);
	w->len += len;
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
