/* Runs a program, under the shim by what ARGs say (`env LD_PRELOAD=SHIM`),
 * and lets a system call of its crash fail:
 *
 *     inject [-s] [-f FAULT] [-e FAULT] SHIM LOG FUNCTIONS LIMIT_MS PROGRAM
 *            [ARG...]
 *
 * All of its calls come here first, by a seccomp filter that its children
 * inherit (SECCOMP_RET_USER_NOTIF). A call belongs to a role, by where it is
 * made and by whom: `start` is the shim's before any crash; `handler` the
 * crashing thread's, from its first one in FUNCTIONS (START-END,..., offsets
 * into SHIM) on; `sibling` another thread's in the shim after that; `witness`
 * and `exec` those tasks'; `helper` what is executed. FAULT of -f is
 * ROLE:INDEX:ERRNO, the INDEX-th call of ROLE, from 0; of -e ROLE:CALL:ERRNO,
 * all calls of that number. -s shows the filter to the shim, which is otherwise
 * told that there is none. LOG says what was seen:
 *
 *     call ROLE INDEX NUMBER OFFSET RESULT TEXT   RESULT is the errno, or 0;
 *                         OFFSET is into the shim, TEXT a path or -
 *     died STATUS MS      of the program, after its first call as handler
 *     hung                it did not, within LIMIT_MS of its start
 *     left PID            still there LIMIT_MS after that
 *
 * Against ptrace this has it that the witness can trace, that nothing stops a
 * task but what would without it, and that it reaches through an exec. */
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
	MAX_TASKS = 1024,
	MAX_RANGES = 8,
	MAX_PATH = 512,
	PR_GET_SECCOMP_CALL = 21,
};

enum role { OTHER, START, HANDLER, SIBLING, WITNESS, EXEC, HELPER, ROLES };

static const char *const role_names[ROLES] = {
	"other", "start", "handler", "sibling", "witness", "exec", "helper",
};

struct task {
	pid_t pid, group, parent;
	enum role role;     /* WITNESS and those behind it stay that */
	uint64_t base, end; /* of the shim in it; 0: not known */
};

struct fault {
	enum role role;
	long which; /* index, or number of a system call */
	int error;
	bool every;
};

struct range {
	uint64_t start, end;
};

static struct task tasks[MAX_TASKS];
static struct range crash_functions[MAX_RANGES];
static struct fault fault;
static bool show_filter;
static const char *shim;
static FILE *log_file;
static unsigned counts[ROLES];
static pid_t crashed, crashed_group;
static int64_t crashed_ms;

static void fail(const char *what)
{
	fprintf(stderr, "inject: %s: %s\n", what, strerror(errno));
	exit(99);
}

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Whose task PID is, and whose child. */
static void read_status(struct task *task)
{
	char path[64], line[256];
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/status", task->pid);
	file = fopen(path, "re");
	while (file && fgets(line, sizeof(line), file)) {
		sscanf(line, "Tgid: %d", &task->group);
		sscanf(line, "PPid: %d", &task->parent);
	}
	if (file)
		fclose(file);
}

static struct task *find(pid_t pid)
{
	struct task *free_one = NULL;

	for (size_t i = 0; i < MAX_TASKS; i++) {
		if (tasks[i].pid == pid)
			return &tasks[i];
		if (!tasks[i].pid && !free_one)
			free_one = &tasks[i];
	}
	if (!free_one)
		fail("too many tasks");
	*free_one = (struct task){ .pid = pid };
	read_status(free_one);
	return free_one;
}

static enum role role_of(pid_t pid)
{
	for (size_t i = 0; i < MAX_TASKS; i++) {
		if (tasks[i].pid == pid)
			return tasks[i].role;
	}
	return OTHER;
}

