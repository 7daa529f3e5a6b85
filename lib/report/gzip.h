/* gzip, whole buffers, with a ceiling on what comes out. */
#ifndef EPITAPH_REPORT_GZIP_H
#define EPITAPH_REPORT_GZIP_H

#include "bytes.h"

/* True where BYTES begin with gzip's magic number. */
bool gzip_is(const void *bytes, size_t len);

/* Append BYTES, compressed at LEVEL (1..9), to OUT. */
bool gzip_pack(const void *bytes, size_t len, int level, struct writer *out,
	       struct error *err);

/* Append what BYTES unpack to, to OUT. Never grows OUT past its limit:
 * ERR_TOO_LARGE there; ERR_BAD_DATA for a truncated or corrupt stream, or for
 * bytes behind it; ERR_UNSUPPORTED where the result is itself gzip. */
bool gzip_unpack(const void *bytes, size_t len, struct writer *out,
		 struct error *err);

/* Put the first bytes of what BYTES unpack to, at most MAX, into TO; how many
 * could be had, whatever comes behind them. */
size_t gzip_peek(const void *bytes, size_t len, void *to, size_t max);

#endif
