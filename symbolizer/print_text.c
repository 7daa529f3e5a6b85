/* contract.md's JSON of a report as text for people. Runs in the command line;
 * the document may come from any collector, and the names in it from anybody,
 * so nothing is taken for granted, and everything is escaped. */
#include "print.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define BOLD "\033[1m"
#define DIM "\033[2m"
#define RED "\033[1;31m"
#define CYAN "\033[36m"
#define PLAIN "\033[0m"

enum { TAB = 8, CODE_LINE = 512 };

static const char *paint(const struct print_style *style, const char *code)
{
	return style->color ? code : "";
}

/* Bytes of the UTF-8 sequence at TEXT that a terminal may be shown, 0: none.
 * C1 controls (U+0080 to U+009F) are not. */
static size_t showable(const unsigned char *text)
{
	size_t len = text[0] < 0xc2 ? 0 : text[0] < 0xe0 ? 2
			: text[0] < 0xf0 ? 3 : text[0] < 0xf5 ? 4 : 0;

	if (text[0] >= 0x20 && text[0] < 0x7f)
		return 1;
	for (size_t i = 1; i < len; i++)
		if ((text[i] & 0xc0) != 0x80)
			return 0;
	if (text[0] == 0xc2 && text[1] < 0xa0)
		return 0;
	return len;
}

void print_escaped(FILE *to, const char *text)
{
	const unsigned char *p = (const unsigned char *)text;

	while (*p) {
		size_t n = showable(p);

		if (n > 0)
			fwrite(p, 1, n, to);
		else
			fprintf(to, "\\x%02x", *p);
		p += n ? n : 1;
	}
}

/* The string KEY of OBJECT, or NULL: not there, not one, or empty. */
static const char *text_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text && *text ? text : NULL;
}

static bool is_true(const json_t *object, const char *key)
{
	return json_is_true(json_object_get(object, key));
}

/* The number KEY of OBJECT; 0 where there is none. */
static json_int_t number_of(const json_t *object, const char *key)
{
	return json_integer_value(json_object_get(object, key));
}

static bool has_flag(const json_t *frame, const char *flag)
{
	const json_t *flags = json_object_get(frame, "flags");
	const json_t *item;
	size_t i;

	json_array_foreach(flags, i, item)
		if (json_is_string(item) &&
		    strcmp(json_string_value(item), flag) == 0)
			return true;
	return false;
}

/* Addresses in one column: 0x and sixteen digits. */
static void print_address(FILE *to, const char *text)
{
	char *end;
	unsigned long long value = text ? strtoull(text, &end, 16) : 0;

	fprintf(to, "0x%016llx", value);
}

static void print_module(FILE *to, const json_t *frame)
{
	const char *module = text_of(frame, "module");
	const char *offset = text_of(frame, "offset");
	bool is_named = text_of(frame, "function") != NULL;

	if (module == NULL && has_flag(frame, "jit")) {
		fputs(is_named ? " [jit]" : "", to);
		return;
	}
	if (module == NULL) {
		fputs(" in no module", to);
		return;
	}
	fputs(" (", to);
	print_escaped(to, module);
	if (!is_named && offset) {
		fputc('+', to);
		print_escaped(to, offset);
	}
	fputc(')', to);
}

static void print_note(FILE *to, const struct print_style *style,
		       const char *label, const char *note)
{
	fprintf(to, "%s [%s%s]%s", paint(style, DIM), label, note,
		paint(style, PLAIN));
}

static void print_notes(FILE *to, const json_t *frame,
			const struct print_style *style)
{
	static const char *const guesses[] = {
		"frame_pointer", "cfi_scan", "scan",
	};
	const char *trust = text_of(frame, "trust");

	if (is_true(frame, "inline"))
		print_note(to, style, "", "inlined");
	else if (has_flag(frame, "tail_call"))
		print_note(to, style, "", "tail call");
	if (has_flag(frame, "unloaded"))
		print_note(to, style, "", "unloaded");
	if (trust == NULL)
		return;
	if (strcmp(trust, "sigframe") == 0)
		print_note(to, style, "", "interrupted by a signal");
	if (has_flag(frame, "corrupt_ra"))
		print_note(to, style, "", "return address written over");
	for (size_t i = 0; i < sizeof(guesses) / sizeof(guesses[0]); i++)
		if (strcmp(trust, guesses[i]) == 0)
			print_note(to, style, "guessed: ", guesses[i]);
}

/* Which functions it may be as well. */
static void print_aliases(FILE *to, const json_t *frame)
{
	const json_t *aliases = json_object_get(frame, "aliases"), *item;
	size_t i;

	json_array_foreach(aliases, i, item) {
		fputs(i == 0 ? " (also " : ", ", to);
		print_escaped(to, json_is_string(item)
					  ? json_string_value(item) : "??");
	}
	if (json_array_size(aliases) > 0)
		fputc(')', to);
}

