/* The witness: a task that shares the dying process's memory and nothing else.
 * It has its own descriptor table, signal table and process group, so it works
 * with no descriptor free, and what kills it leaves the process to die its own
 * death. It keeps the memory alive for the helper after the process is gone,
 * and goes as soon as the helper needs it no more. */
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>

#include "zone.h"

enum {
	STOP_BUDGET_MS = 200,  /* for threads in a system call that cannot be
	                        * interrupted; the others take 0.1 ms */
	LINGER_MS = 500,       /* design.md: at most, after the release */
	REAP_FIRST_MS = 5,     /* before the helper starts: a core being
	                        * written holds the siblings for longer */
	LEAST_CORE = 4096,     /* with less the kernel writes none, in bytes */
	MANY_THREADS = 8,      /* that a hastened death pays for, */
	MANY_SLOTS = 64,       /* a slice set anew, */
	CROWD = 256,           /* threads that a keeper pays for */
};

#define NS_PER_S 1000000000ll

static void default_action(int sig)
{
	static const struct kernel_action none = { .handler = 0 };

	sys4(rt_sigaction, sig, &none, NULL, KERNEL_SIGSET);
}

/* A filter may trap what we call; then the call has failed, and no more. */
static void trapped(int sig, siginfo_t *si, void *context)
{
	(void)sig;
	(void)si;
	fail_call(context);
}

static void survive_traps(void)
{
	struct kernel_action action = {
		.handler = (uintptr_t)trapped,
		.flags = SA_SIGINFO | KERNEL_SA_RESTORER,
		.restorer = (uintptr_t)zone_restorer,
	};

	sys4(rt_sigaction, SIGSYS, &action, NULL, KERNEL_SIGSET);
}

/* The process has gone ahead, so nobody takes over from a witness that faults:
 * it writes down itself what there is. */
static void faulted(int sig)
{
	give_reason(4, "fault in the witness", -sig);
	raw_write();
	sys1(exit_group, 0);
}

static void survive_faults(void)
{
	stack_t emergency = { .ss_sp = zone_stacks.exec,
			      .ss_size = ZONE_EXEC_STACK };
	struct kernel_action action = {
		.handler = (uintptr_t)faulted,
		.flags = SA_ONSTACK | KERNEL_SA_RESTORER,
		.restorer = (uintptr_t)zone_restorer,
		.mask = ~0ull,
	};
	uint64_t faults = ZONE_SIGNAL(SIGSEGV) | ZONE_SIGNAL(SIGBUS);

	sys2(sigaltstack, &emergency, NULL);
	sys4(rt_sigaction, SIGSEGV, &action, NULL, KERNEL_SIGSET);
	sys4(rt_sigaction, SIGBUS, &action, NULL, KERNEL_SIGSET);
	sys4(rt_sigprocmask, SIG_UNBLOCK, &faults, NULL, KERNEL_SIGSET);
}

/* A witness that hangs is killed by its own clock, which frees what it traces.
 */
static void start_clock(uint32_t deadline_ms)
{
	uint32_t seconds = deadline_ms / 1000 + 2;
	struct itimerval timer = { { 0, 0 }, { seconds, 0 } };

	sys3(setitimer, ITIMER_REAL, &timer, NULL);
}

static void set_signals(void)
{
	uint64_t mask = ~(ZONE_SIGNAL(SIGALRM) | ZONE_SIGNAL(SIGSYS));

	default_action(SIGALRM);
	default_action(SIGCHLD);
	survive_traps();
	sys4(rt_sigprocmask, SIG_SETMASK, &mask, NULL, KERNEL_SIGSET);
}

/* One that is killed leaves no core of its own. A fault, blocked, kills it at
 * once. */
static void limit_self(uint32_t deadline_ms)
{
	struct rlimit none = { 0, 0 }, before = { ~0ul, 0 };

	sys4(prlimit64, 0, RLIMIT_CORE, &none, &before);
	zone.core_limit = before.rlim_cur;
	start_clock(deadline_ms);
}

static void close_all(void)
{
	if (sys3(close_range, 0, ~0u, 0) == 0)
		return;
	for (long fd = 0; fd < 1024; fd++)
		sys1(close, fd);
}

