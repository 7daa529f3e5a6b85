/* What an evaluation may read: the registers of its frame, and the memory of
 * its time. Process: one that can be lost. */
#ifndef EPITAPH_VALUES_READING_H
#define EPITAPH_VALUES_READING_H

#include "place.h"

static inline const struct target_frame *
reading_frame(const struct evaluation *evaluation)
{
	return &evaluation->target->frames[evaluation->frame];
}

/* The bytes of FRAME's register NUMBER, *LEN_OUT of them, at least eight. NULL
 * where it is not known, and reading_no_register() says why. */
const uint8_t *reading_register(const struct target_frame *frame,
				uint64_t number, size_t *len_out);
enum absent reading_no_register(const struct target_frame *frame);

/* Up to LEN bytes at ADDRESS: how many, from the first on. Why there are no
 * more, reading_no_memory() says. */
size_t reading_memory(const struct evaluation *evaluation, uint64_t address,
		      void *to, size_t len);
enum absent reading_no_memory(const struct evaluation *evaluation);

#endif
