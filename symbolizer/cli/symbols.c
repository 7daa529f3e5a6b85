/* epitaph symbols: the symbol store. Files that are added or indexed are read
 * by a child that can be lost over them. */
#include <dirent.h>
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <jansson.h>

#include "../array.h"
#include "../child.h"
#include "../index/index.h"
#include "../intake.h"
#include "../lookup.h"
#include "../print.h"
#include "../store.h"
#include "../symbolize.h"
#include "api.h"
#include "cli.h"
#include "input.h"
#include "servers.h"
#include "symbols.h"
#include "symdump.h"

static const char verb[] = "symbols";

#define ACTIONS "add, dump, index, list, missing or prune?"

enum {
	MAX_DEPTH = 16, /* of directories */
	MAX_FILES = 1 << 20,
	INDEX_DEADLINE_MS = 600000,
};

struct arguments {
	struct cli_options options;
	char store[PATH_MAX];
	uint64_t max; /* 0: not given */
	struct symdump_options dump;
	char **list; /* files, up to NULL */
};

/* Files */

struct files {
	char **paths;
	bool *named; /* by the user, not come upon in a directory */
	size_t len, cap, named_cap;
};

static bool add_file(struct files *files, const char *path, bool named)
{
	char **more = array_grow(files->paths, files->len, &files->cap,
				 sizeof(*more));
	bool *flags;

	if (!more || files->len == MAX_FILES)
		return false;
	files->paths = more;
	flags = array_grow(files->named, files->len, &files->named_cap,
			   sizeof(*flags));
	if (!flags)
		return false;
	files->named = flags;
	flags[files->len] = named;
	more[files->len] = strdup(path);
	return more[files->len++] != NULL;
}

static bool add_path(struct files *files, const char *path, int depth)
{
	char below[PATH_MAX];
	struct dirent *entry;
	struct stat st;
	bool ok = true;
	DIR *dir;

	if (depth == 0 ? stat(path, &st) != 0 : lstat(path, &st) != 0)
		return depth > 0 || add_file(files, path, true);
	if (!S_ISDIR(st.st_mode))
		return (depth > 0 && !S_ISREG(st.st_mode)) ||
		       add_file(files, path, depth == 0);
	dir = depth < MAX_DEPTH ? opendir(path) : NULL;
	while (dir && ok && (entry = readdir(dir)) != NULL) {
		if (strcmp(entry->d_name, ".") == 0 ||
		    strcmp(entry->d_name, "..") == 0 ||
		    (size_t)snprintf(below, sizeof(below), "%s/%s", path,
				     entry->d_name) >= sizeof(below))
			continue;
		ok = add_path(files, below, depth + 1);
	}
	if (dir)
		closedir(dir);
	return ok;
}

static void files_free(struct files *files)
{
	for (size_t i = 0; i < files->len; i++)
		free(files->paths[i]);
	free(files->paths);
	free(files->named);
}

static bool find_files(char **list, struct files *out)
{
	memset(out, 0, sizeof(*out));
	for (; *list; list++)
		if (!add_path(out, *list, 0))
			return false;
	return true;
}

/* How far we are in the list of files. */
struct position {
	size_t file, nfiles;
};

/* Adding and indexing */

struct order {
	const struct arguments *arguments;
	const char *path;
	bool copies;
	struct position at;
};

/* A child's idle function. */
static void tell_progress(void *context)
{
	const struct order *order = context;

	cli_progress("indexing", order->at.file, order->at.nfiles);
}

/* What the child says, as its first byte; a sentence follows the last. */
enum answer { ANSWER_DONE = 'd', ANSWER_NO_LINES = 'n', ANSWER_FAILED = 'f' };

static _Noreturn void answer(int fd, enum answer what, const struct error *err)
{
	char byte = (char)what;

	child_write(fd, &byte, 1);
	if (err)
		child_write(fd, err->text, strlen(err->text));
	_exit(0);
}

/* The index has all that one of Breakpad's symbol files says, so no copy is
 * kept. */
static bool is_sym(const char *path)
{
	struct sym_file file;

	if (!sym_file_open(path, &file, NULL))
		return false;
	sym_file_close(&file);
	return true;
}

