/* The signal frame of AArch64, as the kernel builds it: the siginfo, the
 * context, whose last part are records of extended state that may go on behind
 * it, and a frame record of the interrupted function. A handler of the
 * program's that asked for no alternate stack is to find it on the stack that
 * was interrupted, so it is moved there as a whole. */
#include "zone.h"

enum { FRAME_MAX = 1 << 20 }; /* the records of SVE and SME: up to 87 KiB */

/* The kernel's struct rt_sigframe. */
struct frame {
	uint8_t siginfo[128];
	uint64_t flags, link;
	stack_t stack;
	uint64_t mask;
	uint8_t unused[120];
	mcontext_t registers;
};

_Static_assert(offsetof(struct frame, registers) -
			       offsetof(struct frame, flags) ==
		       offsetof(ucontext_t, uc_mcontext),
	       "layout of a signal frame");

/* Its value is compared, and nothing is read through it. */
__attribute__((noinline)) uintptr_t thread_pointer(void)
{
	uintptr_t pointer;

	__asm__ volatile("mrs %0, tpidr_el0" : "=r"(pointer));
	return pointer;
}

static struct frame *frame_of(const ucontext_t *context)
{
	return (struct frame *)((uintptr_t)context -
				offsetof(struct frame, flags));
}

/* The record of FRAME that says where more are, or NULL. */
static struct extra_context *find_extra(struct frame *frame)
{
	uint8_t *records = frame->registers.__reserved;
	size_t at = 0;

	while (at + sizeof(struct extra_context) <=
	       sizeof(frame->registers.__reserved)) {
		struct extra_context *extra = (void *)(records + at);

		if (extra->head.magic == EXTRA_MAGIC)
			return extra;
		if (extra->head.size < sizeof(extra->head))
			return NULL;
		at += extra->head.size;
	}
	return NULL;
}

/* Bytes from the siginfo to the end of the last record. */
static size_t frame_len(struct frame *frame)
{
	const struct extra_context *extra = find_extra(frame);

	if (!extra)
		return sizeof(*frame);
	return (size_t)(extra->datap + extra->size - (uintptr_t)frame);
}

/* Of the alternate stack the copy says NULL, size 0, which is what a process
 * has that never set one, and what the kernel ignores at the return: it leaves
 * ours in its place. Where the program's own was used, it stays named. */
ucontext_t *move_frame(const ucontext_t *context, bool hide_stack,
		       struct thread_slot *slot)
{
	struct frame *from = frame_of(context), *to;
	uint64_t sp = context->uc_mcontext.sp, at;
	size_t len = frame_len(from);
	uint64_t chain[2] = { context->uc_mcontext.regs[29],
			      context->uc_mcontext.regs[30] };
	struct extra_context *extra;

	if (len > FRAME_MAX || sp < len + sizeof(chain) + ZONE_PAGE)
		return NULL;
	at = (sp - len - sizeof(chain)) & ~15ull;
	if (!has_room(at, sp, slot))
		return NULL;
	to = (struct frame *)(uintptr_t)at;
	zone_copy(to, from, len);
	zone_copy((uint8_t *)to + len, chain, sizeof(chain));
	extra = find_extra(to);
	if (extra)
		extra->datap += at - (uintptr_t)from;
	if (hide_stack)
		zone_fill(&to->stack, 0, sizeof(to->stack));
	return (ucontext_t *)(void *)&to->flags;
}

siginfo_t *frame_siginfo(ucontext_t *context)
{
	return (void *)frame_of(context)->siginfo;
}

/* The second of the zone's indirect jumps. All is as the kernel leaves it for a
 * handler: sp at the frame, x29 at the record behind it, and the restorer to
 * return to. */
void enter_frame(int sig, siginfo_t *si, ucontext_t *context,
		 uintptr_t handler)
{
	struct frame *frame = frame_of(context);
	register long x0 __asm__("x0") = sig;
	register siginfo_t *x1 __asm__("x1") = si;
	register ucontext_t *x2 __asm__("x2") = context;
	register uintptr_t x16 __asm__("x16") = handler;
	register struct frame *x4 __asm__("x4") = frame;
	register uintptr_t x5 __asm__("x5") =
		(uintptr_t)frame + frame_len(frame);
	register void (*x6)(void) __asm__("x6") = zone_restorer;

	__asm__ volatile("mov x29, x5\n\t"
			 "mov x30, x6\n\t"
			 "mov sp, x4\n\t"
			 "br x16"
			 :
			 : "r"(x0), "r"(x1), "r"(x2), "r"(x16), "r"(x4),
			   "r"(x5), "r"(x6)
			 : "memory");
	__builtin_unreachable();
}
