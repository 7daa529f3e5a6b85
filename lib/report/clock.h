/* The two clocks, for every program; the signal zone has its own, by raw system
 * call. */
#ifndef EPITAPH_REPORT_CLOCK_H
#define EPITAPH_REPORT_CLOCK_H

#include <stdint.h>
#include <time.h>

/* CLOCK_MONOTONIC, the same in every process: for deadlines and durations. */
static inline int64_t clock_monotonic_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static inline int64_t clock_monotonic_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* Since the epoch: for what is shown and stored. */
static inline int64_t clock_wall_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

#endif
