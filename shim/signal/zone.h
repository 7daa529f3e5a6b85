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
#include "syscall_x86_64.h"

enum {
	ZONE_PAGE = 4096,
	ZONE_ALTSTACK = 65536, /* 64 KiB: what abseil and wasmtime settled on */
	ZONE_WITNESS_STACK = 32768,
	ZONE_EXEC_STACK = 16384,
	ZONE_MAX_THREADS = 4096, /* registered threads; more go unregistered */
	ZONE_MAX_FAULTS = 1024,  /* threads whose first fault is remembered */
	KERNEL_SIGSET = 8,       /* bytes */
};

/* Signals that we claim, in the order of `struct zone`.actions. */
enum claimed {
	CLAIMED_SEGV, CLAIMED_BUS, CLAIMED_ILL, CLAIMED_FPE, CLAIMED_ABRT,
	CLAIMED_TRAP, CLAIMED_SYS,
	CLAIMED_COUNT,
};

/* The kernel's struct sigaction. */
struct kernel_action {
	uintptr_t handler;
	uint64_t flags;
	uintptr_t restorer;
	uint64_t mask;
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
	uint8_t siginfo[128];
	uint64_t gregs[RECORD_GREGS];
};

/* A thread that we know: its alternate stack and its last fault. */
struct thread_slot {
	uintptr_t stack;  /* lowest address; 0: it has none of ours */
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
	/* The program's alternate stack where it is too small for a signal
	 * frame, and ours is in its place. */
	uintptr_t small;
	size_t small_bytes;
};

/* What comes first. */
enum order { ORDER_REPORT, ORDER_DEATH };

/* The order matters at start: what is written then lies on one page. */
struct zone {
	bool ready; /* handlers are installed */
	_Atomic int32_t pid;
	_Atomic uint32_t *wiped; /* 0 after a fork, shared after a vfork */
	uint32_t altstack_bytes;
	uint32_t frame_bytes; /* AT_MINSIGSTKSZ */
	_Atomic uint32_t masked;  /* 1: some thread has, or had, a mask */
	_Atomic uint32_t ignored; /* 1: some action is, or was, SIG_IGN */
	uintptr_t abort_start, abort_end; /* libc's function, once needed */
	_Atomic int32_t claim;   /* tid of the crashing thread, or 0 */
	_Atomic uint32_t gate;   /* enum gate; a futex */
	_Atomic uint32_t written; /* 1: the record is whole; a futex */
	int32_t witness_pid;
	int32_t dumpable;       /* before the crash, PR_GET_DUMPABLE */
	enum order order;       /* known once written */
	int32_t mem, maps, proc; /* descriptors of the witness; < 0: none */
	int32_t progress[2];     /* ends of the helper's pipe */
	struct virtual_action actions[CLAIMED_COUNT];
	struct crash_record record;
	_Atomic uint32_t nfaults;
	_Atomic uint32_t nslots; /* slots ever used */
	_Atomic int32_t tids[ZONE_MAX_THREADS]; /* 0: free, < 0: taken */
	struct thread_slot slots[ZONE_MAX_THREADS];
	struct first_fault faults[ZONE_MAX_FAULTS];
};

/* What the crashing thread waits on. The kernel writes GATE_DEAD when the
 * witness exits (CLONE_CHILD_CLEARTID). */
enum gate { GATE_DEAD, GATE_SHUT, GATE_OPEN };

/* Stacks, in zero pages of the shim. One guard serves all three: changing a
 * mapping costs 3 to 15 us. Frames in witness and exec are bounded (they do
 * not recurse, and -Wframe-larger-than holds each), so it is the alternate
 * stack that may outgrow its part, and it does so into idle memory. */
struct zone_stacks {
	uint8_t guard[ZONE_PAGE];
	uint8_t exec[ZONE_EXEC_STACK];
	uint8_t witness[ZONE_WITNESS_STACK];
	uint8_t alternate[ZONE_ALTSTACK];
	uint8_t wiped[ZONE_PAGE];
};

/* Hidden also where they are only declared: no indirection through the GOT. */
#pragma GCC visibility push(hidden)

extern struct zone zone;
extern struct zone_stacks zone_stacks;

/* handler.c */

/* Capture the crash that SIG is, and die of it. Returns; the return from the
 * signal handler is the death. */
void crash(int sig, siginfo_t *si, ucontext_t *context);

/* dispatch.c */

