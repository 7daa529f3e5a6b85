/* epitaph symbolize: reports in, names out. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../lib/proc/core.h"
#include "../print.h"
#include "../source.h"
#include "../symbolize.h"
#include "cli.h"
#include "input.h"
#include "servers.h"

static const char verb[] = "symbolize";

enum {
	AROUND = 5,       /* lines, where sources are asked for: gdb's ten */
	AROUND_FIRST = 2, /* where they are not */
};

struct arguments {
	struct cli_options options;
	struct servers servers;
	const struct debuginfod_options *debuginfod;
	bool all_threads;
	bool shows_source;
	struct source_options source;
	bool args;
};

/* --source, or --source=TEXT. */
static bool parse_source(const char *text, struct arguments *out)
{
	char *end;
	unsigned long n = text ? strtoul(text, &end, 10) : AROUND;

	if (text && (end == text || *end || *text == '-'))
		return false;
	out->source.around = (unsigned)n;
	out->source.all_frames = out->shows_source = true;
	out->source.public_only = false;
	return n <= SOURCE_MAX_AROUND;
}

static bool add_source_path(const char *path, struct source_options *out)
{
	if (out->npaths == SOURCE_MAX_PATHS)
		return false;
	out->paths[out->npaths++] = path;
	return true;
}

/* What is not asked for is shown to people alone, and nothing that not all of
 * them could read: whose program crashed chose the file. */
static void default_source(struct arguments *out)
{
	out->shows_source = true;
	out->source.around = AROUND_FIRST;
	out->source.public_only = true;
}

/* -1, or the exit status. */
static int parse(int argc, char **argv, struct arguments *out)
{
	static const struct option options[] = {
		{ "all-threads", no_argument, NULL, 'a' },
		{ "args", no_argument, NULL, 'A' },
		SERVERS_OPTIONS,
		{ "help", no_argument, NULL, 'h' },
		{ "json", no_argument, NULL, 'j' },
		{ "no-source", no_argument, NULL, 'n' },
		{ "source", optional_argument, NULL, 's' },
		{ "source-path", required_argument, NULL, 'p' },
		{ "symbols", required_argument, NULL, 'S' },
		{ NULL, 0, NULL, 0 },
	};
	struct error err;
	int option;

	default_source(out);
	while ((option = getopt_long(argc, argv, "S:h", options, NULL)) != -1) {
		switch (option) {
		case 'a': out->all_threads = true; break;
		case 'j': out->options.json = true; break;
		case 'h': return cli_help(verb);
		case 'n': out->shows_source = false; break;
		case 's':
			if (!parse_source(optarg, out))
				return cli_usage(verb, "--source=%s: not a "
						 "number of lines", optarg);
			break;
		case 'p':
			if (!add_source_path(optarg, &out->source))
				return cli_usage(verb, "--source-path: too "
						 "many");
			break;
		case 'A': out->args = true; break;
		case 'S':
			if (!cli_add_dir(&out->options, optarg))
				return cli_usage(verb, "-S: too many");
			break;
		case SERVERS_URL: case SERVERS_TIMEOUT: case SERVERS_MAX:
			if (!servers_set(&out->servers, option, optarg, &err))
				return cli_usage(verb, "%s", err.text);
			break;
		default: return cli_usage(verb, "wrong option");
		}
	}
	if (optind == argc)
		return cli_usage(verb, "no file is named");
	out->source.all_threads = out->all_threads || out->options.json;
	if (out->options.json && !out->source.all_frames)
		out->shows_source = false;
	out->debuginfod = servers_options(&out->servers);
	return -1;
}

/* How far we are in the list of files. */
struct position {
	size_t file, nfiles;
};

static void show_progress(void *context, size_t done, size_t total)
{
	const struct position *at = context;
	size_t part = total ? done * 100 / total : 0;

	cli_progress("symbolizing", at->file * 100 + part, at->nfiles * 100);
}

static bool print_one(const struct report *report,
		      const struct symbolized *symbolized,
		      const struct arguments *arguments)
{
	struct print_style style = {
		.color = cli_color(stdout),
		.all_threads = arguments->all_threads,
	};
	json_t *json = print_report_json(report, symbolized);
	bool ok = json != NULL;

	if (ok && arguments->shows_source)
		source_add(json, &arguments->source);
	if (ok && arguments->options.json) {
		ok = json_dumpf(json, stdout, JSON_COMPACT) == 0;
		putchar('\n');
	} else if (ok) {
		print_report_text(stdout, json, &style);
	}
	json_decref(json);
	return ok && !ferror(stdout);
}

static bool symbolize_report(struct report *report,
			     const struct arguments *arguments,
			     struct position *at, struct error *err)
{
	struct symbolize_options options = {
		.dirs = arguments->options.dirs,
		.ndirs = arguments->options.ndirs,
		.debuginfod = arguments->debuginfod,
		.progress = show_progress,
		.context = at,
		.crashed_only = !arguments->options.json &&
				!arguments->all_threads,
		.wants_variables = arguments->args,
	};
	struct symbolized symbolized;
	bool ok = symbolize(report, &options, &symbolized, err);

	cli_progress_hide();
	if (ok && !print_one(report, &symbolized, arguments))
		ok = fail_errno(err, "write");
	return ok;
}

static bool symbolize_file(const char *path, const struct arguments *arguments,
			   struct position *at, struct error *err)
{
	bool is_core = strcmp(path, "-") != 0 && core_is(path);
	struct report report;
	struct core core;
	bool ok;

	if (is_core ? !core_load(path, &core, &report, err)
		    : !input_report(path, &report, err))
		return false;
	ok = symbolize_report(&report, arguments, at, err);
	report_free(&report);
	if (is_core)
		core_close(&core);
	return ok;
}

int cli_symbolize(int argc, char **argv)
{
	struct arguments arguments = { 0 };
	int status = parse(argc, argv, &arguments);
	struct position at = { 0 };

	if (status >= 0)
		return status;
	status = CLI_DONE;
	at.nfiles = (size_t)(argc - optind);
	for (; at.file < at.nfiles; at.file++) {
		const char *path = argv[optind + (int)at.file];
		struct error err;

		if (at.nfiles > 1 && !arguments.options.json)
			printf("%s==> %s <==\n", at.file ? "\n" : "", path);
		if (!symbolize_file(path, &arguments, &at, &err)) {
			fflush(stdout);
			status = cli_fail(verb, path, &err);
		}
	}
	cli_progress_end();
	if (fflush(stdout) != 0)
		status = cli_failf(verb, NULL, "write: %m");
	return status;
}
