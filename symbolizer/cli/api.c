/* The collector's API as the command line uses it. A collector may be anybody:
 * its answers are bounded, and parsed by jansson. */
#include "api.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "../../lib/report/report.h"
#include "http_curl.h"
#include "input.h"

enum { MAX_TOKEN = 4096 };

void api_defaults(struct cli_options *options)
{
	const char *url = getenv("EPITAPH_URL");

	if (options->url == NULL && url && *url)
		options->url = url;
	options->url_given = options->url != NULL;
	if (options->url == NULL)
		options->url = API_DEFAULT_URL;
}

bool api_token(const struct cli_options *options, char **token_out,
	       struct error *err)
{
	const char *token = getenv("EPITAPH_TOKEN");
	struct writer file;
	bool ok;

	*token_out = NULL;
	if (options->token_file == NULL) {
		if (token && *token)
			*token_out = strdup(token);
		return true;
	}
	writer_init(&file, MAX_TOKEN);
	ok = input_read(options->token_file, &file, err);
	if (ok) {
		writer_u8(&file, '\0');
		*token_out = file.bad ? NULL : strdup((char *)file.bytes);
		if (*token_out)
			(*token_out)[strcspn(*token_out, "\r\n")] = '\0';
		else
			ok = fail(err, ERR_TOO_LARGE, "too long for a token");
	} else {
		fail_context(err, "%s", options->token_file);
	}
	writer_fini(&file);
	return ok;
}

/* The "error" and "detail" of contract.md's errors, in ERR. */
static bool refuse(int status, const struct writer *body, struct error *err)
{
	enum error_code code = status == 404 ? ERR_NOT_FOUND
			: status >= 500 ? ERR_UNAVAILABLE : ERR_REFUSED;
	json_t *json = json_loadb((const char *)body->bytes, body->len, 0,
				  NULL);
	const char *what = json_string_value(json_object_get(json, "error"));
	const char *detail = json_string_value(json_object_get(json, "detail"));

	if (what && detail)
		fail(err, code, "%s: %s", what, detail);
	else if (what)
		fail(err, code, "%s", what);
	else
		fail(err, code, "the collector answered %d", status);
	if (status == 401)
		fail_context(err, "no token that the collector takes "
			     "(--token-file, EPITAPH_TOKEN)");
	json_decref(json);
	return false;
}

/* A client with the token; NULL with ERR. */
static struct http_curl *connect_to(const struct cli_options *options,
				    struct error *err)
{
	struct http_curl *http;
	char *token;

	if (!api_token(options, &token, err))
		return NULL;
	http = http_curl_new(options->url, token, err);
	free(token);
	return http;
}

/* What became of a request, and the end of HTTP (which may be NULL). */
static bool conclude(const struct cli_options *options, struct http_curl *http,
		     bool ok, int status, const struct writer *body,
		     struct error *err)
{
	http_curl_free(http);
	if (!ok)
		return fail_context(err, "%s", options->url);
	return (status >= 200 && status <= 299) || refuse(status, body, err);
}

bool api_get(const struct cli_options *options, const char *path,
	     struct writer *out, struct error *err)
{
	struct http_curl *http = connect_to(options, err);
	int status = 0;
	bool ok = http && http_curl_get(http, path, out, &status, err);

	return conclude(options, http, ok, status, out, err);
}

bool api_put_file(const struct cli_options *options,
		  const struct api_upload *upload, int *status_out,
		  struct error *err)
{
	struct http_upload body = { .progress = upload->progress,
				    .context = upload->context };
	struct http_curl *http = NULL;
	struct writer answer;
	int status = 0;
	struct stat st;
	bool ok;

	body.file = fopen(upload->file, "re");
	if (body.file == NULL)
		return fail_errno(err, "open");
	writer_init(&answer, SHIP_MAX_RESPONSE);
	if (fstat(fileno(body.file), &st) != 0 || !S_ISREG(st.st_mode)) {
		ok = fail(err, ERR_UNSUPPORTED, "not a regular file");
	} else {
		body.size = (uint64_t)st.st_size;
		http = connect_to(options, err);
		ok = http && http_curl_put(http, upload->path, &body, &answer,
					   &status, err);
		ok = conclude(options, http, ok, status, &answer, err);
	}
	fclose(body.file);
	writer_fini(&answer);
	if (ok)
		*status_out = status;
	return ok;
}

json_t *api_get_json(const struct cli_options *options, const char *path,
		     struct error *err)
{
	json_t *json = NULL;
	struct writer body;
	json_error_t why;

	writer_init(&body, MAX_REPORT_BYTES);
	if (api_get(options, path, &body, err)) {
		json = json_loadb((const char *)body.bytes, body.len, 0, &why);
		if (json == NULL)
			fail(err, ERR_BAD_DATA, "%s: not JSON: %s",
			     options->url, why.text);
	}
	writer_fini(&body);
	return json;
}
