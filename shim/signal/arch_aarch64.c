/* What the signal zone knows about AArch64: the registers of a signal frame,
 * and how to make an instruction fault again. */
#include <elf.h>
#include <sys/ptrace.h>

#include "zone.h"

enum {
	RECORDS_BYTES = 4096, /* of sigcontext's extended state */
	MAX_RECORDS = 64,
	NT_THREAD = 0x401,    /* NT_ARM_TLS */
	ABORT_BRK = (int)0xd4207d00, /* brk #1000 */
};

_Static_assert(GREGS_AT == offsetof(ucontext_t, uc_mcontext) &&
	       GREGS_AT + 8 * GREG_X0 ==
		       offsetof(ucontext_t, uc_mcontext.regs) &&
	       GREGS_AT + 8 * GREG_SP ==
		       offsetof(ucontext_t, uc_mcontext.sp) &&
	       GREGS_AT + 8 * GREG_PC ==
		       offsetof(ucontext_t, uc_mcontext.pc),
	       "layout_aarch64.h");

/* The instructions by which libgcc, libunwind and gdb know a signal frame that
 * has no CFI. Unwinders look up a return address minus one, so an instruction
 * that belongs to no function stands before it. */
__asm__(".text\n"
	"	.p2align 4\n"
	"	nop\n"
	".globl __restore_rt\n"
	".hidden __restore_rt\n"
	".type __restore_rt, %function\n"
	"__restore_rt:\n"
	"	mov x8, #139\n"
	"	svc #0\n"
	/* Only a filter makes it fail, and then there is no way back. */
	"	mov x8, #139\n"
	"	svc #0\n"
	"	brk #1\n"
	".size __restore_rt, . - __restore_rt\n");

/* A program cannot forbid them. */
void allow_misalignment(const ucontext_t *context)
{
	(void)context;
}

void context_gregs(const ucontext_t *context, uint64_t gregs_out[RECORD_GREGS])
{
	zone_copy(gregs_out, &context->uc_mcontext, RECORD_GREGS * 8);
}

bool is_fault_greg(size_t i)
{
	return i == GREG_FAULT;
}

/* xpaclri, which does nothing where there are no signatures. */
uint64_t code_address(uint64_t address)
{
	register uint64_t x30 __asm__("x30") = address;

	__asm__ volatile("hint #7" : "+r"(x30));
	return x30;
}

void save_registers(const ucontext_t *context)
{
	context_gregs(context, zone.record.gregs);
}

uint64_t xstate_address(const ucontext_t *context)
{
	return (uint64_t)(uintptr_t)context->uc_mcontext.__reserved;
}

/* To the end of the records, or all that there is room for where that is not
 * known; of what they say lies elsewhere, as much as follows them directly,
 * which is where the kernel puts it. */
size_t xstate_len(uint64_t address)
{
	struct extra_context record;
	size_t at = 0, end = 0;

	for (int i = 0; i < MAX_RECORDS && at + sizeof(record) <= RECORDS_BYTES;
	     i++) {
		if (copy_safely(address + at, &record, sizeof(record)) !=
		    sizeof(record))
			return RECORDS_BYTES;
		if (record.head.magic == EXTRA_MAGIC)
			end = (size_t)(record.datap + record.size - address);
		if (record.head.size < sizeof(record.head))
			break;
		at += record.head.size;
	}
	if (end > at && end <= RECORD_XSTATE)
		return end;
	return at + sizeof(record.head);
}

uint64_t context_sp(const ucontext_t *context)
{
	return context->uc_mcontext.sp;
}

/* A breakpoint leaves pc where it is. A trapped system call has been passed,
 * and what it returns with is in x0 again. */
void rewind_context(int sig, const siginfo_t *si, ucontext_t *context)
{
	if (sig != SIGSYS)
		return;
	context->uc_mcontext.pc -= 4;
	context->uc_mcontext.regs[8] = (uint64_t)(uint32_t)si->si_syscall;
}

/* The instructions by which valgrind lets itself be asked (valgrind.h): to a
 * processor they do nothing. */
