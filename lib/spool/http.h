/* A small HTTP/1.1 client for the crash-time helper: POST with a
 * Content-Length over TCP to a numeric address or over a unix socket, one
 * connection kept open. No names and no TLS: static glibc can do neither. */
#ifndef EPITAPH_SPOOL_HTTP_H
#define EPITAPH_SPOOL_HTTP_H

#include <stdbool.h>
#include <stdint.h>

#include "ship.h"

/* True where URL is one that this client can speak to: http:// with a numeric
 * host, or http+unix:///path. */
bool http_can(const char *url);

struct http {
	char url[512];
	int fd; /* -1: not connected */
	int64_t deadline_ms; /* of CLOCK_MONOTONIC; for all requests */
};

bool http_open(const char *url, int64_t deadline_ms, struct http *http_out,
	       struct error *err);
void http_close(struct http *http);

/* A ship_post; CONTEXT is a struct http. */
bool http_post(void *context, const char *path, const char *type,
	       const char *encoding, const char *token, const void *body,
	       size_t len, struct response *response_out, struct error *err);

#endif
