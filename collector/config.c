/* Command line and configuration file, in the supervisor, before anything is
 * started. Both are the operator's, so errors are for reading, not for
 * surviving. */
#include "config.h"

#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../lib/report/report.h"
#include "text.h"

/* A browser's debug file is three. */
#define MAX_SYMBOLS_BYTES ((uint64_t)4 << 30)

static const char help[] =
"usage: epitaphd [--config FILE] [--data DIR] [--listen ADDR:PORT]\n"
"                [--unix PATH] [--store sqlite] [--check]\n"
"       epitaphd token add --role ingest|read|symbols|admin NAME\n"
"       epitaphd token list | token revoke NAME   (each takes --data DIR)\n"
"\n"
"Takes crash reports over HTTP, counts duplicates, symbolizes and shows them.\n"
"\n"
"  --config FILE          lines of `key = value`; keys are these options\n"
"  --data DIR             everything it keeps (/var/lib/epitaph)\n"
"  --listen ADDR:PORT     repeatable (127.0.0.1:7350); port 0 takes a free\n"
"                         one; `none` listens on no port\n"
"  --unix PATH            listen on a unix socket too\n"
"  --store sqlite         where reports are kept\n"
"  --epitaph FILE         the program that symbolizes (beside epitaphd)\n"
"  --symbols DIR          its symbol store (symbols, in --data's DIR)\n"
"  --debuginfod URL       repeatable: ask this server for symbols that are\n"
"                         missing (none; DEBUGINFOD_URLS is not read)\n"
"  --debuginfod-timeout SECONDS\n"
"                         that a report may wait for them all (10)\n"
"  --max-sent SIZE        a report as sent (32M)\n"
"  --max-unpacked SIZE    a report unpacked (128M)\n"
"  --max-symbols SIZE     a file of symbols, as sent and unpacked (4G)\n"
"  --bodies N             reports wanted of the same crash (5)\n"
"  --retention-days N     how old a report may be (90)\n"
"  --workers N            processes that take requests (2)\n"
"  --check                say whether the configuration is right, and exit\n"
"  --version, --help\n"
"\n"
"Prints `listening on URL` once a test report went all the way through.\n"
"SIGTERM finishes what was accepted and ends it.\n"
"\n"
"Example: epitaphd --data /var/lib/epitaph --listen 127.0.0.1:7350\n";

static const struct option options[] = {
	{ "config", required_argument, NULL, 'c' },
	{ "data", required_argument, NULL, 'k' },
	{ "listen", required_argument, NULL, 'k' },
	{ "unix", required_argument, NULL, 'k' },
	{ "store", required_argument, NULL, 'k' },
	{ "epitaph", required_argument, NULL, 'k' },
	{ "symbols", required_argument, NULL, 'k' },
	{ "debuginfod", required_argument, NULL, 'k' },
	{ "debuginfod-timeout", required_argument, NULL, 'k' },
	{ "max-sent", required_argument, NULL, 'k' },
	{ "max-unpacked", required_argument, NULL, 'k' },
	{ "max-symbols", required_argument, NULL, 'k' },
	{ "bodies", required_argument, NULL, 'k' },
	{ "retention-days", required_argument, NULL, 'k' },
	{ "workers", required_argument, NULL, 'k' },
	{ "check", no_argument, NULL, 'n' },
	{ "help", no_argument, NULL, 'h' },
	{ "version", no_argument, NULL, 'v' },
	{ NULL, 0, NULL, 0 },
};

/* A whole number with an optional K, M or G, from MIN to MAX. */
static bool parse_number(const char *key, const char *value, uint64_t min,
			 uint64_t max, uint64_t *out, struct error *err)
{
	static const char units[] = "KMG";
	const char *unit;
	unsigned long long n;
	char *end;
	int shift = 0;

	errno = 0;
	n = strtoull(value, &end, 10);
	unit = *end != '\0' ? strchr(units, *end) : NULL;
	if (unit != NULL) {
		shift = 10 * (int)(unit - units + 1);
		end++;
	}
	if (end == value || *end != '\0' || value[0] == '-' || errno != 0 ||
	    n > UINT64_MAX >> shift || n << shift < min || n << shift > max)
		return fail(err, ERR_BAD_DATA,
			    "%s: \"%s\" is not a number from %llu to %llu",
			    key, value, (unsigned long long)min,
			    (unsigned long long)max);
	*out = n << shift;
	return true;
}

