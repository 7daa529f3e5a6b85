/* The signal zone: code that runs in a process that has just crashed, in the
 * dying thread or in the witness. It reads `struct zone`, which preload.c has
 * filled before any handler is installed, and makes raw system calls. No
 * malloc, lock, errno, TLS, environment or function pointer (but one, in
 * chain_call): scripts/check-zone proves that on the objects. */
#ifndef EPITAPH_SIGNAL_ZONE_H
#define EPITAPH_SIGNAL_ZONE_H

#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>
#include <ucontext.h>

#include "record.h"

enum {
	ZONE_ALTSTACK = 65536, /* 64 KiB: what abseil and wasmtime settled on */
	ZONE_WITNESS_STACK = 32768,
	ZONE_EXEC_STACK = 16384,
	ZONE_CAPTURE_STACK = 32768,
	ZONE_ROOM = 16384, /* bytes of stack that the handler wants below it;
	                    * with less it moves to the capture stack */
	ZONE_LINE = 64, /* bytes of a cache line */
	ZONE_MAX_THREADS = 4096, /* registered threads; more go unregistered */
	ZONE_MAX_FAULTS = 1024,  /* threads whose first fault is remembered */
	KERNEL_SIGSET = 8,       /* bytes */
};

/* Signals that a fault of our own raises: never blocked while we capture, or
 * the kernel would make it a death of another kind. */
#define ZONE_SIGNAL(sig) (1ull << ((sig) - 1))
#define ZONE_FAULTS                                                            \
	(ZONE_SIGNAL(SIGSEGV) | ZONE_SIGNAL(SIGBUS) | ZONE_SIGNAL(SIGILL) |    \
	 ZONE_SIGNAL(SIGFPE) | ZONE_SIGNAL(SIGSYS))

/* Signals that we claim, in the order of `struct zone`.actions. */
enum claimed {
	CLAIMED_SEGV, CLAIMED_BUS, CLAIMED_ILL, CLAIMED_FPE, CLAIMED_ABRT,
	CLAIMED_TRAP, CLAIMED_SYS,
	CLAIMED_COUNT,
};

/* Not known to all libc headers: the kernel's own. */
#define KERNEL_SA_RESTORER 0x04000000ul

/* The kernel's struct sigaction. */
struct kernel_action {
	uintptr_t handler;
	uint64_t flags;
	uintptr_t restorer;
	uint64_t mask;
};

/* The kernel's struct iovec. */
struct io_vector {
	void *base;
	size_t len;
};

/* What the program believes to be a signal's action. Written under `sequence`
 * (odd while it changes), read by the handler without a lock. */
struct virtual_action {
	_Atomic uint32_t sequence;
	struct kernel_action action;
};

/* Where the context of the last fault lies that went to a handler of the
 * program: if that handler turns out to be terminal, these are the registers
 * of the report. */
struct first_fault {
	int32_t signal;    /* 0: none */
	bool blocked;      /* while its handler runs, */
	bool opened;       /* unless that has unblocked it */
	uint64_t context;  /* address of the live ucontext */
	uint64_t shadow;   /* where our handler's shadow stack was, or 0 */
	uint8_t siginfo[128];
	uint64_t gregs[RECORD_GREGS];
};

/* A thread that we know: its alternate stack and its last fault. What its start
 * needs is in one line of the cache, for it may start on another processor. */
struct thread_slot {
	/* Lowest address; 0: it has none of ours. */
	_Alignas(ZONE_LINE) uintptr_t stack;
	uintptr_t start;  /* what its creator asked for, */
	uintptr_t argument; /* and with what */
	uintptr_t thread;   /* its pthread_t */
	char name[16];
	uint32_t fault;     /* index into zone.faults; 0: none */
	/* Signals that the program has blocked, and that we keep unblocked so
	 * that a fault reaches us; of these, the ones that are blocked for
	 * real after all, because one was sent; and the real mask that the
	 * thread had when this was last true. */
	uint64_t mask, held, seen;
	uint64_t room_from, room_to; /* of its stack, known to be writable */
	/* The program's alternate stack where it is too small for a signal
	 * frame, and ours is in its place. */
	uintptr_t small;
	size_t small_bytes;
};

