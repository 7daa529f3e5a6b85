/* The helper's filter, in a child each, because it is for good. */
#include "../../shim/helper/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "test.h"

static char page[4096] __attribute__((aligned(4096)));

/* True where CALL, made inside the sandbox, ends with 0. */
static bool inside(int (*call)(void))
{
	int status = -1;
	pid_t pid = fork();

	/* Not _exit(), before which the sanitizer makes calls of its own. */
	if (pid == 0)
		syscall(SYS_exit_group, sandbox_enter() ? call() : 99);
	return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0;
}

static bool is_refused(long result)
{
	return result < 0 && errno == EPERM;
}

static int run_programs(void)
{
	char *argv[] = { NULL };

	return !is_refused(execve("/bin/true", argv, argv)) ||
	       !is_refused(syscall(SYS_execveat, AT_FDCWD, "/bin/true", argv,
				   argv, 0)) ||
	       !is_refused(syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0)) ||
	       !is_refused(syscall(SYS_fork)) ||
	       !is_refused(syscall(SYS_vfork));
}

static int touch_others(void)
{
	struct iovec own = { page, 1 };

	return !is_refused(kill(getppid(), 0)) ||
	       !is_refused(syscall(SYS_tgkill, getppid(), getppid(), 0)) ||
	       !is_refused(ptrace(PTRACE_SEIZE, getppid(), 0, 0)) ||
	       !is_refused(process_vm_writev(getppid(), &own, 1, &own, 1, 0));
}

static int make_code(void)
{
	int all = PROT_READ | PROT_WRITE | PROT_EXEC;

	return mmap(NULL, 4096, all, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) !=
		       MAP_FAILED ||
	       errno != EPERM ||
	       !is_refused(mprotect(page, sizeof(page),
				    PROT_READ | PROT_EXEC));
}

static int change_the_machine(void)
{
	return !is_refused(setuid(0)) ||
	       !is_refused(mount("x", "/x", "tmpfs", 0, NULL)) ||
	       !is_refused(chroot("/")) ||
	       !is_refused(prctl(PR_SET_DUMPABLE, 1)) ||
	       !is_refused(syscall(SYS_bpf, 0, page, 0)) ||
	       !is_refused(syscall(SYS_io_uring_setup, 1, page)) ||
	       !is_refused(socket(AF_NETLINK, SOCK_RAW, 0)) ||
	       !is_refused(socket(AF_PACKET, SOCK_RAW, 0));
}

static int use_other_numbers(void)
{
	/* x32's getpid. */
	return !is_refused(syscall(0x40000000 | SYS_getpid));
}

static int make_a_report(void)
{
	char name[] = "/tmp/epitaph-sandbox.part";
	struct iovec own = { page, 8 };
	int fd = open(name, O_CREAT | O_WRONLY | O_TRUNC, 0600);
	void *more = mmap(NULL, 8192, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (fd < 0 || write(fd, page, 8) != 8 || fsync(fd) || close(fd) ||
	    renameat(AT_FDCWD, name, AT_FDCWD, "/tmp/epitaph-sandbox.end") ||
	    unlinkat(AT_FDCWD, "/tmp/epitaph-sandbox.end", 0))
		return 1;
	if (more == MAP_FAILED || munmap(more, 8192) ||
	    process_vm_readv(getpid(), &own, 1, &own, 1, 0) != 8)
		return 2;
	if (socket(AF_UNIX, SOCK_STREAM, 0) < 0 ||
	    socket(AF_INET, SOCK_STREAM, 0) < 0)
		return 3;
	return 0;
}

static void refuses(void)
{
	CHECK(inside(run_programs));
	CHECK(inside(touch_others));
	CHECK(inside(make_code));
	CHECK(inside(change_the_machine));
	CHECK(inside(use_other_numbers));
}

static void allows(void)
{
	CHECK(inside(make_a_report));
}

int main(void)
{
	static const struct test tests[] = {
		{ "what a report does not take is refused", refuses },
		{ "what a report takes is allowed", allows },
	};

	return TEST_RUN(tests);
}
