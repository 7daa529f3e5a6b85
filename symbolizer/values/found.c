/* Variables as the child has found them. Runs in the process that must not be
 * lost, and trusts what it reads no more than a file. */
#include "found.h"

#include "../lookup.h"
#include "variables.h"

enum {
	MAX_FUNCTIONS = 256, /* at one place: SYMBOLIZE_MAX_INLINES */
	VARIABLE_SIZE = 20,  /* the least bytes of one */
};

const char *absent_name(enum absent why)
{
	static const char *const names[ABSENT_COUNT] = {
		NULL, "optimized out", "clobbered", "not captured",
		"not set yet", "synthetic pointer", "in thread-local storage",
		"too large", "not understood",
	};

	return names[why];
}

bool found_make(struct report *report, struct symbolized *out,
		struct error *err)
{
	out->variables = report_alloc(report, (report->nthreads + 1) *
						      sizeof(*out->variables));
	for (size_t i = 0; out->variables && i < report->nthreads; i++) {
		struct thread_variables *thread = &out->variables[i];
		size_t n = report->threads[i].nframes;

		if (n > VARIABLES_MAX_FRAMES)
			n = VARIABLES_MAX_FRAMES;
		thread->frames = report_alloc(report, (n + 1) *
						sizeof(*thread->frames));
		thread->nframes = thread->frames ? n : 0;
	}
	return out->variables ||
	       fail(err, ERR_NO_MEMORY, "no memory for variables");
}

static void read_variable(struct reader *r, struct report *report,
			  struct variable *out)
{
	uint32_t why;

	out->is_argument = reader_u32(r) != 0;
	out->name = lookup_read_text(r, report);
	out->type = lookup_read_text(r, report);
	out->value = lookup_read_text(r, report);
	why = reader_u32(r);
	out->why = why < ABSENT_COUNT ? (enum absent)why
				      : ABSENT_NOT_UNDERSTOOD;
	r->bad |= !out->name || !out->type ||
		  (out->value != NULL) != (out->why == ABSENT_NOT);
}

static void read_function(struct reader *r, struct report *report,
			  struct variables *out)
{
	size_t n = reader_count(r, VARIABLES_MAX, VARIABLE_SIZE);

	out->list = report_alloc(report, (n + 1) * sizeof(*out->list));
	if (!out->list) {
		r->bad = true;
		return;
	}
	for (size_t i = 0; i < n && !r->bad; i++)
		read_variable(r, report, &out->list[i]);
	out->n = r->bad ? 0 : n;
}

static void read_functions(struct reader *r, struct report *report,
		    struct frame_variables *out)
{
	size_t n = reader_count(r, MAX_FUNCTIONS, sizeof(uint32_t));
	struct variables *functions;

	functions = report_alloc(report, (n + 1) * sizeof(*functions));
	if (!functions) {
		r->bad = true;
		return;
	}
	for (size_t i = 0; i < n && !r->bad; i++)
		read_function(r, report, &functions[i]);
	if (r->bad)
		return;
	out->functions = functions;
	out->nfunctions = n;
}

void found_take(struct reader *r, struct report *report,
		struct thread_variables *thread)
{
	uint32_t frame = reader_u32(r);

	if (frame < thread->nframes)
		read_functions(r, report, &thread->frames[frame]);
	else
		r->bad = true;
}

void found_show(const struct symbolized *symbolized,
		const struct thread *thread, size_t index,
		struct shown_frame *shown, size_t n)
{
	size_t number = (size_t)(thread - symbolized->report->threads);
	const struct thread_variables *known = &symbolized->variables[number];
	const struct frame_variables *frame;

	if (index >= known->nframes)
		return;
	frame = &known->frames[index];
	if (frame->nfunctions == 0)
		return;
	/* Where the two do not agree, it is on what was inlined. */
	if (frame->nfunctions != n)
		shown[n - 1].variables =
			&frame->functions[frame->nfunctions - 1];
	for (size_t i = 0; frame->nfunctions == n && i < n; i++)
		shown[i].variables = &frame->functions[i];
}
