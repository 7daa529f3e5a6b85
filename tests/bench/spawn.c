/* How long a program takes from its start to its end, with one preloaded
 * library or another:
 *
 *     spawn RUNS PROGRAM PRELOAD...        PRELOAD - is none
 *
 * The variants take turns, in an order that changes with each round, so that
 * whatever else the machine does falls on all alike. Prints a line for each:
 * its name, the least, first quartile and median in microseconds, and the
 * median of its differences from the first in the same round. */
#include <errno.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

enum { MAX_RUNS = 100000, MAX_VARIANTS = 8, WARM_UP = 20 };

static void fail(const char *what, int error)
{
	fprintf(stderr, "spawn: %s: %s\n", what, strerror(error));
	exit(1);
}

static double now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

/* Microseconds from the start of PROGRAM to its end. */
static double run_once(char *program, const char *preload)
{
	char setting[4096];
	char *argv[] = { program, NULL };
	char *env[] = { setting, NULL };
	pid_t pid;
	int status;
	double started;

	snprintf(setting, sizeof(setting), "%s=%s",
		 strcmp(preload, "-") == 0 ? "NOTHING" : "LD_PRELOAD", preload);
	started = now_us();
	int error = posix_spawn(&pid, program, NULL, NULL, argv, env);
	if (error != 0)
		fail(program, error);
	if (waitpid(pid, &status, 0) != pid)
		fail("waitpid", errno);
	if (status != 0)
		fail(program, ECANCELED);
	return now_us() - started;
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

static void print_variant(const char *name, double *times,
			  const double *first, int runs)
{
	double *differences = calloc((size_t)runs, sizeof(double));

	if (!differences)
		fail("calloc", ENOMEM);
	for (int i = 0; i < runs; i++)
		differences[i] = times[i] - first[i];
	printf("%s\t%.1f", name, quantile(differences, runs, 0.5));
	for (int i = 0; i < runs; i++)
		differences[i] = times[i];
	printf("\t%.1f\t%.1f\t%.1f\n", quantile(differences, runs, 0),
	       quantile(differences, runs, 0.25),
	       quantile(differences, runs, 0.5));
	free(differences);
}

int main(int argc, char **argv)
{
	int runs = argc > 3 ? (int)strtol(argv[1], NULL, 10) : 0;
	int variants = argc - 3;
	double *times[MAX_VARIANTS];

	if (runs < 1 || runs > MAX_RUNS || variants > MAX_VARIANTS) {
		fprintf(stderr, "usage: spawn RUNS PROGRAM PRELOAD...\n");
		return 2;
	}
	for (int v = 0; v < variants; v++) {
		times[v] = calloc((size_t)runs, sizeof(double));
		if (!times[v])
			fail("calloc", ENOMEM);
	}
	for (int i = -WARM_UP; i < runs; i++) {
		for (int turn = 0; turn < variants; turn++) {
			int v = (turn + i + WARM_UP) % variants;
			double us = run_once(argv[2], argv[3 + v]);
			if (i >= 0)
				times[v][i] = us;
		}
	}
	for (int v = 0; v < variants; v++)
		print_variant(argv[3 + v], times[v], times[0], runs);
	return 0;
}
