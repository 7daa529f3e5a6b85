/* What is remembered of a debuginfod server, in the symbol store, so that every
 * process knows: files that it has not got, or that are no good, and whether it
 * fails. Process: any. */
#ifndef EPITAPH_SYMBOLIZER_SERVER_H
#define EPITAPH_SYMBOLIZER_SERVER_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

#include "../lib/report/report.h"

enum {
	SERVER_ABSENT_S = 3600,   /* what it has not got, it may have soon */
	SERVER_BAD_S = 24 * 3600, /* what is no good, somebody has to mend */
	SERVER_FAILURES = 3,      /* in a row, and it is left alone... */
	SERVER_PAUSE_S = 60,      /* ...for so long, doubled with each failure
	                           * that follows... */
	SERVER_PAUSE_MAX_S = 3600, /* ...up to this */
};

struct server {
	const char *url; /* borrowed */
	char dir[PATH_MAX];
};

/* URL's memory below DIR, which is made where it is not there. False where it
 * cannot be. Forgets what is too old. */
bool server_open(const char *dir, const char *url, struct server *out);

/* Its URL as it may be shown: without a name and a password. */
void server_name(const struct server *server, char *out, size_t cap);

/* True while it is left alone. */
bool server_is_down(const struct server *server);
/* It failed, or it answered, whatever it said. */
void server_failed(const struct server *server);
void server_answered(const struct server *server);

enum server_lack { SERVER_ABSENT, SERVER_BAD };

/* True where it is known to lack ID's file. */
bool server_lacks(const struct server *server, const struct build_id *id);
void server_note_lack(const struct server *server, const struct build_id *id,
		      enum server_lack lack, const char *why);

#endif
