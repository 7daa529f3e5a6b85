/* epitaph addr2line: binutils' options and output, answered from the index. The
 * child that reads the file also writes the answers; this process only waits
 * for it. */
#include <ctype.h>
#include <getopt.h>
#include <libiberty/libiberty.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../child.h"
#include "../demangle.h"
#include "../finder.h"
#include "../lookup.h"
#include "../symbolize.h"
#include "cli.h"

static const char verb[] = "addr2line";

enum {
	INPUT = 1 << 16, /* bytes read at once */
	MAX_LINE = 256,  /* of an address; the rest of a longer one is lost */
	FIRST_MEMO = 1 << 12,
};

#define OUTPUT ((size_t)1 << 20) /* bytes collected before they are written */
#define NO_DEADLINE (INT64_MAX / 2) /* the input may be a person */

struct arguments {
	struct cli_options options;
	const char *file, *build_id, *section;
	bool addresses, demangle, functions, inlines, pretty, basenames;
	char **list; /* addresses, up to NULL */
};

/* What a name was demangled to. */
struct memo {
	const char *key;
	char *value;
};

struct work {
	const struct arguments *arguments;
	struct lookup *lookup;
	uint64_t bias; /* of the section */
	struct writer out;
	struct memo *memos; /* by key: open addressing */
	size_t nmemos, slots;
};

enum { OPTION_BUILD_ID = 256 };

/* -1, or the exit status. */
static int parse(int argc, char **argv, struct arguments *out)
{
	static const struct option options[] = {
		{ "addresses", no_argument, NULL, 'a' },
		{ "basenames", no_argument, NULL, 's' },
		{ "build-id", required_argument, NULL, OPTION_BUILD_ID },
		{ "demangle", optional_argument, NULL, 'C' },
		{ "exe", required_argument, NULL, 'e' },
		{ "functions", no_argument, NULL, 'f' },
		{ "help", no_argument, NULL, 'h' },
		{ "inlines", no_argument, NULL, 'i' },
		{ "no-recurse-limit", no_argument, NULL, 'r' },
		{ "no-recursion-limit", no_argument, NULL, 'r' },
		{ "pretty-print", no_argument, NULL, 'p' },
		{ "recurse-limit", no_argument, NULL, 'R' },
		{ "recursion-limit", no_argument, NULL, 'R' },
		{ "section", required_argument, NULL, 'j' },
		{ "symbols", required_argument, NULL, 'S' },
		{ "target", required_argument, NULL, 'b' },
		{ "version", no_argument, NULL, 'v' },
		{ NULL, 0, NULL, 0 },
	};
	int option;

	out->file = "a.out";
	while ((option = getopt_long(argc, argv, "ab:Ce:rRsfHhij:pS:Vv",
				     options, NULL)) != -1) {
		switch (option) {
		case 'a': out->addresses = true; break;
		case 'b': case 'r': case 'R': break;
		case 'C': out->demangle = true; break;
		case 'e': out->file = optarg; break;
		case 'f': out->functions = true; break;
		case 'i': out->inlines = true; break;
		case 'j': out->section = optarg; break;
		case 'p': out->pretty = true; break;
		case 's': out->basenames = true; break;
		case OPTION_BUILD_ID: out->build_id = optarg; break;
		case 'h': case 'H': return cli_help(verb);
		case 'v': case 'V':
			puts("epitaph addr2line " EPITAPH_VERSION);
			return CLI_DONE;
		case 'S':
			if (!cli_add_dir(&out->options, optarg))
				return cli_usage(verb, "-S: too many");
			break;
		default: return cli_usage(verb, "wrong option");
		}
	}
	out->list = argv + optind;
	return -1;
}

/* Answers */

static void put(struct work *work, const char *text)
{
	writer_bytes(&work->out, text, strlen(text));
}

static void flush(struct work *work)
{
	child_write(STDOUT_FILENO, work->out.bytes, work->out.len);
	work->out.len = 0;
}

static struct memo *find_memo(struct memo *memos, size_t slots,
			      const char *key)
{
	size_t i = (size_t)((uintptr_t)key * UINT64_C(0x9e3779b97f4a7c15) >>
			    32) & (slots - 1);

	while (memos[i].key && memos[i].key != key)
		i = (i + 1) & (slots - 1);
	return &memos[i];
}

static void more_memos(struct work *work)
{
	size_t slots = work->slots ? work->slots * 2 : FIRST_MEMO;
	struct memo *memos = calloc(slots, sizeof(*memos));

	if (!memos)
		_exit(1);
	for (size_t i = 0; i < work->slots; i++)
		if (work->memos[i].key)
			*find_memo(memos, slots, work->memos[i].key) =
				work->memos[i];
	free(work->memos);
	work->memos = memos;
	work->slots = slots;
}

/* NAME, which stays where it is in the index, demangled: once for each. */
static const char *demangled(struct work *work, const char *name)
{
	char text[SYMBOLIZE_MAX_NAME];
	struct memo *memo;

	if (work->nmemos * 2 >= work->slots)
		more_memos(work);
	memo = find_memo(work->memos, work->slots, name);
	if (memo->key)
		return memo->value;
	demangle(name, text, sizeof(text));
	memo->value = strdup(text);
	if (!memo->value)
		_exit(1);
	memo->key = name;
	work->nmemos++;
	return memo->value;
}

