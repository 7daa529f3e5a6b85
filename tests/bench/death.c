/* How long a death takes, from the crash to waitpid, with the shim and
 * without:
 *
 *     death RUNS SHIM SPOOL DIE [ARG...]
 *
 * Both take turns, the first of each pair changing. After a crash under the
 * shim the report is awaited and removed, so that its helper does not run
 * into the next measurement. Prints for each: its name, the median of the
 * paired differences, the least, first quartile and median, in
 * microseconds. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { MAX_RUNS = 1001, WAIT_S = 30 };

struct bench {
	const char *shim, *spool;
	char **argv;
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

static bool is_report(const char *name)
{
	const char *suffix = strstr(name, ".dmp.gz");

	return suffix && strcmp(suffix, ".dmp.gz") == 0;
}

/* Remove a report from the spool; false where there is none. */
static bool remove_report(const char *spool)
{
	DIR *dir = opendir(spool);
	struct dirent *entry;
	bool found = false;

	if (!dir)
		fail(spool, errno);
	while (!found && (entry = readdir(dir))) {
		found = is_report(entry->d_name);
		if (found && unlinkat(dirfd(dir), entry->d_name, 0) != 0)
			fail(entry->d_name, errno);
	}
	closedir(dir);
	return found;
}

static void await_report(const char *spool)
{
	double end = now_us() + WAIT_S * 1e6;

	while (!remove_report(spool)) {
		if (now_us() > end)
			fail("no report", ETIMEDOUT);
		usleep(2000);
	}
	usleep(20000); /* until its helper has gone as well */
}

/* Start the program, its descriptor 3 into PIPE. */
static pid_t start(const struct bench *bench, bool shim, const int pipe[2])
{
	char preload[4096], spool[4096];
	char *with[] = { preload, spool, NULL }, *without[] = { NULL };
	posix_spawn_file_actions_t actions;
	pid_t pid;

	snprintf(preload, sizeof(preload), "LD_PRELOAD=%s", bench->shim);
	snprintf(spool, sizeof(spool), "EPITAPH_SPOOL=%s", bench->spool);
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, pipe[1], 3);
	int error = posix_spawn(&pid, bench->argv[0], &actions, NULL,
				bench->argv, shim ? with : without);
	if (error != 0)
		fail(bench->argv[0], error);
	posix_spawn_file_actions_destroy(&actions);
	return pid;
}

/* Microseconds from the crash to its being seen. */
static double die_once(const struct bench *bench, bool shim)
{
	struct timespec crashed;
	int pipe[2], status;

	if (pipe2(pipe, O_CLOEXEC) != 0)
		fail("pipe", errno);
	pid_t pid = start(bench, shim, pipe);
	if (waitpid(pid, &status, 0) != pid)
		fail("waitpid", errno);
	double seen = now_us();
	if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGSEGV)
		fail("it did not die of SIGSEGV", ECANCELED);
	if (read(pipe[0], &crashed, sizeof(crashed)) != sizeof(crashed))
		fail("no time from it", EPIPE);
	close(pipe[0]);
	close(pipe[1]);
	if (shim)
		await_report(bench->spool);
	return seen - to_us(&crashed);
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double quantile(double *values, int count, double share)
{
	qsort(values, (size_t)count, sizeof(*values), compare);
	return values[(int)((count - 1) * share)];
}

static void print_variant(const char *name, double difference, double *times,
			  int runs)
{
	printf("%s\t%.1f\t%.1f\t%.1f\t%.1f\n", name, difference,
	       quantile(times, runs, 0), quantile(times, runs, 0.25),
	       quantile(times, runs, 0.5));
}

int main(int argc, char **argv)
{
	static double plain[MAX_RUNS], shim[MAX_RUNS], differences[MAX_RUNS];
	int runs = argc > 4 ? (int)strtol(argv[1], NULL, 10) : 0;
	struct rlimit no_core = { 0, 0 };

	if (runs < 1 || runs > MAX_RUNS) {
		fprintf(stderr, "usage: death RUNS SHIM SPOOL DIE [ARG...]\n");
		return 2;
	}
	setrlimit(RLIMIT_CORE, &no_core);
	struct bench bench = { argv[2], argv[3], argv + 4 };
	die_once(&bench, true); /* warm up */
	for (int i = 0; i < runs; i++) {
		bool first = i % 2 == 0;
		double a = die_once(&bench, first);
		double b = die_once(&bench, !first);
		shim[i] = first ? a : b;
		plain[i] = first ? b : a;
		differences[i] = shim[i] - plain[i];
	}
	print_variant("no shim", 0, plain, runs);
	print_variant("shim", quantile(differences, runs, 0.5), shim, runs);
	return 0;
}
