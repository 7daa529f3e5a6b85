/* From the crash record and the memory that the witness keeps alive to a
 * report. Runs in the helper, a healthy process; trusts nothing that it reads
 * from the dead one. */
#include "crash.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "../../lib/proc/user.h"
#include "../../lib/report/clock.h"
#include "../../lib/report/fingerprint.h"
#include "../../lib/report/siginfo.h"
#include "../../lib/report/uuid.h"
#include "../../lib/unwind/unwind.h"

enum {
	CRASHED_STACK = 65536, /* contract.md: 48 K from sp, 16 K at the base */
	OTHER_STACK = 16384,
	MAX_TEXT = 16 << 20,   /* of maps, cmdline, auxv each */
	UNWIND_MS = 300,       /* for the threads that did not crash */
	CODE_WINDOW = 256,     /* bytes of code kept around the pc */
	CRASHED_SHADOW = 4096, /* bytes of shadow stack kept: 512 calls, */
	OTHER_SHADOW = 1024,   /* and of others 128 */
	CRASHED_RANGES = 2,    /* base of the stack, code */
};

size_t crash_read(void *context, uint64_t address, void *to, size_t len)
{
	const struct crash *crash = context;
	struct iovec local = { to, len };
	struct iovec remote = { (void *)(uintptr_t)address, len };
	ssize_t n = -1;

	if (crash->raw)
		return raw_read(crash->raw, address, to, len);
	/* Not by its pid, too: the witness may be gone, that another's. */
	if (crash->mem >= 0) {
		n = pread(crash->mem, to, len, (off_t)address);
		if (n < 0 && errno != EIO)
			n = pread(crash->mem, to, len, (off_t)address);
	} else {
		n = process_vm_readv(crash->witness, &local, 1, &remote, 1, 0);
	}
	return n > 0 ? (size_t)n : 0;
}

#define TERMINATE(text) ((text)[sizeof(text) - 1] = '\0')

/* The record's texts, which the dead program may have overwritten, end where
 * they have to; its id is one, for it becomes a file's name. */
static bool check_texts(struct crash_record *record, struct error *err)
{
	int64_t time_ms;

	TERMINATE(record->id);
	TERMINATE(record->name);
	TERMINATE(record->exe);
	TERMINATE(record->tier_reason);
	TERMINATE(record->settings.helper);
	TERMINATE(record->settings.home);
	TERMINATE(record->settings.state_home);
	TERMINATE(record->settings.url);
	TERMINATE(record->settings.token);
	TERMINATE(record->settings.spool);
	TERMINATE(record->settings.release);
	TERMINATE(record->settings.tags);
	return uuid_parse(record->id, &time_ms) ||
	       fail(err, ERR_BAD_DATA, "crash record: its id is none");
}

static bool check_record(struct crash_record *record, struct error *err)
{
	if (record->magic != RECORD_MAGIC ||
	    record->version != RECORD_VERSION ||
	    record->size != sizeof(*record))
		return fail(err, ERR_BAD_DATA,
			    "crash record: not one of this build");
	if (record->nthreads > RECORD_THREADS)
		record->nthreads = RECORD_THREADS;
	return check_texts(record, err);
}

static bool read_record(struct crash *crash, uint64_t address,
			struct error *err)
{
	struct crash_record *record = calloc(1, sizeof(*record));
	size_t head = offsetof(struct crash_record, threads);
	size_t rest;

	if (!record)
		return fail(err, ERR_NO_MEMORY, "record: out of memory");
	crash->record = record;
	crash->address = address;
	if (crash_read(crash, address, record, head) != head)
		return fail(err, ERR_BAD_DATA, "crash record: not readable");
	if (!check_record(record, err))
		return false;
	rest = record->nthreads * sizeof(record->threads[0]);
	if (crash_read(crash, address + head, record->threads, rest) != rest)
		record->nthreads = 0;
	return true;
}

/* All of FD from its start, malloc'd, with a NUL behind it; NULL if it cannot
 * be read. */
