/* Units read ahead. Runs in the process that can be lost. The thread has a unit
 * until it hands it over, and the other side from then on: they share nothing
 * but the ring, and sections, which have a lock of their own. */
#include "ahead.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <dwarf.h>

#include "ranges.h"

enum { RING = 32 }; /* units; large ones have a megabyte of trees and lines */

struct ahead {
	struct dwarf_file *file;
	size_t nread; /* units of FILE that have been looked at */
	struct ahead_only *only; /* or NULL */
	bool has_thread;
	pthread_t thread;
	pthread_mutex_t lock; /* for what is next */
	pthread_cond_t changed;
	struct ahead_unit ring[RING];
	size_t given, taken, returned;
	bool is_over, is_closing;
};

static struct unit *next_unit(struct ahead *ahead)
{
	struct dwarf_file *file = ahead->file;
	size_t n = ahead->nread++;

	return n < file->nunits ? file->units[n] : dwarf_file_next(file);
}

bool ahead_found_all(const struct ahead_only *only)
{
	for (size_t i = 0; i < only->n; i++)
		if (!only->was_found[i])
			return false;
	return true;
}

struct search {
	struct ahead_only *only;
	bool has_ranges, is_wanted;
};

static bool look_for(void *context, uint64_t low, uint64_t high)
{
	struct search *search = context;
	struct ahead_only *only = search->only;

	search->has_ranges = true;
	for (size_t i = 0; i < only->n; i++) {
		if (only->addresses[i] < low || only->addresses[i] >= high)
			continue;
		only->was_found[i] = true;
		search->is_wanted = true;
	}
	return true;
}

/* A unit that says nothing of where its code is may have any. */
static bool is_wanted(struct ahead *ahead, struct unit *unit)
{
	struct search search = { .only = ahead->only };
	struct die root;

	if (unit->type != DW_UT_compile && unit->type != DW_UT_skeleton)
		return false;
	if (ahead->only && unit_die(unit, unit->dies, &root))
		ranges_of(unit, &root, look_for, &search);
	return search.is_wanted || !search.has_ranges;
}

/* True while nobody has a unit. */
static bool is_idle(struct ahead *ahead)
{
	bool idle;

	pthread_mutex_lock(&ahead->lock);
	idle = ahead->given == ahead->returned;
	pthread_mutex_unlock(&ahead->lock);
	return idle;
}

/* Its DIEs go as well, but not while somebody reads those of a unit before. */
static void pass_over(struct ahead *ahead, struct unit *unit)
{
	unit_release(unit);
	if (is_idle(ahead))
		dwarf_file_drop(ahead->file, unit->end);
}

/* A skeleton has its functions elsewhere. */
static bool read_next(struct ahead *ahead, struct ahead_unit *out)
{
	struct unit *unit;

	while ((!ahead->only || !ahead_found_all(ahead->only)) &&
	       (unit = next_unit(ahead)) != NULL) {
		if (!is_wanted(ahead, unit)) {
			pass_over(ahead, unit);
			continue;
		}
		if (!unit->dwo_name)
			tree_of(unit);
		out->unit = unit;
		lines_read(unit, &out->lines);
		return true;
	}
	return false;
}

void ahead_done(struct ahead_unit *unit)
{
	lines_fini(&unit->lines);
	unit_release(unit->unit);
	dwarf_file_drop(unit->unit->file, unit->unit->end);
}

/* Hand UNIT over; false once nobody wants it. */
static bool give(struct ahead *ahead, struct ahead_unit *unit)
{
	bool is_wanted;

	pthread_mutex_lock(&ahead->lock);
	while (!ahead->is_closing && ahead->given - ahead->taken == RING)
		pthread_cond_wait(&ahead->changed, &ahead->lock);
	is_wanted = !ahead->is_closing;
	if (is_wanted)
		ahead->ring[ahead->given++ % RING] = *unit;
	pthread_cond_signal(&ahead->changed);
	pthread_mutex_unlock(&ahead->lock);
	return is_wanted;
}

static void *read_all(void *context)
{
	struct ahead *ahead = context;
	struct ahead_unit unit;

	while (read_next(ahead, &unit)) {
		if (give(ahead, &unit))
			continue;
		ahead_done(&unit);
		break;
	}
	pthread_mutex_lock(&ahead->lock);
	ahead->is_over = true;
	pthread_cond_signal(&ahead->changed);
	pthread_mutex_unlock(&ahead->lock);
	return NULL;
}

struct ahead *ahead_open(struct dwarf_file *file, struct ahead_only *only)
{
	struct ahead *ahead = calloc(1, sizeof(*ahead));

	if (!ahead)
		return NULL;
	ahead->file = file;
	ahead->only = only;
	pthread_mutex_init(&ahead->lock, NULL);
	pthread_cond_init(&ahead->changed, NULL);
	if (file->keeps_all)
		return ahead;
	file->is_ahead = true;
	ahead->has_thread = pthread_create(&ahead->thread, NULL, read_all,
					   ahead) == 0;
	file->is_ahead = ahead->has_thread;
	return ahead;
}

static bool take(struct ahead *ahead, struct ahead_unit *out)
{
	bool is_there;

	pthread_mutex_lock(&ahead->lock);
	ahead->returned = ahead->taken;
	while (!ahead->is_over && ahead->given == ahead->taken)
		pthread_cond_wait(&ahead->changed, &ahead->lock);
	is_there = ahead->given != ahead->taken;
	if (is_there)
		*out = ahead->ring[ahead->taken++ % RING];
	pthread_cond_signal(&ahead->changed);
	pthread_mutex_unlock(&ahead->lock);
	return is_there;
}

bool ahead_next(struct ahead *ahead, struct ahead_unit *out)
{
	return ahead->has_thread ? take(ahead, out) : read_next(ahead, out);
}

static void stop(struct ahead *ahead)
{
	pthread_mutex_lock(&ahead->lock);
	ahead->is_closing = true;
	pthread_cond_signal(&ahead->changed);
	pthread_mutex_unlock(&ahead->lock);
	pthread_join(ahead->thread, NULL);
	while (ahead->taken != ahead->given)
		ahead_done(&ahead->ring[ahead->taken++ % RING]);
	ahead->file->is_ahead = false;
}

void ahead_close(struct ahead *ahead)
{
	if (!ahead)
		return;
	if (ahead->has_thread)
		stop(ahead);
	pthread_mutex_destroy(&ahead->lock);
	pthread_cond_destroy(&ahead->changed);
	free(ahead);
}