static bool set_u32(const char *key, const char *value, uint32_t min,
		    uint32_t max, uint32_t *out, struct error *err)
{
	uint64_t n;

	if (!parse_number(key, value, min, max, &n, err))
		return false;
	*out = (uint32_t)n;
	return true;
}

static bool set_text(const char *key, const char *value, char *out, size_t cap,
		     struct error *err)
{
	if (strlen(value) >= cap)
		return fail(err, ERR_TOO_LARGE, "%s: longer than %zu bytes",
			    key, cap - 1);
	text_copy(out, cap, value);
	return true;
}

/* The roles live in the data directory, so what is relative has to be made
 * absolute while the operator's own directory is still known. */
static bool set_path(const char *key, const char *value, char *out, size_t cap,
		     struct error *err)
{
	char here[CONFIG_PATH], path[2 * CONFIG_PATH];

	if (value[0] == '\0')
		return fail(err, ERR_BAD_DATA, "%s: empty", key);
	if (value[0] == '/')
		return set_text(key, value, out, cap, err);
	if (getcwd(here, sizeof(here)) == NULL)
		return fail_errno(err, "%s: current directory", key);
	if (snprintf(path, sizeof(path), "%s/%s", here, value) >=
	    (int)sizeof(path))
		return fail(err, ERR_TOO_LARGE, "%s: path too long", key);
	return set_text(key, path, out, cap, err);
}

/* HOST:PORT, [HOST]:PORT, :PORT or PORT, numeric only: what a name means may
 * differ tomorrow, and then so would what is exposed. */
static bool set_listen(struct settings *settings, const char *value,
		       struct error *err)
{
	struct addrinfo hints = { .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV,
				  .ai_socktype = SOCK_STREAM };
	struct listen_address *to = &settings->listen[settings->nlisten];
	const char *colon = strrchr(value, ':');
	const char *port = colon != NULL ? colon + 1 : value;
	char host[256] = "127.0.0.1";
	struct addrinfo *found;
	size_t len = colon != NULL ? (size_t)(colon - value) : 0;

	settings->listen_given = true;
	if (strcmp(value, "none") == 0) {
		settings->nlisten = 0;
		return true;
	}
	if (settings->nlisten == CONFIG_LISTEN)
		return fail(err, ERR_TOO_LARGE, "listen: %d addresses at most",
			    (int)CONFIG_LISTEN);
	if (len >= 2 && value[0] == '[' && value[len - 1] == ']') {
		value++;
		len -= 2;
	}
	if (len > 0 && len < sizeof(host)) {
		memcpy(host, value, len);
		host[len] = '\0';
	}
	if (len >= sizeof(host) || *port == '\0' ||
	    getaddrinfo(host, port, &hints, &found) != 0)
		return fail(err, ERR_BAD_DATA, "listen: \"%s\" is not a "
			    "numeric ADDR:PORT", value);
	memcpy(&to->address, found->ai_addr, found->ai_addrlen);
	to->len = found->ai_addrlen;
	settings->nlisten++;
	freeaddrinfo(found);
	return true;
}

static bool set_store(struct settings *settings, const char *value,
		      struct error *err)
{
	if (strcmp(value, "sqlite") != 0)
		return fail(err, ERR_UNSUPPORTED,
			    "store: \"%s\" is not supported; sqlite is", value);
	return set_text("store", value, settings->store,
			sizeof(settings->store), err);
}

