/* The check role: starts one disposable child for each body, and for each job
 * of `epitaph` (tool.h), and passes on what it says. It opens no body itself,
 * and what a child says is as hostile as the body was; here it is only
 * measured, ingest takes it apart. */
#include "check.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <poll.h>
#include <seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "child.h"
#include "log.h"
#include "role.h"
#include "text.h"
#include "tool.h"

enum {
	MAX_PEERS = CONFIG_WORKERS + 4,
	MAX_JOBS = 2,     /* at once: this, times the limit below, is what
	                   * bodies can cost in memory */
	MAX_TOOLS = 2,    /* the same for tools: bodies do not wait for them */
	MAX_QUEUE = 64,   /* of each that wait; more are told "not now" */
	DEADLINE_MS = 20000,
	CPU_S = 20,
	PEER_OUT = 64 << 20,
	SLOTS = MAX_JOBS + MAX_TOOLS,
};

struct waiting {
	struct channel *peer; /* NULL: its sender is gone */
	uint64_t tag;
	bool is_tool;
	struct check_job job;
	struct tool_job tool;
};

struct running {
	struct child child;
	struct waiting waiting;
};

struct check_role {
	struct role *role;
	int listener;
	struct channel peers[MAX_PEERS];
	struct waiting queue[2 * MAX_QUEUE];
	size_t nqueue;
	struct running jobs[SLOTS]; /* the last are for tools */
};

/* What the decoder, zlib, malloc and stdio need, and nothing that reaches
 * further than the descriptors it has. */
static bool filter(void)
{
	static const int allowed[] = {
		SCMP_SYS(read), SCMP_SYS(write), SCMP_SYS(pwrite64),
		SCMP_SYS(ftruncate), SCMP_SYS(fsync), SCMP_SYS(fstat),
		SCMP_SYS(newfstatat), SCMP_SYS(close), SCMP_SYS(mmap),
		SCMP_SYS(munmap), SCMP_SYS(mremap), SCMP_SYS(brk),
		SCMP_SYS(madvise), SCMP_SYS(getrandom), SCMP_SYS(futex),
		SCMP_SYS(exit), SCMP_SYS(exit_group),
	};
	scmp_filter_ctx context = seccomp_init(SCMP_ACT_KILL_PROCESS);
	bool ok = context != NULL;

	for (size_t i = 0; ok && i < sizeof(allowed) / sizeof(allowed[0]); i++)
		ok = seccomp_rule_add(context, SCMP_ACT_ALLOW, allowed[i],
				      0) == 0;
	ok = ok && seccomp_load(context) == 0;
	seccomp_release(context);
	return ok;
}

/* The unpacked body, its copy in the report's arena, the body as sent, and
 * what a growing buffer needs while it grows. */
static void limit(const struct check_job *job)
{
	child_limit(RLIMIT_AS, 3 * job->max_unpacked + ((uint64_t)256 << 20));
	child_limit(RLIMIT_CPU, CPU_S);
	child_limit(RLIMIT_FSIZE, job->max_unpacked + (1 << 20));
	child_limit(RLIMIT_NOFILE, 16);
	child_limit(RLIMIT_CORE, 0);
}

