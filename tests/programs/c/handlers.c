/* What the handlers of runtimes do that those of simple programs do not. One
 * word each:
 *
 *     reblock   as V8's: unblock the signal, block it again, fix the fault and
 *               return; many times, and in the end have one that nobody fixes
 *     jump      fix the fault, in a program that has jumped out of where it had
 *               the signal blocked
 *     nested    as HotSpot's: unblock, take further faults, survive them, and
 *               give up
 *     layered   as libjsig's JVM: call whoever was there before, if anyone was
 *     adopt     as Go's under cgo: ask the kernel for an alternate stack, set
 *               one only where there is none, and have the fault on a stack
 *               that has no room for a handler
 */
#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

enum { PAGE = 4096, TIMES = 1000, STACK = 65536 };

#define SMALL_STACK ((void *)0xc000000000)

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

static stack_t alternate;

static void adopting(int sig, siginfo_t *si, void *context)
{
	char here;

	(void)sig;
	(void)si;
	(void)context;
	if (&here - (char *)alternate.ss_sp < (long)alternate.ss_size &&
	    &here > (char *)alternate.ss_sp)
		puts("on the alternate stack");
	fflush(stdout);
	signal(SIGSEGV, SIG_DFL);
}

static void fault(void)
{
	*(volatile int *)16 = 1;
}

/* By no function of libc's. */
static void raw_sigaltstack(const stack_t *set, stack_t *old)
{
	long result = SYS_sigaltstack;

	__asm__ volatile("syscall" : "+a"(result) : "D"(set), "S"(old)
			 : "rcx", "r11", "memory");
}

static void fault_on_small_stack(void)
{
	static ucontext_t there, back;

	raw_sigaltstack(NULL, &alternate);
	if (alternate.ss_flags & SS_DISABLE) {
		alternate = (stack_t){ .ss_sp = malloc(STACK),
				       .ss_size = STACK };
		raw_sigaltstack(&alternate, NULL);
	}
	getcontext(&there);
	there.uc_stack.ss_sp =
		mmap(SMALL_STACK, 2 * PAGE, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	there.uc_stack.ss_size = PAGE / 2;
	makecontext(&there, fault, 0);
	swapcontext(&back, &there);
}

static void install(void (*handler)(int, siginfo_t *, void *), int flags)
{
	struct sigaction action = { .sa_sigaction = handler,
				    .sa_flags = SA_SIGINFO | flags };

	sigaction(SIGSEGV, &action, &before);
}

int main(int argc, char **argv)
{
	const char *word = argc > 1 ? argv[1] : "";

	page = mmap(NULL, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (!strcmp(word, "reblock")) {
		install(reblocking, 0);
		for (int i = 0; i < TIMES; i++) {
			*page = 1;
			mprotect(page, PAGE, PROT_NONE);
		}
		printf("fixed %d\n", faults);
		fflush(stdout);
	} else if (!strcmp(word, "jump")) {
		install(reblocking, 0);
		if (sigsetjmp(survivor, 1) == 0) {
			open_signal(SIG_BLOCK, NULL);
			siglongjmp(survivor, 1);
		}
		*page = 1;
		printf("fixed %d\n", faults);
		fflush(stdout);
	} else if (!strcmp(word, "nested")) {
		install(nesting, 0);
	} else if (!strcmp(word, "adopt")) {
		install(adopting, SA_ONSTACK);
		fault_on_small_stack();
	} else {
		install(chaining, 0);
	}
	fault();
	return 0;
}
