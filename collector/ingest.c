/* The ingest worker's loop: accept, let libmicrohttpd read and write, exchange
 * messages with the other roles, and give up on those that take too long. */
#include "ingest.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "../lib/report/clock.h"
#include "log.h"
#include "prepare.h"

enum {
	BACKLOG = 1024,
	CHANNEL_OUT = 64 << 20,
	ACCEPT_AT_ONCE = 64,
	DRAIN_LINGER_MS = 200,
	SWEEP_MS = 20, /* between looks at all requests */
};

static bool listen_tcp(struct ingest *in, struct error *err)
{
	const struct settings *settings = &in->role->settings;

	for (uint32_t i = 0; i < settings->nlisten; i++) {
		int fd = prepare_bind(&settings->listen[i], true, err);

		if (fd < 0)
			return false;
		if (listen(fd, BACKLOG) < 0)
			return fail_errno(err, "listen");
		in->listeners[in->nlisteners++] = fd;
	}
	return true;
}

/* One worker has the unix socket: a path cannot be shared as a port can. A new
 * one is bound aside and renamed, so the path is never without a listener
 * once it had one. */
static bool listen_unix(struct ingest *in, struct error *err)
{
	const char *path = in->role->settings.unix_path;
	char aside[sizeof(((struct sockaddr_un *)0)->sun_path) + 8];
	int fd;

	if (path[0] == '\0' || in->role->index != 0)
		return true;
	snprintf(aside, sizeof(aside), "%s.new", path);
	fd = channel_listen(aside, err);
	if (fd < 0)
		return false;
	/* As open as loopback is; tokens are what keeps people out. */
	if (chmod(aside, 0666) < 0 || rename(aside, path) < 0)
		return fail_errno(err, "listen on %s", path);
	in->listeners[in->nlisteners++] = fd;
	return true;
}

static void accept_some(struct ingest *in, int listener)
{
	for (int i = 0; i < ACCEPT_AT_ONCE; i++) {
		struct sockaddr_storage address;
		socklen_t len = sizeof(address);
		int fd;

		memset(&address, 0, sizeof(address));
		fd = accept4(listener, (struct sockaddr *)&address, &len,
			     SOCK_CLOEXEC | SOCK_NONBLOCK);
		if (fd < 0)
			return;
		/* An unnamed unix peer has an address of two bytes. */
		if (address.ss_family == AF_UNIX)
			len = sizeof(struct sockaddr_un);
		if (MHD_add_connection(in->daemon, fd,
				       (struct sockaddr *)&address, len) !=
		    MHD_YES)
			log_event(LOG_WARN, "connection dropped", "%s",
				  strerror(errno));
		in->resumed = true;
	}
}

static unsigned open_connections(struct ingest *in)
{
	const union MHD_DaemonInfo *info = MHD_get_daemon_info(
		in->daemon, MHD_DAEMON_INFO_CURRENT_CONNECTIONS);

	return info != NULL ? info->num_connections : 0;
}

/* Everybody who waits for a role that is gone is told to come again. */
static void refuse_waiting(struct ingest *in, enum endpoint endpoint)
{
	struct request *request = in->requests;

	while (request != NULL) {
		struct request *next = request->next;

		if (request->state == REQUEST_WAITING &&
		    request->endpoint == endpoint)
			request_error(request, 503, "busy", "not now");
		request = next;
	}
}

static void lose_store(struct ingest *in)
{
	channel_close(&in->store);
	hits_lost(in);
	refuse_waiting(in, ENDPOINT_REPORT);
	refuse_waiting(in, ENDPOINT_SYMBOLS);
	refuse_waiting(in, ENDPOINT_ADMIN);
}

static void lose_check(struct ingest *in)
{
	channel_close(&in->check);
	refuse_waiting(in, ENDPOINT_REPORT);
	refuse_waiting(in, ENDPOINT_SYMBOLS);
	refuse_waiting(in, ENDPOINT_GET);
}

static void lose_web(struct ingest *in)
{
	channel_close(&in->web);
	refuse_waiting(in, ENDPOINT_GET);
}

static void take_message(struct ingest *in, const struct message *message)
{
	switch (message->type) {
	case MSG_HITS_DONE:
		hits_done(in, message);
		break;
	case MSG_REPORT_DONE:
		report_done(in, message);
		break;
	case MSG_ADMIN_DONE:
		admin_done(in, message);
		break;
	case MSG_ARRIVED_DONE:
		symbols_arrived(in, message);
		break;
	case MSG_CHECKED:
		report_checked(in, message);
		break;
	case MSG_TOOL_DONE:
		tool_done(in, message);
		break;
	case MSG_PAGE:
		get_page(in, message);
		break;
	default:
		break;
	}
}

/* Exchange what can be exchanged. */
static void serve_channel(struct ingest *in, struct channel *channel,
			  const char *path, void lose(struct ingest *in))
{
	struct message message;
	enum channel_next next;
	bool open;

	if (channel->fd < 0) {
		channel_connect(channel, path, NULL);
		return;
	}
	open = channel_read(channel);
	while ((next = channel_next(channel, &message)) == CHANNEL_MESSAGE)
		take_message(in, &message);
	if (next == CHANNEL_BROKEN)
		log_event(LOG_ERROR, "peer broke the protocol", "%s", path);
	if (!open || next == CHANNEL_BROKEN || !channel_flush(channel))
		lose(in);
}

static void serve_channels(struct ingest *in)
{
	serve_channel(in, &in->store, STORE_SOCKET, lose_store);
	serve_channel(in, &in->check, CHECK_SOCKET, lose_check);
	serve_channel(in, &in->web, WEB_SOCKET, lose_web);
}

