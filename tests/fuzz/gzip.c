/* libFuzzer's way into gzip_unpack: never more comes out than is allowed. */
#include "../../lib/report/gzip.h"
#include "fuzz.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	enum { LIMIT = 100000 };
	struct writer out;

	writer_init(&out, LIMIT);
	if (!gzip_unpack(data, size, &out, NULL) && out.len != 0)
		abort();
	if (out.len > LIMIT || out.cap > LIMIT)
		abort();
	writer_fini(&out);
	return 0;
}
