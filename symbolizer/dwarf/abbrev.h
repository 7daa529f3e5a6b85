/* Abbreviations: which attributes a DIE has, and in which form. Their sizes are
 * summed up beforehand, so that most DIEs are passed over by one addition.
 * DWARF 5 section 7.5.3. Process: one that can be lost. */
#ifndef EPITAPH_DWARF_ABBREV_H
#define EPITAPH_DWARF_ABBREV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "attr.h"

struct abbrev_attr {
	uint16_t name; /* DW_AT_* */
	uint16_t form; /* DW_FORM_* */
	int8_t size;   /* attr_form_size() of that */
	int8_t slot;   /* die_slot() of NAME */
	uint16_t at;   /* in the DIE, where all before it are of one size */
};

struct abbrev {
	uint64_t code;
	uint16_t tag; /* DW_TAG_*; 0: none, of what lies behind the last */
	uint16_t nattrs;
	uint32_t first; /* of its attributes */
	int32_t fixed;  /* bytes of all of them; -1: they vary */
	int32_t sibling; /* where DW_AT_sibling is, a four-byte reference
	                  * within the unit; -1: there is none */
	bool has_children;
};

struct abbrevs {
	struct abbrev *list;
	size_t len;
	struct abbrev_attr *attrs;
	int64_t *implicit; /* of DW_FORM_implicit_const; as many as attrs */
	bool is_dense; /* list[i] has code i + 1, as all compilers do */
};

enum {
	ABBREV_MAX = 1 << 20,      /* of one table */
	ABBREV_MAX_ATTRS = 1 << 22, /* of one table */
};

/* Read the table at OFFSET of SECTION, as far as it makes sense, and there is
 * memory for it. */
void abbrevs_read(struct reader *section, uint64_t offset,
		  const struct sizes *sizes, struct abbrevs *out);
void abbrevs_fini(struct abbrevs *abbrevs);

/* True where any table of SECTION has a reference that leaves its unit, from a
 * function to what it is an instance of, or from a call to whom it calls. */
bool abbrevs_leave_unit(struct reader section);

/* The one with CODE, or NULL. */
const struct abbrev *abbrevs_find(const struct abbrevs *abbrevs,
				  uint64_t code);

#endif
