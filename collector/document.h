/* A report as JSON before anybody has looked for symbols: the shape of
 * `epitaph symbolize --json`, without names. It is what the pages show until,
 * or where, symbolizing has not happened. */
#ifndef EPITAPH_COLLECTOR_DOCUMENT_H
#define EPITAPH_COLLECTOR_DOCUMENT_H

#include "../lib/report/bytes.h"
#include "../lib/report/report.h"

/* Append REPORT to OUT. */
void document_write(const struct report *report, struct writer *out);

#endif
