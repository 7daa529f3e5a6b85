/* Errors that need no allocation: a code to act on and a sentence to show.
 * A fallible function returns bool and takes `struct error *` last. */
#ifndef EPITAPH_REPORT_ERROR_H
#define EPITAPH_REPORT_ERROR_H

#include <stdbool.h>

enum error_code {
	ERR_NONE,
	ERR_BAD_DATA,    /* bytes that are not what they claim to be */
	ERR_TOO_LARGE,   /* over a limit that the text names */
	ERR_NOT_FOUND,
	ERR_UNSUPPORTED, /* well-formed, but not of a kind we read */
	ERR_REFUSED,     /* the other side said no, and will say so again */
	ERR_UNAVAILABLE, /* nobody answered, or "not now": try later */
	ERR_TIMEOUT,
	ERR_SYSTEM,      /* a system call failed; the text has its errno */
	ERR_NO_MEMORY,
};

struct error {
	enum error_code code;
	char text[256];
};

/* Record CODE and a formatted sentence in ERR (which may be NULL) and return
 * false, so that a caller can write `return fail(err, ...)`. */
bool fail(struct error *err, enum error_code code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* The same with ": " and the text of the current errno at the end. */
bool fail_errno(struct error *err, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* Put a formatted prefix and ": " before the text that ERR already holds;
 * returns false. Add context once, where it is known. */
bool fail_context(struct error *err, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

#endif
