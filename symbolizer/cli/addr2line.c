/* epitaph addr2line: binutils' options and output, answered from the index. The
 * child that reads the file also writes the answers; this process only waits
 * for it. */
#include <ctype.h>
#include <fcntl.h>
#include <getopt.h>
#include <libiberty/libiberty.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../child.h"
#include "../demangle.h"
#include "../finder.h"
#include "../lookup.h"
#include "../radix.h"
#include "../symbolize.h"
#include "cli.h"

static const char verb[] = "addr2line";

enum {
	INPUT = 1 << 16, /* bytes read at once */
	MAX_LINE = 256,  /* of an address; the rest of a longer one is lost */
	FIRST_MEMO = 1 << 12,
	PATIENCE_MS = 20,
	BATCH = 1 << 15, /* addresses that are looked up in their order: what
	                  * was just read for one is at hand for the next */
};

#define OUTPUT ((size_t)1 << 20) /* bytes collected before they are written */
#define ANSWERS ((size_t)16 << 20) /* bytes kept of a batch */
#define HUGE ((size_t)2 << 20)     /* a large page */
#define NO_DEADLINE (INT64_MAX / 2) /* the input may be a person */

struct arguments {
	struct cli_options options;
	const char *file, *build_id, *section;
	bool addresses, demangle, functions, inlines, pretty, basenames;
	char **list; /* addresses, up to NULL */
	int go[2]; /* a pipe, or -1: the child writes to the terminal once
	            * this process has taken its bar away and said so */
};

/* What a name was demangled to. */
struct memo {
	const char *key;
	char *value;
	size_t len;
};

struct question {
	uint64_t address; /* first, as radix.h wants it */
	uint32_t number; /* in the batch, as they came */
};

/* In the batch's answers. */
struct answer {
	size_t at, len; /* LEN 0: not kept */
};

struct work {
	const struct arguments *arguments;
	struct lookup *lookup;
	uint64_t bias; /* of the section */
	struct question batch[BATCH];
	size_t nbatch;
	bool has_answered;
	int to_parent;
	bool has_turn;
	struct writer answers, out;
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

/* Names */

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
static const struct memo *demangled(struct work *work, const char *name)
{
	char text[SYMBOLIZE_MAX_NAME];
	struct memo *memo;

	if (work->nmemos * 2 >= work->slots)
		more_memos(work);
	memo = find_memo(work->memos, work->slots, name);
	if (memo->key)
		return memo;
	demangle(name, text, sizeof(text));
	memo->value = strdup(text);
	if (!memo->value)
		_exit(1);
	memo->len = strlen(text);
	memo->key = name;
	work->nmemos++;
	return memo;
}

/* Answers */

static void put(struct writer *to, const char *text)
{
	writer_bytes(to, text, strlen(text));
}

static void put_function(struct work *work, const struct level *level,
			 struct writer *to)
{
	const char *name = level->function;
	const struct memo *memo;

	if (name && work->arguments->demangle && level->is_linkage) {
		memo = demangled(work, name);
		writer_bytes(to, memo->value, memo->len);
	} else {
		put(to, name ? name : "??");
	}
	put(to, work->arguments->pretty ? " at " : "\n");
}

static void put_place(struct work *work, const struct level *level,
		      struct writer *to)
{
	const char *file = level->file ? level->file : "??";
	const char *slash = work->arguments->basenames ? strrchr(file, '/')
						       : NULL;
	char line[16];
	char *at = line + sizeof(line);
	uint32_t left = level->line;

