/* Values as text, in the form that gdb has for C. Process: one that can be
 * lost. */
#ifndef EPITAPH_VALUES_FORMAT_H
#define EPITAPH_VALUES_FORMAT_H

#include "types.h"

enum {
	FORMAT_MAX = 8192,     /* bytes of a value's text, and then "..." */
	FORMAT_ELEMENTS = 200, /* of an array, characters of a string: gdb's */
	FORMAT_REPEATS = 10,   /* more of the same are counted: gdb's */
	FORMAT_DEPTH = 20,     /* of structures in structures: gdb's */
};

/* Write the value of TYPE that is in CONTENTS to OUT, which is empty and
 * becomes bad where it is longer than FORMAT_MAX. ABSENT_NOT, or why nothing
 * at all is known of it: then OUT is of no use. */
enum absent format_value(const struct evaluation *evaluation,
			 const struct type *type,
			 const struct contents *contents, struct writer *out);

#endif
