/* libFuzzer's way into maps text, and into the ELF images that it shows: a
 * length, that much text, and what is in memory wherever one looks. */
#include "../../lib/proc/maps.h"
#include "fuzz.h"

#include <stdlib.h>
#include <string.h>

enum { FUZZ_PAGE = 0x10000 };

static struct {
	const uint8_t *bytes;
	size_t len;
} fuzz_memory;

static size_t read_fuzz(void *context, uint64_t address, void *to, size_t len)
{
	size_t skip = (size_t)(address % FUZZ_PAGE);

	(void)context;
	if (skip >= fuzz_memory.len)
		return 0;
	if (len > fuzz_memory.len - skip)
		len = fuzz_memory.len - skip;
	memcpy(to, fuzz_memory.bytes + skip, len);
	return len;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t len = size < 2 ? 0 : data[0] + 256u * data[1];
	struct report report;
	struct maps maps;
	char *text;

	if (size < 2 || !report_init(&report, NULL))
		return 0;
	if (len > size - 2)
		len = size - 2;
	text = calloc(1, len + 1);
	if (!text)
		abort();
	memcpy(text, data + 2, len);
	fuzz_memory.bytes = data + 2 + len;
	fuzz_memory.len = size - 2 - len;
	if (maps_parse(text, len, &maps, NULL)) {
		maps_modules(&maps, read_fuzz, NULL, &report, NULL);
		maps_free(&maps);
	}
	report_free(&report);
	free(text);
	return 0;
}
