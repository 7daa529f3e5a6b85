/* Cycles among the frames of a thread. Runs in collector and command line, on
 * frames that anybody may have sent. */
#include "repeat.h"

/* Which frame of the whole stack number I of those kept is: where there were
 * too many, the middle was left out (lib/unwind/unwind.c). */
static uint64_t place(const struct thread *thread, size_t i)
{
	if (thread->depth <= thread->nframes || i < thread->nframes / 2)
		return i;
	return i + (thread->depth - thread->nframes);
}

/* Go over the frames from number FIRST on as long as they are the first PERIOD
 * of them again and again: the number of the first that is not. The cycle may
 * go through what was left out, so it is the place that says which is next. */
static size_t end_of_run(const struct thread *thread, size_t first,
			 size_t period)
{
	uint64_t start = place(thread, first);
	size_t i = first + period;

	if (i > thread->nframes ||
	    place(thread, i - 1) - start != period - 1)
		return first;
	while (i < thread->nframes) {
		size_t at = (size_t)((place(thread, i) - start) % period);

		if (thread->frames[i].pc != thread->frames[first + at].pc)
			break;
		i++;
	}
	return i;
}

/* The shortest cycle that begins with frame FIRST. Returns where it ends, or
 * FIRST. */
static size_t cycle_at(const struct thread *thread, size_t first,
		       struct repeat *out)
{
	for (size_t period = 1; period <= REPEAT_MAX_LENGTH; period++) {
		size_t end = end_of_run(thread, first, period);
		uint64_t times;

		if (end == first)
			return first;
		times = (place(thread, end - 1) + 1 - place(thread, first)) /
			period;
		if (times < REPEAT_MIN_TIMES)
			continue;
		*out = (struct repeat){ first, period, times };
		return end;
	}
	return first;
}

size_t repeat_find(const struct thread *thread,
		   struct repeat repeats[REPEAT_MAX])
{
	size_t n = 0;

	for (size_t i = 0; i < thread->nframes && n < REPEAT_MAX;) {
		size_t end = cycle_at(thread, i, &repeats[n]);

		n += end > i;
		i = end > i ? end : i + 1;
	}
	return n;
}
