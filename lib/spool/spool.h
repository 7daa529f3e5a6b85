/* The spool: reports on disk until a collector has acknowledged them.
 *
 * DIR/ID.dmp.gz is complete or absent (written aside, fsynced, renamed);
 * DIR/ID.raw is a bare crash record that `epitaph flush` finishes;
 * DIR/refused/ holds what no collector will take. A directory may be shared
 * by users (mode 1733), so nothing in it is followed or believed: files are
 * opened without following links and must belong to us or, for root, to
 * anybody. */
#ifndef EPITAPH_SPOOL_SPOOL_H
#define EPITAPH_SPOOL_SPOOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../report/bytes.h"
#include "../report/error.h"

#define SPOOL_MAX_DEFAULT ((uint64_t)256 << 20) /* contract.md */

struct spool {
	int dir;         /* descriptor of the directory */
	char path[4096]; /* for messages */
};

/* What the default depends on, copied from the program's environment; any may
 * be NULL or "". */
struct spool_where {
	const char *spool;      /* EPITAPH_SPOOL */
	const char *state_home; /* XDG_STATE_HOME */
	const char *home;       /* HOME */
};

/* Open the spool that WHERE names, or the first usable default of contract.md,
 * making it (0700) where it is not there. */
bool spool_open(const struct spool_where *where, struct spool *spool_out,
		struct error *err);
void spool_close(struct spool *spool);

/* Write BYTES as ID.dmp.gz: durable on return, or an error and nothing left
 * behind. Makes room first: while the spool holds more than MAX bytes its
 * oldest reports go. */
bool spool_put(struct spool *spool, const char *id, const void *bytes,
	       size_t len, uint64_t max, struct error *err);

enum spool_kind { SPOOL_REPORTS, SPOOL_RAW };

/* Ids of the complete reports, or of the raw records, oldest first, at most
 * MAX, into IDS. */
size_t spool_list(struct spool *spool, enum spool_kind kind, char (*ids)[37],
		  size_t max);

/* Append the bytes of ID.dmp.gz to OUT. */
bool spool_get(struct spool *spool, const char *id, struct writer *out,
	       struct error *err);

/* Append the bytes of the raw record ID to OUT, having counted the try on disk:
 * after the second it goes to refused/, and the call fails. */
bool spool_take_raw(struct spool *spool, const char *id, struct writer *out,
		    struct error *err);
void spool_remove_raw(struct spool *spool, const char *id);

void spool_remove(struct spool *spool, const char *id);
/* Move ID to refused/. */
void spool_refuse(struct spool *spool, const char *id);

/* Take the lock that keeps two shippers of older reports apart. False where
 * another holds it. Freed with the process or by spool_unlock. */
bool spool_lock(struct spool *spool, int *lock_out);
void spool_unlock(int lock);

#endif
