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

/* Calls that not every architecture has by these names. The oldest of each are
 * those that a filter is most likely to let through. */
#define sys_open(path, flags, mode)                                            \
	syscall3(SYS_open, (long)(path), (long)(flags), (long)(mode))
#define sys_stat(path, st) syscall3(SYS_stat, (long)(path), (long)(st), 0)
#define sys_mkdir(path, mode) syscall3(SYS_mkdir, (long)(path), (long)(mode), 0)
#define sys_readlink(path, to, len)                                            \
	syscall3(SYS_readlink, (long)(path), (long)(to), (long)(len))
#define sys_poll(fds, n, ms)                                                   \
	syscall3(SYS_poll, (long)(fds), (long)(n), (long)(ms))
/* Seconds since the epoch. */
#define sys_time() syscall3(SYS_time, 0, 0, 0)

/* For who judges a filter: what seccomp calls the machine, and its own among
 * the calls that we make. */
#define OWN_AUDIT_ARCH 0xc000003eu
#define OWN_CALLS                                                              \
	{ SYS_arch_prctl, { 0x1003 } }, { SYS_open, { 0 } },                   \
	{ SYS_poll, { 0 } }, { SYS_readlink, { 0 } }

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
