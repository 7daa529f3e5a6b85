/* epitaph core: an ELF core of a report, for gdb. A child that can be lost
 * reads the modules' files, and writes the core. */
#include <fcntl.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../child.h"
#include "../corefile.h"
#include "cli.h"
#include "input.h"

static const char verb[] = "core";

enum { DEADLINE_MS = 120000 };

#define MAX_CORE ((size_t)1 << 30)

struct arguments {
	struct cli_options options;
	const char *from, *to;
};

struct order {
	const struct arguments *arguments;
	const struct report *report;
	int to;
};

/* -1, or the exit status. */
static int parse(int argc, char **argv, struct arguments *out)
{
	static const struct option options[] = {
		{ "help", no_argument, NULL, 'h' },
		{ "output", required_argument, NULL, 'o' },
		{ "symbols", required_argument, NULL, 'S' },
		{ NULL, 0, NULL, 0 },
	};
	int option;

	while ((option = getopt_long(argc, argv, "o:S:h", options, NULL)) !=
	       -1) {
		switch (option) {
		case 'o': out->to = optarg; break;
		case 'h': return cli_help(verb);
		case 'S':
			if (!cli_add_dir(&out->options, optarg))
				return cli_usage(verb, "-S: too many");
			break;
		default: return cli_usage(verb, "wrong option");
		}
	}
	if (argc - optind != 1)
		return cli_usage(verb, "one file, please");
	if (out->to == NULL)
		return cli_usage(verb, "-o CORE is missing");
	out->from = argv[optind];
	return -1;
}

static void be_the_child(void *context, int fd)
{
	const struct order *order = context;
	struct finder *finder = finder_new(order->arguments->options.dirs,
					   order->arguments->options.ndirs,
					   NULL);
	struct writer core;

	(void)fd;
	writer_init(&core, MAX_CORE);
	if (!finder || !corefile_make(order->report, finder, &core))
		_exit(1);
	child_write(order->to, core.bytes, core.len);
}

static bool write_core(struct order *order, struct error *err)
{
	struct child child = { .idle = NULL };
	char why[sizeof(err->text)], end;

	if (!child_start(be_the_child, order, child_now_ms() + DEADLINE_MS,
			 &child, err))
		return false;
	child_read(&child, &end, sizeof(end));
	if (child_reap(&child, why, sizeof(why)))
		return true;
	return fail(err, ERR_BAD_DATA, "the process that makes the core %s",
		    why);
}

int cli_core(int argc, char **argv)
{
	struct arguments arguments = { 0 };
	int status = parse(argc, argv, &arguments);
	struct order order = { .arguments = &arguments };
	struct report report;
	struct error err;
	bool ok;

	if (status >= 0)
		return status;
	if (!input_report(arguments.from, &report, &err))
		return cli_fail(verb, arguments.from, &err);
	order.report = &report;
	/* Somebody's memory: nobody else's to read. */
	order.to = open(arguments.to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC,
			0600);
	if (order.to < 0) {
		fail_errno(&err, "open");
		report_free(&report);
		return cli_fail(verb, arguments.to, &err);
	}
	ok = write_core(&order, &err);
	if (close(order.to) != 0 && ok)
		ok = fail_errno(&err, "close");
	if (!ok)
		unlink(arguments.to);
	report_free(&report);
	return ok ? CLI_DONE : cli_fail(verb, arguments.from, &err);
}
