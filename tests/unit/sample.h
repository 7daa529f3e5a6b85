/* A report in which every field has a value of its own, so that one which is
 * lost on the way shows; and the comparison that notices. */
#ifndef EPITAPH_TESTS_UNIT_SAMPLE_H
#define EPITAPH_TESTS_UNIT_SAMPLE_H

#include <stdlib.h>
#include <string.h>

#include "../../lib/report/report.h"
#include "test.h"

static inline const char *sample_text(struct report *report, const char *text)
{
	return report_string(report, text, strlen(text));
}

/* LEN bytes that follow from SEED and nothing else. */
static inline uint8_t *sample_bytes(struct report *report, size_t len,
				    unsigned seed)
{
	uint8_t *bytes = report_alloc(report, len);

	for (size_t i = 0; i < len; i++)
		bytes[i] = (uint8_t)(seed * 31 + i * 7);
	return bytes;
}

static inline void sample_host_and_process(struct report *r)
{
	static const char *const args[] = { "/usr/bin/x", "", "caf\xc3\xa9" };

	r->host = sample_text(r, "host.example");
	r->kernel = sample_text(r, "6.1.0-42-amd64");
	r->arch = sample_text(r, "x86_64");
	r->pid = 4242;
	r->uid = 1000;
	r->has_uid = true;
	r->exe = sample_text(r, "/usr/bin/x");
	r->nargs = sizeof(args) / sizeof(args[0]);
	r->args = report_alloc(r, sizeof(args));
	for (size_t i = 0; i < r->nargs; i++)
		r->args[i] = sample_text(r, args[i]);
	r->cgroup = sample_text(r, "/system.slice/x.service");
	r->uptime_ms = 123456;
	r->release = sample_text(r, "x-1.2");
}

static inline void sample_tags(struct report *r)
{
	r->ntags = 2;
	r->tags = report_alloc(r, 2 * sizeof(struct tag));
	r->tags[0].key = sample_text(r, "env");
	r->tags[0].value = sample_text(r, "prod");
	r->tags[1].key = sample_text(r, "zone");
	r->tags[1].value = sample_text(r, "\"b\"\n");
	r->nannotations = 1;
	r->annotations = report_alloc(r, sizeof(struct tag));
	r->annotations[0].key = sample_text(r, "user action");
	r->annotations[0].value = sample_text(r, "save");
	r->nbreadcrumbs = 2;
	r->breadcrumbs = report_alloc(r, 2 * sizeof(char *));
	r->breadcrumbs[0] = sample_text(r, "opened");
	r->breadcrumbs[1] = sample_text(r, "saved");
}

static inline void sample_signal(struct report *r)
{
	r->signal = 11;
	r->death_signal = 6;
	r->code = 1;
	r->has_address = true;
	r->address = 0xfedcba9876543210;
	r->has_sender = true;
	r->sender_pid = 77;
	r->sender_uid = 1001;
	r->sender_name = sample_text(r, "init");
	r->reason = sample_text(r, "null pointer write at 0x10");
	r->message = sample_text(r, "x: assertion failed \xf0\x9f\x90\x9b");
}

static inline void sample_modules(struct report *r)
{
	r->nmodules = 3;
	r->modules = report_alloc(r, 3 * sizeof(struct module));
	r->modules[0].path = sample_text(r, "/lib/\xf4\x8f\xbf\xbf\xc3\xa9.so");
	r->modules[0].base = 0x1000;
	r->modules[0].size = 0x3000;
	r->modules[1].path = sample_text(r, "/usr/bin/x");
	r->modules[1].base = 0x555555554000;
	r->modules[1].size = 0x21000;
	r->modules[1].build_id.len = 20;
	memcpy(r->modules[1].build_id.bytes, sample_bytes(r, 20, 1), 20);
	r->modules[2].path = sample_text(r, "/lib/libc.so.6");
	r->modules[2].base = 0x7ffff7000000;
	r->modules[2].size = 0x1ff000;
	r->modules[2].build_id.len = 8;
	memcpy(r->modules[2].build_id.bytes, sample_bytes(r, 8, 2), 8);
}

