/* Constants of AArch64. Used by arch.h. */
#ifndef EPITAPH_UNWIND_ARCH_AARCH64_H
#define EPITAPH_UNWIND_ARCH_AARCH64_H

enum {
	ARCH_CALL_PUSHES = 0,  /* a call moves the stack pointer */
	ARCH_CALL_BYTES = 4,   /* bl, blr and their authenticated kin */
	/* A CFA instruction of its own: negate_ra_state. What it says, that
	 * the return address is signed from here on, need not be known: the
	 * signature is taken off wherever there may be one. */
	ARCH_CFA_INSTRUCTION = 0x2d,
};

#endif