static char *read_fd(int fd, size_t *len_out)
{
	size_t cap = 65536, len = 0;
	char *text = malloc(cap), *grown;
	ssize_t n;

	while (text && len < MAX_TEXT) {
		n = pread(fd, text + len, cap - 1 - len, (off_t)len);
		if (n < 0) /* what fails once may not fail twice */
			n = pread(fd, text + len, cap - 1 - len, (off_t)len);
		if (n <= 0)
			break;
		len += (size_t)n;
		if (len < cap - 1)
			continue;
		cap *= 2;
		grown = realloc(text, cap);
		if (!grown)
			free(text);
		text = grown;
	}
	if (text)
		text[len] = '\0';
	*len_out = len;
	return text;
}

static char *copy_text(const uint8_t *bytes, size_t len)
{
	char *text = bytes ? malloc(len + 1) : NULL;

	if (text) {
		memcpy(text, bytes, len);
		text[len] = '\0';
	}
	return text;
}

/* A text of /proc about the process, malloc'd: NAME, or where there is a raw
 * record its piece of TYPE. */
static char *read_proc(const struct crash *crash, const char *name,
		       enum raw_type type, size_t *len_out)
{
	char *text;
	int fd;

	*len_out = 0;
	if (crash->raw) {
		const uint8_t *bytes = raw_text(crash->raw, type, len_out);

		return copy_text(bytes, *len_out);
	}
	fd = openat(crash->proc, name, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return NULL;
	text = read_fd(fd, len_out);
	close(fd);
	return text;
}

bool crash_open(struct crash *crash, uint64_t address, struct error *err)
{
	return read_record(crash, address, err);
}

bool crash_is_there(struct crash *crash)
{
	uint64_t magic;

	return crash->raw || (crash_read(crash, crash->address, &magic,
					 sizeof(magic)) == sizeof(magic) &&
			      magic == RECORD_MAGIC);
}

bool crash_open_raw(struct crash *crash, const void *bytes, size_t len,
		    struct error *err)
{
	crash->raw = raw_new(bytes, len, err);
	if (!crash->raw)
		return false;
	crash->record = calloc(1, sizeof(*crash->record));
	if (!crash->record)
		return fail(err, ERR_NO_MEMORY, "record: out of memory");
	return raw_record(crash->raw, crash->record, err) &&
	       check_record(crash->record, err);
}

/* The kernel makes this text slowly: read once, it is also kept whole. None:
 * no /proc; registers and raw stack remain. */

/* The kernel makes this text slowly: read once, it is also kept whole. */
bool crash_map(struct crash *crash, struct error *err)
{
	if (crash->maps_fd >= 0)
		crash->maps_text = read_fd(crash->maps_fd, &crash->maps_len);
	else
		crash->maps_text = read_proc(crash, "maps", RAW_MAPS,
					     &crash->maps_len);
	if (!crash->maps_text || !crash->maps_len) {
		free(crash->maps_text);
		crash->maps_text = NULL;
		return crash_guess_maps(crash, err);
	}
	crash->maps_whole = copy_text((const uint8_t *)crash->maps_text,
				      crash->maps_len);
	if (!crash->maps_whole)
		return fail(err, ERR_NO_MEMORY, "maps: out of memory");
	if (!maps_parse(crash->maps_text, crash->maps_len, &crash->maps, err))
		return false;
	if (crash->raw)
		raw_use_maps(crash->raw, &crash->maps);
	return true;
}

void crash_close(struct crash *crash)
{
	perfmap_close(&crash->perfmap);
	raw_free(crash->raw);
	maps_free(&crash->maps);
	free(crash->maps_text);
	free(crash->maps_whole);
	free(crash->record);
}

static uint8_t *read_range(struct crash *crash, struct report *report,
			   uint64_t start, uint64_t *len)
{
	uint8_t *bytes = *len ? report_alloc(report, *len) : NULL;

	*len = bytes ? crash_read(crash, start, bytes, *len) : 0;
	if (bytes && crash->record->settings.sanitize)
		stack_sanitize(crash, bytes, start, *len);
	return bytes;
}

static void keep_stack(struct crash *crash, struct report *report,
		       struct thread *thread, uint64_t wanted)
{
	struct stack_window window =
		stack_window(crash, &thread->registers, wanted);
	struct memory_range *base;

