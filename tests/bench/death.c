/* How long a death takes, from the crash to waitpid, in one way or another:
 *
 *     death RUNS VARIANT,... SHIM GLOG SCRATCH DIE [ARG...]
 *
 * A VARIANT is `plain`, `shim`, `glog` (its failure signal handler in place of
 * the shim) or `core` (no shim, and the kernel writes a core file). They take
 * turns, in an order that changes with each round. After each crash everything
 * it started is awaited, so that nothing runs into the next one; orphans come
 * to this process for that. Each crash has a spool of its own in SCRATCH, and
 * its report ends in SCRATCH/kept. Prints a line for each:
 *
 *     VARIANT PID CRASH SEEN GONE DURABLE CHARGED REPORT
 *
 * CRASH is when DIE was about to die, in microseconds of CLOCK_MONOTONIC; the
 * next three are from then until waitpid returned, the witness was gone, and
 * nothing happened in the spool any more, after a report had come. CHARGED is
 * what the file $BENCH_USAGE said when the witness was gone, in KiB. -1 where
 * that does not apply. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { WAIT_S = 60, MAX_VARIANTS = 4 };

#define SPOOL "spool" /* both in SCRATCH, where we are */
#define KEPT "kept"

struct bench {
	const char *shim, *glog, *scratch;
	char **argv;
};

/* What was seen of one crash. */
struct crash {
	pid_t pid;
	double crashed, seen, gone, durable, charged;
	char report[64];
};

static void fail(const char *what, int error)
{
	fprintf(stderr, "death: %s: %s\n", what, strerror(error));
	exit(1);
}

static double to_us(const struct timespec *time)
{
	return (double)time->tv_sec * 1e6 + (double)time->tv_nsec / 1e3;
}

static double now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return to_us(&now);
}

static void set_core_limit(rlim_t most)
{
	struct rlimit limit;

	getrlimit(RLIMIT_CORE, &limit);
	limit.rlim_cur = most < limit.rlim_max ? most : limit.rlim_max;
	setrlimit(RLIMIT_CORE, &limit);
}

/* Start the program in the spool, its descriptor 3 into PIPE. */
static pid_t start(const struct bench *bench, const char *variant,
		   const int pipe[2])
{
	char preload[4096], spool[4096];
	char *env[] = { preload, spool, NULL };
	posix_spawn_file_actions_t actions;
	const char *library = strcmp(variant, "shim") == 0 ? bench->shim :
			      strcmp(variant, "glog") == 0 ? bench->glog :
							     NULL;
	pid_t pid;

	snprintf(preload, sizeof(preload), "LD_PRELOAD=%s",
		 library ? library : "");
	snprintf(spool, sizeof(spool), "EPITAPH_SPOOL=%s/" SPOOL,
		 bench->scratch);
	if (!library)
		env[0] = NULL;
	set_core_limit(strcmp(variant, "core") == 0 ? RLIM_INFINITY : 0);
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, pipe[1], 3);
	posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY,
					 0);
	posix_spawn_file_actions_addchdir_np(&actions, SPOOL);
	int error = posix_spawn(&pid, bench->argv[0], &actions, NULL,
				bench->argv, env);
	if (error != 0)
		fail(bench->argv[0], error);
	posix_spawn_file_actions_destroy(&actions);
	return pid;
}

/* The one child that we have and did not start: the witness; 0: none. */
static pid_t find_orphan(void)
{
	char path[64], text[64] = "";
	int fd;

	snprintf(path, sizeof(path), "/proc/self/task/%d/children", getpid());
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		fail(path, errno);
	if (read(fd, text, sizeof(text) - 1) < 0)
		fail(path, errno);
	close(fd);
	return (pid_t)strtol(text, NULL, 10);
}

static void await_events(int fd, int events)
{
	struct pollfd poll_fd = { .fd = fd, .events = (short)events };

	if (poll(&poll_fd, 1, WAIT_S * 1000) != 1)
		fail("waiting", ETIMEDOUT);
}

/* When the witness, now our child, is gone; at once where there is none. */
static double await_witness(void)
{
	pid_t witness = find_orphan();
	int pidfd;

	if (witness == 0)
		return now_us();
	pidfd = (int)syscall(SYS_pidfd_open, witness, 0);
	if (pidfd < 0)
		return now_us();
	await_events(pidfd, POLLIN);
	close(pidfd);
	return now_us();
}

/* Of the memory control group that we are in. */
static double charged_kib(void)
{
	const char *path = getenv("BENCH_USAGE");
	char text[32] = "";
	int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;

	if (fd < 0)
		return -1;
	if (read(fd, text, sizeof(text) - 1) < 0)
		fail(path, errno);
	close(fd);
	return strtod(text, NULL) / 1024;
}

static bool is_report(const char *name)
{
	size_t len = strlen(name);

	return len > 7 && strcmp(name + len - 7, ".dmp.gz") == 0;
}

/* Something in the file that counts crashes: not the report. */
static bool is_count(const struct inotify_event *event)
{
	static const char name[] = ".budget-";

	return event->len && strncmp(event->name, name, sizeof(name) - 1) == 0;
}

