/* Runs a program under the shim and single-steps what runs in the crash path:
 *
 *     trap SHIM SPOOL LOG PROGRAM [ARG...]
 *
 * From the first instruction of the shim's handler to the return from the
 * signal, each instruction of the thread is looked at before it is executed,
 * and so is each one of the witness and of the task that becomes the helper,
 * from their first instruction on. LOG says what was seen, for a test to judge;
 * addresses are offsets into the shim, ROLE is handler, witness or exec:
 *
 *     run ROLE COUNT          so many tasks were stepped
 *     pc ROLE OFFSET          an instruction that was executed
 *     call ROLE NUMBER        a system call that was made
 *     out ROLE FROM PC        the task left the shim, from FROM to PC
 *     status STATUS           of the program, as waitpid has it
 *
 * The witness seizes the program's other threads, so these are let go first;
 * and it is made with CLONE_UNTRACED, which is taken out of the call. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	MAX_TASKS = 512,
	MAX_TEXT = 1 << 20,  /* of the shim */
	MAX_NUMBER = 1024,   /* of system calls */
	MAX_RUNS = 40,       /* handled faults that are stepped; a program may
	                      * have a thousand of a kind */
	LET_GO_MS = 300,     /* for a thread that does not stop to be let go */
};

enum role { NO_ROLE, HANDLER, WITNESS, EXEC, ROLES };

static const char *const role_names[ROLES] = { "", "handler", "witness",
					       "exec" };

enum mode {
	FREE,  /* runs until something happens to it */
	PROBE, /* a signal is being delivered: to whose handler? */
	STEP,
};

struct task {
	pid_t pid, group;
	enum role role;
	enum mode mode;
	bool announced;  /* its maker's event has come */
	bool held;       /* stopped, until it has */
	bool leaving;    /* to be let go at its next stop */
	bool returning;  /* about to return from the signal */
	bool queued;     /* has sent itself a signal */
	siginfo_t kept;  /* that signal, for after the return; or 0 */
	uint64_t base, end; /* of the shim's text in it */
	uint64_t last;      /* offset of the instruction before */
};

static struct task tasks[MAX_TASKS];
static const char *shim;
static FILE *log_file;
static bool seen[ROLES][MAX_TEXT], called[ROLES][MAX_NUMBER];
static unsigned runs[ROLES];

static void fail(const char *what)
{
	fprintf(stderr, "trap: %s: %s\n", what, strerror(errno));
	exit(99);
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
	return free_one;
}

static pid_t group_of(pid_t pid)
{
	char path[64], line[256];
	int group = pid;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	file = fopen(path, "re");
	while (file && fgets(line, sizeof(line), file))
		sscanf(line, "Tgid: %d", &group);
	if (file)
		fclose(file);
	return group;
}

static uint64_t get(pid_t pid, size_t offset)
{
	return (uint64_t)ptrace(PTRACE_PEEKUSER, pid, offset, NULL);
}

#define GET(pid, reg) get(pid, offsetof(struct user_regs_struct, reg))

static void resume(struct task *task, int sig)
{
	int how = task->mode == FREE ? PTRACE_CONT : PTRACE_SINGLESTEP;

	ptrace((enum __ptrace_request)how, task->pid, NULL, (long)sig);
}

/* Where the shim's text lies in TASK; false where it is not there. */
static bool find_shim(struct task *task)
{
	char path[64], line[4352], mode[8];
	unsigned long start, end, offset;
	FILE *file;
	bool found = false;

	snprintf(path, sizeof(path), "/proc/%d/maps", task->pid);
	file = fopen(path, "re");
	while (file && !found && fgets(line, sizeof(line), file)) {
		if (!strstr(line, shim) ||
		    sscanf(line, "%lx-%lx %7s %lx", &start, &end, mode,
			   &offset) != 4 || mode[2] != 'x')
			continue;
		task->base = start - offset;
		task->end = end;
		found = true;
	}
	if (file)
		fclose(file);
	return found;
}

static bool in_shim(const struct task *task, uint64_t pc)
{
	return pc >= task->base && pc < task->end &&
	       pc - task->base < MAX_TEXT;
}

static void let_go(struct task *task, int status)
{
	int sig = status >> 16 ? 0 : WSTOPSIG(status);

	ptrace(PTRACE_DETACH, task->pid, NULL,
	       (long)(sig == SIGTRAP ? 0 : sig));
	task->pid = 0;
}

