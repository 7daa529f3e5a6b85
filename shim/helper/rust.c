/* What a Rust program panicked with, where the panic is what aborted it
 * (panic=abort, a panic in a destructor, one that would have left an extern "C"
 * function). Rust's own message goes to stderr and is not kept; but while the
 * panic runs, the structure that is handed to the panic hook lies on the
 * stack: a fat pointer to the payload and a pointer to the place in the
 * source, with a pointer to the unformatted message in between until 1.80. No
 * layout is promised by the language, so all of it has to be what it should:
 * a place in a file of Rust, a vtable in constant data, a text of UTF-8. Seen
 * with rustc 1.63 and 1.95. */
#include <stdio.h>
#include <string.h>

#include "../../lib/report/bytes.h"
#include "../../lib/report/utf.h"
#include "crash.h"

enum {
	MAX_SCAN = 4096, /* bytes from sp; seen at 416 and 520 */
	MAX_FILE = 512,
	MAX_LINE = 10000000,
	MAX_COLUMN = 100000,
	MAX_PANIC = 1024,
	MAX_PAYLOAD = 65536,
	PLACE_SIZE = 24,
	STR_SIZE = 16,    /* of a &str, */
	STRING_SIZE = 24, /* and of a String */
	MIN_SEEN = 2,     /* words on the stack that point to the place */
};

struct place {
	char file[MAX_FILE];
	uint32_t line, column;
};

/* What is scanned: the stack from sp. */
struct window {
	uint64_t words[MAX_SCAN / 8];
	size_t n;
};

static bool is_constant(const struct crash *crash, uint64_t address)
{
	const struct map *map = maps_find(&crash->maps, address);

	return map && map->read && map->path[0] == '/';
}

static bool is_code(const struct crash *crash, uint64_t address)
{
	const struct map *map = maps_find(&crash->maps, address);

	return map && map->exec;
}

/* core::panic::Location: a &str, line and column. */
static bool read_place(struct crash *crash, uint64_t address,
		       struct place *out)
{
	uint8_t bytes[PLACE_SIZE];
	uint64_t text, len;
	struct reader r;

	reader_init(&r, bytes,
		    crash_read(crash, address, bytes, sizeof(bytes)));
	text = reader_u64(&r);
	len = reader_u64(&r);
	out->line = reader_u32(&r);
	out->column = reader_u32(&r);
	if (r.bad || len < 4 || len >= MAX_FILE || !is_constant(crash, text) ||
	    !out->line || out->line > MAX_LINE ||
	    !out->column || out->column > MAX_COLUMN ||
	    crash_read(crash, text, out->file, (size_t)len) != len)
		return false;
	out->file[len] = '\0';
	return strlen(out->file) == len &&
	       strcmp(out->file + len - 3, ".rs") == 0;
}

/* The size of what the vtable at ADDRESS is for, a dyn Any: drop (or none),
 * size, alignment, type_id. 0 where there is none. */
static uint64_t vtable_size(struct crash *crash, uint64_t address)
{
	uint64_t drop, size, align;

	if (address % 8 || !is_constant(crash, address) ||
	    is_code(crash, address))
		return 0;
	drop = crash_read_u64(crash, address);
	size = crash_read_u64(crash, address + 8);
	align = crash_read_u64(crash, address + 16);
	if ((drop && !is_code(crash, drop)) || size > MAX_PAYLOAD ||
	    !align || align > 64 || (align & (align - 1)) ||
	    !is_code(crash, crash_read_u64(crash, address + 24)))
		return 0;
	return size;
}

/* LEN bytes of UTF-8 at ADDRESS, cut to what TEXT_OUT (MAX_PANIC) holds. */
static bool read_utf8(struct crash *crash, uint64_t address, uint64_t len,
		      char *text_out)
{
	size_t want = len < MAX_PANIC ? (size_t)len : MAX_PANIC, pos = 0;

	if (!len || len > MAX_PAYLOAD ||
	    crash_read(crash, address, text_out, want) != want)
		return false;
	if (want == MAX_PANIC)
		want--;
	while (want < len && want && (text_out[want] & 0xc0) == 0x80)
		want--; /* not within a character */
	text_out[want] = '\0';
	while (pos < want) {
		size_t start = pos;

		if (!text_out[pos] ||
		    (utf8_next(text_out, want, &pos) == UTF_REPLACEMENT &&
		     pos == start + 1))
			return false;
	}
	return true;
}

/* The text of the payload at DATA, SIZE bytes: a &'static str, or a String,
 * whose fields the compiler may put in either order. */
static bool read_payload(struct crash *crash, uint64_t data, uint64_t size,
			 char *text_out)
{
	uint64_t first = crash_read_u64(crash, data);
	uint64_t second = crash_read_u64(crash, data + 8);
	uint64_t third = crash_read_u64(crash, data + 16);

	if (size == STR_SIZE)
		return read_utf8(crash, first, second, text_out);
	if (size != STRING_SIZE)
		return false;
	if (second >= third && read_utf8(crash, first, third, text_out))
		return true;
	return first >= third && read_utf8(crash, second, third, text_out);
}

static size_t count_word(const struct window *window, uint64_t word)
{
	size_t n = 0;

	for (size_t i = 0; i < window->n; i++)
		n += window->words[i] == word;
	return n;
}

/* A word that may point to a place: functions further out know it as well. */
static bool may_be_place(const struct crash *crash,
			 const struct window *window, uint64_t word)
{
	return word % 8 == 0 && is_constant(crash, word) &&
	       count_word(window, word) >= MIN_SEEN;
}

/* Where the place of a panic is in the window, if word I is the vtable of its
 * payload: it follows, at once or behind the unformatted message. 0 where there
 * is none. */
static uint64_t find_place(struct crash *crash, const struct window *window,
			   size_t i, struct place *out)
{
	for (size_t k = i + 1; k <= i + 2 && k < window->n; k++) {
		if (may_be_place(crash, window, window->words[k]) &&
		    read_place(crash, window->words[k], out))
			return vtable_size(crash, window->words[i])
				       ? window->words[k] : 0;
	}
	return 0;
}

static const char *say(struct report *report, const struct place *place,
		       const char *what)
{
	char text[MAX_FILE + MAX_PANIC + 64];

	snprintf(text, sizeof(text), "panicked at %s:%u:%u%s%s", place->file,
		 place->line, place->column, what[0] ? ": " : "", what);
	return report_string(report, text, strlen(text));
}

/* The innermost panic. Of its structures on the stack some have lost their
 * text, because the runtime has gone on. */
const char *crash_panic(struct crash *crash, struct report *report)
{
	struct window window;
	struct place place, found = { .line = 0 };
	char what[MAX_PANIC] = "";
	uint64_t sp = report->threads[0].registers.value[R_SP] & ~7ull;
	uint64_t first = 0;

	window.n = crash_read(crash, sp, window.words,
			      sizeof(window.words)) / 8;
	for (size_t i = 1; i < window.n && !what[0]; i++) {
		uint64_t at = find_place(crash, &window, i, &place);

		if (!at || (first && at != first))
			continue;
		first = at;
		found = place;
		if (!crash->record->settings.sanitize &&
		    !read_payload(crash, window.words[i - 1],
				  vtable_size(crash, window.words[i]), what))
			what[0] = '\0';
	}
	return first ? say(report, &found, what) : NULL;
}
