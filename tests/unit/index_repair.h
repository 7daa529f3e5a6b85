/* An index whose checksums fit what it has, whatever that is: so that a test
 * gets behind them. */
#ifndef EPITAPH_TESTS_UNIT_INDEX_REPAIR_H
#define EPITAPH_TESTS_UNIT_INDEX_REPAIR_H

#include <isa-l/crc.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "../../symbolizer/index/format.h"

enum { REPAIR_SUMS_AT = 104 }; /* where the head says where they are */

/* Have them at the end of the LEN bytes, which must be more than a head, unless
 * none can be so long. */
static inline void index_repair(uint8_t *bytes, size_t len)
{
	size_t n = (len - 4 + INDEX_CHUNK + 3) / (INDEX_CHUNK + 4);
	uint64_t sums_at = len - 4 * (n + 1);
	uint32_t sum;

	if (sums_at <= (n - 1) * INDEX_CHUNK)
		return;
	memcpy(bytes + REPAIR_SUMS_AT, &sums_at, sizeof(sums_at));
	for (size_t i = 0; i < n; i++) {
		size_t at = i * INDEX_CHUNK;
		size_t most = sums_at - at;

		sum = crc32_gzip_refl(0, bytes + at,
				      most < INDEX_CHUNK ? most : INDEX_CHUNK);
		memcpy(bytes + sums_at + 4 * i, &sum, sizeof(sum));
	}
	sum = crc32_gzip_refl(0, bytes + sums_at, 4 * n);
	memcpy(bytes + len - 4, &sum, sizeof(sum));
}

#endif