	put(to, slash ? slash + 1 : file);
	*--at = '\n';
	if (left == 0)
		*--at = '?';
	for (; left > 0; left /= 10)
		*--at = (char)('0' + left % 10);
	*--at = ':';
	writer_bytes(to, at, (size_t)(line + sizeof(line) - at));
}

static void answer(struct work *work, uint64_t address, struct writer *to)
{
	const struct arguments *arguments = work->arguments;
	struct level levels[SYMBOLIZE_MAX_INLINES];
	size_t n = lookup_levels(work->lookup, work->bias + address, levels);
	char text[32];

	if (arguments->addresses) {
		snprintf(text, sizeof(text), "0x%016llx%s",
			 (unsigned long long)address,
			 arguments->pretty ? ": " : "\n");
		put(to, text);
	}
	if (n == 0) {
		if (arguments->functions)
			put(to, arguments->pretty ? "?? " : "??\n");
		put(to, "??:0\n");
	}
	for (size_t i = 0; i < n; i++) {
		if (i > 0 && arguments->pretty)
			put(to, " (inlined by) ");
		if (arguments->functions)
			put_function(work, &levels[i], to);
		put_place(work, &levels[i], to);
		if (!arguments->inlines)
			break;
	}
}

/* Before anything is said the bar has to be gone. */
static void take_turn(struct work *work)
{
	const int *go = work->arguments->go;
	char byte = 0;

	if (go[0] >= 0 && !work->has_turn) {
		child_write(work->to_parent, &byte, 1);
		close(go[1]);
		if (read(go[0], &byte, 1) < 0)
			_exit(1);
	}
	work->has_turn = true;
}

static void flush(struct work *work)
{
	take_turn(work);
	child_write(STDOUT_FILENO, work->out.bytes, work->out.len);
	work->out.len = 0;
}

/* Where there is much to say, fresh pages are a tenth of the time; of large
 * ones there are fewer. */
static void enlarge(struct writer *answers)
{
	uint8_t *bytes = aligned_alloc(HUGE, ANSWERS);

	if (!bytes)
		return;
	madvise(bytes, ANSWERS, MADV_HUGEPAGE);
	writer_fini(answers);
	writer_init(answers, SIZE_MAX);
	answers->bytes = bytes;
	answers->cap = ANSWERS;
}

/* Look the batch up by address, and print it as it came. */
static void answer_batch(struct work *work)
{
	static struct question sorted[BATCH], scratch[BATCH];
	static struct answer answers[BATCH];

	if (work->nbatch == BATCH && work->answers.cap < ANSWERS)
		enlarge(&work->answers);
	memcpy(sorted, work->batch, work->nbatch * sizeof(*sorted));
	radix_sort(sorted, scratch, work->nbatch, sizeof(*sorted));
	work->answers.len = 0;
	for (size_t i = 0; i < work->nbatch; i++) {
		struct answer *to = &answers[sorted[i].number];

		to->at = work->answers.len;
		if (to->at < ANSWERS)
			answer(work, sorted[i].address, &work->answers);
		to->len = work->answers.len - to->at;
	}
	for (size_t i = 0; i < work->nbatch; i++) {
		if (answers[i].len > 0)
			writer_bytes(&work->out,
				     work->answers.bytes + answers[i].at,
				     answers[i].len);
		else
			answer(work, work->batch[i].address, &work->out);
		if (work->out.len >= OUTPUT)
			flush(work);
	}
	work->nbatch = 0;
	work->has_answered = true;
}

/* These are the last ones: where nothing was asked before, they are all. */
static void answer_rest(struct work *work)
{
	uint64_t addresses[LOOKUP_MAX_EXPECTED];

	if (work->nbatch <= LOOKUP_MAX_EXPECTED) {
		for (size_t i = 0; i < work->nbatch; i++)
			addresses[i] = work->bias + work->batch[i].address;
		lookup_expect(work->lookup, addresses, work->nbatch);
	}
	answer_batch(work);
	flush(work);
}

/* Questions */

static void ask(struct work *work, const char *text)
{
	work->batch[work->nbatch] = (struct question){
		strtoull(text, NULL, 16), (uint32_t)work->nbatch,
	};
	if (++work->nbatch == BATCH)
		answer_batch(work);
}

/* Whoever asks one address and waits gets the answer; whoever sends many is not
 * held up by it. Before the first answer there is some time for an end: that
 * these are all may save a second. */
static ssize_t read_more(struct work *work, char *to, size_t len)
{
	struct pollfd more = { .fd = STDIN_FILENO, .events = POLLIN };

	if (poll(&more, 1, work->has_answered ? 0 : PATIENCE_MS) == 0 &&
	    work->nbatch > 0) {
		answer_batch(work);
		flush(work);
	}
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
	static struct work work;
	const struct arguments *arguments = context;
	struct finder *finder = finder_new(arguments->options.dirs,
					   arguments->options.ndirs, NULL);
	struct error err;

	if (!finder)
		_exit(1);
	work.arguments = arguments;
	work.to_parent = fd;
	writer_init(&work.answers, SIZE_MAX);
	writer_init(&work.out, SIZE_MAX);
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
	answer_rest(&work);
}

/* A child's idle function. */
static void tell_progress(void *context)
{
	(void)context;
	cli_progress("reading", 0, 1);
}

/* Until the child has said all that it has to. */
static void wait_for(struct child *child, const struct arguments *arguments)
{
	char byte;

	if (!child_read(child, &byte, 1))
		return;
	child->idle = NULL;
	cli_progress_end();
	if (write(arguments->go[1], &byte, 1) == 1)
		child_read(child, &byte, 1);
}

int cli_addr2line(int argc, char **argv)
{
	struct arguments arguments = { .go = { -1, -1 } };
	struct child child = { .idle = NULL };
	char why[sizeof(((struct error *)0)->text)];
	struct error err;
	int status;

	expandargv(&argc, &argv);
	status = parse(argc, argv, &arguments);
	if (status >= 0)
		return status;
	/* Whoever is to type addresses is not shown how long that takes. */
	if (arguments.list[0] && isatty(STDERR_FILENO) &&
	    pipe2(arguments.go, O_CLOEXEC) == 0)
		child.idle = tell_progress;
	if (!child_start(be_the_child, &arguments, NO_DEADLINE, &child, &err))
		return cli_fail(verb, NULL, &err);
	wait_for(&child, &arguments);
	cli_progress_end();
	if (child_reap(&child, why, sizeof(why)))
		return CLI_DONE;
	if (strcmp(why, "exited with status 2") != 0)
		cli_failf(verb, arguments.file,
			  "the process that reads symbols %s", why);
	return CLI_FAILED;
}