/* What comes first; and whether there is a death at all. */
enum order { ORDER_REPORT, ORDER_DEATH, ORDER_GO_ON };

/* What the witness is to do: stop the other threads by ptrace, or by signal, or
 * not at all; or leave even the helper out. Less is asked of one after another
 * has died of it. */
enum plan { PLAN_PTRACE, PLAN_SIGNALS, PLAN_ALONE, PLAN_RAW };

/* What the witness was about to do when it died. */
enum step {
	STEP_START, STEP_PROBE, STEP_PTRACE, STEP_SIGNALS, STEP_BUDGET,
	STEP_HELPER,
};

/* What the witness asks the crashing thread to do, at GATE_ASKED. */
enum asked { ASKED_OPEN_UP, ASKED_SIGNALS };

/* What became of the crash, as the witness knows it. */
enum verdict {
	VERDICT_NONE, VERDICT_HELD, VERDICT_RAW, VERDICT_COUNTED, VERDICT_LOST,
};

/* The order matters at start: what is written then lies on one page. */
struct zone {
	bool ready; /* handlers are installed */
	_Atomic int32_t pid;
	_Atomic bool watching; /* zone_wiped is in use */
	uint32_t altstack_bytes;
	uint32_t frame_bytes; /* AT_MINSIGSTKSZ */
	_Atomic uint32_t masked;  /* 1: some thread has, or had, a mask */
	_Atomic uint32_t ignored; /* 1: some action is, or was, SIG_IGN */
	uintptr_t abort_start, abort_end; /* libc's function, once needed */
	_Atomic int32_t claim;   /* tid of the crashing thread, or a claim */
	_Atomic uint32_t gate;   /* enum gate; a futex */
	_Atomic uint32_t written; /* 1: the record is whole; a futex */
	_Atomic uint32_t verdict; /* enum verdict */
	_Atomic uint32_t answered; /* threads that a signal stopped; a futex */
	_Atomic uint32_t resume; /* 1: these may go on; a futex */
	_Atomic uint32_t step;   /* enum step */
	enum plan plan;
	enum asked asked;
	_Atomic int32_t main_slot; /* of our static stack, and 1; or 0 */
	int32_t unit_pid;       /* main process of systemd's unit, or 0 */
	bool seccomp;           /* some filter is in force, */
	bool filtered;          /* and nobody knows its rules */
	bool alone;             /* the crashing thread is the only one */
	bool unkind;            /* and a witness has died of trying them */
	uint32_t recursions;    /* faults of our own */
	int32_t crash_signal;   /* what the handler was called with */
	siginfo_t *crash_info;
	ucontext_t *crash_context;
	int32_t witness_pid;
	int32_t exec_error;     /* why there is no helper, errno */
	int32_t dumpable;       /* before the crash, PR_GET_DUMPABLE, */
	uint64_t slice;         /* how long the scheduler let us run, ns, */
	uint64_t core_limit;    /* and RLIMIT_CORE, bytes */
	enum order order;       /* known once written */
	int32_t mem, maps, proc; /* descriptors of the witness; < 0: none */
	int32_t progress[2];     /* ends of the helper's pipe */
	bool weighed;            /* the budget has been asked, once a crash */
	bool seized;             /* the threads that we know have been asked */
	bool hastened;           /* the kernel is to look for no core file */
	bool kept;               /* the memory is another task's to keep, and
	                          * the threads are the witness's */
	uintptr_t main_thread;   /* its thread pointer, */
	char main_name[16];      /* and its name; empty: not known */
	uint64_t headers;        /* the program's, AT_PHDR, */
	uint64_t nheaders;       /* and how many */
	uintptr_t linker;        /* the dynamic linker's struct r_debug */
	uint64_t nfirst;         /* modules that the program began with */
	bool orphan;             /* a fork has left threads behind */
	struct virtual_action actions[CLAIMED_COUNT];
	struct crash_record record;
	_Atomic uint32_t nfaults;
	_Atomic uint32_t nslots; /* slots ever used */
	/* 0: free, < 0: taken */
	_Alignas(ZONE_LINE) _Atomic int32_t tids[ZONE_MAX_THREADS];
	struct thread_slot slots[ZONE_MAX_THREADS];
	struct first_fault faults[ZONE_MAX_FAULTS];
};

