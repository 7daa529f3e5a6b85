/* Signal handlers of a program's own, for the end-to-end tests: `handlers NAME`
 * does what NAME says and prints what it sees, which has to be the same under
 * the shim, whether it ends well or dies. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#define CASE __attribute__((noinline, noclone)) static void

enum { PAGE = 4096, MANY = 1000, VERY_MANY = 1000000 };

static volatile uintptr_t low = 16;
static volatile sig_atomic_t called;
static sigjmp_buf way_out;
static char *guarded;
static char own_stack[65536] __attribute__((aligned(64)));

CASE null_write(void)
{
	*(volatile int *)low = 1;
}

static void handle(int sig, void (*handler)(int, siginfo_t *, void *),
		   int flags)
{
	struct sigaction action = { .sa_sigaction = handler,
				    .sa_flags = SA_SIGINFO | flags };

	if (sigaction(sig, &action, NULL))
		exit(99);
}

static void handle_plainly(int sig, void (*handler)(int), int flags)
{
	struct sigaction action = { .sa_handler = handler, .sa_flags = flags };

	if (sigaction(sig, &action, NULL))
		exit(99);
}

static void guard_page(void)
{
	if (!guarded)
		guarded = mmap(NULL, PAGE, PROT_NONE,
			       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	mprotect(guarded, PAGE, PROT_NONE);
}

static void open_page(void)
{
	mprotect(guarded, PAGE, PROT_READ | PROT_WRITE);
}

static void use_own_stack(size_t size)
{
	stack_t stack = { .ss_sp = own_stack, .ss_size = size };

	if (sigaltstack(&stack, NULL))
		exit(98);
}

/* Where the frame is */

static uintptr_t interrupted;

static void look_around(int sig, siginfo_t *si, void *context)
{
	stack_t now, other = { .ss_flags = SS_DISABLE };
	const ucontext_t *uc = context;
	uintptr_t here = (uintptr_t)&now;
	sigset_t mask;

	sigaltstack(NULL, &now);
	sigprocmask(SIG_BLOCK, NULL, &mask);
	printf("%d code %d page %d; below %d; own %d; now %p %x %zx; "
	       "context %p %zx; set %d %d; blocked %d\n",
	       sig, si->si_code, si->si_addr == guarded,
	       here < interrupted && interrupted - here < 32768,
	       here - (uintptr_t)own_stack < sizeof(own_stack),
	       now.ss_sp == own_stack ? (void *)8 : now.ss_sp,
	       (unsigned)now.ss_flags, now.ss_size,
	       uc->uc_stack.ss_sp == own_stack ? (void *)8 :
						 uc->uc_stack.ss_sp,
	       uc->uc_stack.ss_size, sigaltstack(&other, NULL),
	       now.ss_flags & SS_ONSTACK ? 0 : 1,
	       sigismember(&mask, SIGSEGV));
	fflush(stdout);
	called++;
	open_page();
}

__attribute__((noinline)) static void touch(void)
{
	volatile char here = 1;

	interrupted = (uintptr_t)&here;
	guard_page();
	*(volatile char *)guarded = here;
}

static void *touch_in_thread(void *unused)
{
	touch();
	return unused;
}

static void touch_everywhere(int flags)
{
	pthread_t thread;

	handle(SIGSEGV, look_around, flags);
	handle(SIGBUS, look_around, flags);
	touch();
	pthread_create(&thread, NULL, touch_in_thread, NULL);
	pthread_join(thread, NULL);
	exit(7);
}

CASE plain_stack(void)
{
	touch_everywhere(0);
}

CASE no_stack_set(void)
{
	touch_everywhere(SA_ONSTACK);
}

CASE own_stack_set(void)
{
	use_own_stack(sizeof(own_stack));
	touch_everywhere(SA_ONSTACK);
}

CASE own_stack_unused(void)
{
	use_own_stack(sizeof(own_stack));
	touch_everywhere(0);
}

