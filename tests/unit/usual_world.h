/* The world that most tests of the unwinder begin with: a function for each
 * kind of rule. */
#ifndef EPITAPH_TESTS_UNIT_USUAL_WORLD_H
#define EPITAPH_TESTS_UNIT_USUAL_WORLD_H

#include <stddef.h>
#include <ucontext.h>

#include "world.h"

/* Functions of the usual world. */
enum {
	START,     /* return address undefined */
	MAIN,      /* frame by rbp, which it saves, and rbx */
	MIDDLE,    /* sixteen bytes of locals */
	LEAF,      /* nothing pushed */
	PLT,       /* CFA by expression over rip */
	TRAMPOLINE, /* of a signal, all registers by expression */
	STUCK,     /* CFA that does not advance */
	NO_CFI,
	NO_CFI_EITHER,
	TRAMPOLINE_BARE, /* without a table */
};

/* DW_CFA_expression of register R: *(rsp + OFFSET), two bytes of SLEB. */
#define SAVED(r, offset)                                                       \
	DW_CFA_expression, r, 3, DW_OP_breg7, 0x80 | ((offset) & 0x7f),        \
		(offset) >> 7

static inline void add_frames(struct world *w)
{
	world_cie(w, "zR");
	WORLD_FDE(w, START, DW_CFA_undefined, R_RIP);
	WORLD_FDE(w, MAIN, DW_CFA_advance_loc + 1, DW_CFA_def_cfa_offset, 16,
		  DW_CFA_offset | R_RBP, 2, DW_CFA_advance_loc + 3,
		  DW_CFA_def_cfa_register, R_RBP, DW_CFA_offset | R_RBX, 3,
		  DW_CFA_advance_loc1, 0xe0, DW_CFA_remember_state,
		  DW_CFA_def_cfa, R_RSP, 8, DW_CFA_advance_loc + 1,
		  DW_CFA_restore_state);
	WORLD_FDE(w, MIDDLE, DW_CFA_advance_loc + 4, DW_CFA_def_cfa_offset,
		  24);
	WORLD_FDE(w, LEAF, DW_CFA_nop);
	/* rsp + 8 + ((rip & 15) >= 11) * 8 */
	WORLD_FDE(w, PLT, DW_CFA_def_cfa_expression, 11, DW_OP_breg7, 8,
		  DW_OP_breg16, 0, DW_OP_lit15, DW_OP_and, DW_OP_lit11,
		  DW_OP_ge, DW_OP_lit3, DW_OP_shl, DW_OP_plus);
	world_cie(w, "zRS");
	WORLD_FDE(w, TRAMPOLINE, DW_CFA_def_cfa_expression, 4, DW_OP_breg7,
		  0xa0, 0x01, DW_OP_deref, SAVED(R_RBP, 120),
		  SAVED(R_RBX, 128), SAVED(R_RSP, 160), SAVED(R_RIP, 168));
	world_cie(w, "zR");
	WORLD_FDE(w, STUCK, DW_CFA_def_cfa_offset, 0, DW_CFA_val_offset, R_RIP,
		  0);
}

static inline struct world *usual_world(void)
{
	static struct world w;

	world_init(&w, WORLD_FRAMES + 0x80);
	add_frames(&w);
	world_finish(&w, WORLD_FRAMES, true);
	return &w;
}

/* The same, in a module that has CFI for nearly everything. */
static inline struct world *covered_world(void)
{
	static struct world w;

	world_init(&w, WORLD_FRAMES + 0x100);
	add_frames(&w);
	for (int i = 16; i < 28; i++)
		WORLD_FDE(&w, i, DW_CFA_nop);
	world_finish(&w, WORLD_FRAMES, true);
	return &w;
}

/* From SP on: main's frame at SP + 32, called by start. */
static inline uint64_t main_frame(struct world *w, size_t sp)
{
	world_push(w, sp + 24, 0xb0b0);         /* rbx of start */
	world_push(w, sp + 32, 0);              /* rbp of start */
	world_push(w, sp + 40, world_call(w, function_at(START, 32)));
	return world_call(w, function_at(MAIN, 64));
}

/* The kernel's, in TRAMPOLINE_BARE from byte 16 on. */
static inline void put_trampoline(struct world *w)
{
	static const uint8_t code[] = {
		0x48, 0xc7, 0xc0, 0x0f, 0, 0, 0, 0x0f, 0x05,
	};

	world_code(w, function_at(TRAMPOLINE_BARE, 16), code, sizeof(code));
}

static inline void put_greg(struct world *w, size_t ucontext, int greg,
			    uint64_t value)
{
	world_push(w, ucontext + offsetof(ucontext_t, uc_mcontext.gregs) +
		   (size_t)greg * 8, value);
}

/* A signal frame, with what the kernel puts into each, besides zeros. */
static inline void put_frame(struct world *w, size_t ucontext, uint64_t sp,
			     uint64_t pc)
{
	put_greg(w, ucontext, REG_RSP, sp);
	put_greg(w, ucontext, REG_RIP, pc);
	put_greg(w, ucontext, REG_CSGSFS, 0x2b000000000033);
}

/* What the kernel pushes onto a shadow stack for a signal: Linux'
 * SHSTK_DATA_BIT, and where the shadow stack was. */
#define SIGNAL_TOKEN (UINT64_C(1) << 63)

/* Where the shadow stack of N words begins; it ends where its memory does. */
static inline uint64_t shadow_at(size_t n)
{
	return WORLD_SHADOW + 8 * (WORLD_SHADOW_WORDS - n);
}

/* Give the thread of REGS a shadow stack of N WORDS, the innermost first. */
static inline void put_shadow(struct world *w, struct registers *regs,
			      const uint64_t *words, size_t n)
{
	memcpy(w->shadow + WORLD_SHADOW_WORDS - n, words, n * 8);
	regs->value[R_SSP] = shadow_at(n);
}

#define PUT_SHADOW(w, regs, ...)                                               \
	do {                                                                   \
		const uint64_t words_[] = { __VA_ARGS__ };                     \
		put_shadow(w, regs, words_, sizeof(words_) / 8);               \
	} while (0)

/* Everything that the usual tables can do, in one walk. */
static inline void tour(struct world *w, struct registers *regs)
{
	*regs = world_registers(function_at(LEAF, 3), 64);
	regs->value[R_RBP] = stack_at(640);
	world_push(w, 64, world_call(w, function_at(MIDDLE, 40)));
	world_push(w, 88, function_at(TRAMPOLINE, 1));
	world_push(w, 96 + 120, stack_at(640));
	world_push(w, 96 + 160, stack_at(504));
	world_push(w, 96 + 168, function_at(PLT, 11));
	world_push(w, 512, world_call(w, function_at(MIDDLE, 80)));
	world_push(w, 536, main_frame(w, 608));
}

#endif
