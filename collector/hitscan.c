/* The scanner for hits: the only file that indexes their text. In an ingest
 * worker, on bytes that nobody vouches for: every step compares with the end,
 * nothing recurses but skip_value, which counts. */
#include "hitscan.h"

#include <signal.h>
#include <string.h>
#include <time.h>

#include "../lib/report/siginfo.h"
#include "../lib/report/uuid.h"
#include "text.h"

enum {
	MAX_NUMBER = 32,     /* bytes of a number */
	MAX_DIGITS = 18,     /* of a whole one: it fits 64 bits */
	MAX_EXPONENT = 2,    /* digits: no overflow of a double */
	MAX_SIGNAL = 64,
};

void hitscan_init(struct hitscan *scan, char *text, size_t len)
{
	scan->at = text;
	scan->end = text + len;
	scan->line = 1;
	scan->behind_hit = false;
}

static bool bad(const struct hitscan *scan, const char *what,
		struct error *err)
{
	return fail(err, ERR_BAD_DATA, "line %u: %s", scan->line, what);
}

static void skip_blanks(struct hitscan *scan)
{
	while (scan->at < scan->end &&
	       (*scan->at == ' ' || *scan->at == '\t' || *scan->at == '\n' ||
		*scan->at == '\r')) {
		if (*scan->at == '\n')
			scan->line++;
		scan->at++;
	}
}

/* Take C if it is next. */
static bool take(struct hitscan *scan, char c)
{
	if (scan->at == scan->end || *scan->at != c)
		return false;
	scan->at++;
	return true;
}

static bool peek(const struct hitscan *scan, char c)
{
	return scan->at < scan->end && *scan->at == c;
}

static bool take_word(struct hitscan *scan, const char *word)
{
	size_t len = strlen(word);

	if ((size_t)(scan->end - scan->at) < len ||
	    memcmp(scan->at, word, len) != 0)
		return false;
	scan->at += len;
	return true;
}

static bool take_hex4(struct hitscan *scan, uint32_t *out)
{
	uint8_t bytes[2];

	if (scan->end - scan->at < 4 || !text_unhex(scan->at, 2, bytes))
		return false;
	scan->at += 4;
	*out = (uint32_t)(bytes[0] << 8 | bytes[1]);
	return true;
}

/* CODE as UTF-8 at TO; at most 4 bytes, and never more than its escape had. */
static char *put_utf8(char *to, uint32_t code)
{
	if (code < 0x80) {
		*to++ = (char)code;
		return to;
	}
	if (code < 0x800) {
		*to++ = (char)(0xc0 | code >> 6);
	} else if (code < 0x10000) {
		*to++ = (char)(0xe0 | code >> 12);
		*to++ = (char)(0x80 | (code >> 6 & 0x3f));
	} else {
		*to++ = (char)(0xf0 | code >> 18);
		*to++ = (char)(0x80 | (code >> 12 & 0x3f));
		*to++ = (char)(0x80 | (code >> 6 & 0x3f));
	}
	*to++ = (char)(0x80 | (code & 0x3f));
	return to;
}

/* Behind "\u". NUL and lone surrogates are refused, as jansson does. */
static bool take_unicode(struct hitscan *scan, uint32_t *code)
{
	uint32_t low;

	if (!take_hex4(scan, code) || *code == 0)
		return false;
	if (*code < 0xd800 || *code > 0xdfff)
		return true;
	if (*code > 0xdbff || !take_word(scan, "\\u") ||
	    !take_hex4(scan, &low) || low < 0xdc00 || low > 0xdfff)
		return false;
	*code = 0x10000 + ((*code & 0x3ff) << 10 | (low & 0x3ff));
	return true;
}

static bool take_escape(struct hitscan *scan, char **to)
{
	static const char from[] = "\"\\/bfnrt", into[] = "\"\\/\b\f\n\r\t";
	const char *which;
	uint32_t code;

	if (scan->at == scan->end || *scan->at == '\0')
		return false;
	if (take(scan, 'u')) {
		if (!take_unicode(scan, &code))
			return false;
		*to = put_utf8(*to, code);
		return true;
	}
	which = strchr(from, *scan->at);
	if (which == NULL)
		return false;
	*(*to)++ = into[which - from];
	scan->at++;
	return true;
}

