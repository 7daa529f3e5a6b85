/* Reading of Breakpad's symbol files. Runs in the process that can be lost;
 * trusts nothing in the text. It is indexed here alone; others get numbers,
 * tokens, and pieces that lie within it. A line that makes no sense is counted
 * and left out, and what belongs to it goes with it. */
#include "sym.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "array.h"
#include "symorder.h"

/* What is left of a line. */
struct line {
	const char *at, *end;
};

/* How many of each there is room for. */
struct room {
	size_t functions, lines, inlines, publics, files, origins, rules;
};

struct parser {
	struct sym *sym;
	struct room room;
	size_t number;     /* of the line, from 1 */
	bool has_function; /* lines and inlines belong to the last one */
	bool has_rule;     /* and rules without INIT to the last one */
	bool no_memory;
};

/* Room for one more of the N in ARRAY; NULL without memory. */
static void *grow(struct parser *p, void *array, size_t n, size_t *room,
		  size_t size)
{
	array = array_grow(array, n, room, size);
	p->no_memory |= array == NULL;
	return array;
}

/* Words and numbers */

static void skip_spaces(struct line *line)
{
	while (line->at < line->end && *line->at == ' ')
		line->at++;
}

/* The end of a field: spaces, or the line's end. */
static bool end_field(struct line *line)
{
	if (line->at < line->end && *line->at != ' ')
		return false;
	skip_spaces(line);
	return true;
}

static unsigned hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return (unsigned)(c - '0');
	c = (char)(c | 0x20);
	return c >= 'a' && c <= 'f' ? (unsigned)(c - 'a') + 10 : 16;
}

/* A field of digits of BASE, at most 32 bits. */
static bool take_number(struct line *line, unsigned base, uint32_t *out)
{
	const char *start = line->at;
	uint64_t value = 0;
	unsigned digit;

	for (; line->at < line->end; line->at++) {
		digit = hex_digit(*line->at);
		if (digit >= base)
			break;
		value = value * base + digit;
		if (value > UINT32_MAX)
			return false;
	}
	*out = (uint32_t)value;
	return line->at > start && end_field(line);
}

static bool take_hex(struct line *line, uint32_t *out)
{
	return take_number(line, 16, out);
}

static bool take_decimal(struct line *line, uint32_t *out)
{
	return take_number(line, 10, out);
}

/* The word WORD, as a field of its own. */
static bool take_word(struct line *line, const char *word)
{
	size_t len = strlen(word);
	struct line after = { line->at + len, line->end };

	if ((size_t)(line->end - line->at) < len ||
	    memcmp(line->at, word, len) != 0 || !end_field(&after))
		return false;
	*line = after;
	return true;
}

static size_t count_words(struct line line)
{
	size_t n = 0;

	for (; line.at < line.end; n++) {
		while (line.at < line.end && *line.at != ' ')
			line.at++;
		skip_spaces(&line);
	}
	return n;
}

static struct sym_text rest_of(const struct parser *p, const struct line *line)
{
	return (struct sym_text){
		.at = (uint32_t)(line->at - p->sym->text),
		.len = (uint32_t)(line->end - line->at),
	};
}

static struct sym_text name_of(const struct parser *p, const struct line *line)
{
	struct sym_text name = rest_of(p, line);

	if (name.len > MAX_STRING)
		name.len = MAX_STRING;
	return name;
}

/* Records: each returns what is wrong with it, or NULL */

typedef const char *parse_record(struct parser *p, struct line *line);

static const char *parse_module(struct parser *p, struct line *line)
{
	(void)line; /* sym_read_id() is for what it says */
	return p->number == 1 ? NULL : "MODULE is not the first";
}

static const char *parse_nothing(struct parser *p, struct line *line)
{
	(void)p;
	(void)line;
	return NULL;
}

