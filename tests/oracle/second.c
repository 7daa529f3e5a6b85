/* What elfutils' unwinder says. Its interpreter executes expressions and finds
 * tables by code of its own, which ours does not use. */
#include <elfutils/libdw.h>
#include <elfutils/libdwfl.h>
#include <stdlib.h>

#include "oracle.h"

struct second {
	pid_t pid;
	Dwfl *dwfl;
};

/* No separate debug files: tables are those that the process has, and what its
 * own files add. */
static int find_nothing(Dwfl_Module *module, void **data, const char *name,
			Dwarf_Addr base, const char *file, const char *link,
			GElf_Word crc, char **debug_name)
{
	(void)module, (void)data, (void)name, (void)base, (void)file;
	(void)link, (void)crc, (void)debug_name;
	return -1;
}

static const Dwfl_Callbacks callbacks = {
	.find_elf = dwfl_linux_proc_find_elf,
	.find_debuginfo = find_nothing,
};

struct second *second_new(pid_t pid)
{
	struct second *second = calloc(1, sizeof(*second));

	if (!second)
		give_up("memory");
	second->pid = pid;
	second->dwfl = dwfl_begin(&callbacks);
	dwfl_report_begin(second->dwfl);
	if (dwfl_linux_proc_report(second->dwfl, pid) != 0 ||
	    dwfl_report_end(second->dwfl, NULL, NULL) != 0 ||
	    dwfl_linux_proc_attach(second->dwfl, pid, true) != 0)
		give_up("libdwfl");
	return second;
}

void second_free(struct second *second)
{
	if (!second)
		return;
	dwfl_end(second->dwfl);
	free(second);
}

static bool has_row(Dwarf_CFI *cfi, uint64_t pc)
{
	Dwarf_Frame *frame = NULL;
	bool found = cfi && dwarf_cfi_addrframe(cfi, pc, &frame) == 0;

	free(frame);
	return found;
}

bool second_covers(struct second *second, uint64_t pc)
{
	Dwfl_Module *module = dwfl_addrmodule(second->dwfl, pc);
	Dwarf_Addr bias;
	Dwarf_CFI *cfi;

	if (!module)
		return false;
	cfi = dwfl_module_eh_cfi(module, &bias);
	if (has_row(cfi, pc - bias))
		return true;
	cfi = dwfl_module_dwarf_cfi(module, &bias);
	return has_row(cfi, pc - bias);
}

struct comparison {
	const struct truth *truth;
	size_t n, at, seen;
	bool differs;
};

/* Where the stack pointer of FRAME, number AT, has to be: at the CFA of the one
 * that it has called. */
static bool is_sp_right(Dwfl_Frame *frame, const struct truth *truth,
			size_t at)
{
	Dwarf_Word sp;

	return at == 0 || truth[at - 1].cfa == 0 ||
	       (dwfl_frame_reg(frame, R_SP, &sp) == 0 &&
		sp == truth[at - 1].cfa);
}

static int compare_frame(Dwfl_Frame *frame, void *context)
{
	struct comparison *c = context;
	Dwarf_Addr pc = 0;

	dwfl_frame_pc(frame, &pc, NULL);
	if (c->seen == c->n || pc != c->truth[c->seen].pc ||
	    !is_sp_right(frame, c->truth, c->seen)) {
		c->differs = true;
		return DWARF_CB_ABORT;
	}
	c->seen++;
	return c->seen > c->at + 1 ? DWARF_CB_ABORT : DWARF_CB_OK;
}

bool second_agrees(struct second *second, const struct truth *truth, size_t n,
		   size_t at)
{
	struct comparison c = { .truth = truth, .n = n, .at = at };

	dwfl_getthread_frames(second->dwfl, second->pid, compare_frame, &c);
	return !c.differs && (c.seen > at + 1 || c.seen == n);
}
