/* struct user_pt_regs of AArch64: x0 to x30, sp, pc, pstate, which is our order
 * too. The thread pointer is in a set of its own. Runs in the command line and
 * in the crash-time helper. */
#include "user.h"

_Static_assert(R_SP == 31 && R_PSTATE == USER_WORDS - 1,
	       "order of struct user_pt_regs");

void user_registers(const uint64_t regs[USER_WORDS],
		    struct registers *registers_out)
{
	*registers_out = (struct registers){ .valid = 0 };
	for (int i = 0; i < USER_WORDS; i++)
		registers_out->value[i] = regs[i];
	registers_out->valid = REG_BIT(USER_WORDS) - 1;
}

void registers_user(const struct registers *registers,
		    uint64_t regs_out[USER_WORDS])
{
	for (int i = 0; i < USER_WORDS; i++)
		regs_out[i] = registers->valid >> i & 1 ? registers->value[i]
							: 0;
}

void user_shadow(uint64_t word, struct registers *registers)
{
	(void)word;
	(void)registers;
}
