/* What the walk has to know about the machine. One file per architecture says
 * it: constants in arch_MACHINE.h, the rest in arch_MACHINE.c. Inside
 * lib/unwind only. */
#ifndef EPITAPH_UNWIND_ARCH_H
#define EPITAPH_UNWIND_ARCH_H

#include "guess.h"

#if defined(MACHINE_AARCH64) || defined(__aarch64__)
#include "arch_aarch64.h"
#else
#include "arch_x86_64.h"
#endif

/* A program of CFA instructions, for what libdw has to be told about registers
 * that a CIE says nothing of. */
extern const uint8_t arch_cfi_defaults[];
extern const size_t arch_cfi_defaults_len;

/* True where OP is of a CFA that depends on pc, as a PLT stub's may. */
bool arch_is_pc(const Dwarf_Op *op);

/* The address that VALUE, found where return addresses are kept, stands for. */
uint64_t arch_code_address(uint64_t value);

/* BYTES are the ARCH_CALL_BYTES before ADDRESS: do they end with a call? A
 * direct one must also lead to code. */
bool arch_ends_with_call(const struct unwind *unwind, const uint8_t *bytes,
			 uint64_t address);

/* Where the call that returns to ADDRESS leads, through a stub perhaps; 0 where
 * the code does not say. */
uint64_t arch_call_target(struct unwind *unwind, uint64_t address);

/* Where the shadow stack of a thread with REGS has its next return address; 0:
 * there is none, or none that is known. */
uint64_t arch_shadow(const struct registers *regs);

/* Where the shadow stack was that a signal has interrupted, by WORD, which the
 * kernel then pushed; 0 where WORD is none of these. */
uint64_t arch_shadow_token(uint64_t word);

/* May a function change REG only if it gives it back? */
bool arch_is_preserved(enum reg reg);

/* The kernel's trampoline, by its bytes. */
bool arch_is_sigreturn(struct unwind *unwind, uint64_t address);

/* Is what lies at SP a signal frame of the kernel's, by the fields that are
 * always the same? True where it cannot be read. */
bool arch_has_signal_frame(struct unwind *unwind, uint64_t sp);

/* The registers of the frame that was interrupted, from the signal frame that
 * CURSOR, in the trampoline, is at. */
bool arch_interrupted(struct unwind *unwind, struct cursor *cursor);

#endif
