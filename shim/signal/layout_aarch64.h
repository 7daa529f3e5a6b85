/* Layouts of AArch64: what the crash record keeps of the registers, and where
 * they are in a signal frame. */
#ifndef EPITAPH_SIGNAL_LAYOUT_AARCH64_H
#define EPITAPH_SIGNAL_LAYOUT_AARCH64_H

#define ZONE_LAST ".bss.wiped"

enum {
	ZONE_PAGE = 65536, /* the largest that a kernel is built with */
	/* struct sigcontext without its records: fault_address, x0 to x30, sp,
	 * pc, pstate. */
	RECORD_GREGS = 35,
	RECORD_USER = 35, /* struct user_pt_regs, then the thread pointer */
	RED_ZONE = 0,     /* nothing below sp is anybody's */
	GREGS_AT = 176,   /* offsetof(ucontext_t, uc_mcontext) */
	THREAD_POINTER_CALLS = 0, /* to know one's own, a system call */
	GREG_FAULT = 0,
	GREG_X0 = 1,
	GREG_X8 = 9,
	GREG_FP = 30,
	GREG_SP = 32,
	GREG_PC = 33,
	USER_SP = 31,
	USER_PC = 32,
	USER_PSTATE = 33,
	USER_THREAD = 34,
};

#endif
