/* The CFI of ELF files in the form that an index has it in. Process: one that
 * can be lost. */
#ifndef EPITAPH_INDEX_FROM_CFI_H
#define EPITAPH_INDEX_FROM_CFI_H

#include "../../lib/report/bytes.h"

/* Append to OUT, which is empty, what CODE_FD's .eh_frame says, and of what
 * that leaves out its .debug_frame and DEBUG_FD's, in the form of .debug_frame
 * with addresses that count from the module's base. Either may be -1. */
void from_cfi(int code_fd, int debug_fd, struct writer *out);

#endif
