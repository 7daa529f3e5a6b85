/* libFuzzer's way into the scanner for hits: it ends, and stays in its text. */
#include "../../collector/hitscan.h"
#include "fuzz.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size > 0 ? size : 1);
	static struct hit hit;
	struct hitscan scan;
	struct error err;

	if (size > 0)
		memcpy(text, data, size);
	hitscan_init(&scan, text, size);
	while (hitscan_next(&scan, 0, &hit, &err) == HITSCAN_HIT) {
		if (hit.ntags > WIRE_TAGS || hit.exe.len > HITSCAN_TEXT)
			abort();
	}
	free(text);
	return 0;
}
