/* Registers of x86-64: their names, and their place in the CONTEXT_AMD64 of a
 * minidump. Used by the codec in any process; a context that is decoded is not
 * trusted.
 *
 * Layout: winnt.h's CONTEXT for x64, as lldb and Breakpad read it too. */
#include "context.h"

#include <string.h>

enum {
	CONTEXT_SIZE = 1232,
	FXSAVE_SIZE = 512,
	FXSAVE_MXCSR = 24, /* offset; SDM volume 1, table 10-2 */

	FLAG_AMD64 = 0x100000,
	FLAG_CONTROL = 0x1,  /* rip, rsp, eflags, cs, ss */
	FLAG_INTEGER = 0x2,
	FLAG_SEGMENTS = 0x4, /* ds, es, fs, gs */
	FLAG_FLOAT = 0x8,
	FLAG_XSTATE = 0x40,  /* Windows' own extension behind the context */
};

static const char *const names[REG_COUNT] = {
	[REG_RAX] = "rax",
	[REG_RDX] = "rdx",
	[REG_RCX] = "rcx",
	[REG_RBX] = "rbx",
	[REG_RSI] = "rsi",
	[REG_RDI] = "rdi",
	[REG_RBP] = "rbp",
	[REG_RSP] = "rsp",
	[REG_R8] = "r8",
	[REG_R9] = "r9",
	[REG_R10] = "r10",
	[REG_R11] = "r11",
	[REG_R12] = "r12",
	[REG_R13] = "r13",
	[REG_R14] = "r14",
	[REG_R15] = "r15",
	[REG_RIP] = "rip",
	[REG_EFLAGS] = "eflags",
	[REG_CS] = "cs",
	[REG_SS] = "ss",
	[REG_DS] = "ds",
	[REG_ES] = "es",
	[REG_FS] = "fs",
	[REG_GS] = "gs",
	[REG_FS_BASE] = "fs_base",
	[REG_GS_BASE] = "gs_base",
};

/* In the order of the context. */
static const enum reg segments[] = {
	REG_CS, REG_DS, REG_ES, REG_FS, REG_GS, REG_SS,
};
static const enum reg integers[] = {
	REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP,
	REG_RSI, REG_RDI, REG_R8,  REG_R9,  REG_R10, REG_R11,
	REG_R12, REG_R13, REG_R14, REG_R15, REG_RIP,
};
enum {
	NSEGMENTS = sizeof(segments) / sizeof(segments[0]),
	NINTEGERS = sizeof(integers) / sizeof(integers[0]),
};

const char *register_name(enum reg reg)
{
	return (unsigned)reg < REG_COUNT ? names[reg] : NULL;
}

bool context_has(enum reg reg)
{
	return (unsigned)reg < REG_FS_BASE;
}

/* The flag that makes REG valid. */
static uint32_t flag_of(enum reg reg)
{
	switch (reg) {
	case REG_RIP:
	case REG_RSP:
	case REG_EFLAGS:
	case REG_CS:
	case REG_SS:
		return FLAG_CONTROL;
	case REG_DS:
	case REG_ES:
	case REG_FS:
	case REG_GS:
		return FLAG_SEGMENTS;
	default:
		return FLAG_INTEGER;
	}
}

static uint32_t flags_of(const struct thread *thread)
{
	uint32_t flags = FLAG_AMD64;

	for (unsigned i = 0; i < REG_FS_BASE; i++) {
		if (thread->registers.valid >> i & 1)
			flags |= flag_of((enum reg)i);
	}
	if (thread->fpstate != NULL)
		flags |= FLAG_FLOAT;
	return flags;
}

/* REG's value, and 0 for one that is not known. */
static uint64_t known(const struct thread *thread, enum reg reg)
{
	if (!(thread->registers.valid >> reg & 1))
		return 0;
	return thread->registers.value[reg];
}

void context_encode(const struct thread *thread, struct writer *out)
{
	size_t start = out->len;

	writer_zero(out, 6 * 8); /* home of six parameters, on Windows */
	writer_u32(out, flags_of(thread));
	if (thread->fpstate != NULL)
		writer_bytes(out, thread->fpstate + FXSAVE_MXCSR, 4);
	else
		writer_u32(out, 0);
	for (size_t i = 0; i < NSEGMENTS; i++)
		writer_u16(out, (uint16_t)known(thread, segments[i]));
	writer_u32(out, (uint32_t)known(thread, REG_EFLAGS));
	writer_zero(out, 6 * 8); /* debug registers */
	for (size_t i = 0; i < NINTEGERS; i++)
		writer_u64(out, known(thread, integers[i]));
	if (thread->fpstate != NULL)
		writer_bytes(out, thread->fpstate, FXSAVE_SIZE);
	if (out->bad)
		return;
	writer_zero(out, CONTEXT_SIZE - (out->len - start));
	if (thread->fpstate != NULL && thread->xstate != NULL)
		writer_bytes(out, thread->xstate, thread->xstate_len);
}

static uint32_t valid_under(uint32_t flags)
{
	uint32_t valid = 0;

	for (unsigned i = 0; i < REG_FS_BASE; i++) {
		if (flags & flag_of((enum reg)i))
			valid |= 1u << i;
	}
	return valid;
}

static void decode_registers(struct reader *r, uint32_t flags,
			     struct registers *registers)
{
	uint64_t *value = registers->value;

	for (size_t i = 0; i < NSEGMENTS; i++)
		value[segments[i]] = reader_u16(r);
	value[REG_EFLAGS] = reader_u32(r);
	reader_skip(r, 6 * 8);
	for (size_t i = 0; i < NINTEGERS; i++)
		value[integers[i]] = reader_u64(r);
	registers->valid = valid_under(flags);
	for (unsigned i = 0; i < REG_COUNT; i++) {
		if (!(registers->valid >> i & 1))
			value[i] = 0;
	}
}

bool context_decode(struct reader *r, struct thread *thread,
		    struct error *err)
{
	size_t more = reader_left(r) - CONTEXT_SIZE;
	const uint8_t *fpstate;
	uint32_t flags;

	if (reader_left(r) < CONTEXT_SIZE)
		return fail(err, ERR_UNSUPPORTED,
			    "a context of %zu bytes is not one of x86-64",
			    reader_left(r));
	reader_skip(r, 6 * 8);
	flags = reader_u32(r);
	if (!(flags & FLAG_AMD64))
		return fail(err, ERR_UNSUPPORTED,
			    "context flags %#x are not those of x86-64",
			    flags);
	reader_skip(r, 4);
	decode_registers(r, flags, &thread->registers);
	thread->has_registers = true;
	fpstate = reader_take(r, FXSAVE_SIZE);
	if (!(flags & FLAG_FLOAT))
		return true;
	thread->fpstate = fpstate;
	reader_skip(r, reader_left(r) - more);
	if (more == 0 || more > MAX_XSTATE || flags & FLAG_XSTATE)
		return true;
	thread->xstate = reader_take(r, more);
	thread->xstate_len = more;
	return true;
}
