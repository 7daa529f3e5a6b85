/* JSON lines on stderr, each by one write, so that the lines of several
 * processes do not mix. Any role. */
#include "log.h"

#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "../lib/report/clock.h"
#include "text.h"

enum { MAX_LINE = 8192 };

static const char *log_role = "epitaphd";

void log_start(const char *role)
{
	log_role = role;
}

void log_event(enum log_level level, const char *what, const char *format, ...)
{
	static const char *const levels[] = { "info", "warn", "error" };
	struct writer line;
	char detail[1024];
	va_list args;

	va_start(args, format);
	vsnprintf(detail, sizeof(detail), format, args);
	va_end(args);
	writer_init(&line, MAX_LINE);
	text_put(&line, "{\"time\":");
	text_time(&line, clock_wall_ms());
	text_format(&line, ",\"level\":\"%s\",\"role\":\"%s\",\"pid\":%d,"
		    "\"event\":", levels[level], log_role, (int)getpid());
	text_string(&line, what);
	text_put(&line, ",\"detail\":");
	text_string(&line, detail);
	text_put(&line, "}\n");
	/* Nobody to tell if stderr is gone or full. */
	if (!line.bad && write(STDERR_FILENO, line.bytes, line.len) < 0)
		line.bad = true;
	writer_fini(&line);
}
