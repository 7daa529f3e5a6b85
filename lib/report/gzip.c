/* gzip through zlib, whole buffers. Runs in the helper, which packs, and in
 * whatever reads reports; what is unpacked is not trusted, hence the ceiling
 * on what may come out. */
#include "gzip.h"

#include <limits.h>
#include <zlib.h>

enum {
	CHUNK = 32768,
	GZIP_ONLY = 15 + 16,  /* window bits: 32 KiB, gzip and nothing else */
	MEMORY_LEVEL = 6,     /* and not 8: 3 % smaller for many threads, and
	                       * 100 KiB less to be touched at a crash */
};

bool gzip_is(const void *bytes, size_t len)
{
	struct reader r;

	reader_init(&r, bytes, len);
	return reader_u16(&r) == 0x8b1f;
}

static bool append(struct writer *out, const uint8_t *bytes, size_t len,
		   struct error *err)
{
	if (len > out->limit - out->len)
		return fail(err, ERR_TOO_LARGE,
			    "gzip result is above the limit of %zu bytes",
			    out->limit);
	writer_bytes(out, bytes, len);
	if (out->bad)
		return fail(err, ERR_NO_MEMORY, "no memory for gzip result");
	return true;
}

/* zlib counts input in unsigned int: hand it the next part that fits. */
static void refill(z_stream *z, size_t *left)
{
	size_t part = *left < UINT_MAX ? *left : UINT_MAX;

	if (z->avail_in > 0)
		return;
	z->avail_in = (uInt)part;
	*left -= part;
}

static bool deflate_all(z_stream *z, size_t left, struct writer *out,
			struct error *err)
{
	uint8_t chunk[CHUNK];
	int status = Z_OK;

	while (status != Z_STREAM_END) {
		refill(z, &left);
		z->next_out = chunk;
		z->avail_out = CHUNK;
		status = deflate(z, left == 0 ? Z_FINISH : Z_NO_FLUSH);
		if (status != Z_OK && status != Z_STREAM_END)
			return fail(err, ERR_BAD_DATA, "deflate: status %d",
				    status);
		if (!append(out, chunk, CHUNK - z->avail_out, err))
			return false;
	}
	return true;
}

/* Bits of a window no larger than LEN needs: its memory is touched at once. */
static int window_bits(size_t len)
{
	int bits = 9;

	while (bits < 15 && (size_t)1 << bits < len)
		bits++;
	return bits;
}

bool gzip_pack(const void *bytes, size_t len, int level, struct writer *out,
	       struct error *err)
{
	z_stream z = { .next_in = (Bytef *)(uintptr_t)bytes };
	size_t start = out->len;
	bool ok;

	if (deflateInit2(&z, level, Z_DEFLATED, 16 + window_bits(len),
			 MEMORY_LEVEL, Z_DEFAULT_STRATEGY) != Z_OK)
		return fail(err, ERR_NO_MEMORY, "deflate cannot start");
	ok = deflate_all(&z, len, out, err);
	deflateEnd(&z);
	if (!ok)
		out->len = start;
	return ok;
}

static bool inflate_failed(int status, const z_stream *z, struct error *err)
{
	if (status == Z_MEM_ERROR)
		return fail(err, ERR_NO_MEMORY, "no memory to inflate");
	/* Z_BUF_ERROR: it wants more input, and there is none. */
	if (status == Z_BUF_ERROR)
		return fail(err, ERR_BAD_DATA, "gzip stream is cut short");
	return fail(err, ERR_BAD_DATA, "gzip stream is corrupt: %s",
		    z->msg != NULL ? z->msg : "preset dictionary");
}

static bool inflate_all(z_stream *z, size_t left, struct writer *out,
			struct error *err)
{
	uint8_t chunk[CHUNK];
	int status = Z_OK;

	while (status != Z_STREAM_END) {
		refill(z, &left);
		z->next_out = chunk;
		z->avail_out = CHUNK;
		status = inflate(z, Z_NO_FLUSH);
		if (status != Z_OK && status != Z_STREAM_END)
			return inflate_failed(status, z, err);
		if (!append(out, chunk, CHUNK - z->avail_out, err))
			return false;
	}
	if (left + z->avail_in > 0)
		return fail(err, ERR_BAD_DATA, "%zu bytes behind the gzip end",
			    left + z->avail_in);
	return true;
}

bool gzip_unpack(const void *bytes, size_t len, struct writer *out,
		 struct error *err)
{
	z_stream z = { .next_in = (Bytef *)(uintptr_t)bytes };
	size_t start = out->len;
	bool ok;

	if (inflateInit2(&z, GZIP_ONLY) != Z_OK)
		return fail(err, ERR_NO_MEMORY, "inflate cannot start");
	ok = inflate_all(&z, len, out, err);
	inflateEnd(&z);
	if (ok && out->len > start &&
	    gzip_is(out->bytes + start, out->len - start))
		ok = fail(err, ERR_UNSUPPORTED, "gzip within gzip");
	if (!ok)
		out->len = start;
	return ok;
}

size_t gzip_peek(const void *bytes, size_t len, void *to, size_t max)
{
	z_stream z = {
		.next_in = (Bytef *)(uintptr_t)bytes,
		.next_out = to,
		.avail_out = max < UINT_MAX ? (uInt)max : UINT_MAX,
	};
	uInt room = z.avail_out;

	if (inflateInit2(&z, GZIP_ONLY) != Z_OK)
		return 0;
	refill(&z, &len);
	inflate(&z, Z_SYNC_FLUSH);
	inflateEnd(&z);
	return room - z.avail_out;
}