/* The second lies where the first did. */
static inline void sample_unloaded(struct report *r)
{
	r->nunloaded = 2;
	r->unloaded = report_alloc(r, 2 * sizeof(struct module));
	r->unloaded[0].path = sample_text(r, "/opt/p\"lug\xc3\xa9.so");
	r->unloaded[0].base = 0x7fffe0000000;
	r->unloaded[0].size = 0x5000;
	r->unloaded[0].build_id.len = 20;
	memcpy(r->unloaded[0].build_id.bytes, sample_bytes(r, 20, 11), 20);
	r->unloaded[1].path = sample_text(r, "/opt/old.so");
	r->unloaded[1].base = 0x7fffe0001000;
	r->unloaded[1].size = 0x7000;
}

static inline void sample_jit(struct report *r)
{
	r->njit = 2;
	r->jit = report_alloc(r, 2 * sizeof(struct jit_region));
	r->jit[0].start = 0xffffffffff600000;
	r->jit[0].size = MAX_JIT_SIZE;
	r->jit[0].name = sample_text(r, "py::f:/x y/caf\xc3\xa9.py");
	r->jit[1].start = 0x7fff00000000;
	r->jit[1].size = 1;
	r->jit[1].name = sample_text(r, "LazyCompile:*g /x.js:1:2");
}

static inline void sample_frames(struct report *r, struct thread *t, size_t n)
{
	t->nframes = n;
	t->depth = n + 40000;
	t->frames = report_alloc(r, n * sizeof(struct frame));
	for (size_t i = 0; i < n; i++) {
		struct frame *f = &t->frames[i];

		f->trust = (enum trust)(i % TRUST_COUNT);
		f->module = (int32_t)(i % 4) - 1;
		f->cfa = 0x7ffffffde000 + 16 * i;
		f->pc = 0xffffffffff600000 + i;
		if (f->module < 0)
			continue;
		f->offset = 0x100 + i;
		f->pc = r->modules[f->module].base + f->offset;
	}
}

static inline void sample_registers(struct registers *registers, unsigned seed)
{
	for (unsigned i = 0; i < REG_COUNT; i++)
		registers->value[i] = 0x0102030405060708 * (i + seed);
	for (unsigned i = R_EFLAGS; i <= R_GS; i++)
		registers->value[i] = 0x10 + i + seed;
	registers->valid = (1u << REG_COUNT) - 1;
}

static inline void sample_threads(struct report *r)
{
	struct thread *t = report_alloc(r, 3 * sizeof(*t));

	r->threads = t;
	r->nthreads = 3;
	t[0].tid = 4243;
	t[0].name = sample_text(r, "worker/1");
	t[0].crashed = true;
	t[0].has_registers = true;
	sample_registers(&t[0].registers, 3);
	t[0].fpstate = sample_bytes(r, 512, 4);
	t[0].xstate_len = 100;
	t[0].xstate = sample_bytes(r, 100, 5);
	t[0].stack.address = 0x7ffffffde000;
	t[0].stack.len = 333;
	t[0].stack.bytes = sample_bytes(r, 333, 6);
	sample_frames(r, &t[0], 11);
	t[0].truncated = sample_text(r, "stack window ended");
	/* Not known: a register of a group the rest of which is. */
	t[1].tid = 4242;
	t[1].has_registers = true;
	sample_registers(&t[1].registers, 7);
	t[1].registers.valid &= ~(1u << R_SS | 1u << R_GS_BASE);
	t[1].registers.value[R_SS] = 0;
	t[1].registers.value[R_GS_BASE] = 0;
	t[1].stack.address = 0x7ffffff00000;
	t[1].stack.len = 64;
	t[1].stack.bytes = sample_bytes(r, 64, 8);
	/* One that could not be stopped: nothing but its name. */
	t[2].tid = 4244;
	t[2].name = sample_text(r, "stuck");
}

static inline void sample_memory(struct report *r)
{
	static const char maps[] =
		"555555554000-555555575000 r-xp 00000000 08:01 7  /usr/bin/x\n"
		"7ffffffde000-7ffffffff000 rw-p 00000000 00:00 0  [stack]\n";
	static const char cmdline[] = "/usr/bin/x\0\0caf\xc3\xa9";

	r->nmemory = 2;
	r->memory = report_alloc(r, 2 * sizeof(struct memory_range));
	for (size_t i = 0; i < 2; i++) {
		r->memory[i].address = 0x555555556000 + 4096 * i;
		r->memory[i].len = 24 + i;
		r->memory[i].bytes = sample_bytes(r, 24 + i, 9);
	}
	r->maps = sample_text(r, maps);
	r->maps_len = sizeof(maps) - 1;
	r->auxv_len = 32;
	r->auxv = sample_bytes(r, 32, 10);
	r->cmdline_len = sizeof(cmdline);
	r->cmdline = report_copy(r, cmdline, sizeof(cmdline));
}

