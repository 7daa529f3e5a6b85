/* C of many shapes of frames: recursion, pointers to functions, calls through
 * stubs and resolvers, tail calls, alloca, arrays of variable length, realigned
 * stacks, longjmp, signals. Deterministic, and does nothing of use. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib.h"

#define NOINLINE __attribute__((noinline))

static volatile unsigned sink;

NOINLINE static unsigned fibonacci(unsigned n)
{
	return n < 2 ? n : fibonacci(n - 1) + fibonacci(n - 2);
}

NOINLINE static int is_odd(unsigned n);

NOINLINE static int is_even(unsigned n)
{
	return n == 0 ? 1 : is_odd(n - 1);
}

NOINLINE static int is_odd(unsigned n)
{
	return n == 0 ? 0 : is_even(n - 1);
}

NOINLINE static unsigned deep(unsigned n, const char *text)
{
	char buffer[64];

	snprintf(buffer, sizeof(buffer), "%u %s", n, text);
	return n == 0 ? (unsigned)strlen(buffer) :
			deep(n - 1, buffer) + (unsigned)buffer[0];
}

static int by_value(const void *a, const void *b)
{
	const int *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

NOINLINE static unsigned sorted(void)
{
	int values[12];

	for (int i = 0; i < 12; i++)
		values[i] = i * 7 % 12;
	qsort(values, 12, sizeof(values[0]), by_value);
	return (unsigned)values[3];
}

NOINLINE static unsigned on_stack(unsigned n)
{
	char *block = __builtin_alloca(n);
	char array[n + 1];

	memset(block, 1, n);
	memset(array, 2, n + 1);
	if (n > 64)
		return on_stack(n / 2) + (unsigned)block[n / 3];
	return (unsigned)(block[0] + array[n]);
}

NOINLINE static unsigned aligned(unsigned n)
{
	_Alignas(64) unsigned char wide[128];

	memset(wide, (int)n, sizeof(wide));
	sink += (unsigned)((uintptr_t)wide & 63);
	return n == 0 ? wide[5] : aligned(n - 1) + wide[n];
}

/* Realigned, of variable size, and with arguments on the stack. */
NOINLINE static unsigned crowded(unsigned a, unsigned b, unsigned c, unsigned d,
				 unsigned e, unsigned f, unsigned g, unsigned h)
{
	_Alignas(32) unsigned wide[16];
	unsigned *block = __builtin_alloca(16 + a);

	for (unsigned i = 0; i < 16; i++)
		wide[i] = a + b * i;
	block[0] = c + d;
	return wide[e & 15] + block[0] + f + g + h +
	       (a ? crowded(a - 1, b, c, d, e, f, g, h) : 0);
}

struct big {
	unsigned char bytes[9000];
};

NOINLINE static struct big make_big(unsigned n)
{
	struct big big;

	memset(&big, (int)n, sizeof(big));
	return big;
}

NOINLINE static unsigned use_big(void)
{
	return make_big(3).bytes[8999];
}

NOINLINE static double average(int n, ...)
{
	double sum = 0;
	va_list list;

	va_start(list, n);
	for (int i = 0; i < n; i++)
		sum += va_arg(list, double);
	va_end(list);
	return sum / n;
}

static unsigned add(unsigned a)
{
	return a + 1;
}

static unsigned twice(unsigned a)
{
	return a * 2;
}

static unsigned jump_on(unsigned a);

static unsigned (*const operations[])(unsigned) = { add, twice, jump_on };

/* A jump through a table, to a function or to a library. */
static unsigned jump_on(unsigned a)
{
	switch (a % 5) {
	case 0:
		return operations[a & 1](a);
	case 1:
		return lib_tail(a);
	case 2:
		return fibonacci(4);
	case 3:
		return lib_call(add, a);
	default:
		return a;
	}
}

static jmp_buf home;

NOINLINE static void leave(unsigned n)
{
	char buffer[32];

	memset(buffer, 0, sizeof(buffer));
	if (n == 0)
		longjmp(home, 1);
	leave(n - 1);
	sink += (unsigned)buffer[7];
}

NOINLINE static unsigned jump_home(void)
{
	volatile unsigned times = 0;

	if (setjmp(home) == 0)
		leave(5);
	else
		times++;
	return times;
}

static void count(int sig)
{
	sink += (unsigned)sig + fibonacci(3);
}

static void count_more(int sig, siginfo_t *info, void *context)
{
	(void)context;
	sink += (unsigned)info->si_signo;
	if (sig == SIGUSR2)
		raise(SIGUSR1);
}

static sigjmp_buf out;

static void escape(int sig)
{
	siglongjmp(out, sig);
}

NOINLINE static void handle(int sig, int flags, void (*handler)(int))
{
	struct sigaction action = { .sa_flags = flags };

	action.sa_handler = handler;
	sigaction(sig, &action, NULL);
}

NOINLINE static void signals(void)
{
	static char stack[65536];
	stack_t alternate = { .ss_sp = stack, .ss_size = sizeof(stack) };
	struct sigaction action = { .sa_flags = SA_SIGINFO | SA_ONSTACK };

	sigaltstack(&alternate, NULL);
	handle(SIGUSR1, 0, count);
	raise(SIGUSR1);
	action.sa_sigaction = count_more;
	sigaction(SIGUSR2, &action, NULL);
	raise(SIGUSR2);
	handle(SIGUSR1, SA_ONSTACK, count);
	raise(SIGUSR2);
	handle(SIGSEGV, SA_ONSTACK, escape);
	if (sigsetjmp(out, 1) == 0)
		*(volatile int *)8 = 1;
	handle(SIGFPE, 0, escape);
	if (sigsetjmp(out, 1) == 0)
		sink /= sink - sink;
}

#ifndef NO_RESOLVERS
static unsigned resolved_one(unsigned a)
{
	return a + 5;
}

static unsigned (*resolve_one(void))(unsigned)
{
	return resolved_one;
}

unsigned chosen(unsigned a) __attribute__((ifunc("resolve_one")));
#else
#define chosen lib_tail
#endif

NOINLINE static void text(void)
{
	char *copy = strdup("some text to look through");
	char buffer[64];

	sink += (unsigned)strtoul("123", NULL, 10);
	sink += (unsigned)(strchr(copy, 'x') - copy);
	sink += (unsigned)snprintf(buffer, sizeof(buffer), "%.3f %s %d", 1.5,
				   copy, 7);
	memmove(buffer + 1, buffer, 40);
	free(copy);
}

int main(void)
{
	sink += fibonacci(7) + (unsigned)is_even(9) + deep(5, "deep");
	sink += sorted() + on_stack(300) + aligned(3);
	sink += crowded(3, 1, 2, 3, 4, 5, 6, 7) + use_big();
	sink += (unsigned)average(4, 1.0, 2.0, 3.0, 4.0);
	for (unsigned i = 0; i < 6; i++)
		sink += operations[i % 3](i) + chosen(i);
	sink += jump_home() + lib_call(twice, 4) + lib_chosen(3);
	signals();
	text();
	puts("done");
	return 0;
}
