/* Deaths in threads, and at moments, of an odd kind, for the end-to-end tests:
 * `threads NAME` does what NAME says. */
#include <aio.h>
#include <fcntl.h>
#include <mqueue.h>
#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <threads.h>
#include <time.h>
#include <unistd.h>

#define DEATH __attribute__((noinline, noclone)) static void

static volatile uintptr_t low = 16;

DEATH null_write(void)
{
	*(volatile int *)low = 1;
}

#pragma GCC diagnostic ignored "-Winfinite-recursion"
DEATH overflow(volatile char *above)
{
	volatile char frame[512];

	frame[0] = *above;
	overflow(frame);
	frame[1] = frame[0];
}

static int asked;

static void overflow_event(union sigval value)
{
	volatile char top = 1;

	if (value.sival_ptr != &asked)
		_exit(99);
	overflow(&top);
}

static struct sigevent event = {
	.sigev_notify = SIGEV_THREAD,
	.sigev_notify_function = overflow_event,
	.sigev_value = { .sival_ptr = &asked },
};

DEATH timer(void)
{
	struct itimerspec soon = { .it_value = { 0, 1000000 } };
	timer_t id;

	if (timer_create(CLOCK_MONOTONIC, &event, &id) ||
	    timer_settime(id, 0, &soon, NULL))
		exit(98);
	for (;;)
		pause();
}

static volatile int calls;

static void count_event(union sigval value)
{
	if (value.sival_ptr == &asked)
		calls++;
}

/* Many threads, one after the other, each with a stack. */
DEATH timers(void)
{
	struct itimerspec soon = { { 0, 200000 }, { 0, 200000 } };
	struct timespec rest = { 0, 1000000 };
	timer_t id;

	event.sigev_notify_function = count_event;
	if (timer_create(CLOCK_MONOTONIC, &event, &id) ||
	    timer_settime(id, 0, &soon, NULL))
		exit(98);
	while (calls < 2000)
		nanosleep(&rest, NULL);
	timer_delete(id);
	puts("2000 calls");
	exit(7);
}

DEATH queue(void)
{
	struct mq_attr attributes = { .mq_maxmsg = 1, .mq_msgsize = 8 };
	char name[32];
	mqd_t id;

	snprintf(name, sizeof(name), "/epitaph-%d", getpid());
	id = mq_open(name, O_RDWR | O_CREAT, 0600, &attributes);
	if (id == (mqd_t)-1)
		exit(97);
	mq_unlink(name);
	if (mq_notify(id, &event) || mq_send(id, "x", 1, 0))
		exit(98);
	for (;;)
		pause();
}

DEATH list(void)
{
	static char byte;
	struct aiocb request = { .aio_fildes = open("/dev/zero", O_RDONLY),
				 .aio_buf = &byte, .aio_nbytes = 1,
				 .aio_lio_opcode = LIO_READ };
	struct aiocb *requests[] = { &request };

	if (lio_listio(LIO_NOWAIT, requests, 1, &event))
		exit(98);
	for (;;)
		pause();
}

DEATH lookup(void)
{
	struct gaicb request = { .ar_name = "127.0.0.1" };
	struct gaicb *requests[] = { &request };

	if (getaddrinfo_a(GAI_NOWAIT, requests, 1, &event))
		exit(98);
	for (;;)
		pause();
}

/* The ends of threads and of the process */

static void in_destructor(void *unused)
{
	(void)unused;
	null_write();
}

static void overflow_in_destructor(void *unused)
{
	volatile char top = 1;

	(void)unused;
	overflow(&top);
}

static pthread_key_t key;

static void *set_key(void *unused)
{
	(void)unused;
	pthread_setspecific(key, &key);
	return NULL;
}

static void with_destructor(void (*destructor)(void *))
{
	pthread_t thread;

	pthread_key_create(&key, destructor);
	pthread_create(&thread, NULL, set_key, NULL);
	pthread_join(thread, NULL);
}

DEATH destructor(void)
{
	with_destructor(in_destructor);
}

DEATH destructor_overflow(void)
{
	with_destructor(overflow_in_destructor);
}

static int set_tss(void *made)
{
	tss_set(*(tss_t *)made, &key);
	return 0;
}

DEATH thrd_destructor(void)
{
	static tss_t made;
	thrd_t thread;

	tss_create(&made, overflow_in_destructor);
	thrd_create(&thread, set_tss, &made);
	thrd_join(thread, NULL);
}

static void *cancel_me(void *unused)
{
	pthread_cleanup_push(in_destructor, NULL);
	for (;;)
		pause();
	pthread_cleanup_pop(0);
	return unused;
}

DEATH cancelled(void)
{
	pthread_t thread;

	pthread_create(&thread, NULL, cancel_me, NULL);
	pthread_cancel(thread);
	pthread_join(thread, NULL);
}

static void *return_at_once(void *unused)
{
	return unused;
}

/* The main thread leaves the process to others. */
static void *fault_alone(void *unused)
{
	struct timespec rest = { 0, 20000000 };

	nanosleep(&rest, NULL);
	null_write();
	return unused;
}

DEATH main_gone(void)
{
	pthread_t thread;

	pthread_create(&thread, NULL, fault_alone, NULL);
	pthread_exit(NULL);
}

DEATH at_exit(void)
{
	atexit(null_write);
	exit(0);
}

DEATH many_threads(void)
{
	pthread_t thread;

	for (int i = 0; i < 20000; i++) {
		if (pthread_create(&thread, NULL, return_at_once, NULL) ||
		    pthread_join(thread, NULL))
			exit(96);
	}
	puts("20000 threads");
	exit(7);
}

static void close_all(void)
{
	closefrom(0);
	if (chdir("/"))
		_exit(95);
}

DEATH closed(void)
{
	close_all();
	null_write();
}

/* The status comes through a pipe that only the grandchild's parent has. */
DEATH daemonized(void)
{
	int status = 0;
	pid_t pid = fork();

	if (pid == 0) {
		setsid();
		pid = fork();
		if (pid == 0) {
			close_all();
			null_write();
		}
		waitpid(pid, &status, 0);
		_exit(WIFSIGNALED(status) ? WTERMSIG(status) : 94);
	}
	waitpid(pid, &status, 0);
	printf("grandchild %d\n", WEXITSTATUS(status));
	exit(7);
}

static char early[8];

/* Before main, and before what the program needs is all started. */
__attribute__((constructor)) static void before_main(void)
{
	const char *wish = getenv("CRASH_BEFORE_MAIN");

	if (wish)
		strncpy(early, wish, sizeof(early) - 1);
	if (*early)
		null_write();
}

static const struct {
	const char *name;
	void (*death)(void);
} menu[] = {
	{ "at-exit", at_exit },
	{ "cancelled", cancelled },
	{ "closed", closed },
	{ "daemonized", daemonized },
	{ "destructor", destructor },
	{ "destructor-overflow", destructor_overflow },
	{ "list", list },
	{ "lookup", lookup },
	{ "main-gone", main_gone },
	{ "many-threads", many_threads },
	{ "queue", queue },
	{ "thrd-destructor", thrd_destructor },
	{ "timer", timer },
	{ "timers", timers },
};

int main(int argc, char **argv)
{
	for (size_t i = 0; argc > 1 && i < sizeof(menu) / sizeof(*menu); i++) {
		if (strcmp(argv[1], menu[i].name) == 0)
			menu[i].death();
	}
	fprintf(stderr, "usage: threads NAME; NAME is one of:\n");
	for (size_t i = 0; i < sizeof(menu) / sizeof(*menu); i++)
		fprintf(stderr, "  %s\n", menu[i].name);
	return 2;
}
