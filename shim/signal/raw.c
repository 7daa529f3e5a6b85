/* Tier 4: where nobody else can make the report, the record itself goes to the
 * spool, with those bytes of memory that a report needs, and is finished later
 * by who can. Runs in the crashing thread or in the witness; memory is handed
 * to write(2) as it is, which says EFAULT where we would have died. */
#include <fcntl.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "zone.h"

enum {
	WINDOW_CRASHED = 49152, /* bytes from sp, of the crashing thread, */
	WINDOW_BASE = 16384,    /* at the base of the main thread's stack, */
	WINDOW_OTHER = 16384,   /* and from sp of the others: contract.md */
	WINDOW_SHADOW = 4096,   /* of the crashing thread's shadow stack, */
	WINDOW_SHADOW_OTHER = 1024, /* and of the others' */
	CODE_BYTES = 256,       /* around the pc */
	ARGUMENTS_MAX = 1 << 20, /* of pointers to them */
	MODULE_HEAD = 4096,     /* ELF headers and, nearly always, build-id */
	MAX_MODULES = 512,
	TEXT_MAX = 16 << 20,
	/* The kernel gives arguments and environment at most 6 MiB. */
	MAX_ENVIRONMENT = 8 << 20,
	SPOOL_PATH = 1200,
	MAX_INTERRUPTED = 100, /* writes to a file are not, in truth */
};

static char buffer[4096];
static const char zeros[sizeof(((struct crash_settings *)0)->token)];

/* LEN bytes at FROM, as many as can be read: how many, or -errno. */
static long put_bytes(long fd, const void *from, size_t len)
{
	size_t done = 0;
	int interrupted = 0;

	while (done < len) {
		long n = sys3(write, fd, (const char *)from + done, len - done);

		if (n == -4 /* EINTR */ && interrupted++ < MAX_INTERRUPTED)
			continue;
		if (n == -14 /* EFAULT */ || n == 0)
			break;
		if (n < 0)
			return n;
		done += (size_t)n;
	}
	return (long)done;
}

static long put_head(long fd, enum raw_type type, uint64_t address, size_t len)
{
	struct raw_head head = { type, (uint32_t)len, address };
	long n = put_bytes(fd, &head, sizeof(head));

	return n < 0 ? n : 0;
}

/* Correct the length of the piece whose head is at AT. */
static long mend_head(long fd, int64_t at, size_t len)
{
	uint32_t length = (uint32_t)len;
	long n = sys4(pwrite64, fd, &length, sizeof(length),
		      at + (int64_t)offsetof(struct raw_head, len));

	return n < 0 ? n : 0;
}

static long put_piece(long fd, enum raw_type type, uint64_t address, size_t len)
{
	int64_t at = sys3(lseek, fd, 0, 1 /* SEEK_CUR */);
	long n;

	if (at < 0)
		return at;
	n = put_head(fd, type, address, len);
	if (n < 0)
		return n;
	n = put_bytes(fd, (const void *)(uintptr_t)address, len);
	if (n < 0 || (size_t)n == len)
		return n < 0 ? n : 0;
	return mend_head(fd, at, (size_t)n);
}

/* The token is for the wire, not for a file. */
static long put_record(long fd)
{
	const struct crash_record *record = &zone.record;
	const char *at = (const char *)record;
	size_t token = offsetof(struct crash_record, settings.token);
	size_t rest = token + sizeof(record->settings.token);
	size_t len = offsetof(struct crash_record, threads);
	long n = put_head(fd, RAW_RECORD, 0, len);

	if (n == 0)
		n = put_bytes(fd, at, token);
	if (n >= 0)
		n = put_bytes(fd, zeros, sizeof(zeros));
	if (n >= 0)
		n = put_bytes(fd, at + rest, len - rest);
	if (n < 0)
		return n;
	len = record->nthreads * sizeof(record->threads[0]);
	return put_piece(fd, RAW_THREADS, (uint64_t)(uintptr_t)record->threads,
			 len);
}

static size_t wanted(size_t fallback)
{
	int64_t bytes = zone.record.settings.stack_bytes;

	/* What may be kept of the stack and what may not is known to the helper
	 * alone. */
	if (zone.record.settings.sanitize)
		return 0;
	return bytes >= 0 && (size_t)bytes < fallback ? (size_t)bytes
						       : fallback;
}

static long put_window(long fd, uint64_t sp, uint64_t tcb, size_t len)
{
	uint64_t argc = zone.record.main_stack_end, from = sp - RED_ZONE;

	if (!sp || !len)
		return 0;
	if (from >= argc && from - argc < MAX_ENVIRONMENT)
		return 0;
	if (from < argc && argc - from < len)
		len = (size_t)(argc - from);
	if (from < tcb && tcb - from < len)
		len = (size_t)(tcb - from);
	return put_piece(fd, RAW_MEMORY, from, len);
}