static void copy_file(const struct order *order, int fd)
{
	const struct intake_order copy = {
		.store = order->arguments->store,
		.path = order->path,
	};
	struct intake done;
	struct error err;

	if (!is_sym(order->path) && !intake(&copy, &done, &err))
		answer(fd, ANSWER_FAILED, &err);
}

/* Make the index, and say what came of it. */
static _Noreturn void prepare(struct lookup *lookup, int fd)
{
	struct error err;

	if (lookup_prepare(lookup))
		answer(fd, ANSWER_DONE, NULL);
	if (!lookup_why(lookup))
		answer(fd, ANSWER_NO_LINES, NULL);
	fail(&err, ERR_BAD_DATA, "%s", lookup_why(lookup));
	answer(fd, ANSWER_FAILED, &err);
}

static void index_file(void *context, int fd)
{
	const struct order *order = context;
	struct finder *finder;
	struct lookup *lookup;
	struct error err;

	setenv("EPITAPH_SYMBOLS", order->arguments->store, 1);
	if (order->copies)
		copy_file(order, fd);
	finder = finder_new(NULL, 0, NULL);
	if (!finder)
		_exit(1);
	lookup = lookup_open_file(finder, order->path, &err);
	if (lookup)
		prepare(lookup, fd);
	answer(fd, ANSWER_FAILED, &err);
}

/* False where it could not be read, with ERR. */
static bool do_file(child_job *job, struct order *order, enum answer *out,
		    struct error *err)
{
	struct child child = {
		.idle = tell_progress, .idle_context = order,
	};
	char byte = 0, text[sizeof(err->text)] = "";
	size_t len = 0;

	if (!child_start(job, order, child_now_ms() + INDEX_DEADLINE_MS,
			 &child, err))
		return false;
	child_read(&child, &byte, 1);
	while (len + 1 < sizeof(text) && child_read(&child, text + len, 1))
		len++;
	if (!child_reap(&child, err->text, sizeof(err->text)))
		return false;
	*out = (enum answer)byte;
	if (byte == ANSWER_FAILED)
		return fail(err, ERR_BAD_DATA, "%s", text);
	return true;
}

static int add_or_index(const struct arguments *arguments, bool copies)
{
	struct order order = { .arguments = arguments, .copies = copies };
	size_t done = 0, without = 0;
	struct files files;
	int status = CLI_DONE;

	if (!find_files(arguments->list, &files)) {
		files_free(&files);
		return cli_failf(verb, NULL, "too many files");
	}
	for (size_t i = 0; i < files.len; i++) {
		enum answer what = ANSWER_FAILED;
		struct error err;

		order.at = (struct position){ i, files.len };
		order.path = files.paths[i];
		tell_progress(&order);
		/* A directory may hold anything; a file was meant. */
		if (!do_file(index_file, &order, &what, &err) &&
		    files.named[i])
			status = cli_fail(verb, order.path, &err);
		done += what == ANSWER_DONE;
		without += what == ANSWER_NO_LINES;
	}
	cli_progress_end();
	printf("%zu indexed, %zu without lines\n", done, without);
	files_free(&files);
	return status;
}

/* Sending */

/* A file that was come upon may be anything: whether it is worth sending. */
static void judge_file(void *context, int fd)
{
	const struct order *order = context;
	struct elf_file file;
	struct error err;

	if (is_sym(order->path))
		answer(fd, ANSWER_DONE, NULL);
	if (!elf_file_open(order->path, &file, &err))
		answer(fd, ANSWER_FAILED, &err);
	answer(fd, file.build_id.len > 0 && (file.has_code || file.has_dwarf ||
					     file.has_symtab)
			   ? ANSWER_DONE : ANSWER_NO_LINES, NULL);
}

