/* Rules of CFI for a pc: where the caller's registers are. libdw executes the
 * programs; what it says is kept as a row, by pc, since a stack goes through
 * the same places again and again. Used by step.c and guess.c, and
 * by whoever wants all rows of a table. */
#ifndef EPITAPH_UNWIND_CFI_H
#define EPITAPH_UNWIND_CFI_H

#include <elfutils/libdw.h>

#include "table.h"

enum {
	CFI_ROWS_BITS = 9,
	CFI_ROWS = 1 << CFI_ROWS_BITS, /* direct-mapped */
	/* With fewer entries most code has none: musl's libc has four, of what
	 * starts a program. */
	CFI_FEW_ENTRIES = 16,
	CFI_MAX_OPS = 512,  /* of a row; a signal frame's has 50 */
};

enum rule_kind {
	RULE_UNDEFINED,
	RULE_SAME,
	RULE_AT_CFA,     /* saved at CFA + value */
	RULE_CFA_PLUS,   /* is CFA + value */
	RULE_REGISTER,   /* is register number VALUE */
	RULE_AT_EXPR,    /* saved where the expression says */
	RULE_EXPR,       /* is what the expression says */
};

struct rule {
	enum rule_kind kind;
	uint32_t nops;
	union {
		int64_t value;
		Dwarf_Op *ops; /* owned by the row */
	};
};

struct row {
	uint64_t pc;
	bool has_cfi;       /* false: there is none for this pc */
	bool is_signal;     /* the frame that it finds was interrupted */
	bool is_debug;      /* from a file's .debug_frame */
	bool is_plt;        /* its CFA depends on pc, as a PLT stub's does */
	uint64_t end;       /* of the FDE */
	uint32_t return_register;
	uint32_t nops;      /* of all its expressions */
	struct rule cfa;    /* REGISTER plus OFFSET, or EXPR */
	int64_t cfa_offset;
	struct rule regs[REG_CFI_COUNT];
};

struct cfi_module;

struct cfi {
	struct memory *memory;
	const struct unwind_module *modules;
	size_t nmodules;
	struct cfi_module **opened; /* as many; NULL: not looked at yet */
	struct table_buffers *buffers;
	struct row **rows;          /* CFI_ROWS; NULL: not used yet */
	uint8_t *mini;              /* scratch: the ELF file made for libdw */
	int64_t waited_ms;          /* for callers' frames, all in all */
};

/* MEMORY and MODULES are borrowed. False without memory; then there is nothing
 * to release. */
bool cfi_init(struct cfi *cfi, struct memory *memory,
	      const struct unwind_module *modules, size_t nmodules);
void cfi_fini(struct cfi *cfi);

/* The row for the instruction at PC in module number MODULE, or NULL. Valid
 * until the next call. */
const struct row *cfi_row(struct cfi *cfi, size_t module, uint64_t pc);

/* True where MODULE has CFI for its code, so that a pc without any is none. */
bool cfi_is_covered(struct cfi *cfi, size_t module);

/* Called with a row of an FDE, and where it begins and ends; NULL for rules
 * that cannot be had. False: no more of them. */
typedef bool cfi_take_row(void *context, uint64_t start, uint64_t end,
			  const struct row *row);

/* All rows of FDE, which is CIE's, in order. Both programs must have been
 * checked. */
void cfi_each_row(struct cfi *cfi, const struct cie *cie,
		  const struct fde *fde, cfi_take_row *take, void *context);

/* Up to LEN bytes of MODULE's image, from its file; how many. For code that is
 * not in the memory. */
size_t cfi_file_bytes(struct cfi *cfi, size_t module, uint64_t address,
		      void *to, size_t len);

#endif
