/* Touches memory, starts threads that sleep, notes the time and dies of a
 * write through a null pointer:
 *
 *     die MIB THREADS        the time, of CLOCK_MONOTONIC, goes to fd 3 */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

static pthread_barrier_t everybody;

static void *sleep_for_ever(void *unused)
{
	(void)unused;
	pthread_barrier_wait(&everybody);
	for (;;)
		pause();
	return NULL;
}

static void touch(size_t len)
{
	void *memory = mmap(NULL, len, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED)
		exit(1);
	/* Small pages, as a heap that has grown bit by bit: huge ones would
	 * make the teardown look cheap. */
	madvise(memory, len, MADV_NOHUGEPAGE);
	memset(memory, 1, len);
}

int main(int argc, char **argv)
{
	size_t mib = argc > 1 ? strtoul(argv[1], NULL, 10) : 0;
	unsigned threads = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : 0;
	volatile int *volatile nowhere = NULL;
	struct timespec now;

	if (mib)
		touch(mib << 20);
	pthread_barrier_init(&everybody, NULL, threads + 1);
	for (unsigned i = 0; i < threads; i++) {
		pthread_t thread;
		if (pthread_create(&thread, NULL, sleep_for_ever, NULL) != 0)
			return 1;
	}
	pthread_barrier_wait(&everybody);
	usleep(20000); /* until the last of them sleeps */
	clock_gettime(CLOCK_MONOTONIC, &now);
	if (write(3, &now, sizeof(now)) != sizeof(now))
		return 1;
	*nowhere = 1;
	return 0;
}
