/* The one place that chooses between the files of an architecture: system
 * calls, and the layouts that record.h and the zone have to know. */
#ifndef EPITAPH_SIGNAL_ARCH_H
#define EPITAPH_SIGNAL_ARCH_H

#if defined(__x86_64__)
#include "layout_x86_64.h"
#include "syscall_x86_64.h"
#elif defined(__aarch64__)
#include "layout_aarch64.h"
#include "syscall_aarch64.h"
#else
#error "no files for this architecture"
#endif

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

#endif
