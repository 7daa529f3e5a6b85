/* The child's half of evaluating variables: it walks the stacks once more, for
 * the registers of each frame, and evaluates what the DWARF of its function
 * says over these and what is left of the memory. */
#include "../worker.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../lookup.h"
#include "../remains.h"
#include "code.h"
#include "variables.h"

enum {
	WALKED = VARIABLES_MAX_FRAMES + 1, /* and the last one's caller */
	WORD = 8,
	MAX_SENT = 64 << 20, /* bytes of all values: who asked keeps them */
};

/* What is opened of a module once it is asked for. */
struct opened {
	struct code *code;
	struct lookup *lookup;
	bool has_code, has_lookup;
};

struct work {
	const struct job *job;
	struct finder *finder;
	struct remains *remains;
	struct unwind *unwind;
	struct opened *modules; /* as many as the report has */
	size_t sent;
	char symbol[SYMBOLIZE_MAX_NAME];
	struct frame frames[WALKED];
	struct registers registers[WALKED];
	struct target_frame targets[WALKED];
};

static struct code *get_code(struct work *work, int32_t module)
{
	struct opened *opened = &work->modules[module];

	if (!opened->has_code)
		opened->code = code_open(work->finder,
					 &work->job->report->modules[module],
					 remains_files(work->remains,
						       (size_t)module));
	opened->has_code = true;
	return opened->code;
}

static struct lookup *get_lookup(struct work *work, int32_t module)
{
	struct opened *opened = &work->modules[module];

	if (!opened->has_lookup)
		opened->lookup = lookup_open(
			work->finder, &work->job->report->modules[module],
			!work->job->options->leaves_nothing);
	opened->has_lookup = true;
	return opened->lookup;
}

/* The lookup of the module that ADDRESS is in, and where; or NULL. */
static struct lookup *lookup_at(struct work *work, uint64_t address,
				uint64_t *offset_out)
{
	const struct report *report = work->job->report;
	int32_t module = report_find_module(report, address);

	if (module < 0)
		return NULL;
	*offset_out = address - report->modules[module].base;
	return get_lookup(work, module);
}

/* The target's functions */

/* How many of the LEN bytes at ADDRESS lie in words that are not 0: in a stack
 * that was sanitized these are as they were. */
static size_t count_kept(struct work *work, uint64_t address, size_t len)
{
	uint64_t at = address & ~(uint64_t)(WORD - 1), word;

	for (; at < address + len; at += WORD)
		if (remains_read(work->remains, at, &word, WORD) != WORD ||
		    word == 0)
			return at > address ? (size_t)(at - address) : 0;
	return len;
}

static size_t read_all(void *context, uint64_t address, void *to, size_t len)
{
	struct work *work = context;
	size_t n = remains_read(work->remains, address, to, len);
	uint8_t byte;

	if (!work->job->report->sanitized ||
	    remains_read_files(work->remains, address, &byte, 1) == 1)
		return n;
	return count_kept(work, address, n);
}

static size_t read_constant(void *context, uint64_t address, void *to,
			    size_t len)
{
	struct work *work = context;

	return remains_read_files(work->remains, address, to, len);
}

static const char *symbol_at(void *context, uint64_t address,
			     uint64_t *offset_out)
{
	struct work *work = context;
	uint64_t offset;
	struct lookup *lookup = lookup_at(work, address, &offset);

	if (!lookup || !lookup_symbol(lookup, offset, work->symbol,
				      sizeof(work->symbol), offset_out))
		return NULL;
	return work->symbol;
}

static uint64_t call_target(void *context, uint64_t address)
{
	struct work *work = context;

	return unwind_call_target(work->unwind, address);
}

static bool reenters(void *context, uint64_t address)
{
	struct work *work = context;
	uint64_t offset;
	struct lookup *lookup = lookup_at(work, address, &offset);

	return !lookup || lookup_reenters(lookup, offset);
}

/* Frames */

/* A guess may be right about where a frame is, but says nothing of what
 * registers held there. */
