/* A process that may be lost. The parent half runs in the command line; it
 * trusts nothing that the child writes but that it is bytes, and waits for
 * none of it past the deadline. (No report.h here: <signal.h> has its own idea
 * of REG_RAX.) */
#include "child.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
	IDLE_MS = 100, /* a progress bar's pace */
	CPU_SECONDS = 300, /* the deadline is what counts; this is for a child
	                    * that has lost its parent */
};

/* libjvm's debug file is 156 MB, and 364 unpacked; a browser's is ten times as
 * much. The first counts what is mapped, the second what may be written to. */
#define ADDRESS_SPACE ((rlim_t)32 << 30)
#define DATA ((rlim_t)8 << 30)
#define FILE_SIZE ((rlim_t)2 << 30) /* of an index */

int64_t child_now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void limit(int resource, rlim_t value)
{
	struct rlimit old, new = { value, value };

	if (getrlimit((__rlimit_resource_t)resource, &old) == 0 &&
	    old.rlim_max < value)
		new.rlim_cur = new.rlim_max = old.rlim_max;
	setrlimit((__rlimit_resource_t)resource, &new);
}

/* Three quarters of the memory there is, at most DATA. */
static rlim_t data_limit(void)
{
	rlim_t pages = (rlim_t)sysconf(_SC_PHYS_PAGES);
	rlim_t most = pages * (rlim_t)sysconf(_SC_PAGESIZE) / 4 * 3;

	return most > 0 && most < DATA ? most : DATA;
}

static void confine(void)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	limit(RLIMIT_AS, ADDRESS_SPACE);
	limit(RLIMIT_DATA, data_limit());
	limit(RLIMIT_CPU, CPU_SECONDS);
	limit(RLIMIT_CORE, 0);
	limit(RLIMIT_FSIZE, FILE_SIZE);
	/* Its death is expected and says so on its own: no report of it, and
	 * no handler of the parent's. */
	signal(SIGSEGV, SIG_DFL);
	signal(SIGBUS, SIG_DFL);
	signal(SIGABRT, SIG_DFL);
	signal(SIGPIPE, SIG_DFL);
	signal(SIGXFSZ, SIG_IGN); /* an index that is too large is not kept */
}

bool child_start(child_job *job, void *context, int64_t deadline_ms,
		 struct child *out, struct error *err)
{
	int fds[2];
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC) != 0)
		return fail_errno(err, "pipe");
	fflush(NULL);
	pid = fork();
	if (pid < 0) {
		close(fds[0]);
		close(fds[1]);
		return fail_errno(err, "fork");
	}
	if (pid == 0) {
		close(fds[0]);
		confine();
		job(context, fds[1]);
		_exit(0);
	}
	close(fds[1]);
	out->pid = pid;
	out->fd = fds[0];
	out->deadline_ms = deadline_ms;
	out->late = out->is_liar = false;
	return true;
}

/* Until there is something to read; false at the deadline. */
static bool wait_readable(struct child *child)
{
	for (;;) {
		struct pollfd poll_fd = { .fd = child->fd, .events = POLLIN };
		int64_t left = child->deadline_ms - child_now_ms();
		int n;

		if (left <= 0) {
			child->late = true;
			return false;
		}
		n = poll(&poll_fd, 1, left > IDLE_MS ? IDLE_MS : (int)left);
		if (n > 0)
			return true;
		if (n < 0 && errno != EINTR)
			return false;
		if (child->idle)
			child->idle(child->idle_context);
	}
}

bool child_read(struct child *child, void *to, size_t len)
{
	char *at = to;

	while (len > 0) {
		ssize_t n;

		if (!wait_readable(child))
			return false;
		n = read(child->fd, at, len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		at += n;
		len -= (size_t)n;
	}
	return true;
}

bool child_reap(struct child *child, char *why_out, size_t cap)
{
	int status = 0;

	close(child->fd);
	if (child->late || child->is_liar)
		kill(child->pid, SIGKILL);
	while (waitpid(child->pid, &status, 0) < 0 && errno == EINTR)
		;
	why_out[0] = '\0';
	if (child->late)
		snprintf(why_out, cap, "took too long");
	else if (child->is_liar)
		snprintf(why_out, cap, "wrote nonsense");
	else if (WIFSIGNALED(status))
		snprintf(why_out, cap, "ended by SIG%s",
			 sigabbrev_np(WTERMSIG(status))
				 ? sigabbrev_np(WTERMSIG(status)) : "?");
	else if (WEXITSTATUS(status) != 0)
		snprintf(why_out, cap, "exited with status %d",
			 WEXITSTATUS(status));
	return why_out[0] == '\0';
}

void child_write(int fd, const void *bytes, size_t len)
{
	const char *at = bytes;

	while (len > 0) {
		ssize_t n = write(fd, at, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			_exit(1);
		at += n;
		len -= (size_t)n;
	}
}
