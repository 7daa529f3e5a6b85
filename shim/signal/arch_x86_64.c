/* What the signal zone knows about x86-64: the layout of a signal frame, and
 * how to make an instruction fault again. */
#include <elf.h>
#include <sys/ptrace.h>

#include "zone.h"

enum {
	FXSAVE_BYTES = 512,
	SOFTWARE_AT = 464, /* struct _fpx_sw_bytes in the FXSAVE area */
	SOFTWARE_MAGIC = 0x46505853,
	USER_ORIG_RAX = 15,
	USER_RIP = 16, /* in struct user_regs_struct */
	USER_CS = 17,
	USER_EFLAGS = 18,
	USER_RSP = 19,
	USER_SS = 20,
	USER_FS_BASE = 21,
	USER_FS = 25,
	USER_GS = 26,
	USER_WORDS = 27,
	USER_SSP = USER_WORDS,
	SHADOW_SET = 0x204, /* NT_X86_SHSTK */
};

/* Index in gregset_t of the first sixteen of struct user_regs_struct: r15,
 * r14, r13, r12, rbp, rbx, r11, r10, r9, r8, rax, rcx, rdx, rsi, rdi. */
static const uint8_t greg_of_user[15] = {
	7, 6, 5, 4, 10, 11, 3, 2, 1, 0, 13, 14, 12, 9, 8,
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
	/* Only a filter makes it fail, and then there is no way back. */
	"	mov $15, %rax\n"
	"	syscall\n"
	"	hlt\n"
	".size __restore_rt, . - __restore_rt\n");

/* popf under the red zone, which this function's caller may be using. */
void allow_misalignment(const ucontext_t *context)
{
	if (!(context->uc_mcontext.gregs[GREG_EFLAGS] & 0x40000 /* AC */))
		return;
	__asm__ volatile("lea -128(%%rsp), %%rsp\n\t"
			 "pushf\n\t"
			 "andl $~0x40000, (%%rsp)\n\t"
			 "popf\n\t"
			 "lea 128(%%rsp), %%rsp" ::: "cc", "memory");
}

_Static_assert(GREGS_AT == offsetof(ucontext_t, uc_mcontext.gregs) &&
	       RECORD_GREGS * 8 == sizeof(gregset_t), "layout_x86_64.h");

void context_gregs(const ucontext_t *context, uint64_t gregs_out[RECORD_GREGS])
{
	for (size_t i = 0; i < RECORD_GREGS; i++)
		gregs_out[i] = (uint64_t)context->uc_mcontext.gregs[i];
}

bool is_fault_greg(size_t i)
{
	return i == GREG_ERROR || i == GREG_TRAP || i == GREG_CR2 ||
	       i == GREG_OLDMASK;
}

uint64_t code_address(uint64_t address)
{
	return address;
}

void save_registers(const ucontext_t *context)
{
	context_gregs(context, zone.record.gregs);
}

uint64_t xstate_address(const ucontext_t *context)
{
	return (uint64_t)(uintptr_t)context->uc_mcontext.fpregs;
}

