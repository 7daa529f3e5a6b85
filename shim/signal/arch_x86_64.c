/* What the signal zone knows about x86-64: the layout of a signal frame, and
 * how to make an instruction fault again. */
#include "zone.h"

enum {
	XSTATE_SW_OFFSET = 464, /* of struct _fpx_sw_bytes in the FXSAVE area */
	XSTATE_MAGIC1 = 0x46505853,
	FXSAVE_BYTES = 512,
	GREG_RSP = 15,
	GREG_RIP = 16,
	GREG_RAX = 13,
};

/* The byte sequence by which libgcc and libunwind know a signal frame that has
 * no CFI, under the name by which gdb does. Unwinders look up a return address
 * minus one, so a byte that belongs to no function stands before it. */
__asm__(".text\n"
	"	nop\n"
	"	.p2align 4, 0x90\n"
	"	nop\n"
	".globl __restore_rt\n"
	".hidden __restore_rt\n"
	".type __restore_rt, @function\n"
	"__restore_rt:\n"
	"	mov $15, %rax\n"
	"	syscall\n"
	".size __restore_rt, . - __restore_rt\n");

/* popf under the red zone, which this function's caller may be using. */
void allow_misalignment(void)
{
	__asm__ volatile("lea -128(%%rsp), %%rsp\n\t"
			 "pushf\n\t"
			 "andl $~0x40000, (%%rsp)\n\t" /* AC */
			 "popf\n\t"
			 "lea 128(%%rsp), %%rsp" ::: "cc", "memory");
}

void save_registers(const ucontext_t *context)
{
	for (size_t i = 0; i < RECORD_GREGS; i++)
		zone.record.gregs[i] = (uint64_t)context->uc_mcontext.gregs[i];
	sys2(arch_prctl, 0x1003 /* ARCH_GET_FS */, &zone.record.fs_base);
}

void save_xstate(const ucontext_t *context)
{
	uint64_t at = (uint64_t)(uintptr_t)context->uc_mcontext.fpregs;
	uint32_t software[2] = { 0, 0 };
	size_t len = FXSAVE_BYTES;

	zone.record.xstate_len = 0;
	if (!at)
		return;
	copy_safely(at + XSTATE_SW_OFFSET, software, sizeof(software));
	if (software[0] == XSTATE_MAGIC1 && software[1] > FXSAVE_BYTES)
		len = software[1];
	if (len > RECORD_XSTATE)
		len = RECORD_XSTATE;
	zone.record.xstate_len =
		(uint32_t)copy_safely(at, zone.record.xstate, len);
}

uint64_t context_sp(const ucontext_t *context)
{
	return (uint64_t)context->uc_mcontext.gregs[GREG_RSP];
}

void rewind_context(int sig, const siginfo_t *si, ucontext_t *context)
{
	greg_t *gregs = context->uc_mcontext.gregs;
	uint8_t before = 0;

	if (sig == SIGTRAP && si->si_code == SI_KERNEL) {
		copy_safely((uint64_t)gregs[GREG_RIP] - 1, &before, 1);
		if (before == 0xcc)
			gregs[GREG_RIP] -= 1;
	}
	if (sig == SIGSYS) {
		gregs[GREG_RIP] -= 2;
		gregs[GREG_RAX] = si->si_syscall;
	}
}

bool at_abort_trap(const ucontext_t *context)
{
	uint8_t instruction = 0;

	copy_safely((uint64_t)context->uc_mcontext.gregs[GREG_RIP],
		    &instruction, 1);
	return instruction == 0xf4; /* hlt */
}