/* name = value, or why there is none. */
static void print_variable(FILE *to, const json_t *variable,
			   const struct print_style *style, const char *between)
{
	const char *name = text_of(variable, "name");
	const char *value = text_of(variable, "value");
	const char *why = text_of(variable, "why");

	print_escaped(to, name ? name : "?");
	fputs(between, to);
	if (value) {
		print_escaped(to, value);
		return;
	}
	fprintf(to, "%s<", paint(style, DIM));
	print_escaped(to, why ? why : "?");
	fprintf(to, ">%s", paint(style, PLAIN));
}

/* Behind the function's name, where they were asked for. */
static void print_arguments(FILE *to, const json_t *frame,
			    const struct print_style *style)
{
	const json_t *arguments = json_object_get(frame, "args");
	const json_t *argument;
	size_t i;

	if (!json_is_array(arguments))
		return;
	fputs(" (", to);
	json_array_foreach(arguments, i, argument) {
		fputs(i > 0 ? ", " : "", to);
		print_variable(to, argument, style, "=");
	}
	fputs(")", to);
}

/* Below the frame. */
static void print_locals(FILE *to, const json_t *frame,
			 const struct print_style *style)
{
	const json_t *local;
	size_t i;

	json_array_foreach(json_object_get(frame, "locals"), i, local) {
		fputs("        ", to);
		print_variable(to, local, style, " = ");
		fputc('\n', to);
	}
}

/* #0  0x000055… in f(int) (prog) at f.c:3 */
static void print_frame(FILE *to, const json_t *frame,
			const struct print_style *style)
{
	const char *function = text_of(frame, "function");
	const char *file = text_of(frame, "file");

	fprintf(to, "#%-3lld %s", (long long)number_of(frame, "index"),
		paint(style, DIM));
	print_address(to, text_of(frame, "pc"));
	fprintf(to, "%s in %s", paint(style, PLAIN), paint(style, BOLD));
	print_escaped(to, function ? function
			  : has_flag(frame, "jit") ? "[jit]" : "??");
	fputs(paint(style, PLAIN), to);
	print_arguments(to, frame, style);
	print_aliases(to, frame);
	print_module(to, frame);
	if (file) {
		fprintf(to, " at %s", paint(style, CYAN));
		print_escaped(to, file);
		if (number_of(frame, "line") > 0)
			fprintf(to, ":%s%lld",
				has_flag(frame, "approximate") ? "~" : "",
				(long long)number_of(frame, "line"));
		fputs(paint(style, PLAIN), to);
	}
	print_notes(to, frame, style);
	fputc('\n', to);
	print_locals(to, frame, style);
}

/* TEXT with spaces for its tabs. */
static void print_code(FILE *to, const char *text)
{
	const char *tab;
	int column = 0;

	for (; (tab = strchr(text, '\t')) != NULL; text = tab + 1) {
		int len = (int)(tab - text);
		char part[CODE_LINE];

		snprintf(part, sizeof(part), "%.*s", len, text);
		print_escaped(to, part);
		column = (column + len) % TAB;
		fprintf(to, "%*s", TAB - column, "");
		column = 0;
	}
	print_escaped(to, text);
}

/* The lines around the frame's, which has a mark. */
static void print_source(FILE *to, const json_t *frame,
			 const struct print_style *style)
{
	const json_t *source = json_object_get(frame, "source");
	json_int_t number = number_of(source, "first");
	const json_t *line;
	size_t i;

	json_array_foreach(json_object_get(source, "lines"), i, line) {
		bool is_it = number == number_of(frame, "line");

		fprintf(to, "%s%4s%6lld", paint(style, is_it ? BOLD : DIM),
			is_it ? ">" : "", (long long)number++);
		if (json_string_length(line) > 0) {
			fputs("  ", to);
			print_code(to, json_string_value(line));
		}
		fprintf(to, "%s\n", paint(style, PLAIN));
	}
	if (is_true(source, "newer"))
		fputs("      that file is newer than the program\n", to);
}

/* How many of FRAMES a stack holds. */
static json_int_t count_physical(const json_t *frames)
{
	const json_t *frame;
	json_int_t n = 0;
	size_t i;

	json_array_foreach(frames, i, frame)
		n += !is_true(frame, "inline") &&
		     !has_flag(frame, "tail_call");
	return n;
}

