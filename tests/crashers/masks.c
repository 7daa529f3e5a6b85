/* Blocked and ignored signals, for the end-to-end tests: `masks NAME` does what
 * NAME says and prints what it sees, which has to be the same under the shim.
 * With `masks show` it prints what it has inherited. */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

#define CASE __attribute__((noinline, noclone)) static void

static const int claimed[] = {
	SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGTRAP, SIGSYS,
};

static volatile uintptr_t low = 16;
static sigjmp_buf way_out;
static char *self;

CASE null_write(void)
{
	*(volatile int *)low = 1;
}

static void mask_of(int how, const int *signals, size_t n)
{
	sigset_t set;

	sigemptyset(&set);
	for (size_t i = 0; i < n; i++)
		sigaddset(&set, signals[i]);
	if (pthread_sigmask(how, &set, NULL))
		exit(99);
}

static void mask_one(int how, int sig)
{
	mask_of(how, &sig, 1);
}

static void show(const char *what)
{
	sigset_t blocked, pending;
	struct sigaction action;

	sigprocmask(SIG_BLOCK, NULL, &blocked);
	sigpending(&pending);
	printf("%s:", what);
	for (int sig = 1; sig < 32; sig++) {
		if (sigismember(&blocked, sig))
			printf(" blocked %d", sig);
		if (sigismember(&pending, sig))
			printf(" pending %d", sig);
		sigaction(sig, NULL, &action);
		if (action.sa_handler == SIG_IGN)
			printf(" ignored %d", sig);
	}
	puts("");
	fflush(stdout);
}

static void say(int sig, siginfo_t *si, void *context)
{
	(void)context;
	printf("signal %d code %d self %d value %d\n", sig, si->si_code,
	       si->si_code <= 0 && si->si_pid == getpid(),
	       si->si_code == SI_QUEUE ? si->si_value.sival_int : 0);
	fflush(stdout);
}

static void handle(int sig, int flags)
{
	struct sigaction action = { .sa_sigaction = say,
				    .sa_flags = SA_SIGINFO | flags };

	sigaction(sig, &action, NULL);
}

static void jump_out(int sig)
{
	siglongjmp(way_out, sig);
}

/* Faults */

CASE blocked_fault(void)
{
	mask_one(SIG_BLOCK, SIGSEGV);
	show("then");
	null_write();
}

CASE blocked_handled_fault(void)
{
	handle(SIGSEGV, 0);
	blocked_fault();
}

CASE blocked_all_fault(void)
{
	sigset_t all;

	handle(SIGSEGV, SA_ONSTACK);
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	show("then");
	null_write();
}

static void *fault_in_thread(void *unused)
{
	show("thread");
	null_write();
	return unused;
}

CASE blocked_thread_fault(void)
{
	pthread_t thread;

	handle(SIGSEGV, 0);
	mask_one(SIG_BLOCK, SIGSEGV);
	pthread_create(&thread, NULL, fault_in_thread, NULL);
	pthread_join(thread, NULL);
}

static void report_child(pid_t pid)
{
	int status = 0;

	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	printf("child %x\n", (unsigned)status);
	fflush(stdout);
}

CASE blocked_fork_fault(void)
{
	handle(SIGSEGV, 0);
	mask_one(SIG_BLOCK, SIGSEGV);
	pid_t pid = fork();

	if (pid == 0)
		fault_in_thread(NULL);
	report_child(pid);
	show("parent");
	exit(7);
}

CASE ignored_fault(void)
{
	signal(SIGSEGV, SIG_IGN);
	show("then");
	null_write();
}

static void fault(int sig)
{
	(void)sig;
	null_write();
}

CASE masked_handler_fault(void)
{
	struct sigaction action = { .sa_handler = fault }, old;

	sigfillset(&action.sa_mask);
	sigaction(SIGUSR1, &action, NULL);
	sigaction(SIGUSR1, NULL, &old);
	printf("mask whole %d\n",
	       sigismember(&old.sa_mask, SIGSEGV) &&
	       sigismember(&old.sa_mask, SIGSYS));
	fflush(stdout);
	raise(SIGUSR1);
}

/* The mask that siglongjmp brings back is no fault's any more. */
CASE jumped_mask(void)
{
	sigset_t all;

	signal(SIGSEGV, jump_out);
	if (sigsetjmp(way_out, 1) == 0) {
		sigfillset(&all);
		sigprocmask(SIG_BLOCK, &all, NULL);
		siglongjmp(way_out, 1);
	}
	if (sigsetjmp(way_out, 1) == 0)
		null_write();
	show("recovered");
	exit(7);
}

static void block_more(int sig)
{
	sigset_t all;

	(void)sig;
	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, NULL);
}

