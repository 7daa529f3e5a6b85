/* Words of the program's own in the reports of its crashes:
 *
 *     #include <epitaph.h>
 *
 *     epitaph_set("request", "GET /cart");
 *     epitaph_breadcrumb("payment accepted");
 *     epitaph_remove("request");
 *
 * This header is all there is to it: nothing to link, for C and for C++. In a
 * process that does not run under libepitaph.so the functions do nothing. They
 * may be called from any thread at any time, signal handlers included: they
 * take no lock, never wait, allocate nothing, make no system call and leave
 * errno alone. A crash in the midst of one leaves what was there before.
 *
 * A process has room for EPITAPH_NOTES keys, one more is left out; of the
 * breadcrumbs the last EPITAPH_CRUMBS are kept; texts that are too long are
 * cut. What is set here is in every report, also with EPITAPH_SANITIZE=1, so
 * think before you put in a secret. */
#ifndef EPITAPH_H
#define EPITAPH_H

#include <errno.h>
#include <signal.h>
#include <stdint.h>

#define EPITAPH_NOTES 64
#define EPITAPH_CRUMBS 64
/* Bytes, the final NUL included. */
#define EPITAPH_KEY_SIZE 64
#define EPITAPH_VALUE_SIZE 440
#define EPITAPH_CRUMB_SIZE 248

/* What follows is between this header and the shim. */

#define EPITAPH_VERSION 1
/* Asked for as a handler of signal 0, which no libc knows, nor calls the
 * kernel for; the shim answers with the address of its board. */
#define EPITAPH_ASK ((void (*)(int))(uintptr_t)0x4550495441504821ul)

/* STAMP is 0 in a place that is free and EPITAPH_BUSY while one is written;
 * otherwise a number that is higher the later it was written. Where two places
 * have the same key, the later one counts. */
#define EPITAPH_FREE 0
#define EPITAPH_BUSY 1

struct epitaph_note {
	uint64_t stamp;
	char key[EPITAPH_KEY_SIZE];
	char value[EPITAPH_VALUE_SIZE];
};

struct epitaph_crumb {
	uint64_t stamp;
	char text[EPITAPH_CRUMB_SIZE];
};

struct epitaph_board {
	uint32_t version;
	uint32_t size;
	uint64_t notes_written, crumbs_written;
	struct epitaph_note notes[EPITAPH_NOTES];
	struct epitaph_crumb crumbs[EPITAPH_CRUMBS];
};

/* The shim's board, or NULL without a shim. */
static __inline__ struct epitaph_board *epitaph_find(void)
{
	static struct epitaph_board *found;
	static int asked;
	int saved = errno;
	void (*answer)(int);
	struct epitaph_board *board;

	if (__atomic_load_n(&asked, __ATOMIC_ACQUIRE))
		return __atomic_load_n(&found, __ATOMIC_RELAXED);
	answer = signal(0, EPITAPH_ASK);
	errno = saved;
	board = (struct epitaph_board *)(uintptr_t)answer;
	if (answer == SIG_ERR || answer == EPITAPH_ASK ||
	    (board && board->version != EPITAPH_VERSION))
		board = 0;
	__atomic_store_n(&found, board, __ATOMIC_RELAXED);
	__atomic_store_n(&asked, 1, __ATOMIC_RELEASE);
	return board;
}

/* Byte by byte and atomically, since another thread may be reading. A text
 * that is cut is cut between characters of UTF-8. */
static __inline__ void epitaph_copy(char *to, const char *from, unsigned size)
{
	unsigned i, len = 0;

	while (len < size - 1 && from[len])
		len++;
	while (from[len] && len && (from[len] & 0xc0) == 0x80)
		len--;
	for (i = 0; i < len; i++)
		__atomic_store_n(&to[i], from[i], __ATOMIC_RELAXED);
	__atomic_store_n(&to[len], 0, __ATOMIC_RELAXED);
}

/* Whether STORED is what epitaph_copy() makes of KEY. */
static __inline__ int epitaph_is_key(const char *stored, const char *key)
{
	char cut[EPITAPH_KEY_SIZE];
	unsigned i = 0;

	epitaph_copy(cut, key, sizeof(cut));
	while (cut[i] &&
	       __atomic_load_n(&stored[i], __ATOMIC_RELAXED) == cut[i])
		i++;
	return __atomic_load_n(&stored[i], __ATOMIC_RELAXED) == cut[i];
}

