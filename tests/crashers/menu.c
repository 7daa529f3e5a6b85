/* A menu of ways to die, for the end-to-end tests: `menu NAME [THREADS [MIB]]`
 * starts THREADS sleeping threads, touches MIB of memory, and then does what
 * NAME says; `menu --list` says what each NAME comes to. One function per
 * death, never inlined, so that the stack is known. Prints what happened where
 * the process is to survive. */
#include <assert.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <threads.h>
#include <unistd.h>

#define DEATH __attribute__((noinline, noclone)) static void

static volatile uintptr_t low = 16;
static volatile int zero, one_hundred = 100;
static sigjmp_buf way_out;
static char *guarded;

DEATH null_write(void)
{
	*(volatile int *)low = 1;
}

DEATH null_read(void)
{
	zero = *(volatile int *)low;
}

DEATH null_call(void)
{
	((void (*)(void))(uintptr_t)zero)();
	puts("never");
}

DEATH wild_read(void)
{
	zero = *(volatile int *)0x4141414141414141;
}

DEATH divide(void)
{
	zero = one_hundred / zero;
}

DEATH illegal(void)
{
	__asm__ volatile("ud2");
}

DEATH breakpoint(void)
{
	__asm__ volatile("int3");
}

DEATH halt(void)
{
	__asm__ volatile("hlt");
}

DEATH past_end(void)
{
	FILE *file = tmpfile();
	volatile char *at;

	if (!file || fputs("x", file) < 0 || fflush(file))
		exit(99);
	at = mmap(NULL, 8192, PROT_READ, MAP_SHARED, fileno(file), 0);
	zero = at[4096];
}

DEATH read_only(void)
{
	*(volatile char *)(uintptr_t) "constant" = 'C';
}

DEATH do_abort(void)
{
	abort();
}

DEATH do_assert(void)
{
	assert(zero && "the menu says so");
}

static void *volatile memory;

DEATH double_free(void)
{
	memory = malloc(24);
	free(memory);
	free(memory);
}

#pragma GCC diagnostic ignored "-Winfinite-recursion"
DEATH overflow_depth(volatile char *above)
{
	volatile char frame[512];

	frame[0] = *above;
	overflow_depth(frame);
	frame[1] = frame[0];
}

DEATH overflow(void)
{
	volatile char top = 1;

	overflow_depth(&top);
}

DEATH overflow_wide_depth(volatile char *above)
{
	volatile char frame[2000];

	frame[0] = *above;
	overflow_wide_depth(frame);
	frame[1] = frame[0];
}

/* One frame leaps over the end of the stack, and sp ends up below it. */
DEATH overflow_wide(void)
{
	volatile char top = 1;

	overflow_wide_depth(&top);
}

DEATH raise_segv(void)
{
	raise(SIGSEGV);
}

DEATH kill_self(void)
{
	kill(getpid(), SIGBUS);
	pause();
}

DEATH queue_self(void)
{
	sigqueue(getpid(), SIGSEGV, (union sigval){ .sival_int = 42 });
	pause();
}

DEATH wait_signal(void)
{
	puts("waiting");
	fflush(stdout);
	for (;;)
		pause();
}

/* Handlers of the program's own */

static void handle(int sig, void (*handler)(int), int flags)
{
	struct sigaction action = { .sa_handler = handler, .sa_flags = flags };

	sigaction(sig, &action, NULL);
}

static void jump_out(int sig)
{
	siglongjmp(way_out, sig);
}

DEATH recover_jump(void)
{
	handle(SIGSEGV, jump_out, SA_ONSTACK);
	for (volatile int i = 0; i < 1000; i++) {
		if (sigsetjmp(way_out, 1) == 0)
			null_write();
	}
	puts("recovered");
	exit(7);
}

static void open_page(int sig)
{
	(void)sig;
	mprotect(guarded, 4096, PROT_READ | PROT_WRITE);
}

