/* epitaph list: the collector's groups as a table. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "../print.h"
#include "api.h"
#include "cli.h"
#include "http_curl.h"

static const char verb[] = "list";

struct arguments {
	struct cli_options options;
	const char *status;
	const char *query;
	long limit;
};

/* -1, or the exit status. */
static int parse(int argc, char **argv, struct arguments *out)
{
	static const struct option options[] = {
		{ "collector", required_argument, NULL, 'c' },
		{ "help", no_argument, NULL, 'h' },
		{ "json", no_argument, NULL, 'j' },
		{ "limit", required_argument, NULL, 'l' },
		{ "status", required_argument, NULL, 's' },
		{ "token-file", required_argument, NULL, 't' },
		{ NULL, 0, NULL, 0 },
	};
	char *end;
	int option;

	while ((option = getopt_long(argc, argv, "c:h", options, NULL)) != -1) {
		switch (option) {
		case 'c': out->options.url = optarg; break;
		case 'j': out->options.json = true; break;
		case 's': out->status = optarg; break;
		case 't': out->options.token_file = optarg; break;
		case 'h': return cli_help(verb);
		case 'l':
			errno = 0;
			out->limit = strtol(optarg, &end, 10);
			if (errno || *end || out->limit < 1)
				return cli_usage(verb, "--limit %s: not a "
						 "number above 0", optarg);
			break;
		default: return cli_usage(verb, "wrong option");
		}
	}
	if (argc - optind > 1)
		return cli_usage(verb, "more than one query");
	out->query = argv[optind];
	return -1;
}

/* "/api/v1/groups?..."; malloc'd. */
static char *make_path(const struct arguments *arguments)
{
	const char *query = arguments->query ? arguments->query : "";
	const char *status = arguments->status ? arguments->status : "";
	char *q = http_curl_escape(query);
	char *s = http_curl_escape(status);
	char *path = NULL;

	if (q && s &&
	    asprintf(&path, "/api/v1/groups?limit=%ld%s%s%s%s",
		     arguments->limit, *q ? "&q=" : "", q,
		     *s ? "&status=" : "", s) < 0)
		path = NULL;
	free(q);
	free(s);
	return path;
}

static int terminal_width(void)
{
	struct winsize size;

	if (isatty(STDOUT_FILENO) &&
	    ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 40)
		return size.ws_col;
	return 0; /* not a terminal: nothing is cut */
}

/* A cell: a string or a number, as plain ASCII for a column. */
static const char *cell(json_t *group, const char *key, char *buffer,
			size_t cap)
{
	json_t *value = json_object_get(group, key);

	snprintf(buffer, cap, "-");
	if (json_is_integer(value))
		snprintf(buffer, cap, "%lld",
			 (long long)json_integer_value(value));
	else if (json_is_string(value))
		snprintf(buffer, cap, "%s", json_string_value(value));
	for (char *p = buffer; *p; p++)
		if (*p < 0x20 || *p == 0x7f)
			*p = '?';
	return buffer;
}

/* Times without the fraction: 2026-11-20T12:00:00Z. */
static void print_time(const char *time)
{
	printf("%-20.19s", time);
}

static void print_title(json_t *group, int room, bool color)
{
	const char *title = json_string_value(json_object_get(group, "title"));
	char *cut;

	if (title == NULL)
		title = "-";
	cut = strdup(title);
	if (cut && room > 3 && strlen(cut) > (size_t)room) {
		size_t at = (size_t)room - 3;

		while (at > 0 && ((unsigned char)cut[at] & 0xc0) == 0x80)
			at--;
		memcpy(cut + at, "...", 4);
	}
	fputs(color ? "\033[1m" : "", stdout);
	print_escaped(stdout, cut ? cut : title);
	fputs(color ? "\033[0m\n" : "\n", stdout);
	free(cut);
}

enum { COLUMNS_BEFORE_TITLE = 17 + 8 + 7 + 10 + 10 + 20 };

static void print_groups(json_t *groups)
{
	int width = terminal_width();
	bool color = cli_color(stdout);
	json_t *group;
	size_t i;

	printf("%-16s %7s %6s %-9s %-9s %-19s %s\n", "GROUP", "COUNT",
	       "HOSTS", "SIGNAL", "STATUS", "LAST SEEN", "TITLE");
	json_array_foreach(groups, i, group) {
		char b[5][64];

		printf("%-16s %7s %6s %-9s %-9s ",
		       cell(group, "id", b[0], sizeof(b[0])),
		       cell(group, "count", b[1], sizeof(b[1])),
		       cell(group, "hosts", b[2], sizeof(b[2])),
		       cell(group, "signal", b[3], sizeof(b[3])),
		       cell(group, "status", b[4], sizeof(b[4])));
		print_time(cell(group, "last_seen", b[0], sizeof(b[0])));
		print_title(group, width ? width - COLUMNS_BEFORE_TITLE : 0,
			    color);
	}
}

int cli_list(int argc, char **argv)
{
	struct arguments arguments = { .limit = 50 };
	int status = parse(argc, argv, &arguments);
	struct error err;
	json_t *json, *groups;
	char *path;

	if (status >= 0)
		return status;
	api_defaults(&arguments.options);
	path = make_path(&arguments);
	if (path == NULL)
		return cli_failf(verb, NULL, "no memory");
	json = api_get_json(&arguments.options, path, &err);
	free(path);
	if (json == NULL)
		return cli_fail(verb, NULL, &err);
	groups = json_object_get(json, "groups");
	status = CLI_DONE;
	if (arguments.options.json) {
		json_dumpf(json, stdout, JSON_COMPACT);
		putchar('\n');
	} else if (!json_is_array(groups)) {
		status = cli_failf(verb, NULL, "%s: an answer without groups",
				   arguments.options.url);
	} else if (json_array_size(groups) == 0) {
		puts("no groups");
	} else {
		print_groups(groups);
	}
	json_decref(json);
	return fflush(stdout) ? cli_failf(verb, NULL, "write: %m") : status;
}
