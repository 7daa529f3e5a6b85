/* Types, as far as values are shown by them. Process: one that can be lost. */
#ifndef EPITAPH_VALUES_TYPES_H
#define EPITAPH_VALUES_TYPES_H

#include "place.h"

enum type_kind {
	TYPE_UNKNOWN, TYPE_VOID, TYPE_BASE, TYPE_POINTER, TYPE_REFERENCE,
	TYPE_FUNCTION, TYPE_ENUM, TYPE_STRUCT, TYPE_UNION, TYPE_ARRAY,
};

enum { TYPE_MAX_NAME = 256 }; /* bytes */

/* Typedefs and qualifiers are gone through. */
struct type {
	enum type_kind kind;
	struct node node;     /* not of TYPE_VOID */
	unsigned dimension;   /* of an array: the first that is left */
	char wide;            /* prefix of its characters: of wchar_t 'L', of
	                       * char16_t 'u', of char32_t 'U'; or 0 */
};

/* The type that the variable, member or type NODE is of. */
void type_of(const struct node *node, struct type *out);

/* Bytes of a value. ABSENT_NOT, or why that is not known. */
enum absent type_size(const struct evaluation *evaluation,
		      const struct type *type, uint64_t *out);

/* The same of the variable NODE, where that needs no evaluation; else 0. */
size_t type_value_size(const struct node *node);

/* What ARRAY is of, and of how many. *COUNT_OUT is untouched where nothing says
 * that, as of the last member of some structures. */
void type_element(const struct type *array, struct type *out);
enum absent type_count(const struct evaluation *evaluation,
		       const struct type *array, uint64_t *count_out,
		       bool *has_count_out);

/* The encoding of a base type (DW_ATE_*), whether it has signs, and what it is
 * called, or "". */
unsigned type_encoding(const struct type *type);
bool type_is_signed(const struct type *type);
const char *type_base_name(const struct type *type);

/* What the type of NODE is called where it is declared: "const char *". */
void type_name(const struct node *node, char out[TYPE_MAX_NAME]);

/* What the type at NODE is called, with the namespaces and types around it, as
 * far as there is room: "" where it has no name. */
void type_full_name(const struct node *node, char out[TYPE_MAX_NAME]);

#endif
