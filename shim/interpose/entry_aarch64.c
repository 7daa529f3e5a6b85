/* Entries of wrapped functions that have to be left as they were entered: with
 * all their arguments, in registers and on the stack, and nothing added. */
#include <sys/syscall.h>

#define TEXT(number) TEXT_(number)
#define TEXT_(number) #number

/* long syscall(long nr, ...) */
__asm__(".text\n"
	".globl syscall\n"
	".type syscall, %function\n"
	"syscall:\n"
	"	.cfi_startproc\n"
	"	hint #34\n" /* bti c */
	"	cmp x0, #" TEXT(SYS_rt_sigaction) "\n"
	"	b.eq syscall_known\n"
	"	cmp x0, #" TEXT(SYS_rt_sigprocmask) "\n"
	"	b.eq syscall_known\n"
	"	cmp x0, #" TEXT(SYS_sigaltstack) "\n"
	"	b.eq syscall_known\n"
	"	cmp x0, #" TEXT(SYS_prctl) "\n"
	"	b.eq syscall_known\n"
	"	cmp x0, #" TEXT(SYS_exit_group) "\n"
	"	b.eq syscall_known\n"
	"	cmp x0, #" TEXT(SYS_seccomp) "\n"
	"	b.eq syscall_known\n"
	"	adrp x16, syscall_address\n"
	"	ldr x16, [x16, #:lo12:syscall_address]\n"
	"	cbz x16, 1f\n"
	"	br x16\n"
	"1:	stp x29, x30, [sp, #-80]!\n"
	"	.cfi_adjust_cfa_offset 80\n"
	"	.cfi_rel_offset x29, 0\n"
	"	.cfi_rel_offset x30, 8\n"
	"	mov x29, sp\n"
	"	stp x0, x1, [sp, #16]\n"
	"	stp x2, x3, [sp, #32]\n"
	"	stp x4, x5, [sp, #48]\n"
	"	stp x6, x7, [sp, #64]\n"
	"	bl find_syscall\n"
	"	mov x16, x0\n"
	"	ldp x0, x1, [sp, #16]\n"
	"	ldp x2, x3, [sp, #32]\n"
	"	ldp x4, x5, [sp, #48]\n"
	"	ldp x6, x7, [sp, #64]\n"
	"	ldp x29, x30, [sp], #80\n"
	"	.cfi_adjust_cfa_offset -80\n"
	"	.cfi_restore x29\n"
	"	.cfi_restore x30\n"
	"	br x16\n"
	"	.cfi_endproc\n"
	".size syscall, . - syscall\n");