	thread->stack.address = window.start;
	thread->stack.len = window.len;
	thread->stack.bytes = read_range(crash, report, window.start,
					 &thread->stack.len);
	if (!window.base_len || !thread->crashed)
		return;
	base = &report->memory[report->nmemory++];
	base->address = window.base_start;
	base->len = window.base_len;
	base->bytes = read_range(crash, report, base->address, &base->len);
}

static void keep_code(struct crash *crash, struct report *report,
		      const struct thread *thread)
{
	uint64_t pc = thread->registers.value[R_PC];
	const struct map *map = maps_find(&crash->maps, pc);
	struct memory_range *code;
	uint64_t start, end;

	if (!map || !map->exec)
		return;
	start = pc - map->start > CODE_WINDOW / 2 ? pc - CODE_WINDOW / 2
						   : map->start;
	end = map->end - pc > CODE_WINDOW / 2 ? pc + CODE_WINDOW / 2
					       : map->end;
	code = &report->memory[report->nmemory++];
	code->address = start;
	code->len = end - start;
	code->bytes = report_alloc(report, code->len);
	code->len = code->bytes ? crash_read(crash, start,
					     (void *)(uintptr_t)code->bytes,
					     code->len)
				: 0;
}

/* Its return addresses are what the stack's are held against, by who unwinds
 * again from the report, too. */
static void keep_shadow(struct crash *crash, struct report *report,
			const struct thread *thread, uint64_t wanted)
{
	struct memory_range *shadow = &report->memory[report->nmemory];

	if (!(thread->registers.valid & REG_BIT(R_SSP)) ||
	    crash->record->settings.stack_bytes == 0)
		return;
	shadow->address = thread->registers.value[R_SSP];
	shadow->len = wanted;
	shadow->bytes = read_range(crash, report, shadow->address,
				   &shadow->len);
	report->nmemory += shadow->len > 0;
}

static uint64_t wanted_stack(const struct crash *crash, uint64_t fallback)
{
	int64_t bytes = crash->record->settings.stack_bytes;

	return bytes >= 0 ? (uint64_t)bytes : fallback;
}

/* The extended state, which the kernel put into the signal frame. */
static void take_xstate(struct crash *crash, struct report *report,
			struct thread *thread)
{
	static uint8_t bytes[RECORD_XSTATE];
	uint64_t at = crash->record->xstate_at;
	size_t len;

	if (!at || crash_read(crash, at, bytes, 512) != 512)
		return;
	len = xstate_size(bytes);
	len = crash_read(crash, at, bytes, len);
	if (len < 512)
		return;
	thread->fpstate = report_copy(report, bytes, 512);
	thread->xstate = report_copy(report, bytes + 512, len - 512);
	thread->xstate_len = thread->xstate ? len - 512 : 0;
}

static void take_crashed(struct crash *crash, struct report *report,
			 struct thread *thread)
{
	const struct crash_record *record = crash->record;

	thread->tid = (uint32_t)record->tid;
	thread->name = report_string(report, record->name,
				     strnlen(record->name,
					     sizeof(record->name)));
	thread->crashed = true;
	thread->has_registers = true;
	registers_from_gregs(record->gregs, record->tcb,
			     &thread->registers);
	registers_add_shadow(crash, record->shadow, true, &thread->registers);
	if (!record->settings.sanitize)
		take_xstate(crash, report, thread);
	keep_stack(crash, report, thread, wanted_stack(crash, CRASHED_STACK));
	keep_shadow(crash, report, thread, CRASHED_SHADOW);
	keep_code(crash, report, thread);
}

static void take_other(struct crash *crash, struct report *report,
		       const struct crash_thread *from, struct thread *thread)
{
	thread->tid = (uint32_t)from->tid;
	if (from->name[0])
		thread->name = report_string(report, from->name,
					     strnlen(from->name,
						     sizeof(from->name)));
	if (from->state != THREAD_STOPPED)
		report->complete = false;
	if (from->state == THREAD_STOPPED) {
		user_registers(from->regs, &thread->registers);
		registers_add_shadow(crash, from->regs[USER_WORDS],
				     !from->traced, &thread->registers);
	} else if (from->state == THREAD_PLACED) {
		registers_from_place(from->regs, &thread->registers);
		thread->truncated = "not stopped: in a system call that "
				    "cannot be interrupted";
	} else {
		thread->truncated = from->state == THREAD_DENIED
					    ? "not stopped: not permitted"
					    : "not stopped in time";
		return;
	}
	thread->has_registers = true;
	if (report->nthreads > crash->record->settings.threads)
		return;
	keep_stack(crash, report, thread, wanted_stack(crash, OTHER_STACK));
	keep_shadow(crash, report, thread, OTHER_SHADOW);
}

static bool take_threads(struct crash *crash, struct report *report,
			 struct error *err)
{
	const struct crash_record *record = crash->record;

