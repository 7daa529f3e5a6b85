/* What the handlers of runtimes do that those of simple programs do not. One
 * word each:
 *
 *     reblock   as V8's: unblock the signal, block it again, fix the fault and
 *               return; many times, and in the end have one that nobody fixes
 *     nested    as HotSpot's: unblock, take further faults, survive them, and
 *               give up
 *     layered   as libjsig's JVM: call whoever was there before, if anyone was
 */
#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { PAGE = 4096, TIMES = 1000 };

static char *page;
static volatile int faults;
static sigjmp_buf survivor;
static volatile bool surviving;
static struct sigaction before;

static void open_signal(int how, sigset_t *old)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGSEGV);
	pthread_sigmask(how, &set, old);
}

static void reblocking(int sig, siginfo_t *si, void *context)
{
	sigset_t old;

	(void)sig;
	(void)context;
	open_signal(SIG_UNBLOCK, &old);
	if ((char *)si->si_addr == page) {
		mprotect(page, PAGE, PROT_READ | PROT_WRITE);
		faults++;
	} else {
		signal(SIGSEGV, SIG_DFL);
	}
	pthread_sigmask(SIG_SETMASK, &old, NULL);
}

static void nesting(int sig, siginfo_t *si, void *context)
{
	(void)sig;
	(void)si;
	(void)context;
	open_signal(SIG_UNBLOCK, NULL);
	if (surviving) {
		faults++;
		siglongjmp(survivor, 1);
	}
	surviving = true;
	for (volatile int i = 0; i < 3; i++) {
		if (sigsetjmp(survivor, 1) == 0)
			*(volatile int *)(uintptr_t)(4096 + 16 * i) = 1;
	}
	printf("survived %d\n", faults);
	fflush(stdout);
	abort();
}

static void chaining(int sig, siginfo_t *si, void *context)
{
	static const char text[] = "nobody was there before\n";

	if (before.sa_handler != SIG_DFL && before.sa_handler != SIG_IGN)
		before.sa_sigaction(sig, si, context);
	write(1, text, sizeof(text) - 1);
	abort();
}

static void install(void (*handler)(int, siginfo_t *, void *))
{
	struct sigaction action = { .sa_sigaction = handler,
				    .sa_flags = SA_SIGINFO };

	sigaction(SIGSEGV, &action, &before);
}

int main(int argc, char **argv)
{
	const char *word = argc > 1 ? argv[1] : "";

	page = mmap(NULL, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (!strcmp(word, "reblock")) {
		install(reblocking);
		for (int i = 0; i < TIMES; i++) {
			*page = 1;
			mprotect(page, PAGE, PROT_NONE);
		}
		printf("fixed %d\n", faults);
		fflush(stdout);
	} else if (!strcmp(word, "nested")) {
		install(nesting);
	} else {
		install(chaining);
	}
	*(volatile int *)16 = 1;
	return 0;
}
