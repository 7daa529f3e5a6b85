/* Unwinding afterwards, for dumps that carry registers and stacks but no
 * frames: Breakpad's, Crashpad's. The child's half does it; rewind_read() is
 * the parent's. */
#include <stdlib.h>
#include <unistd.h>

#include "lookup.h"
#include "remains.h"
#include "worker.h"

bool rewind_is_needed(const struct thread *thread)
{
	return thread->nframes == 0 && thread->has_registers;
}

static void send_frames(struct sender *sender, size_t index,
			const struct frame *frames,
			const struct unwind_result *result)
{
	struct writer payload;

	writer_init(&payload, MESSAGE_MAX);
	writer_u64(&payload, result->depth);
	lookup_write_text(&payload, result->truncated);
	writer_u32(&payload, (uint32_t)result->nframes);
	for (size_t i = 0; i < result->nframes; i++) {
		writer_u64(&payload, frames[i].pc);
		writer_u64(&payload, frames[i].cfa);
		writer_u32(&payload, (uint32_t)frames[i].module);
		writer_u32(&payload, (uint32_t)frames[i].trust);
		writer_u32(&payload, frames[i].corrupt_ra);
	}
	sender_put(sender, MESSAGE_THREAD, index, &payload);
	writer_fini(&payload);
}

/* What modules' symbol files had that could not be used. */
static void send_troubles(struct sender *sender, const struct report *report,
			  const struct remains *remains)
{
	struct writer payload;

	for (size_t i = 0; i < report->nmodules; i++) {
		const char *why = remains_why(remains, i);

		if (why[0] == '\0')
			continue;
		writer_init(&payload, MESSAGE_MAX);
		lookup_write_text(&payload, why);
		sender_put(sender, MESSAGE_TROUBLE, i, &payload);
		writer_fini(&payload);
	}
}

void worker_rewind(void *context, int fd)
{
	const struct job *job = context;
	const struct report *report = job->report;
	struct frame *frames = calloc(MAX_FRAMES, sizeof(*frames));
	struct finder *finder;
	struct remains *remains;
	struct unwind *unwind;
	struct sender sender;

	sender_init(&sender, fd);
	finder = finder_new(job->options->dirs, job->options->ndirs,
			    job->options->root);
	remains = finder ? remains_open(report, finder) : NULL;
	unwind = remains ? remains_unwind(remains) : NULL;
	if (!frames || !unwind)
		_exit(1);
	for (size_t i = 0; i < report->nthreads; i++) {
		struct unwind_result result = { 0 };

		if (!rewind_is_needed(&report->threads[i]))
			continue;
		unwind_thread(unwind, &report->threads[i].registers, frames,
			      MAX_FRAMES, &result);
		send_frames(&sender, i, frames, &result);
	}
	send_troubles(&sender, report, remains);
	sender_put(&sender, MESSAGE_END, 0, NULL);
	sender_flush(&sender);
}

void rewind_read(struct reader *r, struct report *report,
		 struct thread *thread)
{
	uint64_t depth = reader_u64(r);
	const char *truncated = lookup_read_text(r, report);
	size_t n = reader_count(r, MAX_FRAMES, 28);
	struct frame *frames = report_alloc(report, (n + 1) * sizeof(*frames));

	if (frames == NULL)
		return;
	for (size_t i = 0; i < n; i++) {
		uint32_t module, trust;

		frames[i].pc = reader_u64(r);
		frames[i].cfa = reader_u64(r);
		module = reader_u32(r);
		trust = reader_u32(r);
		frames[i].corrupt_ra = reader_u32(r) != 0;
		frames[i].trust = trust < TRUST_COUNT ? (enum trust)trust
						      : TRUST_SCAN;
		frames[i].module = module < report->nmodules ? (int32_t)module
							     : -1;
		if (frames[i].module >= 0)
			frames[i].offset = frames[i].pc -
				report->modules[module].base;
	}
	if (r->bad)
		return;
	thread->frames = frames;
	thread->nframes = n;
	thread->depth = depth;
	thread->truncated = truncated;
}