/* Fill REPORT, which is not initialised; the caller frees it. */
static inline void sample_make(struct report *r)
{
	if (!report_init(r, NULL))
		abort();
	memcpy(r->id, "0199a1b2-c3d4-7e5f-8a6b-0123456789ab", sizeof(r->id));
	r->time_ms = 1763640000123;
	r->tier = 2;
	r->tier_reason = sample_text(r, "ptrace: EPERM");
	r->complete = true;
	r->sanitized = true;
	memcpy(r->exact, "00112233445566778899aabbccddeeff", sizeof(r->exact));
	r->frozen_us = 61;
	r->unwind_us = 900;
	r->total_us = 2400;
	sample_host_and_process(r);
	sample_tags(r);
	sample_signal(r);
	sample_modules(r);
	sample_unloaded(r);
	sample_jit(r);
	sample_threads(r);
	sample_memory(r);
}

static inline void sample_compare_tags(const struct tag *found, size_t nfound,
				       const struct tag *wanted, size_t nwanted)
{
	if (!CHECK_NUMBER(nfound, nwanted))
		return;
	for (size_t i = 0; i < nfound; i++) {
		CHECK_STRING(found[i].key, wanted[i].key);
		CHECK_STRING(found[i].value, wanted[i].value);
	}
}

static inline void sample_compare_strings(const char *const *found,
					  size_t nfound,
					  const char *const *wanted,
					  size_t nwanted)
{
	if (!CHECK_NUMBER(nfound, nwanted))
		return;
	for (size_t i = 0; i < nfound; i++)
		CHECK_STRING(found[i], wanted[i]);
}

static inline void sample_compare_frames(const struct thread *f,
					 const struct thread *w)
{
	CHECK_NUMBER(f->depth, w->depth);
	CHECK_STRING(f->truncated, w->truncated);
	if (!CHECK_NUMBER(f->nframes, w->nframes))
		return;
	for (size_t i = 0; i < f->nframes; i++) {
		CHECK_NUMBER(f->frames[i].pc, w->frames[i].pc);
		CHECK_NUMBER(f->frames[i].cfa, w->frames[i].cfa);
		CHECK_NUMBER(f->frames[i].offset, w->frames[i].offset);
		CHECK_NUMBER(f->frames[i].module, w->frames[i].module);
		CHECK_NUMBER(f->frames[i].trust, w->frames[i].trust);
	}
}

static inline void sample_compare_thread(const struct thread *f,
					 const struct thread *w)
{
	CHECK_NUMBER(f->tid, w->tid);
	CHECK_STRING(f->name, w->name);
	CHECK_NUMBER(f->crashed, w->crashed);
	CHECK_NUMBER(f->has_registers, w->has_registers);
	CHECK_NUMBER(f->registers.valid, w->registers.valid);
	CHECK_BYTES(f->registers.value, sizeof(f->registers.value),
		    w->registers.value, sizeof(w->registers.value));
	CHECK_BYTES(f->fpstate, f->fpstate ? 512 : 0, w->fpstate,
		    w->fpstate ? 512 : 0);
	CHECK_BYTES(f->xstate, f->xstate_len, w->xstate, w->xstate_len);
	CHECK_NUMBER(f->stack.address, w->stack.address);
	CHECK_BYTES(f->stack.bytes, f->stack.len, w->stack.bytes,
		    w->stack.len);
	sample_compare_frames(f, w);
}

static inline void sample_compare_process(const struct report *f,
					  const struct report *w)
{
	CHECK_STRING(f->host, w->host);
	CHECK_STRING(f->kernel, w->kernel);
	CHECK_STRING(f->arch, w->arch);
	CHECK_NUMBER(f->pid, w->pid);
	CHECK_NUMBER(f->uid, w->uid);
	CHECK_NUMBER(f->has_uid, w->has_uid);
	CHECK_STRING(f->exe, w->exe);
	sample_compare_strings(f->args, f->nargs, w->args, w->nargs);
	CHECK_STRING(f->cgroup, w->cgroup);
	CHECK_NUMBER(f->uptime_ms, w->uptime_ms);
	CHECK_STRING(f->release, w->release);
	sample_compare_tags(f->tags, f->ntags, w->tags, w->ntags);
	sample_compare_tags(f->annotations, f->nannotations, w->annotations,
			    w->nannotations);
	sample_compare_strings(f->breadcrumbs, f->nbreadcrumbs, w->breadcrumbs,
			       w->nbreadcrumbs);
}

