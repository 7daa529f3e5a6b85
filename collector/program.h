/* The program `epitaph`, which does for the collector what has to do with
 * symbols. */
#ifndef EPITAPH_COLLECTOR_PROGRAM_H
#define EPITAPH_COLLECTOR_PROGRAM_H

#include <stddef.h>
#include <stdint.h>

#include "child.h"
#include "config.h"

/* Room for a command line with all its servers, and NULL. */
enum { PROGRAM_ARGS = 10 + 2 * CONFIG_SERVERS };

/* Where its symbol store is, "DATA/symbols" unless SETTINGS name another. */
void program_store(const struct settings *settings, char *to, size_t cap);

/* In a child (child.h): become `epitaph ARGV`, which may write files of
 * FILE_MAX bytes, at most. Exits with 126 where there is no program. */
_Noreturn void program_exec(const struct settings *settings,
			    char *const argv[], uint64_t file_max);

#endif