DEATH recover_return(void)
{
	guarded = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		       0);
	handle(SIGSEGV, open_page, 0);
	for (int i = 0; i < 1000; i++) {
		mprotect(guarded, 4096, PROT_NONE);
		*(volatile char *)guarded = 1;
	}
	puts("recovered");
	exit(7);
}

static void recover_page(void)
{
	guarded = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		       0);
	handle(SIGSEGV, open_page, 0);
	*(volatile char *)guarded = 1;
}

DEATH abort_below(void)
{
	volatile char room[16384];

	room[sizeof(room) - 1] = 1;
	do_abort();
	room[0] = 1;
}

/* The old signal frame lies whole in a buffer that nobody wrote to. */
DEATH stale_fault(void)
{
	recover_page();
	abort_below();
}

static void fault(int sig)
{
	(void)sig;
	null_write();
}

DEATH in_handler(void)
{
	handle(SIGUSR1, fault, 0);
	raise(SIGUSR1);
	puts("never");
}

static void reset_raise(int sig)
{
	handle(sig, SIG_DFL, 0);
	raise(sig);
}

DEATH handler_raises(void)
{
	handle(SIGSEGV, reset_raise, SA_NODEFER);
	null_write();
}

static void reset_return(int sig)
{
	signal(sig, SIG_DFL);
}

DEATH handler_returns(void)
{
	handle(SIGSEGV, reset_return, SA_ONSTACK);
	null_write();
}

/* The signal is blocked in its handler, and comes when that has returned. */
static void raise_later(int sig)
{
	signal(sig, SIG_DFL);
	raise(sig);
}

DEATH handler_pends(void)
{
	handle(SIGSEGV, raise_later, 0);
	null_write();
}

static void just_abort(int sig)
{
	(void)sig;
	abort();
}

DEATH handler_aborts(void)
{
	handle(SIGSEGV, just_abort, 0);
	null_write();
}

static void say_once(int sig)
{
	(void)sig;
	if (write(1, "once\n", 5) != 5)
		exit(98);
}

DEATH one_shot(void)
{
	handle(SIGSEGV, say_once, (int)SA_RESETHAND);
	null_write();
}

/* A handler that was left long ago is not what this death is about. */
DEATH stale_handler(void)
{
	handle(SIGSEGV, jump_out, SA_ONSTACK);
	if (sigsetjmp(way_out, 1) == 0)
		null_write();
	handle(SIGSEGV, SIG_DFL, 0);
	divide();
}

/* Threads and processes */

static void *pthread_of(void *death)
{
	((void (*)(void))(uintptr_t)death)();
	return NULL;
}

static int thrd_of(void *death)
{
	pthread_of(death);
	return 0;
}

static void in_pthread(void (*death)(void))
{
	pthread_t thread;

	pthread_create(&thread, NULL, pthread_of, (void *)(uintptr_t)death);
	pthread_join(thread, NULL);
}

DEATH thread_null(void)
{
	in_pthread(null_write);
}

DEATH thread_overflow(void)
{
	in_pthread(overflow);
}

DEATH thrd_overflow(void)
{
	thrd_t thread;

	thrd_create(&thread, thrd_of, (void *)(uintptr_t)overflow);
	thrd_join(thread, NULL);
}

static pthread_barrier_t barrier;

static void *crash_together(void *unused)
{
	(void)unused;
	pthread_barrier_wait(&barrier);
	null_write();
	return NULL;
}

DEATH together(void)
{
	pthread_t thread;

	pthread_barrier_init(&barrier, NULL, 32);
	for (int i = 0; i < 31; i++)
		pthread_create(&thread, NULL, crash_together, NULL);
	crash_together(NULL);
}

static void in_child(pid_t child, void (*death)(void))
{
	int status = 0;

	if (child == 0) {
		death();
		_exit(97);
	}
	if (waitpid(child, &status, 0) != child)
		exit(96);
	printf("child %d\n", status);
	exit(7);
}

