/* From the best report that is left to the least, in the crashing thread:
 * the witness with all it can do; another one, that leaves out what the first
 * has died of; the bare record in the spool; one line on stderr. Whatever
 * happens, it ends by the deadline. */
#include <poll.h>
#include <sched.h>
#include <sys/utsname.h>

#include "zone.h"

enum {
	SIGNAL_BUDGET_MS = 200, /* for threads to answer a signal */
	WITNESSES = 6,          /* at most, one after the other */
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

/* Set the calling task's slice to NS, where it has the usual schedule and the
 * kernel knows of slices. */
static void set_slice(uint64_t ns)
{
	struct sched_attributes attr = { .size = SCHED_ATTR_BYTES };

	if (sys4(sched_getattr, 0, &attr, sizeof(attr), 0) < 0)
		return;
	if (attr.policy != SCHED_OTHER && attr.policy != SCHED_BATCH)
		return;
	zone.slice = attr.runtime;
	attr.size = sizeof(attr);
	attr.flags = 0;
	attr.runtime = ns;
	sys3(sched_setattr, 0, &attr, 0);
}

/* Ask for short slices: the witness inherits them and starts at once even where
 * others spin (measured with 16 foreign spinners: 6.5 ms to 62 us). Kernels
 * that do not know about it ignore it. */
static void shorten_slice(void)
{
	set_slice(SLICE_NS);
}

/* The witness runs by now, and each thread that it stops is woken for that:
 * with a slice as long as theirs it is not preempted for them one by one. */
void restore_slice(void)
{
	if (zone.slice)
		set_slice(zone.slice);
}

int64_t in_ms(int64_t ms)
{
	return clock_ns(CLOCK_MONOTONIC) + ms * NS_PER_MS;
}

/* Where futexes fail, the word is looked at now and then. */
void wait_while(_Atomic uint32_t *word, uint32_t value, int64_t deadline_ns)
{
	struct timespec until = { deadline_ns / NS_PER_S,
				  deadline_ns % NS_PER_S };

	while (atomic_load(word) == value) {
		long error = sys6(futex, word, 9 /* FUTEX_WAIT_BITSET */,
				  value, &until, NULL, ~0u);

		if (error == -110 /* ETIMEDOUT */)
			break;
		if (error == 0 || error == -11 /* EAGAIN */)
			continue;
		if (clock_ns(CLOCK_MONOTONIC) >= deadline_ns)
			break;
		sys_poll(NULL, 0, 1);
	}
}

void set_and_wake(_Atomic uint32_t *word, uint32_t value)
{
	atomic_store(word, value);
	sys3(futex, word, 1 /* FUTEX_WAKE */, 0x7fffffff);
}

void give_reason(uint32_t tier, const char *text, long error)
{
	struct crash_record *record = &zone.record;
	const char *end = record->tier_reason + sizeof(record->tier_reason);
	char *at = put_text(record->tier_reason, end, text);

	record->tier = tier;
	if (error == 0)
		return;
	at = put_text(at, end, ": errno ");
	put_number(at, end, (uint64_t)-error);
}

/* Whether systemd may end the unit when it sees this death: with KillMode=mixed
 * it sends SIGKILL to all that is left of it, 1 to 2 ms after the main process.
 * That is the one named in the environment, or after daemon(), a child of
 * process 1. A child of it may be all that the main process waits for. */
static bool ends_unit(void)
{
	int32_t parent = (int32_t)sys0(getppid);

	return parent <= 1 || (zone.unit_pid != 0 &&
			       (zone.unit_pid == zone.record.pid ||
				zone.unit_pid == parent));
}

/* Whether PID has no group, no session and no memory. */
static bool is_kernels(int pid)
{
	uint64_t word;
	struct io_vector local = { &word, sizeof(word) };
	struct io_vector remote = { NULL, sizeof(word) };

	return sys1(getpgid, pid) == 0 && sys1(getsid, pid) == 0 &&
	       sys6(process_vm_readv, pid, &local, 1, &remote, 1, 0) ==
		       -3 /* ESRCH */;
}

/* Whether we are in the initial PID namespace, whose inode number is fixed, and
 * where alone the kernel's threads are: pid 2 and 3 are the first of them. A
 * dead process whose session is outside could be taken for one, two hardly. To
 * ask about them takes 2 us; /proc, for a new inode, 20. Unknown means no. */
static bool in_first_namespace(void)
{
	char ns[32];
	long n;

	if (is_kernels(2) && is_kernels(3))
		return true;
	n = sys_readlink("/proc/self/ns/pid", ns, sizeof(ns) - 1);
	if (n <= 0)
		return false;
	ns[n] = '\0';
	return text_equal(ns, "pid:[4026531836]");
}

/* Whether witness and helper outlive the process: only in the initial PID
 * namespace, where nobody ends them with it, and not before Linux 5.16, where a
 * core dump kills all that share the memory. */
static enum order find_order(void)
{
	struct utsname name;
	uint32_t major = 0, minor = 0;
	const char *at = name.release;

