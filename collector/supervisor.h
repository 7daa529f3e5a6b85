/* The supervisor: starts the roles, starts them again, ends them in order. */
#ifndef EPITAPH_COLLECTOR_SUPERVISOR_H
#define EPITAPH_COLLECTOR_SUPERVISOR_H

#include "config.h"

/* Run the collector until SIGTERM or SIGINT. SETTINGS' listening addresses
 * have their real ports on return. The result is the exit status: 0 where
 * everything that was accepted is finished. */
int supervisor_run(struct settings *settings);

#endif