static size_t count_gets(const struct ingest *in)
{
	size_t n = 0;

	for (struct request *r = in->requests; r != NULL; r = r->next)
		n += r->state == REQUEST_WAITING &&
		     r->endpoint == ENDPOINT_GET;
	return n;
}

/* An answer that is late is as good as none. */
static void check_deadlines(struct ingest *in)
{
	int64_t now = clock_monotonic_ms();
	struct request *request = in->requests;

	if (now - in->swept_ms < SWEEP_MS)
		return;
	in->swept_ms = now;
	in->waiting_gets = count_gets(in);
	while (request != NULL) {
		struct request *next = request->next;

		if (request->state == REQUEST_WAITING &&
		    now >= request->deadline_ms) {
			hits_forget(request);
			if (request->endpoint == ENDPOINT_GET)
				request_error(request, 504, "deadline passed",
					      "reading took too long");
			else
				request_error(request, 503, "busy",
					      "no answer in time");
		}
		request = next;
	}
}

static int poll_timeout(struct ingest *in)
{
	MHD_UNSIGNED_LONG_LONG wait_ms;

	if (in->resumed)
		return 0;
	if (MHD_get_timeout(in->daemon, &wait_ms) == MHD_YES &&
	    wait_ms < ROLE_TICK_MS)
		return (int)wait_ms;
	return ROLE_TICK_MS;
}

static struct pollfd channel_pollfd(const struct channel *channel)
{
	return (struct pollfd){ channel->fd, channel_events(channel), 0 };
}

static void wait_for_work(struct ingest *in)
{
	struct pollfd fds[5 + CONFIG_LISTEN + 1];
	const union MHD_DaemonInfo *info = MHD_get_daemon_info(
		in->daemon, MHD_DAEMON_INFO_EPOLL_FD);
	bool full = open_connections(in) >= INGEST_CONNECTIONS - 8;

	fds[0] = channel_pollfd(&in->role->control);
	fds[1] = channel_pollfd(&in->store);
	fds[2] = channel_pollfd(&in->check);
	fds[3] = channel_pollfd(&in->web);
	fds[4] = (struct pollfd){ info->epoll_fd, POLLIN, 0 };
	for (size_t i = 0; i < in->nlisteners; i++)
		fds[5 + i] = (struct pollfd){ full ? -1 : in->listeners[i],
					      POLLIN, 0 };
	if (poll(fds, 5 + in->nlisteners, poll_timeout(in)) <= 0)
		return;
	for (size_t i = 0; i < in->nlisteners; i++) {
		if ((fds[5 + i].revents & POLLIN) != 0)
			accept_some(in, in->listeners[i]);
	}
}

static void turn(struct ingest *in)
{
	wait_for_work(in);
	serve_channels(in);
	check_deadlines(in);
	in->resumed = false;
	MHD_run(in->daemon);
	hits_send(in);
	serve_channels(in);
	in->role->stats.value[STAT_CONNECTIONS] = open_connections(in);
	role_tick(in->role);
}

/* Those that the kernel has accepted for us would be reset by closing: take
 * them in, then close the door. */
static void stop_accepting(struct ingest *in)
{
	for (size_t i = 0; i < in->nlisteners; i++) {
		accept_some(in, in->listeners[i]);
		close(in->listeners[i]);
	}
	in->nlisteners = 0;
	in->closing = true;
}

/* Finish what was begun; idle connections are nobody's loss. */
static void drain(struct ingest *in)
{
	int64_t start = clock_monotonic_ms();
	int64_t now = start;

	stop_accepting(in);
	while (now - start < DRAIN_LINGER_MS ||
	       (in->in_flight > 0 && now - start < INGEST_DRAIN_MS)) {
		turn(in);
		now = clock_monotonic_ms();
	}
	if (in->in_flight > 0)
		log_event(LOG_WARN, "drain is over", "%zu requests unfinished",
			  in->in_flight);
}

static void raise_limits(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
}

static bool start(struct ingest *in, struct error *err)
{
	raise_limits();
	channel_init(&in->store, -1, MESSAGE_BIT(MSG_HITS_DONE) |
		     MESSAGE_BIT(MSG_REPORT_DONE) |
		     MESSAGE_BIT(MSG_ADMIN_DONE) |
		     MESSAGE_BIT(MSG_ARRIVED_DONE), CHANNEL_OUT);
	channel_init(&in->check, -1, MESSAGE_BIT(MSG_CHECKED) |
		     MESSAGE_BIT(MSG_TOOL_DONE), CHANNEL_OUT);
	channel_init(&in->web, -1, MESSAGE_BIT(MSG_PAGE), CHANNEL_OUT);
	if (!listen_tcp(in, err) || !listen_unix(in, err))
		return false;
	in->daemon = http_start(in);
	if (in->daemon == NULL)
		return fail(err, ERR_SYSTEM, "HTTP server did not start");
	serve_channels(in);
	return true;
}

int ingest_role(struct role *role)
{
	static struct ingest in;
	struct error err;

	in.role = role;
	if (!start(&in, &err))
		return role_failed(&err, false);
	role_ready(role);
	while (!role->draining)
		turn(&in);
	drain(&in);
	/* MHD wants nobody suspended when it stops. */
	for (struct request *r = in.requests; r != NULL; r = r->next) {
		if (r->state == REQUEST_WAITING)
			request_error(r, 503, "draining", "try again later");
	}
	MHD_run(in.daemon);
	MHD_stop_daemon(in.daemon);
	return EXIT_SUCCESS;
}