/* The handler of every claimed signal: app first, then capture and death. */
void crash_handler(int sig, siginfo_t *si, void *ucontext);
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

/* capture.c */

/* Note the crash that SIG, SI and CONTEXT describe, or, where a handler of the
 * program is being left through this signal, the fault that it was called for:
 * what the witness has to know. */
void describe_crash(int sig, const siginfo_t *si, const ucontext_t *context,
		    int32_t tid);
/* The rest of the record, which can wait until the witness is on its way. */
void complete_record(const ucontext_t *context);
/* Keep the context of a fault that goes to a handler of the program. */
void remember_fault(int sig, const siginfo_t *si, const ucontext_t *context);
/* The fault for which the calling thread is, as far as its stack tells, in the
 * program's handler; NULL if there is none. */
struct first_fault *fault_handled(void);
/* CLOCK now, in nanoseconds. */
int64_t clock_ns(int clock);
/* Copy up to LEN bytes at ADDRESS of our own memory; how many could be read.
 * Never faults. */
size_t copy_safely(uint64_t address, void *to, size_t len);

/* threads.c */

/* The slot of thread TID; -1 if it has none. */
int slot_find(int32_t tid);
/* The slot of the calling thread; -1 if it has none. */
int slot_current(void);
/* The slot of the thread with thread pointer THREAD, preferably of one that
 * lives; -1 if there is none. */
int slot_of_pointer(uintptr_t thread);
/* Whether the alternate stack at STACK is one of ours. */
bool is_own_stack(const void *stack);
/* A free slot, marked as taken, or -1. Reuses that of a thread that is gone. */
int slot_take(void);
/* Enter the calling thread, TID, into SLOT, with its name and its pthread_t,
 * THREAD (0: not known). */
void slot_own(int slot, int32_t tid, uintptr_t thread);
void slot_free(int slot);
/* Notice a fork: the child starts anew, with the calling thread alone. True
 * where we share our parent's memory (vfork) and must keep our hands off. */
bool notice_fork(void);

/* witness.c */

/* Start the witness, complete the record of the crash at CONTEXT, and wait
 * until the witness opens the gate, dies, or is late. */
void run_witness(const ucontext_t *context);
/* Entry of the witness, on its own stack. Does not return. */
void witness_main(void);
/* Entry of the task that becomes the helper. Does not return. */
void exec_helper(void);

/* stop.c */

/* Stop every other thread of process PID and read its registers into the
 * record; those that do not stop in BUDGET_NS are left. Sets the tier. */
void stop_threads(int32_t pid, int64_t budget_ns);
/* Reap stopped threads until none is left or UNTIL_NS (CLOCK_MONOTONIC) has
 * passed. Returns how many are left. */
uint32_t reap_threads(int64_t until_ns);

/* arch_x86_64.c */

/* Let accesses be misaligned, where the program has forbidden them: the kernel
 * enters a handler with the program's flag. */
void allow_misalignment(void);
/* Copy the general registers of CONTEXT, and its extended state, into the
 * record. */
void save_registers(const ucontext_t *context);
void save_xstate(const ucontext_t *context);
uint64_t context_sp(const ucontext_t *context);
/* Put CONTEXT back to before the instruction that raised SIG, so that it
 * faults again once SIG is at its default action: for int3 and for a system
 * call that seccomp trapped, which have already been passed. */
void rewind_context(int sig, const siginfo_t *si, ucontext_t *context);
/* True where CONTEXT is at the instruction by which abort() dies when nothing
 * else helped. */
bool at_abort_trap(const ucontext_t *context);

/* frame_x86_64.c */

/* The calling thread's pointer to its control block. */
uintptr_t thread_pointer(void);
/* Copy the signal frame around CONTEXT to below the stack pointer that was
 * interrupted, and yield its context; HIDE_STACK: one that knows of no
 * alternate stack. NULL where there is no room. */
ucontext_t *move_frame(const ucontext_t *context, bool hide_stack);
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
void format_id(char *text_out, int64_t time_ms, const uint8_t random[10]);
bool text_equal(const char *a, const char *b);

void *zone_copy(void *to, const void *from, size_t len);
void *zone_fill(void *to, int byte, size_t len);

#pragma GCC visibility pop

#pragma GCC poison malloc calloc realloc printf fprintf snprintf getenv
#pragma GCC poison fork vfork raise abort errno pthread_self pthread_kill
#pragma GCC poison waitpid strlen strcpy

#endif
