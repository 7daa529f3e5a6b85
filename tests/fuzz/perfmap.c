/* libFuzzer's way into the map that a program writes for perf: the input is the
 * file, in which a few places are looked for. */
#include "../../lib/proc/perfmap.h"
#include "fuzz.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint64_t places[] = { 0, 0x10, 0x1000, 0x7f0000001000, UINT64_MAX };
	struct perfmap map = { .places = places, .nplaces = 5, .len = size };
	static int fd = -1;
	struct report report;

	if (fd < 0)
		fd = memfd_create("perfmap", MFD_CLOEXEC);
	if (ftruncate(fd, 0) != 0 ||
	    pwrite(fd, data, size, 0) != (ssize_t)size)
		abort();
	if (!report_init(&report, NULL))
		return 0;
	map.is_open = true;
	map.fd = fd;
	perfmap_read(&map, INT64_MAX, &report);
	for (size_t i = 0; i < report.njit; i++) {
		size_t len = strlen(report.jit[i].name);

		if (len == 0 || len > MAX_JIT_NAME || !report.jit[i].size ||
		    report.jit[i].size > MAX_JIT_SIZE)
			abort();
	}
	report_free(&report);
	return 0;
}
