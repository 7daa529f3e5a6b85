/* What the kernel and this process's surroundings allow, tried out on a child
 * of our own where it can be tried. */
#include "doctor.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	INITIAL_PID_NS = 0xeffffffc, /* linux/proc_ns.h: PROC_PID_INIT_INO */
	FEW_PROCESSES = 64,
};

/* The first line of PATH; false where it cannot be read. */
static bool read_line(const char *path, char *out, size_t cap)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return false;
	n = read(fd, out, cap - 1);
	close(fd);
	if (n < 0)
		return false;
	out[n] = '\0';
	out[strcspn(out, "\n")] = '\0';
	return true;
}

static void check_kernel(struct doctor *doctor)
{
	unsigned long major, minor = 0;
	struct check *check;
	struct utsname uts;
	char *end;

	if (uname(&uts) != 0)
		return;
	major = strtoul(uts.release, &end, 10);
	if (*end == '.')
		minor = strtoul(end + 1, NULL, 10);
	check = doctor_add(doctor, "kernel", FINDING_OK, "Linux %s, %s",
			   uts.release, uts.machine);
	if (major < 5 || (major == 5 && minor < 3)) {
		check->finding = FINDING_FAIL;
		doctor_advise(check, "Linux 5.3 or later is needed");
	} else if (major == 5 && minor < 16) {
		check->finding = FINDING_WARN;
		doctor_advise(check, "before 5.16 a core dump kills the "
			      "witness too: processes wait for their report");
	}
	if (strcmp(uts.machine, "x86_64") != 0) {
		check->finding = FINDING_FAIL;
		doctor_advise(check, "x86_64 is the only machine so far");
	}
}

/* A child that does nothing until it is killed. */
static pid_t start_idle(void)
{
	pid_t pid = fork();

	if (pid == 0) {
		for (;;)
			pause();
	}
	return pid;
}

static void end_idle(pid_t pid)
{
	kill(pid, SIGKILL);
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
}

/* SEIZE, INTERRUPT, GETREGSET: what the witness does. errno on failure. */
static bool can_trace(pid_t pid)
{
	uint8_t registers[512];
	struct iovec iov = { registers, sizeof(registers) };
	int status;

	if (ptrace(PTRACE_SEIZE, pid, NULL, NULL) != 0 ||
	    ptrace(PTRACE_INTERRUPT, pid, NULL, NULL) != 0 ||
	    waitpid(pid, &status, __WALL) != pid)
		return false;
	return ptrace(PTRACE_GETREGSET, pid, (void *)1 /* NT_PRSTATUS */,
		      &iov) == 0;
}

static void check_ptrace(struct doctor *doctor)
{
	static const char word[] = "epitaph";
	char copy[sizeof(word)];
	struct iovec to = { copy, sizeof(copy) };
	struct iovec from = { (void *)(uintptr_t)word, sizeof(word) };
	pid_t pid = start_idle();
	struct check *check;

	if (pid < 0) {
		doctor_add(doctor, "ptrace", FINDING_FAIL, "fork: %m");
		return;
	}
	if (process_vm_readv(pid, &to, 1, &from, 1, 0) == sizeof(word) &&
	    memcmp(copy, word, sizeof(word)) == 0) {
		doctor_add(doctor, "memory", FINDING_OK,
			   "process_vm_readv works");
	} else {
		check = doctor_add(doctor, "memory", FINDING_WARN,
				   "process_vm_readv: %m");
		doctor_advise(check, "allow it in the seccomp profile; "
			      "/proc/PID/mem is used meanwhile");
	}
	if (can_trace(pid)) {
		doctor_add(doctor, "ptrace", FINDING_OK,
			   "threads can be stopped and read");
	} else {
		check = doctor_add(doctor, "ptrace", FINDING_FAIL,
				   "stopping a child: %m");
		doctor_advise(check, "in a container: --cap-add=SYS_PTRACE, "
			      "or a seccomp profile that allows ptrace");
	}
	end_idle(pid);
}

