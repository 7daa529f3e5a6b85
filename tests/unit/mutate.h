/* Every small mutation of one valid input: all truncations, all single bit
 * flips, every byte and every four bytes set to values that break things. No
 * corpus and no chance: the same thousands of inputs each time. The idea is
 * OpenSSH's (regress/unittests/test_helper/fuzz.c). */
#ifndef EPITAPH_TESTS_UNIT_MUTATE_H
#define EPITAPH_TESTS_UNIT_MUTATE_H

#include <sanitizer/common_interface_defs.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "test.h"

enum { MUTATE_DEADLINE_S = 10 }; /* of one mutation: more is a hang */

/* Try one input: it must not crash, leak or hang. LEN bytes, in memory of
 * exactly that size, so that reading on is noticed. */
typedef void mutate_try(const uint8_t *bytes, size_t len);

/* What is being tried, for the message when it is the last thing. */
static struct {
	const char *kind;
	size_t offset;
	unsigned value;
} mutate_now;

static inline void mutate_say(void)
{
	if (mutate_now.kind != NULL)
		fprintf(stderr, "mutation: %s at offset %zu, value %#x\n",
			mutate_now.kind, mutate_now.offset, mutate_now.value);
}

static inline void mutate_hang(int signal)
{
	(void)signal;
	mutate_say();
	fprintf(stderr, "it did not end in %d s\n", MUTATE_DEADLINE_S);
	_exit(1);
}

static inline void mutate_one(const char *kind, size_t offset, unsigned value,
			      const uint8_t *bytes, size_t len,
			      mutate_try *try)
{
	bool held = test_holds;

	mutate_now.kind = kind;
	mutate_now.offset = offset;
	mutate_now.value = value;
	alarm(MUTATE_DEADLINE_S);
	try(bytes, len);
	if (held && !test_holds)
		mutate_say();
}

static inline void mutate_truncations(const uint8_t *valid, size_t len,
				      mutate_try *try)
{
	for (size_t n = 0; n < len; n++) {
		uint8_t *cut = malloc(n > 0 ? n : 1);

		memcpy(cut, valid, n);
		mutate_one("truncation", n, 0, cut, n, try);
		free(cut);
	}
}

static inline void mutate_bits(const uint8_t *valid, size_t len,
			       mutate_try *try)
{
	uint8_t *bytes = malloc(len);

	memcpy(bytes, valid, len);
	for (size_t i = 0; i < 8 * len; i++) {
		bytes[i / 8] ^= (uint8_t)(1u << i % 8);
		mutate_one("bit flip", i / 8, 1u << i % 8, bytes, len, try);
		bytes[i / 8] ^= (uint8_t)(1u << i % 8);
	}
	free(bytes);
}

/* WIDTH bytes at every offset set to VALUE, little-endian. */
static inline void mutate_value(const uint8_t *valid, size_t len, size_t width,
				unsigned value, mutate_try *try)
{
	uint8_t *bytes = malloc(len);

	memcpy(bytes, valid, len);
	for (size_t at = 0; at + width <= len; at++) {
		for (size_t i = 0; i < width; i++)
			bytes[at + i] = (uint8_t)(value >> 8 * i);
		mutate_one(width == 1 ? "byte" : "four bytes", at, value,
			   bytes, len, try);
		memcpy(bytes + at, valid + at, width);
	}
	free(bytes);
}

static inline void mutate_all(const uint8_t *valid, size_t len,
			      mutate_try *try)
{
	__sanitizer_set_death_callback(mutate_say);
	signal(SIGALRM, mutate_hang);
	mutate_truncations(valid, len, try);
	mutate_bits(valid, len, try);
	mutate_value(valid, len, 1, 0, try);
	mutate_value(valid, len, 1, 0xff, try);
	mutate_value(valid, len, 4, 0, try);
	mutate_value(valid, len, 4, 0x7fffffff, try);
	mutate_value(valid, len, 4, 0xffffffff, try);
	mutate_value(valid, len, 4, (unsigned)len, try);
	alarm(0);
	mutate_now.kind = NULL;
}

#endif