DEATH fork_child(void)
{
	in_child(fork(), null_write);
}

DEATH forked_thread(void)
{
	in_child(fork(), thread_overflow);
}

#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
DEATH vfork_child(void)
{
	int status = 0;
	pid_t child = vfork();

	if (child == 0) {
		null_write();
		_exit(97);
	}
	waitpid(child, &status, 0);
	printf("child %d\n", status);
	exit(7);
}

/* Hostile surroundings */

DEATH no_descriptors(void)
{
	while (dup(1) >= 0)
		;
	null_write();
}

DEATH no_dump(void)
{
	prctl(PR_SET_DUMPABLE, 0);
	null_write();
}

DEATH no_file_size(void)
{
	struct rlimit none = { 0, RLIM_INFINITY };

	setrlimit(RLIMIT_FSIZE, &none);
	null_write();
}

DEATH no_stack(void)
{
	__asm__ volatile("xor %esp, %esp\n\tmovl $1, 16(%rsp)");
}

DEATH query(void)
{
	struct sigaction old;
	int wrong = 0, flags = SA_NODEFER | (int)SA_RESETHAND;

	sigaction(SIGSEGV, NULL, &old);
	wrong += old.sa_handler != SIG_DFL || old.sa_flags != 0;
	handle(SIGSEGV, jump_out, flags);
	sigaction(SIGSEGV, NULL, &old);
	wrong += old.sa_handler != jump_out;
	wrong += (old.sa_flags & ~0x04000000 /* SA_RESTORER */) != flags;
	wrong += signal(SIGSEGV, SIG_IGN) != jump_out;
	wrong += signal(SIGSEGV, SIG_DFL) != SIG_IGN;
	wrong += signal(SIGSEGV, SIG_DFL) != SIG_DFL;
	errno = 0;
	wrong += sigaction(65, NULL, &old) != -1 || errno != EINVAL;
	errno = 0;
	wrong += sigaction(SIGKILL, &old, NULL) != -1 || errno != EINVAL;
	printf("wrong %d flags %x\n", wrong, (unsigned)old.sa_flags);
	exit(wrong);
}

DEATH no_memory(void)
{
	struct rlimit limit = { (rlim_t)512 << 20, (rlim_t)512 << 20 };

	setrlimit(RLIMIT_AS, &limit);
	for (size_t size = (size_t)64 << 20; size >= 16; size /= 2) {
		while ((memory = malloc(size)))
			*(volatile char *)memory = 1;
	}
	null_write();
}

/* A filter of the program's own: no new programs. */
DEATH no_exec(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
			 offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_execve, 1, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_execveat, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { sizeof(code) / sizeof(*code), code };

	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0)
		exit(94);
	null_write();
}

static void *block_all(void *unused)
{
	sigset_t all;

	(void)unused;
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, NULL);
	pthread_barrier_wait(&barrier);
	for (;;)
		pause();
	return NULL;
}

DEATH masked_threads(void)
{
	pthread_t thread;

	pthread_barrier_init(&barrier, NULL, 9);
	for (int i = 0; i < 8; i++)
		pthread_create(&thread, NULL, block_all, NULL);
	pthread_barrier_wait(&barrier);
	null_write();
}

static volatile int is_waiting;

/* Its parent waits as no signal and no tracer can end: state D. */
static void *wait_for_vfork(void *unused)
{
	(void)unused;
	if (vfork() == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		is_waiting = 1;
		for (;;)
			pause();
	}
	return NULL;
}

DEATH vfork_waits(void)
{
	pthread_t thread;

	pthread_create(&thread, NULL, wait_for_vfork, NULL);
	while (!is_waiting)
		sched_yield();
	null_write();
}