/* A thread in an uninterruptible call is let go when it comes back. */
static void let_one_go(struct task *task)
{
	int status = 0;
	pid_t got = 0;

	if (task->held) {
		let_go(task, SIGTRAP << 8);
		return;
	}
	ptrace(PTRACE_INTERRUPT, task->pid, NULL, NULL);
	for (int ms = 0; ms < LET_GO_MS && got == 0; ms++) {
		got = waitpid(task->pid, &status, __WALL | WNOHANG);
		if (got == 0)
			usleep(1000);
	}
	if (got == 0)
		task->leaving = true;
	else if (got < 0 || !WIFSTOPPED(status))
		task->pid = 0;
	else
		let_go(task, status);
}

/* What the witness must be able to seize. */
static void let_others_go(const struct task *task)
{
	for (size_t i = 0; i < MAX_TASKS; i++) {
		if (tasks[i].pid && &tasks[i] != task &&
		    tasks[i].group == task->group)
			let_one_go(&tasks[i]);
	}
}

static void start_run(struct task *task, enum role role)
{
	task->role = role;
	task->mode = STEP;
	task->returning = task->queued = false;
	task->kept.si_signo = 0;
	task->last = 0;
	runs[role]++;
}

/* The instruction at PC is a system call: which, and what has to be done about
 * it. */
static void note_call(struct task *task)
{
	uint64_t number = GET(task->pid, rax);

	if (number < MAX_NUMBER)
		called[task->role][number] = true;
	if (number == SYS_rt_sigreturn)
		task->returning = true;
	if (number == SYS_rt_tgsigqueueinfo || number == SYS_tgkill)
		task->queued = true;
	if (number == SYS_clone)
		ptrace(PTRACE_POKEUSER, task->pid,
		       offsetof(struct user_regs_struct, rdi),
		       GET(task->pid, rdi) & ~(uint64_t)CLONE_UNTRACED);
}

static void look(struct task *task)
{
	uint64_t pc = GET(task->pid, rip);
	long bytes;

	if (pc == UINT64_MAX) /* killed just now */
		return;
	if (!in_shim(task, pc)) {
		fprintf(log_file, "out %s %lx %lx\n", role_names[task->role],
			(unsigned long)task->last, (unsigned long)pc);
		task->mode = FREE;
		return;
	}
	task->last = pc - task->base;
	seen[task->role][task->last] = true;
	bytes = ptrace(PTRACE_PEEKTEXT, task->pid, pc, NULL);
	if ((bytes & 0xffff) == 0x050f) /* syscall */
		note_call(task);
}

/* The trap of a single step makes the kernel look for synchronous signals, and
 * then it takes any that is there, blocked or not: the one that the handler
 * has just queued to itself. That one is kept until the handler has returned.
 * False for one that came before: the fault of an instruction. */
static bool keep_signal(struct task *task)
{
	if (task->mode != STEP || !task->queued || task->kept.si_signo)
		return false;
	ptrace(PTRACE_GETSIGINFO, task->pid, NULL, &task->kept);
	ptrace(PTRACE_SINGLESTEP, task->pid, NULL, NULL);
	return true;
}

/* Whether the SIGTRAP that TASK has stopped for is that of a step, and not one
 * that it has queued. */
static bool is_step(const struct task *task)
{
	siginfo_t si;

	if (task->mode == FREE)
		return false;
	if (!task->queued || task->kept.si_signo)
		return true;
	ptrace(PTRACE_GETSIGINFO, task->pid, NULL, &si);
	return si.si_code == TRAP_TRACE || si.si_code == TRAP_BRKPT ||
	       si.si_code == SIGTRAP;
}

/* Out of the handler, with the signal that was kept. */
static void returned(struct task *task)
{
	int sig = task->kept.si_signo;

	task->role = NO_ROLE;
	task->mode = FREE;
	if (sig) {
		ptrace(PTRACE_SETSIGINFO, task->pid, NULL, &task->kept);
		task->kept.si_signo = 0;
		task->mode = PROBE;
	}
	resume(task, sig);
}

/* A signal has been delivered, or a single step been made. */
static void stepped(struct task *task)
{
	if (task->mode == STEP && task->returning) {
		returned(task);
		return;
	}
	if (task->mode == PROBE) {
		if (!find_shim(task) ||
		    !in_shim(task, GET(task->pid, rip))) {
			task->mode = FREE;
		} else {
			start_run(task, HANDLER);
			let_others_go(task);
		}
	}
	if (task->mode == STEP)
		look(task);
	resume(task, 0);
}