/* What a handler blocks is unblocked by its return. */
CASE returned_mask(void)
{
	signal(SIGUSR1, block_more);
	raise(SIGUSR1);
	show("returned");
	signal(SIGSEGV, jump_out);
	if (sigsetjmp(way_out, 1) == 0)
		null_write();
	show("recovered");
	exit(7);
}

/* Sent while blocked */

CASE sent_blocked(void)
{
	for (size_t i = 0; i < sizeof(claimed) / sizeof(*claimed); i++)
		handle(claimed[i], i & 1 ? SA_NODEFER : SA_RESTART);
	mask_of(SIG_BLOCK, claimed, sizeof(claimed) / sizeof(*claimed));
	for (size_t i = 0; i < sizeof(claimed) / sizeof(*claimed); i++) {
		if (i % 3 == 0)
			kill(getpid(), claimed[i]);
		else if (i % 3 == 1)
			raise(claimed[i]);
		else
			sigqueue(getpid(), claimed[i],
				 (union sigval){ .sival_int = 42 });
		show("sent");
	}
	for (size_t i = 0; i < sizeof(claimed) / sizeof(*claimed); i++) {
		mask_one(SIG_UNBLOCK, claimed[i]);
		show("unblocked");
	}
	exit(7);
}

static void *send_in_thread(void *unused)
{
	raise(SIGSEGV);
	show("thread");
	mask_one(SIG_UNBLOCK, SIGSEGV);
	show("thread");
	return unused;
}

CASE sent_blocked_thread(void)
{
	pthread_t thread;

	handle(SIGSEGV, 0);
	mask_one(SIG_BLOCK, SIGSEGV);
	pthread_create(&thread, NULL, send_in_thread, NULL);
	pthread_join(thread, NULL);
	show("main");
	exit(7);
}

CASE sent_blocked_dies(void)
{
	mask_one(SIG_BLOCK, SIGBUS);
	kill(getpid(), SIGBUS);
	show("sent");
	mask_one(SIG_UNBLOCK, SIGBUS);
	puts("never");
}

/* For a signal from outside: unblocked once SIGUSR1 comes as well. */
CASE sent_from_outside(void)
{
	sigset_t pending, go;
	int sig;

	sigemptyset(&go);
	sigaddset(&go, SIGUSR1);
	mask_one(SIG_BLOCK, SIGUSR1);
	mask_one(SIG_BLOCK, SIGSEGV);
	puts("waiting");
	fflush(stdout);
	do {
		struct timespec rest = { 0, 1000000 };

		nanosleep(&rest, NULL);
		sigpending(&pending);
	} while (!sigismember(&pending, SIGSEGV));
	puts("pending");
	fflush(stdout);
	sigwait(&go, &sig);
	mask_one(SIG_UNBLOCK, SIGSEGV);
	puts("never");
}

CASE sent_ignored(void)
{
	for (size_t i = 0; i < sizeof(claimed) / sizeof(*claimed); i++) {
		signal(claimed[i], SIG_IGN);
		kill(getpid(), claimed[i]);
		raise(claimed[i]);
	}
	show("survived");
	exit(7);
}

static void print_info(const siginfo_t *si)
{
	printf("got %d code %d value %d self %d\n", si->si_signo, si->si_code,
	       si->si_code == SI_QUEUE ? si->si_value.sival_int : 0,
	       si->si_pid == getpid());
	fflush(stdout);
}

CASE wait_for_sent(void)
{
	siginfo_t si;
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGSEGV);
	mask_one(SIG_BLOCK, SIGSEGV);
	sigqueue(getpid(), SIGSEGV, (union sigval){ .sival_int = 42 });
	if (sigwaitinfo(&set, &si) == SIGSEGV)
		print_info(&si);
	kill(getpid(), SIGSEGV);
	if (sigtimedwait(&set, &si, &(struct timespec){ 5, 0 }) == SIGSEGV)
		print_info(&si);
	show("waited");
	exit(7);
}

static void *send_later(void *unused)
{
	struct timespec rest = { 0, 50000000 };

	nanosleep(&rest, NULL);
	kill(getpid(), SIGSEGV);
	return unused;
}

CASE wait_first(void)
{
	pthread_t thread;
	siginfo_t si;
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGSEGV);
	mask_one(SIG_BLOCK, SIGSEGV);
	pthread_create(&thread, NULL, send_later, NULL);
	if (sigwaitinfo(&set, &si) == SIGSEGV)
		print_info(&si);
	pthread_join(thread, NULL);
	show("waited");
	exit(7);
}