static int query_stack(void)
{
	static char own[65536];
	stack_t set = { .ss_sp = own, .ss_size = sizeof(own) }, old;
	stack_t none = { .ss_flags = SS_DISABLE };
	int wrong = 0;

	wrong += sigaltstack(NULL, &old) || old.ss_flags != SS_DISABLE ||
		 old.ss_sp || old.ss_size;
	wrong += sigaltstack(&set, &old) || old.ss_flags != SS_DISABLE;
	wrong += sigaltstack(NULL, &old) || old.ss_sp != own || old.ss_flags;
	wrong += sigaltstack(&none, &old) || old.ss_sp != own;
	wrong += sigaltstack(NULL, &old) || old.ss_flags != SS_DISABLE;
	set.ss_size = 1;
	errno = 0;
	wrong += sigaltstack(&set, NULL) != -1 || errno != ENOMEM;
	errno = 0;
	wrong += sigaltstack((stack_t *)low, NULL) != -1 || errno != EFAULT;
	return wrong;
}

static void *query_in_thread(void *wrong_out)
{
	*(int *)wrong_out = query_stack();
	return NULL;
}

DEATH query_altstack(void)
{
	pthread_t thread;
	int wrong = query_stack(), more = 0;

	pthread_create(&thread, NULL, query_in_thread, &more);
	pthread_join(thread, NULL);
	printf("wrong %d %d\n", wrong, more);
	exit(wrong + more);
}

/* Given up, the program's alternate stack is replaced by ours again. */
DEATH overflow_late(void)
{
	query_stack();
	overflow();
}

static char *first_argument;

/* As a program that shows what it does in ps: over all its arguments, the last
 * NUL included, which makes /proc read on into the environment. */
DEATH title(void)
{
	memset(first_argument, 'x', (size_t)(environ[0] - first_argument));
	null_write();
}

/* What else the tests may rely on. */
enum trait {
	PLAIN = 1,   /* one thread's own crash: its status, core and frames can
	              * be held against those without the shim */
	ADDRESS = 2, /* si_addr is the same in each run */
	SENT = 4,    /* the signal has to come from outside */
};

/* The one place where a death is described: what ends it (0: it exits by
 * itself) and how many reports the shim makes of it. `menu --list` prints it
 * for the tests. */
