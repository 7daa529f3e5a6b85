/* Calls what is in asm.S from every depth. */
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "asm.h"

static volatile unsigned long sink;

static callback_t *const leaves[] = { asm_leaf, asm_leaf_pushes };

__attribute__((noinline)) static unsigned long some(unsigned long n)
{
	char buffer[64];

	snprintf(buffer, sizeof(buffer), "%lu", n);
	return strlen(buffer) + leaves[n & 1](n);
}

__attribute__((noinline)) static unsigned long more(unsigned long n)
{
	if (n & 4)
		return asm_frame(some, n - 4);
	return asm_plain(asm_leaf_pushes, n) + asm_pushes(some, n);
}

static sigjmp_buf out;

static void escape(int sig)
{
	siglongjmp(out, sig);
}

__attribute__((noinline)) static void go_nowhere(void (*function)(void))
{
	signal(SIGSEGV, escape);
	if (sigsetjmp(out, 1) == 0)
		function();
	sink++;
}

int main(void)
{
	static unsigned long (*const functions[])(callback_t *,
						  unsigned long) = {
		asm_plain, asm_frame, asm_pushes, asm_realigned,
		asm_other_base, asm_tail, asm_middle_return,
	};

	for (unsigned long n = 0; n < 8; n++)
		for (int i = 0; i < 7; i++)
			sink += functions[i](n & 2 ? more : some, n);
	go_nowhere(asm_bad_call);
	go_nowhere(asm_bad_jump);
	puts("done");
	return 0;
}