	if (zone.order == ORDER_GO_ON)
		return ORDER_GO_ON;
	if (zone.seccomp) /* which may kill the witness yet */
		return ORDER_REPORT;
	if (!in_first_namespace() || ends_unit() || sys1(uname, &name) < 0)
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
 * release: the witness reads itself through /proc and seizes our threads. */
static void open_up(void)
{
	zone.dumpable = (int32_t)sys1(prctl, 3 /* PR_GET_DUMPABLE */);
	/* 2, "suidsafe", could not be put back. */
	if (zone.dumpable == 0)
		sys2(prctl, 4 /* PR_SET_DUMPABLE */, 1);
	sys2(prctl, 0x59616d61 /* PR_SET_PTRACER */, ~0ul /* any */);
}

/* What need not be done before the witness is on its way. */
static void complete(void)
{
	complete_record(zone.crash_context);
	zone.order = find_order();
	set_and_wake(&zone.written, 1);
}

/* Whether there is no other thread, by the kernel's word: what cannot be taken
 * apart is refused, and what is apart already stays as it is. Not asked where
 * a filter might answer. */
static bool is_alone(void)
{
	return !zone.seccomp && sys1(unshare, CLONE_THREAD) == 0;
}

/* A process of one thread does not wait for the witness, which has nothing to
 * stop and shares the memory from its first moment on. What it would have done
 * for itself before the death, leave the process group, is done for it. */
static void go_ahead(long witness)
{
	zone.record.ready_ns = clock_ns(CLOCK_MONOTONIC);
	if (witness < 0 || zone.plan != PLAN_PTRACE ||
	    zone.order != ORDER_DEATH || zone.dumpable != 1 ||
	    zone.record.settings.to_stderr)
		return; /* the line says what became of it */
	sys2(setpgid, witness, 0);
	atomic_store(&zone.verdict, VERDICT_HELD);
	atomic_store(&zone.gate, GATE_OPEN);
}

static long clone_witness(void)
{
	long flags = CLONE_VM | CLONE_CHILD_CLEARTID | CLONE_UNTRACED;

	if (is_emulated())
		return -38; /* ENOSYS */
	return sys_clone_calling(witness_main, flags,
				 zone_stacks.witness + ZONE_WITNESS_STACK,
				 &zone.gate);
}

/* What there is not enough of for a new task, there may be a moment later. */
static long start_witness(enum plan plan)
{
	volatile uint8_t *top = zone_stacks.witness + ZONE_WITNESS_STACK - 1;
	long pid;

	zone.plan = plan;
	zone.seized = zone.hastened = zone.kept = false;
	atomic_store(&zone.step, STEP_START);
	atomic_store(&zone.gate, GATE_SHUT);
	*top = 0; /* if it cannot be written, that is our fault, and is seen */
	pid = clone_witness();
	if (pid < 0)
		pid = clone_witness();
	zone.witness_pid = pid > 0 ? (int32_t)pid : 0;
	if (!zone.filtered && !atomic_load(&zone.written))
		complete();
	if (zone.alone)
		go_ahead(pid);
	return pid;
}

/* Under a filter whose rules nobody knows the witness tries first what we would
 * call: what the filter kills for is then not us. It has come through. */
static void trust_filter(void)
{
	zone.filtered = false;
	open_up();
	complete();
}

/* Wait for the witness, and do what it asks for. True once it is done or dead,
 * false where it is late. */
static bool await_witness(int64_t deadline_ns)
{
	for (;;) {
		uint32_t asked = GATE_ASKED;

		wait_while(&zone.gate, GATE_SHUT, deadline_ns);
		if (atomic_load(&zone.gate) != GATE_ASKED)
			return atomic_load(&zone.gate) != GATE_SHUT;
		if (zone.asked == ASKED_OPEN_UP)
			trust_filter();
		else
			signal_siblings(SIGNAL_BUDGET_MS * NS_PER_MS);
		/* Should it have died meanwhile, that is to be seen. */
		if (atomic_compare_exchange_strong(&zone.gate, &asked,
						   GATE_SHUT))
			sys3(futex, &zone.gate, 1 /* FUTEX_WAKE */, 1);
	}
}

/* What a witness is to leave out after one has died at STEP. */
static enum plan lesser_plan(enum plan plan, enum step step)
{
	if (step == STEP_PROBE || step == STEP_BUDGET)
		return plan;
	if (step == STEP_HELPER || plan == PLAN_ALONE)
		return PLAN_RAW;
	return step == STEP_PTRACE ? PLAN_SIGNALS : PLAN_ALONE;
}

static const char *plan_reason(enum step step)
{
	switch (step) {
	case STEP_START: return "witness died at its start";
	case STEP_PROBE: return "a filter kills for what we need";
	case STEP_PTRACE: return "witness died of ptrace";
	case STEP_SIGNALS: return "witness died waiting for threads";
	case STEP_BUDGET: return "witness died counting";
	case STEP_HELPER: return "witness died at the helper";
	}
	return "witness died";
}

/* 0 once a report is made, or will be; else why not, -errno. */
static long run_witnesses(int64_t deadline_ns)
{
	enum plan plan = PLAN_PTRACE;

	for (int i = 0; i < WITNESSES; i++) {
		long pid = start_witness(plan);
		enum step step;

		if (pid < 0) {
			give_reason(4, "clone", pid);
			return pid;
		}
		if (!await_witness(deadline_ns)) {
			/* Late, it would hold our death up with the threads it
			 * has stopped. */
			sys2(kill, pid, SIGKILL);
			give_reason(4, "witness was late", 0);
			return -110; /* ETIMEDOUT */
		}
		if (atomic_load(&zone.verdict) != VERDICT_NONE)
			return 0;
		step = (enum step)atomic_load(&zone.step);
		give_reason(3, plan_reason(step), 0);
		zone.unkind |= step == STEP_PROBE;
		if (plan == PLAN_RAW)
			break;
		plan = lesser_plan(plan, step);
	}
	zone.record.tier = 4;
	return -3; /* ESRCH */
}

/* What comes of it, in one line. Nobody may read it: a line that would have to
 * wait is not written. A pipe that has room has room for a page. */
static void write_line(void)
{
	struct crash_record *record = &zone.record;
	struct pollfd output = { .fd = 2, .events = POLLOUT };
	uint32_t verdict = atomic_load(&zone.verdict);
	char line[240];
	const char *end = line + sizeof(line);
	char *at = put_text(line, end, "epitaph: pid ");

	at = put_number(at, end, (uint64_t)record->pid);
	at = put_text(at, end, zone.order == ORDER_GO_ON
				       ? " ends after signal "
				       : " died of signal ");
	at = put_number(at, end, (uint64_t)record->death_signal);
	if (verdict == VERDICT_LOST)
		at = put_text(put_text(at, end, ", no report: "), end,
			      record->tier_reason);
	else if (verdict == VERDICT_COUNTED)
		at = put_text(at, end, ", counted: it has had its reports of "
				       "this minute");
	else
		at = put_text(put_text(at, end, ", report "), end, record->id);
	at = put_text(at, end, "\n");
	if (sys_poll(&output, 1, 0) == 1 && (output.revents & POLLOUT))
		sys3(write, 2, line, at - line);
}

/* No witness: the record as it is, by our own hands. Not where the last one has
 * died under a filter, which would now kill us. */
static void write_record(long why)
{
	long error = zone.seccomp && why == -3 ? why : raw_write();

	if (error >= 0) {
		atomic_store(&zone.verdict, error == RAW_COUNTED
						    ? VERDICT_COUNTED
						    : VERDICT_RAW);
		return;
	}
	atomic_store(&zone.verdict, VERDICT_LOST);
	zone.record.tier = 5;
}

void report_crash(void)
{
	int64_t now = zone.filtered ? 0 : clock_ns(CLOCK_MONOTONIC);
	/* Absolute, of a clock that a filter may forbid: then the witness,
	 * which has a timer of its own, is what keeps the time. */
	int64_t deadline = now
		? now + zone.record.settings.deadline_ms * NS_PER_MS
		: INT64_MAX / 2;
	long error;

	atomic_store(&zone.verdict, VERDICT_NONE);
	atomic_store(&zone.written, 0);
	zone.weighed = false;
	zone.record.budget_key = 0;
	zone.dumpable = 1;
	zone.alone = false;
	if (!zone.filtered) {
		zone.alone = is_alone();
		open_up();
		shorten_slice();
	}
	error = run_witnesses(deadline);
	if (error < 0)
		write_record(error);
	if (zone.record.settings.to_stderr)
		write_line();
	if (zone.dumpable == 0)
		sys2(prctl, 4 /* PR_SET_DUMPABLE */, 0);
}