static bool is_certain(const struct frame *frame)
{
	switch (frame->trust) {
	case TRUST_CONTEXT:
	case TRUST_SHSTK:
	case TRUST_LEAF:
	case TRUST_CFI:
	case TRUST_CFI_DEBUG:
	case TRUST_SIGFRAME:
	case TRUST_PLT:
		return true;
	default:
		return false;
	}
}

/* How many frames of THREAD have been found again, each by rules, and with
 * the caller of each before it intact. */
static size_t count_certain(const struct work *work,
			    const struct thread *thread, size_t walked)
{
	size_t n = 0;

	while (n < walked && n < thread->nframes) {
		const struct frame *again = &work->frames[n];
		const struct frame *frame = &thread->frames[n];

		if (again->pc != frame->pc || !is_certain(again) ||
		    !is_certain(frame) ||
		    (again->cfa && frame->cfa && again->cfa != frame->cfa))
			break;
		n++;
		if (frame->corrupt_ra || again->corrupt_ra)
			break;
	}
	return n;
}

static void fill_target(struct work *work, const struct thread *thread,
			size_t index)
{
	const struct frame *frame = &work->frames[index];
	struct target_frame *to = &work->targets[index];
	const struct module_files *files;
	struct code *code;

	memset(to, 0, sizeof(*to));
	to->registers = work->registers[index];
	to->fpstate = index == 0 ? thread->fpstate : NULL;
	to->cfa = frame->cfa;
	to->pc = frame->pc;
	to->is_exact = frame_is_exact(frame);
	if (frame->module < 0)
		return;
	code = get_code(work, frame->module);
	files = remains_files(work->remains, (size_t)frame->module);
	if (!code)
		return;
	to->bias = work->job->report->modules[frame->module].base -
		   elf_file_base(files->code.elf ? &files->code
						 : &files->debug);
	to->has_function = code_function(code, target_place(to),
					 &to->function);
	to->is_prologue = to->has_function && to->is_exact &&
			  code_is_prologue(&to->function, target_place(to));
}

static void send_variables(struct work *work, struct sender *sender,
			   const struct target *target, size_t thread,
			   size_t frame)
{
	struct writer payload;

	writer_init(&payload, MESSAGE_MAX);
	writer_u32(&payload, (uint32_t)frame);
	variables_write(target, frame, &payload);
	work->sent += payload.len;
	if (!payload.bad && work->sent <= MAX_SENT)
		sender_put(sender, MESSAGE_VARIABLES, thread, &payload);
	writer_fini(&payload);
}

static void do_thread(struct work *work, struct sender *sender, size_t index)
{
	const struct thread *thread = &work->job->report->threads[index];
	struct target target = {
		.read = read_all, .read_constant = read_constant,
		.symbol = symbol_at, .call = call_target,
		.reenters = reenters, .context = work,
		.frames = work->targets,
	};
	struct unwind_result result;

	unwind_registers(work->unwind, &thread->registers, work->frames,
			 work->registers, WALKED, &result);
	target.nframes = count_certain(work, thread, result.nframes);
	for (size_t i = 0; i < target.nframes; i++)
		fill_target(work, thread, i);
	for (size_t i = 0; i < target.nframes && i < VARIABLES_MAX_FRAMES; i++)
		if (work->targets[i].has_function)
			send_variables(work, sender, &target, index, i);
}

void worker_variables(void *context, int fd)
{
	const struct job *job = context;
	const struct report *report = job->report;
	struct work *work = calloc(1, sizeof(*work));
	struct sender sender;

	sender_init(&sender, fd);
	if (!work)
		_exit(1);
	work->job = job;
	work->modules = calloc(report->nmodules + 1, sizeof(*work->modules));
	work->finder = finder_new(job->options->dirs, job->options->ndirs,
				  job->options->root);
	work->remains = work->finder ? remains_open(report, work->finder)
				     : NULL;
	work->unwind = work->remains ? remains_unwind(work->remains) : NULL;
	if (!work->modules || !work->unwind)
		_exit(1);
	for (size_t i = 0; i < report->nthreads; i++)
		if (job_wants(job->options, &report->threads[i]) &&
		    report->threads[i].has_registers)
			do_thread(work, &sender, i);
	sender_put(&sender, MESSAGE_END, 0, NULL);
	sender_flush(&sender);
}
