/* UTF-8 in both directions. Any process; trusts nothing of its input. */
#include "utf.h"

#include <stdbool.h>

static bool is_surrogate(uint32_t code_point)
{
	return code_point >= 0xd800 && code_point <= 0xdfff;
}

/* How many bytes follow FIRST, and the bits of the code point in it; -1 for a
 * byte that starts nothing. */
static int lead(uint8_t first, uint32_t *bits_out)
{
	if (first < 0x80) {
		*bits_out = first;
		return 0;
	}
	if (first >= 0xc2 && first <= 0xdf) {
		*bits_out = first & 0x1fu;
		return 1;
	}
	if (first >= 0xe0 && first <= 0xef) {
		*bits_out = first & 0x0fu;
		return 2;
	}
	if (first >= 0xf0 && first <= 0xf4) {
		*bits_out = first & 0x07u;
		return 3;
	}
	return -1;
}

uint32_t utf8_next(const char *text, size_t len, size_t *pos)
{
	/* The least that needs as many bytes: less is an overlong form. */
	static const uint32_t least[] = { 0, 0x80, 0x800, 0x10000 };
	size_t at = *pos;
	uint32_t code_point = 0;
	int more = lead((uint8_t)text[at], &code_point);

	*pos = ++at;
	if (more < 0 || (size_t)more > len - at)
		return UTF_REPLACEMENT;
	for (int i = 0; i < more; i++) {
		uint8_t next = (uint8_t)text[at + (size_t)i];

		if ((next & 0xc0) != 0x80)
			return UTF_REPLACEMENT;
		code_point = code_point << 6 | (next & 0x3fu);
	}
	if (code_point < least[more] || code_point > 0x10ffff ||
	    is_surrogate(code_point))
		return UTF_REPLACEMENT;
	*pos = at + (size_t)more;
	return code_point;
}

size_t utf8_put(uint32_t code_point, char to[UTF8_MAX])
{
	if (code_point > 0x10ffff || is_surrogate(code_point))
		code_point = UTF_REPLACEMENT;
	if (code_point < 0x80) {
		to[0] = (char)code_point;
		return 1;
	}
	if (code_point < 0x800) {
		to[0] = (char)(0xc0 | code_point >> 6);
		to[1] = (char)(0x80 | (code_point & 0x3f));
		return 2;
	}
	if (code_point < 0x10000) {
		to[0] = (char)(0xe0 | code_point >> 12);
		to[1] = (char)(0x80 | (code_point >> 6 & 0x3f));
		to[2] = (char)(0x80 | (code_point & 0x3f));
		return 3;
	}
	to[0] = (char)(0xf0 | code_point >> 18);
	to[1] = (char)(0x80 | (code_point >> 12 & 0x3f));
	to[2] = (char)(0x80 | (code_point >> 6 & 0x3f));
	to[3] = (char)(0x80 | (code_point & 0x3f));
	return 4;
}
