/* Stopping the other threads, in the witness: seize and interrupt all, take
 * their registers, and leave them stopped. They are not detached: the SIGKILL
 * of the dying group takes them out of the stop, and the witness reaps them.
 * So no sibling runs user code between capture and death, and each is woken
 * once less. */
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "zone.h"

enum {
	MAX_RESCANS = 8,    /* threads may start threads while we stop them */
	NAMED_THREADS = 64, /* read from /proc, at 6 to 11 us each */
	DIRENT_BYTES = 8192,
};

#define NS_PER_S 1000000000ll

struct dirent64_head {
	uint64_t ino;
	int64_t off;
	uint16_t reclen;
	uint8_t type;
	char name[];
};

static const char unnamed[16];
static uint8_t dirents[DIRENT_BYTES] __attribute__((aligned(8)));

static struct crash_thread *known(int32_t tid)
{
	struct crash_record *record = &zone.record;

	for (uint32_t i = 0; i < record->nthreads; i++) {
		if (record->threads[i].tid == tid)
			return &record->threads[i];
	}
	return NULL;
}

/* Whether thread TID has ended, or all but: it may not be seized, and there is
 * nothing to read. */
static bool is_exiting(int32_t pid, int32_t tid)
{
	char text[512];
	const char *end = text + sizeof(text), *state = NULL;
	char *at = put_text(text, end, "/proc/");
	long fd, n;

	at = put_number(at, end, (uint64_t)pid);
	at = put_text(at, end, "/task/");
	at = put_number(at, end, (uint64_t)tid);
	put_text(at, end, "/stat");
	fd = sys_open(text, 0x80000 /* O_CLOEXEC */, 0);
	if (fd < 0)
		return false;
	n = sys3(read, fd, text, sizeof(text));
	sys1(close, fd);
	/* "tid (name) S": the name may hold anything, the rest no ")". */
	for (long i = 0; i + 2 < n; i++) {
		if (text[i] == ')')
			state = &text[i + 2];
	}
	return state && (*state == 'Z' || *state == 'X');
}

/* A filter, or a shortage, may refuse one of many: that one is tried again. */
long trace(long request, int32_t tid, long address, void *data)
{
	long n = sys4(ptrace, request, tid, address, data);

	return n < 0 ? sys4(ptrace, request, tid, address, data) : n;
}

/* Seize TID and ask it to stop; the stop itself is collected later. NAME is
 * what we know it by, or empty. */
static void seize(int32_t tid, const char *name)
{
	struct crash_record *record = &zone.record;
	struct crash_thread *thread;
	long error = -1;

	if (tid == record->tid || record->nthreads >= RECORD_THREADS)
		return;
	/* A slot may hold the tid of a thread that is gone, and the kernel may
	 * have given it to another process since. */
	if (!is_thread(record->pid, tid))
		return;
	if (zone.plan == PLAN_PTRACE) {
		error = trace(PTRACE_SEIZE, tid, 0, NULL);
		if (error == -3 /* ESRCH */)
			return;
		if (error < 0 && is_exiting(record->pid, tid))
			return;
		if (error < 0)
			give_reason(2, "ptrace", error);
	}
	thread = &record->threads[record->nthreads++];
	thread->tid = tid;
	zone_copy(thread->name, name, sizeof(thread->name));
	thread->reaped = 0;
	thread->traced = error == 0;
	thread->state = error == 0 ? THREAD_WAITED : THREAD_DENIED;
	if (error == 0)
		trace(PTRACE_INTERRUPT, tid, 0, NULL);
}

static void seize_registered(void)
{
	const struct crash_record *record = &zone.record;
	uint32_t n = atomic_load(&zone.nslots);

	for (uint32_t i = 0; i < n; i++) {
		int32_t tid = atomic_load(&zone.tids[i]);

		if (tid > 0 && tid != record->pid)
			seize(tid, zone.slots[i].name);
	}
}

/* /proc may be another PID namespace's, in whose numbers we cannot speak. */
static bool is_our_proc(void)
{
	char self[24];
	long n = sys_readlink("/proc/self", self, sizeof(self) - 1);

	if (n <= 0)
		return false;
	self[n] = '\0';
	return take_number(self) == (int32_t)sys0(getpid);
}

static void write_path(int32_t pid, char path_out[64])
{
	char *at = put_text(path_out, path_out + 64, "/proc/");

	at = put_number(at, path_out + 64, (uint64_t)pid);
	put_text(at, path_out + 64, "/task");
}

