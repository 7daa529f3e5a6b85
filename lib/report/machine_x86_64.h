/* x86-64, in reports. */
#ifndef EPITAPH_REPORT_MACHINE_X86_64_H
#define EPITAPH_REPORT_MACHINE_X86_64_H

#define MACHINE_NAME "x86_64"

enum {
	MACHINE_ELF = 62,     /* EM_X86_64 */
	MACHINE_MINIDUMP = 9, /* in the format's SystemInfo stream */
	USER_WORDS = 27,      /* of struct user_regs_struct */
	USER_SHADOW = 0x204,  /* NT_X86_SHSTK: the shadow stack's pointer */
};

/* DWARF numbering, so that CFI needs no table; the rest after it. */
enum reg {
	R_RAX, R_RDX, R_RCX, R_RBX, R_RSI, R_RDI, R_RBP, R_RSP,
	R_R8, R_R9, R_R10, R_R11, R_R12, R_R13, R_R14, R_R15,
	R_RIP, R_EFLAGS, R_CS, R_SS, R_DS, R_ES, R_FS, R_GS,
	R_FS_BASE, R_GS_BASE,
	R_SSP, /* of the shadow stack */
	REG_COUNT,
	REG_CFI_COUNT = R_RIP + 1, /* those that CFI can recover */

	R_PC = R_RIP,
	R_SP = R_RSP,
	R_FP = R_RBP,
	R_THREAD = R_FS_BASE, /* the thread pointer */
	R_CALL = R_RAX,       /* the number of a system call */
};

#endif
