/* The witness: a task that shares the dying process's memory and nothing else.
 * It has its own descriptor table, signal table and process group, so it works
 * with no descriptor free, and what kills it leaves the process to die its own
 * death. It keeps the memory alive for the helper after the process is gone,
 * and goes as soon as the helper needs it no more. */
#include <poll.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/utsname.h>

#include "zone.h"

enum {
	STOP_BUDGET_MS = 200,  /* for threads in a system call that cannot be
	                        * interrupted; the others take 0.1 ms */
	LINGER_MS = 500,       /* design.md: at most, after the release */
	REAP_FIRST_MS = 5,     /* before the helper starts: a core being
	                        * written holds the siblings for longer */
	SLICE_NS = 100000,
	SCHED_ATTR_BYTES = 48,
};

#define NS_PER_MS 1000000ll
#define NS_PER_S 1000000000ll

/* The kernel's struct sched_attr, first version. */
struct sched_attributes {
	uint32_t size, policy;
	uint64_t flags;
	int32_t nice;
	uint32_t priority;
	uint64_t runtime, deadline, period;
};

/* Ask for short slices: the witness inherits them and starts at once even where
 * others spin (measured with 16 foreign spinners: 6.5 ms to 62 us). Kernels
 * that do not know about it ignore it. */
static void shorten_slice(void)
{
	struct sched_attributes attr = { .size = SCHED_ATTR_BYTES };

	if (sys4(sched_getattr, 0, &attr, sizeof(attr), 0) < 0)
		return;
	if (attr.policy != SCHED_OTHER && attr.policy != SCHED_BATCH)
		return;
	attr.size = sizeof(attr);
	attr.flags = 0;
	attr.runtime = SLICE_NS;
	sys3(sched_setattr, 0, &attr, 0);
}

/* Wait while *WORD is VALUE, until DEADLINE_NS of CLOCK_MONOTONIC. */
static void wait_while(_Atomic uint32_t *word, uint32_t value,
		       int64_t deadline_ns)
{
	struct timespec until = { deadline_ns / NS_PER_S,
				  deadline_ns % NS_PER_S };

	while (atomic_load(word) == value) {
		long error = sys6(futex, word, 9 /* FUTEX_WAIT_BITSET */,
				  value, &until, NULL, ~0u);

		if (error == -110 /* ETIMEDOUT */ || error == -38 /* ENOSYS */)
			break;
	}
}

static void set_and_wake(_Atomic uint32_t *word, uint32_t value)
{
	atomic_store(word, value);
	sys3(futex, word, 1 /* FUTEX_WAKE */, 0x7fffffff);
}

static void say(const char *reason)
{
	struct crash_record *record = &zone.record;

	put_text(record->tier_reason,
		 record->tier_reason + sizeof(record->tier_reason), reason);
}

static void write_line(void)
{
	struct crash_record *record = &zone.record;
	struct pollfd output = { .fd = 2, .events = POLLOUT };
	char line[160];
	const char *end = line + sizeof(line);
	char *at = put_text(line, end, "epitaph: pid ");

	at = put_number(at, end, (uint64_t)record->pid);
	at = put_text(at, end, " died of signal ");
	at = put_number(at, end, (uint64_t)record->death_signal);
	at = put_text(at, end, ", report ");
	at = put_text(at, end, record->id);
	at = put_text(at, end, "\n");
	/* Nobody may read it: a line that would have to wait is not written.
	 * A pipe that has room has room for a page. */
	if (sys3(poll, &output, 1, 0) == 1 && (output.revents & POLLOUT))
		sys3(write, 2, line, at - line);
}

/* Whether witness and helper outlive the process: only in the initial PID
 * namespace (its inode number is fixed), and not before Linux 5.16, where a
 * core dump kills all that share the memory. Unknown means no. */
static enum order find_order(void)
{
	struct utsname name;
	char ns[32];
	uint32_t major = 0, minor = 0;
	const char *at = name.release;
	long n = sys3(readlink, "/proc/self/ns/pid", ns, sizeof(ns) - 1);