/* A string, unescaped over its own text. */
static bool take_string(struct hitscan *scan, struct slice *out)
{
	char *to;

	if (!take(scan, '"'))
		return false;
	out->bytes = to = scan->at;
	while (scan->at < scan->end) {
		unsigned char c = (unsigned char)*scan->at;
		size_t n;

		if (c == '"') {
			scan->at++;
			out->len = (size_t)(to - out->bytes);
			return true;
		}
		if (c == '\\') {
			scan->at++;
			if (!take_escape(scan, &to))
				return false;
			continue;
		}
		n = c < 0x20 ? 0 : text_utf8(scan->at, (size_t)(scan->end -
								scan->at));
		if (n == 0)
			return false;
		memmove(to, scan->at, n);
		to += n;
		scan->at += n;
	}
	return false;
}

static size_t take_digits(struct hitscan *scan)
{
	char *start = scan->at;

	while (scan->at < scan->end && *scan->at >= '0' && *scan->at <= '9')
		scan->at++;
	return (size_t)(scan->at - start);
}

/* Any JSON number. *WHOLE (or NULL) is set where it has no fraction and no
 * exponent; *IS_WHOLE says so. */
static bool take_number(struct hitscan *scan, int64_t *whole, bool *is_whole)
{
	const char *start = scan->at, *digits;
	bool negative = take(scan, '-');
	int64_t value = 0;
	size_t n, exponent;

	digits = scan->at;
	n = take_digits(scan);
	if (n == 0 || n > MAX_DIGITS || (n > 1 && *digits == '0'))
		return false;
	for (size_t i = 0; i < n; i++)
		value = value * 10 + (digits[i] - '0');
	*is_whole = true;
	*whole = negative ? -value : value;
	if (take(scan, '.')) {
		*is_whole = false;
		if (take_digits(scan) == 0)
			return false;
	}
	if (take(scan, 'e') || take(scan, 'E')) {
		*is_whole = false;
		if (!take(scan, '+'))
			take(scan, '-');
		exponent = take_digits(scan);
		if (exponent == 0 || exponent > MAX_EXPONENT)
			return false;
	}
	return scan->at - start <= MAX_NUMBER;
}

static bool skip_value(struct hitscan *scan, unsigned depth);

/* Elements up to CLOSE, which is taken; the opening one has been. */
static bool skip_elements(struct hitscan *scan, char close, unsigned depth)
{
	struct slice name;

	skip_blanks(scan);
	if (take(scan, close))
		return true;
	do {
		skip_blanks(scan);
		if (close == '}') {
			if (!take_string(scan, &name))
				return false;
			skip_blanks(scan);
			if (!take(scan, ':'))
				return false;
		}
		if (!skip_value(scan, depth))
			return false;
		skip_blanks(scan);
	} while (take(scan, ','));
	return take(scan, close);
}

static bool skip_value(struct hitscan *scan, unsigned depth)
{
	struct slice text;
	int64_t whole;
	bool is_whole;

	if (depth == HITSCAN_DEPTH)
		return false;
	skip_blanks(scan);
	if (peek(scan, '"'))
		return take_string(scan, &text);
	if (take(scan, '{'))
		return skip_elements(scan, '}', depth + 1);
	if (take(scan, '['))
		return skip_elements(scan, ']', depth + 1);
	return take_word(scan, "null") || take_word(scan, "true") ||
	       take_word(scan, "false") ||
	       take_number(scan, &whole, &is_whole);
}

/* Digits of a fixed field of a date, and what follows them. */
static bool take_field(const char **at, int digits, char after, int *out)
{
	int value = 0;

	for (int i = 0; i < digits; i++, (*at)++) {
		if (**at < '0' || **at > '9')
			return false;
		value = value * 10 + (**at - '0');
	}
	if (after != '\0' && *(*at)++ != after)
		return false;
	*out = value;
	return true;
}