/* What the crashing thread waits on. The kernel writes GATE_DEAD when the
 * witness exits (CLONE_CHILD_CLEARTID), also over GATE_OPEN; `verdict` tells
 * an end from a death. GATE_ASKED: it is to do what only a thread of the
 * process can. */
enum gate { GATE_DEAD, GATE_SHUT, GATE_OPEN, GATE_ASKED };

/* Values of `claim` that are no thread. */
enum { CLAIM_NOBODY = 0, CLAIM_OVER = -1 };

/* Stacks, in zero pages of the shim, the first of those it writes to. Below
 * them is the page that the dynamic linker makes read-only (RELRO): the guard
 * of all, without a change of mapping, which costs 3 to 15 us. Frames in
 * witness, exec and capture are bounded (they do not recurse, and
 * -Wframe-larger-than holds each), so it is the alternate stack that may
 * outgrow its part, and it does so into idle memory. */
struct zone_stacks {
	uint8_t exec[ZONE_EXEC_STACK];
	uint8_t keeper[ZONE_WITNESS_STACK];
	uint8_t witness[ZONE_WITNESS_STACK];
	uint8_t capture[ZONE_CAPTURE_STACK];
	uint8_t alternate[ZONE_ALTSTACK];
};

/* Hidden also where they are only declared: no indirection through the GOT. */
#pragma GCC visibility push(hidden)

extern struct zone zone;
extern struct zone_stacks zone_stacks;
/* 1, and zero in the child of a fork, once we are watching for that. */
extern _Atomic uint32_t zone_wiped[ZONE_PAGE / 4];
/* carried.S: the helper as a file, whole. */
extern const uint8_t carried_helper[], carried_helper_end[];

/* handler.c */

/* Capture the crash that SIG is, and die of it. Returns; the return from the
 * signal handler is the death. */
void crash(int sig, siginfo_t *si, ucontext_t *context);

/* dispatch.c */

/* The handler of every claimed signal: app first, then capture and death. */
void crash_handler(int sig, siginfo_t *si, void *ucontext);
/* The same where the program is about to end itself by other means than a
 * signal: returns once the report is safe, and the program goes on. */
void capture_and_go_on(int sig, siginfo_t *si, ucontext_t *context);
/* True where the signal came out of our own capture, or hit the thread that is
 * at it; then it has been dealt with, and the handler is to return. */
bool crash_recursed(int sig, siginfo_t *si, ucontext_t *context);
/* Called by the assembly that moves to the capture stack. */
void crash_on_stack(void);
/* Returns from a signal handler; the bytes that debuggers know. */
void zone_restorer(void) __asm__("__restore_rt");
/* Index of SIG among the claimed ones, or -1. */
int claimed_index(int sig);
/* The signal of claimed index I. */
int claimed_signal(int i);
/* The claimed signals that a fault can raise, all but SIGABRT, as the kernel's
 * bits: those that are never blocked without need. */
uint64_t fault_mask(void);
/* Make the kernel's action for SIG fit what the program believes, ACTION:
 * ours, with its mask and flags where it has a handler. Returns -errno. */
long install_action(int sig, const struct kernel_action *action);
/* The same, and what the kernel had before. */
long exchange_action(int sig, const struct kernel_action *action,
		     struct kernel_action *old_out);

