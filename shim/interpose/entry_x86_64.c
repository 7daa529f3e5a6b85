/* Entries of wrapped functions that have to be left as they were entered: with
 * all their arguments, in registers and on the stack, and nothing added. */
#include <sys/syscall.h>

#define TEXT(number) TEXT_(number)
#define TEXT_(number) #number

/* long syscall(long nr, ...) */
__asm__(".text\n"
	".globl syscall\n"
	".type syscall, @function\n"
	"syscall:\n"
	"	.cfi_startproc\n"
	"	cmp $" TEXT(SYS_rt_sigaction) ", %rdi\n"
	"	je syscall_known\n"
	"	cmp $" TEXT(SYS_rt_sigprocmask) ", %rdi\n"
	"	je syscall_known\n"
	"	cmp $" TEXT(SYS_sigaltstack) ", %rdi\n"
	"	je syscall_known\n"
	"	cmp $" TEXT(SYS_prctl) ", %rdi\n"
	"	je syscall_known\n"
	"	cmp $" TEXT(SYS_exit_group) ", %rdi\n"
	"	je syscall_known\n"
	"	cmp $" TEXT(SYS_seccomp) ", %rdi\n"
	"	je syscall_known\n"
	"	mov syscall_address(%rip), %rax\n"
	"	test %rax, %rax\n"
	"	jz 1f\n"
	"	jmp *%rax\n"
	"1:	sub $56, %rsp\n"
	"	.cfi_adjust_cfa_offset 56\n"
	"	mov %rdi, (%rsp)\n"
	"	mov %rsi, 8(%rsp)\n"
	"	mov %rdx, 16(%rsp)\n"
	"	mov %rcx, 24(%rsp)\n"
	"	mov %r8, 32(%rsp)\n"
	"	mov %r9, 40(%rsp)\n"
	"	call find_syscall\n"
	"	mov (%rsp), %rdi\n"
	"	mov 8(%rsp), %rsi\n"
	"	mov 16(%rsp), %rdx\n"
	"	mov 24(%rsp), %rcx\n"
	"	mov 32(%rsp), %r8\n"
	"	mov 40(%rsp), %r9\n"
	"	add $56, %rsp\n"
	"	.cfi_adjust_cfa_offset -56\n"
	"	jmp *%rax\n"
	"	.cfi_endproc\n"
	".size syscall, . - syscall\n");
