/* Where a value lies, by DWARF's expressions (DWARF 5 sections 2.5 and 2.6, and
 * GNU's before that), and its bytes. lib/unwind/expr.c is the machine for CFI,
 * where the helper has need of it: numbers alone, of operations that libdw has
 * read. This one has types, too, and pieces. Process: one that can be lost. */
#ifndef EPITAPH_VALUES_PLACE_H
#define EPITAPH_VALUES_PLACE_H

#include "target.h"

enum {
	PLACE_MAX_PIECES = 64,
	PLACE_MAX_STACK = 256,
	PLACE_MAX_STEPS = 4096,
	PLACE_MAX_NESTED = 8,      /* expressions in expressions */
	PLACE_MAX_BYTES = 1 << 16, /* of a value, as gdb's */
};

/* What an expression is evaluated for. */
struct evaluation {
	const struct target *target;
	size_t frame;        /* in whose registers */
	struct unit *unit;   /* that it is in */
	bool is_of_past;     /* it tells of the moment of a call that goes on:
	                      * memory may have changed since */
	unsigned nested;
	unsigned *steps_left; /* of PLACE_MAX_STEPS, for one value with all that
	                       * is nested */
};

enum piece_kind {
	PIECE_ABSENT,
	PIECE_MEMORY,   /* VALUE: its address */
	PIECE_REGISTER, /* VALUE: its number */
	PIECE_VALUE,    /* VALUE is it */
	PIECE_BYTES,    /* BYTES, VALUE of them */
};

struct piece {
	enum piece_kind kind;
	enum absent why;     /* PIECE_ABSENT */
	uint64_t value;
	bool is_frame;       /* the value is a place in the frame */
	const uint8_t *bytes;
	uint64_t bits;       /* how much of the value it is */
	uint64_t skip;       /* bits of what it is of, before it */
};

struct place {
	bool is_whole; /* the first piece is all, however much that is */
	size_t npieces;
	struct piece pieces[PLACE_MAX_PIECES];
};

/* Where EXPR says that a value lies. */
void place_find(const struct evaluation *evaluation, struct reader expr,
		struct place *out);

/* A place of nothing but WHY. */
void place_set_absent(struct place *out, enum absent why);

/* The number that EXPR leaves: an address, a length, the value of a parameter.
 * ABSENT_NOT, or why there is none. */
enum absent place_number(const struct evaluation *evaluation,
			 struct reader expr, uint64_t *out);

/* A value, as far as it is known. */
struct contents {
	uint8_t *bytes;
	uint8_t *why;      /* of each byte: enum absent */
	size_t len;
	uint64_t address;  /* 0: it is not as a whole in memory */
};

/* LEN bytes, at most PLACE_MAX_BYTES, from PLACE on. False without memory. */
bool place_contents(const struct evaluation *evaluation,
		    const struct place *place, size_t len,
		    struct contents *out);
/* The LEN bytes at ADDRESS. */
bool place_memory(const struct evaluation *evaluation, uint64_t address,
		  size_t len, struct contents *out);
void contents_fini(struct contents *contents);

/* Where the variable NODE lies: by its expression, or the one of its list that
 * holds where EVALUATION's frame is; a constant; or nowhere. */
void place_of(const struct evaluation *evaluation, const struct node *node,
	      struct place *out);

/* The number, of SIZE bytes, that the variable NODE is. */
enum absent place_value(const struct evaluation *evaluation,
			const struct node *node, size_t size, uint64_t *out);

#endif
