/* epitaph flush: ship what lies in the spool; raw records are made into
 * reports first, each in a process that may be lost over it. Also what the
 * crash-time helper starts, with --id, for collectors that it cannot speak to
 * itself (https, names). Runs as the dead program's user, or as root from a
 * timer. */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

#include "../../lib/report/report.h"
#include "../../lib/report/uuid.h"
#include "../../lib/spool/budget.h"
#include "../../lib/spool/ship.h"
#include "../../lib/spool/spool.h"
#include "api.h"
#include "cli.h"
#include "http_curl.h"
#include "install.h"

static const char verb[] = "flush";

enum {
	AT_A_TIME = 16,
	MAX_LISTED = 65536,
};

struct arguments {
	struct cli_options options;
	const char *id;
};

/* -1, or the exit status. */
static int parse(int argc, char **argv, struct arguments *out)
{
	static const struct option options[] = {
		{ "collector", required_argument, NULL, 'c' },
		{ "help", no_argument, NULL, 'h' },
		{ "id", required_argument, NULL, 'i' },
		{ "spool", required_argument, NULL, 's' },
		{ "token-file", required_argument, NULL, 't' },
		{ NULL, 0, NULL, 0 },
	};
	int64_t time_ms;
	int option;

	while ((option = getopt_long(argc, argv, "c:s:h", options, NULL)) !=
	       -1) {
		switch (option) {
		case 'c': out->options.url = optarg; break;
		case 's': out->options.spool = optarg; break;
		case 't': out->options.token_file = optarg; break;
		case 'h': return cli_help(verb);
		case 'i':
			if (!uuid_parse(optarg, &time_ms))
				return cli_usage(verb, "--id %s: not the id "
						 "of a report", optarg);
			out->id = optarg;
			break;
		default: return cli_usage(verb, "wrong option");
		}
	}
	if (optind != argc)
		return cli_usage(verb, "%s: unexpected", argv[optind]);
	return -1;
}

static bool open_spool(const struct arguments *arguments, struct spool *out,
		       struct error *err)
{
	struct spool_where where = {
		.spool = arguments->options.spool ? arguments->options.spool
						  : getenv("EPITAPH_SPOOL"),
		.state_home = getenv("XDG_STATE_HOME"),
		.home = getenv("HOME"),
	};

	return spool_open(&where, out, err);
}

/* Ship the report ID, and do with it what its outcome says. */
static bool ship_one(const struct shipper *shipper, struct spool *spool,
		     const char *id, struct ship_count *count,
		     struct error *err)
{
	bool sent_body = false;
	struct writer gz;
	bool ok;

	writer_init(&gz, MAX_SENT_BYTES);
	ok = spool_get(spool, id, &gz, err);
	if (ok) {
		switch (ship_report(shipper, gz.bytes, gz.len, &sent_body,
				    err)) {
		case SHIP_DONE:
			spool_remove(spool, id);
			count->done++;
			break;
		case SHIP_REFUSED:
			spool_refuse(spool, id);
			count->refused++;
			break;
		case SHIP_LATER:
			count->later++;
			ok = false;
			break;
		}
		count->bodies += sent_body;
	}
	writer_fini(&gz);
	return ok;
}

static size_t count_reports(struct spool *spool)
{
	char(*ids)[37] = malloc(MAX_LISTED * sizeof(*ids));
	size_t n = ids ? spool_list(spool, SPOOL_REPORTS, ids, MAX_LISTED) : 0;

	free(ids);
	return n;
}

/* Have HELPER make a report of the raw record ID; it says itself what it could
 * not, and ends by its own alarm. */
static bool finish(const char *helper, const struct spool *spool,
		   const char *id)
{
	char *const argv[] = { "epitaph-helper", "--finish",
			       (char *)(uintptr_t)spool->path,
			       (char *)(uintptr_t)id, NULL };
	char *none[] = { NULL };
	int status = -1;
	pid_t pid;

	if (posix_spawn(&pid, helper, NULL, NULL, argv, none) != 0)
		return false;
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return status == 0;
}

/* Make reports of the raw records. Returns how many of them stay. */
static size_t finish_all(struct spool *spool, struct error *err)
{
	char helper[PATH_MAX];
	char(*ids)[37] = malloc(MAX_LISTED * sizeof(*ids));
	size_t n = ids ? spool_list(spool, SPOOL_RAW, ids, MAX_LISTED) : 0;
	size_t stay = n;

	if (n > 0 && install_find("epitaph-helper", helper, err)) {
		for (size_t i = 0; i < n; i++) {
			stay -= finish(helper, spool, ids[i]);
			cli_progress("finishing", i + 1, n);
		}
		cli_progress_end();
	}
	free(ids);
	return stay;
}

