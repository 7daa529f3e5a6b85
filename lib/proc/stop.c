/* Stopping another process's threads with ptrace. Runs in `epitaph stack`.
 * Trusts the kernel; the process may exit, make threads or get signals at any
 * moment. */
#include "stop.h"
#include "../report/clock.h"
#include "user.h"

#include <dirent.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
	PATH_LEN = 64,
	STATUS_LEN = 4096,
	FIRST_NAP_NS = 20000,    /* between looks at who has stopped */
	LONGEST_NAP_NS = 1000000,
	UNINTERRUPTIBLE_MS = 50, /* then state D is taken at its word */
};

/* The start of a small file of /proc as text; "" where there is none. */
static void read_proc(char *text, size_t size, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static void read_proc(char *text, size_t size, const char *format, ...)
{
	char path[PATH_LEN];
	va_list args;
	ssize_t n = 0;
	int fd;

	va_start(args, format);
	vsnprintf(path, sizeof(path), format, args);
	va_end(args);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		n = read(fd, text, size - 1);
		close(fd);
	}
	text[n > 0 ? n : 0] = '\0';
}

/* The letter behind "State:" of a thread's status; 'X' where it is gone. */
static char thread_state(pid_t pid, pid_t tid)
{
	char text[STATUS_LEN];
	const char *at;

	read_proc(text, sizeof(text), "/proc/%d/task/%d/status", pid, tid);
	at = strstr(text, "\nState:\t");
	return at ? at[8] : 'X';
}

static void read_name(pid_t pid, struct stopped_thread *thread)
{
	char text[32];

	read_proc(text, sizeof(text), "/proc/%d/task/%d/comm", pid,
		  thread->tid);
	text[strcspn(text, "\n")] = '\0';
	snprintf(thread->name, sizeof(thread->name), "%.15s", text);
}

/* The next thread in DIR, 0 at the end. */
static pid_t next_thread(DIR *dir)
{
	struct dirent *entry;
	pid_t tid = 0;

	while (tid <= 0 && (entry = readdir(dir)) != NULL)
		tid = (pid_t)strtol(entry->d_name, NULL, 10);
	return tid > 0 ? tid : 0;
}

static DIR *open_threads(pid_t pid)
{
	char path[PATH_LEN];

	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	return opendir(path);
}

static int compare_tids(const void *a, const void *b)
{
	const struct stopped_thread *x = a, *y = b;

	return x->tid < y->tid ? -1 : x->tid > y->tid;
}

/* Three system calls for a name are a third of what stopping a thread takes,
 * so most names are read before. NULL, with 0, if there are none. */
static struct stopped_thread *read_names(pid_t pid, size_t *len_out)
{
	struct stopped_thread *named = calloc(MAX_THREADS, sizeof(*named));
	DIR *dir = open_threads(pid);
	size_t n = 0;
	pid_t tid;

	while (named && dir && n < MAX_THREADS &&
	       (tid = next_thread(dir)) != 0) {
		named[n].tid = tid;
		read_name(pid, &named[n++]);
	}
	if (dir)
		closedir(dir);
	if (n > 0)
		qsort(named, n, sizeof(*named), compare_tids);
	*len_out = n;
	return named;
}

/* A thread that is new since read_names() is asked now. */
static void set_name(pid_t pid, struct stopped_thread *thread,
		     const struct stopped_thread *named, size_t n)
{
	const struct stopped_thread *found = NULL;

	if (n > 0)
		found = bsearch(thread, named, n, sizeof(*named),
				compare_tids);
	if (found)
		memcpy(thread->name, found->name, sizeof(thread->name));
	else
		read_name(pid, thread);
}

/* Asked once, and not by PTRACE_GETREGSET: about a thread that has none Linux
 * 6.6 to 6.12 then complain aloud, as a machine may be set to panic for. */
static bool has_shadow_stack(pid_t pid)
{
	char text[STATUS_LEN];
	const char *at;

	read_proc(text, sizeof(text), "/proc/%d/status", pid);
	at = strstr(text, "\nx86_Thread_features:\t");
	return at && memmem(at, strcspn(at + 1, "\n"), "shstk", 5);
}

