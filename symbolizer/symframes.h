/* CFI of the rules in one of Breakpad's symbol files, so that the one unwinder
 * serves for them, too. Process: the child that can be lost. */
#ifndef EPITAPH_SYMBOLIZER_SYMFRAMES_H
#define EPITAPH_SYMBOLIZER_SYMFRAMES_H

#include "../lib/report/bytes.h"
#include "sym.h"

/* Append the rules of SYM to OUT, which is empty and may become bad: in the
 * form of .debug_frame, with addresses that count from the module's base. A
 * rule that cannot be said in that form is left out, and so is what hangs on
 * it: a register's value is then not known; without a CFA or return address the
 * rest of its function has no rules. That is added to *TROUBLE. */
void symframes_make(const struct sym *sym, struct writer *out,
		    struct sym_trouble *trouble);

#endif
