/* HTTP/1.1 for the crash-time helper. Text from the collector is read here
 * and nowhere else: a status line, headers up to a limit, and a body of a
 * Content-Length that is held to what the caller has room for. */
#include "http.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { MAX_HEAD = 8192, MAX_INTERRUPTIONS = 16 };

struct address {
	union {
		struct sockaddr any;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
		struct sockaddr_un un;
	} at;
	socklen_t len;
	char host[300]; /* for the Host header */
	char prefix[256]; /* path before ours */
};

static bool parse_port(const char *text, size_t len, uint16_t *port_out)
{
	unsigned port = 0;

	if (len == 0 || len > 5)
		return false;
	for (size_t i = 0; i < len; i++) {
		if (text[i] < '0' || text[i] > '9')
			return false;
		port = port * 10 + (unsigned)(text[i] - '0');
	}
	if (port == 0 || port > 65535)
		return false;
	*port_out = (uint16_t)port;
	return true;
}

static bool parse_unix(const char *path, struct address *out)
{
	size_t len = strlen(path);

	if (*path != '/' || len >= sizeof(out->at.un.sun_path))
		return false;
	out->at.un.sun_family = AF_UNIX;
	memcpy(out->at.un.sun_path, path, len + 1);
	out->len = sizeof(out->at.un);
	snprintf(out->host, sizeof(out->host), "localhost");
	return true;
}

/* HOST (LEN characters, brackets taken off) as a numeric address. */
static bool parse_host(const char *host, size_t len, uint16_t port,
		       struct address *out)
{
	char text[INET6_ADDRSTRLEN];

	if (len >= sizeof(text))
		return false;
	memcpy(text, host, len);
	text[len] = '\0';
	if (inet_pton(AF_INET, text, &out->at.v4.sin_addr) == 1) {
		out->at.v4.sin_family = AF_INET;
		out->at.v4.sin_port = htons(port);
		out->len = sizeof(out->at.v4);
		return true;
	}
	memset(&out->at, 0, sizeof(out->at));
	if (inet_pton(AF_INET6, text, &out->at.v6.sin6_addr) != 1)
		return false;
	out->at.v6.sin6_family = AF_INET6;
	out->at.v6.sin6_port = htons(port);
	out->len = sizeof(out->at.v6);
	return true;
}

/* "localhost" needs no resolver. */
static bool is_localhost(const char *host, size_t len)
{
	return len == 9 && strncasecmp(host, "localhost", 9) == 0;
}

static bool parse_tcp(const char *authority, struct address *out)
{
	size_t len = strcspn(authority, "/?#");
	const char *path = authority + len;
	const char *host = authority;
	size_t host_len = len, rest = len;
	uint16_t port = 80;

	if (strchr(path, '?') || strchr(path, '#'))
		return false;
	snprintf(out->host, sizeof(out->host), "%.*s", (int)len, authority);
	snprintf(out->prefix, sizeof(out->prefix), "%s", path);
	if (out->prefix[0] && out->prefix[strlen(out->prefix) - 1] == '/')
		out->prefix[strlen(out->prefix) - 1] = '\0';
	if (*host == '[') {
		const char *end = memchr(host, ']', len);

		if (!end)
			return false;
		host++;
		host_len = (size_t)(end - host);
		rest = (size_t)(end + 1 - authority);
	} else {
		const char *colon = memchr(host, ':', len);

		host_len = rest = colon ? (size_t)(colon - host) : len;
	}
	if (rest < len && (authority[rest] != ':' ||
			   !parse_port(authority + rest + 1, len - rest - 1,
				       &port)))
		return false;
	if (is_localhost(host, host_len))
		return parse_host("127.0.0.1", 9, port, out);
	return parse_host(host, host_len, port, out);
}

static bool parse_url(const char *url, struct address *out)
{
	memset(out, 0, sizeof(*out));
	if (strncmp(url, "http+unix://", 12) == 0)
		return parse_unix(url + 12, out);
	if (strncmp(url, "http://", 7) == 0)
		return parse_tcp(url + 7, out);
	return false;
}

