/* Function names made comparable, in the manner of Socorro's and Sentry's
 * normalisation, written anew as one pass over the text. Runs wherever reports
 * are grouped; trusts nothing about the names but that they end. */
#include "funcname.h"

#include <stdbool.h>
#include <string.h>

/* One pass: AT reads within [.., END), OUT collects. */
struct cleaner {
	const char *at;
	const char *end;
	char *out;
	size_t len;
	unsigned depth; /* of Rust's qualified paths within each other */
};

/* <<<A as B>::C as D>::E as F>::g exists; much deeper is somebody's joke. */
enum { MAX_PATH_DEPTH = 8 };

static bool is_word(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       (c >= '0' && c <= '9') || c == '_' || c == '$' ||
	       (unsigned char)c >= 0x80;
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_hex(char c)
{
	return is_digit(c) || (c >= 'a' && c <= 'f');
}

static size_t left(const struct cleaner *c)
{
	return (size_t)(c->end - c->at);
}

static bool looking_at(const struct cleaner *c, const char *text)
{
	size_t len = strlen(text);

	return len <= left(c) && memcmp(c->at, text, len) == 0;
}

static void put(struct cleaner *c, const char *text)
{
	for (; *text && c->len < FUNCNAME_MAX - 1; text++)
		c->out[c->len++] = *text;
}

static void put_char(struct cleaner *c, char ch)
{
	if (c->len < FUNCNAME_MAX - 1)
		c->out[c->len++] = ch;
}

static bool out_ends_with(const struct cleaner *c, const char *text)
{
	size_t len = strlen(text);

	return c->len >= len && memcmp(c->out + c->len - len, text, len) == 0;
}

/* Length of the operator symbol at AT ("<<", "()", "->*"), 0 if there is
 * none. Longest first. */
static size_t operator_len(const struct cleaner *c)
{
	static const char *const symbols[] = {
		"->*", "<=>", "<<=", ">>=", "()", "[]", "->", "<<", ">>",
		"<=",  ">=",  "==",  "!=",  "&&", "||", "++", "--", "+=",
		"-=",  "*=",  "/=",  "%=",  "^=", "&=", "|=", "\"\"", "<",
		">",   "+",   "-",   "*",   "/",  "%",  "^",  "&",  "|",
		"~",   "!",   "=",   ",",
	};

	for (size_t i = 0; i < sizeof(symbols) / sizeof(symbols[0]); i++)
		if (looking_at(c, symbols[i]))
			return strlen(symbols[i]);
	return 0;
}

/* True where the word "operator" begins at AT and is a word of its own. */
static bool at_operator(const struct cleaner *c)
{
	static const size_t len = sizeof("operator") - 1;

	if (!looking_at(c, "operator"))
		return false;
	if (c->len > 0 && is_word(c->out[c->len - 1]))
		return false;
	return left(c) > len && !is_word(c->at[len]);
}

/* The character behind the bracket that closes the one at AT; the end where
 * none does. An arrow's or an operator's angle closes nothing. */
static const char *past_bracket(const struct cleaner *c)
{
	size_t depth = 0;

	for (const char *p = c->at; p < c->end; p++) {
		switch (*p) {
		case '(': case '<': case '{': case '[':
			depth++;
			break;
		case '>':
			if (p > c->at && (p[-1] == '-' || p[-1] == '='))
				break;
			/* fallthrough */
		case ')': case '}': case ']':
			if (--depth == 0)
				return p + 1;
			break;
		}
	}
	return c->end;
}

/* "operator" and what belongs to it. */
static void take_operator(struct cleaner *c)
{
	size_t len;

	put(c, "operator");
	c->at += sizeof("operator") - 1;
	len = operator_len(c);
	for (size_t i = 0; i < len; i++)
		put_char(c, *c->at++);
	if (len > 0 && c->at[-1] != '"') {
		if (looking_at(c, " <")) /* as in "operator< <int>" */
			c->at++;
		return;
	}
	/* A literal's suffix, new, delete, or a conversion to a type. */
	while (c->at < c->end && *c->at != '(') {
		if (*c->at == '<') {
			c->at = past_bracket(c);
			put(c, "<T>");
		} else if (looking_at(c, "[abi:")) {
			c->at = past_bracket(c);
		} else {
			put_char(c, *c->at++);
		}
	}
}

/* "(...)": parameters go, what is part of a name stays. */
static void take_round(struct cleaner *c)
{
	const char *behind = past_bracket(c);

	/* "(anonymous namespace)"; Go's main.(*T).Method */
	if (looking_at(c, "(anonymous ") ||
	    (looking_at(c, "(*") && out_ends_with(c, "."))) {
		while (c->at < behind)
			put_char(c, *c->at++);
		return;
	}
	c->at = behind;
}

static size_t clean_range(const char *from, const char *to, unsigned depth,
			  char *out);

/* Clean [FROM, TO) on its own and append it. */
static void put_cleaned(struct cleaner *c, const char *from, const char *to)
{
	char inner[FUNCNAME_MAX];
	size_t len = clean_range(from, to, c->depth + 1, inner);

	inner[len] = '\0';
	put(c, inner);
}

/* The word WORD between spaces within [FROM, TO), outside brackets. */
static const char *find_outside(const char *from, const char *to,
				const char *word)
{
	size_t len = strlen(word);
	size_t depth = 0;

	for (const char *p = from; p < to; p++) {
		if (*p == '<' || *p == '(' || *p == '[')
			depth++;
		else if ((*p == '>' && p > from && p[-1] != '-') ||
			 *p == ')' || *p == ']')
			depth -= depth > 0;
		else if (depth == 0 && (size_t)(to - p) >= len &&
			 memcmp(p, word, len) == 0)
			return p;
	}
	return NULL;
}

/* Rust's <X as Y>::f stays, cleaned; <X>::f is X::f; <impl X>::f is X::f. */
static void take_qualified_path(struct cleaner *c)
{
	const char *behind = past_bracket(c);
	const char *from = c->at + 1;
	const char *to = behind;
	const char *as;

	if (to > from && to[-1] == '>')
		to--;
	if (to - from > 5 && memcmp(from, "impl ", 5) == 0)
		from += 5;
	as = find_outside(from, to, " as ");
	if (as) {
		put_char(c, '<');
		put_cleaned(c, from, as);
		put(c, " as ");
		put_cleaned(c, as + 4, to);
		put_char(c, '>');
	} else {
		put_cleaned(c, from, to);
	}
	c->at = behind;
}

/* "<...>": template arguments. Rust writes a function's own behind "::" or
 * leaves them out, depending on the mangling, so those go without a trace. */
static void take_angle(struct cleaner *c)
{
	if (c->len == 0 && c->depth < MAX_PATH_DEPTH) {
		take_qualified_path(c);
		return;
	}
	if (out_ends_with(c, "::")) {
		if (looking_at(c, "<impl ") && c->depth < MAX_PATH_DEPTH) {
			take_qualified_path(c);
			return;
		}
		c->len -= 2;
		c->at = past_bracket(c);
		return;
	}
	c->at = past_bracket(c);
	put(c, "<T>");
}

/* "{...}": compilers' names for what has none, without their numbers. */
static void take_curly(struct cleaner *c)
{
	static const struct {
		const char *prefix, *name;
	} known[] = {
		{ "{lambda", "{lambda}" },   { "{{closure", "{closure}" },
		{ "{closure", "{closure}" }, { "{unnamed", "{unnamed}" },
		{ "{{impl", "{impl}" },      { "{impl", "{impl}" },
		{ "{shim", "{shim}" },       { "{{vtable", "{shim}" },
		{ "{{constant", "{constant}" }, { "{constant", "{constant}" },
		{ "{default arg", "{default}" },
	};
	const char *behind = past_bracket(c);

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		if (looking_at(c, known[i].prefix)) {
			put(c, known[i].name);
			c->at = behind;
			return;
		}
	}
	while (c->at < behind && *c->at != '#')
		put_char(c, *c->at++);
	if (c->at < behind)
		put_char(c, '}');
	c->at = behind;
}