/* capture.c */

/* Note the crash that SIG, SI and CONTEXT describe, or, where a handler of the
 * program is being left through this signal, the fault that it was called for:
 * what the witness has to know. */
void describe_crash(int sig, const siginfo_t *si, const ucontext_t *context,
		    int32_t tid);
/* The rest of the record, which can wait until the witness is on its way. */
void complete_record(const ucontext_t *context);
/* Note the path of the program. */
void read_exe(void);
/* Keep the context of a fault that goes to a handler of the program. */
void remember_fault(int sig, const siginfo_t *si, const ucontext_t *context,
		    int slot);
/* The fault for which the calling thread is, as far as its stack tells, in the
 * program's handler; NULL if there is none. */
struct first_fault *fault_handled(void);
/* CLOCK now, in nanoseconds. */
int64_t clock_ns(int clock);
/* Copy up to LEN bytes at ADDRESS of our own memory; how many could be read.
 * Never faults. */
size_t copy_safely(uint64_t address, void *to, size_t len);
/* Whether the calling thread's stack, in use from TO, reaches down to FROM, or
 * can be made to: what lies between is there if FROM is. SLOT, or NULL,
 * remembers these pages: handlers tend to run in the same place. */
bool has_room(uint64_t from, uint64_t to, struct thread_slot *slot);

/* threads.c */

/* Have the kernel tell us of forks: at the first thread that we keep something
 * about, because it costs 5 us. */
void watch_forks(void);
/* Whether we are watching, and have seen no fork since. */
bool is_unforked(void);
/* Whether we may be the child of a process of several threads: a lock of libc's
 * that one of them held is held for ever. */
bool is_orphan(void);
/* The slot of thread TID; -1 if it has none. */
int slot_find(int32_t tid);
/* The slot of the calling thread; -1 if it has none. */
int slot_current(void);
/* The slot of the thread with thread pointer THREAD, preferably of one that
 * lives; -1 if there is none. */
int slot_of_pointer(uintptr_t thread);
/* Whether the alternate stack at STACK is one of ours. */
bool is_own_stack(const void *stack);
/* The slot of the calling thread, whose alternate stack in use is STACK, one of
 * ours: without a system call, where that is enough. -1 if it has none. */
int slot_on_stack(const void *stack);
/* A free slot, marked as taken, or -1. Reuses that of a thread that is gone. */
int slot_take(void);
/* The calling thread's tid by way of /proc; -1: not known. */
int32_t find_own_tid(void);
/* Whether TID is a thread of process PID. */
bool is_thread(int32_t pid, int32_t tid);
/* Enter the calling thread, TID, into SLOT, with its pthread_t, THREAD (0: not
 * known). */
void slot_own(int slot, int32_t tid, uintptr_t thread);
/* The calling thread's name; empty where a filter forbids to ask. */
void read_own_name(char name_out[16]);
void slot_free(int slot);
/* Notice a fork: the child starts anew, with the calling thread alone. True
 * where we share our parent's memory (vfork) and must keep our hands off. */
bool notice_fork(void);

/* tiers.c */

/* Report the crash that describe_crash() has noted, by the best way that is
 * left; returns when the process may die, at the latest at its deadline. */
void report_crash(void);
/* Why the report is not of tier 1. */
void give_reason(uint32_t tier, const char *text, long error);
/* Wait while *WORD is VALUE, until DEADLINE_NS of CLOCK_MONOTONIC. */
void wait_while(_Atomic uint32_t *word, uint32_t value, int64_t deadline_ns);
void set_and_wake(_Atomic uint32_t *word, uint32_t value);
/* Give the witness the time slice that the program had. */
void restore_slice(void);
int64_t in_ms(int64_t ms);

/* siblings.c: the other threads by signal, where they may not be traced. */

/* Ask each thread that is THREAD_DENIED, and wait for their answers at most
 * BUDGET_NS. In the crashing thread. */
