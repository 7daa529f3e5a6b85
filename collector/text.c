/* JSON text, hex and times. Any role; the strings come from anybody. */
#include "text.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

static size_t utf8_length(unsigned char first)
{
	if (first < 0x80)
		return 1;
	if (first >= 0xc2 && first < 0xe0)
		return 2;
	if (first >= 0xe0 && first < 0xf0)
		return 3;
	if (first >= 0xf0 && first < 0xf5)
		return 4;
	return 0;
}

size_t text_utf8(const char *text, size_t len)
{
	const unsigned char *at = (const unsigned char *)text;
	size_t n = len > 0 ? utf8_length(at[0]) : 0;

	if (n == 0 || n > len)
		return 0;
	for (size_t i = 1; i < n; i++) {
		if ((at[i] & 0xc0) != 0x80)
			return 0;
	}
	/* Overlong, surrogate, above U+10FFFF: seen in the second byte. */
	if ((at[0] == 0xe0 && at[1] < 0xa0) ||
	    (at[0] == 0xed && at[1] > 0x9f) ||
	    (at[0] == 0xf0 && at[1] < 0x90) || (at[0] == 0xf4 && at[1] > 0x8f))
		return 0;
	return n;
}

void text_format(struct writer *out, const char *format, ...)
{
	char line[1024];
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	if (n < 0 || (size_t)n >= sizeof(line))
		out->bad = true;
	else
		writer_bytes(out, line, (size_t)n);
}

void text_put(struct writer *out, const char *text)
{
	writer_bytes(out, text, strlen(text));
}

/* The escape of an ASCII character that needs one, or NULL. */
static const char *short_escape(char c)
{
	switch (c) {
	case '"':
		return "\\\"";
	case '\\':
		return "\\\\";
	case '\n':
		return "\\n";
	case '\r':
		return "\\r";
	case '\t':
		return "\\t";
	default:
		return NULL;
	}
}

static void put_character(struct writer *out, const char *at, size_t n)
{
	const char *escape = n == 1 ? short_escape(*at) : NULL;

	if (n == 0)
		text_put(out, "\\ufffd");
	else if (escape != NULL)
		text_put(out, escape);
	else if (n == 1 && ((unsigned char)*at < 0x20 || *at == 0x7f))
		text_format(out, "\\u%04x", (unsigned)*at);
	else
		writer_bytes(out, at, n);
}

void text_string_len(struct writer *out, const char *text, size_t len)
{
	size_t plain = 0;

	text_put(out, "\"");
	for (size_t i = 0; i < len;) {
		size_t n = text_utf8(text + i, len - i);

		if (n > 1 || (n == 1 && (unsigned char)text[i] >= 0x20 &&
			      text[i] != 0x7f && text[i] != '"' &&
			      text[i] != '\\')) {
			i += n;
			continue;
		}
		writer_bytes(out, text + plain, i - plain);
		put_character(out, text + i, n);
		i += n > 0 ? n : 1;
		plain = i;
	}
	writer_bytes(out, text + plain, len - plain);
	text_put(out, "\"");
}

void text_string(struct writer *out, const char *text)
{
	if (text == NULL)
		text_put(out, "null");
	else
		text_string_len(out, text, strlen(text));
}

void text_time_format(int64_t ms, char to[TEXT_TIME])
{
	int64_t below = ms % 1000;
	time_t seconds = (time_t)(ms / 1000);
	struct tm tm;
	char date[24];

	if (below < 0) {
		below += 1000;
		seconds--;
	}
	if (gmtime_r(&seconds, &tm) == NULL)
		memset(&tm, 0, sizeof(tm));
	strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(to, TEXT_TIME, "%s.%03dZ", date, (int)below);
}

void text_time(struct writer *out, int64_t ms)
{
	char time[TEXT_TIME];

	text_time_format(ms, time);
	text_string(out, time);
}

void text_hex(const uint8_t *bytes, size_t len, char *to)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < len; i++) {
		to[2 * i] = digits[bytes[i] >> 4];
		to[2 * i + 1] = digits[bytes[i] & 15];
	}
	to[2 * len] = '\0';
}

static int digit_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

bool text_unhex(const char *text, size_t len, uint8_t *to)
{
	for (size_t i = 0; i < len; i++) {
		int high = digit_value(text[2 * i]);
		int low = high < 0 ? -1 : digit_value(text[2 * i + 1]);

		if (low < 0)
			return false;
		to[i] = (uint8_t)(high << 4 | low);
	}
	return true;
}

void text_uuid(const uint8_t id[16], char to[37])
{
	char hex[33];

	text_hex(id, 16, hex);
	snprintf(to, 37, "%.8s-%.4s-%.4s-%.4s-%.12s", hex, hex + 8, hex + 12,
		 hex + 16, hex + 20);
}

bool text_parse_uuid(const char *text, uint8_t id_out[16])
{
	char hex[33];

	if (strlen(text) != 36 || text[8] != '-' || text[13] != '-' ||
	    text[18] != '-' || text[23] != '-')
		return false;
	snprintf(hex, sizeof(hex), "%.8s%.4s%.4s%.4s%.12s", text, text + 9,
		 text + 14, text + 19, text + 24);
	return strlen(hex) == 32 && text_unhex(hex, 16, id_out);
}

void text_copy(char *to, size_t cap, const char *text)
{
	size_t len = strnlen(text, cap - 1);

	memcpy(to, text, len);
	to[len] = '\0';
}