/* "2026-11-20T12:00:00.123Z"; the fraction may be missing or longer. */
static bool parse_time(struct slice text, int64_t *ms_out)
{
	char copy[40];
	const char *at = copy;
	struct tm tm = { .tm_isdst = 0 };
	int ms = 0, scale = 100;

	if (text.len >= sizeof(copy))
		return false;
	slice_copy(text, copy, sizeof(copy));
	if (!take_field(&at, 4, '-', &tm.tm_year) ||
	    !take_field(&at, 2, '-', &tm.tm_mon) ||
	    !take_field(&at, 2, 'T', &tm.tm_mday) ||
	    !take_field(&at, 2, ':', &tm.tm_hour) ||
	    !take_field(&at, 2, ':', &tm.tm_min) ||
	    !take_field(&at, 2, '\0', &tm.tm_sec))
		return false;
	if (*at == '.') {
		for (at++; *at >= '0' && *at <= '9'; at++, scale /= 10)
			ms += (*at - '0') * scale;
	}
	if (strcmp(at, "Z") != 0 || tm.tm_mon < 1 || tm.tm_mon > 12 ||
	    tm.tm_mday < 1 || tm.tm_mday > 31 || tm.tm_year < 1970 ||
	    tm.tm_hour > 23 || tm.tm_min > 59 || tm.tm_sec > 60)
		return false;
	tm.tm_year -= 1900;
	tm.tm_mon--;
	*ms_out = (int64_t)timegm(&tm) * 1000 + ms;
	return true;
}

/* The keys of a hit, each allowed once. */
enum key { KEY_ID, KEY_FINGERPRINT, KEY_TIME, KEY_SIGNAL, KEY_EXE,
	   KEY_BUILD_ID, KEY_HOST, KEY_RELEASE, KEY_TAGS, KEY_COUNT, KEYS };

static const char *const key_names[KEYS] = {
	"id", "fingerprint", "time", "signal", "exe", "build_id", "host",
	"release", "tags", "count",
};

static enum key find_key(struct slice name)
{
	int key = 0;

	while (key < KEYS && !slice_is(name, key_names[key]))
		key++;
	return (enum key)key;
}

static bool take_text(struct hitscan *scan, struct slice *out)
{
	return take_string(scan, out) && out->len <= HITSCAN_TEXT;
}

static bool take_id(struct hitscan *scan, uint8_t out[16])
{
	struct slice text;
	char copy[40];
	int64_t time_ms;

	if (!take_string(scan, &text) || text.len != 36)
		return false;
	slice_copy(text, copy, sizeof(copy));
	return uuid_parse(copy, &time_ms) && text_parse_uuid(copy, out);
}

static bool take_fingerprint(struct hitscan *scan, uint8_t out[16])
{
	struct slice text;

	return take_string(scan, &text) && text.len == 32 &&
	       text_unhex(text.bytes, 16, out);
}

/* A number or a name. */
static bool take_signal(struct hitscan *scan, uint32_t *out)
{
	struct slice text;
	int64_t number;
	bool whole;

	if (!peek(scan, '"')) {
		if (!take_number(scan, &number, &whole) || !whole ||
		    number < 0 || number > MAX_SIGNAL)
			return false;
		*out = (uint32_t)number;
		return true;
	}
	if (!take_string(scan, &text))
		return false;
	for (int i = 1; i <= MAX_SIGNAL; i++) {
		const char *name = signal_name(i);

		if (name != NULL && slice_is(text, name)) {
			*out = (uint32_t)i;
			return true;
		}
	}
	return false;
}

/* Text, or milliseconds since the epoch. */
static bool take_time(struct hitscan *scan, int64_t *out)
{
	struct slice text;
	bool whole;

	if (peek(scan, '"'))
		return take_string(scan, &text) && parse_time(text, out);
	return take_number(scan, out, &whole) && whole && *out >= 0;
}

static bool take_count(struct hitscan *scan, uint32_t *out)
{
	int64_t number;
	bool whole;

	if (!take_number(scan, &number, &whole) || !whole || number < 1 ||
	    number > HITSCAN_COUNT)
		return false;
	*out = (uint32_t)number;
	return true;
}

static bool has_tag(const struct hit *hit, struct slice key)
{
	for (size_t i = 0; i < hit->ntags; i++) {
		if (hit->tags[i].key.len == key.len &&
		    memcmp(hit->tags[i].key.bytes, key.bytes, key.len) == 0)
			return true;
	}
	return false;
}

