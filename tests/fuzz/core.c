/* libFuzzer's way into the reading of ELF cores. */
#include "../../lib/proc/core.h"
#include "fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static int fd = -1;
	char path[64];
	struct core core;
	struct report report;
	unsigned sum = 0;

	if (fd < 0)
		fd = memfd_create("core", MFD_CLOEXEC);
	if (ftruncate(fd, 0) != 0 ||
	    pwrite(fd, data, size, 0) != (ssize_t)size)
		abort();
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (!core_load(path, &core, &report, NULL))
		return 0;
	for (size_t i = 0; i < report.nmemory; i++)
		for (size_t at = 0; at < report.memory[i].len; at += 512)
			sum += report.memory[i].bytes[at];
	report_free(&report);
	core_close(&core);
	return sum == (unsigned)-1;
}
