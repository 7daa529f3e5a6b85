/* Constants of x86-64. Used by arch.h. */
#ifndef EPITAPH_UNWIND_ARCH_X86_64_H
#define EPITAPH_UNWIND_ARCH_X86_64_H

enum {
	ARCH_CALL_PUSHES = 1,  /* a call moves the stack pointer */
	ARCH_CALL_BYTES = 7,   /* ff /2 with SIB and a 32-bit displacement */
	ARCH_CFA_INSTRUCTION = 0, /* a CFA instruction of its own: none */
};

#endif
