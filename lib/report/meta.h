/* The JSON user stream of a report: what a minidump has no place for. In the
 * shape of `epitaph symbolize --json` (docs/report-format.md), without names.
 * Used by the minidump codec alone. */
#ifndef EPITAPH_REPORT_META_H
#define EPITAPH_REPORT_META_H

#include "report.h"

enum {
	META_VERSION = 1, /* new keys do not raise it; new meanings do */
	MAX_META_BYTES = 16 << 20,
	MAX_META_DEPTH = 8,       /* ours is 5 deep */
	MAX_META_FRAMES = 131072, /* of all threads; the rest is left out */
	/* What jansson makes of a few bytes is large (an empty object is 200
	 * bytes), so values are counted before it sees the text: these limits
	 * keep a hostile stream below about 150 MB. */
	MAX_META_VALUES = 1 << 20,
	MAX_META_OBJECTS = 4 * MAX_THREADS + MAX_UNLOADED + 64,
	MAX_META_ARRAYS = MAX_META_FRAMES + 2 * MAX_THREADS + MAX_JIT + 64,
};

/* The end of the year 9999: dates beyond it have no text. */
#define META_MAX_TIME_MS INT64_C(253402300799999)

/* A frame's CFA is written as its distance from the one below it, up to here;
 * one that is further away is on another stack. */
#define META_MAX_DISTANCE UINT64_C(0x40000000)

/* REPORT's metadata as JSON text: malloc'd, *LEN_OUT bytes, for the caller to
 * free. NULL without memory. */
char *meta_encode(const struct report *report, size_t *len_out);

/* Fill REPORT from JSON text that nobody vouches for. Threads must already be
 * there; frames are attached to them by tid. Unknown keys are ignored, a known
 * key of the wrong type is an error. */
bool meta_decode(const char *json, size_t len, struct report *report,
		 struct error *err);

#endif
