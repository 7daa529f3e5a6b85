/* From a report to names: the parent's half. It opens no file of a module
 * itself; it asks a child, believes nothing of the answer but that it is text
 * and numbers, and asks another child for the rest where one is lost. */
#include "symbolize.h"

#include <stdlib.h>
#include <string.h>

#include "child.h"
#include "debuginfod.h"
#include "lookup.h"
#include "sites.h"
#include "tailcall.h"
#include "values/found.h"
#include "worker.h"

enum { MAX_LOST = 16 }; /* children for one report */

const char *flag_name(unsigned bit)
{
	static const char *const names[NAME_FLAGS] = {
		"corrupt_ra", "icf", "approximate", "tail_call", "system",
		"jit", "unloaded",
	};

	return bit < NAME_FLAGS ? names[bit] : NULL;
}

const char *symbols_status_name(enum symbols_status status)
{
	switch (status) {
	case SYMBOLS_FOUND: return "found";
	case SYMBOLS_MISSING: return "missing";
	case SYMBOLS_NONE: break;
	}
	return "none";
}

/* Listening to a child */

struct talk {
	struct report *report;
	struct symbolized *out;
	const struct symbolize_options *options;
	struct child child;
	bool *is_done, *asked; /* per module */
	size_t current; /* the module it said it begins; SIZE_MAX: none */
	size_t ndone, ntotal;
	bool ended;
};

/* Also a child's idle function. */
static void tell_progress(void *context)
{
	const struct talk *talk = context;

	if (talk->options->progress)
		talk->options->progress(talk->options->context, talk->ndone,
					talk->ntotal);
}

static uint32_t system_flag(const struct report *report, int32_t module)
{
	static const char *const prefixes[] = {
		"/lib/", "/lib32/", "/lib64/", "/usr/lib/", "/usr/lib32/",
		"/usr/lib64/", "/usr/libexec/", "[vdso]", "linux-",
	};
	const char *path = report_module(report, module)->path;

	if (path == NULL || (report->exe && strcmp(path, report->exe) == 0))
		return 0;
	for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++)
		if (strncmp(path, prefixes[i], strlen(prefixes[i])) == 0)
			return NAME_SYSTEM;
	return 0;
}

/* The names of a place in MODULE into *OUT; their number. */
static size_t take_names(struct talk *talk, int32_t module, struct reader *r,
			 struct name **out)
{
	uint32_t system = system_flag(talk->report, module);
	size_t n = reader_count(r, SYMBOLIZE_MAX_INLINES, 20);
	struct name *names;

	names = n ? report_alloc(talk->report, n * sizeof(*names)) : NULL;
	if (names == NULL) {
		r->bad |= n > 0;
		return 0;
	}
	for (size_t i = 0; i < n; i++) {
		lookup_read_name(r, talk->report, &names[i]);
		names[i].flags |= system;
	}
	if (r->bad)
		return 0;
	*out = names;
	return n;
}

static void take_site(struct talk *talk, size_t index, struct reader *r)
{
	struct site *site = &talk->out->sites[index];

	site->nnames = take_names(talk, site->module, r, &site->names);
}

static void take_gap(struct talk *talk, size_t index, struct reader *r)
{
	struct gap *gap = &talk->out->gaps[index];
	uint64_t base = talk->report->modules[gap->module].base;
	size_t n = reader_count(r, TAILCALL_MAX, 12);
	struct passed *passed;

	passed = report_alloc(talk->report, (n + 1) * sizeof(*passed));
	if (passed == NULL)
		return;
	for (size_t i = 0; i < n; i++) {
		uint64_t offset = reader_u64(r);

		passed[i].frame = (struct frame){
			.pc = base + offset, .offset = offset,
			.module = gap->module, .trust = gap->trust,
		};
		passed[i].nnames = take_names(talk, gap->module, r,
					      &passed[i].names);
	}
	if (r->bad)
		return;
	gap->passed = passed;
	gap->npassed = n;
}

static void take_status(struct talk *talk, size_t index, struct reader *r)
{
	struct module_symbols *module = &talk->out->modules[index];
	uint32_t status = reader_u32(r);
	const char *why;

	if (status <= SYMBOLS_FOUND)
		module->status = (enum symbols_status)status;
	module->debug = lookup_read_text(r, talk->report);
	why = lookup_read_text(r, talk->report);
	if (why)
		module->why = why;
	talk->is_done[index] = true;
	talk->current = SIZE_MAX;
	talk->ndone++;
	tell_progress(talk);
}

/* One message. False where it makes no sense. */
static bool take(struct talk *talk, uint32_t kind, size_t index,
		 struct reader *r)
{
	const struct report *report = talk->report;

