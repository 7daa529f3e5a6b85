/* libFuzzer's way into the minidump decoder, and out again through the
 * encoder. */
#include "../../lib/report/minidump.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct report report;
	struct writer w;

	if (!minidump_decode(data, size, &report, NULL))
		return 0;
	writer_init(&w, 1 << 20);
	minidump_encode(&report, &w, NULL);
	writer_fini(&w);
	report_free(&report);
	return 0;
}
