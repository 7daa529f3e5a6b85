/* Hits as text: contract.md's JSON object, or one on each line. This is what
 * a crash storm consists of, so it is read by a scanner of its own, in place
 * and without allocation; everything else that is JSON goes to jansson, and
 * tests/unit/hitscan.c holds the two against each other. */
#ifndef EPITAPH_COLLECTOR_HITSCAN_H
#define EPITAPH_COLLECTOR_HITSCAN_H

#include "../lib/report/error.h"
#include "wire.h"

enum {
	HITSCAN_TEXT = 4096,     /* bytes of a string: PATH_MAX */
	HITSCAN_DEPTH = 8,       /* of what is skipped */
	HITSCAN_COUNT = 1000000, /* crashes that one hit may stand for */
};

/* Position in a request's text. */
struct hitscan {
	char *at, *end;
	unsigned line;
	bool behind_hit; /* the next one has to be on a line of its own */
};

/* TEXT (LEN bytes) is changed while it is read: strings are unescaped in
 * place, and hits point into it. */
void hitscan_init(struct hitscan *scan, char *text, size_t len);

enum hitscan_result { HITSCAN_HIT, HITSCAN_END, HITSCAN_BAD };

/* The next hit. Required are id and fingerprint; time is NOW_MS where it is
 * missing. Unknown keys are skipped; a known key of the wrong type, twice, or
 * too long is bad, as is everything jansson would refuse. */
enum hitscan_result hitscan_next(struct hitscan *scan, int64_t now_ms,
				 struct hit *out, struct error *err);

#endif