bool http_can(const char *url)
{
	struct address address;

	return parse_url(url, &address);
}

static int rest_ms(const struct http *http)
{
	struct timespec now;
	int64_t rest;

	clock_gettime(CLOCK_MONOTONIC, &now);
	rest = http->deadline_ms - now.tv_sec * 1000ll - now.tv_nsec / 1000000;
	return rest <= 0 ? 0 : rest > 60000 ? 60000 : (int)rest;
}

/* Wait for EVENTS until the deadline. */
static bool wait_for(struct http *http, short events, struct error *err)
{
	struct pollfd poll_fd = { .fd = http->fd, .events = events };

	if (poll(&poll_fd, 1, rest_ms(http)) > 0)
		return true;
	return fail(err, ERR_TIMEOUT, "%s: no answer in time", http->url);
}

static bool connect_to(struct http *http, const struct address *address,
		       struct error *err)
{
	int type = SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK;
	int one = 1, error = 0;
	socklen_t len = sizeof(error);

	http->fd = socket(address->at.any.sa_family, type, 0);
	if (http->fd < 0)
		return fail_errno(err, "%s: socket", http->url);
	if (connect(http->fd, &address->at.any, address->len) < 0) {
		if (errno != EINPROGRESS)
			return fail_errno(err, "%s", http->url);
		if (!wait_for(http, POLLOUT, err))
			return false;
	}
	if (getsockopt(http->fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0 ||
	    error) {
		errno = error;
		return fail_errno(err, "%s", http->url);
	}
	if (address->at.any.sa_family != AF_UNIX)
		setsockopt(http->fd, IPPROTO_TCP, TCP_NODELAY, &one,
			   sizeof(one));
	return true;
}

bool http_open(const char *url, int64_t deadline_ms, struct http *http_out,
	       struct error *err)
{
	if (strlen(url) >= sizeof(http_out->url) || !http_can(url))
		return fail(err, ERR_UNSUPPORTED,
			    "%.200s: not an address that the helper can speak "
			    "to", url);
	snprintf(http_out->url, sizeof(http_out->url), "%s", url);
	http_out->fd = -1;
	http_out->deadline_ms = deadline_ms;
	return true;
}

void http_close(struct http *http)
{
	if (http->fd >= 0)
		close(http->fd);
	http->fd = -1;
}

/* Whether errno says that the same call may still do. One that is interrupted
 * again and again (a filter may say so) would keep us until the deadline. */
static bool may_retry(int *interruptions)
{
	return errno == EAGAIN ||
	       (errno == EINTR && ++*interruptions <= MAX_INTERRUPTIONS);
}

static bool send_all(struct http *http, const void *bytes, size_t len,
		     struct error *err)
{
	const char *at = bytes;
	int interruptions = 0;

	while (len) {
		ssize_t n = send(http->fd, at, len, MSG_NOSIGNAL);

		if (n < 0 && may_retry(&interruptions)) {
			if (!wait_for(http, POLLOUT, err))
				return false;
			continue;
		}
		if (n <= 0)
			return fail_errno(err, "%s", http->url);
		at += n;
		len -= (size_t)n;
	}
	return true;
}

/* Read some bytes; 0 at the end of the stream, -1 on failure. */
static ssize_t receive(struct http *http, char *to, size_t len,
		       struct error *err)
{
	int interruptions = 0;

