/* What a thread's creation costs, its end and the wait for it included:
 *
 *     create BATCHES
 *
 * Prints the time of one in nanoseconds, a line for each batch. On one
 * processor: where else the kernel puts the thread is luck, worth 15 us. */
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { THREADS = 200 };

static void *nothing(void *unused)
{
	return unused;
}

static double now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static double batch(void)
{
	double started = now_ns();
	pthread_t thread;

	for (int i = 0; i < THREADS; i++) {
		if (pthread_create(&thread, NULL, nothing, NULL) != 0)
			exit(1);
		pthread_join(thread, NULL);
	}
	return (now_ns() - started) / THREADS;
}

int main(int argc, char **argv)
{
	int batches = argc > 1 ? (int)strtol(argv[1], NULL, 10) : 1;
	cpu_set_t one;

	CPU_ZERO(&one);
	CPU_SET((unsigned)sched_getcpu(), &one);
	sched_setaffinity(0, sizeof(one), &one);
	batch();
	for (int i = 0; i < batches; i++)
		printf("%.1f\n", batch());
	return 0;
}