size_t xstate_len(uint64_t address)
{
	uint32_t software[2] = { 0, 0 };

	copy_safely(address + SOFTWARE_AT, software, sizeof(software));
	if (software[0] != SOFTWARE_MAGIC || software[1] < FXSAVE_BYTES ||
	    software[1] > RECORD_XSTATE)
		return FXSAVE_BYTES;
	return software[1];
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

/* The instructions by which valgrind lets itself be asked (valgrind.h): to a
 * processor they do nothing. */
bool is_emulated(void)
{
	uint64_t request[6] = { 0x1001 /* RUNNING_ON_VALGRIND */ };
	uint64_t answer = 0;

	__asm__ volatile("rolq $3, %%rdi\n"
			 "	rolq $13, %%rdi\n"
			 "	rolq $61, %%rdi\n"
			 "	rolq $51, %%rdi\n"
			 "	xchgq %%rbx, %%rbx"
			 : "+d"(answer)
			 : "a"(request)
			 : "cc", "memory");
	return answer != 0;
}

bool at_abort_trap(const ucontext_t *context)
{
	uint8_t instruction = 0;

	copy_safely((uint64_t)context->uc_mcontext.gregs[GREG_RIP],
		    &instruction, 1);
	return instruction == 0xf4; /* hlt */
}

void context_to_user(const ucontext_t *context,
		     uint64_t regs_out[RECORD_USER])
{
	const greg_t *gregs = context->uc_mcontext.gregs;
	uint64_t segments = (uint64_t)gregs[GREG_SEGMENTS];

	for (size_t i = 0; i < sizeof(greg_of_user); i++)
		regs_out[i] = (uint64_t)gregs[greg_of_user[i]];
	regs_out[USER_ORIG_RAX] = ~0ull; /* in no call that is known */
	regs_out[USER_RIP] = (uint64_t)gregs[GREG_RIP];
	regs_out[USER_CS] = segments & 0xffff;
	regs_out[USER_EFLAGS] = (uint64_t)gregs[GREG_EFLAGS];
	regs_out[USER_RSP] = (uint64_t)gregs[GREG_RSP];
	regs_out[USER_SS] = segments >> 48 & 0xffff;
	regs_out[USER_FS] = segments >> 32 & 0xffff;
	regs_out[USER_GS] = segments >> 16 & 0xffff;
	sys2(arch_prctl, 0x1003 /* ARCH_GET_FS */, &regs_out[USER_FS_BASE]);
	sys2(arch_prctl, 0x1004 /* ARCH_GET_GS */, &regs_out[USER_FS_BASE + 1]);
	regs_out[USER_SSP] = shadow_pointer();
}

void place_to_user(uint64_t pc, uint64_t sp, uint64_t regs_out[RECORD_USER])
{
	for (size_t i = 0; i < RECORD_USER; i++)
		regs_out[i] = 0;
	regs_out[USER_RIP] = pc;
	regs_out[USER_RSP] = sp;
}

long read_user(int32_t tid, uint64_t regs_out[RECORD_USER])
{
	struct { void *base; size_t len; } regs = { regs_out, USER_WORDS * 8 };
	struct { void *base; size_t len; } shadow = { regs_out + USER_SSP, 8 };

	/* Where the crashing thread has none, no other has. */
	regs_out[USER_SSP] = 0;
	if (zone.record.shadow)
		sys4(ptrace, PTRACE_GETREGSET, tid, SHADOW_SET, &shadow);
	return sys4(ptrace, PTRACE_GETREGSET, tid, NT_PRSTATUS, &regs);
}

uint64_t user_sp(const uint64_t regs[RECORD_USER])
{
	return regs[USER_RSP];
}

uint64_t user_tcb(const uint64_t regs[RECORD_USER])
{
	return regs[USER_FS_BASE];
}

uint64_t user_shadow(const uint64_t regs[RECORD_USER])
{
	return regs[USER_SSP];
}

void fail_call(ucontext_t *context)
{
	context->uc_mcontext.gregs[GREG_RAX] = -38; /* ENOSYS */
}

void become_context(ucontext_t *context, const ucontext_t *from)
{
	zone_copy(context->uc_mcontext.gregs, from->uc_mcontext.gregs,
		  sizeof(context->uc_mcontext.gregs));
	zone_copy(&context->uc_sigmask, &from->uc_sigmask, KERNEL_SIGSET);
}

uint64_t current_sp(void)
{
	uint64_t sp;

	__asm__ volatile("mov %%rsp, %0" : "=r"(sp));
	return sp;
}

/* Without shadow stacks the instruction does nothing. */
uint64_t shadow_pointer(void)
{
	uint64_t shadow = 0;

	__asm__ volatile("rdsspq %0" : "+r"(shadow));
	return shadow;
}

/* crash_on_stack() is called by its name, so that this is no indirect call. */
void call_on_stack(void *top)
{
	__asm__ volatile("mov %%rsp, %%rbx\n\t"
			 "mov %0, %%rsp\n\t"
			 "call crash_on_stack\n\t"
			 "mov %%rbx, %%rsp"
			 :
			 : "r"(top)
			 : "rax", "rbx", "rcx", "rdx", "rsi", "rdi", "r8", "r9",
			   "r10", "r11", "memory", "cc");
}
