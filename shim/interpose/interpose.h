/* What the wrappers of one family need of another's. */
#ifndef EPITAPH_SHIM_INTERPOSE_H
#define EPITAPH_SHIM_INTERPOSE_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct dl_phdr_info;
struct kernel_action;
struct thread_slot;

#pragma GCC visibility push(hidden)

/* sigaction.c */

/* The program's action for claimed signal SIG is to be ACTION: prepare what
 * the handler has to know. */
void note_action(int sig, const struct kernel_action *action);

/* A row of the table, held for writing with all signals blocked. */
struct row {
	int index, signal;
	uint64_t mask; /* to put back */
};

/* Hold the row of SIG. False where it is none of our business. */
bool row_lock(int sig, struct row *row_out);
/* Let go of it; ADOPT: the kernel has an action of the program's, which goes
 * into the table, and ours in its place. */
void row_unlock(const struct row *row, bool adopt);

/* mask.c */

/* sigprocmask in the program's eyes. */
int change_mask(int how, const sigset_t *set, sigset_t *old);
/* The same, with REAL to tell the kernel. */
int change_mask_by(int (*real)(int, const sigset_t *, sigset_t *), int how,
		   const sigset_t *set, sigset_t *old);
/* The thread about to start in SLOT has the mask of the calling one. */
void inherit_mask(struct thread_slot *slot);
/* SLOT's mask is to be the calling thread's, whose faults are blocked for real:
 * glibc runs what a timer calls with all signals blocked. */
void adopt_mask(struct thread_slot *slot);
/* The calling thread is about to jump to where SAVED was its real mask. */
void jump_mask(uint64_t saved);
/* What the program has blocked in the calling thread, and we have not; also in
 * the child of a vfork. */
uint64_t hidden_mask(void);

/* thread.c */

/* Make the calling thread known, which did not start through us. */
void enter_unknown(void);

/* name.c */

/* The calling thread's name has become NAME. */
void note_name(const char *name);

/* exit.c */

/* The calling thread is about to end the process: where that is in a handler
 * for a fault, report the fault. */
void end_in_handler(void);

/* altstack.c */

/* sigaltstack in the program's eyes. */
int set_altstack(const stack_t *ss, stack_t *old);

/* seccomp.c */

/* Put the filter at FILTER_AT (or, by MODE, strictness) on the process by
 * INSTALL, called with ARGUMENTS, whose result this yields; prepared for what
 * it will say to our own calls. */
long filter_self(uint64_t mode, uintptr_t filter_at,
		 long (*install)(const long *), const long *arguments);

/* objects.c */

/* dl_iterate_phdr as libc has it. */
int walk_objects(int (*visit)(struct dl_phdr_info *, size_t, void *),
		 void *data);

/* syscall.c, for its entry */

extern uintptr_t syscall_address; /* 0: not looked up yet */
uintptr_t find_syscall(void);
long syscall_known(long nr, long a, long b, long c, long d);

#pragma GCC visibility pop

#endif
