/* What the verbs share: messages, colour, progress. */
#include "cli.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "../print.h"
#include "../../lib/report/clock.h"

enum {
	PROGRESS_AFTER_MS = 1000, /* nobody needs a bar for less */
	PROGRESS_EVERY_MS = 100,
	PROGRESS_WIDTH = 30,
};

static void message(const char *verb, const char *object, const char *reason)
{
	cli_progress_hide();
	fprintf(stderr, "epitaph: %s%s", verb, object ? " " : "");
	print_escaped(stderr, object ? object : "");
	fputs(": ", stderr);
	print_escaped(stderr, reason);
	fputc('\n', stderr);
}

int cli_fail(const char *verb, const char *object, const struct error *err)
{
	message(verb, object, err->text);
	return CLI_FAILED;
}

int cli_failf(const char *verb, const char *object, const char *format, ...)
{
	char reason[512];
	va_list args;

	va_start(args, format);
	vsnprintf(reason, sizeof(reason), format, args);
	va_end(args);
	message(verb, object, reason);
	return CLI_FAILED;
}

int cli_usage(const char *verb, const char *format, ...)
{
	char reason[512];
	va_list args;

	va_start(args, format);
	vsnprintf(reason, sizeof(reason), format, args);
	va_end(args);
	message(verb, NULL, reason);
	fprintf(stderr, "epitaph %s --help says how it is used\n", verb);
	return CLI_USAGE;
}

bool cli_add_dir(struct cli_options *options, const char *dir)
{
	size_t max = sizeof(options->dirs) / sizeof(options->dirs[0]);

	if (options->ndirs == max)
		return false;
	options->dirs[options->ndirs++] = dir;
	return true;
}

bool cli_color(FILE *to)
{
	const char *no = getenv("NO_COLOR");
	const char *term = getenv("TERM");

	return isatty(fileno(to)) && !(no && *no) && term &&
	       strcmp(term, "dumb") != 0;
}

static int64_t progress_begin_ms, progress_drawn_ms;
static bool progress_shown;

/* Whether it is time to say something. */
static bool progress_is_due(void)
{
	int64_t now = clock_monotonic_ms();

	if (progress_begin_ms == 0)
		progress_begin_ms = now;
	if (now - progress_begin_ms < PROGRESS_AFTER_MS ||
	    now - progress_drawn_ms < PROGRESS_EVERY_MS ||
	    !isatty(STDERR_FILENO))
		return false;
	progress_drawn_ms = now;
	progress_shown = true;
	return true;
}

void cli_progress_bytes(const char *what, const char *object, uint64_t bytes)
{
	if (!progress_is_due())
		return;
	fprintf(stderr, "\r%s ", what);
	print_escaped(stderr, object);
	fprintf(stderr, ", %.1f MB\033[K", (double)bytes / 1e6);
	fflush(stderr);
}

void cli_progress(const char *what, size_t done, size_t total)
{
	int full;

	if (total == 0 || !progress_is_due())
		return;
	full = (int)(done * PROGRESS_WIDTH / total);
	/* One large file stands at 0 % until it is done; the time goes on. */
	fprintf(stderr, "\r%s [%.*s%*s] %3zu %%, %d s\033[K", what, full,
		"##############################", PROGRESS_WIDTH - full, "",
		done * 100 / total,
		(int)((progress_drawn_ms - progress_begin_ms) / 1000));
	fflush(stderr);
}

void cli_progress_hide(void)
{
	if (progress_shown)
		fputs("\r\033[K", stderr);
	progress_shown = false;
}

void cli_progress_end(void)
{
	cli_progress_hide();
	progress_begin_ms = progress_drawn_ms = 0;
}
