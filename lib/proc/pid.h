/* What /proc says of one process, by its number. */
#ifndef EPITAPH_PROC_PID_H
#define EPITAPH_PROC_PID_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* The first SIZE - 1 bytes of /proc/PID/NAME, as text. False where there are
 * none. */
bool pid_read(pid_t pid, const char *name, char *text_out, size_t size);

/* When PID began, in nanoseconds of CLOCK_BOOTTIME. False where it is gone. */
bool pid_began(pid_t pid, int64_t *boot_ns_out);

#endif