	switch (kind) {
	case MESSAGE_MODULE:
		if (index >= report_module_count(report))
			return false;
		talk->current = index;
		return true;
	case MESSAGE_SITE:
		if (index >= talk->out->nsites)
			return false;
		take_site(talk, index, r);
		return !r->bad;
	case MESSAGE_GAP:
		if (index >= talk->out->ngaps)
			return false;
		take_gap(talk, index, r);
		return !r->bad;
	case MESSAGE_MODULE_DONE:
		if (index >= report_module_count(report))
			return false;
		take_status(talk, index, r);
		return !r->bad;
	case MESSAGE_THREAD:
		if (index >= report->nthreads)
			return false;
		rewind_read(r, talk->report, &report->threads[index]);
		return !r->bad;
	case MESSAGE_TROUBLE:
		if (index >= report->nmodules)
			return false;
		talk->out->modules[index].why = lookup_read_text(r,
							talk->report);
		return !r->bad;
	case MESSAGE_VARIABLES:
		if (!talk->out->variables || index >= report->nthreads)
			return false;
		found_take(r, talk->report, &talk->out->variables[index]);
		return !r->bad;
	case MESSAGE_END:
		talk->ended = true;
		return true;
	}
	return false;
}

/* Read one message into *BYTES (a growing buffer). False at the end. */
static bool read_message(struct talk *talk, uint8_t **bytes)
{
	uint8_t header[MESSAGE_HEADER];
	uint32_t kind, index, len;
	struct reader r;
	uint8_t *more;

	if (!child_read(&talk->child, header, sizeof(header)))
		return false;
	reader_init(&r, header, sizeof(header));
	kind = reader_u32(&r);
	index = reader_u32(&r);
	len = reader_u32(&r);
	more = len <= MESSAGE_MAX ? realloc(*bytes, len + 1) : NULL;
	if (more == NULL) {
		talk->child.is_liar = true;
		return false;
	}
	*bytes = more;
	if (len > 0 && !child_read(&talk->child, more, len))
		return false;
	reader_init(&r, more, len);
	if (!take(talk, kind, index, &r))
		talk->child.is_liar = true;
	return !talk->child.is_liar && !talk->ended;
}

/* Run JOB in a child to its end. False where the child was lost; WHY (CAP
 * bytes) then says how. */
static bool listen_to(struct talk *talk, child_job *job, struct job *context,
		      int64_t deadline_ms, char *why, size_t cap)
{
	uint8_t *bytes = NULL;
	struct error err;

	talk->ended = false;
	talk->current = SIZE_MAX;
	if (!child_start(job, context, deadline_ms, &talk->child, &err)) {
		memcpy(why, err.text, cap < sizeof(err.text)
						? cap : sizeof(err.text));
		return false;
	}
	while (read_message(talk, &bytes))
		;
	free(bytes);
	if (child_reap(&talk->child, why, cap) && talk->ended)
		return true;
	if (why[0] == '\0')
		memcpy(why, "stopped", sizeof("stopped"));
	return talk->ended;
}

static const char *sentence(struct report *report, const char *format,
			    const char *object, const char *why)
{
	struct error text;

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	fail(&text, ERR_NONE, format, object, why);
#pragma GCC diagnostic pop
	return report_string(report, text.text, strlen(text.text));
}

static const char *module_name(const struct report *report, size_t index)
{
	const char *path = report_module(report, (int32_t)index)->path;

	return path ? path : "a module without a name";
}

/* The child was lost while it worked on a module: do without that one. False
 * where it was lost over nothing in particular. */
static bool give_up_module(struct talk *talk, const char *why)
{
	struct report *report = talk->report;
	size_t lost = talk->current;

	if (lost == SIZE_MAX || talk->is_done[lost]) {
		talk->out->trouble = sentence(report,
			"%s: the process that reads symbols %s",
			"symbolizing", why);
		return false;
	}
	talk->is_done[lost] = true;
	talk->ndone++;
	talk->out->modules[lost].status = SYMBOLS_MISSING;
	talk->out->modules[lost].why = sentence(report,
		"%s: the process that read its symbols %s",
		module_name(report, lost), why);
	talk->out->trouble = talk->out->modules[lost].why;
	return true;
}

static void lookup_all(struct talk *talk, struct job *job, int64_t deadline_ms)
{
	char why[sizeof(((struct error *)0)->text)];

	for (int lost = 0; lost < MAX_LOST; lost++) {
		if (listen_to(talk, worker_lookup, job, deadline_ms, why,
			      sizeof(why)))
			return;
		if (!give_up_module(talk, why) || talk->child.late)
			return;
	}
}

/* Ask for the symbols of the modules that THREAD goes through. How many came:
 * those are to be looked at again. */