/* clang: 'lambda0'(int)::operator()() and $_0. */
static bool take_clang_lambda(struct cleaner *c)
{
	const char *p = c->at;

	if (looking_at(c, "'lambda") || looking_at(c, "'unnamed")) {
		put(c, p[1] == 'l' ? "{lambda}" : "{unnamed}");
		for (p++; p < c->end && *p != '\''; p++)
			;
		c->at = p < c->end ? p + 1 : p;
		return true;
	}
	if (looking_at(c, "$_") && left(c) > 2 && is_digit(p[2])) {
		put(c, "{lambda}");
		for (p += 2; p < c->end && is_digit(*p); p++)
			;
		c->at = p;
		return true;
	}
	return false;
}

/* A space: before a qualifier of the function it means nothing, before a clone
 * suffix it ends the name, and else what stood before it was a type. */
static void take_space(struct cleaner *c)
{
	static const char *const qualifiers[] = {
		"const", "volatile", "noexcept", "restrict", "&&", "&",
	};

	c->at++;
	if (looking_at(c, "[clone ")) {
		c->at = c->end;
		return;
	}
	for (size_t i = 0; i < sizeof(qualifiers) / sizeof(qualifiers[0]);
	     i++) {
		size_t len = strlen(qualifiers[i]);

		if (looking_at(c, qualifiers[i]) &&
		    (left(c) == len || !is_word(c->at[len]) ||
		     qualifiers[i][0] == '&')) {
			c->at += len;
			return;
		}
	}
	if (c->at < c->end)
		c->len = 0;
}

