/* A C program with Go in a library: it uses that, and then has a fault of its
 * own; with an argument, after installing a handler of its own. */
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "libshared.h"

static void handler(int sig)
{
	static const char text[] = "handled\n";

	write(1, text, sizeof(text) - 1);
	signal(sig, SIG_DFL);
	raise(sig);
}

int main(int argc, char **argv)
{
	struct sigaction action = { .sa_handler = handler,
				    .sa_flags = SA_ONSTACK };

	(void)argv;
	printf("recovered %d\n", recovered(1000));
	fflush(stdout);
	if (argc > 1)
		sigaction(SIGSEGV, &action, NULL);
	printf("recovered %d\n", recovered(1000));
	fflush(stdout);
	*(volatile int *)16 = 1;
	return 0;
}
