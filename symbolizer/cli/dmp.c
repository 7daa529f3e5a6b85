/* epitaph dmp: the plain minidump of a report, for lldb and others. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../lib/report/gzip.h"
#include "../../lib/report/report.h"
#include "api.h"
#include "cli.h"
#include "http_curl.h"
#include "input.h"

static const char verb[] = "dmp";

struct arguments {
	struct cli_options options;
	const char *from;
	const char *to;
};

/* -1, or the exit status. */
static int parse(int argc, char **argv, struct arguments *out)
{
	static const struct option options[] = {
		{ "collector", required_argument, NULL, 'c' },
		{ "help", no_argument, NULL, 'h' },
		{ "output", required_argument, NULL, 'o' },
		{ "token-file", required_argument, NULL, 't' },
		{ NULL, 0, NULL, 0 },
	};
	int option;

	while ((option = getopt_long(argc, argv, "c:o:h", options, NULL)) !=
	       -1) {
		switch (option) {
		case 'c': out->options.url = optarg; break;
		case 'o': out->to = optarg; break;
		case 't': out->options.token_file = optarg; break;
		case 'h': return cli_help(verb);
		default: return cli_usage(verb, "wrong option");
		}
	}
	if (argc - optind != 1)
		return cli_usage(verb, "one file or report, please");
	if (out->to == NULL)
		return cli_usage(verb, "-o OUT is missing");
	out->from = argv[optind];
	return -1;
}

/* The minidump of report ID, from the collector. */
static bool fetch(const struct arguments *arguments, struct writer *out,
		  struct error *err)
{
	char *id = http_curl_escape(arguments->from);
	char *path = NULL;
	bool ok;

	if (id == NULL || asprintf(&path, "/api/v1/reports/%s/dmp", id) < 0) {
		free(id);
		return fail(err, ERR_NO_MEMORY, "no memory");
	}
	ok = api_get(&arguments->options, path, out, err);
	free(path);
	free(id);
	return ok;
}

static bool is_minidump(const struct writer *bytes)
{
	return bytes->len >= 4 && memcmp(bytes->bytes, "MDMP", 4) == 0;
}

static bool write_all(int fd, const struct writer *bytes)
{
	size_t at = 0;

	while (at < bytes->len) {
		ssize_t n = write(fd, bytes->bytes + at, bytes->len - at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		at += (size_t)n;
	}
	return true;
}

static bool put(const char *path, const struct writer *bytes,
		struct error *err)
{
	bool ok;
	int fd;

	if (strcmp(path, "-") == 0)
		return write_all(STDOUT_FILENO, bytes) ||
		       fail_errno(err, "stdout: write");
	/* A dump is somebody's memory: nobody else's to read. */
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0)
		return fail_errno(err, "%s: open", path);
	ok = write_all(fd, bytes);
	if (!ok)
		fail_errno(err, "%s: write", path);
	if (close(fd) != 0 && ok)
		ok = fail_errno(err, "%s: close", path);
	return ok;
}

int cli_dmp(int argc, char **argv)
{
	struct arguments arguments = { 0 };
	int status = parse(argc, argv, &arguments);
	struct writer bytes;
	struct error err;
	bool ok;

	if (status >= 0)
		return status;
	api_defaults(&arguments.options);
	writer_init(&bytes, MAX_REPORT_BYTES);
	if (strcmp(arguments.from, "-") == 0 ||
	    access(arguments.from, F_OK) == 0)
		ok = input_minidump(arguments.from, &bytes, &err);
	else
		ok = fetch(&arguments, &bytes, &err);
	if (ok && !is_minidump(&bytes))
		ok = fail(&err, ERR_BAD_DATA, "not a minidump");
	ok = ok && put(arguments.to, &bytes, &err);
	writer_fini(&bytes);
	return ok ? CLI_DONE : cli_fail(verb, arguments.from, &err);
}
