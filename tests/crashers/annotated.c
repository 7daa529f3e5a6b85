/* A program that says something about itself with epitaph.h, and then dies by
 * abort(): `annotated [NAME]`. Compiled by the tests in many ways, as C and as
 * C++, and as a library. */
#include <epitaph.h>

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef __cplusplus
extern "C"
#endif
void annotate(void);

void annotate(void)
{
	errno = 77;
	epitaph_set("request", "GET /cart");
	epitaph_set("user", "nobody");
	epitaph_set("request", "GET /pay");
	epitaph_set("gone", "x");
	epitaph_remove("gone");
	epitaph_remove("never there");
	epitaph_breadcrumb("opened");
	epitaph_breadcrumb("paid");
	if (errno != 77)
		exit(99);
}

#ifndef LIBRARY
#define TIMES 3000

/* More of everything than there is room for. */
static void overfill(void)
{
	char text[1000], key[100];
	int i;

	for (i = 0; i < 100; i++) {
		snprintf(key, sizeof(key), "key %d", i);
		epitaph_set(key, "first");
		snprintf(text, sizeof(text), "crumb %d", i);
		epitaph_breadcrumb(text);
	}
	epitaph_set("key 3", "second");
	memset(text, 'x', sizeof(text));
	memcpy(text + 438, "\xc3\xa4", 2);
	text[999] = 0;
	epitaph_set("key 5", text);
	memcpy(text + 246, "\xc3\xa4", 2);
	epitaph_breadcrumb(text);
}

static void *write_on(void *name)
{
	const char *letter = (const char *)name;
	char text[300], key[8];
	int i;

	for (i = 0; i < TIMES; i++) {
		memset(text, *letter, sizeof(text) - 1);
		text[100 + i % 100] = 0;
		snprintf(key, sizeof(key), "key %d", i % 5);
		epitaph_set(key, text);
		epitaph_breadcrumb(text);
		if (i % 7 == 0)
			epitaph_remove(key);
	}
	return NULL;
}

static void *write_for_ever(void *name)
{
	for (;;)
		write_on(name);
	return NULL;
}

/* In the midst of what other threads, and this one, are writing. */
static void on_alarm(int sig)
{
	static int times;

	(void)sig;
	write_on((void *)"s");
	if (++times == 20)
		abort();
}

static void overlap(void)
{
	static char letters[] = "abcd";
	pthread_t thread;
	int i;

	for (i = 0; i < 4; i++)
		pthread_create(&thread, NULL, write_for_ever, letters + i);
	signal(SIGUSR1, on_alarm);
	for (;;) {
		raise(SIGUSR1);
		write_on((void *)"m");
	}
}

int main(int argc, char **argv)
{
	const char *name = argc > 1 ? argv[1] : "annotate";

	if (strcmp(name, "overfill") == 0)
		overfill();
	else if (strcmp(name, "overlap") == 0)
		overlap();
	else if (strcmp(name, "exit") == 0)
		return annotate(), 7;
	else if (strcmp(name, "silent") == 0)
		return 7;
	else
		annotate();
	abort();
}
#endif
