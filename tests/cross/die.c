/* What dies, or does not, under the shim of AArch64: one way each, by name. It
 * prints what the record of its death has to say. Run by tests/cross/run. */
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

/* Where the instruction that kills stands. */
extern const char place[], other_place[];

static void say(const char *what, unsigned long value)
{
	printf("%s %lx\n", what, value);
	fflush(stdout);
}

/* A store to 16, with numbers in registers that the record must have. */
__attribute__((noinline)) static void fault(void)
{
	say("pc", (unsigned long)place);
	__asm__ volatile("mov x0, #16\n\t"
			 "mov x19, #0x1919\n\t"
			 "mov x28, #0x2828\n\t"
			 "fmov d8, #1.0\n\t"
			 ".globl place\n"
			 "place: str x19, [x0]" ::: "x0", "x19", "x28", "v8",
			 "memory");
}

static void *fault_in_thread(void *argument)
{
	say("tid", (unsigned long)syscall(SYS_gettid));
	say("tp", (unsigned long)__builtin_thread_pointer());
	fault();
	return argument;
}

static void in_thread(void)
{
	pthread_t thread;

	pthread_create(&thread, NULL, fault_in_thread, NULL);
	pthread_join(thread, NULL);
}

static int sink;

__attribute__((noinline)) static int deeper(int n)
{
	volatile char room[4096];

	room[0] = (char)n;
	if (n < 1 << 20)
		sink += deeper(n + 1) + room[0];
	return sink;
}

static void overflow(void)
{
	deeper(0);
}

static void breakpoint(void)
{
	__asm__ volatile("brk #7");
}

/* A handler that did not ask for an alternate stack is on the one that was
 * interrupted, with the frame that a kernel leaves, and may change it. */
static unsigned long around;
static volatile sig_atomic_t handled;

static void repair(int sig, siginfo_t *si, void *context)
{
	ucontext_t *uc = context;
	unsigned long here = (unsigned long)__builtin_frame_address(0);
	bool below = here < around && around - here < 65536;
	unsigned long *record = *(unsigned long **)__builtin_frame_address(0);

	handled += sig == SIGSEGV && si->si_addr == (void *)16 && below &&
		   uc->uc_mcontext.pc == (unsigned long)other_place &&
		   uc->uc_mcontext.regs[28] == 0x2828 &&
		   uc->uc_stack.ss_size == 0 &&
		   record[0] == uc->uc_mcontext.regs[29];
	uc->uc_mcontext.regs[28] = 0x2929;
	uc->uc_mcontext.pc += 4;
}

static void install(void (*handler)(int, siginfo_t *, void *))
{
	struct sigaction action = { .sa_sigaction = handler,
				    .sa_flags = SA_SIGINFO };

	sigaction(SIGSEGV, &action, NULL);
}

static void handle(void)
{
	unsigned long changed = 0, here = 0;
	double kept = 0;

	around = (unsigned long)&here;
	install(repair);
	__asm__ volatile("mov x0, #16\n\t"
			 "mov x28, #0x2828\n\t"
			 "fmov d8, #1.0\n\t"
			 ".globl other_place\n"
			 "other_place: str x0, [x0]\n\t"
			 "mov %0, x28\n\t"
			 "fmov %d1, d8"
			 : "=&r"(changed), "=w"(kept)
			 :
			 : "x0", "x28", "v8", "memory");
	say("changed", changed);
	say("handled", (unsigned long)handled + (kept == 1.0));
}

/* A handler that gives up: the report is about the first fault. */
static void give_up(int sig, siginfo_t *si, void *context)
{
	(void)si;
	(void)context;
	signal(sig, SIG_DFL);
	raise(sig);
}

static void handle_and_die(void)
{
	install(give_up);
	fault();
}

/* By number, through the entry that jumps to libc's. */
static void by_number(void)
{
	unsigned long set = 1ul << (SIGUSR1 - 1), old = ~0ul;
	long at = syscall(SYS_mmap, NULL, 4096, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	*(volatile char *)at = 1;
	syscall(SYS_rt_sigprocmask, SIG_BLOCK, &set, &old, 8);
	say("old", old);
	syscall(SYS_rt_sigprocmask, SIG_BLOCK, NULL, &old, 8);
	say("new", old);
}

static const struct {
	const char *name;
	void (*run)(void);
} ways[] = {
	{ "abort", abort },
	{ "breakpoint", breakpoint },
	{ "by-number", by_number },
	{ "fault", fault },
	{ "handle", handle },
	{ "handle-and-die", handle_and_die },
	{ "overflow", overflow },
	{ "thread", in_thread },
};

int main(int argc, char **argv)
{
	for (size_t i = 0; argc == 2 && i < sizeof(ways) / sizeof(ways[0]); i++)
		if (strcmp(argv[1], ways[i].name) == 0) {
			say("tid", (unsigned long)syscall(SYS_gettid));
			say("tp", (unsigned long)__builtin_thread_pointer());
			ways[i].run();
			return 0;
		}
	return 2;
}
