/* libFuzzer's way into the decoder of the JSON stream. The report has what the
 * stream refers to: modules, and a thread 7. */
#include "../../lib/report/meta.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct module modules[2] = { { .base = 1, .size = 1 } };
	struct thread thread = { .tid = 7 };
	struct report report;

	if (!report_init(&report, NULL))
		return 0;
	report.modules = modules;
	report.nmodules = 2;
	report.threads = &thread;
	report.nthreads = 1;
	meta_decode((const char *)data, size, &report, NULL);
	report_free(&report);
	return 0;
}