static int send_files(const struct arguments *arguments)
{
	struct order order = { .arguments = arguments };
	size_t n[SENT_KINDS] = { 0 };
	int status = CLI_DONE;
	struct files files;

	if (!find_files(arguments->list, &files)) {
		files_free(&files);
		return cli_failf(verb, NULL, "too many files");
	}
	for (size_t i = 0; i < files.len; i++) {
		enum answer what = ANSWER_DONE;
		enum sent sent;
		struct error err;

		order.path = files.paths[i];
		if (!files.named[i] && (!do_file(judge_file, &order, &what,
						 &err) ||
					what != ANSWER_DONE))
			continue;
		if (symbols_send(&arguments->options, order.path, &sent, &err))
			n[sent]++;
		else
			status = cli_fail(verb, order.path, &err);
	}
	printf("%zu sent, %zu there already\n", n[SENT_NEW], n[SENT_SAME]);
	files_free(&files);
	return status;
}

/* Listing */

static const char *kind_name(enum store_kind kind)
{
	switch (kind) {
	case STORE_INDEX: return "index";
	case STORE_DEBUG: return "debug";
	case STORE_CODE: break;
	}
	return "binary";
}

/* Where an index came from; "" for what is none. */
static void find_source(const struct store_entry *entry, char *out, size_t cap)
{
	struct index *index = entry->kind == STORE_INDEX
				      ? index_open(entry->path, NULL) : NULL;
	const char *source = index ? index_source(index) : NULL;

	snprintf(out, cap, "%s", source ? source : "");
	index_close(index);
}

static json_t *entry_json(const struct store_entry *entry, const char *hex,
			  const char *source)
{
	return json_pack("{s:s, s:s, s:I, s:I, s:s, s:s?}", "build_id", hex,
			 "kind", kind_name(entry->kind), "bytes",
			 (json_int_t)entry->bytes, "used",
			 (json_int_t)entry->used_s, "path", entry->path,
			 "source", *source ? source : NULL);
}

static int list(const struct arguments *arguments)
{
	json_t *all = json_array();
	struct store_list list;

	if (!all || !store_list(arguments->store, &list))
		return cli_failf(verb, NULL, "no memory");
	for (size_t i = 0; i < list.len; i++) {
		const struct store_entry *entry = &list.entries[i];
		char hex[2 * MAX_BUILD_ID + 1], source[PATH_MAX];

		build_id_format(&entry->id, hex);
		find_source(entry, source, sizeof(source));
		if (arguments->options.json) {
			json_array_append_new(all,
					      entry_json(entry, hex, source));
			continue;
		}
		printf("%-40s %-6s %9.1f MB  ", hex, kind_name(entry->kind),
		       (double)entry->bytes / 1e6);
		print_escaped(stdout, source);
		putchar('\n');
	}
	if (arguments->options.json) {
		json_dumpf(all, stdout, JSON_COMPACT);
		putchar('\n');
	}
	json_decref(all);
	store_list_free(&list);
	return CLI_DONE;
}

/* What is missing */

struct lack {
	char hex[2 * MAX_BUILD_ID + 1];
	char *path;
	size_t frames, reports;
	size_t last; /* report that was counted */
};

struct lacks {
	struct lack *list;
	size_t len, cap;
	size_t report; /* the one that is looked at */
};

static struct lack *find_lack(struct lacks *lacks, const struct module *module)
{
	char hex[2 * MAX_BUILD_ID + 1];
	struct lack *more;

	build_id_format(&module->build_id, hex);
	for (size_t i = 0; i < lacks->len; i++)
		if (strcmp(lacks->list[i].hex, hex) == 0)
			return &lacks->list[i];
	more = array_grow(lacks->list, lacks->len, &lacks->cap, sizeof(*more));
	if (!more)
		return NULL;
	lacks->list = more;
	more += lacks->len++;
	memset(more, 0, sizeof(*more));
	memcpy(more->hex, hex, sizeof(hex));
	more->path = strdup(module->path ? module->path : "?");
	more->last = SIZE_MAX;
	return more;
}

static void count_thread(struct lacks *lacks, const struct report *report,
			 const struct symbolized *symbolized,
			 const struct thread *thread)
{
	for (size_t i = 0; i < thread->nframes; i++) {
		uint64_t offset;
		int32_t number = report_frame_module(
			report, &thread->frames[i], &offset);
		const struct module *module = report_module(report, number);
		struct lack *lack;

		if (!module ||
		    symbolized->modules[number].status != SYMBOLS_MISSING)
			continue;
		lack = find_lack(lacks, module);
		if (!lack)
			return;
		lack->frames++;
		lack->reports += lack->last != lacks->report;
		lack->last = lacks->report;
	}
}

