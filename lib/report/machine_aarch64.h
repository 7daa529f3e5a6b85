/* AArch64, in reports. */
#ifndef EPITAPH_REPORT_MACHINE_AARCH64_H
#define EPITAPH_REPORT_MACHINE_AARCH64_H

#define MACHINE_NAME "aarch64"

enum {
	MACHINE_ELF = 183,     /* EM_AARCH64 */
	MACHINE_MINIDUMP = 12, /* in the format's SystemInfo stream */
	USER_WORDS = 34,       /* of struct user_pt_regs */
	USER_SHADOW = 0,       /* of a guarded control stack nothing is read */
};

/* DWARF numbering, so that CFI needs no table ("DWARF for the Arm 64-bit
 * Architecture", section 4.1); the rest after it. */
enum reg {
	R_X0, R_X1, R_X2, R_X3, R_X4, R_X5, R_X6, R_X7,
	R_X8, R_X9, R_X10, R_X11, R_X12, R_X13, R_X14, R_X15,
	R_X16, R_X17, R_X18, R_X19, R_X20, R_X21, R_X22, R_X23,
	R_X24, R_X25, R_X26, R_X27, R_X28, R_X29, R_X30,
	R_SP, R_PC, R_PSTATE, R_TPIDR,
	REG_COUNT,
	REG_CFI_COUNT = R_PC + 1, /* those that CFI can recover */

	R_FP = R_X29,
	R_LINK = R_X30,     /* the return address, until it is saved */
	R_THREAD = R_TPIDR, /* the thread pointer */
	R_CALL = R_X8,      /* the number of a system call */
};

#endif