static void take_one(struct cleaner *c)
{
	char ch = *c->at;

	if (ch == 'o' && at_operator(c))
		take_operator(c);
	else if (ch == '(')
		take_round(c);
	else if (ch == '<')
		take_angle(c);
	else if (ch == '{')
		take_curly(c);
	else if (ch == ' ')
		take_space(c);
	else if (ch == '[' && looking_at(c, "[abi:"))
		c->at = past_bracket(c);
	else if ((ch == '\'' || ch == '$') && take_clang_lambda(c))
		;
	else if (c->len == 0 && (ch == '*' || ch == '&'))
		c->at++; /* of a return type */
	else
		put_char(c, *c->at++);
}

static size_t clean_range(const char *from, const char *to, unsigned depth,
			  char *out)
{
	struct cleaner c = {
		.at = from, .end = to, .out = out, .depth = depth,
	};

	while (c.at < c.end)
		take_one(&c);
	return c.len;
}

/* "::h" and 16 hex digits, Rust's legacy hash. */
static size_t strip_rust_hash(const char *name, size_t len)
{
	if (len < 20 || memcmp(name + len - 19, "::h", 3) != 0)
		return len;
	for (size_t i = len - 16; i < len; i++)
		if (!is_hex(name[i]))
			return len;
	return len - 19;
}

static bool is_clone_word(const char *word, size_t len)
{
	static const char *const words[] = {
		"cold", "part", "isra", "constprop", "lto_priv", "llvm",
		"localalias", "clone", "resolver", "specialized", "warm",
		"hot", "unlikely", "partial",
	};
	size_t digits = 0;

	while (digits < len && is_digit(word[digits]))
		digits++;
	if (digits == len)
		return len > 0;
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strlen(words[i]) == len && !memcmp(words[i], word, len))
			return true;
	return false;
}

/* ".constprop.0", ".cold" and what else compilers append. */
static size_t strip_clones(const char *name, size_t len)
{
	for (size_t i = len; i-- > 1;) {
		if (is_word(name[i]))
			continue;
		if (name[i] != '.' || !is_clone_word(name + i + 1, len - i - 1))
			return len;
		len = i;
	}
	return len;
}

/* "@@GLIBC_2.14", "@plt". A C symbol's; no other language has an "@". */
static size_t strip_version(const char *name, size_t len)
{
	const char *at = memchr(name, '@', len);

	return at && at > name ? (size_t)(at - name) : len;
}

/* libc builds its string functions once per instruction set; which one runs
 * depends on the machine. */