static bool add_server(struct settings *s, const char *value,
		       struct error *err)
{
	if (strncmp(value, "http://", 7) != 0 &&
	    strncmp(value, "https://", 8) != 0)
		return fail(err, ERR_BAD_DATA, "debuginfod: \"%s\" is neither "
			    "http:// nor https://", value);
	if (s->ndebuginfod == CONFIG_SERVERS)
		return fail(err, ERR_TOO_LARGE, "debuginfod: %d servers at "
			    "most", (int)CONFIG_SERVERS);
	return set_text("debuginfod", value, s->debuginfod[s->ndebuginfod++],
			CONFIG_URL, err);
}

bool config_set(struct settings *s, const char *key, const char *value,
		struct error *err)
{
	if (strcmp(key, "data") == 0)
		return set_path(key, value, s->data, sizeof(s->data), err);
	if (strcmp(key, "listen") == 0)
		return set_listen(s, value, err);
	if (strcmp(key, "unix") == 0)
		return set_path(key, value, s->unix_path,
				sizeof(s->unix_path), err);
	if (strcmp(key, "store") == 0)
		return set_store(s, value, err);
	if (strcmp(key, "epitaph") == 0)
		return set_path(key, value, s->epitaph, sizeof(s->epitaph),
				err);
	if (strcmp(key, "symbols") == 0)
		return set_path(key, value, s->symbols, sizeof(s->symbols),
				err);
	if (strcmp(key, "debuginfod") == 0)
		return add_server(s, value, err);
	if (strcmp(key, "debuginfod-timeout") == 0)
		return set_u32(key, value, 1, 40, &s->debuginfod_s, err);
	if (strcmp(key, "max-sent") == 0)
		return parse_number(key, value, 1024, (uint64_t)1 << 30,
				    &s->max_sent, err);
	if (strcmp(key, "max-unpacked") == 0)
		return parse_number(key, value, 1024, (uint64_t)1 << 30,
				    &s->max_unpacked, err);
	if (strcmp(key, "max-symbols") == 0)
		return parse_number(key, value, 1024, (uint64_t)1 << 40,
				    &s->max_symbols, err);
	if (strcmp(key, "bodies") == 0)
		return set_u32(key, value, 1, 64, &s->bodies, err);
	if (strcmp(key, "retention-days") == 0)
		return set_u32(key, value, 1, 36500, &s->retention_days, err);
	if (strcmp(key, "workers") == 0)
		return set_u32(key, value, 1, CONFIG_WORKERS, &s->workers, err);
	return fail(err, ERR_BAD_DATA, "\"%s\" is not a setting", key);
}

/* Cut blanks from both ends of TEXT, in place. */
static char *trim(char *text)
{
	size_t len;

	text += strspn(text, " \t\r\n");
	len = strlen(text);
	while (len > 0 && strchr(" \t\r\n", text[len - 1]) != NULL)
		len--;
	text[len] = '\0';
	return text;
}

static bool read_line(struct settings *settings, char *line, struct error *err)
{
	char *equals, *key = trim(line);

	if (key[0] == '\0' || key[0] == '#')
		return true;
	equals = strchr(key, '=');
	if (equals == NULL)
		return fail(err, ERR_BAD_DATA, "no `=` in \"%s\"", key);
	*equals = '\0';
	return config_set(settings, trim(key), trim(equals + 1), err);
}

static bool read_file(struct settings *settings, const char *path,
		      struct error *err)
{
	FILE *file = fopen(path, "re");
	char line[2048];
	unsigned number = 0;
	bool ok = true;

	if (file == NULL)
		return fail_errno(err, "open %s", path);
	while (ok && fgets(line, sizeof(line), file) != NULL) {
		number++;
		if (!read_line(settings, line, err)) {
			fail_context(err, "%s:%u", path, number);
			ok = false;
		}
	}
	fclose(file);
	return ok;
}

/* The `epitaph` beside the running epitaphd. */
static void find_epitaph(struct settings *settings)
{
	char self[CONFIG_PATH - 16];
	ssize_t len = readlink("/proc/self/exe", self, sizeof(self) - 1);
	char *slash;

	if (len <= 0)
		return;
	self[len] = '\0';
	slash = strrchr(self, '/');
	if (slash == NULL)
		return;
	*slash = '\0';
	snprintf(settings->epitaph, sizeof(settings->epitaph), "%s/epitaph",
		 self);
}

