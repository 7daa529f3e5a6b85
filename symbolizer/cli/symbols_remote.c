/* epitaph symbols with -c: a collector's store. Runs in the command line; sends
 * files without looking into them, and reads the collector's answers as
 * bounded JSON. */
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <jansson.h>

#include "../print.h"
#include "api.h"
#include "symbols.h"

static void show_progress(void *context, uint64_t done, uint64_t total)
{
	const char *path = context;
	const char *slash = strrchr(path, '/');

	cli_progress(slash ? slash + 1 : path, (size_t)done, (size_t)total);
}

bool symbols_send(const struct cli_options *options, const char *path,
		  enum sent *out, struct error *err)
{
	struct api_upload upload = {
		.path = "/api/v1/symbols", .file = path,
		.progress = show_progress,
		.context = (void *)(uintptr_t)path,
	};
	int status;
	bool ok = api_put_file(options, &upload, &status, err);

	cli_progress_end();
	if (ok)
		*out = status == 201 ? SENT_NEW : SENT_SAME;
	return ok;
}

/* The collector's words may be anything: what is no number is 0. */
static json_int_t number(const json_t *entry, const char *key)
{
	return json_integer_value(json_object_get(entry, key));
}

static void print_text(const json_t *missing)
{
	size_t i;
	json_t *entry;

	json_array_foreach(missing, i, entry) {
		const char *id = json_string_value(
			json_object_get(entry, "build_id"));
		const char *path = json_string_value(
			json_object_get(entry, "path"));

		printf("%8" JSON_INTEGER_FORMAT " frames in %6"
		       JSON_INTEGER_FORMAT " crashes of %4"
		       JSON_INTEGER_FORMAT " groups  ", number(entry, "frames"),
		       number(entry, "crashes"), number(entry, "groups"));
		print_escaped(stdout, id ? id : "?");
		fputs("  ", stdout);
		print_escaped(stdout, path ? path : "?");
		putchar('\n');
	}
}

int symbols_missing_there(const struct cli_options *options)
{
	struct error err;
	json_t *json = api_get_json(options, "/api/v1/symbols/missing", &err);

	if (json == NULL)
		return cli_fail("symbols", "missing", &err);
	if (options->json) {
		json_dumpf(json, stdout, JSON_COMPACT);
		putchar('\n');
	} else {
		print_text(json_object_get(json, "missing"));
	}
	json_decref(json);
	return CLI_DONE;
}