/* What may only be opened as ourselves. Before the release, where the process
 * was not dumpable: then it soon belongs to root again. Standard descriptors
 * first, so that nothing the helper writes by accident lands in these. */
static void open_own(void)
{
	long n;

	while ((n = sys_open("/dev/null", O_RDWR, 0)) >= 0 && n < 2)
		;
	zone.mem = (int32_t)sys_open("/proc/self/mem", O_RDONLY, 0);
	zone.maps = (int32_t)sys_open("/proc/self/maps", O_RDONLY, 0);
	zone.proc = (int32_t)sys_open("/proc/self", O_PATH | O_DIRECTORY, 0);
	zone.progress[0] = zone.progress[1] = -1;
	sys2(pipe2, zone.progress, O_NONBLOCK);
	zone.witness_pid = (int32_t)sys0(getpid);
	read_exe();
}

static char *number_argument(char **at, const char *end, int64_t number)
{
	char *argument = *at;

	*at = put_number(*at, end, (uint64_t)number) + 1;
	return argument;
}

static void fill_arguments(char *argv[ARG_COUNT + 1])
{
	static char text[256];
	char *at = text;
	const char *end = text + sizeof(text);

	argv[0] = zone.record.settings.helper;
	argv[ARG_RECORD] = number_argument(
		&at, end, (int64_t)(uintptr_t)&zone.record);
	argv[ARG_WITNESS] = number_argument(&at, end, zone.witness_pid);
	argv[ARG_MEM] = number_argument(&at, end, zone.mem);
	argv[ARG_MAPS] = number_argument(&at, end, zone.maps);
	argv[ARG_PROC] = number_argument(&at, end, zone.proc);
	argv[ARG_PIPE] = number_argument(&at, end, zone.progress[1]);
	argv[ARG_COUNT] = NULL;
}

/* The helper that the shim carries, for where its path leads nowhere: in
 * another mount namespace, under another root, or uninstalled since. */