	report->threads = report_alloc(report, (record->nthreads + 1) *
					       sizeof(struct thread));
	report->memory = report_alloc(report, (CRASHED_RANGES + 1 +
					       record->nthreads) *
					      sizeof(struct memory_range));
	if (!report->threads || !report->memory)
		return fail(err, ERR_NO_MEMORY, "threads: out of memory");
	take_crashed(crash, report, &report->threads[report->nthreads++]);
	for (uint32_t i = 0; i < record->nthreads; i++) {
		if (record->threads[i].state == THREAD_GONE ||
		    report->nthreads == MAX_THREADS)
			continue;
		take_other(crash, report, &record->threads[i],
			   &report->threads[report->nthreads]);
		report->nthreads++;
	}
	return true;
}

static size_t code_ranges(const struct crash *crash,
			  struct unwind_range *ranges)
{
	size_t n = 0;

	for (size_t i = 0; i < crash->maps.len; i++) {
		const struct map *map = &crash->maps.entries[i];

		if (!map->exec)
			continue;
		if (n && ranges[n - 1].end == map->start)
			ranges[n - 1].end = map->end;
		else
			ranges[n++] = (struct unwind_range){ map->start,
							     map->end };
	}
	return n;
}

/* Above the frame of the function that a thread began with lie its TLS and its
 * TCB: nothing to unwind, and half of the bytes of one that waits. */
static void cut_stack(struct thread *thread)
{
	const struct frame *last = thread->frames + thread->nframes - 1;
	uint64_t start = thread->stack.address;

	if (thread->crashed || thread->truncated || !thread->nframes ||
	    last->trust > TRUST_SIGFRAME || last->cfa <= start)
		return;
	if (last->cfa - start < thread->stack.len)
		thread->stack.len = last->cfa - start;
}

static void walk_thread(struct unwind *unwind, struct report *report,
			struct thread *thread)
{
	static struct frame frames[MAX_FRAMES];
	struct unwind_result result;

	unwind_thread(unwind, &thread->registers, frames, MAX_FRAMES, &result);
	thread->frames = report_copy(report, frames,
				     result.nframes * sizeof(struct frame));
	thread->nframes = thread->frames ? result.nframes : 0;
	thread->depth = result.depth;
	if (!thread->truncated)
		thread->truncated = result.truncated;
	cut_stack(thread);
}

/* The crashing thread comes first, and the others as long as the witness keeps
 * the memory: it goes after half a second. Their stacks have been read, so who
 * prints the report can still unwind them. */
static void walk_threads(struct unwind *unwind, struct report *report)
{
	int64_t until = clock_monotonic_us() + UNWIND_MS * 1000;

	for (size_t i = 0; i < report->nthreads; i++) {
		struct thread *thread = &report->threads[i];

		if (!thread->has_registers)
			continue;
		if (i > 0 && clock_monotonic_us() > until) {
			thread->truncated = "no time was left to unwind it";
			report->complete = false;
			continue;
		}
		walk_thread(unwind, report, thread);
	}
}

static bool unwind_threads(struct crash *crash, struct report *report,
			   struct error *err)
{
	size_t n = crash->maps.len + 1;
	struct unwind_range *ranges = calloc(n, sizeof(*ranges));
	struct unwind_module *modules =
		calloc(report->nmodules + 1, sizeof(*modules));
	struct unwind *unwind = NULL;