/* Where the shim's text lies in TASK; nothing changes where it is not there. */
static void find_shim(struct task *task)
{
	char path[64], line[4352], mode[8];
	unsigned long start, end, offset;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/maps", task->pid);
	file = fopen(path, "re");
	while (file && !task->end && fgets(line, sizeof(line), file)) {
		if (!strstr(line, shim) ||
		    sscanf(line, "%lx-%lx %7s %lx", &start, &end, mode,
			   &offset) != 4 || mode[2] != 'x')
			continue;
		task->base = start - offset;
		task->end = end;
	}
	if (file)
		fclose(file);
}

static bool is_crash(uint64_t offset)
{
	for (size_t i = 0; i < MAX_RANGES; i++) {
		if (offset >= crash_functions[i].start &&
		    offset < crash_functions[i].end)
			return true;
	}
	return false;
}

/* TASK makes call NR at OFFSET of the shim, or, with IN_SHIM false, elsewhere.
 * Witness and helper are told by who made them, and the task that keeps the
 * memory in the witness's place by what it does first: set its clock. */
static enum role find_role(const struct task *task, bool in_shim,
			   uint64_t offset, long nr)
{
	if (task->role == HELPER || task->role == WITNESS)
		return task->role;
	if (task->role == EXEC)
		return in_shim ? EXEC : HELPER;
	if (!in_shim)
		return OTHER;
	if (crashed && task->group != crashed_group) {
		if (task->parent == crashed_group)
			return WITNESS;
		if (role_of(task->parent) == WITNESS)
			return nr == SYS_setitimer ? WITNESS : EXEC;
	}
	if (task->pid == crashed)
		return HANDLER;
	if (task->group == crashed_group)
		return SIBLING;
	return is_crash(offset) ? HANDLER : START;
}

/* The number of the argument of call NR that is a path; -1: none is. */
static int path_argument(long nr)
{
	switch (nr) {
	case SYS_open: case SYS_stat: case SYS_mkdir: case SYS_readlink:
	case SYS_execve:
		return 0;
	case SYS_openat: case SYS_newfstatat: case SYS_mkdirat:
	case SYS_unlinkat: case SYS_renameat: case SYS_faccessat:
	case SYS_faccessat2: case SYS_readlinkat: case SYS_execveat:
		return 1;
	}
	return -1;
}

/* What CALL is about, for people and for rules; one word. */
static void describe(const struct seccomp_notif *call, char text_out[MAX_PATH])
{
	int i = path_argument(call->data.nr);
	struct iovec local = { text_out, MAX_PATH - 1 }, remote;
	ssize_t n = 0;

	if (i >= 0) {
		remote.iov_base = (void *)(uintptr_t)call->data.args[i];
		/* To the end of the page, which alone is sure to be there. */
		remote.iov_len = 4096 - (call->data.args[i] & 4095);
		if (remote.iov_len > local.iov_len)
			remote.iov_len = local.iov_len;
		n = process_vm_readv((pid_t)call->pid, &local, 1, &remote, 1,
				     0);
	} else if (call->data.nr == SYS_prctl || call->data.nr == SYS_ptrace ||
		   call->data.nr == SYS_fcntl) {
		int which = call->data.nr == SYS_fcntl;

		n = snprintf(text_out, MAX_PATH, "%llu",
			     (unsigned long long)call->data.args[which]);
	}
	text_out[n > 0 ? n : 0] = '\0';
	if (!text_out[0])
		memcpy(text_out, "-", sizeof("-"));
	for (char *at = text_out; *at; at++) {
		if (*at <= ' ')
			*at = '_';
	}
}

static bool is_fault(enum role role, unsigned index, long nr)
{
	if (role != fault.role || role == OTHER)
		return false;
	return fault.every ? nr == fault.which : index == fault.which;
}

static void answer(int listener, const struct seccomp_notif *call, int error)
{
	struct seccomp_notif_resp response = { .id = call->id };

	if (error)
		response.error = -error;
	else if (call->data.nr != SYS_prctl || show_filter ||
		 call->data.args[0] != PR_GET_SECCOMP_CALL)
		response.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
	/* ENOENT: it has been killed meanwhile. */
	if (ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &response) < 0 &&
	    errno != ENOENT)
		fail("SECCOMP_IOCTL_NOTIF_SEND");
}

