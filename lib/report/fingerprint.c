/* The exact fingerprint: a pure function of build-ids and offsets. Runs in the
 * helper at crash time, and again wherever a report without one arrives. The
 * semantic one is in semantic.c. */
#include "fingerprint.h"

#include <stdio.h>
#include <string.h>
#include <sys/types.h>
#include <sha256.h>

enum {
	VERSION = 1,    /* raise it when anything below changes */
	MAX_PERIOD = 8, /* functions in a cycle of recursion */
	KEY_SIZE = 1 + MAX_BUILD_ID + 8,
};

/* What a key starts with. */
enum {
	KEY_NOWHERE,  /* a pc in no module: its address says nothing */
	KEY_BUILD_ID,
	KEY_NAME,     /* a module without a build-id, by its file's name */
	KEY_PROGRAM,
};

/* A frame as it is hashed: equal for the same instruction of the same file. */
struct key {
	uint8_t bytes[KEY_SIZE];
	uint8_t len;
};

static void key_append(struct key *key, const void *bytes, size_t len)
{
	memcpy(key->bytes + key->len, bytes, len);
	key->len = (uint8_t)(key->len + len);
}

static void key_module(struct key *key, uint8_t kind, const struct module *m)
{
	const char *path = m->path != NULL ? m->path : "";
	const char *slash = strrchr(path, '/');
	const char *name = slash != NULL ? slash + 1 : path;

	if (m->build_id.len == 0 && kind == KEY_BUILD_ID)
		kind = KEY_NAME;
	key_append(key, &kind, 1);
	if (m->build_id.len > 0)
		key_append(key, m->build_id.bytes, m->build_id.len);
	else
		key_append(key, name, strnlen(name, MAX_BUILD_ID));
}

static void key_frame(const struct report *report, const struct frame *f,
		      struct key *key)
{
	uint8_t kind = KEY_NOWHERE, bytes[8];
	const struct module *m;
	uint64_t offset;

	memset(key, 0, sizeof(*key));
	m = report_module(report, report_frame_module(report, f, &offset));
	if (m == NULL) {
		key_append(key, &kind, 1);
		return;
	}
	key_module(key, KEY_BUILD_ID, m);
	for (size_t i = 0; i < 8; i++)
		bytes[i] = (uint8_t)(offset >> (8 * i));
	key_append(key, bytes, 8);
}

static bool key_equal(const struct key *a, const struct key *b)
{
	return a->len == b->len && memcmp(a->bytes, b->bytes, a->len) == 0;
}

/* How many frames there are to trust: what a scan found hangs on stale words
 * of the stack, which differ from crash to crash. Frame 0 always counts. */
static size_t trusted(const struct thread *t)
{
	size_t n = 0;

	while (n < t->nframes && n < MAX_FRAMES) {
		enum trust trust = t->frames[n].trust;

		if (n > 0 && (trust == TRUST_SCAN || trust == TRUST_CFI_SCAN))
			break;
		n++;
	}
	return n;
}

/* The shortest period with which KEYS (N of them) begin by repeating, or 0. */
static size_t period_of(const struct key *keys, size_t n)
{
	for (size_t period = 1; period <= MAX_PERIOD; period++) {
		size_t i = 0;

		if (n < 2 * period)
			return 0;
		while (i < period && key_equal(&keys[i], &keys[period + i]))
			i++;
		if (i == period)
			return period;
	}
	return 0;
}

static bool is_among(const struct key *key, const struct key *keys, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (key_equal(key, &keys[i]))
			return true;
	}
	return false;
}

/* Indexes of the frames that count, with each run of recursion as one turn of
 * its cycle. A run ends where a frame is no part of the cycle: so neither the
 * depth matters, nor where the middle of a deep stack was left out. */
static size_t fold(const struct key *keys, size_t n,
		   size_t used[FINGERPRINT_FRAMES])
{
	size_t count = 0, i = 0;

	while (i < n && count < FINGERPRINT_FRAMES) {
		size_t period = period_of(keys + i, n - i);
		size_t turn = i, length = period > 0 ? period : 1;

		for (; i < turn + length && count < FINGERPRINT_FRAMES; i++)
			used[count++] = i;
		i = turn + length;
		while (period > 0 && i < n &&
		       is_among(&keys[i], keys + turn, period))
			i++;
	}
	return count;
}

/* The program, for a crash that no frame tells from another program's. */
static void key_program(const struct report *report, struct key *key)
{
	const struct module *program = NULL;
	uint8_t kind = KEY_PROGRAM;

	memset(key, 0, sizeof(*key));
	for (size_t i = 0; i < report->nmodules && report->exe != NULL; i++) {
		const char *path = report->modules[i].path;

		if (path != NULL && strcmp(path, report->exe) == 0)
			program = &report->modules[i];
	}
	if (program == NULL && report->nmodules > 0)
		program = &report->modules[0];
	if (program != NULL)
		key_module(key, KEY_PROGRAM, program);
	else
		key_append(key, &kind, 1);
}

static void hash_key(SHA2_CTX *sha, const struct key *key)
{
	SHA256Update(sha, &key->len, 1);
	SHA256Update(sha, key->bytes, key->len);
}

/* Returns whether any of the frames is in a module. */
static bool hash_frames(SHA2_CTX *sha, const struct report *report,
			const struct thread *t)
{
	struct key keys[MAX_FRAMES];
	size_t used[FINGERPRINT_FRAMES], count, n = trusted(t);
	bool somewhere = false;

	for (size_t i = 0; i < n; i++)
		key_frame(report, &t->frames[i], &keys[i]);
	count = fold(keys, n, used);
	for (size_t i = 0; i < count; i++) {
		somewhere |= keys[used[i]].bytes[0] != KEY_NOWHERE;
		hash_key(sha, &keys[used[i]]);
	}
	return somewhere;
}

void fingerprint_exact(const struct report *report,
		       char hex_out[FINGERPRINT_HEX])
{
	const struct thread *t = report_crashed_thread(report);
	uint8_t head[2] = { VERSION, (uint8_t)report->signal };
	uint8_t digest[SHA256_DIGEST_LENGTH];
	struct key program;
	SHA2_CTX sha;

	SHA256Init(&sha);
	SHA256Update(&sha, head, sizeof(head));
	if (t == NULL || !hash_frames(&sha, report, t)) {
		key_program(report, &program);
		hash_key(&sha, &program);
	}
	SHA256Final(digest, &sha);
	for (size_t i = 0; i < (FINGERPRINT_HEX - 1) / 2; i++)
		snprintf(hex_out + 2 * i, 3, "%02x", digest[i]);
}
