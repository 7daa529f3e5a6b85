/* A program with threads that allocates and then has a fault, in a thread
 * where it is called with a word. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { THREADS = 4, TIMES = 20000 };

static void *work(void *fault)
{
	static _Thread_local char *kept[64];

	for (int i = 0; i < TIMES; i++) {
		free(kept[i % 64]);
		kept[i % 64] = malloc((size_t)(i * 7 % 5000) + 1);
		memset(kept[i % 64], i, 1);
	}
	if (fault)
		*(volatile int *)16 = 1;
	for (int i = 0; i < 64; i++)
		free(kept[i]);
	return NULL;
}

int main(int argc, char **argv)
{
	const char *word = argc > 1 ? argv[1] : "";
	pthread_t threads[THREADS];

	for (int i = 0; i < THREADS; i++)
		pthread_create(&threads[i], NULL, work,
			       !strcmp(word, "thread") && i == 2 ? &threads :
								   NULL);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	printf("worked\n");
	fflush(stdout);
	if (!strcmp(word, "main"))
		*(volatile int *)16 = 1;
	if (!strcmp(word, "free"))
		free((char *)threads + 8);
	return 0;
}
