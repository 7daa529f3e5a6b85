/* A thread's registers as the bytes of the minidump's thread context. One file
 * per architecture implements this; context_x86_64.c is the one there is. */
#ifndef EPITAPH_REPORT_CONTEXT_H
#define EPITAPH_REPORT_CONTEXT_H

#include "bytes.h"
#include "report.h"

/* Append THREAD's context to OUT: CONTEXT_AMD64, then its xstate, if any. */
void context_encode(const struct thread *thread, struct writer *out);

/* Fill THREAD's registers, fpstate and xstate from R, which holds just the
 * context. fpstate and xstate point into R's buffer. Valid are the registers
 * whose group is in the context's flags. */
bool context_decode(struct reader *r, struct thread *thread,
		    struct error *err);

/* The registers, as bits, that a decoder will take for valid: the context's
 * flags know only groups, and it has no place for FS_BASE, GS_BASE and SSP. */
uint64_t context_valid(const struct thread *thread);

enum { CONTEXT_WIDE = 16 };

/* The CONTEXT_WIDE bytes of register NUMBER, in DWARF's numbering, of those
 * that are in FPSTATE (as a thread has it, or NULL); NULL where it is none. */
const uint8_t *context_wide_register(const uint8_t *fpstate, uint64_t number);

#endif
