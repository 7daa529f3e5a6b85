/* The canary role: sends a real report the way a client does, hit and body,
 * to each listening address, and reads it back through the API. Its success,
 * and nothing else, is what /ready reports. */
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "../lib/report/fingerprint.h"
#include "../lib/report/gzip.h"
#include "../lib/report/minidump.h"
#include "../lib/report/uuid.h"
#include "../lib/report/clock.h"
#include "log.h"
#include "role.h"
#include "text.h"

enum {
	STEP_MS = 3000,      /* for one request */
	MAX_ANSWER = 65536,
	RETRY_MS = 250,      /* after a failed round */
};

struct canary {
	struct role *role;
	bool failing; /* said so in the log */
};

/* Where to knock, with its name for messages. */
struct door {
	struct sockaddr_storage address;
	socklen_t len;
	char name[160];
};

static bool wait_fd(int fd, short events, int64_t deadline_ms)
{
	struct pollfd pfd = { fd, events, 0 };
	int64_t left = deadline_ms - clock_monotonic_ms();

	return left > 0 && poll(&pfd, 1, (int)left) == 1;
}

static int knock(const struct door *door, int64_t deadline_ms,
		 struct error *err)
{
	int fd = socket(door->address.ss_family,
			SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	socklen_t len = sizeof(int);
	int problem = 0;

	if (fd < 0) {
		fail_errno(err, "socket");
		return -1;
	}
	if (connect(fd, (const struct sockaddr *)&door->address, door->len) <
	    0) {
		problem = errno;
		if (problem == EINPROGRESS) {
			problem = ETIMEDOUT;
			if (wait_fd(fd, POLLOUT, deadline_ms))
				getsockopt(fd, SOL_SOCKET, SO_ERROR, &problem,
					   &len);
		}
	}
	if (problem != 0) {
		errno = problem;
		fail_errno(err, "connect");
		close(fd);
		return -1;
	}
	return fd;
}

static bool send_all(int fd, const void *bytes, size_t len,
		     int64_t deadline_ms, struct error *err)
{
	const char *at = bytes;

	while (len > 0) {
		ssize_t n = send(fd, at, len, MSG_NOSIGNAL);

		if (n < 0 && errno != EAGAIN && errno != EINTR)
			return fail_errno(err, "send");
		if (n < 0 && !wait_fd(fd, POLLOUT, deadline_ms))
			return fail(err, ERR_TIMEOUT, "send: too slow");
		if (n > 0) {
			at += n;
			len -= (size_t)n;
		}
	}
	return true;
}

/* The whole answer, up to the end of the connection. */
static bool receive(int fd, char *answer, size_t *len, int64_t deadline_ms,
		    struct error *err)
{
	*len = 0;
	for (;;) {
		ssize_t n = recv(fd, answer + *len, MAX_ANSWER - *len, 0);

		if (n == 0)
			return true;
		if (n < 0 && errno != EAGAIN && errno != EINTR)
			return fail_errno(err, "receive");
		if (n < 0 && !wait_fd(fd, POLLIN, deadline_ms))
			return fail(err, ERR_TIMEOUT, "no answer in time");
		if (n > 0)
			*len += (size_t)n;
		if (*len == MAX_ANSWER)
			return fail(err, ERR_TOO_LARGE, "answer too long");
	}
}

/* What a round sends. */
struct parcel {
	char id[37];
	struct writer hit;
	struct writer body; /* gzipped */
};

/* One request on a connection of its own. ANSWER holds MAX_ANSWER + 1. */
static bool ask(struct canary *c, const struct door *door, const char *what,
		const char *path, const struct writer *body, const char *more,
		char *answer, struct error *err)
{
	int64_t deadline_ms = clock_monotonic_ms() + STEP_MS;
	struct writer head;
	size_t len;
	int fd = knock(door, deadline_ms, err);
	bool ok;

	if (fd < 0)
		return false;
	writer_init(&head, 4096);
	text_format(&head, "%s %s HTTP/1.1\r\nHost: localhost\r\n"
		    "Authorization: Bearer %s\r\nConnection: close\r\n"
		    "%sContent-Length: %zu\r\n\r\n", what, path,
		    c->role->settings.canary_secret, more,
		    body != NULL ? body->len : 0);
	ok = send_all(fd, head.bytes, head.len, deadline_ms, err) &&
	     (body == NULL || send_all(fd, body->bytes, body->len,
				       deadline_ms, err)) &&
	     receive(fd, answer, &len, deadline_ms, err);
	close(fd);
	writer_fini(&head);
	if (ok)
		answer[len] = '\0';
	return ok;
}

static bool expect(const char *answer, const char *status, const char *what,
		   const char *contains, struct error *err)
{
	if (strncmp(answer, "HTTP/1.1 ", 9) != 0 ||
	    strncmp(answer + 9, status, strlen(status)) != 0)
		return fail(err, ERR_REFUSED, "%s: %.60s", what, answer);
	if (strstr(answer, contains) == NULL)
		return fail(err, ERR_BAD_DATA, "%s: the answer does not name "
			    "the report", what);
	return true;
}

/* A small report, true in every part: this process, as if it had died. */
static bool fill_report(struct report *report, const char *id)
{
	struct thread *thread = report_alloc(report, sizeof(*thread));
	struct module *module = report_alloc(report, sizeof(*module));

	if (thread == NULL || module == NULL)
		return false;
	text_copy(report->id, sizeof(report->id), id);
	report->time_ms = clock_wall_ms();
	report->tier = 1;
	report->complete = true;
	report->host = "canary";
	report->arch = "x86_64";
	report->pid = (uint32_t)getpid();
	report->exe = "/epitaph-canary";
	report->signal = SIGABRT;
	thread->tid = report->pid;
	thread->crashed = true;
	thread->has_registers = true;
	thread->registers.value[R_PC] = 0x1000;
	thread->registers.valid = REG_BIT(R_PC);
	report->threads = thread;
	report->nthreads = 1;
	module->path = "/epitaph-canary";
	module->base = 0x1000;
	module->size = 0x1000;
	module->build_id.len = 20;
	report->modules = module;
	report->nmodules = 1;
	fingerprint_exact(report, report->exact);
	return true;
}

static void put_hit(const struct report *report, struct writer *out)
{
	text_format(out, "{\"id\":\"%s\",\"fingerprint\":\"%s\",\"signal\":%d,"
		    "\"exe\":\"%s\",\"host\":\"%s\",\"count\":1}", report->id,
		    report->exact, report->signal, report->exe, report->host);
}

static bool pack(struct parcel *parcel, struct error *err)
{
	struct writer plain;
	struct report report;
	uint8_t random[10];
	bool ok;

	if (getrandom(random, sizeof(random), 0) != sizeof(random))
		return fail_errno(err, "random bytes");
	uuid_format(clock_wall_ms(), random, parcel->id);
	if (!report_init(&report, err))
		return false;
	writer_init(&plain, (size_t)1 << 20);
	ok = fill_report(&report, parcel->id) &&
	     minidump_encode(&report, &plain, err) &&
	     gzip_pack(plain.bytes, plain.len, 1, &parcel->body, err);
	put_hit(&report, &parcel->hit);
	writer_fini(&plain);
	report_free(&report);
	return ok;
}

/* Hit, body, and back. */
static bool visit(struct canary *c, const struct door *door,
		  const struct parcel *parcel, struct error *err)
{
	static char answer[MAX_ANSWER + 1];
	char path[80];

	snprintf(path, sizeof(path), "/api/v1/reports/%s", parcel->id);
	return ask(c, door, "POST", "/api/v1/hits", &parcel->hit,
		   "Content-Type: application/json\r\n", answer, err) &&
	       expect(answer, "200", "hit", parcel->id, err) &&
	       ask(c, door, "POST", "/api/v1/reports", &parcel->body,
		   "Content-Type: application/octet-stream\r\n"
		   "Content-Encoding: gzip\r\n", answer, err) &&
	       expect(answer, "201", "body", parcel->id, err) &&
	       ask(c, door, "GET", path, NULL, "", answer, err) &&
	       expect(answer, "200", "read back", parcel->id, err);
}

static bool visit_once(struct canary *c, const struct door *door,
		       struct error *err)
{
	struct parcel parcel;
	bool ok;

