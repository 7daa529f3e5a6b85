/* The signal frame of x86-64, as the kernel builds it: the return address, the
 * context, the siginfo, and further up the extended state. A handler of the
 * program's that asked for no alternate stack is to find it on the stack that
 * was interrupted, so it is moved there as a whole. */
#include "zone.h"

enum {
	FPSTATE_SIZE_OFFSET = 464, /* of struct _fpx_sw_bytes: magic, size */
	FPSTATE_MAGIC = 0x46505853,
	FPSTATE_BYTES = 512, /* where there is no magic */
	FPSTATE_MAX = 65536,
	FPSTATE_ALIGN = 64,
};

/* Its ucontext ends with the first word of the signal mask. */
struct frame {
	uint64_t restorer;
	uint64_t flags, link;
	stack_t stack;
	mcontext_t registers;
	uint64_t mask;
	uint8_t siginfo[128];
};

_Static_assert(offsetof(struct frame, mask) - offsetof(struct frame, flags) ==
	       offsetof(ucontext_t, uc_sigmask), "layout of a signal frame");

uintptr_t thread_pointer(void)
{
	uintptr_t pointer = 0;

	sys2(arch_prctl, 0x1003 /* ARCH_GET_FS */, &pointer);
	return pointer;
}

static size_t state_size(const uint8_t *state)
{
	uint32_t software[2];

	zone_copy(software, state + FPSTATE_SIZE_OFFSET, sizeof(software));
	if (software[0] != FPSTATE_MAGIC || software[1] < FPSTATE_BYTES)
		return FPSTATE_BYTES;
	return software[1];
}

/* Of the alternate stack the copy says NULL, size 0, which is what a process
 * has that never set one, and what the kernel ignores at the return: it leaves
 * ours in its place. Where the program's own was used, it stays named. */
ucontext_t *move_frame(const ucontext_t *context, bool hide_stack,
		       struct thread_slot *slot)
{
	const struct frame *from =
		(const void *)((uintptr_t)context -
			       offsetof(struct frame, flags));
	const uint8_t *state = (const void *)context->uc_mcontext.fpregs;
	uint64_t sp = (uint64_t)context->uc_mcontext.gregs[GREG_RSP] - RED_ZONE;
	size_t len = state ? state_size(state) : 0;
	uint64_t to_state, at;
	struct frame *to;

	if (len > FPSTATE_MAX || sp < len + sizeof(*to) + ZONE_PAGE)
		return NULL;
	to_state = (sp - len) & ~(uint64_t)(FPSTATE_ALIGN - 1);
	at = ((to_state - sizeof(*to)) & ~15ull) - 8;
	if (!has_room(at, sp, slot))
		return NULL;
	to = (struct frame *)(uintptr_t)at;
	zone_copy(to, from, sizeof(*to));
	if (state) {
		zone_copy((void *)(uintptr_t)to_state, state, len);
		to->registers.fpregs = (fpregset_t)(uintptr_t)to_state;
	}
	if (hide_stack)
		zone_fill(&to->stack, 0, sizeof(to->stack));
	return (ucontext_t *)(void *)&to->flags;
}

siginfo_t *frame_siginfo(ucontext_t *context)
{
	return (void *)((uint8_t *)context - offsetof(struct frame, flags) +
			offsetof(struct frame, siginfo));
}

/* void enter_frame(int sig, siginfo_t *si, void *context, uintptr_t handler):
 * the second of the zone's indirect jumps. The stack is as the kernel leaves it
 * for a handler: its top is the address of the restorer. */
__asm__(".text\n"
	".globl enter_frame\n"
	".hidden enter_frame\n"
	".type enter_frame, @function\n"
	"enter_frame:\n"
	"	lea -8(%rdx), %rsp\n"
	"	xor %eax, %eax\n"
	"	jmp *%rcx\n"
	".size enter_frame, . - enter_frame\n");
