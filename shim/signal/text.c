/* Numbers and strings in the signal zone, without stdio. */
#include "zone.h"

char *put_text(char *at, const char *end, const char *text)
{
	while (at < end - 1 && *text)
		*at++ = *text++;
	*at = '\0';
	return at;
}

char *put_number(char *at, const char *end, uint64_t number)
{
	char digits[20];
	size_t n = 0;

	do {
		digits[n++] = (char)('0' + number % 10);
		number /= 10;
	} while (number);
	while (n && at < end - 1)
		*at++ = digits[--n];
	*at = '\0';
	return at;
}

int32_t take_number(const char *text)
{
	int32_t number = 0;

	while (*text >= '0' && *text <= '9' && number < 100000000)
		number = number * 10 + (*text++ - '0');
	return number;
}

bool text_equal(const char *a, const char *b)
{
	while (*a && *a == *b)
		a++, b++;
	return *a == *b;
}

/* UUIDv7, RFC 9562 section 5.7: 48 bits of time, version, 74 random bits. */
void format_id(char *text_out, int64_t time_ms, const uint8_t random[10])
{
	static const char hex[] = "0123456789abcdef";
	uint8_t bytes[16];

	for (int i = 0; i < 6; i++)
		bytes[i] = (uint8_t)(time_ms >> (40 - 8 * i));
	for (int i = 0; i < 10; i++)
		bytes[6 + i] = random[i];
	bytes[6] = (uint8_t)(0x70 | (bytes[6] & 0x0f));
	bytes[8] = (uint8_t)(0x80 | (bytes[8] & 0x3f));
	for (int i = 0; i < 16; i++) {
		if (i == 4 || i == 6 || i == 8 || i == 10)
			*text_out++ = '-';
		*text_out++ = hex[bytes[i] >> 4];
		*text_out++ = hex[bytes[i] & 15];
	}
	*text_out = '\0';
}