static const struct {
	const char *name;
	void (*death)(void);
	int signal, reports;
	unsigned traits; /* of enum trait */
} menu[] = {
	{ "abort", do_abort, SIGABRT, 1, PLAIN },
	{ "assert", do_assert, SIGABRT, 1, PLAIN },
	{ "breakpoint", breakpoint, SIGTRAP, 1, PLAIN },
	{ "divide", divide, SIGFPE, 1, PLAIN },
	{ "double-free", double_free, SIGABRT, 1, 0 },
	{ "fork-child", fork_child, 0, 1, 0 },
	{ "forked-thread", forked_thread, 0, 1, 0 },
	{ "halt", halt, SIGSEGV, 1, PLAIN },
	{ "handler-aborts", handler_aborts, SIGABRT, 1, 0 },
	{ "handler-pends", handler_pends, SIGSEGV, 1, 0 },
	{ "handler-raises", handler_raises, SIGSEGV, 1, 0 },
	{ "handler-returns", handler_returns, SIGSEGV, 1, 0 },
	{ "illegal", illegal, SIGILL, 1, PLAIN },
	{ "in-handler", in_handler, SIGSEGV, 1, PLAIN | ADDRESS },
	{ "kill-self", kill_self, SIGBUS, 1, PLAIN },
	{ "masked-threads", masked_threads, SIGSEGV, 1, 0 },
	{ "no-descriptors", no_descriptors, SIGSEGV, 1, 0 },
	{ "no-dump", no_dump, SIGSEGV, 1, 0 },
	{ "no-exec", no_exec, SIGSEGV, 1, 0 },
	{ "no-file-size", no_file_size, SIGSEGV, 1, 0 },
	{ "no-memory", no_memory, SIGSEGV, 1, 0 },
	{ "no-stack", no_stack, SIGSEGV, 1, 0 },
	{ "null-call", null_call, SIGSEGV, 1, PLAIN | ADDRESS },
	{ "null-read", null_read, SIGSEGV, 1, PLAIN | ADDRESS },
	{ "null-write", null_write, SIGSEGV, 1, PLAIN | ADDRESS },
	{ "one-shot", one_shot, SIGSEGV, 1, 0 },
	{ "overflow", overflow, SIGSEGV, 1, PLAIN },
	{ "overflow-late", overflow_late, SIGSEGV, 1, PLAIN },
	{ "overflow-wide", overflow_wide, SIGSEGV, 1, PLAIN },
	{ "past-end", past_end, SIGBUS, 1, PLAIN },
	{ "query", query, 0, 0, 0 },
	{ "query-altstack", query_altstack, 0, 0, 0 },
	{ "queue-self", queue_self, SIGSEGV, 1, PLAIN },
	{ "raise-segv", raise_segv, SIGSEGV, 1, PLAIN },
	{ "read-only", read_only, SIGSEGV, 1, PLAIN },
	{ "recover-jump", recover_jump, 0, 0, 0 },
	{ "recover-return", recover_return, 0, 0, 0 },
	{ "stale-fault", stale_fault, SIGABRT, 1, 0 },
	{ "stale-handler", stale_handler, SIGFPE, 1, 0 },
	{ "thrd-overflow", thrd_overflow, SIGSEGV, 1, PLAIN },
	{ "thread-null", thread_null, SIGSEGV, 1, PLAIN | ADDRESS },
	{ "thread-overflow", thread_overflow, SIGSEGV, 1, PLAIN },
	{ "title", title, SIGSEGV, 1, 0 },
	{ "together", together, SIGSEGV, 1, 0 },
	{ "vfork-child", vfork_child, 0, 0, 0 },
	{ "vfork-waits", vfork_waits, SIGSEGV, 1, 0 },
	{ "wait", wait_signal, SIGSEGV, 1, SENT },
	{ "wild-read", wild_read, SIGSEGV, 1, PLAIN },
};

static pthread_barrier_t started;

static void *sleep_on(void *unused)
{
	(void)unused;
	pthread_barrier_wait(&started);
	for (;;)
		pause();
	return NULL;
}

static void start_threads(unsigned n)
{
	pthread_t thread;

	pthread_barrier_init(&started, NULL, n + 1);
	for (unsigned i = 0; i < n; i++)
		pthread_create(&thread, NULL, sleep_on, NULL);
	pthread_barrier_wait(&started);
}

static void touch(size_t mib)
{
	char *at = mmap(NULL, mib << 20, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	if (at == MAP_FAILED)
		exit(95);
}

static void list(void)
{
	for (size_t i = 0; i < sizeof(menu) / sizeof(*menu); i++)
		printf("%s %d %d%s%s%s\n", menu[i].name, menu[i].signal,
		       menu[i].reports, menu[i].traits & PLAIN ? " plain" : "",
		       menu[i].traits & ADDRESS ? " address" : "",
		       menu[i].traits & SENT ? " sent" : "");
}

int main(int argc, char **argv)
{
	first_argument = argv[0];
	if (argc > 1 && strcmp(argv[1], "--list") == 0) {
		list();
		return 0;
	}
	if (argc > 2 && (int)atol(argv[2]) > 0)
		start_threads((unsigned)(int)atol(argv[2]));
	if (argc > 3 && (int)atol(argv[3]) > 0)
		touch((size_t)(int)atol(argv[3]));
	for (size_t i = 0; argc > 1 && i < sizeof(menu) / sizeof(*menu); i++) {
		if (strcmp(argv[1], menu[i].name) == 0)
			menu[i].death();
	}
	fprintf(stderr, "usage: menu NAME [THREADS [MIB]]; NAME is one of:\n");
	for (size_t i = 0; i < sizeof(menu) / sizeof(*menu); i++)
		fprintf(stderr, "  %s\n", menu[i].name);
	return 2;
}
