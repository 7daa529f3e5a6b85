/* What it costs to close a library, in a process that has others:
 *
 *     close BATCHES unload|keep LIBRARY...
 *
 * unload: the last one is opened and, by dlclose, unloaded; the time of both.
 * keep: it is open once more, so that its dlclose only counts. Prints the time
 * of one in nanoseconds, a line for each batch. */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { TIMES = 200 };

static double now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static void *open_library(const char *path)
{
	void *library = dlopen(path, RTLD_NOW);

	if (!library) {
		fprintf(stderr, "close: %s\n", dlerror());
		exit(1);
	}
	return library;
}

static double batch(const char *path)
{
	double started = now_ns();

	for (int i = 0; i < TIMES; i++)
		dlclose(open_library(path));
	return (now_ns() - started) / TIMES;
}

int main(int argc, char **argv)
{
	int batches, others = argc - 1;

	if (argc < 4) {
		fprintf(stderr,
			"usage: close BATCHES unload|keep LIBRARY...\n");
		return 2;
	}
	batches = (int)strtol(argv[1], NULL, 10);
	if (strcmp(argv[2], "keep") == 0)
		others = argc;
	for (int i = 3; i < others; i++)
		open_library(argv[i]);
	batch(argv[argc - 1]);
	for (int i = 0; i < batches; i++)
		printf("%.1f\n", batch(argv[argc - 1]));
	return 0;
}
