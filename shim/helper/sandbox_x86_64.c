/* What the helper may ask of the kernel once it reads what the dead process
 * left: read it, keep a file in the spool, speak to the collector. It runs no
 * program, maps no code, touches no other process and opens no other kind of
 * socket; whatever a hostile process makes of our parsers, that remains. What
 * is refused fails with EPERM instead of killing us, because a report is worth
 * more than a call that some libc makes in passing. */
#include "sandbox.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#define LOAD(field)                                                            \
	BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
/* The lower half of an argument; x86-64 is little-endian. */
#define LOAD_ARGUMENT(n) LOAD(args[n])
#define RETURN(action) BPF_STMT(BPF_RET | BPF_K, action)
#define REFUSE RETURN(SECCOMP_RET_ERRNO | EPERM)
#define ALLOW RETURN(SECCOMP_RET_ALLOW)
#define IF_NOT(value, skip)                                                    \
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 0, skip)
#define IF(value, skip) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, skip, 0)
#define MAY(name) IF_NOT(SYS_##name, 1), ALLOW

/* The most frequent first. */
static struct sock_filter filter[] = {
	LOAD(arch),
	IF(AUDIT_ARCH_X86_64, 1),
	REFUSE,
	LOAD(nr),
	MAY(pread64),
	MAY(process_vm_readv),
	MAY(read),
	MAY(write),
	MAY(close),
	MAY(openat),
	MAY(brk),
	MAY(munmap),
	MAY(mremap),
	MAY(madvise),
	MAY(clock_gettime),
	MAY(newfstatat),
	MAY(fstat),
	MAY(lseek),
	MAY(getdents64),
	MAY(fsync),
	MAY(fdatasync),
	MAY(sync_file_range),
	MAY(fstatfs),
	MAY(renameat),
	MAY(unlinkat),
	MAY(mkdir),
	MAY(mkdirat),
	MAY(faccessat),
	MAY(faccessat2),
	MAY(readlink),
	MAY(readlinkat),
	MAY(fcntl),
	MAY(flock),
	MAY(uname),
	MAY(getrandom),
	MAY(getpid),
	MAY(getuid),
	MAY(geteuid),
	MAY(setsid),
	MAY(connect),
	MAY(poll),
	MAY(getsockopt),
	MAY(setsockopt),
	MAY(sendto),
	MAY(recvfrom),
	MAY(shutdown),
	MAY(rt_sigaction),
	MAY(rt_sigprocmask),
	MAY(rt_sigreturn),
	MAY(restart_syscall),
	MAY(futex),
	MAY(exit),
	MAY(exit_group),
	IF_NOT(SYS_mmap, 4),
	LOAD_ARGUMENT(2),
	BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, PROT_EXEC, 0, 1),
	REFUSE,
	ALLOW,
	IF_NOT(SYS_mprotect, 4),
	LOAD_ARGUMENT(2),
	BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, PROT_EXEC, 0, 1),
	REFUSE,
	ALLOW,
	IF_NOT(SYS_socket, 5),
	LOAD_ARGUMENT(0),
	IF(AF_UNIX, 2),
	IF(AF_INET, 1),
	IF_NOT(AF_INET6, 1),
	ALLOW,
	REFUSE,
};

bool sandbox_enter(void)
{
	struct sock_fprog program = {
		.len = sizeof(filter) / sizeof(filter[0]),
		.filter = filter,
	};

	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
	       prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}