bool task_path(int32_t pid, char path_out[64])
{
	write_path(pid, path_out);
	return is_our_proc();
}

/* Seize every thread in the directory that is not known yet. Returns how many
 * that were. */
static uint32_t seize_listed(const char *path)
{
	uint32_t before = zone.record.nthreads;
	long fd = sys_open(path, 0x90000 /* O_DIRECTORY | O_CLOEXEC */, 0);
	long n;

	if (fd < 0)
		return 0;
	while ((n = sys3(getdents64, fd, dirents, sizeof(dirents))) > 0) {
		for (long at = 0; at < n;) {
			struct dirent64_head *entry = (void *)(dirents + at);
			int32_t tid = take_number(entry->name);

			at += entry->reclen;
			if (tid > 0 && !known(tid))
				seize(tid, unnamed);
		}
	}
	sys1(close, fd);
	return zone.record.nthreads - before;
}

/* The directory's link count is two and one more for each thread. */
static uint32_t count_threads(const char *path)
{
	struct stat st;

	if (sys_stat(path, &st) < 0 || st.st_nlink < 2)
		return 0;
	return (uint32_t)st.st_nlink - 2;
}

/* Up to LEN bytes of FILE of thread TID in the directory TASK; <= 0: none. */
static long read_task(const char *task, int32_t tid, const char *file,
		      char *to, size_t len)
{
	char path[96];
	const char *end = path + sizeof(path);
	char *at = put_text(path, end, task);
	long fd, n;

	at = put_text(at, end, "/");
	at = put_number(at, end, (uint64_t)tid);
	put_text(at, end, file);
	fd = sys_open(path, 0x80000 /* O_CLOEXEC */, 0);
	if (fd < 0)
		return fd;
	n = sys3(read, fd, to, len);
	sys1(close, fd);
	return n;
}

static void read_name(const char *task, struct crash_thread *thread)
{
	long n = read_task(task, thread->tid, "/comm", thread->name,
			   sizeof(thread->name) - 1);

	if (n != 0)
		thread->name[n > 0 ? n - 1 : 0] = '\0'; /* was a newline */
}

/* The last number of the text that ends at *AT, hexadecimal behind "0x"; *AT
 * moves to before it. */
static uint64_t take_hex(const char *text, const char **at)
{
	uint64_t value = 0;
	int shift = 0;

	for (; *at > text && (*at)[-1] != 'x'; (*at)--) {
		char c = (*at)[-1];
		uint64_t digit = c <= '9' ? (uint64_t)(c - '0')
					  : (uint64_t)(c - 'a' + 10);

		if (shift < 64)
			value |= (digit & 15) << shift;
		shift += 4;
	}
	while (*at > text && (*at)[-1] != ' ')
		(*at)--;
	if (*at > text)
		(*at)--;
	return value;
}

/* The kernel's text is "running", or the call, its arguments, sp and pc. */
void place_thread(const char *task, struct crash_thread *thread)
{
	char text[256];
	long n = read_task(task, thread->tid, "/syscall", text,
			   sizeof(text) - 1);
	const char *at;
	uint64_t pc, sp;

	if (n <= 1 || text[0] == 'r')
		return;
	at = text + n - 1; /* without the newline */
	pc = take_hex(text, &at);
	sp = take_hex(text, &at);
	if (!pc || !sp)
		return;
	place_to_user(pc, sp, thread->regs);
	thread->state = THREAD_PLACED;
}

/* Collect THREAD if it has stopped. False while that is still to come. The
 * registers are asked for first: that says, too, whether it stands still. */
static bool collect(struct crash_thread *thread)
{
	int status = 0;
	long n;

	if (thread->state != THREAD_WAITED)
		return true;
	if (thread->traced && read_user(thread->tid, thread->regs) >= 0) {
		thread->state = THREAD_STOPPED;
		return true;
	}
	n = sys4(wait4, thread->tid, &status, __WALL | WNOHANG, 0);
	if (n < 0 && n != -10 /* ECHILD */)
		n = sys4(wait4, thread->tid, &status, __WALL | WNOHANG, 0);
	if (n == 0)
		return false;
	if (n == -10 /* ECHILD */ || (n > 0 && !WIFSTOPPED(status))) {
		thread->state = THREAD_GONE;
		return true;
	}
	if (read_user(thread->tid, thread->regs) >= 0 ||
	    read_user(thread->tid, thread->regs) >= 0)
		thread->state = THREAD_STOPPED;
	return n > 0 || thread->state == THREAD_STOPPED;
}

