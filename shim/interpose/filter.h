/* What a seccomp filter says to a system call, before it is in force. */
#ifndef EPITAPH_SHIM_FILTER_H
#define EPITAPH_SHIM_FILTER_H

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdint.h>

enum { FILTER_MAX = 4096 }; /* instructions; the kernel's limit */

/* The answer of FILTER, N instructions, to CALL: a SECCOMP_RET_*, with its
 * data. SECCOMP_RET_KILL_PROCESS where it is no filter that the kernel would
 * take. */
uint32_t filter_answer(const struct sock_filter *filter, size_t n,
		       const struct seccomp_data *call);

#endif