	writer_init(&parcel.hit, 4096);
	writer_init(&parcel.body, (size_t)1 << 20);
	ok = pack(&parcel, err) && visit(c, door, &parcel, err);
	writer_fini(&parcel.hit);
	writer_fini(&parcel.body);
	return ok || fail_context(err, "%s", door->name);
}

static bool unix_door(const char *path, struct door *door)
{
	struct sockaddr_un *address = (struct sockaddr_un *)&door->address;

	memset(door, 0, sizeof(*door));
	address->sun_family = AF_UNIX;
	memcpy(address->sun_path, path, strlen(path));
	door->len = sizeof(*address);
	text_copy(door->name, sizeof(door->name), path);
	return true;
}

/* An address that stands for all of the machine's is reached by loopback. */
static void tcp_door(const struct listen_address *address, struct door *door)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *)&door->address;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&door->address;

	memcpy(&door->address, &address->address, sizeof(door->address));
	door->len = address->len;
	if (door->address.ss_family == AF_INET &&
	    v4->sin_addr.s_addr == htonl(INADDR_ANY))
		v4->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (door->address.ss_family == AF_INET6 &&
	    IN6_IS_ADDR_UNSPECIFIED(&v6->sin6_addr))
		v6->sin6_addr = in6addr_loopback;
	config_url(address, door->name, sizeof(door->name));
}

static bool visit_all(struct canary *c, struct error *err)
{
	const struct settings *settings = &c->role->settings;
	struct door door;

	for (uint32_t i = 0; i < settings->nlisten; i++) {
		tcp_door(&settings->listen[i], &door);
		if (!visit_once(c, &door, err))
			return false;
	}
	return settings->unix_path[0] == '\0' ||
	       (unix_door(settings->unix_path, &door) &&
		visit_once(c, &door, err));
}

/* One round; the result is how long to wait for the next. */
static int64_t round_ms(struct canary *c)
{
	struct stats *stats = &c->role->stats;
	struct error err = { .code = ERR_NONE, .text = "no memory" };

	if (visit_all(c, &err)) {
		stats->value[STAT_CANARY_OK]++;
		channel_send(&c->role->control, MSG_CANARY, 0, NULL, 0);
		if (c->failing)
			log_event(LOG_INFO, "test report came back", "again");
		c->failing = false;
		return CANARY_EVERY_MS;
	}
	stats->value[STAT_CANARY_FAILED]++;
	if (!c->failing)
		log_event(LOG_WARN, "test report did not come back", "%s",
			  err.text);
	c->failing = true;
	return RETRY_MS;
}

int canary_role(struct role *role)
{
	struct canary c = { .role = role };
	int64_t next_ms = 0;

	role_ready(role);
	while (!role->draining) {
		struct pollfd pfd = { role->control.fd, POLLIN, 0 };

		if (clock_monotonic_ms() >= next_ms)
			next_ms = clock_monotonic_ms() + round_ms(&c);
		role_tick(role);
		poll(&pfd, 1, ROLE_TICK_MS);
	}
	return EXIT_SUCCESS;
}