static void be_the_child(void *context)
{
	const struct check_job *job = context;
	int fd = open(job->file, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	struct writer out;
	size_t at = 0;

	if (fd < 0)
		_exit(3);
	limit(job);
	if (!filter())
		_exit(4);
	writer_init(&out, WIRE_MAX_CHECKED);
	check_body(fd, job, &out);
	while (!out.bad && at < out.len) {
		ssize_t n = write(STDOUT_FILENO, out.bytes + at, out.len - at);

		if (n < 0)
			_exit(5);
		at += (size_t)n;
	}
	_exit(out.bad ? 6 : 0);
}

static void answer(const struct waiting *waiting, const struct writer *body)
{
	if (waiting->peer != NULL)
		channel_send(waiting->peer, MSG_CHECKED, waiting->tag,
			     body->bytes, body->len);
}

static void answer_tool(const struct waiting *waiting,
			const struct tool_done *done)
{
	if (waiting->peer != NULL)
		channel_send(waiting->peer, MSG_TOOL_DONE, waiting->tag, done,
			     sizeof(*done));
}

static void refuse(const struct waiting *waiting, unsigned status,
		   const char *why)
{
	struct tool_done done = { .status = status };
	struct writer body;

	if (waiting->is_tool) {
		text_copy(done.why, sizeof(done.why), why);
		answer_tool(waiting, &done);
		return;
	}
	writer_init(&body, 4096);
	wire_put_refusal(&body, status, why);
	answer(waiting, &body);
	writer_fini(&body);
}

/* A child that a body killed costs that body, and nothing else. */
static void note_death(struct check_role *c, const struct running *running)
{
	const struct child *child = &running->child;
	char why[128];

	c->role->stats.value[STAT_PARSERS_DIED]++;
	if (child->late || (WIFSIGNALED(child->status) &&
			    WTERMSIG(child->status) == SIGXCPU))
		snprintf(why, sizeof(why), "the body takes too long to read");
	else if (WIFSIGNALED(child->status))
		snprintf(why, sizeof(why), "the body ends its reader: "
			 "signal %d", WTERMSIG(child->status));
	else
		snprintf(why, sizeof(why), "the body cannot be read: "
			 "status %d", WEXITSTATUS(child->status));
	log_event(LOG_ERROR, "body killed its parser", "%s: %s",
		  running->waiting.job.file, why);
	refuse(&running->waiting, WIFSIGNALED(child->status) || child->late ?
	       400 : 503, why);
}

static void finish_tool(struct running *running)
{
	struct tool_done done;

	tool_judge(&running->child, &running->waiting.tool, &done);
	if (done.status >= 400)
		log_event(LOG_WARN, "refused", "%s: %s",
			  running->waiting.tool.file, done.why);
	answer_tool(&running->waiting, &done);
	child_fini(&running->child);
}

static void finish(struct check_role *c, struct running *running)
{
	const struct child *child = &running->child;

	if (running->waiting.is_tool) {
		finish_tool(running);
		return;
	}
	if (WIFEXITED(child->status) && WEXITSTATUS(child->status) == 0 &&
	    !child->flooded && child->output.len > 0)
		answer(&running->waiting, &child->output);
	else
		note_death(c, running);
	child_fini(&running->child);
}

/* The first of the queue that is of that kind, taken out of it. */
static bool next_waiting(struct check_role *c, bool is_tool,
			 struct waiting *out)
{
	size_t i = 0;

	while (i < c->nqueue && c->queue[i].is_tool != is_tool)
		i++;
	if (i == c->nqueue)
		return false;
	*out = c->queue[i];
	c->nqueue--;
	memmove(c->queue + i, c->queue + i + 1,
		(c->nqueue - i) * sizeof(c->queue[0]));
	return true;
}

static bool start_child(struct check_role *c, struct running *running,
			struct error *err)
{
	struct waiting *waiting = &running->waiting;

	if (waiting->is_tool)
		return tool_start(&running->child, &c->role->settings,
				  &waiting->tool, err);
	return child_start(&running->child, be_the_child, &waiting->job,
			   WIRE_MAX_CHECKED, DEADLINE_MS, err);
}

static void start_jobs(struct check_role *c)
{
	for (size_t i = 0; i < SLOTS && c->nqueue > 0; i++) {
		struct running *running = &c->jobs[i];
		struct error err;

		if (running->child.pid != 0 ||
		    !next_waiting(c, i >= MAX_JOBS, &running->waiting))
			continue;
		if (running->waiting.peer != NULL &&
		    !start_child(c, running, &err)) {
			log_event(LOG_ERROR, "child did not start", "%s",
				  err.text);
			refuse(&running->waiting, 503, "not now");
		}
	}
}

static void take_message(struct check_role *c, struct channel *peer,
			 const struct message *message)
{
	struct waiting waiting = { .peer = peer, .tag = message->tag };
	size_t same = 0;

	waiting.is_tool = message->type == MSG_TOOL;
	if (waiting.is_tool)
		memcpy(&waiting.tool, message->body, sizeof(waiting.tool));
	else
		memcpy(&waiting.job, message->body, sizeof(waiting.job));
	waiting.job.file[sizeof(waiting.job.file) - 1] = '\0';
	waiting.tool.file[sizeof(waiting.tool.file) - 1] = '\0';
	waiting.tool.to[sizeof(waiting.tool.to) - 1] = '\0';
	for (size_t i = 0; i < c->nqueue; i++)
		same += c->queue[i].is_tool == waiting.is_tool;
	if (same == MAX_QUEUE)
		refuse(&waiting, 503, "too many of them at once");
	else
		c->queue[c->nqueue++] = waiting;
}

/* Nobody waits for these any more. */
static void forget_peer(struct check_role *c, struct channel *peer)
{
	for (size_t i = 0; i < c->nqueue; i++) {
		if (c->queue[i].peer == peer)
			c->queue[i].peer = NULL;
	}
	for (size_t i = 0; i < SLOTS; i++) {
		if (c->jobs[i].waiting.peer == peer)
			c->jobs[i].waiting.peer = NULL;
	}
	channel_close(peer);
}

static void serve(struct check_role *c, struct channel *peer)
{
	bool open = channel_read(peer);
	struct message message;
	enum channel_next next;

	while ((next = channel_next(peer, &message)) == CHANNEL_MESSAGE)
		take_message(c, peer, &message);
	if (!open || next == CHANNEL_BROKEN)
		forget_peer(c, peer);
}

static void accept_peers(struct check_role *c)
{
	int fd;

	while ((fd = channel_accept(c->listener)) >= 0) {
		size_t i = 0;

		while (i < MAX_PEERS && c->peers[i].fd >= 0)
			i++;
		if (i == MAX_PEERS) {
			close(fd);
			continue;
		}
		channel_fini(&c->peers[i]);
		channel_init(&c->peers[i], fd, MESSAGE_BIT(MSG_CHECK) |
			     MESSAGE_BIT(MSG_TOOL), PEER_OUT);
	}
}

static void poll_all(struct check_role *c)
{
	enum { PEERS = SLOTS * CHILD_FDS, LAST = PEERS + MAX_PEERS };
	struct pollfd fds[LAST + 2];

	for (size_t i = 0; i < SLOTS; i++)
		child_poll(&c->jobs[i].child, fds + i * CHILD_FDS);
	for (size_t i = 0; i < MAX_PEERS; i++) {
		if (c->peers[i].fd >= 0 && !channel_flush(&c->peers[i]))
			forget_peer(c, &c->peers[i]);
		fds[PEERS + i].fd = c->peers[i].fd;
		fds[PEERS + i].events = channel_events(&c->peers[i]);
	}
	fds[LAST] = (struct pollfd){ c->listener, POLLIN, 0 };
	fds[LAST + 1] = (struct pollfd){ c->role->control.fd, POLLIN, 0 };
	if (poll(fds, LAST + 2, ROLE_TICK_MS) < 0)
		return;
	for (size_t i = 0; i < SLOTS; i++) {
		if (c->jobs[i].child.pid != 0 &&
		    child_step(&c->jobs[i].child))
			finish(c, &c->jobs[i]);
	}
	for (size_t i = 0; i < MAX_PEERS; i++) {
		if (fds[PEERS + i].fd >= 0 && fds[PEERS + i].revents != 0)
			serve(c, &c->peers[i]);
	}
	if (fds[LAST].revents != 0)
		accept_peers(c);
}

int check_role(struct role *role)
{
	static struct check_role c;
	struct error err;

	c.role = role;
	for (size_t i = 0; i < MAX_PEERS; i++)
		channel_init(&c.peers[i], -1, 0, PEER_OUT);
	for (size_t i = 0; i < SLOTS; i++) {
		struct child *child = &c.jobs[i].child;

		child->pidfd = child->out = child->errors = -1;
	}
	/* What libraries read once, they read here: the children may not. */
	tzset();
	json_object_seed(0);
	c.listener = channel_listen(CHECK_SOCKET, &err);
	if (c.listener < 0)
		return role_failed(&err, true);
	role_ready(role);
	while (!role->draining) {
		poll_all(&c);
		start_jobs(&c);
		role_tick(role);
	}
	for (size_t i = 0; i < SLOTS; i++)
		child_fini(&c.jobs[i].child);
	return EXIT_SUCCESS;
}