/* Numbered as the frames are that were printed, inlined ones too. */
static json_int_t printed_number(const json_t *frames, json_int_t physical)
{
	const json_t *frame;
	size_t i;

	json_array_foreach(frames, i, frame)
		if (!is_true(frame, "inline") &&
		    !has_flag(frame, "tail_call") && physical-- == 0)
			return (json_int_t)i;
	return (json_int_t)i;
}

static void print_repeats(FILE *to, const json_t *thread,
			  const json_t *frames)
{
	const json_t *repeat;
	size_t i;

	json_array_foreach(json_object_get(thread, "repeat"), i, repeat) {
		json_int_t first = number_of(repeat, "first");
		json_int_t length = number_of(repeat, "length");
		json_int_t last = printed_number(frames, first + length - 1);

		fprintf(to, "  #%lld",
			(long long)printed_number(frames, first));
		if (length > 1)
			fprintf(to, " to #%lld", (long long)last);
		fprintf(to, " %lld times in a row\n",
			(long long)number_of(repeat, "times"));
	}
}

static void print_thread(FILE *to, const json_t *thread,
			 const struct print_style *style)
{
	const json_t *frames = json_object_get(thread, "frames");
	const char *name = text_of(thread, "name");
	const char *truncated = text_of(thread, "truncated");
	const json_t *frame;
	size_t i;

	fprintf(to, "thread %lld", (long long)number_of(thread, "tid"));
	if (name) {
		fputs(" (", to);
		print_escaped(to, name);
		fputc(')', to);
	}
	fputs(is_true(thread, "crashed") ? ", crashed\n" : "\n", to);
	json_array_foreach(frames, i, frame) {
		print_frame(to, frame, style);
		print_source(to, frame, style);
	}
	if (json_array_size(frames) == 0)
		fputs("  no frames\n", to);
	if (number_of(thread, "depth") > count_physical(frames))
		fprintf(to, "  of %lld frames\n",
			(long long)number_of(thread, "depth"));
	print_repeats(to, thread, frames);
	if (truncated) {
		fputs("  the walk stopped early: ", to);
		print_escaped(to, truncated);
		fputc('\n', to);
	}
}

void print_thread_text(FILE *to, const struct report *report,
		       const struct symbolized *symbolized,
		       const struct thread *thread,
		       const struct print_style *style)
{
	json_t *json = print_thread_json(report, symbolized, thread);

	print_thread(to, json, style);
	json_decref(json);
}

static void print_field(FILE *to, const char *label, const char *value)
{
	if (value == NULL)
		return;
	fprintf(to, "%-9s", label);
	print_escaped(to, value);
	fputc('\n', to);
}

static void print_sender(FILE *to, const json_t *sender)
{
	const char *name = text_of(sender, "name");

	fprintf(to, ", sent by process %lld",
		(long long)number_of(sender, "pid"));
	if (name) {
		fputs(" (", to);
		print_escaped(to, name);
		fputc(')', to);
	}
	fprintf(to, " of user %lld", (long long)number_of(sender, "uid"));
}

static void print_signal(FILE *to, const json_t *document,
			 const struct print_style *style)
{
	const json_t *signal = json_object_get(document, "signal");
	const json_t *sender = json_object_get(signal, "sender");
	const char *name = text_of(signal, "name");
	const char *code = text_of(signal, "code");
	const char *address = text_of(signal, "address");
	const char *death = text_of(signal, "death");

	fputs(paint(style, RED), to);
	if (name)
		print_escaped(to, name);
	else
		fprintf(to, "signal %lld",
			(long long)number_of(signal, "number"));
	fputs(paint(style, PLAIN), to);
	if (code) {
		fputc(' ', to);
		print_escaped(to, code);
	}
	if (address) {
		fputs(" at ", to);
		print_escaped(to, address);
	}
	if (json_is_object(sender))
		print_sender(to, sender);
	if (death) {
		fputs("; it died of ", to);
		print_escaped(to, death);
	}
	fputc('\n', to);
}

static void print_process(FILE *to, const json_t *process)
{
	const char *exe = text_of(process, "exe");
	const json_t *args = json_object_get(process, "args");
	const json_t *arg;
	size_t i;

	if (exe == NULL && number_of(process, "pid") == 0)
		return;
	fprintf(to, "%-9s", "process");
	print_escaped(to, exe ? exe : "?");
	if (number_of(process, "pid") > 0)
		fprintf(to, ", pid %lld",
			(long long)number_of(process, "pid"));
	if (json_is_integer(json_object_get(process, "uid")))
		fprintf(to, ", uid %lld",
			(long long)number_of(process, "uid"));
	fputc('\n', to);
	if (json_array_size(args) == 0)
		return;
	fprintf(to, "%-8s", "command");
	json_array_foreach(args, i, arg) {
		fputc(' ', to);
		print_escaped(to, json_is_string(arg) ? json_string_value(arg)
						      : "");
	}
	fputc('\n', to);
}