	for (size_t i = 0; modules && i < report->nmodules; i++) {
		modules[i].base = report->modules[i].base;
		modules[i].end = modules[i].base + report->modules[i].size;
		modules[i].elf_fd = modules[i].debug_fd = -1;
	}
	if (ranges && modules)
		unwind = unwind_new(modules, report->nmodules, ranges,
				    code_ranges(crash, ranges), crash_read,
				    crash);
	if (unwind)
		walk_threads(unwind, report);
	unwind_free(unwind);
	free(ranges);
	free(modules);
	return unwind || fail(err, ERR_NO_MEMORY, "unwind: out of memory");
}

static void take_args(struct report *report)
{
	const char *at = (const char *)report->cmdline;
	size_t left = report->cmdline_len, n = 0;

	for (size_t i = 0; i < left; i++)
		n += !at[i];
	report->args = report_alloc(report, (n + 1) * sizeof(*report->args));
	if (!report->args)
		return;
	while (left && report->nargs <= n) {
		size_t len = strnlen(at, left);

		report->args[report->nargs++] = report_string(report, at, len);
		len += len < left;
		at += len;
		left -= len;
	}
}

/* How many bytes lie between the first argument and the first variable of the
 * environment: a program that writes its title over its arguments makes
 * /proc's cmdline run on into the environment. */
static size_t arguments_len(struct crash *crash, size_t len)
{
	uint64_t argc_at = crash->record->main_stack_end, words[2], variable;

	if (!argc_at ||
	    crash_read(crash, argc_at, words, sizeof(words)) != sizeof(words) ||
	    words[0] > MAX_TEXT ||
	    crash_read(crash, argc_at + 8 * (words[0] + 2), &variable,
		       sizeof(variable)) != sizeof(variable) ||
	    variable <= words[1] || variable - words[1] >= len)
		return len;
	return variable - words[1];
}

static void take_proc(struct crash *crash, struct report *report)
{
	size_t len;
	char *text = read_proc(crash, "cmdline", RAW_CMDLINE, &len);

	len = text ? arguments_len(crash, len) : 0;
	report->cmdline = text ? report_copy(report, text, len) : NULL;
	report->cmdline_len = report->cmdline ? len : 0;
	take_args(report);
	free(text);
	text = read_proc(crash, "cgroup", RAW_CGROUP, &len);
	if (text && strncmp(text, "0::", 3) == 0)
		report->cgroup = report_string(report, text + 3,
					       strcspn(text + 3, "\n"));
	free(text);
	if (crash->maps_whole)
		report->maps = report_string(report, crash->maps_whole,
					     crash->maps_len);
	report->maps_len = report->maps ? crash->maps_len : 0;
}

static void take_auxv(struct crash *crash, struct report *report)
{
	uint64_t auxv[128];
	size_t len = crash_read(crash, crash->record->auxv, auxv,
				sizeof(auxv));

	for (size_t i = 0; (i + 2) * 8 <= len; i += 2) {
		if (auxv[i])
			continue;
		report->auxv = report_copy(report, auxv, (i + 2) * 8);
		report->auxv_len = report->auxv ? (i + 2) * 8 : 0;
		return;
	}
}

static void take_signal(const struct crash_record *record,
			struct report *report)
{
	siginfo_t si;

