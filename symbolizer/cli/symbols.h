/* The halves of `epitaph symbols` that have to do with a collector. */
#ifndef EPITAPH_CLI_SYMBOLS_H
#define EPITAPH_CLI_SYMBOLS_H

#include <stdbool.h>
#include <stdint.h>

#include "cli.h"

/* `symbols take`, as a collector runs it on an upload: puts the file at PATH,
 * which is its own to move, into STORE, and says as one line of JSON what came
 * of it: {"build_id", "new"}, or {"status", "detail"} for the sender. MAX: of
 * what is gzip'ed, 0 for none. The process may be lost over it. */
int symbols_take(const char *store, uint64_t max, const char *path);

enum sent { SENT_NEW, SENT_SAME, SENT_KINDS };

/* Send the file at PATH to the collector of OPTIONS. */
bool symbols_send(const struct cli_options *options, const char *path,
		  enum sent *out, struct error *err);

/* `symbols missing -c URL`: by the reports of that collector. */
int symbols_missing_there(const struct cli_options *options);

#endif
