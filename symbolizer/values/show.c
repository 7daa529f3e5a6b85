/* Characters and strings. Runs in the process that can be lost; they may be
 * anything. What is UTF-8 stays so, and what cannot be shown is octal. */
#include "show.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "format.h"

void show_put(struct writer *out, const char *text)
{
	writer_bytes(out, text, strlen(text));
}

void show_print(struct writer *out, const char *format, ...)
{
	char text[TYPE_MAX_NAME + 64];
	va_list list;

	va_start(list, format);
	vsnprintf(text, sizeof(text), format, list);
	va_end(list);
	show_put(out, text);
}

bool show_end(struct writer *out)
{
	static const char cut[] = "...";
	bool is_cut = out->bad;

	out->bad = false;
	out->limit = out->len + sizeof(cut);
	if (is_cut)
		show_put(out, cut);
	writer_u8(out, '\0');
	return !out->bad;
}

/* One character, of as many bytes as it has. */
struct character {
	uint32_t code;
	uint8_t bytes[4];
	unsigned len;
	bool is_shown; /* as it is */
};

/* Length of the UTF-8 sequence that begins with FIRST; 0: none does. */
static unsigned sequence_len(uint8_t first)
{
	if (first < 0xc2 || first > 0xf4)
		return 0;
	return first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
}

static void decode_utf8(const uint8_t *bytes, size_t left,
			struct character *out)
{
	static const uint8_t masks[] = { 0, 0, 0x1f, 0x0f, 0x07 };
	unsigned len = sequence_len(bytes[0]);
	uint32_t code;

	if (len == 0 || len > left)
		return;
	code = bytes[0] & masks[len];
	for (unsigned i = 1; i < len; i++) {
		if ((bytes[i] & 0xc0) != 0x80)
			return;
		code = code << 6 | (bytes[i] & 0x3f);
	}
	if (code < 0xa0 || (len == 3 && code < 0x800) ||
	    (code >= 0xd800 && code < 0xe000) || (len == 4 && code < 0x10000) ||
	    code > 0x10ffff)
		return;
	out->code = code;
	out->len = len;
	memcpy(out->bytes, bytes, len);
	out->is_shown = true;
}

/* The character that LEFT bytes begin with. */
static struct character next_character(const uint8_t *bytes, size_t left,
				       unsigned width)
{
	struct character c = { .len = width };

	memcpy(c.bytes, bytes, width);
	memcpy(&c.code, bytes, width);
	if (width == 1 && c.code >= 0x80)
		decode_utf8(bytes, left, &c);
	else
		c.is_shown = (c.code >= 0x20 && c.code < 0x7f) ||
			     (width > 1 && c.code >= 0xa0 &&
			      c.code < 0x110000 &&
			      (c.code < 0xd800 || c.code >= 0xe000));
	return c;
}

static bool is_same(const struct character *a, const struct character *b)
{
	return a->len == b->len && memcmp(a->bytes, b->bytes, a->len) == 0;
}

static void put_utf8(struct writer *out, uint32_t code)
{
	if (code < 0x80) {
		writer_u8(out, (uint8_t)code);
		return;
	}
	if (code < 0x800) {
		writer_u8(out, (uint8_t)(0xc0 | code >> 6));
	} else if (code < 0x10000) {
		writer_u8(out, (uint8_t)(0xe0 | code >> 12));
		writer_u8(out, (uint8_t)(0x80 | (code >> 6 & 0x3f)));
	} else {
		writer_u8(out, (uint8_t)(0xf0 | code >> 18));
		writer_u8(out, (uint8_t)(0x80 | (code >> 12 & 0x3f)));
		writer_u8(out, (uint8_t)(0x80 | (code >> 6 & 0x3f)));
	}
	writer_u8(out, (uint8_t)(0x80 | (code & 0x3f)));
}

static void put_escaped(struct writer *out, const struct character *c,
			char quote)
{
	static const char letters[] = "abtnvfr";

	if (c->code == (uint32_t)quote || c->code == '\\') {
		writer_u8(out, '\\');
		writer_u8(out, (uint8_t)c->code);
	} else if (c->is_shown) {
		put_utf8(out, c->code);
	} else if (c->code >= '\a' && c->code <= '\r') {
		writer_u8(out, '\\');
		writer_u8(out, (uint8_t)letters[c->code - '\a']);
	} else if (c->code <= 0777) {
		show_print(out, "\\%.3o", c->code);
	} else {
		show_print(out, "\\x%x", c->code);
	}
}

static void put_quoted(struct writer *out, const struct character *c, char wide)
{
	if (wide)
		writer_u8(out, (uint8_t)wide);
	writer_u8(out, '\'');
	put_escaped(out, c, '\'');
	writer_u8(out, '\'');
}

void show_character(struct writer *out, uint32_t code, unsigned width,
		    char wide)
{
	struct character c = next_character((const uint8_t *)&code, width,
					    width);

	put_quoted(out, &c, wide);
}

/* Between quotes, behind them, or not begun yet. */
enum place_in_string { AT_START, IN_QUOTES, BEHIND_RUN };

static enum place_in_string put_run(struct writer *out,
				    const struct character *c, size_t count,
				    char wide, enum place_in_string at)
{
	if (count > FORMAT_REPEATS) {
		show_put(out, at == IN_QUOTES ? "\", "
			      : at == BEHIND_RUN ? ", " : "");
		put_quoted(out, c, wide);
		show_print(out, " <repeats %zu times>", count);
		return BEHIND_RUN;
	}
	if (at != IN_QUOTES) {
		show_put(out, at == BEHIND_RUN ? ", " : "");
		if (wide)
			writer_u8(out, (uint8_t)wide);
		writer_u8(out, '"');
	}
	while (count-- > 0)
		put_escaped(out, c, '"');
	return IN_QUOTES;
}

void show_string(struct writer *out, const uint8_t *bytes, size_t count,
		 unsigned width, char wide, bool is_cut)
{
	enum place_in_string at = AT_START;
	size_t left = count * width, shown = 0;

	while (left > 0 && shown < FORMAT_ELEMENTS) {
		struct character c = next_character(bytes, left, width);
		size_t run = 0;

		while (left > 0) {
			struct character next = next_character(bytes, left,
							       width);

			if (!is_same(&c, &next))
				break;
			bytes += next.len;
			left -= next.len;
			run++;
		}
		at = put_run(out, &c, run, wide, at);
		shown += run;
	}
	if (at == AT_START) {
		if (wide)
			writer_u8(out, (uint8_t)wide);
		show_put(out, "\"\"");
	}
	if (at == IN_QUOTES)
		writer_u8(out, '"');
	if (left > 0 || is_cut)
		show_put(out, "...");
}
