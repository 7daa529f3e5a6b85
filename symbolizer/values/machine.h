/* The numbers that expressions calculate with. Without a type they are as wide
 * as addresses; GNU's and DWARF 5's typed ones are of a base type. Process: one
 * that can be lost. */
#ifndef EPITAPH_VALUES_MACHINE_H
#define EPITAPH_VALUES_MACHINE_H

#include <stdbool.h>
#include <stdint.h>

enum number_kind {
	NUMBER_GENERIC, /* an address, with a sign where that matters */
	NUMBER_SIGNED,
	NUMBER_UNSIGNED,
	NUMBER_FLOAT,   /* of four or eight bytes */
};

/* BITS beyond SIZE bytes are 0. */
struct number {
	uint64_t bits;
	enum number_kind kind;
	uint8_t size; /* 1 to 8 bytes */
	bool is_frame; /* a place in the frame. Nobody means half of it: where
	                * clang 14 has that for a value, it has lost that this
	                * is to be read there */
};

static inline struct number number_generic(uint64_t bits)
{
	return (struct number){ .bits = bits, .kind = NUMBER_GENERIC,
				.size = 8 };
}

/* BITS, of which SIZE bytes count. */
struct number number_make(uint64_t bits, enum number_kind kind, uint8_t size);

/* The operations of one and of two numbers, A below B; false where DW_OP_*
 * number OP is none of these, or does not go with them. Two are of the same
 * type: clang 14 makes mixtures, and what else is in these is as wrong (it has
 * lost what was to be read from memory). */
bool number_unary(uint8_t op, struct number a, struct number *out);
bool number_binary(uint8_t op, struct number a, struct number b,
		   struct number *out);

/* A as one of KIND and SIZE; or its bits, as such a one. */
struct number number_convert(struct number a, enum number_kind kind,
			     uint8_t size);

#endif
