/* Every small mutation of a valid report through the decoder: none crashes,
 * leaks, hangs or takes memory without bound, and what still decodes can be
 * encoded again. */
#include "../../lib/report/minidump.h"
#include "mutate.h"
#include "sample.h"
#include "test.h"

static size_t decoded, refused;

static void decode_and_encode(const uint8_t *bytes, size_t len)
{
	struct error err = { ERR_NONE, "" };
	struct report report;
	struct writer w;

	if (!minidump_decode(bytes, len, &report, &err)) {
		CHECK(err.code != ERR_NONE && err.text[0] != '\0');
		CHECK(err.code != ERR_NO_MEMORY);
		refused++;
		return;
	}
	/* Encoding takes as long again: every fourth has to do. */
	writer_init(&w, 1 << 20);
	if (decoded++ % 4 == 0 && !minidump_encode(&report, &w, &err))
		CHECK_NUMBER(err.code, ERR_TOO_LARGE);
	writer_fini(&w);
	report_free(&report);
}

static void mutations_do_no_harm(void)
{
	struct report report;
	struct writer w;

	sample_make(&report);
	writer_init(&w, MAX_REPORT_BYTES);
	CHECK(minidump_encode(&report, &w, NULL));
	mutate_all(w.bytes, w.len, decode_and_encode);
	printf("# %zu bytes: %zu mutations decoded, %zu refused\n", w.len,
	       decoded, refused);
	/* Both must have happened, or nothing was tried. */
	CHECK(decoded > w.len && refused > w.len);
	writer_fini(&w);
	report_free(&report);
}

int main(void)
{
	static const struct test tests[] = {
		{ "no mutation of a report does harm", mutations_do_no_harm },
	};

	return TEST_RUN(tests);
}