static size_t fetch_for(struct talk *talk, struct debuginfod *servers,
			const struct thread *thread)
{
	struct report *report = talk->report;
	size_t n = 0;

	for (size_t i = 0; i < thread->nframes; i++) {
		struct site site = sites_of(report, thread, i);
		const struct module *module = report_module(report,
							    site.module);

		if (module == NULL || talk->asked[site.module] ||
		    talk->out->modules[site.module].status != SYMBOLS_MISSING)
			continue;
		talk->asked[site.module] = true;
		if (!debuginfod_get(servers, &module->build_id,
				    module_name(report, (size_t)site.module)))
			continue;
		talk->is_done[site.module] = false;
		talk->ndone--;
		n++;
	}
	return n;
}

/* What is missing may be had from others: the crashing thread's first, since
 * the time for it is short. */
static void fetch_missing(struct talk *talk, struct job *job,
			  int64_t deadline_ms)
{
	struct report *report = talk->report;
	struct debuginfod *servers = NULL;
	size_t n = 0;

	if (!talk->options->leaves_nothing)
		servers = debuginfod_begin(talk->options->debuginfod,
					   deadline_ms - child_now_ms());
	if (servers == NULL)
		return;
	for (int crashed = 1; crashed >= 0; crashed--)
		for (size_t i = 0; i < report->nthreads; i++)
			if (report->threads[i].crashed == (crashed == 1) &&
			    job_wants(talk->options, &report->threads[i]))
				n += fetch_for(talk, servers,
					       &report->threads[i]);
	if (debuginfod_trouble(servers) && talk->out->trouble == NULL)
		talk->out->trouble = sentence(report, "%s%s", "debuginfod ",
					      debuginfod_trouble(servers));
	debuginfod_end(servers);
	if (n > 0)
		lookup_all(talk, job, deadline_ms);
}

static void rewind_all(struct talk *talk, struct job *job, int64_t deadline_ms)
{
	char why[sizeof(((struct error *)0)->text)];
	bool needed = false;

	for (size_t i = 0; i < talk->report->nthreads; i++)
		needed |= rewind_is_needed(&talk->report->threads[i]);
	if (needed &&
	    !listen_to(talk, worker_rewind, job, deadline_ms, why, sizeof(why)))
		talk->out->trouble = sentence(talk->report,
			"%s: the process that unwound the stacks %s",
			"unwinding", why);
}

static void evaluate_all(struct talk *talk, struct job *job,
			 int64_t deadline_ms)
{
	char why[sizeof(((struct error *)0)->text)];

	if (!listen_to(talk, worker_variables, job, deadline_ms, why,
		       sizeof(why)))
		talk->out->trouble = sentence(talk->report,
			"%s: the process that evaluated the arguments %s",
			"symbolizing", why);
}

/* The fingerprint */

/* The frame that the kernel made to come back from a handler: what it
 * interrupted is the next one. */
static bool is_trampoline(const struct thread *thread, size_t index)
{
	return index + 1 < thread->nframes &&
	       thread->frames[index + 1].trust == TRUST_SIGFRAME;
}

static void fill_named(const struct report *report,
		       const struct thread *thread,
		       const struct shown_frame *shown,
		       struct named_frame *out)
{
	const struct frame *frame = shown->frame;
	size_t index = (size_t)(frame - thread->frames);
	const struct module *module;

	memset(out, 0, sizeof(*out));
	module = report_module(report, report_frame_module(report, frame,
							   &out->offset));
	if (module)
		out->module = module->path;
	if (shown->name) {
		out->function = shown->name->function;
		out->file = shown->name->file;
	}
	if (out->function == NULL && is_trampoline(thread, index))
		out->function = "<signal handler called>";
}

/* How many of the shown frames were found by more than a look for numbers that
 * might be return addresses: guesses do not group reports. */
static size_t count_believed(const struct shown_frame *shown, size_t n)
{
	for (size_t i = 1; i < n; i++)
		if (shown[i].frame->trust == TRUST_SCAN)
			return i;
	return n;
}

/* Tail calls are inferred only where there is debug information, and whether
 * a call is one is the compiler's choice: a crash must not be another for it.
 * Returns how many are left. */
static size_t leave_inferred_out(struct shown_frame *shown, size_t n)
{
	size_t kept = 0;

	for (size_t i = 0; i < n; i++)
		if (!shown[i].is_tail_call)
			shown[kept++] = shown[i];
	return kept;
}

static void make_fingerprint(const struct report *report,
			     struct symbolized *out)
{
	const struct thread *thread = report_crashed_thread(report);
	struct named_frame nothing = { .module = report->exe };
	struct named_frame *named;
	struct shown_frame *shown;
	size_t n = 0;

