/* The file of a crash-loop budget, DIR/.budget-UID: how often each kind of
 * crash came of late, and how many of them nobody has been told of. The witness
 * writes it by raw system calls (shim/signal/budget.c), the helper and
 * `epitaph flush` through budget.c; all under flock. Of a fixed size, so that
 * a crash costs one read and one write, and never a search. A file that is not
 * as it should be is taken away and begun anew. */
#ifndef EPITAPH_SPOOL_SLOTS_H
#define EPITAPH_SPOOL_SLOTS_H

#include <stdint.h>

#define SLOTS_NAME ".budget-" /* and the number of its user */
#define SLOTS_MAGIC 0x3130544744425045ull /* "EPBDGT01" */

enum {
	SLOTS_WINDOW_S = 60,
	SLOTS_DEFAULT = 10, /* reports of a kind in a window: enough to see
	                     * that they are alike, and at 3.5 KiB each no
	                     * burden; at 1 Hz a restarting service fills it
	                     * in 10 s */
	SLOTS_WAYS = 16,     /* where a kind may be: one read of 1 KiB */
	SLOTS_BUCKETS = 8,
	SLOTS_COUNT = SLOTS_WAYS * SLOTS_BUCKETS, /* kinds at a time */
	SLOTS_AT = 1024,     /* where they begin; the magic is at 0 */
	HITS_AT = 12288,     /* and behind them the hit of each: what a */
	HIT_BYTES = 4096,    /* report of its kind told of itself, JSON */
};

/* One kind of crash. */
struct slot {
	uint64_t key;       /* 0: free */
	int64_t window_ns;  /* when its window began: CLOCK_BOOTTIME, */
	int64_t window_ms;  /* and CLOCK_REALTIME, which tells boots apart */
	int64_t last_ms;    /* when the last one came that was only counted */
	uint32_t crashes;   /* in this window */
	uint32_t untold;    /* only counted, and in no hit yet */
	uint32_t pending;   /* in the hit of id `pending_id`, which the */
	uint32_t hit_len;   /* collector may have or not. 0: no hit is kept */
	uint8_t pending_id[16];
};

_Static_assert(sizeof(struct slot) == 64, "a slot is 64 bytes");
_Static_assert(SLOTS_AT + SLOTS_COUNT * sizeof(struct slot) <= HITS_AT,
	       "slots end before the hits");

#endif