void signal_siblings(int64_t budget_ns);
/* The handler of that signal. */
void sibling_handler(int sig, siginfo_t *si, void *ucontext);
/* Let that signal reach the calling thread, which waits for its end. */
void await_sibling_signal(void);

/* raw.c */

/* Write the crash record, with what a report needs of memory, into the spool
 * as ID.raw, if the budget allows. 0 once it is durable, RAW_COUNTED, or
 * -errno. Needs no witness and no helper; in either task. */
long raw_write(void);
enum { RAW_COUNTED = 1 };
/* The spool's directory, made if it has to be; a descriptor, or -errno. */
long open_spool(void);

/* budget.c */

/* Count the crash in the spool DIR, as one of its kind. True where there have
 * been as many in this minute as there may be reports: it is to have none. MAPS
 * is a descriptor of /proc/self/maps, or < 0. */
bool over_budget(long dir, long maps);
uint64_t zone_mix(uint64_t hash, uint64_t value);

/* maps.c */

/* What is known so far of the line of /proc/self/maps that is being read:
 * "start-end perms offset dev inode path". */
struct map_line {
	uint32_t field;
	uint64_t start, end, offset;
	uint64_t path; /* a hash of it; 0: none that begins with a slash */
	bool past_dash, executable;
};

/* Take the next character of the line, which is not its end. */
void map_take(struct map_line *line, char c);

/* witness.c */

/* Entry of the witness, on its own stack. Does not return. */
void witness_main(void);
/* Entry of the task that keeps the memory in its place. Does not return. */
void keep_memory(void);
/* Entry of the task that becomes the helper. Does not return. */
void exec_helper(void);

/* stop.c */

/* Ask every thread to stop that we know without looking: the main thread, and
 * those in the registry. They do while we do something else. */
void seize_known(void);
/* Wait for all to stop, and read their registers into the record; those that
 * have not by UNTIL_NS are left, and who may not be traced is THREAD_DENIED.
 * Threads that we do not know are looked for. True unless some are denied. */
bool collect_threads(int64_t until_ns);
/* Whether the process has one thread, as far as /proc says. */
bool is_only_thread(void);
/* ptrace(2), with a second try. Returns -errno. */
long trace(long request, int32_t tid, long address, void *data);
/* Where a thread that did not stop is in the kernel: pc and sp. */
void place_thread(const char *task, struct crash_thread *thread);
/* Path of process PID's task directory in PATH_OUT; false where /proc is not
 * there, or of another PID namespace, in whose numbers we cannot speak. */
bool task_path(int32_t pid, char path_out[64]);
/* Reap stopped threads until none is left or UNTIL_NS (CLOCK_MONOTONIC) has
 * passed. Returns how many are left. */
uint32_t reap_threads(int64_t until_ns);
/* Until they all have been killed, whether they are dead or not, or UNTIL_NS.
 * The end of the witness then leaves it to the kernel to reap them. */
void let_threads_die(int64_t until_ns);
/* Sleep until a child of the witness changes state or UNTIL_NS. False when
 * that has passed. */
bool wait_child(int64_t until_ns);

/* arch_MACHINE.c */

/* Let accesses be misaligned, where the program has forbidden them: the kernel
 * enters a handler with the program's flag. */
void allow_misalignment(const ucontext_t *context);
/* Copy the general registers of CONTEXT, and its extended state, into the
 * record. */
void save_registers(const ucontext_t *context);
/* CONTEXT's general registers in the order of the record. */
void context_gregs(const ucontext_t *context,
		   uint64_t gregs_out[RECORD_GREGS]);
/* Whether register I of these is about the last fault, not about what the
 * thread was doing. */
