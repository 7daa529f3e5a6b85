/* debuginfod servers, of options and environment. Both are the user's.
 * DEBUGINFOD_URLS is not read: some distributions set it for everybody, and
 * asking says what runs, and crashed, here. */
#include "servers.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static bool add_url(struct servers *servers, const char *url,
		    struct error *err)
{
	struct debuginfod_options *options = &servers->options;

	if (strncmp(url, "http://", 7) != 0 && strncmp(url, "https://", 8) != 0)
		return fail(err, ERR_BAD_DATA, "%s: neither http:// nor "
			    "https://", url);
	if (options->nurls == DEBUGINFOD_MAX_SERVERS)
		return fail(err, ERR_TOO_LARGE, "%d servers at most",
			    (int)DEBUGINFOD_MAX_SERVERS);
	servers->urls[options->nurls++] = url;
	return true;
}

static bool set_timeout(struct servers *servers, const char *text,
			struct error *err)
{
	char *end;
	double seconds = strtod(text, &end);

	if (end == text || *end || !(seconds > 0 && seconds <= 3600))
		return fail(err, ERR_BAD_DATA, "%s: not a number of seconds "
			    "up to 3600", text);
	servers->options.within_ms = (int64_t)(seconds * 1000);
	return true;
}

static bool set_max(struct servers *servers, const char *text,
		    struct error *err)
{
	char *end;
	unsigned long long n;

	errno = 0;
	n = strtoull(text, &end, 10);
	if (errno || end == text || *end || *text == '-' || n == 0)
		return fail(err, ERR_BAD_DATA, "%s: not a number of bytes",
			    text);
	servers->options.max_file = n < DEBUGINFOD_MAX_FILE
					    ? n : DEBUGINFOD_MAX_FILE;
	return true;
}

bool servers_set(struct servers *servers, int option, const char *value,
		 struct error *err)
{
	switch (option) {
	case SERVERS_URL:
		return add_url(servers, value, err);
	case SERVERS_TIMEOUT:
		return set_timeout(servers, value, err);
	default:
		return set_max(servers, value, err);
	}
}

/* What makes no sense in the environment is as good as not set. */
static void read_environment(struct servers *servers)
{
	const char *urls = getenv("EPITAPH_DEBUGINFOD");
	const char *timeout = getenv("EPITAPH_DEBUGINFOD_TIMEOUT");
	char *word, *rest;

	if (timeout && servers->options.within_ms == 0)
		set_timeout(servers, timeout, NULL);
	if (urls == NULL || servers->options.nurls > 0)
		return;
	rest = servers->words = strdup(urls);
	while (rest && (word = strsep(&rest, " ")) != NULL)
		if (*word)
			add_url(servers, word, NULL);
}

static void show(void *context, const char *object, uint64_t bytes)
{
	const char *slash = strrchr(object, '/');

	(void)context;
	cli_progress_bytes("downloading symbols of", slash ? slash + 1 : object,
			   bytes);
}

const struct debuginfod_options *servers_options(struct servers *servers)
{
	struct debuginfod_options *options = &servers->options;

	if (servers->words == NULL)
		read_environment(servers);
	options->urls = servers->urls;
	if (options->within_ms == 0)
		options->within_ms = DEBUGINFOD_WITHIN_MS;
	if (options->max_file == 0)
		options->max_file = DEBUGINFOD_MAX_FILE;
	options->progress = show;
	return options;
}
