/* A process to unwind: its main thread waits at the end of a chain of calls
 * through libraries, or of a recursion; other threads in shorter chains.
 *
 *     chain DEPTH THREADS LENGTH LIBRARY...
 *
 * The main thread goes DEPTH calls deep, then through LENGTH of the libraries,
 * the others through four, each beginning at another one. Says "ready". */
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "link.h"

enum { LIBRARIES = 64, SHORT = 4 };

static step_fn *steps[LIBRARIES];
static unsigned nsteps;
static pthread_barrier_t everybody;

static void wait_for_ever(void)
{
	pthread_barrier_wait(&everybody);
	for (;;)
		pause();
}

static void say_ready(void)
{
	pthread_barrier_wait(&everybody);
	puts("ready");
	fflush(stdout);
	for (;;)
		pause();
}

static void *start(void *from)
{
	unsigned at = (unsigned)(size_t)from % (nsteps - SHORT + 1);
	struct chain chain = { steps, at + SHORT, wait_for_ever };

	steps[at](&chain, at);
	return NULL;
}

static void recurse(unsigned depth, const struct chain *chain)
{
	volatile unsigned here = depth;

	if (depth > 0)
		recurse(depth - 1, chain);
	else if (chain->to > 0)
		chain->steps[0](chain, 0);
	else
		chain->end();
	here = 0;
	(void)here;
}

static unsigned number(const char *text)
{
	return (unsigned)strtoul(text, NULL, 10);
}

int main(int argc, char **argv)
{
	struct chain chain = { steps, 0, say_ready };
	unsigned threads;
	pthread_t thread;

	if (argc < 4 || argc - 4 > LIBRARIES)
		return 2;
	for (int i = 4; i < argc; i++) {
		void *library = dlopen(argv[i], RTLD_NOW);
		void *symbol = library ? dlsym(library, "step") : NULL;

		if (!symbol) {
			fprintf(stderr, "chain: %s\n", dlerror());
			return 1;
		}
		*(void **)&steps[nsteps++] = symbol;
	}
	threads = number(argv[2]);
	chain.to = number(argv[3]);
	if (chain.to > nsteps || (threads > 0 && nsteps < SHORT))
		return 2;
	pthread_barrier_init(&everybody, NULL, threads + 1);
	for (unsigned i = 0; i < threads; i++)
		if (pthread_create(&thread, NULL, start, (void *)(size_t)i))
			return 1;
	recurse(number(argv[1]), &chain);
	return 0;
}