bool is_fault_greg(size_t i);
/* ADDRESS without what it may have been signed with. */
uint64_t code_address(uint64_t address);
/* Where the extended state of CONTEXT is; 0: it has none. */
uint64_t xstate_address(const ucontext_t *context);
/* Bytes of the extended state at ADDRESS. */
size_t xstate_len(uint64_t address);
uint64_t context_sp(const ucontext_t *context);
/* CONTEXT's general registers in the order of ptrace. */
void context_to_user(const ucontext_t *context,
		     uint64_t regs_out[RECORD_USER]);
/* pc and sp alone, in that order. */
void place_to_user(uint64_t pc, uint64_t sp, uint64_t regs_out[RECORD_USER]);
/* Those of the stopped thread TID, which we trace. Returns -errno. */
long read_user(int32_t tid, uint64_t regs_out[RECORD_USER]);
uint64_t user_sp(const uint64_t regs[RECORD_USER]);
/* The thread pointer. */
uint64_t user_tcb(const uint64_t regs[RECORD_USER]);
/* The shadow stack's pointer; 0: it has none. */
uint64_t user_shadow(const uint64_t regs[RECORD_USER]);
/* That of the calling thread. */
uint64_t shadow_pointer(void);
/* Make the system call that was trapped at CONTEXT one that failed. */
void fail_call(ucontext_t *context);
/* Make CONTEXT return to where FROM would. */
void become_context(ucontext_t *context, const ucontext_t *from);
/* Call crash_on_stack() on the stack that ends at TOP. */
void call_on_stack(void *top);
/* Our stack pointer, or nearly. */
uint64_t current_sp(void);
/* Put CONTEXT back to before the instruction that raised SIG, so that it
 * faults again once SIG is at its default action: for a breakpoint and for a
 * system call that seccomp trapped, which have already been passed. */
void rewind_context(int sig, const siginfo_t *si, ucontext_t *context);
/* Whether the processor is valgrind, which ends itself when a process is cloned
 * as we do it. */
bool is_emulated(void);
/* True where CONTEXT is at the instruction by which abort() dies when nothing
 * else helped. */
bool at_abort_trap(const ucontext_t *context);

/* frame_MACHINE.c */

/* The calling thread's pointer to its control block. */
uintptr_t thread_pointer(void);
/* Copy the signal frame around CONTEXT to below the stack pointer that was
 * interrupted, and yield its context; HIDE_STACK: one that knows of no
 * alternate stack. NULL where there is no room; SLOT, or NULL, remembers where
 * there is. */
ucontext_t *move_frame(const ucontext_t *context, bool hide_stack,
		       struct thread_slot *slot);
/* The siginfo in the frame of CONTEXT. */
siginfo_t *frame_siginfo(ucontext_t *context);
/* Jump to HANDLER with the frame of CONTEXT as its stack. Does not return. */
void enter_frame(int sig, siginfo_t *si, ucontext_t *context,
		 uintptr_t handler);

/* release.c */

/* Die as the process would have died without us: queue SI again under the
 * default action. Returns; the handler's return is the death. */
void release_process(int sig, siginfo_t *si, ucontext_t *context, int32_t tid);

/* text.c: numbers and strings without stdio. Each returns the new end. */
char *put_text(char *at, const char *end, const char *text);
char *put_number(char *at, const char *end, uint64_t number);
/* The decimal number that TEXT begins with. */
int32_t take_number(const char *text);
void format_id(char *text_out, int64_t time_ms, const uint8_t random[10]);
bool text_equal(const char *a, const char *b);

/* mem_MACHINE.c */
void *zone_copy(void *to, const void *from, size_t len);
void *zone_fill(void *to, int byte, size_t len);

#pragma GCC visibility pop

/* The calling thread's tid, which the kernel may be told not to say. */
static inline int32_t own_tid(void)
{
	int32_t tid = (int32_t)sys0(gettid);

	return tid > 0 ? tid : find_own_tid();
}

#pragma GCC poison malloc calloc realloc printf fprintf snprintf getenv
#pragma GCC poison fork vfork raise abort errno pthread_self pthread_kill
#pragma GCC poison waitpid strlen strcpy

#endif