static void print_tags(FILE *to, const char *label, json_t *tags)
{
	const char *key;
	json_t *value;

	json_object_foreach(tags, key, value) {
		fprintf(to, "%-9s", label);
		print_escaped(to, key);
		fputc('=', to);
		print_escaped(to, json_is_string(value)
					  ? json_string_value(value) : "");
		fputc('\n', to);
	}
}

static void print_crumbs(FILE *to, const json_t *crumbs)
{
	const json_t *crumb;
	size_t i;

	json_array_foreach(crumbs, i, crumb)
		print_field(to, i ? "" : "trail", json_string_value(crumb));
}

static void print_host(FILE *to, const json_t *host)
{
	const char *name = text_of(host, "name");
	const char *kernel = text_of(host, "kernel");
	const char *arch = text_of(host, "arch");

	if (name == NULL && kernel == NULL)
		return;
	fprintf(to, "%-9s", "host");
	print_escaped(to, name ? name : "?");
	fputs(kernel ? ", Linux " : "", to);
	print_escaped(to, kernel ? kernel : "");
	fputs(arch ? ", " : "", to);
	print_escaped(to, arch ? arch : "");
	fputc('\n', to);
}

static void print_header(FILE *to, const json_t *document,
			 const struct print_style *style)
{
	const json_t *process = json_object_get(document, "process");
	json_int_t tier = number_of(document, "tier");
	const char *why = text_of(document, "tier_reason");

	print_signal(to, document, style);
	print_field(to, "reason", text_of(document, "reason"));
	print_field(to, "message", text_of(document, "message"));
	print_field(to, "title",
		    text_of(json_object_get(document, "fingerprint"),
			    "title"));
	print_field(to, "time", text_of(document, "time"));
	print_process(to, process);
	print_host(to, json_object_get(document, "host"));
	print_field(to, "release", text_of(process, "release"));
	print_tags(to, "tag", json_object_get(process, "tags"));
	print_tags(to, "note", json_object_get(document, "annotations"));
	print_crumbs(to, json_object_get(document, "breadcrumbs"));
	print_field(to, "id", text_of(document, "id"));
	if (tier > 1) {
		fprintf(to, "%-9s%lld%s", "tier", (long long)tier,
			why ? ": " : "");
		print_escaped(to, why ? why : "");
		fputc('\n', to);
	}
}

/* Whether a frame of DOCUMENT's threads is in the module BUILD_ID. */
static bool is_used(const json_t *document, const char *build_id)
{
	const json_t *threads = json_object_get(document, "threads");
	const json_t *thread, *frame;
	size_t i, k;

	json_array_foreach(threads, i, thread) {
		const json_t *frames = json_object_get(thread, "frames");

		json_array_foreach(frames, k, frame) {
			const char *id = text_of(frame, "build_id");

			if (id && strcmp(id, build_id) == 0)
				return true;
		}
	}
	return false;
}

/* Of MODULES, which are DOCUMENT's. */
static void print_missing(FILE *to, const json_t *document,
			  const json_t *modules)
{
	const json_t *module;
	size_t i;

	json_array_foreach(modules, i, module) {
		const char *id = text_of(module, "build_id");
		const char *path = text_of(module, "path");
		const char *status = text_of(module, "symbols");
		const char *why = text_of(module, "why");

		if (!id || !status || strcmp(status, "missing") != 0 ||
		    !is_used(document, id))
			continue;
		fputs("no symbols for ", to);
		print_escaped(to, path ? path : "?");
		fputs(" (build-id ", to);
		print_escaped(to, id);
		fputs(why ? "): " : ")", to);
		print_escaped(to, why ? why : "");
		fputc('\n', to);
	}
}

void print_missing_text(FILE *to, const json_t *document)
{
	print_missing(to, document, json_object_get(document, "modules"));
	print_missing(to, document, json_object_get(document, "unloaded"));
}

void print_report_text(FILE *to, const json_t *document,
		       const struct print_style *style)
{
	const json_t *threads = json_object_get(document, "threads");
	const char *trouble = text_of(document, "trouble");
	const json_t *thread;
	bool any = false;
	size_t i;

	print_header(to, document, style);
	json_array_foreach(threads, i, thread) {
		if (!is_true(thread, "crashed") && !style->all_threads)
			continue;
		fputc('\n', to);
		print_thread(to, thread, style);
		any = true;
	}
	if (!any)
		fputs("\nno thread is known to have crashed; --all-threads "
		      "shows them all\n", to);
	print_missing_text(to, document);
	if (trouble) {
		print_escaped(to, trouble);
		fputc('\n', to);
	}
}
