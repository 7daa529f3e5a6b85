/* One download. Runs in a child that can be lost over libcurl and what it is
 * told; every wait in it ends, and its parent ends it otherwise. */
#include "fetch.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "curl.h"

enum {
	CONNECT_MS = 3000,
	/* Who sends less than a page a second for so long has no file for
	 * us. */
	TRICKLE_BYTES = 4096,
	TRICKLE_S = 4,
	MAX_REDIRECTS = 5,
};

struct download {
	const struct fetch *fetch;
	uint64_t received;
	int write_errno;
	bool is_too_large;
};

static size_t keep(char *bytes, size_t size, size_t n, void *context)
{
	struct download *download = context;
	size_t len = size * n, done = 0;

	if (len > download->fetch->max - download->received) {
		download->is_too_large = true;
		return 0;
	}
	while (done < len) {
		ssize_t put = write(download->fetch->fd, bytes + done,
				    len - done);

		if (put < 0 && errno == EINTR)
			continue;
		if (put <= 0) {
			download->write_errno = errno;
			return 0;
		}
		done += (size_t)put;
	}
	download->received += len;
	return len;
}

static void set_options(const struct curl_functions *curl, CURL *easy,
			struct download *download, char *trouble)
{
	const struct fetch *fetch = download->fetch;

	curl->setopt(easy, CURLOPT_URL, fetch->url);
	curl->setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
	curl->setopt(easy, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
	curl->setopt(easy, CURLOPT_FOLLOWLOCATION, 1L);
	curl->setopt(easy, CURLOPT_MAXREDIRS, (long)MAX_REDIRECTS);
	curl->setopt(easy, CURLOPT_FAILONERROR, 1L);
	curl->setopt(easy, CURLOPT_WRITEFUNCTION, keep);
	curl->setopt(easy, CURLOPT_WRITEDATA, download);
	curl->setopt(easy, CURLOPT_ERRORBUFFER, trouble);
	curl->setopt(easy, CURLOPT_NOSIGNAL, 1L);
	curl->setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_MS);
	curl->setopt(easy, CURLOPT_TIMEOUT_MS, (long)fetch->within_ms);
	curl->setopt(easy, CURLOPT_LOW_SPEED_LIMIT, (long)TRICKLE_BYTES);
	curl->setopt(easy, CURLOPT_LOW_SPEED_TIME, (long)TRICKLE_S);
	curl->setopt(easy, CURLOPT_USERAGENT, "epitaph");
	if (curl_is_loopback(fetch->url))
		curl->setopt(easy, CURLOPT_PROXY, "");
}

/* What the answer STATUS means: a request that is refused says nothing of the
 * file. */
static enum fetch_end end_of_status(long status, char *why, size_t cap)
{
	snprintf(why, cap, "it answered %ld", status);
	switch (status) {
	case 200:
		return FETCH_DONE;
	case 404:
	case 410:
		return FETCH_ABSENT;
	default:
		return FETCH_FAILED;
	}
}

/* True where bytes came as they should, and only time ran out. */
static bool was_busy(const struct curl_functions *curl, CURL *easy,
		     const struct download *download)
{
	double took_s = 0;

	curl->getinfo(easy, CURLINFO_TOTAL_TIME, &took_s);
	return (double)download->received > took_s * TRICKLE_BYTES;
}

static enum fetch_end judge(const struct curl_functions *curl, CURL *easy,
			    CURLcode code, const struct download *download,
			    const char *trouble, char *why, size_t cap)
{
	long status = 0;

	curl->getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
	if (download->is_too_large) {
		snprintf(why, cap, "larger than %" PRIu64 " bytes",
			 download->fetch->max);
		return FETCH_TOO_LARGE;
	}
	if (download->write_errno != 0) {
		snprintf(why, cap, "cannot keep it: %s",
			 strerror(download->write_errno));
		return FETCH_NO_ROOM;
	}
	if (code == CURLE_OK || code == CURLE_HTTP_RETURNED_ERROR)
		return end_of_status(status, why, cap);
	snprintf(why, cap, "%s", trouble[0] ? trouble : curl->strerror(code));
	return code == CURLE_OPERATION_TIMEDOUT &&
	       was_busy(curl, easy, download) ? FETCH_SLOW : FETCH_FAILED;
}

enum fetch_end fetch_run(const struct fetch *fetch, char *why, size_t cap)
{
	struct download download = { .fetch = fetch };
	char trouble[CURL_ERROR_SIZE] = "";
	const struct curl_functions *curl;
	enum fetch_end end;
	struct error err;
	CURL *easy;

	curl = curl_load(&err);
	easy = curl ? curl->init() : NULL;
	if (easy == NULL) {
		snprintf(why, cap, "%s", curl ? "libcurl cannot start"
					      : err.text);
		return FETCH_NO_ROOM;
	}
	set_options(curl, easy, &download, trouble);
	end = judge(curl, easy, curl->perform(easy), &download, trouble, why,
		    cap);
	curl->cleanup(easy);
	return end;
}