/* An object of strings. Those beyond WIRE_TAGS are read and dropped: detail
 * is no reason to lose a crash. */
static bool take_tags(struct hitscan *scan, struct hit *hit)
{
	struct hit_tag tag;

	if (!take(scan, '{'))
		return false;
	skip_blanks(scan);
	if (take(scan, '}'))
		return true;
	do {
		skip_blanks(scan);
		if (!take_text(scan, &tag.key))
			return false;
		skip_blanks(scan);
		if (!take(scan, ':'))
			return false;
		skip_blanks(scan);
		if (!take_text(scan, &tag.value) || has_tag(hit, tag.key))
			return false;
		if (hit->ntags < WIRE_TAGS)
			hit->tags[hit->ntags++] = tag;
		skip_blanks(scan);
	} while (take(scan, ','));
	return take(scan, '}');
}

static bool take_value(struct hitscan *scan, enum key key, struct hit *hit)
{
	skip_blanks(scan);
	if (key != KEY_ID && key != KEY_FINGERPRINT && key != KEYS &&
	    take_word(scan, "null"))
		return true;
	switch (key) {
	case KEY_ID:
		return take_id(scan, hit->id);
	case KEY_FINGERPRINT:
		return take_fingerprint(scan, hit->fingerprint);
	case KEY_TIME:
		return take_time(scan, &hit->time_ms);
	case KEY_SIGNAL:
		return take_signal(scan, &hit->signal);
	case KEY_EXE:
		return take_text(scan, &hit->exe);
	case KEY_BUILD_ID:
		return take_text(scan, &hit->build_id);
	case KEY_HOST:
		return take_text(scan, &hit->host);
	case KEY_RELEASE:
		return take_text(scan, &hit->release);
	case KEY_TAGS:
		return take_tags(scan, hit);
	case KEY_COUNT:
		return take_count(scan, &hit->count);
	case KEYS:
		break;
	}
	return skip_value(scan, 0);
}

/* The members, behind the opening brace. */
static bool take_members(struct hitscan *scan, struct hit *hit,
			 struct error *err)
{
	unsigned seen = 0;

	do {
		struct slice name;
		enum key key;
		char why[48] = "a value that cannot be read";

		skip_blanks(scan);
		if (!take_string(scan, &name))
			return bad(scan, "a key is missing", err);
		key = find_key(name);
		if (key < KEYS && (seen & 1u << key) != 0)
			return bad(scan, "a key comes twice", err);
		seen |= 1u << key;
		skip_blanks(scan);
		if (!take(scan, ':'))
			return bad(scan, "no colon behind a key", err);
		if (key < KEYS) {
			text_copy(why, sizeof(why), "bad value of ");
			text_copy(why + strlen(why), sizeof(why) - strlen(why),
				  key_names[key]);
		}
		if (!take_value(scan, key, hit))
			return bad(scan, why, err);
		skip_blanks(scan);
	} while (take(scan, ','));
	if (!take(scan, '}'))
		return bad(scan, "an object without its end", err);
	if ((seen & 1u << KEY_ID) == 0)
		return bad(scan, "no id", err);
	if ((seen & 1u << KEY_FINGERPRINT) == 0)
		return bad(scan, "no fingerprint", err);
	return true;
}

enum hitscan_result hitscan_next(struct hitscan *scan, int64_t now_ms,
				 struct hit *out, struct error *err)
{
	unsigned line = scan->line;

	skip_blanks(scan);
	if (scan->at == scan->end)
		return HITSCAN_END;
	if (scan->behind_hit && scan->line == line) {
		bad(scan, "something behind the object", err);
		return HITSCAN_BAD;
	}
	scan->behind_hit = true;
	memset(out, 0, offsetof(struct hit, tags));
	out->ntags = 0;
	out->count = 1;
	out->time_ms = now_ms;
	if (!take(scan, '{')) {
		bad(scan, "not an object", err);
		return HITSCAN_BAD;
	}
	skip_blanks(scan);
	return take_members(scan, out, err) ? HITSCAN_HIT : HITSCAN_BAD;
}
