/* Code of AArch64, for world.h. */
#ifndef EPITAPH_TESTS_UNIT_WORLD_AARCH64_H
#define EPITAPH_TESTS_UNIT_WORLD_AARCH64_H

enum {
	WORLD_CODE_ALIGN = 4,
	WORLD_RETURN = R_LINK, /* column of the return address */
	WORLD_FILL = 0,        /* udf #0 */
};

/* A CIE as gcc makes it. */
static const uint8_t world_rules[] = { DW_CFA_def_cfa, R_SP, 0 };

static const uint8_t world_call_code[] = { 0, 0, 0, 0x94 }; /* bl to itself */

#endif