static long exec_carried(char **argv, char **environment)
{
	size_t len = (uintptr_t)carried_helper_end - (uintptr_t)carried_helper;
	size_t at = 0;
	struct rlimit limit;
	long fd, n;

	if (sys4(prlimit64, 0, RLIMIT_FSIZE, NULL, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		sys4(prlimit64, 0, RLIMIT_FSIZE, &limit, NULL);
	}
	fd = sys2(memfd_create, "epitaph-helper", MFD_CLOEXEC | 0x10u
		  /* MFD_EXEC, since Linux 6.3 */);
	if (fd < 0)
		fd = sys2(memfd_create, "epitaph-helper", MFD_CLOEXEC);
	if (fd < 0)
		return fd;
	while (at < len) {
		n = sys3(write, fd, carried_helper + at, len - at);
		if (n <= 0)
			return n;
		at += (size_t)n;
	}
	return sys5(execveat, fd, "", argv, environment, AT_EMPTY_PATH);
}

/* All signals stay blocked until the helper has decided about them. */
void exec_helper(void)
{
	char *argv[ARG_COUNT + 1];
	char *none[1] = { NULL };
	long error;

	fill_arguments(argv);
	sys1(close, zone.progress[0]);
	error = sys3(execve, argv[0], argv, none);
	exec_carried(argv, none);
	zone.exec_error = (int32_t)-error;
	sys1(exit_group, 127);
}

static long clone_helper(void)
{
	return sys_clone_calling(exec_helper, CLONE_VM | SIGCHLD,
				 zone_stacks.exec + ZONE_EXEC_STACK, NULL);
}

static long start_helper(void)
{
	long pid;

	atomic_store(&zone.step, STEP_HELPER);
	zone.exec_error = 0;
	pid = clone_helper();
	if (pid < 0)
		pid = clone_helper();
	if (pid < 0)
		zone.exec_error = (int32_t)-pid;
	sys1(close, zone.progress[1]);
	return pid;
}

enum { SAID_NOTHING = -1, SAID_GONE = 0 };

/* Without a pipe, or once it is closed, the helper's end is all it says. */
static int wait_end(long helper, int64_t until_ns)
{
	int status = 0;
	long n;

	for (;;) {
		n = sys4(wait4, helper, &status, WNOHANG, 0);
		if (n > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0)
			return HELPER_DURABLE;
		if (n > 0 || n == -10 /* ECHILD */)
			return SAID_GONE;
		if (!wait_child(until_ns))
			return SAID_NOTHING;
	}
}

/* Wait until HELPER says WANTED, or what comes after it: that byte. Or until
 * it is gone, or UNTIL_NS has passed. */
static int wait_helper(long helper, char wanted, int64_t until_ns)
{
	struct pollfd poll = { .fd = zone.progress[0], .events = POLLIN };
	bool interrupted = false;
	char progress;

	if (helper < 0)
		return SAID_GONE;
	if (zone.progress[0] < 0)
		return wait_end(helper, until_ns);
	for (;;) {
		int64_t rest = until_ns - clock_ns(CLOCK_MONOTONIC);
		struct timespec limit = { rest / NS_PER_S, rest % NS_PER_S };
		long n;

		if (rest <= 0)
			return SAID_NOTHING;
		n = sys5(ppoll, &poll, 1, &limit, NULL, KERNEL_SIGSET);
		if (n == 0)
			return SAID_NOTHING;
		if (n > 0)
			n = sys3(read, zone.progress[0], &progress, 1);
		if (n == -4 /* EINTR */ && !interrupted) {
			interrupted = true;
			continue;
		}
		if (n <= 0)
			return wait_end(helper, until_ns);
		if (progress == wanted || progress != HELPER_HOLDS)
			return progress;
	}
}

/* No helper, or one that died of what it read, or SAID nothing in time, or that
 * it could not keep its report: the record as it is. */
static enum verdict fall_back(int said)
{
	long written;

	if (zone.exec_error)
		give_reason(4, "helper", -zone.exec_error);
	else if (zone.plan != PLAN_RAW)
		give_reason(4, said == SAID_NOTHING ? "helper was late" :
			       said == SAID_GONE ? "helper died" :
						   "helper could not write",
			    0);
	zone.record.tier = 4;
	written = raw_write();
	if (written >= 0)
		return written == RAW_COUNTED ? VERDICT_COUNTED : VERDICT_RAW;
	zone.record.tier = 5;
	return VERDICT_LOST;
}

/* Whether the crash is to be counted and no more. */
static bool is_counted(void)
{
	bool counted;
	long dir;

	if (zone.weighed)
		return false;
	zone.weighed = true; /* should it be the death of us, not again */
	atomic_store(&zone.step, STEP_BUDGET);
	dir = open_spool();
	if (dir < 0)
		return false;
	counted = over_budget(dir, zone.maps);
	sys1(close, dir);
	return counted;
}

/* Whether the kernel is going to write no core file: the limit forbids one, and
 * there is no program that is given it regardless of the limit. */
static bool has_no_core(void)
{
	char pattern = '|';
	long fd;

	if (zone.core_limit >= LEAST_CORE)
		return false;
	fd = sys_open("/proc/sys/kernel/core_pattern", O_RDONLY, 0);
	if (fd < 0)
		return false;
	if (sys3(read, fd, &pattern, 1) != 1)
		pattern = '|';
	sys1(close, fd);
	return pattern != '|' && pattern != '@' /* a socket */;
}

/* Before it looks at the limit the kernel has all threads stand by for a core
 * file, and wakes each once more for the end. A process that is not dumpable is
 * spared that, and dies the same death. */
static void prepare_death(void)
{
	zone.hastened = zone.order != ORDER_GO_ON && zone.dumpable == 1 &&
			zone.record.nthreads >= MANY_THREADS && has_no_core();
}

static void set_dumpable(int dumpable)
{
	sys2(prctl, 4 /* PR_SET_DUMPABLE */, dumpable);
}

static void open_gate(enum verdict verdict)
{
	if (zone.hastened)
		set_dumpable(0);
	atomic_store(&zone.verdict, verdict);
	set_and_wake(&zone.gate, GATE_OPEN);
}

/* The process goes first; its threads, which we hold, are reaped at once,
 * because its death is complete only then. */
static void release_first(void)
{
	bool to_stderr = zone.record.settings.to_stderr;
	bool is_open = zone.dumpable != 1 || to_stderr;
	int64_t linger = in_ms(LINGER_MS);
	bool counted;
	long helper;
	int said;

	if (is_open)
		open_own();
	/* Only its one line has to know what will come of it. */
	counted = to_stderr && is_counted();
	open_gate(counted ? VERDICT_COUNTED : VERDICT_HELD);
	reap_threads(in_ms(REAP_FIRST_MS));
	/* By now the kernel has asked; and ourselves we may read again. */
	if (zone.kept)
		wait_while(&zone.gate, GATE_OPEN, in_ms(REAP_FIRST_MS));
	if (zone.hastened)
		set_dumpable(1);
	if (!is_open)
		open_own();
	if (counted || is_counted()) {
		reap_threads(in_ms(LINGER_MS));
		return;
	}
	helper = start_helper();
	/* Threads that were held up, by a core being written or by others on
	 * the processor, are still ours to reap. */
	do {
		said = wait_helper(helper, HELPER_HOLDS, in_ms(REAP_FIRST_MS));
		reap_threads(0);
	} while (said == SAID_NOTHING &&
		 clock_ns(CLOCK_MONOTONIC) < linger);
	/* A helper that is late finds the record where it looked for us. */
	if (said == SAID_GONE || said == SAID_NOTHING)
		fall_back(said);
	reap_threads(in_ms(LINGER_MS));
}

/* A helper that hangs is given most of the deadline; should it end after all,
 * it takes the record away again. */
static enum verdict await_report(uint32_t deadline_ms)
{
	long helper = start_helper();
	int said = wait_helper(helper, HELPER_DURABLE,
			       in_ms(deadline_ms - deadline_ms / 4));

	return said == HELPER_DURABLE ? VERDICT_HELD : fall_back(said);
}

/* Nobody outlives this process, or it does not die of this: report first. */
static void report_first(uint32_t deadline_ms)
{
	enum verdict verdict;

	zone.record.late = 1;
	open_own();
	if (is_counted())
		verdict = VERDICT_COUNTED;
	else
		verdict = await_report(deadline_ms);
	open_gate(verdict);
	if (zone.order == ORDER_REPORT)
		reap_threads(in_ms(LINGER_MS));
}

void keep_memory(void)
{
	start_clock(zone.record.settings.deadline_ms);
	release_first();
	sys1(exit_group, 0);
	sys1(exit, 0);
}

/* The end of a crowd: reaped one by one by their tracer threads take as long
 * again as to die. When the tracer is gone each goes by itself, as it would
 * have without us; so the memory is kept by another task. Its end, too, would
 * be seen by the crashing thread. False where there is no such task. */
static bool hand_over(uint32_t deadline_ms)
{
	long flags = CLONE_VM | CLONE_CHILD_CLEARTID | CLONE_UNTRACED | SIGCHLD;
	int64_t until = in_ms(deadline_ms);

	if (zone.record.nthreads < CROWD)
		return false;
	zone.kept = true;
	if (sys_clone_calling(keep_memory, flags,
			      zone_stacks.keeper + ZONE_WITNESS_STACK,
			      &zone.gate) < 0) {
		zone.kept = false;
		return false;
	}
	/* The first to die, or the keeper, wakes us. */
	while (atomic_load(&zone.gate) == GATE_SHUT && wait_child(until))
		;
	if (atomic_load(&zone.verdict) != VERDICT_NONE)
		let_threads_die(in_ms(LINGER_MS));
	return true;
}

/* Have the crashing thread do WHAT only it can: on a busy machine it may take a
 * while until it runs. */
static void ask(enum asked what)
{
	uint32_t shut = GATE_SHUT;
	uint32_t patience_ms = zone.record.settings.deadline_ms / 2;

	zone.asked = what;
	if (!atomic_compare_exchange_strong(&zone.gate, &shut, GATE_ASKED))
		return;
	sys3(futex, &zone.gate, 1 /* FUTEX_WAKE */, 1);
	wait_while(&zone.gate, GATE_ASKED, in_ms(patience_ms));
}

/* The tier is what was had of the other threads: all by ptrace, some by
 * signal, none. */
static void set_tier(void)
{
	struct crash_record *record = &zone.record;
	uint32_t traced = 0, signalled = 0;

	for (uint32_t i = 0; i < record->nthreads; i++) {
		const struct crash_thread *thread = &record->threads[i];

		traced += thread->traced;
		signalled += !thread->traced &&
			     thread->state == THREAD_STOPPED;
	}
	if (zone.plan != PLAN_ALONE && traced == record->nthreads)
		record->tier = 1;
	else
		record->tier = traced || signalled ? 2 : 3;
	if (record->tier == 1)
		record->tier_reason[0] = '\0';
}

static void stop_siblings(void)
{
	if (zone.plan == PLAN_PTRACE)
		atomic_store(&zone.step, STEP_PTRACE);
	if (!zone.seized)
		zone.record.nthreads = 0;
	/* Who cannot be told from the others would be stopped with them. */
	if (zone.record.tid <= 0 && !is_only_thread()) {
		give_reason(3, "gettid", zone.record.tid);
		zone.plan = PLAN_ALONE;
	}
	/* It may be gone by now, and its pid another's. */
	if (zone.alone || zone.record.tid <= 0 || zone.plan == PLAN_ALONE) {
		set_tier();
		return;
	}
	if (!zone.seized)
		seize_known();
	prepare_death();
	if (!collect_threads(in_ms(STOP_BUDGET_MS))) {
		atomic_store(&zone.step, STEP_SIGNALS);
		ask(ASKED_SIGNALS);
	}
	set_tier();
}

/* Each call that the crashing thread makes beyond the very least, in a form
 * that does nothing: a filter that kills for one kills us. */
static void probe(void)
{
	struct timespec now;
	uint64_t word = 0, set = 0;
	siginfo_t si = { .si_code = SI_QUEUE };

	atomic_store(&zone.step, STEP_PROBE);
	/* Ours is the crashing thread's. */
	zone.record.tcb = thread_pointer();
	sys1(prctl, 3 /* PR_GET_DUMPABLE */);
	sys2(clock_gettime, CLOCK_MONOTONIC, &now);
	sys4(rt_sigprocmask, SIG_BLOCK, &set, NULL, KERNEL_SIGSET);
	sys4(rt_tgsigqueueinfo, sys0(getpid), sys0(gettid), 0, &si);
	sys2(sigaltstack, NULL, NULL);
	sys0(getuid);
	sys3(getrandom, &word, sizeof(word), 1 /* GRND_NONBLOCK */);
	sys_readlink("/proc/self", &word, sizeof(word));
	sys1(uname, NULL);
	copy_safely((uint64_t)(uintptr_t)&set, &word, sizeof(word));
}

/* What the crashing thread does where there is no filter, as far as we can. */
static void stand_in(void)
{
	if (zone.order != ORDER_GO_ON)
		zone.order = ORDER_REPORT;
	if (!atomic_load(&zone.written))
		complete_record(zone.crash_context);
	atomic_store(&zone.written, 1);
}

static void meet_filter(void)
{
	if (!zone.unkind) {
		probe();
		ask(ASKED_OPEN_UP);
	}
	if (zone.filtered)
		stand_in();
}

/* They stop while we keep house. */
static void seize_first(void)
{
	atomic_store(&zone.step, STEP_PTRACE);
	if (atomic_load(&zone.nslots) >= MANY_SLOTS)
		restore_slice();
	seize_known();
}

void witness_main(void)
{
	struct crash_record *record = &zone.record;
	uint32_t deadline_ms = record->settings.deadline_ms;

	set_signals();
	if (zone.alone)
		survive_faults();
	else if (zone.plan == PLAN_PTRACE && !zone.filtered && record->tid > 0)
		seize_first();
	limit_self(deadline_ms);
	close_all();
	/* Out of reach of who kills the process group once its leader is dead.
	 * Not setsid: with autogroups it moves us to another run queue, which
	 * cost 3.8 ms beside four spinners. The helper does that later. */
	sys2(setpgid, 0, 0);
	if (zone.filtered)
		meet_filter();
	if (zone.plan != PLAN_RAW)
		stop_siblings();
	if (!zone.alone)
		record->ready_ns = clock_ns(CLOCK_MONOTONIC);
	wait_while(&zone.written, 0, in_ms(deadline_ms));
	if (zone.plan == PLAN_RAW)
		open_gate(fall_back(SAID_GONE));
	else if (zone.order != ORDER_DEATH)
		report_first(deadline_ms);
	else if (!hand_over(deadline_ms))
		release_first();
	sys1(exit_group, 0);
	sys1(exit, 0); /* a fault would be taken for a failure */
}