bool wait_child(int64_t until_ns)
{
	uint64_t set = ZONE_SIGNAL(SIGCHLD);
	int64_t rest = until_ns - clock_ns(CLOCK_MONOTONIC);
	struct timespec limit = { rest / NS_PER_S, rest % NS_PER_S };

	if (rest <= 0)
		return false;
	sys4(rt_sigtimedwait, &set, NULL, &limit, KERNEL_SIGSET);
	return true;
}

/* One after the other, in the order in which they were interrupted: to ask all
 * of them again whenever one has stopped is quadratic. Where one uses the time
 * up, those behind it have had theirs as well, and are asked once. */
static void collect_all(int64_t until_ns)
{
	struct crash_record *record = &zone.record;

	for (uint32_t i = 0; i < record->nthreads; i++) {
		while (!collect(&record->threads[i]) && wait_child(until_ns))
			;
	}
}

/* Threads that pthread_create did not make have their names in /proc alone. */
static void name_threads(const char *path)
{
	struct crash_record *record = &zone.record;

	uint32_t read = 0;

	for (uint32_t i = 0; i < record->nthreads; i++) {
		if (record->threads[i].name[0] || read++ >= NAMED_THREADS)
			continue;
		read_name(path, &record->threads[i]);
	}
}

/* What did not stop is in a system call that cannot be interrupted; and is
 * any left to be stopped by other means? */
static bool settle(const char *task)
{
	struct crash_record *record = &zone.record;
	bool all = true;

	for (uint32_t i = 0; i < record->nthreads; i++) {
		struct crash_thread *thread = &record->threads[i];

		if (task && thread->state == THREAD_WAITED)
			place_thread(task, thread);
		all &= thread->state != THREAD_DENIED;
	}
	return all;
}

void seize_known(void)
{
	struct crash_record *record = &zone.record;

	zone.seized = true;
	record->nthreads = 0;
	if (record->tid != record->pid)
		seize(record->pid, unnamed);
	seize_registered();
}

bool is_only_thread(void)
{
	char task[64];

	return task_path(zone.record.pid, task) && count_threads(task) == 1;
}

/* Whether nothing is left to ask /proc about. How many threads it has may be
 * asked of another's as well. */
static bool is_complete(const char *task)
{
	const struct crash_record *record = &zone.record;

	if (count_threads(task) != record->nthreads + 1)
		return false;
	for (uint32_t i = 0; i < record->nthreads; i++) {
		if (!record->threads[i].name[0] ||
		    record->threads[i].state == THREAD_WAITED)
			return false;
	}
	return true;
}

bool collect_threads(int64_t until_ns)
{
	char task[64];

	collect_all(until_ns);
	write_path(zone.record.pid, task);
	if (is_complete(task) || !is_our_proc())
		return settle(NULL);
	/* Those that nobody told us of; and until all stood still, one may have
	 * started another. */
	for (int i = 0; i < MAX_RESCANS; i++) {
		if (count_threads(task) <= zone.record.nthreads + 1 ||
		    !seize_listed(task))
			break;
		collect_all(until_ns);
	}
	name_threads(task);
	return settle(task);
}

/* True once THREAD is no child of ours any more. */
static bool reap(struct crash_thread *thread)
{
	int status;
	long n;

	if (thread->reaped || !thread->traced || thread->state == THREAD_GONE)
		return true;
	n = sys4(wait4, thread->tid, &status, __WALL | WNOHANG, 0);
	if (n == 0 || (n > 0 && WIFSTOPPED(status)))
		return false;
	thread->reaped = 1;
	return true;
}

uint32_t reap_threads(int64_t until_ns)
{
	struct crash_record *record = &zone.record;
	uint32_t left = 0;

	if (zone.kept)
		return 0;
	for (uint32_t i = 0; i < record->nthreads; i++) {
		bool gone = reap(&record->threads[i]);

		while (!gone && wait_child(until_ns))
			gone = reap(&record->threads[i]);
		left += !gone;
	}
	return left;
}

/* Whether some thread still is where we have stopped it. */
static bool holds_any(void)
{
	struct crash_record *record = &zone.record;
	uint64_t regs[RECORD_USER];

	for (uint32_t i = 0; i < record->nthreads; i++) {
		struct crash_thread *thread = &record->threads[i];

		if (thread->traced && thread->state == THREAD_STOPPED)
			return read_user(thread->tid, regs) >= 0;
	}
	return false;
}

void let_threads_die(int64_t until_ns)
{
	while (holds_any() && wait_child(until_ns))
		;
}
