/* Crashes that were counted and not reported, because there had been enough
 * reports of their kind: the table that the witness counts in (slots.h), as the
 * helper and `epitaph flush` see it. A collector is told of them by hits with a
 * `count`. What a hit will say of itself is kept beside the count when a report
 * of that kind is made; its id is on disk before it is sent, so that one that
 * may have arrived is sent again as the same, which counts once. */
#ifndef EPITAPH_SPOOL_BUDGET_H
#define EPITAPH_SPOOL_BUDGET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../report/error.h"
#include "../report/report.h"
#include "ship.h"
#include "spool.h"

/* Keep what a hit says of REPORT, durable by now, for crashes of its kind:
 * those that user UID's table in SPOOL counts at SLOT under KEY. Nothing
 * happens where the slot has become another's, or has counts of an earlier
 * report. */
void budget_keep(struct spool *spool, uint32_t uid, uint32_t slot, uint64_t key,
		 const struct report *report);

/* Crashes, not hits. */
struct budget_count {
	uint64_t told;     /* the collector has them */
	uint64_t refused;  /* it never will */
	uint64_t later;    /* not now */
	uint64_t nameless; /* no report of their kind has come to be: they wait
	                    * for one */
};

/* Tell of the crashes in the tables of SPOOL (as root of everybody's, else of
 * our own), until DEADLINE_MS of CLOCK_MONOTONIC, and take tables away that
 * have nothing more to say. False with ERR set where the collector could not
 * be had. */
bool budget_ship(const struct shipper *shipper, struct spool *spool,
		 int64_t deadline_ms, struct budget_count *count_out,
		 struct error *err);

#endif