static void put_function(struct work *work, const struct level *level)
{
	const char *name = level->function;

	if (!name)
		name = "??";
	else if (work->arguments->demangle && level->is_linkage)
		name = demangled(work, name);
	put(work, name);
	put(work, work->arguments->pretty ? " at " : "\n");
}

static void put_place(struct work *work, const struct level *level)
{
	const char *file = level->file ? level->file : "??";
	const char *slash = strrchr(file, '/');
	char line[16];
	char *at = line + sizeof(line);
	uint32_t left = level->line;

	if (work->arguments->basenames && slash)
		file = slash + 1;
	put(work, file);
	*--at = '\n';
	if (left == 0)
		*--at = '?';
	for (; left > 0; left /= 10)
		*--at = (char)('0' + left % 10);
	*--at = ':';
	writer_bytes(&work->out, at, (size_t)(line + sizeof(line) - at));
}

static void answer(struct work *work, uint64_t address)
{
	const struct arguments *arguments = work->arguments;
	struct level levels[SYMBOLIZE_MAX_INLINES];
	size_t n = lookup_levels(work->lookup, work->bias + address, levels);
	char text[32];

	if (arguments->addresses) {
		snprintf(text, sizeof(text), "0x%016llx%s",
			 (unsigned long long)address,
			 arguments->pretty ? ": " : "\n");
		put(work, text);
	}
	if (n == 0) {
		if (arguments->functions)
			put(work, arguments->pretty ? "?? " : "??\n");
		put(work, "??:0\n");
	}
	for (size_t i = 0; i < n; i++) {
		if (i > 0 && arguments->pretty)
			put(work, " (inlined by) ");
		if (arguments->functions)
			put_function(work, &levels[i]);
		put_place(work, &levels[i]);
		if (!arguments->inlines)
			break;
	}
	if (work->out.len >= OUTPUT)
		flush(work);
}

/* Questions */

static void ask(struct work *work, const char *text)
{
	answer(work, strtoull(text, NULL, 16));
}

/* Whoever asks one address and waits gets the answer; whoever sends many is not
 * held up by it. */
static ssize_t read_more(struct work *work, char *to, size_t len)
{
	struct pollfd more = { .fd = STDIN_FILENO, .events = POLLIN };

	if (poll(&more, 1, 0) == 0)
		flush(work);
	return read(STDIN_FILENO, to, len);
}

static void ask_lines(struct work *work)
{
	char line[MAX_LINE + 1], *input = malloc(INPUT);
	size_t len = 0;
	ssize_t n;

	if (!input)
		_exit(1);
	while ((n = read_more(work, input, INPUT)) > 0) {
		for (ssize_t i = 0; i < n; i++) {
			if (input[i] != '\n') {
				if (len < MAX_LINE)
					line[len++] = input[i];
				continue;
			}
			line[len] = '\0';
			ask(work, line);
			len = 0;
		}
	}
	line[len] = '\0';
	if (len > 0)
		ask(work, line);
	free(input);
}

/* The child */

static void complain(const char *object, const struct error *err)
{
	cli_fail(verb, object, err);
	_exit(2);
}

static struct lookup *open_build(struct finder *finder, const char *text)
{
	static struct module module;
	struct error err;

	if (!build_id_parse(text, &module.build_id)) {
		fail(&err, ERR_BAD_DATA, "not a build-id in hexadecimal");
		complain(text, &err);
	}
	return lookup_open(finder, &module, true);
}

static void find_section(struct work *work)
{
	const struct arguments *arguments = work->arguments;
	struct error err;

	if (lookup_section(work->lookup, arguments->section, &work->bias))
		return;
	fail(&err, ERR_BAD_DATA, "no section %s", arguments->section);
	complain(arguments->file, &err);
}

static void be_the_child(void *context, int fd)
{
	struct work work = { .arguments = context };
	const struct arguments *arguments = context;
	struct finder *finder = finder_new(arguments->options.dirs,
					   arguments->options.ndirs, NULL);
	struct error err;

	(void)fd;
	if (!finder)
		_exit(1);
	writer_init(&work.out, 2 * OUTPUT);
	if (arguments->build_id)
		work.lookup = open_build(finder, arguments->build_id);
	else
		work.lookup = lookup_open_file(finder, arguments->file, &err);
	if (!work.lookup)
		complain(arguments->file, &err);
	if (arguments->section)
		find_section(&work);
	for (char **at = arguments->list; *at; at++)
		ask(&work, *at);
	if (!arguments->list[0])
		ask_lines(&work);
	flush(&work);
}

int cli_addr2line(int argc, char **argv)
{
	struct arguments arguments = { 0 };
	struct child child = { .idle = NULL };
	char why[sizeof(((struct error *)0)->text)];
	struct error err;
	int status;
	char end;

	expandargv(&argc, &argv);
	status = parse(argc, argv, &arguments);
	if (status >= 0)
		return status;
	if (!child_start(be_the_child, &arguments, NO_DEADLINE, &child, &err))
		return cli_fail(verb, NULL, &err);
	child_read(&child, &end, sizeof(end));
	if (child_reap(&child, why, sizeof(why)))
		return CLI_DONE;
	if (strcmp(why, "exited with status 2") != 0)
		cli_failf(verb, arguments.file,
			  "the process that reads symbols %s", why);
	return CLI_FAILED;
}