static const char *add_entry(struct parser *p, struct sym_entry **entries,
			     size_t *n, size_t *room, uint32_t number,
			     const struct line *line)
{
	struct sym_entry *more;

	if (line->at == line->end)
		return "no name";
	more = grow(p, *entries, *n, room, sizeof(*more));
	if (more == NULL)
		return NULL;
	*entries = more;
	more[(*n)++] = (struct sym_entry){ number, name_of(p, line) };
	return NULL;
}

static const char *parse_file(struct parser *p, struct line *line)
{
	uint32_t number;

	if (!take_decimal(line, &number))
		return "no number of a file";
	return add_entry(p, &p->sym->files, &p->sym->nfiles, &p->room.files,
			 number, line);
}

/* Old files have a file's number, or -1, before the name. */
static const char *parse_origin(struct parser *p, struct line *line)
{
	struct line after;
	uint32_t number, file;

	if (!take_decimal(line, &number))
		return "no number of an origin";
	after = *line;
	if (take_decimal(&after, &file) || take_word(&after, "-1"))
		*line = after;
	return add_entry(p, &p->sym->origins, &p->sym->norigins,
			 &p->room.origins, number, line);
}

static const char *parse_function(struct parser *p, struct line *line)
{
	struct sym *sym = p->sym;
	struct sym_function function = {
		.line = (uint32_t)sym->nlines,
		.inlined = (uint32_t)sym->ninlines,
		.folded = take_word(line, "m"),
	};
	struct sym_function *more;
	uint32_t parameters;

	p->has_function = false;
	if (!take_hex(line, &function.address) ||
	    !take_hex(line, &function.size))
		return "no address and size";
	if (!take_hex(line, &parameters))
		return "no size of parameters";
	function.name = name_of(p, line);
	more = grow(p, sym->functions, sym->nfunctions, &p->room.functions,
		    sizeof(*more));
	if (more == NULL)
		return NULL;
	sym->functions = more;
	more[sym->nfunctions++] = function;
	p->has_function = true;
	return NULL;
}

static const char *parse_public(struct parser *p, struct line *line)
{
	struct sym *sym = p->sym;
	struct sym_public public = { .folded = take_word(line, "m") };
	struct sym_public *more;
	uint32_t parameters;

	p->has_function = false;
	if (!take_hex(line, &public.address))
		return "no address";
	if (!take_hex(line, &parameters))
		return "no size of parameters";
	public.name = name_of(p, line);
	if (public.name.len == 0)
		return "no name";
	if (public.address == 0) /* where the headers are */
		return NULL;
	more = grow(p, sym->publics, sym->npublics, &p->room.publics,
		    sizeof(*more));
	if (more == NULL)
		return NULL;
	sym->publics = more;
	more[sym->npublics++] = public;
	return NULL;
}

static const char *parse_line(struct parser *p, struct line *line)
{
	struct sym *sym = p->sym;
	struct sym_line row, *more;

	if (!p->has_function)
		return "a line of no function";
	if (!take_hex(line, &row.address) || !take_hex(line, &row.size))
		return "no address and size";
	if (!take_decimal(line, &row.line) || !take_decimal(line, &row.file) ||
	    line->at < line->end)
		return "no line and file";
	if (row.size == 0)
		return NULL;
	more = grow(p, sym->lines, sym->nlines, &p->room.lines,
		    sizeof(*more));
	if (more == NULL)
		return NULL;
	sym->lines = more;
	more[sym->nlines++] = row;
	sym->functions[sym->nfunctions - 1].nlines++;
	return NULL;
}

static bool add_inline(struct parser *p, const struct sym_inline *inlined)
{
	struct sym *sym = p->sym;
	struct sym_inline *more;

	more = grow(p, sym->inlines, sym->ninlines, &p->room.inlines,
		    sizeof(*more));
	if (more == NULL)
		return false;
	sym->inlines = more;
	more[sym->ninlines++] = *inlined;
	sym->functions[sym->nfunctions - 1].ninlines++;
	return true;
}

/* Depth, line and file of the call, origin, then pairs of address and size. An
 * old file leaves the file out, which shows in how many words there are. */
