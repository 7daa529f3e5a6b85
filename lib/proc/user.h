/* General registers in the kernel's order: as ptrace's NT_PRSTATUS and the
 * notes of core files have them. One file per architecture. */
#ifndef EPITAPH_PROC_USER_H
#define EPITAPH_PROC_USER_H

#include "../report/report.h"

/* REGS in our order; what the kernel does not say there stays unknown. */
void user_registers(const uint64_t regs[USER_WORDS],
		    struct registers *registers_out);

/* The way back; what is not known is 0. */
void registers_user(const struct registers *registers,
		    uint64_t regs_out[USER_WORDS]);

/* The word of the set USER_SHADOW, a set and a note of its own, which only a
 * thread with a shadow stack has. Behind user_registers(). */
void user_shadow(uint64_t word, struct registers *registers);

#endif
