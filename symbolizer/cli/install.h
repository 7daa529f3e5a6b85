/* Where the other programs of this installation are. */
#ifndef EPITAPH_CLI_INSTALL_H
#define EPITAPH_CLI_INSTALL_H

#include <limits.h>
#include <stdbool.h>

#include "../../lib/report/error.h"

/* The path of NAME ("libepitaph.so", "epitaph-helper"): beside this program,
 * as in build/, or in ../lib/epitaph, as it is installed. */
bool install_find(const char *name, char path_out[PATH_MAX],
		  struct error *err);

#endif