/* The witness is the handler's child; its own are the task that keeps the
 * memory in its place, whose end is to be seen as well, and the helper to be.
 */
static enum role child_role(const struct task *maker)
{
	if (maker->role == HANDLER)
		return WITNESS;
	return GET(maker->pid, rdi) & CLONE_CHILD_CLEARTID ? WITNESS : EXEC;
}

static void announce(struct task *maker, pid_t pid)
{
	struct task *task = find(pid);

	task->announced = true;
	task->group = group_of(pid);
	if (maker->mode == STEP) {
		task->base = maker->base;
		task->end = maker->end;
		start_run(task, child_role(maker));
	}
	if (!task->held)
		return;
	task->held = false;
	if (task->mode == STEP)
		look(task);
	resume(task, 0);
}

/* The helper is on its own; the program goes on. */
static void executed(struct task *task, int status)
{
	if (task->role == EXEC) {
		let_go(task, status);
		return;
	}
	task->mode = FREE;
	task->group = task->pid;
	resume(task, 0);
}

static void stopped(struct task *task, int status)
{
	int sig = WSTOPSIG(status), event = status >> 16;
	unsigned long message = 0;

	if (task->leaving) {
		let_go(task, status);
	} else if (event == PTRACE_EVENT_STOP && sig != SIGTRAP) {
		ptrace(PTRACE_LISTEN, task->pid, NULL, NULL);
	} else if (event == PTRACE_EVENT_STOP && !task->announced) {
		task->held = true;
	} else if (event == PTRACE_EVENT_STOP) {
		if (task->mode == STEP)
			look(task);
		resume(task, 0);
	} else if (event == PTRACE_EVENT_EXEC) {
		executed(task, status);
	} else if (event) {
		ptrace(PTRACE_GETEVENTMSG, task->pid, NULL, &message);
		announce(task, (pid_t)message);
		resume(task, 0);
	} else if (sig == SIGTRAP && is_step(task)) {
		stepped(task);
	} else if (!keep_signal(task)) {
		task->mode = runs[HANDLER] < MAX_RUNS ? PROBE : FREE;
		resume(task, sig);
	}
}

static pid_t start(char **argv, const char *spool)
{
	long options = PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK |
		       PTRACE_O_TRACEVFORK | PTRACE_O_TRACEEXEC |
		       PTRACE_O_EXITKILL;
	int gate[2];
	char go;
	pid_t pid;

	if (pipe(gate) != 0)
		fail("pipe");
	pid = fork();
	if (pid < 0)
		fail("fork");
	if (pid == 0) {
		close(gate[1]);
		if (read(gate[0], &go, 1) != 1)
			_exit(98);
		close(gate[0]);
		setenv("LD_PRELOAD", shim, 1);
		setenv("EPITAPH_SPOOL", spool, 1);
		execv(argv[0], argv);
		_exit(98);
	}
	close(gate[0]);
	if (ptrace(PTRACE_SEIZE, pid, NULL, options) != 0)
		fail("PTRACE_SEIZE");
	if (write(gate[1], "", 1) != 1)
		fail("write");
	close(gate[1]);
	*find(pid) = (struct task){ .pid = pid, .group = pid,
				    .announced = true };
	return pid;
}

static void write_log(int status)
{
	for (int role = HANDLER; role < ROLES; role++) {
		fprintf(log_file, "run %s %u\n", role_names[role], runs[role]);
		for (size_t i = 0; i < MAX_TEXT; i++) {
			if (seen[role][i])
				fprintf(log_file, "pc %s %zx\n",
					role_names[role], i);
		}
		for (size_t i = 0; i < MAX_NUMBER; i++) {
			if (called[role][i])
				fprintf(log_file, "call %s %zu\n",
					role_names[role], i);
		}
	}
	fprintf(log_file, "status %d\n", status);
	fclose(log_file);
}

int main(int argc, char **argv)
{
	int status, result = -1;
	pid_t pid, program;

	if (argc < 5) {
		fprintf(stderr, "usage: trap SHIM SPOOL LOG PROGRAM "
				"[ARG...]\n");
		return 2;
	}
	shim = argv[1];
	log_file = fopen(argv[3], "we");
	if (!log_file)
		fail(argv[3]);
	program = start(argv + 4, argv[2]);
	while ((pid = waitpid(-1, &status, __WALL)) > 0) {
		struct task *task = find(pid);

		if (WIFSTOPPED(status)) {
			stopped(task, status);
			continue;
		}
		if (pid == program)
			result = status;
		task->pid = 0;
	}
	write_log(result);
	return 0;
}