/* 4 MiB below what the stack has grown to. */
CASE far_below(void)
{
	volatile char room[4 << 20];

	handle(SIGSEGV, look_around, 0);
	interrupted = (uintptr_t)room;
	guard_page();
	*(volatile char *)guarded = 1;
	printf("called %d\n", called);
	room[0] = 1;
	exit(7);
}

/* What is interrupted */

static void clobber(int sig, siginfo_t *si, void *context)
{
	static const char junk[64] = { 1, 2, 3 };

	(void)sig, (void)si, (void)context;
	if (__builtin_cpu_supports("avx512f"))
		__asm__ volatile("vmovdqu64 %0, %%zmm3\n\t"
				 "vmovdqu64 %0, %%zmm20\n\t"
				 "kxnorq %%k3, %%k3, %%k3"
				 : : "m"(junk) : "memory");
	else
		__asm__ volatile("movdqu %0, %%xmm3" : : "m"(junk) : "xmm3");
	open_page();
}

__attribute__((target("avx512f,avx512bw"))) static int keeps_vectors(void)
{
	char in[64], out[3][64];
	uint64_t mask = 0x123456789abcdef0, mask_out, red = 0;

	for (int i = 0; i < 64; i++)
		in[i] = (char)(i * 7 + 1);
	guard_page();
	__asm__ volatile("vmovdqu64 %[in], %%zmm3\n\t"
			 "vmovdqu64 %[in], %%zmm20\n\t"
			 "kmovq %[mask], %%k3\n\t"
			 "mov %[mask], -64(%%rsp)\n\t"
			 "movb $1, (%[guarded])\n\t"
			 "mov -64(%%rsp), %[red]\n\t"
			 "vmovdqu64 %%zmm3, %[out3]\n\t"
			 "vmovdqu64 %%zmm20, %[out20]\n\t"
			 "kmovq %%k3, %[mask_out]"
			 : [out3] "=m"(out[0]), [out20] "=m"(out[1]),
			   [mask_out] "=&r"(mask_out), [red] "=&r"(red)
			 : [in] "m"(in), [mask] "r"(mask),
			   [guarded] "r"(guarded)
			 : "xmm3", "xmm20", "k3", "memory");
	return !memcmp(in, out[0], 64) && !memcmp(in, out[1], 64) &&
	       mask_out == mask && red == mask;
}

static int keeps_xmm(void)
{
	char in[16] = "fifteen letters", out[16];

	guard_page();
	__asm__ volatile("movdqu %[in], %%xmm3\n\t"
			 "movb $1, (%[guarded])\n\t"
			 "movdqu %%xmm3, %[out]"
			 : [out] "=m"(out)
			 : [in] "m"(in), [guarded] "r"(guarded)
			 : "xmm3", "memory");
	return !memcmp(in, out, 16);
}

CASE vectors(void)
{
	int kept = 0;

	handle(SIGSEGV, clobber, 0);
	for (int i = 0; i < MANY; i++)
		kept += __builtin_cpu_supports("avx512bw") ? keeps_vectors() :
							     keeps_xmm();
	printf("kept %d\n", kept);
	exit(7);
}

static void jump_out(int sig)
{
	siglongjmp(way_out, sig);
}

static void many_jumps(int flags)
{
	volatile int jumps = 0;
	sigset_t mask;

	handle_plainly(SIGSEGV, jump_out, flags);
	for (volatile int i = 0; i < MANY; i++) {
		if (sigsetjmp(way_out, 1) == 0)
			null_write();
		else
			jumps++;
	}
	sigprocmask(SIG_BLOCK, NULL, &mask);
	printf("jumps %d blocked %d\n", jumps, sigismember(&mask, SIGSEGV));
	exit(7);
}

CASE jumps(void)
{
	many_jumps(0);
}

CASE jumps_no_stack_set(void)
{
	many_jumps(SA_ONSTACK);
}

