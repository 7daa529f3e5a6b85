/* Shipping by `epitaph flush`, for URLs that the helper cannot speak to. */
#ifndef EPITAPH_HELPER_FLUSH_H
#define EPITAPH_HELPER_FLUSH_H

#include "../signal/record.h"

/* Put a process aside that can run it, before the sandbox: a descriptor to
 * order it by, or -1. It ends when that is closed. */
int flush_prepare(const struct crash_settings *settings);
/* Ship report ID in the directory SPOOL. */
void flush_order(int to, const char *spool, const char *id);

#endif