CASE descriptor(void)
{
	struct signalfd_siginfo info;
	struct pollfd poll_fd;
	pthread_t thread;
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGSEGV);
	mask_one(SIG_BLOCK, SIGSEGV);
	poll_fd = (struct pollfd){ signalfd(-1, &set, 0), POLLIN, 0 };
	for (int i = 0; i < 2; i++) {
		if (i)
			pthread_create(&thread, NULL, send_later, NULL);
		else
			kill(getpid(), SIGSEGV);
		printf("poll %d\n", poll(&poll_fd, 1, 5000));
		if (read(poll_fd.fd, &info, sizeof(info)) == sizeof(info))
			printf("read %u %d %d\n", info.ssi_signo,
			       info.ssi_code,
			       info.ssi_pid == (unsigned)getpid());
	}
	pthread_join(thread, NULL);
	show("read");
	exit(7);
}

/* Masks for the length of a call */

static void prepare_wait(sigset_t *open_out)
{
	handle(SIGSEGV, 0);
	handle(SIGFPE, 0);
	mask_one(SIG_BLOCK, SIGSEGV);
	mask_one(SIG_BLOCK, SIGFPE);
	kill(getpid(), SIGSEGV);
	show("sent");
	sigfillset(open_out);
	sigdelset(open_out, SIGSEGV);
}

static void end_wait(int result)
{
	printf("result %d errno %d\n", result, result < 0 ? errno : 0);
	show("then");
	kill(getpid(), SIGFPE);
	show("sent");
	exit(7);
}

CASE suspend(void)
{
	sigset_t open;

	prepare_wait(&open);
	end_wait(sigsuspend(&open));
}

CASE in_ppoll(void)
{
	struct timespec limit = { 5, 0 };
	sigset_t open;

	prepare_wait(&open);
	end_wait(ppoll(NULL, 0, &limit, &open));
}

CASE in_pselect(void)
{
	struct timespec limit = { 5, 0 };
	sigset_t open;

	prepare_wait(&open);
	end_wait(pselect(0, NULL, NULL, NULL, &limit, &open));
}

CASE in_epoll(void)
{
	struct epoll_event event;
	sigset_t open;
	int fd = epoll_create1(0);

	prepare_wait(&open);
	end_wait(epoll_pwait(fd, &event, 1, 5000, &open));
}

CASE in_epoll2(void)
{
	struct timespec limit = { 5, 0 };
	struct epoll_event event;
	sigset_t open;
	int fd = epoll_create1(0);

	prepare_wait(&open);
	end_wait(epoll_pwait2(fd, &event, 1, &limit, &open));
}

CASE blocked_in_ppoll(void)
{
	struct timespec limit = { 0, 1000000 };
	sigset_t all;

	sigfillset(&all);
	ppoll(NULL, 0, &limit, &all);
	show("then");
	null_write();
}

static void plain(int sig)
{
	printf("plain %d\n", sig);
	fflush(stdout);
}

CASE old_names(void)
{
	sighold(SIGSEGV);
	show("sighold");
	sigrelse(SIGSEGV);
	show("sigrelse");
	printf("sigset %d\n", sigset(SIGSEGV, plain) == SIG_DFL);
	printf("sigset %d\n", sigset(SIGSEGV, SIG_HOLD) == plain);
	show("hold");
	printf("sigset %d\n", sigset(SIGSEGV, SIG_DFL) == SIG_HOLD);
	show("default");
	sigignore(SIGFPE);
	show("sigignore");
	printf("block %x\n", (unsigned)sigblock(1 << (SIGBUS - 1)));
	show("sigblock");
	printf("set %x\n", (unsigned)sigsetmask(1 << (SIGSEGV - 1)));
	show("sigsetmask");
	sigset(SIGSEGV, plain);
	sighold(SIGSEGV);
	raise(SIGSEGV);
	printf("pause %d\n", sigpause(SIGSEGV));
	show("sigpause");
	sigrelse(SIGSEGV);
	struct sigaction action;

	siginterrupt(SIGSEGV, 1);
	sigaction(SIGSEGV, NULL, &action);
	printf("flags %x\n", (unsigned)action.sa_flags);
	siginterrupt(SIGSEGV, 0);
	sigaction(SIGSEGV, NULL, &action);
	printf("flags %x\n", (unsigned)action.sa_flags);
	errno = 0;
	printf("bad %d %d\n", sighold(99), errno);
	errno = 0;
	printf("bad %d %d\n", sigprocmask(77, &action.sa_mask, NULL), errno);
	printf("bad %d\n", pthread_sigmask(77, &action.sa_mask, NULL));
	raise(SIGSEGV);
	exit(7);
}

