/* Written by hand: with CFI, with none (-DNO_CFI), or with CFI that forgets
 * what a hand forgets (-DWRONG_CFI): a push here, an adjustment there, a
 * register that has moved. */

#if defined(NO_CFI)
#define CFI(...)
#define ALWAYS(...)
#elif defined(WRONG_CFI)
#define CFI(...)
#define ALWAYS(...) __VA_ARGS__
#else
#define CFI(...) __VA_ARGS__
#define ALWAYS(...) __VA_ARGS__
#endif

#define FUNCTION(name) \
	.globl name; \
	.type name, @function; \
	.p2align 4; \
	name: ALWAYS(.cfi_startproc)
#define END(name) \
	ALWAYS(.cfi_endproc); \
	.size name, . - name

	.text

/* Only the stack pointer moves. Wrong: nobody says so. */
FUNCTION(asm_plain)
	subq $24, %rsp
	CFI(.cfi_adjust_cfa_offset 24)
	movq %rsi, 8(%rsp)
	movq %rdi, %rax
	movq %rsi, %rdi
	callq *%rax
	addq 8(%rsp), %rax
	addq $24, %rsp
	CFI(.cfi_adjust_cfa_offset -24)
	retq
END(asm_plain)

/* A frame pointer. Wrong: the push is told of, the frame pointer is not. */
FUNCTION(asm_frame)
	pushq %rbp
	ALWAYS(.cfi_adjust_cfa_offset 8)
	ALWAYS(.cfi_rel_offset %rbp, 0)
	movq %rsp, %rbp
	CFI(.cfi_def_cfa_register %rbp)
	subq $32, %rsp
	movq %rsi, -8(%rbp)
	movq %rdi, %rax
	movq %rsi, %rdi
	callq *%rax
	addq -8(%rbp), %rax
	leave
	CFI(.cfi_def_cfa %rsp, 8)
	CFI(.cfi_restore %rbp)
	retq
END(asm_frame)

/* Registers that are pushed one by one. Wrong: one of them is forgotten. */
FUNCTION(asm_pushes)
	pushq %rbx
	ALWAYS(.cfi_adjust_cfa_offset 8)
	ALWAYS(.cfi_rel_offset %rbx, 0)
	pushq %r12
	CFI(.cfi_adjust_cfa_offset 8)
	CFI(.cfi_rel_offset %r12, 0)
	pushq %r13
	ALWAYS(.cfi_adjust_cfa_offset 8)
	movq %rsi, %rbx
	movq %rdi, %r12
	movq %rbx, %rdi
	callq *%r12
	addq %rbx, %rax
	popq %r13
	ALWAYS(.cfi_adjust_cfa_offset -8)
	popq %r12
	CFI(.cfi_adjust_cfa_offset -8)
	CFI(.cfi_restore %r12)
	popq %rbx
	ALWAYS(.cfi_adjust_cfa_offset -8)
	ALWAYS(.cfi_restore %rbx)
	retq
END(asm_pushes)

/* The stack is realigned, so the CFA is an expression over a saved word.
 * Wrong: the word next to it. */
FUNCTION(asm_realigned)
	leaq 8(%rsp), %r10
	CFI(.cfi_def_cfa %r10, 0)
	andq $-64, %rsp
	subq $64, %rsp
	movq %r10, 32(%rsp)
	/* DW_CFA_def_cfa_expression: DW_OP_breg7 n, DW_OP_deref */
	CFI(.cfi_escape 0x0f, 3, 0x77, 32, 0x06)
	movq %rdi, %rax
	movq %rsi, %rdi
	callq *%rax
	movq 32(%rsp), %r10
	CFI(.cfi_def_cfa %r10, 0)
	leaq -8(%r10), %rsp
	CFI(.cfi_def_cfa %rsp, 8)
	retq
END(asm_realigned)

/* The frame hangs on rbx, which is preserved. */
FUNCTION(asm_other_base)
	pushq %rbx
	ALWAYS(.cfi_adjust_cfa_offset 8)
	ALWAYS(.cfi_rel_offset %rbx, 0)
	movq %rsp, %rbx
	CFI(.cfi_def_cfa_register %rbx)
	andq $-32, %rsp
	subq $96, %rsp
	movq %rdi, %rax
	movq %rsi, %rdi
	callq *%rax
	movq %rbx, %rsp
	CFI(.cfi_def_cfa_register %rsp)
	popq %rbx
	ALWAYS(.cfi_adjust_cfa_offset -8)
	ALWAYS(.cfi_restore %rbx)
	retq
END(asm_other_base)

FUNCTION(asm_tail)
	movq %rdi, %rax
	movq %rsi, %rdi
	addq $1, %rdi
	jmpq *%rax
END(asm_tail)

/* Two ways out. Wrong: behind the first, the second is as after it. */
FUNCTION(asm_middle_return)
	pushq %r12
	ALWAYS(.cfi_adjust_cfa_offset 8)
	ALWAYS(.cfi_rel_offset %r12, 0)
	movq %rsi, %r12
	testq $1, %rsi
	jnz 1f
	movq %r12, %rax
	popq %r12
	CFI(.cfi_remember_state)
	ALWAYS(.cfi_adjust_cfa_offset -8)
	ALWAYS(.cfi_restore %r12)
	retq
1:	CFI(.cfi_restore_state)
	movq %rdi, %rax
	movq %rsi, %rdi
	callq *%rax
	popq %r12
	CFI(.cfi_adjust_cfa_offset -8)
	CFI(.cfi_restore %r12)
	retq
END(asm_middle_return)

FUNCTION(asm_leaf)
	movq %rdi, %rax
	movl $5, %ecx
1:	addq %rcx, %rax
	decl %ecx
	jnz 1b
	retq
END(asm_leaf)

/* A leaf that keeps what looks like anything below and on its stack. */
FUNCTION(asm_leaf_pushes)
	pushq %rbp
	CFI(.cfi_adjust_cfa_offset 8)
	CFI(.cfi_rel_offset %rbp, 0)
	pushq $0
	CFI(.cfi_adjust_cfa_offset 8)
	subq $16, %rsp
	CFI(.cfi_adjust_cfa_offset 16)
	movq %rdi, %rbp
	xorl %eax, %eax
	movl $4, %ecx
1:	addq %rbp, %rax
	decl %ecx
	jnz 1b
	addq $24, %rsp
	CFI(.cfi_adjust_cfa_offset -24)
	popq %rbp
	CFI(.cfi_adjust_cfa_offset -8)
	CFI(.cfi_restore %rbp)
	retq
END(asm_leaf_pushes)

/* A call to nowhere: the return address is on top. */
FUNCTION(asm_bad_call)
	subq $24, %rsp
	CFI(.cfi_adjust_cfa_offset 24)
	xorl %eax, %eax
	callq *%rax
	ud2
	CFI(.cfi_adjust_cfa_offset -24)
END(asm_bad_call)

/* A jump to nowhere, with what only looks like one on top. */
FUNCTION(asm_bad_jump)
	subq $24, %rsp
	CFI(.cfi_adjust_cfa_offset 24)
	movq 24(%rsp), %rax
	movq %rax, (%rsp)
	xorl %eax, %eax
	jmpq *%rax
	CFI(.cfi_adjust_cfa_offset -24)
END(asm_bad_jump)

	.section .note.GNU-stack, "", @progbits