/* Change the stamp of NOTE from STAMP to TO; 0 if somebody was faster. */
static __inline__ int epitaph_restamp(uint64_t *at, uint64_t stamp,
				      uint64_t to)
{
	return __atomic_compare_exchange_n(at, &stamp, to, 0, __ATOMIC_ACQ_REL,
					   __ATOMIC_RELAXED);
}

/* Free the places of KEY that were written before STAMP. */
static __inline__ void epitaph_clear(struct epitaph_board *board,
				     const char *key, uint64_t before)
{
	struct epitaph_note *note = board->notes;
	uint64_t stamp;

	for (; note < board->notes + EPITAPH_NOTES; note++) {
		stamp = __atomic_load_n(&note->stamp, __ATOMIC_ACQUIRE);
		if (stamp > EPITAPH_BUSY && stamp < before &&
		    epitaph_is_key(note->key, key))
			epitaph_restamp(&note->stamp, stamp, EPITAPH_FREE);
	}
}

/* A place for KEY, which is now busy: a free one, so that a crash finds the old
 * text or the new one; where all are taken, the one that has KEY. Or NULL. */
static __inline__ struct epitaph_note *
epitaph_claim(struct epitaph_board *board, const char *key)
{
	struct epitaph_note *note = board->notes;
	uint64_t stamp;

	for (; note < board->notes + EPITAPH_NOTES; note++) {
		if (__atomic_load_n(&note->stamp, __ATOMIC_RELAXED) ==
			    EPITAPH_FREE &&
		    epitaph_restamp(&note->stamp, EPITAPH_FREE, EPITAPH_BUSY))
			return note;
	}
	for (note = board->notes; note < board->notes + EPITAPH_NOTES; note++) {
		stamp = __atomic_load_n(&note->stamp, __ATOMIC_ACQUIRE);
		if (stamp > EPITAPH_BUSY && epitaph_is_key(note->key, key) &&
		    epitaph_restamp(&note->stamp, stamp, EPITAPH_BUSY))
			return note;
	}
	return 0;
}

/* Let reports say that KEY is VALUE, from now on. */
static __inline__ void epitaph_set(const char *key, const char *value)
{
	struct epitaph_board *board = epitaph_find();
	struct epitaph_note *note;
	uint64_t stamp;

	if (!board || !key || !value)
		return;
	note = epitaph_claim(board, key);
	if (!note)
		return;
	epitaph_copy(note->key, key, EPITAPH_KEY_SIZE);
	epitaph_copy(note->value, value, EPITAPH_VALUE_SIZE);
	stamp = __atomic_add_fetch(&board->notes_written, 1, __ATOMIC_RELAXED) +
		EPITAPH_BUSY;
	__atomic_store_n(&note->stamp, stamp, __ATOMIC_RELEASE);
	epitaph_clear(board, key, stamp);
}

/* Let reports say nothing of KEY any more. */
static __inline__ void epitaph_remove(const char *key)
{
	struct epitaph_board *board = epitaph_find();

	if (board && key)
		epitaph_clear(board, key, UINT64_MAX);
}

/* Add TEXT to the things that happened, of which reports show the last. */
static __inline__ void epitaph_breadcrumb(const char *text)
{
	struct epitaph_board *board = epitaph_find();
	struct epitaph_crumb *crumb;
	uint64_t ticket, old;
	unsigned tries;

	if (!board || !text)
		return;
	for (tries = 0; tries < EPITAPH_CRUMBS; tries++) {
		ticket = __atomic_fetch_add(&board->crumbs_written, 1,
					    __ATOMIC_RELAXED);
		crumb = &board->crumbs[ticket % EPITAPH_CRUMBS];
		ticket += EPITAPH_BUSY + 1;
		old = __atomic_load_n(&crumb->stamp, __ATOMIC_RELAXED);
		if (old == EPITAPH_BUSY || old > ticket ||
		    !epitaph_restamp(&crumb->stamp, old, EPITAPH_BUSY))
			continue;
		epitaph_copy(crumb->text, text, EPITAPH_CRUMB_SIZE);
		__atomic_store_n(&crumb->stamp, ticket, __ATOMIC_RELEASE);
		return;
	}
}

#endif
