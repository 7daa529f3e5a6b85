/* The places of a report that are looked up, each once. Runs in the parent. */
#include "sites.h"

#include <stdlib.h>

#include "worker.h"

struct site sites_of(const struct report *report, const struct thread *thread,
		     size_t index)
{
	const struct frame *frame = &thread->frames[index];
	bool is_trampoline = index + 1 < thread->nframes &&
			     frame[1].trust == TRUST_SIGFRAME;
	struct site site = { .offset = 0 };

	site.module = report_frame_module(report, frame, &site.offset);
	if (!frame_is_exact(frame) && !is_trampoline && site.offset != 0)
		site.offset--;
	return site;
}

static int by_place(const void *left, const void *right)
{
	const struct site *a = left, *b = right;

	if (a->module != b->module)
		return a->module < b->module ? -1 : 1;
	return a->offset < b->offset ? -1 : a->offset > b->offset;
}

static size_t add_sites(const struct report *report,
			const struct thread *thread, struct site *sites,
			size_t n)
{
	for (size_t i = 0; i < thread->nframes; i++) {
		sites[n] = sites_of(report, thread, i);
		n += report_module(report, sites[n].module) != NULL;
	}
	return n;
}

/* All places of all wanted frames, sorted, each once. */
static bool collect_sites(struct report *report,
			  const struct symbolize_options *options,
			  struct symbolized *out, struct error *err)
{
	size_t n = 0, kept = 0;

	for (size_t i = 0; i < report->nthreads; i++)
		n += report->threads[i].nframes;
	out->sites = report_alloc(report, (n + 1) * sizeof(*out->sites));
	if (out->sites == NULL)
		return fail(err, ERR_NO_MEMORY, "no memory for %zu frames", n);
	n = 0;
	for (size_t i = 0; i < report->nthreads; i++)
		if (job_wants(options, &report->threads[i]))
			n = add_sites(report, &report->threads[i], out->sites,
				      n);
	if (n > 0)
		qsort(out->sites, n, sizeof(*out->sites), by_place);
	for (size_t i = 0; i < n; i++)
		if (kept == 0 ||
		    by_place(&out->sites[kept - 1], &out->sites[i]) != 0)
			out->sites[kept++] = out->sites[i];
	out->nsites = kept;
	return true;
}

const struct site *sites_find(const struct symbolized *symbolized,
			      const struct thread *thread, size_t index)
{
	struct site key = sites_of(symbolized->report, thread, index);

	if (key.module < 0 || symbolized->nsites == 0)
		return NULL;
	return bsearch(&key, symbolized->sites, symbolized->nsites,
		       sizeof(key), by_place);
}

/* Code that the program compiled itself is in no module; its name came with
 * the report. */

static bool name_jit(struct report *report, struct symbolized *out,
		     struct error *err)
{
	out->jit = report_alloc(report, (report->njit + 1) *
						sizeof(*out->jit));
	if (out->jit == NULL)
		return fail(err, ERR_NO_MEMORY, "no memory for %zu names",
			    report->njit);
	for (size_t i = 0; i < report->njit; i++)
		out->jit[i] = (struct name){
			.function = report->jit[i].name, .flags = NAME_JIT,
		};
	return true;
}

const struct name *sites_find_jit(const struct symbolized *symbolized,
				  const struct frame *frame)
{
	const struct report *report = symbolized->report;
	const struct jit_region *region = NULL;

	if (frame->module < 0)
		region = report_find_jit(report, frame_place(frame));
	return region ? &symbolized->jit[region - report->jit] : NULL;
}

/* Gaps: where tail calls may have left frames out */

static int by_frames(const void *left, const void *right)
{
	const struct gap *a = left, *b = right;

	if (a->module != b->module)
		return a->module < b->module ? -1 : 1;
	if (a->inner != b->inner)
		return a->inner < b->inner ? -1 : 1;
	if (a->outer != b->outer)
		return a->outer < b->outer ? -1 : 1;
	return a->trust < b->trust ? -1 : a->trust > b->trust;
}

/* Whether something may lie between the frame INDEX of THREAD and the one
 * inside of it: a call that returns there, known from tables and not by guess.
 * The middle of a deep stack is left out, so those two are no neighbours. */
static bool is_gap(const struct report *report, const struct thread *thread,
		   size_t index, struct gap *out)
{
	const struct frame *outer = &thread->frames[index], *inner = outer - 1;

	if (index == 0 || outer->module < 0 ||
	    outer->module != inner->module || frame_is_exact(outer) ||
	    outer->trust >= TRUST_FRAME_POINTER ||
	    (thread->depth > thread->nframes && index == thread->nframes / 2))
		return false;
	*out = (struct gap){
		.module = outer->module,
		.inner = sites_of(report, thread, index - 1).offset,
		.outer = outer->offset, .trust = outer->trust,
	};
	return true;
}

/* There is room for as many gaps as there are frames. */
static bool collect_gaps(struct report *report,
			 const struct symbolize_options *options,
			 struct symbolized *out, struct error *err)
{
	size_t n = 0, kept = 0;

	for (size_t i = 0; i < report->nthreads; i++)
		n += report->threads[i].nframes;
	out->gaps = report_alloc(report, (n + 1) * sizeof(*out->gaps));
	if (out->gaps == NULL)
		return fail(err, ERR_NO_MEMORY, "no memory for %zu frames", n);
	n = 0;
	for (size_t i = 0; i < report->nthreads; i++) {
		const struct thread *thread = &report->threads[i];

		for (size_t k = 0; k < thread->nframes &&
				   job_wants(options, thread); k++)
			n += is_gap(report, thread, k, &out->gaps[n]) &&
			     (size_t)out->gaps[n].module < report->nmodules;
	}
	if (n > 0)
		qsort(out->gaps, n, sizeof(*out->gaps), by_frames);
	for (size_t i = 0; i < n; i++)
		if (kept == 0 ||
		    by_frames(&out->gaps[kept - 1], &out->gaps[i]) != 0)
			out->gaps[kept++] = out->gaps[i];
	out->ngaps = kept;
	return true;
}

const struct gap *sites_find_gap(const struct symbolized *symbolized,
				 const struct thread *thread, size_t index)
{
	struct gap key;

	if (symbolized->ngaps == 0 ||
	    !is_gap(symbolized->report, thread, index, &key))
		return NULL;
	return bsearch(&key, symbolized->gaps, symbolized->ngaps, sizeof(key),
		       by_frames);
}

bool sites_collect(struct report *report,
		   const struct symbolize_options *options,
		   struct symbolized *out, struct error *err)
{
	return name_jit(report, out, err) &&
	       collect_sites(report, options, out, err) &&
	       collect_gaps(report, options, out, err);
}