static const char *parse_inline(struct parser *p, struct line *line)
{
	struct sym_inline inlined = {
		.call_file = SYM_NO_FILE, .call = (uint32_t)p->sym->ncalls,
	};

	if (!p->has_function)
		return "an inlined call in no function";
	if (!take_decimal(line, &inlined.depth) ||
	    !take_decimal(line, &inlined.call_line))
		return "no depth and line";
	if (count_words(*line) % 2 == 0 && !take_word(line, "-1") &&
	    !take_decimal(line, &inlined.call_file))
		return "no file of the call";
	if (!take_decimal(line, &inlined.origin))
		return "no origin";
	if (line->at == line->end)
		return "no address and size";
	p->sym->ncalls++;
	while (line->at < line->end) {
		if (!take_hex(line, &inlined.address) ||
		    !take_hex(line, &inlined.size))
			return "no address and size";
		if (!add_inline(p, &inlined))
			break;
	}
	return NULL;
}

static const char *parse_rule(struct parser *p, struct line *line)
{
	struct sym *sym = p->sym;
	struct sym_rule rule = { .number = (uint32_t)p->number };
	bool begins = take_word(line, "INIT");
	struct sym_rule *more;

	p->has_rule &= !begins;
	if (!take_hex(line, &rule.address) ||
	    (begins && !take_hex(line, &rule.size)))
		return "no address and size";
	if (!begins && !p->has_rule)
		return "no STACK CFI INIT before it";
	if (line->at == line->end)
		return "no rules";
	if (begins && rule.size == 0)
		return "of no size";
	rule.rules = rest_of(p, line);
	more = grow(p, sym->rules, sym->nrules, &p->room.rules,
		    sizeof(*more));
	if (more == NULL)
		return NULL;
	sym->rules = more;
	more[sym->nrules++] = rule;
	p->has_rule = true;
	return NULL;
}

static const char *parse_stack(struct parser *p, struct line *line)
{
	if (take_word(line, "CFI"))
		return parse_rule(p, line);
	return take_word(line, "WIN") ? NULL : "neither CFI nor WIN";
}

static const struct {
	const char *word;
	parse_record *parse;
	enum sym_part part;
} records[] = {
	{ "STACK", parse_stack, SYM_RULES },
	{ "INLINE", parse_inline, SYM_NAMES },
	{ "FUNC", parse_function, SYM_NAMES },
	{ "INLINE_ORIGIN", parse_origin, SYM_NAMES },
	{ "PUBLIC", parse_public, SYM_NAMES },
	{ "FILE", parse_file, SYM_NAMES },
	{ "MODULE", parse_module, SYM_NAMES },
	{ "INFO", parse_nothing, SYM_NAMES },
};

static const char *parse_one(struct parser *p, struct line *line,
			     enum sym_part part)
{
	if (line->at == line->end)
		return NULL;
	/* By far the most of the names' part, and nearly all of its digits are
	 * in lower case. */
	if (*line->at <= '9' || *line->at >= 'a')
		return part == SYM_NAMES ? parse_line(p, line) : NULL;
	for (size_t i = 0; i < sizeof(records) / sizeof(records[0]); i++)
		if (take_word(line, records[i].word))
			return part == records[i].part
				       ? records[i].parse(p, line) : NULL;
	return part == SYM_NAMES ? parse_line(p, line) : NULL;
}

/* The line at AT, without what ends it. Returns where the next one begins. */
static const char *next_line(const char *at, const char *end, struct line *out)
{
	const char *newline = memchr(at, '\n', (size_t)(end - at));

	out->at = at;
	out->end = newline ? newline : end;
	while (out->end > at && out->end[-1] == '\r')
		out->end--;
	return newline ? newline + 1 : end;
}

void sym_add_trouble(struct sym_trouble *trouble, size_t line,
		     const char *why)
{
	if (trouble->n++ == 0) {
		trouble->first = line;
		trouble->why = why;
	}
}