static void show_looking(void *context, size_t done, size_t total)
{
	const struct position *at = context;
	size_t part = total ? done * 100 / total : 0;

	cli_progress("looking", at->file * 100 + part, at->nfiles * 100);
}

static bool count_report(struct lacks *lacks, const char *path,
			 const struct arguments *arguments,
			 struct position *at, struct error *err)
{
	static struct servers servers;
	const struct symbolize_options options = {
		.dirs = arguments->options.dirs,
		.ndirs = arguments->options.ndirs,
		.progress = show_looking,
		.context = at,
		.debuginfod = servers_options(&servers),
	};
	struct symbolized symbolized;
	struct report report;
	bool ok;

	if (!input_report(path, &report, err))
		return false;
	ok = symbolize(&report, &options, &symbolized, err);
	for (size_t i = 0; ok && i < report.nthreads; i++)
		count_thread(lacks, &report, &symbolized, &report.threads[i]);
	report_free(&report);
	lacks->report++;
	return ok;
}

static int by_frames(const void *left, const void *right)
{
	const struct lack *a = left, *b = right;

	return a->frames > b->frames ? -1 : a->frames < b->frames;
}

static void print_lacks(const struct lacks *lacks, bool as_json)
{
	json_t *all = json_array();

	for (size_t i = 0; i < lacks->len; i++) {
		const struct lack *lack = &lacks->list[i];

		if (as_json) {
			json_array_append_new(all, json_pack(
				"{s:s, s:s?, s:I, s:I}", "build_id", lack->hex,
				"path", lack->path, "frames",
				(json_int_t)lack->frames, "reports",
				(json_int_t)lack->reports));
			continue;
		}
		printf("%7zu frames in %5zu reports  %s  ", lack->frames,
		       lack->reports, lack->hex);
		print_escaped(stdout, lack->path ? lack->path : "?");
		putchar('\n');
	}
	if (as_json) {
		json_dumpf(all, stdout, JSON_COMPACT);
		putchar('\n');
	}
	json_decref(all);
}

static int missing(const struct arguments *arguments)
{
	struct lacks lacks = { 0 };
	struct files files;
	int status = CLI_DONE;

	if (!find_files(arguments->list, &files)) {
		files_free(&files);
		return cli_failf(verb, NULL, "too many files");
	}
	setenv("EPITAPH_SYMBOLS", arguments->store, 1);
	for (size_t i = 0; i < files.len; i++) {
		struct position at = { i, files.len };
		struct error err;

		show_looking(&at, 0, 0);
		if (!count_report(&lacks, files.paths[i], arguments, &at,
				  &err) && files.named[i])
			status = cli_fail(verb, files.paths[i], &err);
	}
	cli_progress_end();
	array_sort(lacks.list, lacks.len, sizeof(*lacks.list), by_frames);
	print_lacks(&lacks, arguments->options.json);
	for (size_t i = 0; i < lacks.len; i++)
		free(lacks.list[i].path);
	free(lacks.list);
	files_free(&files);
	return status;
}

/* The command line */

/* "12", "12K", "12M", "12G". */
static bool parse_size(const char *text, uint64_t *out)
{
	static const char units[] = "KMG";
	const char *unit;
	char *end;
	uint64_t value;

	errno = 0;
	value = strtoull(text, &end, 10);
	unit = *end ? strchr(units, *end) : NULL;
	if (errno || end == text || *text == '-' ||
	    (*end && (!unit || end[1] != '\0')) || value > UINT64_MAX >> 30)
		return false;
	*out = unit ? value << 10 * (unit - units + 1) : value;
	return true;
}

