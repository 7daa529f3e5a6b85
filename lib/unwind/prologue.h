/* How far a function without CFI has come with its stack, read off its code.
 * One file per architecture. Used by guess.c. */
#ifndef EPITAPH_UNWIND_PROLOGUE_H
#define EPITAPH_UNWIND_PROLOGUE_H

#include "walk.h"

/* Of code, from a function's start on: few functions are longer. */
enum { PROLOGUE_MAX_CODE = 4096 };

/* The function that begins at START has come to PC. False where its code does
 * not tell. */
bool prologue_find(struct unwind *unwind, uint64_t start, uint64_t pc,
		   struct prologue *out);

/* The last address before BELOW, but not before FROM, where by the bytes around
 * it a function may begin; or 0. */
uint64_t prologue_start(struct unwind *unwind, uint64_t from, uint64_t below);

#endif
