/* Two fingerprints of a crash. The exact one is made at crash time from
 * build-ids and offsets and is a cache key; the semantic one is made from
 * names and is what groups reports. Both are pure functions. */
#ifndef EPITAPH_REPORT_FINGERPRINT_H
#define EPITAPH_REPORT_FINGERPRINT_H

#include "report.h"

enum {
	FINGERPRINT_FRAMES = 16, /* as FAF and Socorro: deeper frames say how
	                          * one got there, not what broke */
	FINGERPRINT_HEX = 33,
	FINGERPRINT_TITLE = 256,
};

/* Exact: SHA-256, first 128 bits, over a version byte, the signal and up to
 * FINGERPRINT_FRAMES frames of the crashing thread as build-id and module
 * offset, with recursion (periods up to 8) folded, and none from where the
 * first was found by scanning. Without a frame that lies in a module it is
 * over the executable's build-id. Writes 32 hex digits. */
void fingerprint_exact(const struct report *report,
		       char hex_out[FINGERPRINT_HEX]);

/* A frame by name, as the symbolizer found it, innermost first. */
struct named_frame {
	const char *function; /* demangled, or NULL */
	const char *module;   /* basename or path, or NULL */
	const char *file;     /* or NULL */
	uint64_t offset;      /* module offset, for frames without a name */
};

struct semantic {
	char hex[FINGERPRINT_HEX];
	char title[FINGERPRINT_TITLE]; /* "f | g" */
	/* Which frames of the input made it, in order, for --explain. */
	size_t used[FINGERPRINT_FRAMES];
	size_t nused;
};

/* Semantic: cleaned names under sentinel, skip and prefix lists, hashed with
 * the signal's class. The rules are Socorro's signature generation and
 * Sentry's name trimming, written anew; semantic.c lists them. */
void fingerprint_semantic(int signal, const struct named_frame *frames,
			  size_t nframes, struct semantic *out);

/* True where the TITLE of a semantic fingerprint has a frame without a name:
 * with symbols it would be another. */
bool fingerprint_is_partial(const char *title);

#endif