static void add(struct ship_count *to, const struct ship_count *from)
{
	to->done += from->done;
	to->bodies += from->bodies;
	to->refused += from->refused;
}

/* Everything, some at a time: the lock is let go in between, so that a crash
 * need not wait for all of it. */
static bool ship_all(const struct shipper *shipper, struct spool *spool,
		     struct ship_count *count, struct error *err)
{
	size_t total = count_reports(spool);
	bool ok = true;

	for (size_t left = total; ok && left > 0;) {
		struct ship_count some = { 0 };

		ok = ship_spool(shipper, spool, AT_A_TIME, INT64_MAX, &some,
				err);
		add(count, &some);
		left = count_reports(spool);
		cli_progress("shipping", total > left ? total - left : 0,
			     total);
		if (ok && some.done + some.refused == 0)
			break;
	}
	cli_progress_end();
	count->later = count_reports(spool);
	return ok;
}

/* Crashes without a report of their own. */
static void tell_counted(const struct spool *spool,
			 const struct budget_count *counted)
{
	if (counted->told > 0)
		printf("told of %" PRIu64 " more crash%s, which %s only "
		       "counted\n", counted->told,
		       counted->told == 1 ? "" : "es",
		       counted->told == 1 ? "was" : "were");
	fflush(stdout);
	if (counted->refused > 0)
		cli_failf(verb, spool->path, "%" PRIu64 " counted crashes are "
			  "refused by the collector, and dropped",
			  counted->refused);
	if (counted->nameless > 0)
		cli_failf(verb, spool->path, "%" PRIu64 " counted crashes "
			  "wait for a report of their kind",
			  counted->nameless);
	if (counted->later > 0)
		cli_failf(verb, spool->path, "%" PRIu64 " counted crashes "
			  "stay", counted->later);
}

static int tell(const struct spool *spool, const struct ship_count *count,
		const struct budget_count *counted, const struct error *err,
		bool ok)
{
	uint64_t crashes = counted->told + counted->refused + counted->later +
			   counted->nameless;

	if (ok && count->done + count->refused + count->later + crashes == 0) {
		printf("nothing to ship in %s\n", spool->path);
		return CLI_DONE;
	}
	printf("shipped %zu report%s of %s (%zu with its body)\n", count->done,
	       count->done == 1 ? "" : "s", spool->path, count->bodies);
	tell_counted(spool, counted);
	if (count->refused > 0)
		cli_failf(verb, spool->path, "%zu refused: %s; they are in "
			  "%s/refused", count->refused, err->text,
			  spool->path);
	if (count->later > 0)
		cli_failf(verb, spool->path, "%zu stay: %s; run epitaph flush "
			  "again once that is mended", count->later,
			  err->text[0] ? err->text : "not tried");
	else if (!ok)
		cli_fail(verb, spool->path, err);
	return ok && count->refused + count->later + counted->refused +
				     counted->later == 0
		       ? CLI_DONE
		       : CLI_FAILED;
}

int cli_flush(int argc, char **argv)
{
	struct arguments arguments = { 0 };
	int status = parse(argc, argv, &arguments);
	struct ship_count count = { 0 };
	struct budget_count counted = { 0 };
	struct shipper shipper = { .post = http_curl_post };
	struct error err = { 0 };
	struct http_curl *http;
	struct spool spool;
	size_t raw = 0;
	char *token;
	bool ok;

	if (status >= 0)
		return status;
	api_defaults(&arguments.options);
	if (!open_spool(&arguments, &spool, &err) ||
	    !api_token(&arguments.options, &token, &err))
		return cli_fail(verb, NULL, &err);
	http = http_curl_new(arguments.options.url, NULL, &err);
	if (http == NULL) {
		free(token);
		return cli_fail(verb, arguments.options.url, &err);
	}
	shipper.context = http;
	shipper.token = token;
	if (!arguments.id)
		raw = finish_all(&spool, &err);
	if (raw)
		cli_failf(verb, spool.path, "%zu raw record%s could not be "
			  "made into reports; each is tried twice, then moved "
			  "to refused/", raw, raw == 1 ? "" : "s");
	ok = arguments.id
		? ship_one(&shipper, &spool, arguments.id, &count, &err)
		: ship_all(&shipper, &spool, &count, &err);
	if (ok)
		ok = budget_ship(&shipper, &spool, INT64_MAX, &counted, &err);
	status = tell(&spool, &count, &counted, &err, ok);
	if (raw)
		status = CLI_FAILED;
	http_curl_free(http);
	spool_close(&spool);
	free(token);
	return status;
}
