/* HTTP by libcurl, loaded at the first use. Runs in the command line; what a
 * server sends is bounded in size and time, and looked at by others. */
#include "http_curl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../curl.h"

enum {
	CONNECT_TIMEOUT_MS = 10000,
	/* A slow link may need a while for 32 MiB; a dead one is noticed by
	 * its silence. */
	SILENCE_S = 30,
	/* Behind an upload a collector looks at all of it. */
	VERDICT_S = 180,
};

static const char unix_prefix[] = "http+unix://";

static const struct curl_functions *curl;

struct http_curl {
	CURL *easy;
	char *base;  /* to put a path behind, without a slash at its end */
	char *sock;  /* unix socket, or NULL */
	char *token; /* or NULL */
	bool is_local; /* no proxy on the way to ourselves */
	long silence_s;
	char trouble[CURL_ERROR_SIZE];
};

static bool has_prefix(const char *text, const char *prefix)
{
	return strncmp(text, prefix, strlen(prefix)) == 0;
}

/* Split URL into what libcurl wants. */
static bool take_url(struct http_curl *http, const char *url,
		     struct error *err)
{
	size_t len;

	if (has_prefix(url, unix_prefix)) {
		http->sock = strdup(url + strlen(unix_prefix));
		http->base = strdup("http://localhost");
		http->is_local = true;
		if (http->sock && http->sock[0] != '/')
			return fail(err, ERR_BAD_DATA, "%s: no absolute path "
				    "behind %s", url, unix_prefix);
	} else if (has_prefix(url, "http://") || has_prefix(url, "https://")) {
		http->base = strdup(url);
		http->is_local = curl_is_loopback(url);
	} else {
		return fail(err, ERR_BAD_DATA, "%s: neither http://, https:// "
			    "nor http+unix://", url);
	}
	if (http->base == NULL)
		return fail(err, ERR_NO_MEMORY, "no memory");
	for (len = strlen(http->base); len > 0 && http->base[len - 1] == '/';)
		http->base[--len] = '\0';
	return true;
}

struct http_curl *http_curl_new(const char *url, const char *token,
				struct error *err)
{
	struct http_curl *http;

	curl = curl_load(err);
	if (curl == NULL)
		return NULL;
	http = calloc(1, sizeof(*http));
	if (http == NULL) {
		fail(err, ERR_NO_MEMORY, "no memory");
		return NULL;
	}
	http->silence_s = SILENCE_S;
	http->easy = curl->init();
	http->token = token ? strdup(token) : NULL;
	if (http->easy && take_url(http, url, err))
		return http;
	if (http->easy == NULL)
		fail(err, ERR_NO_MEMORY, "libcurl cannot start");
	http_curl_free(http);
	return NULL;
}

void http_curl_free(struct http_curl *http)
{
	if (http == NULL)
		return;
	if (http->easy)
		curl->cleanup(http->easy);
	free(http->base);
	free(http->sock);
	free(http->token);
	free(http);
}

static size_t collect(char *bytes, size_t size, size_t n, void *context)
{
	struct writer *out = context;

	writer_bytes(out, bytes, size * n);
	return out->bad ? 0 : size * n;
}

static bool add_header(struct curl_slist **list, const char *name,
		       const char *value)
{
	struct curl_slist *more;
	char *line;

	if (value == NULL)
		return true;
	if (asprintf(&line, "%s: %s", name, value) < 0)
		return false;
	more = curl->slist_append(*list, line);
	free(line);
	if (more)
		*list = more;
	return more != NULL;
}

static bool add_token(struct curl_slist **list, const char *token)
{
	char *value;
	bool ok;

	if (token == NULL || *token == '\0')
		return true;
	if (strpbrk(token, "\r\n"))
		return false;
	if (asprintf(&value, "Bearer %s", token) < 0)
		return false;
	ok = add_header(list, "Authorization", value);
	free(value);
	return ok;
}

static void set_common(struct http_curl *http, const char *url,
		       struct curl_slist *headers, struct writer *body)
{
	CURL *easy = http->easy;

	curl->setopt(easy, CURLOPT_URL, url);
	curl->setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
	curl->setopt(easy, CURLOPT_HTTPHEADER, headers);
	curl->setopt(easy, CURLOPT_WRITEFUNCTION, collect);
	curl->setopt(easy, CURLOPT_WRITEDATA, body);
	curl->setopt(easy, CURLOPT_ERRORBUFFER, http->trouble);
	curl->setopt(easy, CURLOPT_NOSIGNAL, 1L);
	curl->setopt(easy, CURLOPT_CONNECTTIMEOUT_MS,
		    (long)CONNECT_TIMEOUT_MS);
	curl->setopt(easy, CURLOPT_LOW_SPEED_LIMIT, 1L);
	curl->setopt(easy, CURLOPT_LOW_SPEED_TIME, http->silence_s);
	curl->setopt(easy, CURLOPT_USERAGENT, "epitaph");
	if (http->sock)
		curl->setopt(easy, CURLOPT_UNIX_SOCKET_PATH, http->sock);
	if (http->is_local)
		curl->setopt(easy, CURLOPT_PROXY, "");
}

