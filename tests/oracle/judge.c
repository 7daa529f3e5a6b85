/* Our frames against the true ones, counted by what the stack is made of. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "oracle.h"

enum { KNOWN_BITS = 16, KNOWN = 1 << KNOWN_BITS };

/* What was found out about a pc, to be looked up. */
static struct known {
	uint64_t pc;
	bool is_covered, is_wrong;
} known[KNOWN];

static struct known *look_up(struct judge *judge, const struct truth *truth)
{
	uint64_t pc = truth->pc - !truth->exact;
	struct known *at = &known[pc * UINT64_C(0x9e3779b97f4a7c15) >>
				  (64 - KNOWN_BITS)];

	if (at->pc != pc) {
		at->pc = pc;
		at->is_covered = second_covers(judge->second, pc);
		at->is_wrong = false;
	}
	return at;
}

/* Number of the first frame of ours that is not the true one, which is N where
 * all of them are. */
static size_t prefix_len(const struct truth *truth, size_t n,
			 const struct frame *frames, size_t nframes)
{
	for (size_t i = 0; i < n && i < nframes; i++) {
		if (frames[i].pc != truth[i].pc ||
		    (frame_is_exact(&frames[i]) && !truth[i].exact))
			return i;
		if (truth[i].cfa && i + 1 < nframes &&
		    frames[i].cfa != truth[i].cfa)
			return i + 1;
	}
	return nframes < n ? nframes : n;
}

/* Are all pcs the true ones, wherever we think that their frames are? */
static bool has_all_pcs(const struct truth *truth, size_t n,
			const struct frame *frames, size_t nframes)
{
	if (nframes != n)
		return false;
	for (size_t i = 0; i < n; i++)
		if (frames[i].pc != truth[i].pc ||
		    (frame_is_exact(&frames[i]) && !truth[i].exact))
			return false;
	return true;
}

/* Is there a frame of PC on the true stack, called from a frame with CFA? */
static bool is_true(const struct truth *truth, size_t n,
		    const struct frame *frame, uint64_t cfa)
{
	for (size_t i = 1; i < n; i++)
		if (truth[i].pc == frame->pc &&
		    (truth[i].exact || !frame_is_exact(frame)) &&
		    (truth[i].exact || truth[i - 1].cfa == cfa))
			return true;
	return false;
}

/* A row that is wrong once is wrong; one that is right may still be given a
 * wrong register by another. */
static bool is_row_right(struct judge *judge, const struct truth *truth,
			 size_t n, size_t at)
{
	struct known *pc = look_up(judge, &truth[at]);

	if (!pc->is_covered || pc->is_wrong)
		return false;
	pc->is_wrong = !second_agrees(judge->second, truth, n, at);
	return !pc->is_wrong;
}

/* The outermost frame needs no CFI where what is there ends with it. */
static bool is_covered(struct judge *judge, const struct truth *truth,
		       size_t n, bool exact)
{
	for (size_t i = 0; i < n - exact; i++)
		if (!look_up(judge, &truth[i])->is_covered)
			return false;
	return true;
}

static void count_frames(struct judge *judge, struct tally *tally,
			 const struct truth *truth, size_t n, size_t prefix,
			 const struct frame *frames, size_t nframes)
{
	for (size_t i = 1; i < nframes; i++) {
		struct level *level = &tally->levels[frames[i].trust];
		bool now = i < prefix || is_true(truth, n, &frames[i],
						 frames[i - 1].cfa);

		level->frames++;
		if (!now) {
			level->untrue++;
			if (i > prefix)
				level->derived++;
			else if (look_up(judge, &truth[i - 1])->is_covered &&
				 !is_row_right(judge, truth, n, i - 1))
				level->wrong_cfi++;
			else if (truth[i - 1].jumped)
				level->jumped++;
		}
	}
}

static void show_frame(struct judge *judge, const char *whose, size_t i,
		       uint64_t pc, uint64_t cfa, const char *word)
{
	const struct map *map = maps_find(&judge->target->maps, pc);
	const struct map *first = map;

	while (first && first > judge->target->maps.entries &&
	       first[-1].inode == map->inode)
		first--;
	fprintf(stderr, "  %s %zu %s+%#" PRIx64 " cfa %#" PRIx64 " %s\n",
		whose, i, map ? map->path : "?",
		pc - (first ? first->start : 0), cfa, word);
}

static void show(struct judge *judge, const char *name,
		 const struct truth *truth, size_t n,
		 const struct frame *frames, size_t nframes, size_t prefix)
{
	size_t from = prefix < 2 ? 0 : prefix - 2;

	fprintf(stderr, "mistake (%s): %zu of %zu frames, next is %" PRIx64
		" at %" PRIx64 "\n", name, prefix, n,
		prefix < n ? truth[prefix].pc : 0, truth[prefix - 1].cfa);
	for (size_t i = from; i < n && i < prefix + 2; i++)
		show_frame(judge, "true", i, truth[i].pc, truth[i].cfa,
			   look_up(judge, &truth[i])->is_covered ?
				   "" : "no CFI");
	for (size_t i = from; i < nframes && i < prefix + 3; i++)
		show_frame(judge, "ours", i, frames[i].pc, frames[i].cfa,
			   trust_name(frames[i].trust));
}

void judge_stack(struct judge *judge, const struct truth *truth, size_t n,
		 const struct frame *frames, size_t nframes)
{
	static const char *const names[] = { "right", "wrong", "none" };
	size_t prefix = prefix_len(truth, n, frames, nframes);
	bool exact = prefix == n && nframes == n;
	enum stack_class class = STACK_RIGHT;
	struct tally *tally;

	if (!is_covered(judge, truth, n, exact))
		class = STACK_NONE;
	else if (!exact && !is_row_right(judge, truth, n, prefix - 1))
		class = STACK_WRONG;
	tally = &judge->tallies[class];
	tally->stacks++;
	tally->exact += exact;
	tally->pcs += has_all_pcs(truth, n, frames, nframes);
	tally->frames += n;
	tally->prefix += prefix;
	count_frames(judge, tally, truth, n, prefix, frames, nframes);
	if (!exact && judge->shown < judge->show) {
		judge->shown++;
		show(judge, names[class], truth, n, frames, nframes, prefix);
	}
}