bool is_emulated(void)
{
	uint64_t request[6] = { 0x1001 /* RUNNING_ON_VALGRIND */ };
	register uint64_t x3 __asm__("x3") = 0; /* the answer */
	register uint64_t *x4 __asm__("x4") = request;

	__asm__ volatile("ror x12, x12, #3\n\t"
			 "ror x12, x12, #13\n\t"
			 "ror x12, x12, #51\n\t"
			 "ror x12, x12, #61\n\t"
			 "orr x10, x10, x10"
			 : "+r"(x3)
			 : "r"(x4)
			 : "cc", "memory");
	return x3 != 0;
}

bool at_abort_trap(const ucontext_t *context)
{
	int32_t instruction = 0;

	copy_safely(context->uc_mcontext.pc, &instruction,
		    sizeof(instruction));
	return instruction == ABORT_BRK;
}

void context_to_user(const ucontext_t *context, uint64_t regs_out[RECORD_USER])
{
	zone_copy(regs_out, context->uc_mcontext.regs, 31 * 8);
	regs_out[USER_SP] = context->uc_mcontext.sp;
	regs_out[USER_PC] = context->uc_mcontext.pc;
	regs_out[USER_PSTATE] = context->uc_mcontext.pstate;
	regs_out[USER_THREAD] = thread_pointer();
}

void place_to_user(uint64_t pc, uint64_t sp, uint64_t regs_out[RECORD_USER])
{
	zone_fill(regs_out, 0, RECORD_USER * 8);
	regs_out[USER_PC] = pc;
	regs_out[USER_SP] = sp;
}

long read_user(int32_t tid, uint64_t regs_out[RECORD_USER])
{
	struct { void *base; size_t len; } regs = { regs_out, USER_THREAD * 8 };
	struct { void *base; size_t len; } tls = { regs_out + USER_THREAD, 8 };

	regs_out[USER_THREAD] = 0;
	sys4(ptrace, PTRACE_GETREGSET, tid, NT_THREAD, &tls);
	return sys4(ptrace, PTRACE_GETREGSET, tid, NT_PRSTATUS, &regs);
}

uint64_t user_sp(const uint64_t regs[RECORD_USER])
{
	return regs[USER_SP];
}

uint64_t user_tcb(const uint64_t regs[RECORD_USER])
{
	return regs[USER_THREAD];
}

/* Of guarded control stacks nothing is known yet. */
uint64_t user_shadow(const uint64_t regs[RECORD_USER])
{
	(void)regs;
	return 0;
}

uint64_t shadow_pointer(void)
{
	return 0;
}

void fail_call(ucontext_t *context)
{
	context->uc_mcontext.regs[0] = (uint64_t)-38; /* ENOSYS */
}

/* The registers up to pstate; the records behind them stay. */
void become_context(ucontext_t *context, const ucontext_t *from)
{
	zone_copy(&context->uc_mcontext, &from->uc_mcontext, RECORD_GREGS * 8);
	zone_copy(&context->uc_sigmask, &from->uc_sigmask, KERNEL_SIGSET);
}

uint64_t current_sp(void)
{
	uint64_t sp;

	__asm__ volatile("mov %0, sp" : "=r"(sp));
	return sp;
}

/* crash_on_stack() is called by its name, so that this is no indirect call. */
void call_on_stack(void *top)
{
	register void *x9 __asm__("x9") = top;

	__asm__ volatile("mov x19, sp\n\t"
			 "mov sp, x9\n\t"
			 "bl crash_on_stack\n\t"
			 "mov sp, x19"
			 : "+r"(x9)
			 :
			 : "x0", "x1", "x2", "x3", "x4", "x5", "x6", "x7", "x8",
			   "x10", "x11", "x12", "x13", "x14", "x15", "x16",
			   "x17", "x18", "x19", "x30", "memory", "cc", "v0",
			   "v1", "v2", "v3", "v4", "v5", "v6", "v7", "v16",
			   "v17", "v18", "v19", "v20", "v21", "v22", "v23",
			   "v24", "v25", "v26", "v27", "v28", "v29", "v30",
			   "v31");
}
