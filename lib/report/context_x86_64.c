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
	[R_RAX] = "rax",
	[R_RDX] = "rdx",
	[R_RCX] = "rcx",
	[R_RBX] = "rbx",
	[R_RSI] = "rsi",
	[R_RDI] = "rdi",
	[R_RBP] = "rbp",
	[R_RSP] = "rsp",
	[R_R8] = "r8",
	[R_R9] = "r9",
	[R_R10] = "r10",
	[R_R11] = "r11",
	[R_R12] = "r12",
	[R_R13] = "r13",
	[R_R14] = "r14",
	[R_R15] = "r15",
	[R_RIP] = "rip",
	[R_EFLAGS] = "eflags",
	[R_CS] = "cs",
	[R_SS] = "ss",
	[R_DS] = "ds",
	[R_ES] = "es",
	[R_FS] = "fs",
	[R_GS] = "gs",
	[R_FS_BASE] = "fs_base",
	[R_GS_BASE] = "gs_base",
	[R_SSP] = "ssp",
};

/* In the order of the context. */
static const enum reg segments[] = {
	R_CS, R_DS, R_ES, R_FS, R_GS, R_SS,
};
static const enum reg integers[] = {
	R_RAX, R_RCX, R_RDX, R_RBX, R_RSP, R_RBP,
	R_RSI, R_RDI, R_R8,  R_R9,  R_R10, R_R11,
	R_R12, R_R13, R_R14, R_R15, R_RIP,
};
enum {
	NSEGMENTS = sizeof(segments) / sizeof(segments[0]),
	NINTEGERS = sizeof(integers) / sizeof(integers[0]),
};

const char *register_name(enum reg reg)
{
	return (unsigned)reg < REG_COUNT ? names[reg] : NULL;
}

/* The flag that makes REG valid. */
static uint32_t flag_of(enum reg reg)
{
	switch (reg) {
	case R_RIP:
	case R_RSP:
	case R_EFLAGS:
	case R_CS:
	case R_SS:
		return FLAG_CONTROL;
	case R_DS:
	case R_ES:
	case R_FS:
	case R_GS:
		return FLAG_SEGMENTS;
	default:
		return FLAG_INTEGER;
	}
}

static uint32_t flags_of(const struct thread *thread)
{
	uint32_t flags = FLAG_AMD64;

	for (unsigned i = 0; i < R_FS_BASE; i++) {
		if (thread->registers.valid >> i & 1)
			flags |= flag_of((enum reg)i);
	}
	if (thread->fpstate != NULL)
		flags |= FLAG_FLOAT;
	return flags;
}

static uint64_t valid_under(uint32_t flags)
{
	uint64_t valid = 0;

	for (unsigned i = 0; i < R_FS_BASE; i++) {
		if (flags & flag_of((enum reg)i))
			valid |= REG_BIT(i);
	}
	return valid;
}

uint64_t context_valid(const struct thread *thread)
{
	return valid_under(flags_of(thread));
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
	writer_u32(out, (uint32_t)known(thread, R_EFLAGS));
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

static void decode_registers(struct reader *r, uint32_t flags,
			     struct registers *registers)
{
	uint64_t *value = registers->value;

	for (size_t i = 0; i < NSEGMENTS; i++)
		value[segments[i]] = reader_u16(r);
	value[R_EFLAGS] = reader_u32(r);
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

const uint8_t *context_wide_register(const uint8_t *fpstate, uint64_t number)
{
	enum {
		XMM0 = 17, ST0 = 33, MM0 = 41, /* by the psABI */
		ST_AT = 32, XMM_AT = 160,      /* in FXSAVE's area */
	};

	if (fpstate == NULL || number < XMM0 || number >= MM0)
		return NULL;
	if (number < ST0)
		return fpstate + XMM_AT + CONTEXT_WIDE * (number - XMM0);
	return fpstate + ST_AT + CONTEXT_WIDE * (number - ST0);
}
