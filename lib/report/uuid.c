/* Report ids as text. Any process; uuid_parse trusts nothing of its input. */
#include "uuid.h"

#include <stddef.h>
#include <string.h>

enum {
	UUID_BYTES = 16,
	UUID_TEXT = 36,
};

static const char digits[] = "0123456789abcdef";

/* A hyphen stands before these bytes: 8-4-4-4-12 digits. */
static bool is_group_start(size_t byte)
{
	return byte == 4 || byte == 6 || byte == 8 || byte == 10;
}

void uuid_format(int64_t time_ms, const uint8_t random[10], char text_out[37])
{
	uint64_t t = (uint64_t)time_ms;
	uint8_t id[UUID_BYTES];
	char *to = text_out;

	for (size_t i = 0; i < 6; i++)
		id[i] = (uint8_t)(t >> (40 - 8 * i));
	memcpy(id + 6, random, 10);
	id[6] = (uint8_t)((id[6] & 0x0f) | 0x70); /* version 7 */
	id[8] = (uint8_t)((id[8] & 0x3f) | 0x80); /* the RFC's variant */
	for (size_t i = 0; i < UUID_BYTES; i++) {
		if (is_group_start(i))
			*to++ = '-';
		*to++ = digits[id[i] >> 4];
		*to++ = digits[id[i] & 15];
	}
	*to = '\0';
}

/* The value of a lower-case hex digit, or -1. */
static int digit_value(char c)
{
	const char *at = c == '\0' ? NULL : strchr(digits, c);

	return at == NULL ? -1 : (int)(at - digits);
}

bool uuid_parse(const char *text, int64_t *time_ms_out)
{
	uint8_t id[UUID_BYTES];
	const char *at = text;
	uint64_t t = 0;

	if (strnlen(text, UUID_TEXT + 1) != UUID_TEXT)
		return false;
	for (size_t i = 0; i < UUID_BYTES; i++) {
		int high, low;

		if (is_group_start(i) && *at++ != '-')
			return false;
		high = digit_value(*at++);
		low = digit_value(*at++);
		if (high < 0 || low < 0)
			return false;
		id[i] = (uint8_t)(high << 4 | low);
	}
	if (id[6] >> 4 != 7 || id[8] >> 6 != 2)
		return false;
	for (size_t i = 0; i < 6; i++)
		t = t << 8 | id[i];
	*time_ms_out = (int64_t)t;
	return true;
}