	for (;;) {
		ssize_t n = recv(http->fd, to, len, 0);

		if (n >= 0)
			return n;
		if (!may_retry(&interruptions)) {
			fail_errno(err, "%s", http->url);
			return -1;
		}
		if (!wait_for(http, POLLIN, err))
			return -1;
	}
}

/* The value of header NAME in HEAD, or NULL. */
static const char *header(const char *head, const char *name)
{
	size_t len = strlen(name);
	const char *line = strstr(head, "\r\n");

	for (; line; line = strstr(line, "\r\n")) {
		line += 2;
		if (strncasecmp(line, name, len) == 0 && line[len] == ':')
			return line + len + 1 +
			       strspn(line + len + 1, " \t");
	}
	return NULL;
}

struct head {
	char text[MAX_HEAD];
	size_t len;  /* bytes read */
	size_t body; /* where the body begins */
};

static bool read_head(struct http *http, struct head *head, struct error *err)
{
	char *end;
	ssize_t n;

	head->len = 0;
	for (;;) {
		if (head->len == MAX_HEAD - 1)
			return fail(err, ERR_TOO_LARGE,
				    "%s: response header over %d bytes",
				    http->url, MAX_HEAD);
		n = receive(http, head->text + head->len,
			    MAX_HEAD - 1 - head->len, err);
		if (n < 0)
			return false;
		if (n == 0)
			return fail(err, ERR_UNAVAILABLE,
				    "%s: closed without an answer", http->url);
		head->len += (size_t)n;
		head->text[head->len] = '\0';
		end = strstr(head->text, "\r\n\r\n");
		if (end)
			break;
	}
	head->body = (size_t)(end + 4 - head->text);
	end[2] = '\0';
	return true;
}

/* The status of HEAD, 0 if that is no HTTP response. */
static int parse_status(const char *head)
{
	const char *at = head + 9;

	if (strncmp(head, "HTTP/1.", 7) != 0 || strlen(head) < 12)
		return 0;
	for (int i = 0; i < 3; i++) {
		if (at[i] < '0' || at[i] > '9')
			return 0;
	}
	return (at[0] - '0') * 100 + (at[1] - '0') * 10 + (at[2] - '0');
}

static bool read_body(struct http *http, const struct head *head,
		      struct response *out, struct error *err)
{
	const char *text = header(head->text, "Content-Length");
	unsigned long long want = text ? strtoull(text, NULL, 10) : 0;
	size_t len = head->len - head->body;

	if (header(head->text, "Transfer-Encoding") ||
	    want >= sizeof(out->body))
		return fail(err, ERR_UNSUPPORTED,
			    "%s: a response that the helper cannot read",
			    http->url);
	if (len > want)
		len = (size_t)want;
	memcpy(out->body, head->text + head->body, len);
	while (len < want) {
		ssize_t n = receive(http, out->body + len,
				    (size_t)want - len, err);

		if (n < 0)
			return false;
		if (n == 0)
			return fail(err, ERR_UNAVAILABLE,
				    "%s: answer cut short", http->url);
		len += (size_t)n;
	}
	out->body[len] = '\0';
	out->len = len;
	return true;
}

static bool read_response(struct http *http, struct response *out,
			  struct error *err)
{
	struct head head;
	const char *connection;

	if (!read_head(http, &head, err))
		return false;
	out->status = parse_status(head.text);
	if (!out->status)
		return fail(err, ERR_BAD_DATA, "%s: does not speak HTTP",
			    http->url);
	if (!read_body(http, &head, out, err))
		return false;
	connection = header(head.text, "Connection");
	if (connection && strncasecmp(connection, "close", 5) == 0)
		http_close(http);
	return true;
}

bool http_post(void *context, const char *path, const char *type,
	       const char *encoding, const char *token, const void *body,
	       size_t len, struct response *response_out, struct error *err)
{
	struct http *http = context;
	struct address address;
	char head[8192];
	int n;

	parse_url(http->url, &address);
	n = snprintf(head, sizeof(head),
		     "POST %s%s HTTP/1.1\r\nHost: %s\r\n"
		     "Content-Type: %s\r\nContent-Length: %zu\r\n"
		     "%s%s%s%s%s%s\r\n",
		     address.prefix, path, address.host, type, len,
		     encoding ? "Content-Encoding: " : "",
		     encoding ? encoding : "", encoding ? "\r\n" : "",
		     token ? "Authorization: Bearer " : "",
		     token ? token : "", token ? "\r\n" : "");
	if (n < 0 || (size_t)n >= sizeof(head))
		return fail(err, ERR_TOO_LARGE, "%s: request too long",
			    http->url);
	if ((http->fd < 0 && !connect_to(http, &address, err)) ||
	    !send_all(http, head, (size_t)n, err) ||
	    !send_all(http, body, len, err) ||
	    !read_response(http, response_out, err)) {
		http_close(http);
		return false;
	}
	return true;
}
