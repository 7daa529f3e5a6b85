/* What has to be true before a role is started: a data directory that is ours
 * alone, addresses that are free, and tokens where the world can knock. */
#ifndef EPITAPH_COLLECTOR_PREPARE_H
#define EPITAPH_COLLECTOR_PREPARE_H

#include "config.h"

/* Make the data directory and those below it, take its lock (held until the
 * process ends), clear what an earlier run left half received, and make it the
 * working directory. */
bool prepare_data(const struct settings *settings, struct error *err);

/* Refuse to listen beyond this machine while there is no token. */
bool prepare_exposure(const struct settings *settings, struct error *err);

/* Reserve SETTINGS' addresses: bound, not listening, so that no connection
 * can land where nobody accepts; the workers listen on the same ones
 * (SO_REUSEPORT). Port 0 becomes a real one. Descriptors stay open. */
bool prepare_addresses(struct settings *settings, struct error *err);

/* Bind a socket to ADDRESS, with REUSE to share its port with our other
 * workers. -1 and ERR. */
int prepare_bind(const struct listen_address *address, bool reuse,
		 struct error *err);

#endif