/* Follow SPOOL, by the inotify descriptor WATCH, until all orphans are gone:
 * when the last thing happened in it once a report was there. The helper's
 * last act in it is to close the directory that it has synchronized. */
static double follow_spool(int watch, char report_out[64])
{
	char events[4096] __attribute__((aligned(8)));
	struct pollfd polls[1] = { { .fd = watch, .events = POLLIN } };
	double last = -1;

	for (;;) {
		bool orphans = waitpid(-1, NULL, WNOHANG) >= 0;
		int ready = poll(polls, 1, orphans ? 1 : 0);
		double now = now_us();
		ssize_t n;

		if (ready == 0 && !orphans)
			return last;
		if (ready == 0)
			continue;
		n = read(watch, events, sizeof(events));
		for (ssize_t at = 0; at < n;) {
			struct inotify_event *event = (void *)(events + at);

			if (event->len && is_report(event->name))
				snprintf(report_out, 64, "%s", event->name);
			if (report_out[0] && !is_count(event))
				last = now;
			at += (ssize_t)sizeof(*event) + event->len;
		}
	}
}

static void keep_report(const char *report)
{
	char from[128], to[128];

	snprintf(from, sizeof(from), SPOOL "/%s", report);
	snprintf(to, sizeof(to), KEPT "/%s", report);
	if (rename(from, to) != 0)
		fail(from, errno);
}

/* With what else is in it: core files, bookkeeping. */
static void remove_spool(void)
{
	DIR *dir = opendir(SPOOL);
	struct dirent *entry;

	if (!dir)
		fail(SPOOL, errno);
	while ((entry = readdir(dir)))
		unlinkat(dirfd(dir), entry->d_name, 0);
	closedir(dir);
	if (rmdir(SPOOL) != 0)
		fail(SPOOL, errno);
}

static void read_crash_time(int fd, struct crash *crash)
{
	struct timespec crashed;

	if (read(fd, &crashed, sizeof(crashed)) != sizeof(crashed))
		fail("no time from it", EPIPE);
	crash->crashed = to_us(&crashed);
}

/* Wait for the death, and for everything after it. */
static void observe(bool shim, const int pipe[2], int watch,
		    struct crash *crash)
{
	int status;

	if (waitpid(crash->pid, &status, 0) != crash->pid)
		fail("waitpid", errno);
	crash->seen = now_us();
	if (shim) {
		crash->gone = await_witness();
		crash->charged = charged_kib();
	}
	if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGSEGV)
		fail("it did not die of SIGSEGV", ECANCELED);
	read_crash_time(pipe[0], crash);
	crash->durable = follow_spool(watch, crash->report);
	if (shim && !crash->report[0])
		fail("no report", ENOENT);
}

static void die_once(const struct bench *bench, const char *variant, bool show)
{
	struct crash crash = { .gone = -1, .durable = -1, .charged = -1 };
	bool shim = strcmp(variant, "shim") == 0;
	int pipe[2], watch = inotify_init1(IN_CLOEXEC);

	if (mkdir(SPOOL, 0700) != 0 || watch < 0 ||
	    pipe2(pipe, O_CLOEXEC) != 0)
		fail(SPOOL, errno);
	inotify_add_watch(watch, SPOOL, IN_CREATE | IN_MOVED_TO | IN_CLOSE);
	crash.pid = start(bench, variant, pipe);
	observe(shim, pipe, watch, &crash);
	close(watch);
	close(pipe[0]);
	close(pipe[1]);
	if (crash.report[0])
		keep_report(crash.report);
	remove_spool();
	if (!show)
		return;
	printf("%s\t%d\t%.1f\t%.1f\t%.1f\t%.1f\t%.0f\t%s\n", variant, crash.pid,
	       crash.crashed, crash.seen - crash.crashed,
	       shim ? crash.gone - crash.crashed : -1,
	       shim ? crash.durable - crash.crashed : -1, crash.charged,
	       crash.report[0] ? crash.report : "-");
}

int main(int argc, char **argv)
{
	int runs = argc > 6 ? (int)strtol(argv[1], NULL, 10) : 0;
	const char *variants[MAX_VARIANTS];
	int n = 0;

	if (runs < 1) {
		fprintf(stderr, "usage: death RUNS VARIANT,... SHIM GLOG "
				"SCRATCH DIE [ARG...]\n");
		return 2;
	}
	struct bench bench = { argv[3], argv[4], argv[5], argv + 6 };
	for (char *name = argv[2]; name && n < MAX_VARIANTS;)
		variants[n++] = strsep(&name, ",");
	prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
	if (chdir(bench.scratch) != 0 ||
	    (mkdir(KEPT, 0700) != 0 && errno != EEXIST))
		fail(bench.scratch, errno);
	for (int i = -1; i < runs; i++) { /* -1: warming up */
		for (int turn = 0; turn < n; turn++)
			die_once(&bench, variants[(turn + i + 1) % n],
				 i >= 0);
	}
	return 0;
}
