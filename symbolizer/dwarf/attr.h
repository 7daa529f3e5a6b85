/* An attribute as it stands in a DIE or in the head of a line table: a value in
 * one of DWARF's forms (DWARF 5 section 7.5.5), and GNU's before that had its
 * own. Process: one that can be lost. */
#ifndef EPITAPH_DWARF_ATTR_H
#define EPITAPH_DWARF_ATTR_H

#include <stdbool.h>
#include <stdint.h>

#include "../../lib/report/bytes.h"

/* What the size of a form depends on. */
struct sizes {
	uint16_t version;
	uint8_t offset;  /* bytes: 4, or 8 in 64-bit DWARF */
	uint8_t address; /* bytes: 8, as this is of 64-bit machines */
};

struct attr {
	union {
		uint64_t value;   /* number, offset, index, length */
		const char *text; /* of DW_FORM_string */
	};
	uint16_t form; /* 0: there is no such attribute */
};

/* Bytes of a value in FORM, -1 where that varies or is not known. */
int attr_form_size(const struct sizes *sizes, uint16_t form);

/* The next value of R in FORM; IMPLICIT is the abbreviation's own. R goes bad
 * where the form is not known. */
void attr_read(struct reader *r, const struct sizes *sizes, uint16_t form,
	       int64_t implicit, struct attr *out);

/* What it stands for by itself; false where that is nothing of the kind. */
bool attr_number(const struct attr *attr, uint64_t *out);
bool attr_flag(const struct attr *attr);

/* The next SIZE bytes of R as a number; of more than eight none. */
static inline uint64_t attr_sized(struct reader *r, int size)
{
	const uint8_t *at;

	switch (size) {
	case 0:
		return 0;
	case 1:
		return reader_u8(r);
	case 2:
		return reader_u16(r);
	case 3:
		at = reader_take(r, 3);
		return at ? (uint64_t)at[0] | (uint64_t)at[1] << 8 |
				    (uint64_t)at[2] << 16
			  : 0;
	case 4:
		return reader_u32(r);
	case 8:
		return reader_u64(r);
	default:
		reader_skip(r, (size_t)size);
		return 0;
	}
}

#endif
