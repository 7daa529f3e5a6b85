/* Annotations: what the program itself wants to be in its reports. */
#ifndef EPITAPH_ANNOTATE_H
#define EPITAPH_ANNOTATE_H

#include <stdint.h>

/* Where the board of include/epitaph.h is; in the crash record. */
uint64_t annotate_address(void);

/* The board's address where signal(SIG, HANDLER) is epitaph.h asking for it;
 * NULL otherwise. */
void (*annotate_answer(int sig, void (*handler)(int)))(int);

#endif