CASE by_number(void)
{
	uint64_t set = 1ull << (SIGSEGV - 1), old = 0;

	syscall(SYS_rt_sigprocmask, SIG_BLOCK, &set, NULL, 8);
	show("blocked");
	syscall(SYS_rt_sigprocmask, SIG_SETMASK, NULL, &old, 8);
	printf("old %d\n", old == set);
	errno = 0;
	printf("bad %ld %d\n",
	       syscall(SYS_rt_sigprocmask, SIG_BLOCK, &set, NULL, 4), errno);
	null_write();
}

/* Handed on */

static void prepare_exec(void)
{
	signal(SIGFPE, SIG_IGN);
	signal(SIGABRT, SIG_IGN);
	mask_one(SIG_BLOCK, SIGSEGV);
	mask_one(SIG_BLOCK, SIGABRT);
	fflush(stdout);
}

CASE exec_masked(void)
{
	char *argv[] = { self, "show", NULL };

	prepare_exec();
	printf("missing %d\n", execv("/nonexistent", argv));
	show("still");
	execv(self, argv);
}

CASE exec_list(void)
{
	prepare_exec();
	execl(self, self, "show", (char *)NULL);
}

CASE exec_environment(void)
{
	prepare_exec();
	execle(self, self, "show", (char *)NULL, environ);
}

CASE exec_path(void)
{
	prepare_exec();
	execlp(self, self, "show", (char *)NULL);
}

CASE spawned(void)
{
	char *argv[] = { self, "show", NULL };
	pid_t pid;

	prepare_exec();
	if (posix_spawn(&pid, self, NULL, NULL, argv, environ) == 0)
		report_child(pid);
	show("parent");
	null_write();
}

CASE by_shell(void)
{
	char command[4096], line[256];
	FILE *file;

	prepare_exec();
	snprintf(command, sizeof(command), "'%s' show", self);
	printf("system %d\n", system(command));
	fflush(stdout);
	file = popen(command, "r");
	while (file && fgets(line, sizeof(line), file))
		fputs(line, stdout);
	printf("popen %d\n", pclose(file));
	show("parent");
	exit(7);
}

/* As Python's subprocess does: all blocked, and the child puts back what was
 * before. */
CASE by_vfork(void)
{
	char *argv[] = { self, "show", NULL };
	sigset_t all, before;
	pid_t pid;

	prepare_exec();
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &before);
	pid = vfork();
	if (pid == 0) {
		pthread_sigmask(SIG_SETMASK, &before, NULL);
		execv(self, argv);
		_exit(9);
	}
	report_child(pid);
	show("blocked");
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	show("parent");
	exit(7);
}

static void show_inherited(void)
{
	show("inherited");
	exit(0);
}

static const struct {
	const char *name;
	void (*run)(void);
} cases[] = {
	{ "blocked-all-fault", blocked_all_fault },
	{ "blocked-fault", blocked_fault },
	{ "blocked-fork-fault", blocked_fork_fault },
	{ "blocked-handled-fault", blocked_handled_fault },
	{ "blocked-in-ppoll", blocked_in_ppoll },
	{ "blocked-thread-fault", blocked_thread_fault },
	{ "by-number", by_number },
	{ "by-shell", by_shell },
	{ "by-vfork", by_vfork },
	{ "descriptor", descriptor },
	{ "exec", exec_masked },
	{ "exec-environment", exec_environment },
	{ "exec-list", exec_list },
	{ "exec-path", exec_path },
	{ "ignored-fault", ignored_fault },
	{ "in-epoll", in_epoll },
	{ "in-epoll2", in_epoll2 },
	{ "in-ppoll", in_ppoll },
	{ "in-pselect", in_pselect },
	{ "jumped-mask", jumped_mask },
	{ "masked-handler-fault", masked_handler_fault },
	{ "old-names", old_names },
	{ "returned-mask", returned_mask },
	{ "sent-blocked", sent_blocked },
	{ "sent-blocked-dies", sent_blocked_dies },
	{ "sent-blocked-thread", sent_blocked_thread },
	{ "sent-from-outside", sent_from_outside },
	{ "sent-ignored", sent_ignored },
	{ "show", show_inherited },
	{ "spawned", spawned },
	{ "suspend", suspend },
	{ "wait-first", wait_first },
	{ "wait-for-sent", wait_for_sent },
};

int main(int argc, char **argv)
{
	self = argv[0];
	for (size_t i = 0; argc > 1 && i < sizeof(cases) / sizeof(*cases); i++)
		if (strcmp(argv[1], cases[i].name) == 0)
			cases[i].run();
	fprintf(stderr, "usage: masks NAME; NAME is one of:\n");
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		fprintf(stderr, "  %s\n", cases[i].name);
	return 2;
}
