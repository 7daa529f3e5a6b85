/* The JSON user stream of a report: what a minidump has no place for. In the
 * shape of `epitaph symbolize --json` (docs/report-format.md), without names.
 * Used by the minidump codec alone. */
#ifndef EPITAPH_REPORT_META_H
#define EPITAPH_REPORT_META_H

#include "report.h"

/* REPORT's metadata as JSON text: malloc'd, *LEN_OUT bytes, for the caller to
 * free. NULL without memory. */
char *meta_encode(const struct report *report, size_t *len_out);

/* Fill REPORT from JSON text that nobody vouches for. Threads must already be
 * there; frames are attached to them by tid. Unknown keys are ignored, a known
 * key of the wrong type is an error. */
bool meta_decode(const char *json, size_t len, struct report *report,
		 struct error *err);

#endif