	if (n <= 0)
		return ORDER_REPORT;
	ns[n] = '\0';
	if (!text_equal(ns, "pid:[4026531836]") || sys1(uname, &name) < 0)
		return ORDER_REPORT;
	while (*at >= '0' && *at <= '9')
		major = major * 10 + (uint32_t)(*at++ - '0');
	if (*at == '.')
		at++;
	while (*at >= '0' && *at <= '9')
		minor = minor * 10 + (uint32_t)(*at++ - '0');
	if (major > 5 || (major == 5 && minor >= 16))
		return ORDER_DEATH;
	return ORDER_REPORT;
}

/* The process is dumpable, and may be traced by its child, from here to the
 * release: the witness reads itself through /proc and seizes our threads.
 * While it starts, there is time for what need not be done before. */
void run_witness(const ucontext_t *context)
{
	int64_t deadline = clock_ns(CLOCK_MONOTONIC) +
		zone.record.settings.deadline_ms * NS_PER_MS;
	long flags = CLONE_VM | CLONE_CHILD_CLEARTID | CLONE_UNTRACED;
	long pid;

	zone.dumpable = (int32_t)sys1(prctl, 3 /* PR_GET_DUMPABLE */);
	/* 2, "suidsafe", could not be put back. */
	if (zone.dumpable == 0)
		sys2(prctl, 4 /* PR_SET_DUMPABLE */, 1);
	sys2(prctl, 0x59616d61 /* PR_SET_PTRACER */, ~0ul /* any */);
	shorten_slice();
	atomic_store(&zone.written, 0);
	atomic_store(&zone.gate, GATE_SHUT);
	pid = sys_clone_calling(witness_main, flags,
				zone_stacks.witness + ZONE_WITNESS_STACK,
				&zone.gate);
	complete_record(context);
	zone.order = find_order();
	set_and_wake(&zone.written, 1);
	if (zone.record.settings.to_stderr)
		write_line();
	if (pid < 0)
		say("clone");
	else
		wait_while(&zone.gate, GATE_SHUT, deadline);
	/* Late, it would hold our death up with the threads it has stopped. */
	if (pid > 0 && atomic_load(&zone.gate) == GATE_SHUT)
		sys2(kill, pid, SIGKILL);
	if (zone.dumpable == 0)
		sys2(prctl, 4, 0);
}

static void default_action(int sig)
{
	static const struct kernel_action none = { .handler = 0 };

	sys4(rt_sigaction, sig, &none, NULL, KERNEL_SIGSET);
}

/* A witness that hangs is killed by its own clock, which frees what it traces;
 * one that is killed leaves no core of its own. */
static void limit_self(uint32_t deadline_ms)
{
	uint64_t mask = ~(1ull << (SIGALRM - 1));
	struct rlimit none = { 0, 0 };
	uint32_t seconds = deadline_ms / 1000 + 2;
	struct itimerval timer = { { 0, 0 }, { seconds, 0 } };

	default_action(SIGALRM);
	default_action(SIGCHLD);
	sys4(rt_sigprocmask, SIG_SETMASK, &mask, NULL, KERNEL_SIGSET);
	sys4(prlimit64, 0, RLIMIT_CORE, &none, NULL);
	sys3(setitimer, ITIMER_REAL, &timer, NULL);
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
	struct crash_record *record = &zone.record;
	long n;

	while ((n = sys3(open, "/dev/null", 2 /* O_RDWR */, 0)) >= 0 && n < 2)
		;
	zone.mem = (int32_t)sys3(open, "/proc/self/mem", 0, 0);
	zone.maps = (int32_t)sys3(open, "/proc/self/maps", 0, 0);
	zone.proc = (int32_t)sys3(open, "/proc/self",
				  0x210000 /* O_PATH | O_DIRECTORY */, 0);
	zone.progress[0] = zone.progress[1] = -1;
	sys2(pipe2, zone.progress, 04000 /* O_NONBLOCK */);
	zone.witness_pid = (int32_t)sys0(getpid);
	n = sys3(readlink, "/proc/self/exe", record->exe,
		 sizeof(record->exe) - 1);
	record->exe[n > 0 ? n : 0] = '\0';
}

static char *number_argument(char **at, const char *end, int64_t number)
{
	char *argument = *at;

	*at = put_number(*at, end, (uint64_t)number) + 1;
	return argument;
}

