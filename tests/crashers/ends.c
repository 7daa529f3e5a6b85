/* Ends that a program chooses itself, in its handlers and by abort(), for the
 * end-to-end tests: `ends NAME` does what NAME says and prints what it sees,
 * which has to be the same under the shim. */
#include <assert.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

#define CASE __attribute__((noinline, noclone)) static void

static volatile uintptr_t low = 16;
static volatile int zero;
static volatile sig_atomic_t called;
static sigjmp_buf way_out;
static char own_stack[65536] __attribute__((aligned(64)));

CASE null_write(void)
{
	*(volatile int *)low = 1;
}

static void handle_plainly(int sig, void (*handler)(int), int flags)
{
	struct sigaction action = { .sa_handler = handler, .sa_flags = flags };

	if (sigaction(sig, &action, NULL))
		exit(99);
}

static void jump_out(int sig)
{
	siglongjmp(way_out, sig);
}

static void use_own_stack(void)
{
	stack_t stack = { .ss_sp = own_stack, .ss_size = sizeof(own_stack) };

	if (sigaltstack(&stack, NULL))
		exit(98);
}

static void returns(int sig)
{
	if (write(1, "returns\n", 8) != 8 || sig == 0)
		_exit(94);
	called++;
}

CASE do_abort(void)
{
	abort();
}

CASE abort_ignored(void)
{
	signal(SIGABRT, SIG_IGN);
	raise(SIGABRT);
	do_abort();
}

CASE abort_blocked(void)
{
	sigset_t set;

	sigfillset(&set);
	sigprocmask(SIG_BLOCK, &set, NULL);
	do_abort();
}

CASE abort_returns(void)
{
	signal(SIGABRT, returns);
	raise(SIGABRT);
	do_abort();
}

CASE abort_returns_once(void)
{
	handle_plainly(SIGABRT, returns, (int)SA_RESETHAND | SA_ONSTACK);
	do_abort();
}

CASE assert_returns(void)
{
	signal(SIGABRT, returns);
	assert(zero && "in vain");
}

static void *volatile memory;

CASE free_ignored(void)
{
	signal(SIGABRT, SIG_IGN);
	memory = malloc(24);
	free(memory);
	free(memory);
}

/* A legal way out of abort(). */
CASE abort_jumped(void)
{
	signal(SIGABRT, jump_out);
	for (volatile int i = 0; i < 3; i++) {
		if (sigsetjmp(way_out, 1) == 0)
			abort();
	}
	signal(SIGABRT, returns);
	raise(SIGABRT);
	exit(7);
}

static void abort_in_handler(int sig)
{
	(void)sig;
	abort();
}

CASE fault_aborts(void)
{
	signal(SIGABRT, returns);
	signal(SIGSEGV, abort_in_handler);
	null_write();
}

/* Ends of another kind */

static void leave(int sig)
{
	(void)sig;
	_exit(3);
}

CASE handler_leaves(void)
{
	signal(SIGSEGV, leave);
	null_write();
}

static void leave_by_c(int sig)
{
	(void)sig;
	_Exit(4);
}

CASE handler_leaves_by_c(void)
{
	handle_plainly(SIGSEGV, leave_by_c, SA_ONSTACK | SA_NODEFER);
	null_write();
}

static void say_bye(void)
{
	if (write(1, "bye\n", 4) != 4)
		_exit(93);
}

static void leave_well(int sig)
{
	(void)sig;
	exit(0);
}

CASE handler_exits(void)
{
	atexit(say_bye);
	signal(SIGSEGV, leave_well);
	null_write();
}

static void leave_quickly(int sig)
{
	(void)sig;
	quick_exit(5);
}

CASE handler_exits_quickly(void)
{
	at_quick_exit(say_bye);
	signal(SIGSEGV, leave_quickly);
	null_write();
}

static void *fault_in_thread(void *unused)
{
	null_write();
	return unused;
}

