/* Errors as a code and a sentence in the caller's own memory. Any process;
 * what is formatted may come from hostile input, so printers escape it. */
#include "error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

bool fail(struct error *err, enum error_code code, const char *format, ...)
{
	va_list args;

	if (err == NULL)
		return false;
	err->code = code;
	va_start(args, format);
	vsnprintf(err->text, sizeof(err->text), format, args);
	va_end(args);
	return false;
}

/* Append ": " and MORE, cut where the text is full. */
static void append(struct error *err, const char *more)
{
	size_t len = strlen(err->text);

	snprintf(err->text + len, sizeof(err->text) - len, ": %s", more);
}

bool fail_errno(struct error *err, const char *format, ...)
{
	int saved = errno;
	char why[128];
	va_list args;

	if (err == NULL)
		return false;
	err->code = saved == ENOMEM ? ERR_NO_MEMORY : ERR_SYSTEM;
	va_start(args, format);
	vsnprintf(err->text, sizeof(err->text), format, args);
	va_end(args);
	append(err, strerror_r(saved, why, sizeof(why)));
	errno = saved;
	return false;
}

bool fail_context(struct error *err, const char *format, ...)
{
	char before[sizeof(err->text)];
	va_list args;

	if (err == NULL)
		return false;
	memcpy(before, err->text, sizeof(before));
	va_start(args, format);
	vsnprintf(err->text, sizeof(err->text), format, args);
	va_end(args);
	append(err, before);
	return false;
}
