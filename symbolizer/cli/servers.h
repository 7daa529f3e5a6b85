/* Which debuginfod servers the command line may ask. */
#ifndef EPITAPH_CLI_SERVERS_H
#define EPITAPH_CLI_SERVERS_H

#include <getopt.h>

#include "../debuginfod.h"
#include "cli.h"

/* getopt's numbers for the options; for a table of them. */
enum { SERVERS_URL = 1000, SERVERS_TIMEOUT, SERVERS_MAX };
#define SERVERS_OPTIONS \
	{ "debuginfod", required_argument, NULL, SERVERS_URL }, \
	{ "debuginfod-timeout", required_argument, NULL, SERVERS_TIMEOUT }, \
	{ "debuginfod-max", required_argument, NULL, SERVERS_MAX }

struct servers {
	const char *urls[DEBUGINFOD_MAX_SERVERS];
	char *words; /* of the environment, cut into pieces */
	struct debuginfod_options options;
};

/* One of the options, with its VALUE, which is borrowed. False with ERR where
 * that makes no sense. */
bool servers_set(struct servers *servers, int option, const char *value,
		 struct error *err);

/* What SERVERS have been told, and where that is nothing EPITAPH_DEBUGINFOD and
 * EPITAPH_DEBUGINFOD_TIMEOUT: on the terminal it says what is on its way. Lives
 * as long as SERVERS. */
const struct debuginfod_options *servers_options(struct servers *servers);

#endif
