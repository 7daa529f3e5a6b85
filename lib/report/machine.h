/* The machine that this is built for, as far as a report knows it: what it is
 * called, its registers, and which of them is what every machine has one of.
 * One file per architecture says so. A test may ask for another than its own.
 */
#ifndef EPITAPH_REPORT_MACHINE_H
#define EPITAPH_REPORT_MACHINE_H

#include <stdint.h>

#if defined(MACHINE_AARCH64) || defined(__aarch64__)
#include "machine_aarch64.h"
#elif defined(__x86_64__)
#include "machine_x86_64.h"
#else
#error "nothing is known about this architecture"
#endif

/* Of `struct registers`.valid. */
#define REG_BIT(reg) (UINT64_C(1) << (reg))
#define REG_ALL (REG_BIT(REG_COUNT) - 1)

#endif
