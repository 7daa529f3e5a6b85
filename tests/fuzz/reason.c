/* libFuzzer's way into signal_reason, which looks into the text of a hostile
 * process's maps and code: signal, code, eight bytes of address, then the text,
 * which is both. */
#include "../../lib/report/bytes.h"
#include "../../lib/report/siginfo.h"
#include "fuzz.h"

#include <signal.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct thread thread = { .crashed = true };
	struct memory_range code;
	struct report report;
	struct reader r;

	if (!report_init(&report, NULL))
		return 0;
	reader_init(&r, data, size);
	report.signal = reader_u8(&r);
	report.code = reader_u8(&r);
	report.has_address = true;
	report.address = reader_u64(&r);
	report.maps_len = reader_left(&r);
	report.maps = (const char *)reader_take(&r, report.maps_len);
	thread.registers.valid = 1u << R_RSP | 1u << R_RIP;
	thread.registers.value[R_RSP] = report.address + 8;
	/* The text is the code at the pc, too. */
	code.address = report.address - 8;
	code.bytes = (const uint8_t *)report.maps;
	code.len = report.maps_len;
	thread.registers.value[R_RIP] = report.address - 8;
	report.memory = &code;
	report.nmemory = 1;
	report.has_address = report.code != SI_KERNEL;
	report.threads = &thread;
	report.nthreads = 1;
	signal_reason(&report, 6, true);
	report_free(&report);
	return 0;
}
