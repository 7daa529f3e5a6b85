/* Raw system calls for AArch64: inline, returning -errno, so that errno and TLS
 * are never touched. libc's wrappers may enter cancellation handling, take
 * locks or write errno. */
#ifndef EPITAPH_SIGNAL_SYSCALL_AARCH64_H
#define EPITAPH_SIGNAL_SYSCALL_AARCH64_H

#include <sys/syscall.h>

static inline long syscall6(long nr, long a, long b, long c, long d, long e,
			    long f)
{
	register long x8 __asm__("x8") = nr;
	register long x0 __asm__("x0") = a;
	register long x1 __asm__("x1") = b;
	register long x2 __asm__("x2") = c;
	register long x3 __asm__("x3") = d;
	register long x4 __asm__("x4") = e;
	register long x5 __asm__("x5") = f;

	__asm__ volatile("svc #0"
			 : "+r"(x0)
			 : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5)
			 : "memory");
	return x0;
}

static inline long syscall4(long nr, long a, long b, long c, long d)
{
	register long x8 __asm__("x8") = nr;
	register long x0 __asm__("x0") = a;
	register long x1 __asm__("x1") = b;
	register long x2 __asm__("x2") = c;
	register long x3 __asm__("x3") = d;

	__asm__ volatile("svc #0"
			 : "+r"(x0)
			 : "r"(x8), "r"(x1), "r"(x2), "r"(x3)
			 : "memory");
	return x0;
}

static inline long syscall3(long nr, long a, long b, long c)
{
	register long x8 __asm__("x8") = nr;
	register long x0 __asm__("x0") = a;
	register long x1 __asm__("x1") = b;
	register long x2 __asm__("x2") = c;

	__asm__ volatile("svc #0"
			 : "+r"(x0)
			 : "r"(x8), "r"(x1), "r"(x2)
			 : "memory");
	return x0;
}

/* What other architectures have by older names, AT_FDCWD where they have no
 * directory. */
#define sys_open(path, flags, mode)                                            \
	syscall4(SYS_openat, -100, (long)(path), (long)(flags), (long)(mode))
#define sys_stat(path, st)                                                     \
	syscall4(SYS_newfstatat, -100, (long)(path), (long)(st), 0)
#define sys_mkdir(path, mode)                                                  \
	syscall3(SYS_mkdirat, -100, (long)(path), (long)(mode))
#define sys_readlink(path, to, len)                                            \
	syscall4(SYS_readlinkat, -100, (long)(path), (long)(to), (long)(len))

/* poll(2), of N file descriptors FDS, for at most MS. */
static inline long sys_poll(void *fds, long n, long ms)
{
	long limit[2] = { ms / 1000, ms % 1000 * 1000000 };

	return syscall6(SYS_ppoll, (long)fds, n, (long)limit, 0, 8, 0);
}

/* Seconds since the epoch, by the oldest clock that there is. */
static inline long sys_time(void)
{
	long now[2] = { 0, 0 };

	syscall3(SYS_gettimeofday, (long)now, 0, 0);
	return now[0];
}

/* For who judges a filter: what seccomp calls the machine, and its own among
 * the calls that we make. */
#define OWN_AUDIT_ARCH 0xc00000b7u
#define OWN_CALLS { SYS_ppoll, { 0 } }, { SYS_readlinkat, { 0 } }

/* clone(2) onto the stack that ends at TOP. The child calls FUNCTION, a symbol
 * and not a pointer, so that the zone has no indirect call; FUNCTION must not
 * return. Yields the child's tid or -errno in the parent. */
#define sys_clone_calling(function, flags, top, ctid)                          \
	__extension__({                                                        \
		register long clone_x8 __asm__("x8") = SYS_clone;              \
		register long clone_x0 __asm__("x0") = (long)(flags);          \
		register long clone_x1 __asm__("x1") = (long)(top);            \
		register long clone_x2 __asm__("x2") = 0;                      \
		register long clone_x3 __asm__("x3") = 0; /* thread pointer */ \
		register long clone_x4 __asm__("x4") = (long)(ctid);           \
		__asm__ volatile("svc #0\n\t"                                  \
				 "cbnz x0, 1f\n\t"                             \
				 "mov x29, xzr\n\t"                            \
				 "mov x30, xzr\n\t"                            \
				 "bl " #function "\n\t"                        \
				 "brk #1\n"                                    \
				 "1:"                                          \
				 : "+r"(clone_x0)                              \
				 : "r"(clone_x8), "r"(clone_x1),               \
				   "r"(clone_x2), "r"(clone_x3), "r"(clone_x4) \
				 : "memory");                                  \
		clone_x0;                                                      \
	})

#endif
