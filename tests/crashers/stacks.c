/* Stacks of known shape to look at from outside: `stacks NAME [N]` builds one,
 * says "ready" and waits. Frames are never inlined and never tail calls. Each
 * NAME that ends in -die crashes at the bottom instead. */
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#define FRAME __attribute__((noinline, noclone)) static

static volatile int depth_left, sink;
static void (*volatile bottom)(void);
static void (*volatile nowhere)(void);
static uint8_t *volatile code;

/* Keeps a call from being the last thing that a function does. */
#define AFTERWARDS() (sink++)

FRAME void wait_here(void)
{
	puts("ready");
	fflush(stdout);
	for (;;)
		pause();
}

FRAME void recurse(void)
{
	if (depth_left-- > 0)
		recurse();
	else
		bottom();
	AFTERWARDS();
}

FRAME void call_nowhere(void)
{
	nowhere();
	AFTERWARDS();
}

FRAME void on_signal(int signal)
{
	(void)signal;
	recurse();
	AFTERWARDS();
}

/* A second signal inside the first one's handler. */
FRAME void on_outer_signal(int signal)
{
	(void)signal;
	raise(SIGUSR2);
	AFTERWARDS();
}

FRAME void handle(int signal, void (*handler)(int))
{
	static char stack[65536];
	stack_t alternate = { .ss_sp = stack, .ss_size = sizeof(stack) };
	struct sigaction action = { .sa_handler = handler,
				    .sa_flags = SA_ONSTACK };

	sigaltstack(&alternate, NULL);
	sigaction(signal, &action, NULL);
}

FRAME void deep(void)
{
	recurse();
	AFTERWARDS();
}

FRAME void in_handler(void)
{
	handle(SIGUSR1, on_signal);
	raise(SIGUSR1);
	AFTERWARDS();
}

FRAME void nested_handlers(void)
{
	handle(SIGUSR1, on_outer_signal);
	handle(SIGUSR2, on_signal);
	raise(SIGUSR1);
	AFTERWARDS();
}

/* A call through a null pointer, seen from the handler of the fault. */
FRAME void null_call(void)
{
	handle(SIGSEGV, on_signal);
	call_nowhere();
	AFTERWARDS();
}

/* Where no unwind table knows of it. */
FRAME void make_code(const uint8_t *bytes, size_t len)
{
	code = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	memcpy(code, bytes, len);
	mprotect(code, 4096, PROT_READ | PROT_EXEC);
}

FRAME void through_jit(void)
{
	void (*enter)(void (*)(void));

	memcpy(&enter, (uint8_t *const *)&code, sizeof(enter));
	enter(recurse);
	AFTERWARDS();
}

/* push %rbp; mov %rsp,%rbp; call *%rdi; pop %rbp; ret */
static const uint8_t calls[] = {
	0x55, 0x48, 0x89, 0xe5, 0xff, 0xd7, 0x5d, 0xc3,
};

/* push %rbp; mov %rsp,%rbp; ud2 */
static const uint8_t faults[] = { 0x55, 0x48, 0x89, 0xe5, 0x0f, 0x0b };

FRAME void jit(void)
{
	make_code(calls, sizeof(calls));
	through_jit();
	AFTERWARDS();
}

/* As JIT compilers do for perf: the name of what was there before stays. */
FRAME void name_code(size_t len)
{
	unsigned long at = (unsigned long)(uintptr_t)code;
	char path[64];
	FILE *file;

	snprintf(path, sizeof(path), "/tmp/perf-%d.map", (int)getpid());
	file = fopen(path, "w");
	if (!file)
		exit(3);
	fprintf(file, "%lx 1000 what was there before\nnot a line\n"
		"%lx %zx compiled::f(int, char)\n"
		"%lx 1000 elsewhere\n", at, at, len, at + 4096);
	fclose(file);
}

FRAME void jit_named(void)
{
	make_code(calls, sizeof(calls));
	name_code(sizeof(calls));
	through_jit();
	AFTERWARDS();
}

FRAME void jit_fault(void)
{
	make_code(faults, sizeof(faults));
	name_code(sizeof(faults));
	through_jit();
	AFTERWARDS();
}

/* In the program's own text, no table either, and no frame pointer: what has
 * pushed nothing leaves the return address on top. */
__asm__(".text\n"
	".type bare_leaf, @function\n"
	"bare_leaf:\n"
	"	movl $0, %eax\n"
	"	ud2\n"
	"	ret\n"
	".size bare_leaf, . - bare_leaf\n");
void bare_leaf(void);

FRAME void no_table(void)
{
	handle(SIGILL, on_signal);
	bare_leaf();
	AFTERWARDS();
}

/* Another stack for the rest of the walk, and many registers saved on it. */
static void *run_thread(void *unused)
{
	(void)unused;
	recurse();
	AFTERWARDS();
	return NULL;
}

FRAME void in_thread(void)
{
	pthread_t thread;

	pthread_create(&thread, NULL, run_thread, NULL);
	pthread_join(thread, NULL);
	AFTERWARDS();
}

/* The main thread sleeps where no signal reaches it (state D), as a parent
 * does until its vfork child is gone; another thread waits as usual. */
FRAME void unreachable(void)
{
	pthread_t thread;

	pthread_create(&thread, NULL, run_thread, NULL);
	if (vfork() == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;)
			pause();
	}
	AFTERWARDS();
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*run)(void);
		void (*bottom)(void);
	} table[] = {
		{ "deep", deep, wait_here },
		{ "deep-die", deep, abort },
		{ "handler", in_handler, wait_here },
		{ "handler-die", in_handler, call_nowhere },
		{ "jit", jit, wait_here },
		{ "jit-fault", jit_fault, NULL },
		{ "jit-named", jit_named, wait_here },
		{ "jit-named-die", jit_named, call_nowhere },
		{ "nested", nested_handlers, wait_here },
		{ "no-table", no_table, wait_here },
		{ "null-call", null_call, wait_here },
		{ "null-call-die", call_nowhere, NULL },
		{ "thread", in_thread, wait_here },
		{ "unreachable", unreachable, wait_here },
	};

	depth_left = argc > 2 ? (int)strtol(argv[2], NULL, 10) : 3;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		if (argc < 2 || strcmp(argv[1], table[i].name) != 0)
			continue;
		bottom = table[i].bottom;
		table[i].run();
		return 0;
	}
	fprintf(stderr, "stacks: no such name\n");
	return 2;
}
