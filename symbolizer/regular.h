/* Opening a file that others may have put where it is. Process: the child that
 * can be lost, and the command line. */
#ifndef EPITAPH_SYMBOLIZER_REGULAR_H
#define EPITAPH_SYMBOLIZER_REGULAR_H

#include <stdbool.h>

#include "../lib/report/error.h"

/* Open PATH for reading, if it is a regular file; never waits. */
bool regular_open(const char *path, int *fd_out, struct error *err);

#endif