static void set_defaults(struct settings *settings)
{
	memset(settings, 0, sizeof(*settings));
	text_copy(settings->data, sizeof(settings->data), "/var/lib/epitaph");
	text_copy(settings->store, sizeof(settings->store), "sqlite");
	settings->debuginfod_s = 10;
	settings->workers = 2;
	settings->bodies = 5;
	settings->retention_days = 90;
	settings->max_sent = MAX_SENT_BYTES;
	settings->max_unpacked = MAX_REPORT_BYTES;
	settings->max_symbols = MAX_SYMBOLS_BYTES;
	find_epitaph(settings);
}

/* getopt's walk over the command line. With FILE_ONLY just --config counts:
 * the file is read first, so that the command line overrides it. */
static enum config_result walk(int argc, char **argv, struct settings *settings,
			       bool file_only, bool *listens,
			       struct error *err)
{
	enum config_result result = CONFIG_RUN;
	int c, which = 0;

	optind = 1;
	opterr = 0;
	while ((c = getopt_long(argc, argv, "", options, &which)) != -1) {
		if (c == '?') {
			fail(err, ERR_BAD_DATA, "unknown or incomplete option "
			     "%s", argv[optind - 1]);
			return CONFIG_USAGE;
		}
		if (c == 'h' || c == 'v') {
			fputs(c == 'h' ? help : "epitaphd " EPITAPHD_VERSION
			      "\n", stdout);
			return CONFIG_EXIT;
		}
		if (c == 'n')
			result = CONFIG_CHECK;
		if (c == 'c' && file_only &&
		    !read_file(settings, optarg, err))
			return CONFIG_USAGE;
		if (c != 'k' || file_only)
			continue;
		if (strcmp(options[which].name, "listen") == 0 && !*listens) {
			*listens = true;
			settings->nlisten = 0;
		}
		if (!config_set(settings, options[which].name, optarg, err))
			return CONFIG_USAGE;
	}
	if (optind < argc) {
		fail(err, ERR_BAD_DATA, "what is \"%s\"?", argv[optind]);
		return CONFIG_USAGE;
	}
	return result;
}

enum config_result config_parse(int argc, char **argv, struct settings *out,
				struct error *err)
{
	enum config_result result;
	struct settings settings;
	bool listens = false;
	char port[8];

	set_defaults(&settings);
	snprintf(port, sizeof(port), "%d", (int)CONFIG_PORT);
	result = walk(argc, argv, &settings, true, &listens, err);
	if (result == CONFIG_RUN || result == CONFIG_CHECK)
		result = walk(argc, argv, &settings, false, &listens, err);
	if (result == CONFIG_USAGE || result == CONFIG_EXIT)
		return result;
	if (!settings.listen_given &&
	    !config_set(&settings, "listen", port, err))
		return CONFIG_USAGE;
	if (settings.nlisten == 0 && settings.unix_path[0] == '\0') {
		fail(err, ERR_BAD_DATA, "neither --listen nor --unix: there "
		     "would be no way in");
		return CONFIG_USAGE;
	}
	*out = settings;
	return result;
}

bool config_is_loopback(const struct listen_address *address)
{
	const struct sockaddr_in *v4 = (const void *)&address->address;
	const struct sockaddr_in6 *v6 = (const void *)&address->address;

	if (address->address.ss_family == AF_INET)
		return ntohl(v4->sin_addr.s_addr) >> 24 == 127;
	return address->address.ss_family == AF_INET6 &&
	       IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr);
}

void config_url(const struct listen_address *address, char *to, size_t cap)
{
	char host[NI_MAXHOST] = "?", port[NI_MAXSERV] = "?";
	bool v6 = address->address.ss_family == AF_INET6;

	getnameinfo((const struct sockaddr *)&address->address, address->len,
		    host, sizeof(host), port, sizeof(port),
		    NI_NUMERICHOST | NI_NUMERICSERV);
	snprintf(to, cap, v6 ? "http://[%s]:%s" : "http://%s:%s", host, port);
}