void sym_say_trouble(const struct sym_trouble *trouble,
		     char text_out[SYM_TROUBLE])
{
	text_out[0] = '\0';
	if (trouble->n > 0)
		snprintf(text_out, SYM_TROUBLE, "%zu line%s left out of its "
			 "symbol file, the first is %zu: %s", trouble->n,
			 trouble->n == 1 ? "" : "s", trouble->first,
			 trouble->why);
}

static void parse_all(struct parser *p, size_t len, enum sym_part part)
{
	const char *at = p->sym->text, *end = at + len;

	while (at < end && !p->no_memory) {
		struct line line;
		const char *why;

		at = next_line(at, end, &line);
		p->number++;
		why = parse_one(p, &line, part);
		if (why)
			sym_add_trouble(&p->sym->trouble, p->number, why);
	}
}

bool sym_parse(const char *text, size_t len, enum sym_part part,
	       struct sym *out, struct error *err)
{
	struct sym sym = { .text = text };
	struct parser parser = { .sym = &sym };

	if (len > SYM_MAX_TEXT)
		return fail(err, ERR_TOO_LARGE, "%zu bytes, limit %zu", len,
			    SYM_MAX_TEXT);
	parse_all(&parser, len, part);
	if (parser.no_memory || !symorder_sort(&sym)) {
		sym_free(&sym);
		return fail(err, ERR_NO_MEMORY, "no memory for its symbols");
	}
	*out = sym;
	return true;
}

void sym_free(struct sym *sym)
{
	free(sym->functions);
	free(sym->lines);
	free(sym->inlines);
	free(sym->publics);
	free(sym->files);
	free(sym->origins);
	free(sym->rules);
	*sym = (struct sym){ 0 };
}

const char *sym_copy(const struct sym *sym, struct sym_text text, char **to)
{
	char *copy = *to;

	if (text.len == 0)
		return NULL;
	memcpy(copy, sym->text + text.at, text.len);
	copy[text.len] = '\0';
	*to += text.len + 1;
	return copy;
}

/* Tokens of rules */

static bool is_number(const struct line *word)
{
	char first = *word->at;

	return (first >= '0' && first <= '9') ||
	       (first == '-' && word->end - word->at > 1);
}

static bool read_number(struct line word, int64_t *out)
{
	bool negative = *word.at == '-';
	uint64_t value = 0;

	for (word.at += negative; word.at < word.end; word.at++) {
		unsigned digit = hex_digit(*word.at);

		if (digit > 9 || value > (uint64_t)INT64_MAX / 10 - 1)
			return false;
		value = value * 10 + digit;
	}
	*out = negative ? -(int64_t)value : (int64_t)value;
	return true;
}

/* A number that is too large becomes an operator that there is none of. */
static void read_word(struct line word, struct sym_token *out)
{
	size_t len = (size_t)(word.end - word.at);

	if (is_number(&word)) {
		out->kind = SYM_NUMBER;
		if (!read_number(word, &out->number))
			out->kind = SYM_OPERATOR;
		return;
	}
	if (len == 1 && memchr("+-*/%@^=", *word.at, 8)) {
		out->kind = SYM_OPERATOR;
		out->operator = *word.at;
		return;
	}
	out->kind = word.end[-1] == ':' ? SYM_TARGET : SYM_NAME;
	len -= out->kind == SYM_TARGET;
	if (len > 0 && *word.at == '$') {
		word.at++;
		len--;
	}
	if (len < sizeof(out->name))
		memcpy(out->name, word.at, len);
}

bool sym_next_token(const char *text, struct sym_text *left,
		    struct sym_token *out)
{
	struct line line = { text + left->at, text + left->at + left->len };
	struct line word;

	skip_spaces(&line);
	word = line;
	while (line.at < line.end && *line.at != ' ')
		line.at++;
	word.end = line.at;
	left->at = (uint32_t)(line.at - text);
	left->len = (uint32_t)(line.end - line.at);
	if (word.at == word.end)
		return false;
	*out = (struct sym_token){ 0 };
	read_word(word, out);
	return true;
}

/* Identity */

/* A GUID's text has its first three numbers as such, while its bytes are those
 * of a little-endian machine. The same turns either into the other. */