static long put_shadow(long fd, uint64_t shadow, size_t len)
{
	if (!shadow || !wanted(len))
		return 0;
	return put_piece(fd, RAW_MEMORY, shadow, len);
}

static long put_other(long fd, const uint64_t regs[RECORD_USER])
{
	long n = put_window(fd, user_sp(regs), user_tcb(regs),
			    wanted(WINDOW_OTHER));

	return n == 0 ? put_shadow(fd, user_shadow(regs),
				   WINDOW_SHADOW_OTHER) : n;
}

static long put_memory(long fd)
{
	const struct crash_record *record = &zone.record;
	uint64_t argc = record->main_stack_end;
	uint64_t sp = record->gregs[GREG_SP], pc = record->gregs[GREG_PC];
	size_t base = wanted(WINDOW_BASE);
	long n = put_window(fd, sp, record->tcb, wanted(WINDOW_CRASHED));

	if (n == 0 && record->tid == record->pid && argc > sp && base)
		n = put_piece(fd, RAW_MEMORY, argc - base, base);
	if (n == 0 && pc > CODE_BYTES)
		n = put_piece(fd, RAW_MEMORY, pc - CODE_BYTES / 2, CODE_BYTES);
	if (n == 0)
		n = put_piece(fd, RAW_MEMORY, record->auxv, record->auxv_len);
	/* Pointers alone: what they point to lies behind auxv, and is not for
	 * us. */
	if (n == 0 && argc && record->auxv - argc < ARGUMENTS_MAX)
		n = put_piece(fd, RAW_MEMORY, argc, record->auxv - argc);
	if (n == 0)
		n = put_shadow(fd, record->shadow, WINDOW_SHADOW);
	if (n == 0 && record->xstate_at)
		n = put_piece(fd, RAW_MEMORY, record->xstate_at,
			      xstate_len(record->xstate_at));
	if (n == 0 && record->nnoted && record->nnoted <= RECORD_MODULES)
		n = put_piece(fd, RAW_MEMORY, record->noted,
			      record->nnoted * sizeof(struct noted_module));
	for (uint32_t i = 0; n == 0 && i < record->nthreads; i++) {
		const struct crash_thread *thread = &record->threads[i];

		if (thread->state == THREAD_STOPPED &&
		    i < record->settings.threads)
			n = put_other(fd, thread->regs);
	}
	return n;
}

/* The text of FILE under /proc/self, as a piece of TYPE. */
static long put_file(long fd, enum raw_type type, const char *file)
{
	int64_t at = sys3(lseek, fd, 0, 1);
	long from = sys_open(file, O_RDONLY | O_CLOEXEC, 0), n, total = 0;

	if (from < 0 || at < 0)
		return 0; /* as without /proc */
	n = put_head(fd, type, 0, 0);
	while (n >= 0 && total < TEXT_MAX) {
		long got = sys3(read, from, buffer, sizeof(buffer));

		if (got <= 0)
			break;
		n = put_bytes(fd, buffer, (size_t)got);
		total += n > 0 ? n : 0;
	}
	sys1(close, from);
	return n < 0 ? n : mend_head(fd, at, (size_t)total);
}

/* The first page of each file that is mapped from its start: the helper knows
 * modules by it. */
static long put_modules(long fd)
{
	long from = sys_open("/proc/self/maps", O_RDONLY | O_CLOEXEC, 0);
	struct map_line line = { 0 };
	long n, result = 0;
	int modules = 0;

	while (from >= 0 && result == 0 &&
	       (n = sys3(read, from, buffer, sizeof(buffer))) > 0) {
		for (long i = 0; i < n && result == 0; i++) {
			if (buffer[i] != '\n') {
				map_take(&line, buffer[i]);
				continue;
			}
			if (line.path && !line.offset &&
			    modules++ < MAX_MODULES)
				result = put_piece(fd, RAW_MEMORY, line.start,
						   MODULE_HEAD);
			line = (struct map_line){ 0 };
		}
	}
	if (from >= 0)
		sys1(close, from);
	return result;
}

/* A disk that fails is no place for a record; a call that is refused says
 * nothing about the disk. */
static long sync_file(long fd)
{
	long n = sys1(fsync, fd);

	return n == -5 /* EIO */ || n == -28 /* ENOSPC */ ||
	       n == -122 /* EDQUOT */ ? n : 0;
}

static long put_all(long fd)
{
	long n = put_record(fd);

	if (n == 0)
		n = put_memory(fd);
	if (n == 0)
		n = put_file(fd, RAW_MAPS, "/proc/self/maps");
	if (n == 0)
		n = put_file(fd, RAW_CMDLINE, "/proc/self/cmdline");
	if (n == 0)
		n = put_file(fd, RAW_CGROUP, "/proc/self/cgroup");
	if (n == 0)
		n = put_modules(fd);
	if (n == 0)
		n = put_head(fd, RAW_END, 0, 0);
	return n == 0 ? sync_file(fd) : n;
}

