/* Looking into a report's body, in a disposable child of the check role. */
#ifndef EPITAPH_COLLECTOR_CHECK_H
#define EPITAPH_COLLECTOR_CHECK_H

#include "wire.h"

/* In the child, already limited: unpack and decode the body in FD (open for
 * reading and writing), make its file gzip and durable, and write what it says
 * to OUT, as MSG_CHECKED. */
void check_body(int fd, const struct check_job *job, struct writer *out);

#endif
