/* Which function is at an address of a module, and what is in scope there, by
 * the module's DWARF. Process: one that can be lost. */
#ifndef EPITAPH_VALUES_CODE_H
#define EPITAPH_VALUES_CODE_H

#include <dwarf.h>

#include "../finder.h"
#include "node.h"

struct code;

/* The DWARF of MODULE, whose files are FILES; FINDER finds what is common to
 * several, and packages of split units. All must outlive it. NULL where there
 * is none, or no memory. */
struct code *code_open(struct finder *finder, const struct module *module,
		       struct module_files *files);
void code_close(struct code *code);

/* The same for DWARF that is read already, and stays its owner's. */
struct code *code_of(struct dwarf_file *dwarf);

/* The function with code of its own at PC. It is good as long as CODE is. */
bool code_function(struct code *code, uint64_t pc, struct node *out);

/* Whether PC is among the first instructions of FUNCTION, which set up its
 * frame and store its arguments: by its unit's lines, as debuggers find where
 * to stop in it. */
bool code_is_prologue(const struct node *function, uint64_t pc);

enum { CODE_MAX_SCOPES = 256 };

/* FUNCTION and what is in it at PC, inlined calls and blocks, each in the one
 * before it: malloc'd, at most CODE_MAX_SCOPES. Their number; 0 without
 * memory. */
size_t code_scopes(const struct node *function, uint64_t pc,
		   struct node **scopes_out);

/* True where SCOPE is that of a function, not of a block within one. */
static inline bool code_is_function(const struct node *scope)
{
	return scope->tag == DW_TAG_subprogram ||
	       scope->tag == DW_TAG_inlined_subroutine;
}

#endif
