/* HTTP by libcurl (../curl.h), which knows names, TLS and proxies. */
#ifndef EPITAPH_CLI_HTTP_CURL_H
#define EPITAPH_CLI_HTTP_CURL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "../../lib/report/bytes.h"
#include "../../lib/spool/ship.h"

struct http_curl;

/* A client of the collector at URL (http, https, http+unix:///PATH). TOKEN is
 * for http_curl_get() alone, or NULL. NULL with ERR where libcurl or the URL
 * will not do. */
struct http_curl *http_curl_new(const char *url, const char *token,
				struct error *err);
void http_curl_free(struct http_curl *http);

/* GET PATH ("/api/v1/groups?limit=1"): append the body to BODY, up to its
 * limit. False where no response came. */
bool http_curl_get(struct http_curl *http, const char *path,
		   struct writer *body, int *status_out, struct error *err);

struct http_upload {
	FILE *file;
	uint64_t size;
	void (*progress)(void *context, uint64_t done, uint64_t total);
	void *context;
};

/* PUT the file of UPLOAD to PATH, piece by piece; for as long as bytes move.
 * The answer's body is appended to BODY. */
bool http_curl_put(struct http_curl *http, const char *path,
		   struct http_upload *upload, struct writer *body,
		   int *status_out, struct error *err);

/* A ship_post; CONTEXT is a struct http_curl. */
bool http_curl_post(void *context, const char *path, const char *type,
		    const char *encoding, const char *token, const void *body,
		    size_t len, struct response *response_out,
		    struct error *err);

/* TEXT for a place in a path or query: malloc'd, NULL without memory. */
char *http_curl_escape(const char *text);

#endif