	if (thread == NULL)
		return;
	out->has_semantic = true;
	shown = symbolized_frames(out, thread, &n);
	n = leave_inferred_out(shown, n);
	named = shown ? calloc(n, sizeof(*named)) : NULL;
	for (size_t i = 0; named && i < n; i++)
		fill_named(report, thread, &shown[i], &named[i]);
	if (named)
		fingerprint_semantic(report->signal, named,
				     count_believed(shown, n),
				     &out->semantic);
	else /* not to be one with every other program without a stack */
		fingerprint_semantic(report->signal, &nothing,
				     report->exe != NULL, &out->semantic);
	free(named);
	free(shown);
}

bool symbolize(struct report *report, const struct symbolize_options *options,
	       struct symbolized *out, struct error *err)
{
	int64_t limit_ms = options->deadline_ms ? options->deadline_ms
						: SYMBOLIZE_DEADLINE_MS;
	int64_t deadline_ms = child_now_ms() + limit_ms;
	size_t nmodules = report_module_count(report);
	struct talk talk = {
		.report = report, .out = out, .options = options,
		.ntotal = nmodules,
		.child = { .idle = tell_progress, .idle_context = &talk },
	};
	struct job job = { .report = report, .options = options };

	memset(out, 0, sizeof(*out));
	out->report = report;
	out->modules = report_alloc(report, (nmodules + 1) *
						    sizeof(*out->modules));
	talk.is_done = report_alloc(report, nmodules + 1);
	talk.asked = report_alloc(report, nmodules + 1);
	if (out->modules == NULL || talk.is_done == NULL ||
	    talk.asked == NULL)
		return fail(err, ERR_NO_MEMORY, "no memory for %zu modules",
			    nmodules);
	for (size_t i = 0; i < nmodules; i++)
		if (report_module(report, (int32_t)i)->build_id.len > 0)
			out->modules[i].status = SYMBOLS_MISSING;
	rewind_all(&talk, &job, deadline_ms);
	if (!sites_collect(report, options, out, err))
		return false;
	job.sites = out->sites;
	job.nsites = out->nsites;
	job.gaps = out->gaps;
	job.ngaps = out->ngaps;
	job.is_done = talk.is_done;
	if (nmodules > 0)
		lookup_all(&talk, &job, deadline_ms);
	fetch_missing(&talk, &job, deadline_ms);
	if (options->wants_variables) {
		if (!found_make(report, out, err))
			return false;
		evaluate_all(&talk, &job, deadline_ms);
	}
	make_fingerprint(report, out);
	return true;
}

/* Printed frames */

/* The functions at one place, into SHOWN (NULL: only count them). */
static size_t put_names(const struct frame *frame, const struct name *names,
			size_t n, struct shown_frame *shown)
{
	size_t levels = n ? n : 1;

	for (size_t k = 0; shown && k < levels; k++) {
		shown[k].frame = frame;
		shown[k].is_inline = k + 1 < levels;
		shown[k].name = n ? &names[k] : NULL;
	}
	return levels;
}

static size_t put_gap(const struct gap *gap, struct shown_frame *shown)
{
	size_t n = 0;

	for (size_t i = 0; i < gap->npassed; i++) {
		const struct passed *passed = &gap->passed[i];
		size_t levels = put_names(&passed->frame, passed->names,
					  passed->nnames,
					  shown ? shown + n : NULL);

		for (size_t k = 0; shown && k < levels; k++)
			shown[n + k].is_tail_call = true;
		n += levels;
	}
	return n;
}

static size_t put_thread(const struct symbolized *symbolized,
			 const struct thread *thread,
			 struct shown_frame *shown)
{
	size_t n = 0;

	for (size_t i = 0; i < thread->nframes; i++) {
		const struct frame *frame = &thread->frames[i];
		const struct site *site = sites_find(symbolized, thread, i);
		const struct gap *gap = sites_find_gap(symbolized, thread, i);
		const struct name *jit = sites_find_jit(symbolized, frame);
		size_t levels;

		if (gap)
			n += put_gap(gap, shown ? shown + n : NULL);
		levels = put_names(frame, site ? site->names : jit,
				   site ? site->nnames : jit != NULL,
				   shown ? shown + n : NULL);
		if (shown && symbolized->variables)
			found_show(symbolized, thread, i, shown + n, levels);
		n += levels;
	}
	return n;
}

struct shown_frame *symbolized_frames(const struct symbolized *symbolized,
				      const struct thread *thread,
				      size_t *len_out)
{
	size_t n = put_thread(symbolized, thread, NULL);
	struct shown_frame *shown = n ? calloc(n, sizeof(*shown)) : NULL;

	if (shown == NULL)
		return NULL;
	put_thread(symbolized, thread, shown);
	for (size_t i = 0; i < n; i++)
		shown[i].index = i;
	*len_out = n;
	return shown;
}
