/* A signal frame's registers of x86-64, in our (DWARF's) order. */
#include <sys/reg.h>

#include <string.h>

#include "crash.h"

enum {
	FXSAVE_BYTES = 512,
	SOFTWARE_AT = 464, /* struct _fpx_sw_bytes in the FXSAVE area */
	SOFTWARE_MAGIC = 0x46505853,
	HANDLER_CALLS = 256, /* where a program's own gives up by exit() */
};

#define SIGNAL_TOKEN (UINT64_C(1) << 63)

#define ALL_GENERAL (REG_BIT(REG_CFI_COUNT) - 1)

/* Index in gregset_t (sys/ucontext.h) of each of ours. */
static const uint8_t gregs_index[REG_CFI_COUNT] = {
	[R_RAX] = 13, [R_RDX] = 12, [R_RCX] = 14, [R_RBX] = 11,
	[R_RSI] = 9,  [R_RDI] = 8,  [R_RBP] = 10, [R_RSP] = 15,
	[R_R8] = 0,   [R_R9] = 1,   [R_R10] = 2,  [R_R11] = 3,
	[R_R12] = 4,  [R_R13] = 5,  [R_R14] = 6,  [R_R15] = 7,
	[R_RIP] = 16,
};

static void set(struct registers *registers, enum reg reg, uint64_t value)
{
	registers->value[reg] = value;
	registers->valid |= REG_BIT(reg);
}

void registers_from_gregs(const uint64_t gregs[RECORD_GREGS],
			  uint64_t tcb, struct registers *out)
{
	uint64_t segments = gregs[GREG_SEGMENTS];

	*out = (struct registers){ .valid = ALL_GENERAL };
	for (int i = 0; i < REG_CFI_COUNT; i++)
		out->value[i] = gregs[gregs_index[i]];
	set(out, R_EFLAGS, gregs[GREG_EFLAGS]);
	set(out, R_CS, segments & 0xffff);
	set(out, R_GS, segments >> 16 & 0xffff);
	set(out, R_FS, segments >> 32 & 0xffff);
	set(out, R_SS, segments >> 48 & 0xffff);
	if (tcb)
		set(out, R_FS_BASE, tcb);
}

bool page_fault_error(const uint64_t gregs[RECORD_GREGS], uint64_t *error_out)
{
	if (gregs[GREG_TRAP] != 14)
		return false;
	*error_out = gregs[GREG_ERROR];
	return true;
}

void registers_from_place(const uint64_t regs[USER_WORDS],
			  struct registers *out)
{
	*out = (struct registers){ .valid = 0 };
	set(out, R_RIP, regs[RIP]);
	set(out, R_RSP, regs[RSP]);
}

/* The kernel has pushed where it was, marked by bit 63 (SHSTK_DATA_BIT), then
 * the restorer's address, and the handler has called since. */
static uint64_t interrupted_shadow(struct crash *crash, uint64_t shadow)
{
	uint64_t words[HANDLER_CALLS];
	size_t n = crash_read(crash, shadow, words, sizeof(words)) / 8;

	for (size_t i = 0; i < n; i++) {
		if (words[i] & SIGNAL_TOKEN)
			return words[i] & ~SIGNAL_TOKEN;
	}
	return 0;
}

void registers_add_shadow(struct crash *crash, uint64_t shadow,
			  bool in_handler, struct registers *registers)
{
	if (shadow && in_handler)
		shadow = interrupted_shadow(crash, shadow);
	if (shadow)
		set(registers, R_SSP, shadow);
}

size_t xstate_size(const uint8_t head[512])
{
	uint32_t software[2];

	memcpy(software, head + SOFTWARE_AT, sizeof(software));
	if (software[0] != SOFTWARE_MAGIC || software[1] < FXSAVE_BYTES ||
	    software[1] > RECORD_XSTATE)
		return FXSAVE_BYTES;
	return software[1];
}