static void check_yama(struct doctor *doctor)
{
	struct check *check;
	char scope[16];

	if (!read_line("/proc/sys/kernel/yama/ptrace_scope", scope,
		       sizeof(scope))) {
		doctor_add(doctor, "yama", FINDING_OK, "not there");
		return;
	}
	check = doctor_add(doctor, "yama", FINDING_OK, "ptrace_scope %s",
			   scope);
	if (scope[0] < '2')
		return;
	check->finding = scope[0] == '2' && geteuid() == 0 ? FINDING_OK
							   : FINDING_FAIL;
	if (check->finding == FINDING_FAIL)
		doctor_advise(check, "sysctl kernel.yama.ptrace_scope=1, or "
			      "reports have the crashing thread alone");
}

static void check_seccomp(struct doctor *doctor)
{
	FILE *status = fopen("/proc/self/status", "re");
	struct check *check;
	char line[256];
	int mode = 0;

	while (status && fgets(line, sizeof(line), status))
		if (strncmp(line, "Seccomp:", 8) == 0)
			mode = (int)strtol(line + 8, NULL, 10);
	if (status)
		fclose(status);
	if (mode == 0) {
		doctor_add(doctor, "seccomp", FINDING_OK, "no filter");
		return;
	}
	check = doctor_add(doctor, "seccomp", FINDING_WARN,
			   "a filter is on (mode %d)", mode);
	doctor_advise(check, "the probe below says whether it lets the shim "
		      "work");
}

static void check_pid_namespace(struct doctor *doctor)
{
	struct stat st;

	if (stat("/proc/self/ns/pid", &st) != 0) {
		doctor_add(doctor, "pid ns", FINDING_WARN,
			   "/proc/self/ns/pid: %m");
		return;
	}
	if (st.st_ino == (ino_t)(uint32_t)INITIAL_PID_NS)
		doctor_add(doctor, "pid ns", FINDING_OK, "the initial one: a "
			   "process is let go as soon as it is captured");
	else
		doctor_add(doctor, "pid ns", FINDING_OK, "a container's: a "
			   "process is let go once its report is on disk");
}

static bool is_low(int resource, rlim_t least)
{
	struct rlimit limit;

	return getrlimit((__rlimit_resource_t)resource, &limit) == 0 &&
	       limit.rlim_cur < least;
}

static void check_limits(struct doctor *doctor)
{
	struct check *check;

	if (is_low(RLIMIT_FSIZE, 1 << 20)) {
		check = doctor_add(doctor, "limits", FINDING_WARN,
				   "files may be no larger than 1 MiB");
		doctor_advise(check, "ulimit -f unlimited");
	} else if (is_low(RLIMIT_NPROC, FEW_PROCESSES)) {
		check = doctor_add(doctor, "limits", FINDING_WARN,
				   "fewer than %d processes are allowed",
				   FEW_PROCESSES);
		doctor_advise(check, "ulimit -u: a crash needs two more");
	} else {
		doctor_add(doctor, "limits", FINDING_OK,
			   "nothing in the way");
	}
}

static void check_core_pattern(struct doctor *doctor)
{
	char pattern[256];
	bool wanted = !is_low(RLIMIT_CORE, 1);

	if (!read_line("/proc/sys/kernel/core_pattern", pattern,
		       sizeof(pattern)))
		return;
	if (pattern[0] == '|')
		doctor_add(doctor, "core", FINDING_OK, "cores go to \"%s\", "
			   "as without us", pattern + 1);
	else
		doctor_add(doctor, "core", FINDING_OK, "%s (pattern \"%s\")",
			   wanted ? "cores are written, as without us"
				  : "no cores (ulimit -c 0)", pattern);
}

void doctor_check_host(struct doctor *doctor)
{
	check_kernel(doctor);
	check_ptrace(doctor);
	check_yama(doctor);
	check_seccomp(doctor);
	check_pid_namespace(doctor);
	check_limits(doctor);
	check_core_pattern(doctor);
}
