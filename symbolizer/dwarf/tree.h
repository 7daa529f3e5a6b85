/* The functions of one unit, what was inlined into them, whom they call, and
 * what they are declared in: all that is asked of its DIEs. Process: one that
 * can be lost. */
#ifndef EPITAPH_DWARF_TREE_H
#define EPITAPH_DWARF_TREE_H

#include "unit.h"

#define TREE_NONE UINT32_MAX

enum { TREE_MAX_DEPTH = 256 };

/* A function with code of its own, or a call that was inlined. */
struct scope {
	uint64_t die;
	uint64_t origin;  /* DIE of what it is an instance of, in this unit; 0:
	                   * none, or elsewhere */
	uint64_t entry;   /* of a function: where it begins */
	uint32_t parent;  /* the scope around it; TREE_NONE: a function */
	uint32_t call_file, call_line; /* 0: not known */
	bool tells_tails; /* of a function: its calls have all its tail calls */
};

/* A call that a function makes, by itself or in what was inlined into it. */
struct call {
	uint64_t return_pc;    /* behind it; 0: not told */
	struct die_ref callee; /* file NULL: not known */
	uint32_t function;     /* scope */
	bool is_tail;          /* a jump: nothing returns here */
};

struct span {
	uint64_t low, high;
	uint32_t scope;
};

/* A namespace, type or function that others are declared in. */
struct context {
	uint64_t die;
	uint32_t parent; /* TREE_NONE: the unit */
	uint16_t tag;
};

struct declaration {
	uint64_t die; /* a function's */
	uint32_t context;
};

/* A function whose code a linker has dropped, or made one with another's. */
struct dropped {
	uint64_t die, size;
};

struct tree {
	bool is_cut; /* its DIEs make no sense from some place on */
	struct scope *scopes; /* parents before children */
	size_t nscopes, scopes_cap;
	struct span *functions, *inlines; /* in the order of the DIEs */
	size_t nfunctions, functions_cap, ninlines, inlines_cap;
	struct call *calls;
	size_t ncalls, calls_cap;
	struct context *contexts;
	size_t ncontexts, contexts_cap;
	struct declaration *declarations; /* by DIE */
	size_t ndeclarations, declarations_cap;
	struct dropped *dropped;
	size_t ndropped, dropped_cap;
};

/* Walk UNIT's DIEs, as far as they make sense and there is memory, once: it
 * keeps what is found. NULL without any memory. */
const struct tree *tree_of(struct unit *unit);
void tree_free(struct tree *tree);

/* What a function is called. */
struct function_name {
	const char *linkage; /* mangled; the file's, or NULL */
	const char *plain;   /* as in the source; the file's, or NULL */
	char *qualified; /* as declared, with what is around it ("a::B::f"),
	                  * as far as there is room; malloc'd, or NULL; only
	                  * where LINKAGE is NULL */
};

/* The name of the function, or of the instance of one, whose DIE is at REF. */
void tree_name(struct die_ref ref, struct function_name *out);

#endif