CASE thread_leaves(void)
{
	pthread_t thread;

	use_own_stack();
	handle_plainly(SIGSEGV, leave, SA_ONSTACK);
	pthread_create(&thread, NULL, fault_in_thread, NULL);
	pthread_join(thread, NULL);
}

/* As one that calls a debugger: the child's end is its own. */
static void fork_and_leave(int sig)
{
	pid_t pid = fork();
	int status = 0;

	(void)sig;
	if (pid == 0)
		_exit(9);
	waitpid(pid, &status, 0);
	_exit(WIFEXITED(status) && WEXITSTATUS(status) == 9 ? 3 : 92);
}

CASE handler_forks(void)
{
	signal(SIGSEGV, fork_and_leave);
	null_write();
}

static void leave_by_number(int sig)
{
	(void)sig;
	syscall(SYS_exit_group, 8);
}

CASE handler_leaves_by_number(void)
{
	signal(SIGSEGV, leave_by_number);
	null_write();
}

/* Recovered from long ago: an end like any other. */
CASE leaves_later(void)
{
	signal(SIGSEGV, jump_out);
	if (sigsetjmp(way_out, 1) == 0)
		null_write();
	exit(6);
}

static void step_over(int sig, siginfo_t *si, void *context)
{
	(void)sig, (void)si;
	((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP] += 3;
}

static struct {
	char below[131072], above[65536];
} stacks __attribute__((aligned(4096)));

/* A frame that lies whole on another stack, right above this one. */
static void *fault_and_leave(void *unused)
{
	stack_t stack = { .ss_sp = stacks.above,
			  .ss_size = sizeof(stacks.above) };

	if (sigaltstack(&stack, NULL))
		exit(98);
	__asm__ volatile("movb $1, (%0)" : : "a"(low) : "memory");
	exit(6);
	return unused;
}

CASE leaves_below(void)
{
	struct sigaction action = { .sa_sigaction = step_over,
				    .sa_flags = SA_SIGINFO | SA_ONSTACK |
						SA_NODEFER };
	pthread_attr_t attributes;
	pthread_t thread;

	sigaction(SIGSEGV, &action, NULL);
	pthread_attr_init(&attributes);
	pthread_attr_setstack(&attributes, stacks.below, sizeof(stacks.below));
	pthread_create(&thread, &attributes, fault_and_leave, NULL);
	pthread_join(thread, NULL);
}

CASE aborted_leaves(void)
{
	signal(SIGABRT, leave);
	do_abort();
}

static const struct {
	const char *name;
	void (*run)(void);
} cases[] = {
	{ "abort-blocked", abort_blocked },
	{ "abort-ignored", abort_ignored },
	{ "abort-jumped", abort_jumped },
	{ "abort-returns", abort_returns },
	{ "abort-returns-once", abort_returns_once },
	{ "aborted-leaves", aborted_leaves },
	{ "assert-returns", assert_returns },
	{ "fault-aborts", fault_aborts },
	{ "free-ignored", free_ignored },
	{ "handler-exits", handler_exits },
	{ "handler-exits-quickly", handler_exits_quickly },
	{ "handler-forks", handler_forks },
	{ "handler-leaves", handler_leaves },
	{ "handler-leaves-by-c", handler_leaves_by_c },
	{ "handler-leaves-by-number", handler_leaves_by_number },
	{ "leaves-below", leaves_below },
	{ "leaves-later", leaves_later },
	{ "thread-leaves", thread_leaves },
};

int main(int argc, char **argv)
{
	for (size_t i = 0; argc > 1 && i < sizeof(cases) / sizeof(*cases); i++)
		if (strcmp(argv[1], cases[i].name) == 0)
			cases[i].run();
	fprintf(stderr, "usage: ends NAME; NAME is one of:\n");
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		fprintf(stderr, "  %s\n", cases[i].name);
	return 2;
}
