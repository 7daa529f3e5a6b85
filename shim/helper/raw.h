/* A raw record, as tier 4 leaves it: a dead process that is there no more, of
 * which some memory was kept. What was mapped from files is read from these,
 * where they are the same files still. */
#ifndef EPITAPH_HELPER_RAW_H
#define EPITAPH_HELPER_RAW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../../lib/proc/maps.h"
#include "../../lib/report/error.h"
#include "../signal/record.h"

struct raw;

/* Understand LEN BYTES, which nobody vouches for and which must outlive the
 * result. raw_free() it. */
struct raw *raw_new(const void *bytes, size_t len, struct error *err);
void raw_free(struct raw *raw);

/* The record and its threads into RECORD, as far as they are there. */
bool raw_record(const struct raw *raw, struct crash_record *record,
		struct error *err);

/* The piece of TYPE, borrowed, and its length; NULL: not there. */
const uint8_t *raw_text(const struct raw *raw, enum raw_type type,
			size_t *len_out);

/* From now on, what MAPS (borrowed) says is mapped may be read from files. */
void raw_use_maps(struct raw *raw, const struct maps *maps);

/* Read LEN bytes at ADDRESS: how many could be. */
size_t raw_read(struct raw *raw, uint64_t address, void *to, size_t len);

#endif