static size_t strip_isa(const char *name, size_t len)
{
	static const char *const variants[] = {
		"_avx", "_sse", "_ssse", "_evex", "_erms", "_generic",
		"_unaligned", "_ifunc",
	};
	static const char *const families[] = {
		"mem", "str", "stp", "wcs", "wmem", "rawmem",
	};
	bool ours = false;

	for (size_t i = 0; i < sizeof(families) / sizeof(families[0]); i++)
		ours |= strncmp(name, families[i], strlen(families[i])) == 0;
	for (size_t at = 0; ours && at < len; at++)
		for (size_t i = 0;
		     i < sizeof(variants) / sizeof(variants[0]); i++)
			if (strncmp(name + at, variants[i],
				    strlen(variants[i])) == 0)
				return at;
	return len;
}

/* Prefixes and variants that only libc has. NAME is NUL-terminated. */
static size_t strip_libc(char *name, size_t len)
{
	size_t skip = 0;

	if (strncmp(name, "__GI_", 5) == 0)
		skip = 5;
	else if (strncmp(name, "IA__", 4) == 0)
		skip = 4;
	if (skip && skip < len) {
		len -= skip;
		memmove(name, name + skip, len + 1);
	}
	if (strncmp(name, "__", 2) == 0) {
		size_t cut = strip_isa(name + 2, len - 2);

		if (cut < len - 2) {
			len = cut;
			memmove(name, name + 2, len);
			name[len] = '\0';
		}
	}
	return len;
}

static const char *past_thunk_words(const char *name)
{
	static const char *const prefixes[] = {
		"non-virtual thunk to ", "virtual thunk to ",
		"covariant return thunk to ", "transaction clone for ",
		"non-transaction clone for ",
	};

	for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++)
		if (strncmp(name, prefixes[i], strlen(prefixes[i])) == 0)
			return name + strlen(prefixes[i]);
	return name;
}

/* V8's "LazyCompile:*f /x/y.js:1:2": f, without the mark of the compiler that
 * happened to have come to it, or "y.js:1:2" where that has no name. False,
 * with *FROM and *LEN as they were, for another's name: "JS::f()" is C++. */
static bool take_v8(const char **from, size_t *len)
{
	static const char *const tags[] = {
		"Eval:", "Function:", "JS:", "LazyCompile:", "Script:",
	};
	const char *end = *from + *len, *at = NULL, *space;

	for (size_t i = 0; i < sizeof(tags) / sizeof(tags[0]) && !at; i++)
		if (strncmp(*from, tags[i], strlen(tags[i])) == 0)
			at = *from + strlen(tags[i]);
	if (!at || *at == ':')
		return false;
	at += at < end && strchr("*~^+", *at) != NULL;
	space = memchr(at, ' ', (size_t)(end - at));
	if (!space || space + 1 == end)
		return false;
	if (space == at) {
		at = memrchr(space, '/', (size_t)(end - space));
		at = at ? at + 1 : space + 1;
		space = end;
	}
	*from = at;
	*len = (size_t)(space - at);
	return *len > 0;
}

/* Python's "py::C.f:/x/y.py": C.f. */
static bool take_python(const char **from, size_t *len)
{
	const char *at = *from + 4, *colon;

	if (strncmp(*from, "py::", 4) != 0)
		return false;
	colon = memchr(at, ':', *len - 4);
	if (!colon || colon == at || colon[1] == ':')
		return false; /* C++ */
	*from = at;
	*len = (size_t)(colon - at);
	return true;
}

size_t funcname_clean(const char *name, char out[FUNCNAME_MAX])
{
	const char *from = past_thunk_words(name);
	size_t input = strnlen(from, FUNCNAME_MAX_INPUT);
	size_t len = 0;

	if (take_v8(&from, &input) || take_python(&from, &input)) {
		len = input < FUNCNAME_MAX ? input : FUNCNAME_MAX - 1;
		memcpy(out, from, len);
		out[len] = '\0';
		return len;
	}
	/* Nothing to clean in "<signal handler called>" and "<redacted>". */
	if (*from != '<' || memchr(from, ':', input))
		len = clean_range(from, from + input, 0, out);
	len = strip_version(out, len);
	len = strip_rust_hash(out, len);
	len = strip_clones(out, len);
	out[len] = '\0';
	len = strip_libc(out, len);
	if (len == 0) {
		len = input < FUNCNAME_MAX ? input : FUNCNAME_MAX - 1;
		memcpy(out, from, len);
	}
	out[len] = '\0';
	return len;
}