static ucontext_t outside, inside;

static void swap_out(int sig, siginfo_t *si, void *context)
{
	(void)sig, (void)si, (void)context;
	swapcontext(&inside, &outside);
	called++;
	open_page();
}

static void touch_page(void)
{
	*(volatile char *)guarded = 1;
	swapcontext(&inside, &outside);
}

/* Out of the handler while its frame waits, and back into it. */
CASE swaps(void)
{
	static char stack[65536];

	handle(SIGSEGV, swap_out, 0);
	for (int i = 0; i < 500; i++) {
		guard_page();
		getcontext(&inside);
		inside.uc_stack.ss_sp = stack;
		inside.uc_stack.ss_size = sizeof(stack);
		inside.uc_link = NULL;
		makecontext(&inside, touch_page, 0);
		swapcontext(&outside, &inside);
		swapcontext(&outside, &inside);
	}
	printf("called %d\n", called);
	exit(7);
}

static void nested(int sig, siginfo_t *si, void *context)
{
	(void)sig, (void)si, (void)context;
	if (++called < 5)
		*(volatile char *)guarded = 1;
	else
		open_page();
	printf("depth %d\n", called);
	fflush(stdout);
}

CASE nests(void)
{
	handle(SIGSEGV, nested, SA_NODEFER);
	guard_page();
	*(volatile char *)guarded = 1;
	exit(7);
}

