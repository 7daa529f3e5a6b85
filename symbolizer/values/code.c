/* Functions and scopes by address. Runs in the process that can be lost;
 * offsets are anybody's, and so is how deep scopes lie in each other. */
#include "code.h"

#include <stdlib.h>
#include <string.h>

#include "../dwarf/lines.h"
#include "../dwarf/ranges.h"
#include "../dwarf/split.h"
#include "../dwarf/tree.h"

enum { MAX_PLAIN = 16 }; /* blocks without addresses, in each other */

/* A split unit that was opened, or was not there. */
struct opened {
	const struct unit *skeleton;
	struct split split;
	struct opened *next;
};

struct code {
	struct dwarf_file *dwarf, *alt;
	struct elf_file alt_elf;
	struct split_places places;
	struct opened *opened;
	bool is_borrowed;
	bool has_last; /* recursion asks for the same again and again */
	struct node last;
};

struct code *code_of(struct dwarf_file *dwarf)
{
	struct code *code = calloc(1, sizeof(*code));

	if (!code)
		return NULL;
	code->dwarf = dwarf;
	code->alt_elf = ELF_FILE_NONE;
	code->places.path = "";
	code->is_borrowed = true;
	return code;
}

struct code *code_open(struct finder *finder, const struct module *module,
		       struct module_files *files)
{
	const struct elf_file *debug = &files->debug;
	struct code *code;

	if (!debug->elf || !debug->has_dwarf)
		return NULL;
	code = calloc(1, sizeof(*code));
	if (!code)
		return NULL;
	finder_find_packages(finder, module, files);
	code->places = (struct split_places){
		.path = debug->path,
		.packages = files->packages.paths,
		.npackages = files->packages.len,
	};
	code->alt_elf = ELF_FILE_NONE;
	if (finder_find_alt(finder, debug, &code->alt_elf))
		code->alt = dwarf_file_open(&code->alt_elf, false, NULL);
	code->dwarf = dwarf_file_open(debug, false, code->alt);
	if (code->dwarf)
		return code;
	code_close(code);
	return NULL;
}

void code_close(struct code *code)
{
	if (!code)
		return;
	while (code->opened) {
		struct opened *opened = code->opened;

		code->opened = opened->next;
		split_close(&opened->split);
		free(opened);
	}
	split_places_close(&code->places);
	if (!code->is_borrowed)
		dwarf_file_close(code->dwarf);
	dwarf_file_close(code->alt);
	elf_file_close(&code->alt_elf);
	free(code);
}

/* The unit that has what UNIT leaves to a split one, or UNIT itself. */
static struct unit *whole_unit(struct code *code, struct unit *unit)
{
	struct opened *opened = code->opened;

	while (opened && opened->skeleton != unit)
		opened = opened->next;
	if (!opened) {
		opened = calloc(1, sizeof(*opened));
		if (!opened)
			return unit;
		opened->skeleton = unit;
		split_open(&code->places, unit, &opened->split);
		opened->next = code->opened;
		code->opened = opened;
	}
	return opened->split.unit ? opened->split.unit : unit;
}

static bool find_in_unit(struct code *code, struct unit *unit, uint64_t pc,
			 struct node *out)
{
	struct unit *whole = whole_unit(code, unit);
	const struct tree *tree = tree_of(whole);

	for (size_t i = 0; tree && i < tree->nfunctions; i++) {
		const struct span *span = &tree->functions[i];
		struct die_ref ref = { whole->file,
				       tree->scopes[span->scope].die };

		if (pc >= span->low && pc < span->high)
			return node_at(ref, out);
	}
	return false;
}

/* A unit that does not say where its code is may have any. */
static bool may_hold(struct unit *unit, uint64_t pc)
{
	struct node root;

	if (!node_root(unit, &root))
		return false;
	return node_holds(&root, pc) ||
	       (!node_has(&root, NODE_RANGES) && !node_has(&root, NODE_HIGH));
}

static bool find_function(struct code *code, uint64_t pc, struct node *out)
{
	for (size_t i = 0; i < code->dwarf->nunits ||
			   dwarf_file_next(code->dwarf); i++)
		if (may_hold(code->dwarf->units[i], pc) &&
		    find_in_unit(code, code->dwarf->units[i], pc, out))
			return true;
	return false;
}

bool code_function(struct code *code, uint64_t pc, struct node *out)
{
	if (code->has_last && node_holds(&code->last, pc)) {
		*out = code->last;
		return true;
	}
	if (!find_function(code, pc, out))
		return false;
	code->last = *out;
	code->has_last = true;
	return true;
}

bool code_is_prologue(const struct node *function, uint64_t pc)
{
	const struct die die = {
		.low = function->at[NODE_LOW],
		.high = function->at[NODE_HIGH],
		.ranges = function->at[NODE_RANGES],
	};
	uint64_t entry, end = 0;
	struct lines lines;

	if (!ranges_entry(function->unit, &die, &entry) || pc < entry)
		return false;
	lines_read(unit_holder(function->unit), &lines);
	for (size_t i = 0; i < lines.nrows && end == 0; i++)
		if (lines.rows[i].address > entry && lines.rows[i].line > 0)
			end = lines.rows[i].address;
	lines_fini(&lines);
	return pc < end && node_holds(function, end);
}

static bool is_scope(uint16_t tag)
{
	return tag == DW_TAG_inlined_subroutine ||
	       tag == DW_TAG_lexical_block || tag == DW_TAG_try_block ||
	       tag == DW_TAG_catch_block;
}

static bool has_code(const struct node *node)
{
	return node_has(node, NODE_RANGES) || node_has(node, NODE_LOW);
}

/* The scope in IN that holds PC. What is in a block without addresses is as
 * good as in the one around it. */
static bool find_inner(const struct node *in, uint64_t pc, int plain,
		       struct node *out)
{
	struct node at;

	for (bool is_there = node_child(in, &at); is_there;
	     is_there = node_sibling(&at, &at)) {
		if (!is_scope(at.tag))
			continue;
		if (node_holds(&at, pc)) {
			*out = at;
			return true;
		}
		if (!has_code(&at) && at.tag == DW_TAG_lexical_block &&
		    plain < MAX_PLAIN && find_inner(&at, pc, plain + 1, out))
			return true;
	}
	return false;
}

size_t code_scopes(const struct node *function, uint64_t pc,
		   struct node **scopes_out)
{
	struct node *scopes = calloc(CODE_MAX_SCOPES, sizeof(*scopes));
	size_t n = 1;

	if (!scopes)
		return 0;
	scopes[0] = *function;
	while (n < CODE_MAX_SCOPES &&
	       find_inner(&scopes[n - 1], pc, 0, &scopes[n]))
		n++;
	*scopes_out = scopes;
	return n;
}
