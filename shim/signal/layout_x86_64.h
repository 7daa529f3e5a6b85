/* Layouts of x86-64: what the crash record keeps of the registers, and where
 * they are in a signal frame. */
#ifndef EPITAPH_SIGNAL_LAYOUT_X86_64_H
#define EPITAPH_SIGNAL_LAYOUT_X86_64_H

#define ZONE_LAST ".lbss.wiped" /* a section behind all others */

enum {
	ZONE_PAGE = 4096,
	RECORD_GREGS = 23, /* gregset_t */
	RECORD_USER = 28,  /* struct user_regs_struct, and the shadow stack's
	                    * pointer; 0: there is none */
	RED_ZONE = 128,    /* below sp, the callee may use it */
	GREGS_AT = 40,     /* offsetof(ucontext_t, uc_mcontext.gregs) */
	THREAD_POINTER_CALLS = 1, /* to know one's own, a system call */
	GREG_RAX = 13,
	GREG_RSP = 15,
	GREG_RIP = 16,
	GREG_EFLAGS = 17,
	GREG_SEGMENTS = 18,
	GREG_ERROR = 19,
	GREG_TRAP = 20,
	GREG_OLDMASK = 21,
	GREG_CR2 = 22,
	GREG_SP = GREG_RSP,
	GREG_PC = GREG_RIP,
};

#endif
