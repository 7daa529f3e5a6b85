/* epitaph show: one group with its best report, or one report. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../lib/report/uuid.h"
#include "../print.h"
#include "api.h"
#include "cli.h"
#include "http_curl.h"

static const char verb[] = "show";

enum { SHOWN_REPORTS = 10 };

struct arguments {
	struct cli_options options;
	bool all_threads;
	const char *id;
};

/* -1, or the exit status. */
static int parse(int argc, char **argv, struct arguments *out)
{
	static const struct option options[] = {
		{ "all-threads", no_argument, NULL, 'a' },
		{ "collector", required_argument, NULL, 'c' },
		{ "help", no_argument, NULL, 'h' },
		{ "json", no_argument, NULL, 'j' },
		{ "token-file", required_argument, NULL, 't' },
		{ NULL, 0, NULL, 0 },
	};
	int option;

	while ((option = getopt_long(argc, argv, "c:h", options, NULL)) != -1) {
		switch (option) {
		case 'a': out->all_threads = true; break;
		case 'c': out->options.url = optarg; break;
		case 'j': out->options.json = true; break;
		case 't': out->options.token_file = optarg; break;
		case 'h': return cli_help(verb);
		default: return cli_usage(verb, "wrong option");
		}
	}
	if (argc - optind != 1)
		return cli_usage(verb, "one group or report, please");
	out->id = argv[optind];
	return -1;
}

static json_t *get(const struct arguments *arguments, const char *what,
		   struct error *err)
{
	char *id = http_curl_escape(arguments->id);
	char *path = NULL;
	json_t *json = NULL;

	if (id && asprintf(&path, "/api/v1/%s/%s", what, id) >= 0)
		json = api_get_json(&arguments->options, path, err);
	else
		fail(err, ERR_NO_MEMORY, "no memory");
	free(path);
	free(id);
	return json;
}

/* Ask for what the id looks like first, and for the other if there is none. */
static json_t *find(const struct arguments *arguments, struct error *err)
{
	int64_t time_ms;
	bool is_report = uuid_parse(arguments->id, &time_ms);
	json_t *json = get(arguments, is_report ? "reports" : "groups", err);

	if (json == NULL && err->code == ERR_NOT_FOUND)
		json = get(arguments, is_report ? "groups" : "reports", err);
	if (json == NULL && err->code == ERR_NOT_FOUND)
		fail(err, ERR_NOT_FOUND, "no group and no report has this id");
	return json;
}

static void print_line(const json_t *group, const char *key, const char *label)
{
	const json_t *value = json_object_get(group, key);

	if (json_is_string(value) && *json_string_value(value)) {
		printf("%-11s", label);
		print_escaped(stdout, json_string_value(value));
		putchar('\n');
	} else if (json_is_integer(value)) {
		printf("%-11s%lld\n", label,
		       (long long)json_integer_value(value));
	}
}

static void print_list(const json_t *list, const char *label, size_t max)
{
	size_t n = json_array_size(list);

	if (n == 0)
		return;
	printf("%-11s", label);
	for (size_t i = 0; i < n && i < max; i++) {
		const char *text = json_string_value(json_array_get(list, i));

		fputs(i ? ", " : "", stdout);
		print_escaped(stdout, text ? text : "?");
	}
	if (n > max)
		printf(", and %zu more", n - max);
	putchar('\n');
}

static void print_group(const json_t *group, const struct print_style *style)
{
	const json_t *report = json_object_get(group, "report");

	print_line(group, "id", "group");
	print_line(group, "title", "title");
	print_line(group, "status", "status");
	print_line(group, "count", "count");
	print_line(group, "hosts", "hosts");
	print_line(group, "first_seen", "first seen");
	print_line(group, "last_seen", "last seen");
	print_list(json_object_get(group, "releases"), "releases",
		   SHOWN_REPORTS);
	print_list(json_object_get(group, "reports"), "reports",
		   SHOWN_REPORTS);
	print_line(group, "why", "why");
	if (!json_is_object(report))
		return;
	putchar('\n');
	print_report_text(stdout, report, style);
}

int cli_show(int argc, char **argv)
{
	struct arguments arguments = { 0 };
	int status = parse(argc, argv, &arguments);
	struct print_style style = { 0 };
	struct error err = { 0 };
	json_t *json;

	if (status >= 0)
		return status;
	api_defaults(&arguments.options);
	json = find(&arguments, &err);
	if (json == NULL)
		return cli_fail(verb, arguments.id, &err);
	style.color = cli_color(stdout);
	style.all_threads = arguments.all_threads;
	if (arguments.options.json) {
		json_dumpf(json, stdout, JSON_COMPACT);
		putchar('\n');
	} else if (json_object_get(json, "threads")) {
		print_report_text(stdout, json, &style);
	} else {
		print_group(json, &style);
	}
	json_decref(json);
	return fflush(stdout) ? cli_failf(verb, NULL, "write: %m") : CLI_DONE;
}