static inline void sample_compare_signal(const struct report *f,
					 const struct report *w)
{
	CHECK_NUMBER(f->signal, w->signal);
	CHECK_NUMBER(f->death_signal, w->death_signal);
	CHECK_NUMBER(f->code, w->code);
	CHECK_NUMBER(f->has_address, w->has_address);
	CHECK_NUMBER(f->address, w->address);
	CHECK_NUMBER(f->has_sender, w->has_sender);
	CHECK_NUMBER(f->sender_pid, w->sender_pid);
	CHECK_NUMBER(f->sender_uid, w->sender_uid);
	CHECK_STRING(f->sender_name, w->sender_name);
	CHECK_STRING(f->reason, w->reason);
	CHECK_STRING(f->message, w->message);
}

static inline void sample_compare_memory(const struct report *f,
					 const struct report *w)
{
	CHECK_BYTES(f->maps, f->maps_len, w->maps, w->maps_len);
	CHECK_BYTES(f->auxv, f->auxv_len, w->auxv, w->auxv_len);
	CHECK_BYTES(f->cmdline, f->cmdline_len, w->cmdline, w->cmdline_len);
	if (!CHECK_NUMBER(f->nmemory, w->nmemory))
		return;
	for (size_t i = 0; i < f->nmemory; i++) {
		CHECK_NUMBER(f->memory[i].address, w->memory[i].address);
		CHECK_BYTES(f->memory[i].bytes, f->memory[i].len,
			    w->memory[i].bytes, w->memory[i].len);
	}
}

static inline void sample_compare_modules(const struct report *f,
					  const struct report *w)
{
	size_t n = report_module_count(w);

	if (!CHECK_NUMBER(f->nmodules, w->nmodules) ||
	    !CHECK_NUMBER(f->nunloaded, w->nunloaded))
		return;
	for (int32_t i = 0; i < (int32_t)n; i++) {
		const struct module *found = report_module(f, i);
		const struct module *wanted = report_module(w, i);

		CHECK_STRING(found->path, wanted->path);
		CHECK_NUMBER(found->base, wanted->base);
		CHECK_NUMBER(found->size, wanted->size);
		CHECK(build_id_equal(&found->build_id, &wanted->build_id));
	}
}

static inline void sample_compare_jit(const struct report *f,
				      const struct report *w)
{
	if (!CHECK_NUMBER(f->njit, w->njit))
		return;
	for (size_t i = 0; i < f->njit; i++) {
		CHECK_NUMBER(f->jit[i].start, w->jit[i].start);
		CHECK_NUMBER(f->jit[i].size, w->jit[i].size);
		CHECK_STRING(f->jit[i].name, w->jit[i].name);
	}
}

/* CHECK that both say the same in every field. */
static inline void sample_compare(const struct report *f,
				  const struct report *w)
{
	CHECK_STRING(f->id, w->id);
	CHECK_NUMBER(f->time_ms, w->time_ms);
	CHECK_NUMBER(f->tier, w->tier);
	CHECK_STRING(f->tier_reason, w->tier_reason);
	CHECK_NUMBER(f->complete, w->complete);
	CHECK_NUMBER(f->sanitized, w->sanitized);
	sample_compare_process(f, w);
	sample_compare_signal(f, w);
	CHECK_STRING(f->exact, w->exact);
	sample_compare_modules(f, w);
	sample_compare_jit(f, w);
	sample_compare_memory(f, w);
	CHECK_NUMBER(f->frozen_us, w->frozen_us);
	CHECK_NUMBER(f->unwind_us, w->unwind_us);
	CHECK_NUMBER(f->total_us, w->total_us);
	if (!CHECK_NUMBER(f->nthreads, w->nthreads))
		return;
	for (size_t i = 0; i < f->nthreads; i++)
		sample_compare_thread(&f->threads[i], &w->threads[i]);
}

#endif
