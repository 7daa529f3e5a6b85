/* What of a report is asked of its modules: the places that its frames are at,
 * and the gaps between two of them where tail calls may have left frames out.
 * Process: the one that is answered. */
#ifndef EPITAPH_SYMBOLIZER_SITES_H
#define EPITAPH_SYMBOLIZER_SITES_H

#include "symbolize.h"

/* Where frame INDEX of THREAD is to be looked up: at the call that its return
 * address is behind. The trampoline that a signal handler returns to was never
 * called from where it begins, so that is its place itself. The module is -1
 * where the frame is in none. */
struct site sites_of(const struct report *report, const struct thread *thread,
		     size_t index);

/* Fill OUT's sites and gaps, each sorted and once, of the threads that OPTIONS
 * want, and its names of code that the program compiled itself, which came with
 * the report. */
bool sites_collect(struct report *report,
		   const struct symbolize_options *options,
		   struct symbolized *out, struct error *err);

/* The site of frame INDEX of THREAD, the gap before it, the name of compiled
 * code that FRAME is in; NULL where there is none. */
const struct site *sites_find(const struct symbolized *symbolized,
			      const struct thread *thread, size_t index);
const struct gap *sites_find_gap(const struct symbolized *symbolized,
				 const struct thread *thread, size_t index);
const struct name *sites_find_jit(const struct symbolized *symbolized,
				  const struct frame *frame);

#endif
