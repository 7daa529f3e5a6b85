/* UTF-8: every code point survives, and nothing else does. */
#include "../../lib/report/utf.h"
#include "test.h"

static void every_code_point_comes_back(void)
{
	for (uint32_t c = 0; c <= 0x10ffff; c++) {
		char text[UTF8_MAX];
		size_t pos = 0, len = utf8_put(c, text);
		uint32_t found = utf8_next(text, len, &pos);
		bool surrogate = c >= 0xd800 && c <= 0xdfff;

		if (!CHECK_NUMBER(found, surrogate ? 0xfffd : c) ||
		    !CHECK_NUMBER(pos, len))
			return;
	}
	CHECK_NUMBER(utf8_put(0x110000, (char[UTF8_MAX]){ 0 }), 3);
}

static void what_is_not_utf8_is_one_byte(void)
{
	static const char *const wrong[] = {
		"\x80", "\xbf", "\xc0\x80", "\xc1\xbf", "\xe0\x80\x80",
		"\xe0\x9f\xbf", "\xed\xa0\x80", "\xf0\x80\x80\x80",
		"\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xff", "\xc3",
		"\xc3(", "\xe2\x82", "\xe2\x82(", "\xf0\x9f\x90",
	};

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		size_t len = strlen(wrong[i]), pos = 0;
		char *exact = malloc(len);

		memcpy(exact, wrong[i], len);
		CHECK_NUMBER(utf8_next(exact, len, &pos), UTF_REPLACEMENT);
		CHECK_NUMBER(pos, 1);
		free(exact);
	}
}

int main(void)
{
	static const struct test tests[] = {
		{ "every code point comes back", every_code_point_comes_back },
		{ "what is not UTF-8 is replaced byte by byte",
		  what_is_not_utf8_is_one_byte },
	};

	return TEST_RUN(tests);
}