static bool perform(struct http_curl *http, const struct writer *body,
		    int *status_out, struct error *err)
{
	long status = 0;
	CURLcode code;

	http->trouble[0] = '\0';
	code = curl->perform(http->easy);
	if (body->bad)
		return fail(err, ERR_TOO_LARGE, "the answer is larger than "
			    "%zu bytes", body->limit);
	if (code != CURLE_OK)
		return fail(err, ERR_UNAVAILABLE, "%s",
			    http->trouble[0] ? http->trouble
					     : curl->strerror(code));
	curl->getinfo(http->easy, CURLINFO_RESPONSE_CODE, &status);
	*status_out = (int)status;
	return true;
}

/* One request; the caller has set what is special about it. */
static bool request(struct http_curl *http, const char *path,
		    struct curl_slist *headers, struct writer *body,
		    int *status_out, struct error *err)
{
	char *url;
	bool ok;

	if (asprintf(&url, "%s%s", http->base, path) < 0)
		return fail(err, ERR_NO_MEMORY, "no memory");
	set_common(http, url, headers, body);
	ok = perform(http, body, status_out, err);
	curl->reset(http->easy);
	free(url);
	return ok;
}

bool http_curl_get(struct http_curl *http, const char *path,
		   struct writer *body, int *status_out, struct error *err)
{
	struct curl_slist *headers = NULL;
	bool ok;

	if (!add_token(&headers, http->token))
		ok = fail(err, ERR_BAD_DATA, "the token will not do");
	else
		ok = request(http, path, headers, body, status_out, err);
	curl->slist_free_all(headers);
	return ok;
}

static size_t read_file(char *to, size_t size, size_t n, void *context)
{
	const struct http_upload *upload = context;
	size_t got = fread(to, size, n, upload->file);

	return ferror(upload->file) ? CURL_READFUNC_ABORT : got;
}

static int tell_progress(void *context, curl_off_t down, curl_off_t got,
			 curl_off_t up, curl_off_t sent)
{
	const struct http_upload *upload = context;

	(void)down;
	(void)got;
	(void)up;
	upload->progress(upload->context, (uint64_t)sent, upload->size);
	return 0;
}

/* A server that says no before all of the file has come is heard at once, as
 * it says so in answer to Expect, or at the end. */
bool http_curl_put(struct http_curl *http, const char *path,
		   struct http_upload *upload, struct writer *body,
		   int *status_out, struct error *err)
{
	struct curl_slist *headers = NULL;
	CURL *easy = http->easy;
	bool ok;

	curl->setopt(easy, CURLOPT_UPLOAD, 1L);
	curl->setopt(easy, CURLOPT_READFUNCTION, read_file);
	curl->setopt(easy, CURLOPT_READDATA, upload);
	curl->setopt(easy, CURLOPT_INFILESIZE_LARGE, (curl_off_t)upload->size);
	curl->setopt(easy, CURLOPT_NOPROGRESS, 0L);
	curl->setopt(easy, CURLOPT_XFERINFOFUNCTION, tell_progress);
	curl->setopt(easy, CURLOPT_XFERINFODATA, upload);
	http->silence_s = VERDICT_S;
	if (!add_token(&headers, http->token))
		ok = fail(err, ERR_BAD_DATA, "the token will not do");
	else
		ok = request(http, path, headers, body, status_out, err);
	curl->slist_free_all(headers);
	return ok;
}

bool http_curl_post(void *context, const char *path, const char *type,
		    const char *encoding, const char *token, const void *body,
		    size_t len, struct response *response_out,
		    struct error *err)
{
	struct http_curl *http = context;
	struct curl_slist *headers = NULL;
	struct writer answer;
	bool ok;

	writer_init(&answer, SHIP_MAX_RESPONSE - 1);
	curl->setopt(http->easy, CURLOPT_POSTFIELDS, body);
	curl->setopt(http->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)len);
	if (add_header(&headers, "Content-Type", type) &&
	    add_header(&headers, "Content-Encoding", encoding) &&
	    add_header(&headers, "Expect", "") && add_token(&headers, token))
		ok = request(http, path, headers, &answer,
			     &response_out->status, err);
	else
		ok = fail(err, ERR_BAD_DATA, "the token will not do");
	curl->slist_free_all(headers);
	if (ok) {
		if (answer.len > 0)
			memcpy(response_out->body, answer.bytes, answer.len);
		response_out->body[answer.len] = '\0';
		response_out->len = answer.len;
	}
	writer_fini(&answer);
	return ok;
}

char *http_curl_escape(const char *text)
{
	static const char safe[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
		"0123456789-._~";
	char *out = malloc(3 * strlen(text) + 1);
	size_t len = 0;

	if (out == NULL)
		return NULL;
	for (; *text; text++) {
		if (strchr(safe, *text)) {
			out[len++] = *text;
			continue;
		}
		snprintf(out + len, 4, "%%%02X", (unsigned char)*text);
		len += 3;
	}
	out[len] = '\0';
	return out;
}