static int note_call(struct task *task, const struct seccomp_notif *call,
		     uint64_t offset)
{
	unsigned index = counts[task->role]++;
	char text[MAX_PATH];
	int error = 0;

	if (task->role == HANDLER && !crashed) {
		crashed = task->pid;
		crashed_group = task->group;
		crashed_ms = now_ms();
	}
	if (is_fault(task->role, index, call->data.nr))
		error = fault.error;
	describe(call, text);
	fprintf(log_file, "call %s %u %d %lx %d %s\n", role_names[task->role],
		index, call->data.nr, (unsigned long)offset, error, text);
	return error;
}

static void serve(int listener)
{
	/* The instruction behind the call. */
	static const uint64_t syscall_bytes = 2;
	struct seccomp_notif call = { 0 };
	struct task *task;
	uint64_t pc;
	bool in_shim;
	int error = 0;

	if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &call) < 0) {
		if (errno != ENOENT && errno != EINTR)
			fail("SECCOMP_IOCTL_NOTIF_RECV");
		return;
	}
	task = find((pid_t)call.pid);
	if (!task->end && task->role != HELPER)
		find_shim(task);
	pc = call.data.instruction_pointer - syscall_bytes;
	in_shim = pc >= task->base && pc < task->end;
	task->role = find_role(task, in_shim, pc - task->base,
			       call.data.nr);
	if (task->role != OTHER)
		error = note_call(task, &call, in_shim ? pc - task->base : 0);
	answer(listener, &call, error);
	if (error)
		return;
	if (call.data.nr == SYS_exit || call.data.nr == SYS_exit_group)
		task->pid = 0;
	else if (call.data.nr == SYS_execve && task->role < WITNESS)
		task->base = task->end = 0;
}

/* The filter of this process and what it starts: all is asked about, but what
 * takes the listener to the one that answers. */
static int install_filter(void)
{
	static struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
			 offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_sendmsg, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
	};
	const struct sock_fprog program = {
		.len = sizeof(filter) / sizeof(filter[0]),
		.filter = filter,
	};

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
		return -1;
	/* A signal does not take back a call that is being answered: it would
	 * be made again, and counted twice. */
	return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
			    SECCOMP_FILTER_FLAG_NEW_LISTENER |
				    SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV,
			    &program);
}

union rights {
	struct cmsghdr head;
	char bytes[CMSG_SPACE(sizeof(int))];
};

static int pass(int socket, int fd, bool send)
{
	union rights rights = { .head = {
		.cmsg_len = CMSG_LEN(sizeof(int)),
		.cmsg_level = SOL_SOCKET,
		.cmsg_type = SCM_RIGHTS,
	} };
	char byte = 0;
	struct iovec data = { &byte, 1 };
	struct msghdr message = {
		.msg_iov = &data,
		.msg_iovlen = 1,
		.msg_control = &rights,
		.msg_controllen = sizeof(rights),
	};

	memcpy(CMSG_DATA(&rights.head), &fd, sizeof(fd));
	if ((send ? sendmsg(socket, &message, 0)
		  : recvmsg(socket, &message, MSG_CMSG_CLOEXEC)) != 1)
		return -1;
	memcpy(&fd, CMSG_DATA(&rights.head), sizeof(fd));
	return fd;
}

/* PROGRAM under the filter; *LISTENER_OUT is where it asks. */
static pid_t start(char **argv, int *listener_out)
{
	int ends[2];
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
		fail("socketpair");
	pid = fork();
	if (pid < 0)
		fail("fork");
	if (pid == 0) {
		if (pass(ends[1], install_filter(), true) < 0)
			_exit(98);
		execvp(argv[0], argv);
		_exit(98);
	}
	close(ends[1]);
	*listener_out = pass(ends[0], -1, false);
	if (*listener_out < 0)
		fail("no listener");
	close(ends[0]);
	return pid;
}

