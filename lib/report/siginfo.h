/* Words for signals: numbers to names, and what a fault was. Pure. */
#ifndef EPITAPH_REPORT_SIGINFO_H
#define EPITAPH_REPORT_SIGINFO_H

#include "report.h"

/* "SIGSEGV"; "SIG<n>" in a static buffer-free way is not possible, so an
 * unknown number gives NULL. */
const char *signal_name(int signal);

/* "SEGV_MAPERR" and the like for SIGNAL's si_code; NULL if unknown. */
const char *signal_code_name(int signal, int code);

/* "openat" for the number of a system call of x86-64; NULL if unknown. */
const char *system_call_name(uint64_t number);

/* A fault of the CPU or kernel (si_code > 0, and for SIGSEGV and the like an
 * address), as opposed to a signal that somebody sent. */
bool signal_is_fault(int code);

/* A sentence such as "null pointer write at 0x10", from REPORT's signal,
 * registers and maps text, in REPORT's arena; NULL where there is nothing
 * better to say than the signal's name. */
const char *signal_reason(struct report *report, uint64_t error_code,
			  bool has_error_code);

#endif
