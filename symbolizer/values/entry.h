/* What a function was called with, as far as its caller can tell: the values
 * that registers had when it began, by the call's own description (DWARF 5
 * sections 2.5.1.7 and 3.4). Process: one that can be lost. */
#ifndef EPITAPH_VALUES_ENTRY_H
#define EPITAPH_VALUES_ENTRY_H

#include "place.h"

/* The value that register NUMBER had when EVALUATION's function was called.
 * ABSENT_NOT, or why it is not known: the caller says nothing of it, or of
 * something that may have changed since, or called another function, which then
 * jumped to this one. */
enum absent entry_value(const struct evaluation *evaluation, uint64_t number,
			uint64_t *out);

/* The register that EXPR is of, if it is of nothing else, and the base type
 * that it is to be read as, an offset in the unit; 0: none. */
bool entry_register(struct reader expr, uint64_t *number_out,
		    uint64_t *type_out);

/* The same of the parameter whose DIE is at OFFSET of EVALUATION's file, of
 * which the function has nothing any more. */
enum absent entry_parameter(const struct evaluation *evaluation,
			    uint64_t offset, uint64_t *out);

#endif