/* All signals stay blocked until the helper has decided about them. */
void exec_helper(void)
{
	static char text[256];
	char *at = text;
	const char *end = text + sizeof(text);
	char *argv[ARG_COUNT + 1];
	char *none[1] = { NULL };

	argv[0] = zone.record.settings.helper;
	argv[ARG_RECORD] = number_argument(
		&at, end, (int64_t)(uintptr_t)&zone.record);
	argv[ARG_WITNESS] = number_argument(&at, end, zone.witness_pid);
	argv[ARG_MEM] = number_argument(&at, end, zone.mem);
	argv[ARG_MAPS] = number_argument(&at, end, zone.maps);
	argv[ARG_PROC] = number_argument(&at, end, zone.proc);
	argv[ARG_PIPE] = number_argument(&at, end, zone.progress[1]);
	argv[ARG_COUNT] = NULL;
	sys1(close, zone.progress[0]);
	sys3(execve, argv[0], argv, none);
	sys1(exit_group, 127);
}

static long start_helper(void)
{
	long pid = sys_clone_calling(exec_helper, CLONE_VM | SIGCHLD,
				     zone_stacks.exec + ZONE_EXEC_STACK, NULL);

	sys1(close, zone.progress[1]);
	return pid;
}

/* Wait until the helper says WANTED or is gone: true. False when UNTIL_NS has
 * passed before. */
static bool wait_helper(char wanted, int64_t until_ns)
{
	struct pollfd poll = { .fd = zone.progress[0], .events = POLLIN };
	char progress;

	for (;;) {
		int64_t rest = until_ns - clock_ns(CLOCK_MONOTONIC);
		struct timespec limit = { rest / NS_PER_S, rest % NS_PER_S };
		long n;

		if (rest <= 0 ||
		    sys5(ppoll, &poll, 1, &limit, NULL, KERNEL_SIGSET) <= 0)
			return false;
		n = sys3(read, zone.progress[0], &progress, 1);
		if (n <= 0 || progress == wanted)
			return true;
	}
}

static int64_t in_ms(int64_t ms)
{
	return clock_ns(CLOCK_MONOTONIC) + ms * NS_PER_MS;
}

/* The process goes first; its threads, which we hold, are reaped at once,
 * because its death is complete only then. */
static void release_first(void)
{
	bool is_open = zone.dumpable != 1;
	int64_t linger = in_ms(LINGER_MS);

	if (is_open)
		open_own();
	set_and_wake(&zone.gate, GATE_OPEN);
	reap_threads(in_ms(REAP_FIRST_MS));
	if (!is_open)
		open_own();
	start_helper();
	/* Threads that were held up, by a core being written or by others on
	 * the processor, are still ours to reap. */
	while (!wait_helper(HELPER_HOLDS, in_ms(REAP_FIRST_MS)) &&
	       clock_ns(CLOCK_MONOTONIC) < linger)
		reap_threads(0);
	reap_threads(in_ms(LINGER_MS));
}

/* Nobody outlives this process: the report first. */
static void report_first(uint32_t deadline_ms)
{
	zone.record.late = 1;
	open_own();
	start_helper();
	wait_helper(HELPER_DURABLE, in_ms(deadline_ms));
	set_and_wake(&zone.gate, GATE_OPEN);
	reap_threads(in_ms(LINGER_MS));
}

void witness_main(void)
{
	struct crash_record *record = &zone.record;
	uint32_t deadline_ms = record->settings.deadline_ms;

	limit_self(deadline_ms);
	close_all();
	/* Out of reach of who kills the process group once its leader is dead.
	 * Not setsid: with autogroups it moves us to another run queue, which
	 * cost 3.8 ms beside four spinners. The helper does that later. */
	sys2(setpgid, 0, 0);
	stop_threads(record->pid, STOP_BUDGET_MS * NS_PER_MS);
	record->ready_ns = clock_ns(CLOCK_MONOTONIC);
	wait_while(&zone.written, 0, in_ms(deadline_ms));
	if (zone.order == ORDER_DEATH)
		release_first();
	else
		report_first(deadline_ms);
	sys1(exit_group, 0);
}
