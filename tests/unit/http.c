/* The helper's HTTP client against a server that answers what it likes. */
#include "../../lib/spool/http.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "test.h"

static char path[64];
static char url[96];

static int64_t in_ms(int64_t ms)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000ll + now.tv_nsec / 1000000 + ms;
}

/* Answer one request with LEN bytes of ANSWER and close; the exit status says
 * whether the request was one. */
static void serve(int listener, const char *answer, size_t len)
{
	char request[4096] = "";
	int fd = accept(listener, NULL, NULL);
	size_t got = 0;
	ssize_t n;

	while (!strstr(request, "body!") && got < sizeof(request) - 1) {
		n = recv(fd, request + got, sizeof(request) - 1 - got, 0);
		if (n <= 0)
			_exit(2);
		got += (size_t)n;
		request[got] = '\0';
	}
	if (send(fd, answer, len, MSG_NOSIGNAL) < 0)
		_exit(3);
	_exit(strncmp(request, "POST /here HTTP/1.1\r\n", 21) != 0 ||
	      !strstr(request, "\r\nContent-Length: 5\r\n") ||
	      !strstr(request, "\r\nAuthorization: Bearer tok\r\n"));
}

static int start_server(const char *answer, size_t len, pid_t *pid_out)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(path, sizeof(path), "/tmp/epitaph-unit.%d", getpid());
	snprintf(url, sizeof(url), "http+unix://%s", path);
	snprintf(at.sun_path, sizeof(at.sun_path), "%s", path);
	unlink(path);
	if (bind(listener, (struct sockaddr *)&at, sizeof(at)) < 0 ||
	    listen(listener, 4) < 0)
		exit(1);
	*pid_out = fork();
	if (*pid_out == 0)
		serve(listener, answer, len);
	return listener;
}

/* POST to a server that answers ANSWER; whether a response came. */
static bool post(const char *answer, size_t len, struct response *out,
		 struct error *err)
{
	struct http http;
	int status = -1, listener;
	pid_t pid;
	bool done;

	listener = start_server(answer, len, &pid);
	CHECK(http_open(url, in_ms(10000), &http, err));
	done = http_post(&http, "/here", "text/plain", NULL, "tok", "body!", 5,
			 out, err);
	http_close(&http);
	close(listener);
	unlink(path);
	waitpid(pid, &status, 0);
	CHECK_NUMBER(status, 0);
	return done;
}

static struct response response;
static struct error err;

static void test_answer(void)
{
	static const char answer[] = "HTTP/1.1 201 Created\r\n"
				     "content-length: 4\r\n\r\n{\"a\"tail";

	CHECK(post(answer, sizeof(answer) - 1, &response, &err));
	CHECK_NUMBER(response.status, 201);
	CHECK_STRING(response.body, "{\"a\"");
}

static void test_bad_answers(void)
{
	static const char *const answers[] = {
		"",
		"\r\n\r\n",
		"HTTP/1.1 2x0 OK\r\n\r\n",
		"SSH-2.0-OpenSSH_9.2\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort",
		"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
	};

	for (size_t i = 0; i < sizeof(answers) / sizeof(*answers); i++) {
		err.text[0] = '\0';
		CHECK(!post(answers[i], strlen(answers[i]), &response, &err));
		CHECK(strstr(err.text, url) != NULL);
	}
}

static void test_endless_head(void)
{
	static char answer[20000];

	memset(answer, 'x', sizeof(answer));
	CHECK(!post(answer, sizeof(answer), &response, &err));
	CHECK_NUMBER(err.code, ERR_TOO_LARGE);
}

static void test_truncations(void)
{
	static const char answer[] = "HTTP/1.1 200 OK\r\nX: y\r\n"
				     "Content-Length: 2\r\n\r\nok";

	for (size_t len = 0; len < sizeof(answer) - 1; len++)
		CHECK(!post(answer, len, &response, &err));
}

static void test_flips(void)
{
	char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

	for (size_t i = 0; i < (sizeof(answer) - 1) * 8; i++) {
		answer[i / 8] ^= (char)(1 << i % 8);
		post(answer, sizeof(answer) - 1, &response, &err);
		answer[i / 8] ^= (char)(1 << i % 8);
	}
}

static void test_urls(void)
{
	static const char *const good[] = {
		"http://127.0.0.1:7350", "http://127.0.0.1",
		"http://[::1]:7350/", "http://localhost:1/prefix",
		"http+unix:///run/epitaph.sock",
	};
	static const char *const bad[] = {
		"https://127.0.0.1", "http://host.example", "http://",
		"http://1.2.3.4:0", "http://1.2.3.4:99999", "http://[::1",
		"http+unix://relative", "ftp://1.2.3.4", "",
		"http://1.2.3.4:12a", "http://1.2.3.4?x",
	};

	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++)
		CHECK(http_can(good[i]));
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		CHECK(!http_can(bad[i]));
}

static void test_deadline(void)
{
	struct http http;
	int64_t before = in_ms(0);
	pid_t pid;
	int listener = start_server("", 0, &pid);
	int status;

	/* Two connections, and the server answers none. */
	CHECK(http_open(url, in_ms(200), &http, &err));
	close(listener);
	CHECK(!http_post(&http, "/here", "text/plain", NULL, NULL,
			 "no bod", 6, &response, &err));
	CHECK(in_ms(0) - before < 5000);
	http_close(&http);
	unlink(path);
	waitpid(pid, &status, 0);
}

static const struct test tests[] = {
	{ "a response is read as far as its length says", test_answer },
	{ "an answer that is none names the server", test_bad_answers },
	{ "a header without end is too large", test_endless_head },
	{ "every truncation of an answer is an error", test_truncations },
	{ "every bit flip of an answer is survived", test_flips },
	{ "only sockets and numeric addresses are for the helper", test_urls },
	{ "a server that does not answer costs the deadline", test_deadline },
};

int main(void)
{
	return TEST_RUN(tests);
}
