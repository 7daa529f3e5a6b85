/* What sanitizers report, one word each. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int shared;
static volatile int turn;

static void *race(void *argument)
{
	for (int i = 0; i < 1000; i++)
		shared += turn;
	return argument;
}

__attribute__((noinline)) static int deep(int n)
{
	volatile char big[4096];

	big[n % 4096] = (char)n;
	return deep(n + 1) + big[n % 4096];
}

static void *fault(void *argument)
{
	*(volatile int *)16 = 1;
	return argument;
}

int main(int argc, char **argv)
{
	const char *word = argc > 1 ? argv[1] : "";
	volatile char *heap = malloc(16);
	pthread_t threads[2];

	if (!strcmp(word, "overflow")) {
		heap[16 + turn] = 1;
	} else if (!strcmp(word, "after-free")) {
		free((void *)heap);
		heap[turn] = 1;
	} else if (!strcmp(word, "fault")) {
		*(volatile int *)16 = 1;
	} else if (!strcmp(word, "thread")) {
		pthread_create(&threads[0], NULL, fault, NULL);
		pthread_join(threads[0], NULL);
	} else if (!strcmp(word, "deep")) {
		printf("%d\n", deep(0));
	} else if (!strcmp(word, "race")) {
		for (int i = 0; i < 2; i++)
			pthread_create(&threads[i], NULL, race, NULL);
		for (int i = 0; i < 2; i++)
			pthread_join(threads[i], NULL);
	} else if (!strcmp(word, "abort")) {
		abort();
	} else if (!strcmp(word, "leak")) {
		heap = NULL;
	}
	free((void *)heap);
	printf("to the end\n");
	return 0;
}