static void swap_guid(uint8_t *guid)
{
	static const uint8_t from[SYM_GUID] = {
		3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15,
	};
	uint8_t old[SYM_GUID];

	memcpy(old, guid, SYM_GUID);
	for (size_t i = 0; i < SYM_GUID; i++)
		guid[i] = old[from[i]];
}

/* Pairs of digits; how many. */
static size_t take_bytes(struct line *line, uint8_t *bytes, size_t max)
{
	size_t n = 0;

	for (; n < max && line->end - line->at >= 2; line->at += 2) {
		unsigned high = hex_digit(line->at[0]);
		unsigned low = hex_digit(line->at[1]);

		if (high > 15 || low > 15)
			break;
		bytes[n++] = (uint8_t)(high << 4 | low);
	}
	return n;
}

/* MODULE, system, machine, id, name. */
static bool read_module(struct line *line, struct sym_id *id)
{
	if (!take_word(line, "MODULE"))
		return false;
	for (int i = 0; i < 2; i++) {
		while (line->at < line->end && *line->at != ' ')
			line->at++;
		skip_spaces(line);
	}
	if (take_bytes(line, id->guid, SYM_GUID) != SYM_GUID ||
	    !take_hex(line, &id->age))
		return false;
	swap_guid(id->guid);
	return true;
}

bool sym_read_id(const char *text, size_t len, struct sym_id *out)
{
	const char *at = text, *end = text + len;
	struct sym_id id = { 0 };
	struct line line;

	at = next_line(at, end, &line);
	if (!read_module(&line, &id))
		return false;
	while (at < end) {
		at = next_line(at, end, &line);
		if (!take_word(&line, "INFO"))
			break;
		if (!take_word(&line, "CODE_ID"))
			continue;
		id.code.len = (uint8_t)take_bytes(&line, id.code.bytes,
						  MAX_BUILD_ID);
		if (!end_field(&line)) /* it is longer than any */
			id.code.len = 0;
	}
	*out = id;
	return true;
}

/* MODULE, system, machine, id, and the rest is the name. */
bool sym_read_name(const char *text, size_t len, char *out, size_t cap)
{
	const char *end = memchr(text, '\n', len), *at = text;
	size_t name_len;

	for (int i = 0; end && at && i < 4; i++) {
		at = memchr(at, ' ', (size_t)(end - at));
		at = at ? at + 1 : NULL;
	}
	if (!end || !at)
		return false;
	if (end > at && end[-1] == '\r')
		end--;
	name_len = (size_t)(end - at);
	if (name_len == 0 || name_len >= cap || at[0] == '.' ||
	    memchr(at, '/', name_len) || memchr(at, '\0', name_len))
		return false;
	memcpy(out, at, name_len);
	out[name_len] = '\0';
	return true;
}

void sym_id_of(const struct build_id *build_id, struct sym_id *out)
{
	*out = (struct sym_id){ .code = *build_id };
	memcpy(out->guid, build_id->bytes,
	       build_id->len < SYM_GUID ? build_id->len : SYM_GUID);
}

bool sym_id_matches(const struct build_id *wanted, const struct sym_id *has)
{
	struct sym_id id;

	sym_id_of(wanted, &id);
	if (wanted->len == 0 || has->age != 0 ||
	    memcmp(id.guid, has->guid, SYM_GUID) != 0)
		return false;
	return wanted->len <= SYM_GUID || has->code.len <= SYM_GUID ||
	       build_id_equal(wanted, &has->code);
}

void sym_debug_id(const struct sym_id *id, char text_out[SYM_DEBUG_ID])
{
	uint8_t guid[SYM_GUID];

	memcpy(guid, id->guid, SYM_GUID);
	swap_guid(guid);
	for (size_t i = 0; i < SYM_GUID; i++)
		snprintf(text_out + 2 * i, 3, "%02X", guid[i]);
	snprintf(text_out + 2 * SYM_GUID, SYM_DEBUG_ID - 2 * SYM_GUID, "%X",
		 id->age);
}