/* -1, or the exit status. */
static int parse(int argc, char **argv, struct arguments *out)
{
	static const struct option options[] = {
		{ "collector", required_argument, NULL, 'c' },
		{ "help", no_argument, NULL, 'h' },
		{ "json", no_argument, NULL, 'j' },
		{ "max", required_argument, NULL, 'm' },
		{ "name", required_argument, NULL, 'n' },
		{ "output", required_argument, NULL, 'o' },
		{ "symbols", required_argument, NULL, 'S' },
		{ "token-file", required_argument, NULL, 'T' },
		{ "tree", required_argument, NULL, 't' },
		{ NULL, 0, NULL, 0 },
	};
	int option;

	if (!store_dir(out->store, sizeof(out->store)))
		out->store[0] = '\0';
	while ((option = getopt_long(argc, argv, "c:o:S:h", options, NULL)) !=
	       -1) {
		switch (option) {
		case 'c': out->options.url = optarg; break;
		case 'T': out->options.token_file = optarg; break;
		case 'j': out->options.json = true; break;
		case 'n': out->dump.name = optarg; break;
		case 'o': out->dump.output = optarg; break;
		case 't': out->dump.tree = optarg; break;
		case 'h': return cli_help(verb);
		case 'm':
			if (!parse_size(optarg, &out->max))
				return cli_usage(verb, "--max %s: not a size "
						 "such as 500M", optarg);
			break;
		case 'S':
			if ((size_t)snprintf(out->store, sizeof(out->store),
					     "%s", optarg) >=
			    sizeof(out->store))
				return cli_usage(verb, "-S: too long");
			break;
		default: return cli_usage(verb, "wrong option");
		}
	}
	out->list = argv + optind;
	return -1;
}

static int dump(const struct arguments *arguments)
{
	setenv("EPITAPH_SYMBOLS", arguments->store, 1);
	return symdump(&arguments->dump, arguments->list);
}

static int prune(const struct arguments *arguments)
{
	size_t n = store_prune(arguments->store, arguments->max
							 ? arguments->max
							 : STORE_MAX_BYTES);

	printf("%zu removed\n", n);
	return CLI_DONE;
}

/* With a collector: its files, or its reports. */
static int talk(const char *what, const struct arguments *arguments)
{
	bool adds = strcmp(what, "add") == 0;

	if (!adds && strcmp(what, "missing") != 0)
		return cli_usage(verb, "-c: of add and missing alone");
	if (adds != (arguments->list[0] != NULL))
		return cli_usage(verb, adds ? "add: no file is named"
					    : "missing: files, or -c?");
	return adds ? send_files(arguments)
		    : symbols_missing_there(&arguments->options);
}

static int add(const struct arguments *arguments)
{
	return add_or_index(arguments, true);
}

static int index_in_place(const struct arguments *arguments)
{
	return add_or_index(arguments, false);
}

static int take(const struct arguments *arguments)
{
	return symbols_take(arguments->store, arguments->max,
			    arguments->list[0]);
}

static const struct {
	const char *name;
	bool takes_files;
	int (*run)(const struct arguments *arguments);
} actions[] = {
	{ "add", true, add },
	{ "dump", true, dump },
	{ "index", true, index_in_place },
	{ "list", false, list },
	{ "missing", true, missing },
	{ "prune", false, prune },
	{ "take", true, take }, /* a collector's own */
};

static int act(const char *what, const struct arguments *arguments)
{
	size_t n = sizeof(actions) / sizeof(actions[0]), i = 0;

	while (i < n && strcmp(actions[i].name, what) != 0)
		i++;
	if (i == n)
		return cli_usage(verb, "%s: " ACTIONS, what);
	if (actions[i].takes_files && !arguments->list[0])
		return cli_usage(verb, "%s: no file is named", what);
	if (!actions[i].takes_files && arguments->list[0])
		return cli_usage(verb, "%s: %s: unexpected", what,
				 arguments->list[0]);
	return actions[i].run(arguments);
}

int cli_symbols(int argc, char **argv)
{
	struct arguments arguments = { 0 };
	int status = parse(argc, argv, &arguments);
	const char *what;

	if (status >= 0)
		return status;
	what = arguments.list[0];
	if (!what)
		return cli_usage(verb, ACTIONS);
	arguments.list++;
	/* Only -c itself: EPITAPH_URL is set where programs crash, and adding
	 * to the store of this machine is no word to others. */
	if (arguments.options.url)
		return talk(what, &arguments);
	if (arguments.store[0] == '\0')
		return cli_failf(verb, NULL, "no store: name one with -S");
	return act(what, &arguments);
}
