/* What the wrappers of one family need of another's. */
#ifndef EPITAPH_SHIM_INTERPOSE_H
#define EPITAPH_SHIM_INTERPOSE_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

struct kernel_action;
struct thread_slot;

#pragma GCC visibility push(hidden)

/* sigaction.c */

/* The program's action for claimed signal SIG is to be ACTION: prepare what
 * the handler has to know. */
void note_action(int sig, const struct kernel_action *action);

/* mask.c */

/* sigprocmask in the program's eyes. */
int change_mask(int how, const sigset_t *set, sigset_t *old);
/* The thread about to start in SLOT has the mask of the calling one. */
void inherit_mask(struct thread_slot *slot);
/* What the program has blocked in the calling thread, and we have not; also in
 * the child of a vfork. */
uint64_t hidden_mask(void);

#pragma GCC visibility pop

#endif
