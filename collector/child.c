/* Disposable children, for the check and symbolize roles. */
#include "child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../lib/report/clock.h"

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

void child_limit(int resource, uint64_t value)
{
	struct rlimit limit;

	if (getrlimit((__rlimit_resource_t)resource, &limit) < 0)
		return;
	if (limit.rlim_max == RLIM_INFINITY || limit.rlim_max > value)
		limit.rlim_max = (rlim_t)value;
	limit.rlim_cur = limit.rlim_max;
	setrlimit((__rlimit_resource_t)resource, &limit);
}

static void in_child(child_body *body, void *context, int out, int errors)
{
	static const int reset[] = { SIGINT, SIGTERM, SIGHUP, SIGPIPE,
				     SIGXFSZ };
	int null = open("/dev/null", O_RDONLY);

	/* A session of its own: ^C on the terminal is for the supervisor. And
	 * nothing of it outlives its parent. */
	setsid();
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (size_t i = 0; i < sizeof(reset) / sizeof(reset[0]); i++)
		signal(reset[i], SIG_DFL);
	if (null < 0 || dup2(null, STDIN_FILENO) < 0 ||
	    dup2(out, STDOUT_FILENO) < 0 || dup2(errors, STDERR_FILENO) < 0)
		_exit(127);
	close_range(STDERR_FILENO + 1, ~0U, 0);
	body(context);
	_exit(127);
}

static bool make_pipes(int out[2], int errors[2], struct error *err)
{
	if (pipe2(out, O_CLOEXEC) < 0 || pipe2(errors, O_CLOEXEC) < 0)
		return fail_errno(err, "make a pipe");
	fcntl(out[0], F_SETFL, O_NONBLOCK);
	fcntl(errors[0], F_SETFL, O_NONBLOCK);
	return true;
}

bool child_start(struct child *child, child_body *body, void *context,
		 size_t max_output, int64_t within_ms, struct error *err)
{
	int out[2] = { -1, -1 }, errors[2] = { -1, -1 };
	bool ok = make_pipes(out, errors, err);

	memset(child, 0, sizeof(*child));
	child->pidfd = child->out = child->errors = -1;
	writer_init(&child->output, max_output);
	if (ok) {
		child->pid = fork();
		if (child->pid == 0)
			in_child(body, context, out[1], errors[1]);
		ok = child->pid > 0 || fail_errno(err, "fork");
	}
	close_fd(&out[1]);
	close_fd(&errors[1]);
	child->out = out[0];
	child->errors = errors[0];
	if (ok)
		child->pidfd = (int)syscall(SYS_pidfd_open, child->pid, 0);
	if (ok && child->pidfd < 0)
		ok = fail_errno(err, "watch a child");
	child->deadline_ms = clock_monotonic_ms() + within_ms;
	if (!ok)
		child_fini(child);
	return ok;
}

void child_poll(const struct child *child, struct pollfd fds[CHILD_FDS])
{
	fds[0] = (struct pollfd){ child->pidfd, POLLIN, 0 };
	fds[1] = (struct pollfd){ child->out, POLLIN, 0 };
	fds[2] = (struct pollfd){ child->errors, POLLIN, 0 };
}

/* Keep the last CHILD_STDERR bytes. */
static void keep_complaint(struct child *child, const char *bytes, size_t len)
{
	size_t keep = child->complaint_len;

	if (len > CHILD_STDERR) {
		bytes += len - CHILD_STDERR;
		len = CHILD_STDERR;
	}
	if (keep > CHILD_STDERR - len) {
		memmove(child->complaint, child->complaint + keep -
			(CHILD_STDERR - len), CHILD_STDERR - len);
		keep = CHILD_STDERR - len;
	}
	memcpy(child->complaint + keep, bytes, len);
	child->complaint_len = keep + len;
	child->complaint[child->complaint_len] = '\0';
}

/* It, and what it has started: it leads a session of its own, unless it has
 * not got as far as that. */
static void end_group(const struct child *child)
{
	kill(-child->pid, SIGKILL);
	kill(child->pid, SIGKILL);
}

/* Read all that is there; at the end of it, close *FD. */
static void drain(struct child *child, int *fd)
{
	char bytes[65536];
	ssize_t n;

	while (*fd >= 0 && (n = read(*fd, bytes, sizeof(bytes))) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return;
		if (fd == &child->errors)
			keep_complaint(child, bytes, (size_t)n);
		else
			writer_bytes(&child->output, bytes, (size_t)n);
		if (child->output.bad) {
			child->flooded = true;
			end_group(child);
			break;
		}
	}
	close_fd(fd);
}

bool child_step(struct child *child)
{
	pid_t ended;

	if (clock_monotonic_ms() >= child->deadline_ms && !child->late) {
		child->late = true;
		end_group(child);
	}
	drain(child, &child->out);
	drain(child, &child->errors);
	ended = waitpid(child->pid, &child->status, WNOHANG);
	if (ended == 0 || (ended < 0 && errno == EINTR))
		return false;
	drain(child, &child->out);
	drain(child, &child->errors);
	child->pid = 0;
	return true;
}

void child_fini(struct child *child)
{
	if (child->pid > 0) {
		end_group(child);
		waitpid(child->pid, NULL, 0);
	}
	child->pid = 0;
	close_fd(&child->pidfd);
	close_fd(&child->out);
	close_fd(&child->errors);
	writer_fini(&child->output);
}
