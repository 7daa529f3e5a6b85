/* How long one program takes from exec to exit, and how large it gets:
 *
 *     once PROGRAM [ARG...]
 *
 * with stdin and stdout as they are. Prints a line on stderr: microseconds, and
 * the KiB that it, or a child of it, was at most. That is not seen from a
 * process as large as Python: until exec its child is as large. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

int main(int argc, char **argv)
{
	double started = now_us();
	struct rusage usage;
	int status;
	pid_t pid;

	if (argc < 2) {
		fprintf(stderr, "usage: once PROGRAM [ARG...]\n");
		return 2;
	}
	pid = fork();
	if (pid == 0) {
		execvp(argv[1], argv + 1);
		perror(argv[1]);
		_exit(127);
	}
	if (pid < 0 || wait4(pid, &status, 0, &usage) != pid || status != 0) {
		fprintf(stderr, "once: %s: it failed\n", argv[1]);
		return 1;
	}
	fprintf(stderr, "%.1f %ld\n", now_us() - started, usage.ru_maxrss);
	return 0;
}
