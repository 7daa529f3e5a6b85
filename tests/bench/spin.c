/* Foreign load: `spin N` keeps N threads busy until it is killed, or for five
 * minutes. */
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

static void *spin(void *unused)
{
	for (;;)
		__asm__ volatile("pause");
	return unused;
}

int main(int argc, char **argv)
{
	int n = argc > 1 ? (int)strtol(argv[1], NULL, 10) : 1;
	pthread_t thread;

	for (int i = 0; i < n; i++) {
		if (pthread_create(&thread, NULL, spin, NULL) != 0)
			return 1;
	}
	sleep(300);
	return 0;
}
