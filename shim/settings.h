/* The program's environment, as far as it concerns us: read once at start,
 * copied into the crash record, and, where it was asked for, taken out. */
#ifndef EPITAPH_SHIM_SETTINGS_H
#define EPITAPH_SHIM_SETTINGS_H

#include <stdbool.h>

/* Read ENVIRONMENT (as envp) into zone.record.settings. False where the user
 * has switched us off. A value that cannot be understood leaves its default. */
bool settings_read(char **environment);

/* Where EPITAPH_FOLLOW=0: take LD_PRELOAD and EPITAPH_* out of ENVIRONMENT,
 * so that the program's children start without us. */
void settings_unfollow(char **environment);

#endif