static void read_registers(struct stopped_thread *thread, bool has_shadow)
{
	uint64_t regs[USER_WORDS], shadow;
	struct iovec iov = { regs, sizeof(regs) };

	if (ptrace(PTRACE_GETREGSET, thread->tid, NT_PRSTATUS, &iov) != 0 ||
	    iov.iov_len != sizeof(regs))
		return;
	user_registers(regs, &thread->registers);
	iov = (struct iovec){ &shadow, sizeof(shadow) };
	if (has_shadow &&
	    ptrace(PTRACE_GETREGSET, thread->tid, USER_SHADOW, &iov) == 0 &&
	    iov.iov_len == sizeof(shadow))
		user_shadow(shadow, &thread->registers);
}

static const struct stopped_thread *find_thread(const struct stopped *stopped,
						pid_t tid)
{
	for (size_t i = 0; i < stopped->nthreads; i++)
		if (stopped->threads[i].tid == tid)
			return &stopped->threads[i];
	return NULL;
}

/* Why we may not trace PID, and what to do about it. */
static bool refuse(pid_t pid, struct error *err)
{
	char text[STATUS_LEN];
	const char *at;
	long tracer;

	read_proc(text, sizeof(text), "/proc/%d/status", pid);
	if (!strstr(text, "\nVmSize:"))
		return fail(err, ERR_REFUSED, "it has no memory: "
			    "a kernel thread, or a process that has ended");
	at = strstr(text, "\nTracerPid:\t");
	tracer = at ? strtol(at + 12, NULL, 10) : 0;
	if (tracer > 0)
		return fail(err, ERR_REFUSED, "process %ld traces it already, "
			    "and there can be only one", tracer);
	read_proc(text, sizeof(text), "/proc/sys/kernel/yama/ptrace_scope");
	if (text[0] > '0' && geteuid() != 0)
		return fail(err, ERR_REFUSED, "not permitted: "
			    "kernel.yama.ptrace_scope is %c; run as root",
			    text[0]);
	if (geteuid() != 0)
		return fail(err, ERR_REFUSED, "not permitted: "
			    "run as root, or as the user it runs as");
	return fail(err, ERR_REFUSED, "not permitted, even for root: "
		    "a container without CAP_SYS_PTRACE, perhaps");
}

/* A thread that is exiting, or a leader that has, cannot be traced; that is no
 * reason to fail. */
static bool seize(struct stopped *stopped, pid_t tid, struct error *err)
{
	struct stopped_thread *thread = &stopped->threads[stopped->nthreads];
	char state;

	if (stopped->nthreads == MAX_THREADS)
		return true;
	if (ptrace(PTRACE_SEIZE, tid, NULL, NULL) != 0) {
		if (errno == ESRCH)
			return true;
		state = thread_state(stopped->pid, tid);
		if (state == 'Z' || state == 'X')
			return true;
		return refuse(stopped->pid, err);
	}
	memset(thread, 0, sizeof(*thread));
	thread->tid = tid;
	stopped->nthreads++;
	if (stopped->since_us == 0)
		stopped->since_us = clock_monotonic_us();
	ptrace(PTRACE_INTERRUPT, tid, NULL, NULL);
	return true;
}

/* One pass over the threads that there are now. *FOUND_OUT: how many were not
 * known. */
static bool seize_new(struct stopped *stopped, size_t *found_out,
		      struct error *err)
{
	size_t before = stopped->nthreads;
	DIR *dir = open_threads(stopped->pid);
	bool ok = true;
	pid_t tid;

	if (!dir)
		return fail(err, ERR_NOT_FOUND, "no such process");
	while (ok && (tid = next_thread(dir)) != 0)
		if (!find_thread(stopped, tid))
			ok = seize(stopped, tid, err);
	closedir(dir);
	*found_out = stopped->nthreads - before;
	return ok;
}

/* What waitpid said of THREAD. A signal that was about to be delivered waits
 * until it is let go; a stop of the whole group is not ours to undo. */
static void note_stop(struct stopped_thread *thread, int status,
		      bool has_shadow)
{
	thread->stopped = true;
	if (status >> 16 == 0)
		thread->signal = WSTOPSIG(status);
	read_registers(thread, has_shadow);
}

/* Look once at every thread that has not stopped; how many are left. Threads
 * that have exited are taken out. */
static size_t collect(struct stopped *stopped)
{
	size_t kept = 0, waiting = 0;

	for (size_t i = 0; i < stopped->nthreads; i++) {
		struct stopped_thread *thread = &stopped->threads[i];
		int status;
		pid_t got = 0;

		if (!thread->stopped)
			got = waitpid(thread->tid, &status, __WALL | WNOHANG);
		if (got < 0 || (got > 0 && !WIFSTOPPED(status)))
			continue;
		if (got > 0)
			note_stop(thread, status, stopped->has_shadow);
		waiting += !thread->stopped && !thread->gave_up;
		stopped->threads[kept++] = *thread;
	}
	stopped->nthreads = kept;
	return waiting;
}