/* Reap what has ended. True once there is nobody left. */
static bool reap(pid_t program, bool *died)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, __WALL | WNOHANG)) > 0) {
		if (pid != program)
			continue;
		*died = true;
		fprintf(log_file, "died %d %lld\n", status,
			crashed ? (long long)(now_ms() - crashed_ms) : 0ll);
	}
	return pid < 0;
}

static void end_all(const char *why)
{
	for (size_t i = 0; i < MAX_TASKS; i++) {
		if (!tasks[i].pid || kill(tasks[i].pid, SIGKILL) != 0)
			continue;
		if (strcmp(why, "left") == 0)
			fprintf(log_file, "left %d %s\n", tasks[i].pid,
				role_names[tasks[i].role]);
	}
	if (strcmp(why, "hung") == 0)
		fprintf(log_file, "hung\n");
}

/* Answer until all are gone; those that stay beyond LIMIT_MS are ended. */
static void supervise(pid_t program, int listener, int limit_ms)
{
	sigset_t set;
	struct pollfd polls[2] = { { .fd = listener, .events = POLLIN } };
	int64_t until = now_ms() + limit_ms;
	struct signalfd_siginfo unused;
	bool died = false, was_dead;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	polls[1].fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	polls[1].events = POLLIN;
	while (was_dead = died, !reap(program, &died)) {
		int64_t rest = until - now_ms();

		if (died && !was_dead) {
			until = now_ms() + limit_ms;
			continue;
		}
		if (rest <= 0) {
			end_all(died ? "left" : "hung");
			until = now_ms() + limit_ms;
			continue;
		}
		poll(polls, 2, (int)rest);
		if (polls[0].revents & POLLIN)
			serve(listener);
		else if (polls[0].revents)
			polls[0].fd = -1; /* no task has the filter any more */
		while (read(polls[1].fd, &unused, sizeof(unused)) > 0)
			;
	}
}

static void parse_fault(char *text, bool every)
{
	char *role = strsep(&text, ":"), *which = strsep(&text, ":");

	fault.every = every;
	for (int i = START; role && i < ROLES; i++) {
		if (strcmp(role, role_names[i]) == 0)
			fault.role = (enum role)i;
	}
	fault.which = which ? strtol(which, NULL, 10) : 0;
	fault.error = text ? (int)strtol(text, NULL, 10) : 0;
	if (!fault.role || !fault.error) {
		errno = EINVAL;
		fail("FAULT");
	}
}

static void parse_functions(char *text)
{
	char *one;

	for (size_t i = 0; i < MAX_RANGES && (one = strsep(&text, ",")); i++)
		sscanf(one, "%lx-%lx", &crash_functions[i].start,
		       &crash_functions[i].end);
}

int main(int argc, char **argv)
{
	sigset_t set;
	int option, listener;
	pid_t program;

	while ((option = getopt(argc, argv, "+sf:e:")) > 0) {
		if (option == 's')
			show_filter = true;
		else if (option == 'f' || option == 'e')
			parse_fault(optarg, option == 'e');
		else
			return 2;
	}
	argv += optind;
	if (argc - optind < 5) {
		fprintf(stderr, "usage: inject [-s] [-f FAULT] [-e FAULT] SHIM "
				"LOG FUNCTIONS LIMIT_MS PROGRAM [ARG...]\n");
		return 2;
	}
	shim = argv[0];
	parse_functions(argv[2]);
	log_file = fopen(argv[1], "we");
	if (!log_file)
		fail(argv[1]);
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	if (prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0)
		fail("PR_SET_CHILD_SUBREAPER");
	program = start(argv + 4, &listener);
	sigprocmask(SIG_BLOCK, &set, NULL);
	supervise(program, listener, (int)strtol(argv[3], NULL, 10));
	fclose(log_file);
	return 0;
}
