/* What the verbs of the command line share. A verb is a function that takes
 * its own argument vector (argv[0] is the verb) and returns the exit status:
 * 0 done, 1 failed, 2 usage. */
#ifndef EPITAPH_CLI_H
#define EPITAPH_CLI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "../../lib/report/error.h"

#define EPITAPH_VERSION "0.1.0"

enum { CLI_DONE = 0, CLI_FAILED = 1, CLI_USAGE = 2 };

int cli_addr2line(int argc, char **argv);
int cli_run(int argc, char **argv);
int cli_doctor(int argc, char **argv);
int cli_list(int argc, char **argv);
int cli_show(int argc, char **argv);
int cli_symbolize(int argc, char **argv);
int cli_symbols(int argc, char **argv);
int cli_stack(int argc, char **argv);
int cli_flush(int argc, char **argv);
int cli_core(int argc, char **argv);
int cli_dmp(int argc, char **argv);

/* "epitaph: VERB OBJECT: REASON" on stderr; OBJECT may be NULL. Returns
 * CLI_FAILED. */
int cli_fail(const char *verb, const char *object, const struct error *err);
int cli_failf(const char *verb, const char *object, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* The same for a wrong command line, with where to find help. Returns
 * CLI_USAGE. */
int cli_usage(const char *verb, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* The help of VERB on stdout. Returns CLI_DONE. */
int cli_help(const char *verb);

/* Option values that several verbs take. All strings are borrowed. */
struct cli_options {
	const char *url;        /* -c, else EPITAPH_URL, else the default */
	bool url_given;         /* by -c or EPITAPH_URL */
	const char *token_file; /* --token-file */
	const char *spool;      /* -s */
	const char *dirs[64];   /* -S */
	size_t ndirs;
	bool json;
};

/* Add a -S directory. False past the limit. */
bool cli_add_dir(struct cli_options *options, const char *dir);

/* True where TO is a terminal that wants colour (NO_COLOR and TERM=dumb say
 * it does not). */
bool cli_color(FILE *to);

/* A bar on stderr for what takes over a second on a terminal: call it as often
 * as you like, hide it before you print anything, and end it once. */
void cli_progress(const char *what, size_t done, size_t total);
/* The same where nobody knows how much there will be. */
void cli_progress_bytes(const char *what, const char *object, uint64_t bytes);
void cli_progress_hide(void);
void cli_progress_end(void);

#endif
