/* The collector's API as the command line uses it. */
#ifndef EPITAPH_CLI_API_H
#define EPITAPH_CLI_API_H

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#include "../../lib/report/bytes.h"
#include "../../lib/report/error.h"
#include "cli.h"

#define API_DEFAULT_URL "http://127.0.0.1:7350"

/* What is common to all verbs that talk to a collector: -c and --token-file,
 * the environment, the default. Fills OPTIONS->url. */
void api_defaults(struct cli_options *options);

/* The token: of the file, else EPITAPH_TOKEN; malloc'd, NULL for none. False
 * where the file cannot be read. */
bool api_token(const struct cli_options *options, char **token_out,
	       struct error *err);

/* GET PATH and append the body to OUT. An answer that is no success is
 * ERR_NOT_FOUND, ERR_REFUSED or ERR_UNAVAILABLE, in the collector's words. */
bool api_get(const struct cli_options *options, const char *path,
	     struct writer *out, struct error *err);

/* The same, as JSON; the caller owns it. NULL on failure. */
json_t *api_get_json(const struct cli_options *options, const char *path,
		     struct error *err);

/* A file that goes to the collector as it is. */
struct api_upload {
	const char *path; /* of the API */
	const char *file;
	void (*progress)(void *context, uint64_t done, uint64_t total);
	void *context;
};

/* PUT it, piece by piece. *STATUS_OUT is of the success. Errors as api_get(),
 * and ERR_SYSTEM where the file cannot be read. */
bool api_put_file(const struct cli_options *options,
		  const struct api_upload *upload, int *status_out,
		  struct error *err);

#endif
