/* struct user_regs_struct of x86-64. Runs in the command line and in the
 * crash-time helper. */
#include "user.h"

#include <sys/reg.h>

/* orig_rax is none of ours, and the shadow stack's pointer is not here. */
static const uint8_t index_of[R_SSP] = {
	[R_RAX] = RAX,         [R_RDX] = RDX,       [R_RCX] = RCX,
	[R_RBX] = RBX,         [R_RSI] = RSI,       [R_RDI] = RDI,
	[R_RBP] = RBP,         [R_RSP] = RSP,       [R_R8] = R8,
	[R_R9] = R9,           [R_R10] = R10,       [R_R11] = R11,
	[R_R12] = R12,         [R_R13] = R13,       [R_R14] = R14,
	[R_R15] = R15,         [R_RIP] = RIP,       [R_EFLAGS] = EFLAGS,
	[R_CS] = CS,           [R_SS] = SS,         [R_DS] = DS,
	[R_ES] = ES,           [R_FS] = FS,         [R_GS] = GS,
	[R_FS_BASE] = FS_BASE, [R_GS_BASE] = GS_BASE,
};

void user_registers(const uint64_t regs[USER_WORDS],
		    struct registers *registers_out)
{
	for (int i = 0; i < R_SSP; i++)
		registers_out->value[i] = regs[index_of[i]];
	registers_out->value[R_SSP] = 0;
	registers_out->valid = REG_BIT(R_SSP) - 1;
}

void user_shadow(uint64_t word, struct registers *registers)
{
	registers->value[R_SSP] = word;
	registers->valid |= REG_BIT(R_SSP);
}

void registers_user(const struct registers *registers,
		    uint64_t regs_out[USER_WORDS])
{
	for (int i = 0; i < USER_WORDS; i++)
		regs_out[i] = 0;
	regs_out[ORIG_RAX] = UINT64_MAX; /* in no system call */
	for (int i = 0; i < R_SSP; i++)
		if (registers->valid >> i & 1)
			regs_out[index_of[i]] = registers->value[i];
}
