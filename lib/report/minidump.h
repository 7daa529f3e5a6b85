/* The report as bytes: a minidump that other people's tools open, with one
 * user stream of ours in JSON. One codec, for every program.
 *
 * Format: Microsoft's MINIDUMP_HEADER and directory, with the streams that
 * Breakpad gave to Linux; docs/report-format.md says what is in which. */
#ifndef EPITAPH_REPORT_MINIDUMP_H
#define EPITAPH_REPORT_MINIDUMP_H

#include "bytes.h"
#include "report.h"

/* Type of our stream: above 0xffff, where the format leaves room to users. */
#define MINIDUMP_EPITAPH_STREAM 0x45500001u

/* Append REPORT to OUT (initialised by the caller, who frees it). Fails where
 * OUT's limit is reached or REPORT breaks a MAX_* limit. */
bool minidump_encode(const struct report *report, struct writer *out,
		     struct error *err);

/* Decode a minidump, ours or another's, from BYTES, which nobody vouches for:
 * counts are held to the MAX_* limits, offsets to LEN. BYTES is not kept. On
 * success *REPORT_OUT owns its memory: report_free(). On failure it is
 * untouched, and ERR says what was wrong and at which offset. Streams that are
 * absent leave their fields unknown; a dump without our JSON stream has tier
 * 0, and an id only once somebody gives it one. */
bool minidump_decode(const void *bytes, size_t len, struct report *report_out,
		     struct error *err);

#endif