static void give_up_on_sleepers(struct stopped *stopped)
{
	for (size_t i = 0; i < stopped->nthreads; i++) {
		struct stopped_thread *thread = &stopped->threads[i];

		if (!thread->stopped)
			thread->gave_up =
				thread_state(stopped->pid, thread->tid) == 'D';
	}
}

static void wait_for_stops(struct stopped *stopped, int64_t deadline_us)
{
	struct timespec nap = { 0, FIRST_NAP_NS };
	int64_t patience_us = clock_monotonic_us() + UNINTERRUPTIBLE_MS * 1000;

	while (collect(stopped) > 0 && clock_monotonic_us() < deadline_us) {
		nanosleep(&nap, NULL);
		nap.tv_nsec *= 2;
		if (nap.tv_nsec > LONGEST_NAP_NS)
			nap.tv_nsec = LONGEST_NAP_NS;
		if (clock_monotonic_us() < patience_us)
			continue;
		give_up_on_sleepers(stopped);
		patience_us = clock_monotonic_us() + UNINTERRUPTIBLE_MS * 1000;
	}
}

/* Only a pass that finds nobody new, with everybody known stopped, proves that
 * there is nobody else. */
static bool stop_all(struct stopped *stopped, int64_t deadline_us,
		     struct error *err)
{
	size_t found = 0;

	do {
		if (!seize_new(stopped, &found, err))
			return false;
		wait_for_stops(stopped, deadline_us);
	} while (found > 0 && clock_monotonic_us() < deadline_us);
	if (stopped->nthreads == 0)
		return fail(err, ERR_NOT_FOUND, "it has just exited");
	return true;
}

bool stop_process(pid_t pid, int64_t deadline_ms, struct stopped *out,
		  struct error *err)
{
	struct stopped stopped = { .pid = pid, .mem_fd = -1 };
	struct stopped_thread *named;
	char path[PATH_LEN];
	size_t nnamed;
	bool ok;

	stopped.threads = calloc(MAX_THREADS + 1, sizeof(*stopped.threads));
	if (!stopped.threads)
		return fail(err, ERR_NO_MEMORY, "no memory for %d threads",
			    MAX_THREADS);
	stopped.has_shadow = has_shadow_stack(pid);
	named = read_names(pid, &nnamed);
	ok = stop_all(&stopped, clock_monotonic_us() + deadline_ms * 1000, err);
	for (size_t i = 0; ok && i < stopped.nthreads; i++)
		set_name(pid, &stopped.threads[i], named, nnamed);
	free(named);
	if (!ok) {
		stop_release(&stopped);
		return false;
	}
	snprintf(path, sizeof(path), "/proc/%d/mem", pid);
	stopped.mem_fd = open(path, O_RDONLY | O_CLOEXEC);
	*out = stopped;
	return true;
}

/* A thread that never stopped cannot be detached; the kernel lets it go when
 * we exit. */
int64_t stop_release(struct stopped *stopped)
{
	int64_t since_us = stopped->since_us;
	int64_t stopped_us;

	for (size_t i = 0; i < stopped->nthreads; i++) {
		long signal = stopped->threads[i].signal;

		ptrace(PTRACE_DETACH, stopped->threads[i].tid, NULL,
		       (void *)signal);
	}
	stopped_us = since_us ? clock_monotonic_us() - since_us : 0;
	if (stopped->mem_fd >= 0)
		close(stopped->mem_fd);
	free(stopped->threads);
	memset(stopped, 0, sizeof(*stopped));
	stopped->mem_fd = -1;
	return stopped_us;
}

size_t stop_read(void *context, uint64_t address, void *to, size_t len)
{
	const struct stopped *stopped = context;
	struct iovec local = { to, len };
	struct iovec remote = { (void *)(uintptr_t)address, len };
	ssize_t n;

	n = process_vm_readv(stopped->pid, &local, 1, &remote, 1, 0);
	if (n <= 0 && stopped->mem_fd >= 0 && address <= INT64_MAX)
		n = pread(stopped->mem_fd, to, len, (off_t)address);
	return n > 0 ? (size_t)n : 0;
}