static void skip(int sig, siginfo_t *si, void *context)
{
	(void)sig, (void)si;
	((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP] += 3;
	called++;
}

/* As a runtime does that lets the processor check its pointers. */
CASE very_many(void)
{
	handle(SIGSEGV, skip, SA_ONSTACK);
	for (int i = 0; i < VERY_MANY; i++)
		__asm__ volatile("movb $1, (%0)" : : "a"(low) : "memory");
	printf("called %d\n", called);
	exit(7);
}

/* No room */

static void never(int sig, siginfo_t *si, void *context)
{
	(void)sig, (void)si, (void)context;
	if (write(1, "called\n", 7) != 7)
		exit(97);
	_exit(96);
}

#pragma GCC diagnostic ignored "-Winfinite-recursion"
CASE overflow(volatile char *above)
{
	volatile char frame[512];

	frame[0] = *above;
	overflow(frame);
	frame[1] = frame[0];
}

static void *overflow_in_thread(void *unused)
{
	volatile char top = 1;

	overflow(&top);
	return unused;
}

CASE overflow_plain(void)
{
	handle(SIGSEGV, never, 0);
	overflow_in_thread(NULL);
}

CASE overflow_no_stack_set(void)
{
	handle(SIGSEGV, never, SA_ONSTACK);
	overflow_in_thread(NULL);
}

CASE overflow_thread(void)
{
	pthread_t thread;

	handle(SIGSEGV, never, 0);
	pthread_create(&thread, NULL, overflow_in_thread, NULL);
	pthread_join(thread, NULL);
}

CASE overflow_small_stack(void)
{
	stack_t old;

	use_own_stack(2048);
	sigaltstack(NULL, &old);
	printf("own %d %zu %d\n", old.ss_sp == own_stack, old.ss_size,
	       old.ss_flags);
	fflush(stdout);
	handle(SIGSEGV, never, SA_ONSTACK);
	overflow_in_thread(NULL);
}

static void say_overflow(int sig, siginfo_t *si, void *context)
{
	(void)si, (void)context;
	printf("overflow %d\n", sig);
	fflush(stdout);
	_exit(3);
}

/* The program's own stack serves the program. */
CASE overflow_own_stack(void)
{
	use_own_stack(sizeof(own_stack));
	handle(SIGSEGV, say_overflow, SA_ONSTACK);
	overflow_in_thread(NULL);
}

/* What was asked for */

static void print_action(const char *what, int result,
			 const struct sigaction *action)
{
	int set = 0;

	for (int sig = 1; sig < 65; sig++)
		set += sigismember(&action->sa_mask, sig) == 1;
	printf("%s %d errno %d: %s %x %d\n", what, result, result ? errno : 0,
	       action->sa_handler == SIG_DFL ? "default" :
	       action->sa_handler == SIG_IGN ? "ignore" :
	       action->sa_sigaction == never ? "never" : "other",
	       (unsigned)action->sa_flags, set);
	fflush(stdout);
}

#pragma GCC diagnostic ignored "-Wrestrict"
CASE asks(void)
{
	static const int signals[] = { SIGSEGV, SIGABRT, SIGUSR1, SIGKILL,
				       SIGSTOP, 0, -1, 32, 33, 64, 65, 1000 };

	for (size_t i = 0; i < sizeof(signals) / sizeof(*signals); i++) {
		struct sigaction action = { .sa_sigaction = never,
					    .sa_flags = SA_SIGINFO |
							SA_NODEFER };
		struct sigaction old = { .sa_flags = 0x77 }, both;
		int sig = signals[i], result;

		printf("signal %d\n", sig);
		sigfillset(&action.sa_mask);
		errno = 0;
		printf("nothing %d %d\n", sigaction(sig, NULL, NULL), errno);
		result = sigaction(sig, NULL, &old);
		print_action("ask", result, &old);
		printf("set %d\n", sigaction(sig, &action, NULL));
		both = action;
		both.sa_handler = SIG_IGN;
		both.sa_flags = (int)SA_RESETHAND | SA_RESTART | 0x100;
		result = sigaction(sig, &both, &both);
		print_action("both", result, &both);
		result = sigaction(sig, NULL, &old);
		print_action("ask", result, &old);
		errno = 0;
		printf("signal %d %d\n", signal(sig, SIG_DFL) == SIG_IGN,
		       errno);
		result = sigaction(sig, &action, &old);
		print_action("set", result, &old);
		/* A failing call leaves the table alone. */
		printf("bad %ld\n", syscall(SYS_rt_sigaction, sig, NULL, NULL,
					    16));
		result = sigaction(sig, NULL, &old);
		print_action("ask", result, &old);
	}
	exit(7);
}

CASE asks_by_number(void)
{
	struct {
		uintptr_t handler;
		unsigned long flags;
		uintptr_t restorer;
		uint64_t mask;
	} action = { (uintptr_t)SIG_IGN, SA_RESTART, 0, 5 }, old;
	stack_t stack = { .ss_sp = own_stack, .ss_size = 8192 }, was;

	for (int i = 0; i < 2; i++) {
		memset(&old, 7, sizeof(old));
		printf("set %ld: %d %lx %d\n",
		       syscall(SYS_rt_sigaction, SIGSEGV, &action, &old, 8),
		       (int)old.handler, old.flags, (int)old.mask);
	}
	printf("signal %d\n", signal(SIGSEGV, SIG_DFL) == SIG_IGN);
	errno = 0;
	printf("bad %ld %d\n",
	       syscall(SYS_rt_sigaction, SIGSEGV, low, NULL, 8), errno);
	errno = 0;
	printf("bad %ld %d\n",
	       syscall(SYS_rt_sigaction, SIGSEGV, NULL, low, 8), errno);
	printf("stack %ld", syscall(SYS_sigaltstack, &stack, &was));
	printf(": %p %d\n", was.ss_sp, was.ss_flags);
	printf("stack %ld", syscall(SYS_sigaltstack, NULL, &was));
	printf(": %d %d\n", was.ss_sp == own_stack, was.ss_flags);
	printf("other %d %ld\n", syscall(SYS_getpid) == getpid(),
	       syscall(SYS_close, -1));
	fflush(stdout);
	null_write();
}

static void show_mask(int sig)
{
	sigset_t mask;

	sigprocmask(SIG_BLOCK, NULL, &mask);
	printf("%d: blocked %d %d %d\n", sig, sigismember(&mask, sig),
	       sigismember(&mask, SIGUSR1), sigismember(&mask, SIGUSR2));
	fflush(stdout);
	called++;
	open_page();
}

CASE masks_asked_for(void)
{
	static const int flags[] = { 0, SA_NODEFER, (int)SA_RESETHAND,
				     SA_RESTART };
	struct sigaction action = { .sa_handler = show_mask }, old;

	sigemptyset(&action.sa_mask);
	sigaddset(&action.sa_mask, SIGUSR1);
	for (size_t i = 0; i < sizeof(flags) / sizeof(*flags); i++) {
		action.sa_flags = flags[i];
		sigaction(SIGSEGV, &action, NULL);
		guard_page();
		*(volatile char *)guarded = 1;
		raise(flags[i] == (int)SA_RESETHAND ? SIGURG : SIGSEGV);
		sigaction(SIGSEGV, NULL, &old);
		print_action("then", 0, &old);
	}
	exit(7);
}

/* Wait until the main thread sleeps in read(), or for ten seconds. */
static void await_read(void)
{
	char path[64], text[8];

	snprintf(path, sizeof(path), "/proc/self/task/%d/syscall", getpid());
	for (int i = 0; i < 10000; i++) {
		int fd = open(path, O_RDONLY);
		ssize_t n = read(fd, text, sizeof(text));

		close(fd);
		if (n > 2 && text[0] == '0' && text[1] == ' ')
			return;
		usleep(1000);
	}
	_exit(94);
}

static int read_flags;

static void *raise_later(void *main_thread)
{
	await_read();
	pthread_kill(*(pthread_t *)main_thread, SIGSEGV);
	if (!(read_flags & SA_RESTART))
		return NULL; /* the main thread goes on */
	for (int i = 0; i < 10000 && !called; i++)
		usleep(1000);
	await_read();
	_exit(called == 1 ? 5 : 6);
}

static void reads(int flags)
{
	pthread_t self = pthread_self(), thread;
	int ends[2];
	char byte;

	read_flags = flags;
	handle_plainly(SIGSEGV, show_mask, flags);
	guard_page();
	if (pipe(ends))
		exit(95);
	pthread_create(&thread, NULL, raise_later, &self);
	printf("read %zd\n", read(ends[0], &byte, 1));
	printf("errno %d\n", errno);
	exit(7);
}

CASE interrupts(void)
{
	reads(0);
}

CASE restarts(void)
{
	reads(SA_RESTART);
}

static const struct {
	const char *name;
	void (*run)(void);
} cases[] = {
	{ "asks", asks },
	{ "asks-by-number", asks_by_number },
	{ "far-below", far_below },
	{ "interrupts", interrupts },
	{ "jumps", jumps },
	{ "jumps-no-stack-set", jumps_no_stack_set },
	{ "masks", masks_asked_for },
	{ "nests", nests },
	{ "no-stack-set", no_stack_set },
	{ "overflow-no-stack-set", overflow_no_stack_set },
	{ "overflow-own-stack", overflow_own_stack },
	{ "overflow-plain", overflow_plain },
	{ "overflow-small-stack", overflow_small_stack },
	{ "overflow-thread", overflow_thread },
	{ "own-stack-set", own_stack_set },
	{ "own-stack-unused", own_stack_unused },
	{ "plain-stack", plain_stack },
	{ "restarts", restarts },
	{ "swaps", swaps },
	{ "vectors", vectors },
	{ "very-many", very_many },
};

int main(int argc, char **argv)
{
	for (size_t i = 0; argc > 1 && i < sizeof(cases) / sizeof(*cases); i++)
		if (strcmp(argv[1], cases[i].name) == 0)
			cases[i].run();
	fprintf(stderr, "usage: handlers NAME; NAME is one of:\n");
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		fprintf(stderr, "  %s\n", cases[i].name);
	return 2;
}
