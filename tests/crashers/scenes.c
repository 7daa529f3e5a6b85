/* Deaths in awkward places, for tests/e2e/test_scenarios.py: `scenes NAME
 * [ARGUMENT]`. What is needed for them is in this one file: built with -DSCENE
 * it is a library whose constructor crashes. */
#ifdef SCENE

static volatile unsigned long low = 16;

__attribute__((constructor)) static void crash_in_constructor(void)
{
	*(volatile int *)low = 1;
}

#else

#include <dlfcn.h>
#include <link.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define SCENE_OF __attribute__((noinline, noclone)) static void

static const char *argument;
static volatile uintptr_t low = 16;
static volatile int zero, one = 1;
static void *volatile memory;

static void null_write(void)
{
	*(volatile int *)low = 1;
}

/* In malloc, with the lock of its arena held: a free chunk's link leads
 * nowhere. */
SCENE_OF in_malloc(void)
{
	volatile uintptr_t *chunk = malloc(4000);

	memory = malloc(4000); /* keeps it from the top of the heap */
	free((void *)(uintptr_t)chunk);
#pragma GCC diagnostic ignored "-Wuse-after-free"
	chunk[1] = 0x4141414141414140; /* bk */
	memory = malloc(5000);
}

/* glibc sees that itself, and aborts with the lock held. */
SCENE_OF corrupt_top(void)
{
	volatile uintptr_t *chunk = memory = malloc(24);

	chunk[2 + one] = 7; /* the size of the top */
	memory = malloc(200000);
	memory = malloc(100000);
}

/* The loader's lock is held in both. */
SCENE_OF in_constructor(void)
{
	dlopen(argument, RTLD_NOW);
}

static int crash_in_walk(struct dl_phdr_info *info, size_t size, void *data)
{
	(void)info;
	(void)size;
	(void)data;
	null_write();
	return 0;
}

SCENE_OF in_walk(void)
{
	dl_iterate_phdr(crash_in_walk, NULL);
}

SCENE_OF in_stdio(void)
{
	flockfile(stdout);
	null_write();
}

SCENE_OF fortified(void)
{
	static char to[8];

	__builtin___memcpy_chk(to, "far too long for it",
			       (size_t)(16 + zero), sizeof(to));
}

__attribute__((noinline, optimize("stack-protector-all"))) static void
smash(volatile char *from, int n)
{
	volatile char frame[16];

	for (int i = 0; i < n; i++)
		frame[i] = from[i % 4];
	zero = frame[0] - from[0];
}

SCENE_OF smashed(void)
{
	smash((volatile char *)(uintptr_t) "AAAA", 16 + 48 * one);
}

#pragma GCC diagnostic ignored "-Winfinite-recursion"
#pragma GCC diagnostic ignored "-Wframe-larger-than="
__attribute__((noinline, noclone)) static void deep(volatile char *above)
{
	volatile char frame[4 << 20];

	frame[0] = *above;
	deep(frame);
	frame[1] = frame[0];
}

/* Frames that are half of the whole stack. */
SCENE_OF huge_frames(void)
{
	volatile char top = 1;

	deep(&top);
}

static pthread_barrier_t barrier;

static void *sleep_on(void *unused)
{
	(void)unused;
	for (;;)
		pause();
	return NULL;
}

static void *die_of(void *signal)
{
	pthread_barrier_wait(&barrier);
	if (*(int *)signal == SIGFPE)
		one /= zero;
	else if (*(int *)signal == SIGILL)
		__asm__ volatile("ud2");
	else if (*(int *)signal == SIGABRT)
		abort();
	null_write();
	return NULL;
}

/* NUMBER threads crash at once, of several signals, beside 100 that sleep. */
static void crash_at_once(unsigned number)
{
	static int signals[] = { SIGSEGV, SIGFPE, SIGILL, SIGABRT };
	pthread_t thread;

	for (int i = 0; i < 100; i++)
		pthread_create(&thread, NULL, sleep_on, NULL);
	pthread_barrier_init(&barrier, NULL, number);
	for (unsigned i = 1; i < number; i++)
		pthread_create(&thread, NULL, die_of, &signals[i % 4]);
	die_of(&signals[0]);
}

SCENE_OF two_at_once(void)
{
	crash_at_once(2);
}

SCENE_OF many_at_once(void)
{
	crash_at_once(32);
}

/* 64 GiB, of which every 512th page was touched. */
SCENE_OF sparse(void)
{
	size_t len = (size_t)64 << 30;
	char *at = mmap(NULL, len, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (at == MAP_FAILED)
		exit(95);
	madvise(at, len, MADV_NOHUGEPAGE);
	for (size_t i = 0; i < len; i += 2 << 20)
		at[i] = 1;
	null_write();
}

/* A grandchild, whose parent is gone. */
SCENE_OF grandchild(void)
{
	int ends[2];
	char byte;

	if (pipe(ends))
		exit(95);
	if (fork() == 0) {
		if (fork() == 0) {
			close(ends[1]);
			while (read(ends[0], &byte, 1) > 0)
				; /* until the parent is gone */
			null_write();
		}
		_exit(0);
	}
	wait(NULL);
	puts("its parent is gone");
	exit(7);
}


#define CHANCE " (by chance: of several signals)"

static const struct {
	const char *name;
	void (*run)(void);
	const char *note; /* NULL: it ends in the same way each time */
} scenes[] = {
	{ "corrupt-top", corrupt_top, NULL },
	{ "fortified", fortified, NULL },
	{ "grandchild", grandchild, NULL },
	{ "huge-frames", huge_frames, NULL },
	{ "in-constructor", in_constructor, NULL },
	{ "in-malloc", in_malloc, NULL },
	{ "in-stdio", in_stdio, NULL },
	{ "in-walk", in_walk, NULL },
	{ "many-at-once", many_at_once, CHANCE },
	{ "smashed", smashed, NULL },
	{ "sparse", sparse, NULL },
	{ "two-at-once", two_at_once, CHANCE },
};

int main(int argc, char **argv)
{
	argument = argc > 2 ? argv[2] : NULL;
	for (size_t i = 0; argc > 1 && i < sizeof(scenes) / sizeof(*scenes);
	     i++) {
		if (strcmp(argv[1], scenes[i].name) == 0)
			scenes[i].run();
	}
	fprintf(stderr, "usage: scenes NAME [ARGUMENT]; NAME is one of:\n");
	for (size_t i = 0; i < sizeof(scenes) / sizeof(*scenes); i++)
		fprintf(stderr, "  %s%s\n", scenes[i].name,
			scenes[i].note ? scenes[i].note : "");
	return 2;
}

#endif
