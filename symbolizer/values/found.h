/* Variables as the child has found them, on their way into what is shown.
 * Process: the one that asked. */
#ifndef EPITAPH_VALUES_FOUND_H
#define EPITAPH_VALUES_FOUND_H

#include "../../lib/report/bytes.h"
#include "../symbolize.h"

/* Room for the variables of all of REPORT's threads. False without memory. */
bool found_make(struct report *report, struct symbolized *out,
		struct error *err);

/* A MESSAGE_VARIABLES of THREAD; all that it leads to goes into REPORT's arena.
 * What is cut short, or makes no sense, leaves R bad. */
void found_take(struct reader *r, struct report *report,
		struct thread_variables *thread);

/* What was found for frame INDEX of THREAD, to the N functions SHOWN of it. */
void found_show(const struct symbolized *symbolized,
		const struct thread *thread, size_t index,
		struct shown_frame *shown, size_t n);

#endif