	memcpy(&si, record->siginfo, sizeof(si));
	report->signal = record->signal;
	if (record->death_signal != record->signal)
		report->death_signal = record->death_signal;
	report->code = si.si_code;
	if (si.si_code == SI_USER || si.si_code == SI_TKILL ||
	    si.si_code == SI_QUEUE) {
		report->has_sender = true;
		report->sender_pid = (uint32_t)si.si_pid;
		report->sender_uid = si.si_uid;
	} else if (si.si_code > 0 && si.si_code != SI_KERNEL) {
		report->has_address = true;
		report->address = (uint64_t)(uintptr_t)si.si_addr;
	}
}

static void take_process(const struct crash_record *record,
			 struct report *report)
{
	memcpy(report->id, record->id, sizeof(report->id) - 1);
	report->time_ms = record->time_ns / 1000000;
	report->pid = (uint32_t)record->pid;
	report->uid = record->uid;
	report->has_uid = true;
	report->uptime_ms = record->started_ns
		? (record->boot_ns - record->started_ns) / 1000000
		: -1;
	report->frozen_us = record->fault_ns
		? (record->ready_ns - record->fault_ns) / 1000
		: -1;
	report->tier = (int)record->tier;
	report->exe = report_string(report, record->exe,
				    strnlen(record->exe, sizeof(record->exe)));
	if (record->tier_reason[0])
		report->tier_reason = report_string(
			report, record->tier_reason,
			strnlen(record->tier_reason,
				sizeof(record->tier_reason)));
	if (record->settings.release[0])
		report->release = report_string(
			report, record->settings.release,
			strnlen(record->settings.release,
				sizeof(record->settings.release)));
}

/* Only now: until here they were needed to unwind. */
static void sanitize_registers(const struct crash *crash,
			       struct report *report)
{
	for (size_t i = 0; i < report->nthreads; i++)
		registers_sanitize(crash, &report->threads[i].registers);
}

/* By these a program says that it gives up. */
static void take_message(struct crash *crash, struct report *report)
{
	if (report->signal == SIGABRT)
		report->message = crash_message(crash, report);
	if (report->message ||
	    (report->signal != SIGABRT && report->signal != SIGILL &&
	     report->signal != SIGTRAP))
		return;
	report->message = crash_exception(crash, report);
	if (!report->message)
		report->message = crash_panic(crash, report);
}

bool crash_collect(struct crash *crash, struct report *report,
		   struct error *err)
{
	int64_t began;

	report->complete = crash->record->tier == 1 && crash->maps_whole;
	report->sanitized = crash->record->settings.sanitize;
	take_process(crash->record, report);
	take_signal(crash->record, report);
	if (!maps_modules(&crash->maps, crash_read, crash, report, err) ||
	    !take_threads(crash, report, err))
		return false;
	crash_unloaded(crash, report);
	began = clock_monotonic_us();
	if (!unwind_threads(crash, report, err))
		return false;
	report->unwind_us = clock_monotonic_us() - began;
	crash_open_jit(crash, report);
	take_message(crash, report);
	if (crash->record->settings.sanitize)
		sanitize_registers(crash, report);
	crash_sender(crash, report);
	crash_notes(crash, report);
	take_auxv(crash, report);
	take_proc(crash, report);
	return true;
}

/* "k=v,k=v" into tags; a piece without "=" is left out. */
static void take_tags(const char *text, struct report *report)
{
	size_t n = 1;

	for (const char *at = text; *at; at++)
		n += *at == ',';
	report->tags = report_alloc(report, n * sizeof(struct tag));
	while (report->tags && *text && report->ntags < n) {
		size_t len = strcspn(text, ","), key = strcspn(text, "=,");
		struct tag *tag = &report->tags[report->ntags];

		if (key && key < len) {
			tag->key = report_string(report, text, key);
			tag->value = report_string(report, text + key + 1,
						   len - key - 1);
			report->ntags++;
		}
		text += len + (text[len] == ',');
	}
}

void crash_conclude(const struct crash *crash, struct report *report)
{
	const struct crash_record *record = crash->record;
	struct utsname name;
	uint64_t error = 0;
	bool has_error = !record->first_fault || record->signal == SIGSEGV;

	if (uname(&name) == 0) {
		report->host = report_string(report, name.nodename,
					     strlen(name.nodename));
		report->kernel = report_string(report, name.release,
					       strlen(name.release));
		report->arch = report_string(report, name.machine,
					     strlen(name.machine));
	}
	take_tags(record->settings.tags, report);
	has_error = has_error && page_fault_error(record->gregs, &error);
	report->reason = signal_reason(report, error, has_error);
	fingerprint_exact(report, report->exact);
	report->total_us = record->fault_ns && !crash->raw
		? clock_monotonic_us() - record->fault_ns / 1000
		: -1;
	/* It waits for us, and goes as soon as this is on disk. */
	if (record->late && report->total_us >= 0)
		report->frozen_us = report->total_us;
}
