/* Code of x86-64, for world.h. */
#ifndef EPITAPH_TESTS_UNIT_WORLD_X86_64_H
#define EPITAPH_TESTS_UNIT_WORLD_X86_64_H

enum {
	WORLD_CODE_ALIGN = 1,
	WORLD_RETURN = R_RIP, /* column of the return address */
	WORLD_FILL = 0x90,    /* nop */
};

/* A CIE as gcc makes it. */
static const uint8_t world_rules[] = {
	DW_CFA_def_cfa, R_RSP, 8, DW_CFA_offset | R_RIP, 1,
};

static const uint8_t world_call_code[] = { 0xe8, 0, 0, 0, 0 };

#endif