/* The spool, as lib/spool/spool.c finds it: nothing on the way is followed, and
 * a directory that is not ours, or that others may write to, is none. */
static long open_dir(const char *path, bool strict)
{
	uint32_t uid = (uint32_t)sys0(geteuid);
	struct stat st;
	long fd = sys_open(path,
		       O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, 0);

	if (fd < 0)
		return fd;
	if (sys2(fstat, fd, &st) < 0 ||
	    (strict && st.st_uid != uid) ||
	    ((st.st_mode & S_IWOTH)
		     ? !(st.st_mode & S_ISVTX) || st.st_uid != 0
		     : st.st_uid != uid && uid != 0)) {
		sys1(close, fd);
		return -1; /* EPERM */
	}
	return fd;
}

/* mkdir -p of PATH's last four parts. */
static void make_dirs(char *path)
{
	char *cuts[4];
	int n = 0;
	char *end = path;

	while (*end)
		end++;
	while (end > path + 1 && n < 4) {
		if (*--end == '/')
			cuts[n++] = end;
	}
	while (n > 0) {
		*cuts[--n] = '\0';
		sys_mkdir(path, 0700);
		*cuts[n] = '/';
	}
	sys_mkdir(path, 0700);
}

static long open_or_make(char *path, bool strict)
{
	long fd = open_dir(path, strict);

	if (fd != -2 /* ENOENT */)
		return fd;
	make_dirs(path);
	return open_dir(path, strict);
}

long open_spool(void)
{
	const struct crash_settings *settings = &zone.record.settings;
	static char path[SPOOL_PATH];
	const char *end = path + sizeof(path);
	char *at;
	long fd = -1;

	if (settings->spool[0]) {
		put_text(path, end, settings->spool);
		return open_or_make(path, false);
	}
	fd = open_dir("/var/spool/epitaph", false);
	if (fd >= 0 && sys4(faccessat, fd, ".", 3 /* W_OK | X_OK */, 0) == 0)
		return fd;
	if (settings->state_home[0] || settings->home[0]) {
		at = put_text(path, end, settings->state_home[0]
						 ? settings->state_home
						 : settings->home);
		put_text(at, end, settings->state_home[0]
					  ? "/epitaph"
					  : "/.local/state/epitaph");
		fd = open_or_make(path, false);
		if (fd >= 0)
			return fd;
	}
	at = put_text(path, end, "/tmp/epitaph-");
	put_number(at, end, (uint64_t)sys0(geteuid));
	return open_or_make(path, true);
}

/* Where no descriptor is free: a table of our own, and room in it. What the
 * process has open stays open for its other threads. */
static void make_room(void)
{
	struct rlimit limit;
	uint64_t block = ZONE_SIGNAL(SIGXFSZ);

	if (sys1(unshare, CLONE_FILES) == 0)
		sys3(close_range, 3, ~0u, 0);
	if (sys4(prlimit64, 0, RLIMIT_FSIZE, NULL, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		sys4(prlimit64, 0, RLIMIT_FSIZE, &limit, NULL);
	}
	sys4(rt_sigprocmask, SIG_BLOCK, &block, NULL, KERNEL_SIGSET);
}

/* Not under a filter, which may kill for what that takes. */
static bool is_counted(long dir)
{
	bool counted;
	long maps;

	if (zone.weighed || zone.seccomp)
		return false;
	zone.weighed = true;
	maps = sys_open("/proc/self/maps", O_RDONLY | O_CLOEXEC, 0);
	counted = over_budget(dir, maps);
	if (maps >= 0)
		sys1(close, maps);
	return counted;
}

long raw_write(void)
{
	char part[64], name[64];
	char *at;
	long dir, fd, n;

	if (!atomic_load(&zone.written))
		complete_record(zone.crash_context);
	read_exe();
	if (zone.order != ORDER_GO_ON)
		make_room();
	dir = open_spool();
	if (dir < 0)
		return dir;
	if (is_counted(dir)) {
		sys1(close, dir);
		return RAW_COUNTED;
	}
	at = put_text(name, name + sizeof(name), zone.record.id);
	put_text(at, name + sizeof(name), ".raw");
	at = put_text(part, part + sizeof(part), ".");
	at = put_text(at, part + sizeof(part), zone.record.id);
	put_text(at, part + sizeof(part), ".raw.part");
	fd = sys4(openat, dir, part,
		  O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	n = fd < 0 ? fd : put_all(fd);
	if (fd >= 0)
		sys1(close, fd);
	if (n == 0)
		n = sys4(renameat, dir, part, dir, name);
	if (n < 0 && fd >= 0)
		sys3(unlinkat, dir, part, 0);
	sys1(close, dir);
	return n;
}
