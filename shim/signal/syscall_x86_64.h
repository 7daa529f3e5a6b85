/* Raw system calls for x86-64: inline, returning -errno, so that errno and TLS
 * are never touched. libc's wrappers may enter cancellation handling, take
 * locks or write errno through %fs. */
#ifndef EPITAPH_SIGNAL_SYSCALL_X86_64_H
#define EPITAPH_SIGNAL_SYSCALL_X86_64_H

#include <sys/syscall.h>

static inline long syscall6(long nr, long a, long b, long c, long d, long e,
			    long f)
{
	long ret;
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;
	register long r9 __asm__("r9") = f;

	__asm__ volatile("syscall"
			 : "=a"(ret)
			 : "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8),
			   "r"(r9)
			 : "rcx", "r11", "memory");
	return ret;
}

static inline long syscall4(long nr, long a, long b, long c, long d)
{
	long ret;
	register long r10 __asm__("r10") = d;

	__asm__ volatile("syscall"
			 : "=a"(ret)
			 : "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10)
			 : "rcx", "r11", "memory");
	return ret;
}

static inline long syscall3(long nr, long a, long b, long c)
{
	long ret;

	__asm__ volatile("syscall"
			 : "=a"(ret)
			 : "a"(nr), "D"(a), "S"(b), "d"(c)
			 : "rcx", "r11", "memory");
	return ret;
}

#define sys0(nr) syscall3(SYS_##nr, 0, 0, 0)
#define sys1(nr, a) syscall3(SYS_##nr, (long)(a), 0, 0)
#define sys2(nr, a, b) syscall3(SYS_##nr, (long)(a), (long)(b), 0)
#define sys3(nr, a, b, c) syscall3(SYS_##nr, (long)(a), (long)(b), (long)(c))
#define sys4(nr, a, b, c, d)                                                   \
	syscall4(SYS_##nr, (long)(a), (long)(b), (long)(c), (long)(d))
#define sys5(nr, a, b, c, d, e)                                                \
	syscall6(SYS_##nr, (long)(a), (long)(b), (long)(c), (long)(d),         \
		 (long)(e), 0)
#define sys6(nr, a, b, c, d, e, f)                                             \
	syscall6(SYS_##nr, (long)(a), (long)(b), (long)(c), (long)(d),         \
		 (long)(e), (long)(f))

/* clone(2) onto the stack that ends at TOP. The child calls FUNCTION, a symbol
 * and not a pointer, so that the zone has no indirect call; FUNCTION must not
 * return. Yields the child's tid or -errno in the parent. */
#define sys_clone_calling(function, flags, top, ctid)                          \
	__extension__({                                                        \
		long clone_ret;                                                \
		register long clone_r10 __asm__("r10") = (long)(ctid);         \
		register long clone_r8 __asm__("r8") = 0;                      \
		__asm__ volatile("syscall\n\t"                                 \
				 "test %%rax, %%rax\n\t"                       \
				 "jnz 1f\n\t"                                  \
				 "xor %%ebp, %%ebp\n\t"                        \
				 "call " #function "\n\t"                      \
				 "hlt\n"                                       \
				 "1:"                                          \
				 : "=a"(clone_ret)                             \
				 : "a"(SYS_clone), "D"((long)(flags)),         \
				   "S"((long)(top)), "d"(0L), "r"(clone_r10),  \
				   "r"(clone_r8)                               \
				 : "rcx", "r11", "memory");                    \
		clone_ret;                                                     \
	})

#endif
