/* libcurl, loaded when the first request is made: linked, it costs every
 * `epitaph symbolize` ten milliseconds of relocations for thirty libraries that
 * it does not use. Process: any. */
#ifndef EPITAPH_SYMBOLIZER_CURL_H
#define EPITAPH_SYMBOLIZER_CURL_H

#include <curl/curl.h>

#include "../lib/report/error.h"

/* The functions of it that are used. */
struct curl_functions {
	__typeof__(curl_easy_init) *init;
	__typeof__(curl_easy_setopt) *setopt;
	__typeof__(curl_easy_perform) *perform;
	__typeof__(curl_easy_getinfo) *getinfo;
	__typeof__(curl_easy_reset) *reset;
	__typeof__(curl_easy_cleanup) *cleanup;
	__typeof__(curl_easy_strerror) *strerror;
	__typeof__(curl_slist_append) *slist_append;
	__typeof__(curl_slist_free_all) *slist_free_all;
};

/* They, or NULL with ERR where there is no libcurl that will do. */
const struct curl_functions *curl_load(struct error *err);

/* True where URL leads to this machine: then there is no proxy on the way. */
bool curl_is_loopback(const char *url);

#endif
