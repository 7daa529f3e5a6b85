/* From a pc to the row of rules that holds there. Runs in the helper, the
 * command line and the symbolizer.
 *
 * libdw 0.188 is never shown the module. For each new pc the one CIE and FDE
 * that matter, already parsed and checked, are written into a tiny ELF file in
 * memory, with a search table of one entry and plain addresses. That keeps
 * hostile headers and counts away from it, needs none of the table but what is
 * looked at (libLLVM's is 6 MB), and makes .debug_frame look like .eh_frame. */
#include "arch.h"
#include "../report/clock.h"

#include <assert.h>
#include <dwarf.h>
#include <elf.h>
#include <libelf.h>
#include <stdlib.h>
#include <string.h>

/* Where a module's CFI may be, best first: memory is what the process ran; a
 * file serves where memory has not got the bytes, and for .debug_frame, which
 * is never loaded; what the caller has made of something else comes last. */
enum source {
	SOURCE_MEMORY, SOURCE_FILE, SOURCE_DEBUG_FRAME, SOURCE_DEBUG_FILE,
	SOURCE_CALLER, SOURCE_COUNT,
};

/* Each table is opened when those before it had no answer. */
struct cfi_module {
	const struct unwind_module *from;
	struct table tables[SOURCE_COUNT];
	bool tried[SOURCE_COUNT], has[SOURCE_COUNT];
	struct image file; /* for code bytes */
	bool has_file;
};

/* The file for libdw: header, one program header, .eh_frame_hdr with one
 * entry, then .eh_frame. Addresses in it are file offsets. */
struct mini_head {
	Elf64_Ehdr ehdr;
	Elf64_Phdr phdr;
	struct __attribute__((packed)) {
		uint8_t version, frame_encoding, count_encoding, encoding;
		uint64_t frame;
		uint32_t count;
		uint64_t start, at;
		uint32_t padding;
	} hdr;
};

enum {
	MINI_ENTRY_HEAD = 64, /* more than what stands before a program */
	/* Both entries, a terminator, and zeros for libdw's operand reads,
	 * which look one or two bytes past the end of a program. */
	MINI_MAX = (int)sizeof(struct mini_head) +
		   2 * (ENTRY_MAX + MINI_ENTRY_HEAD) + 64,
};

bool cfi_init(struct cfi *cfi, struct memory *memory,
	      const struct unwind_module *modules, size_t nmodules)
{
	memset(cfi, 0, sizeof(*cfi));
	cfi->memory = memory;
	cfi->modules = modules;
	cfi->nmodules = nmodules;
	cfi->opened = calloc(nmodules + 1, sizeof(struct cfi_module *));
	cfi->buffers = malloc(sizeof(*cfi->buffers));
	cfi->rows = calloc(CFI_ROWS, sizeof(struct row *));
	cfi->mini = malloc(MINI_MAX);
	if (!cfi->opened || !cfi->buffers || !cfi->rows || !cfi->mini) {
		cfi_fini(cfi);
		return false;
	}
	cfi->buffers->index_left = TABLE_MAX_INDEX;
	cfi->buffers->memory_index_left = TABLE_MAX_MEMORY_INDEX;
	elf_version(EV_CURRENT);
	return true;
}

static void clear_rule(struct rule *rule)
{
	if (rule->kind == RULE_AT_EXPR || rule->kind == RULE_EXPR)
		free(rule->ops);
	rule->kind = RULE_UNDEFINED;
}

static void clear_row(struct row *row)
{
	clear_rule(&row->cfa);
	for (size_t i = 0; i < REG_CFI_COUNT; i++)
		clear_rule(&row->regs[i]);
	memset(row, 0, sizeof(*row));
}

static void close_module(struct cfi_module *module)
{
	if (!module)
		return;
	for (size_t i = 0; i < SOURCE_COUNT; i++)
		if (module->has[i])
			table_close(&module->tables[i]);
	free(module);
}

void cfi_fini(struct cfi *cfi)
{
	for (size_t i = 0; cfi->opened && i < cfi->nmodules; i++)
		close_module(cfi->opened[i]);
	for (size_t i = 0; cfi->rows && i < CFI_ROWS; i++) {
		if (!cfi->rows[i])
			continue;
		clear_row(cfi->rows[i]);
		free(cfi->rows[i]);
	}
	free(cfi->opened);
	free(cfi->buffers);
	free(cfi->rows);
	free(cfi->mini);
}

static struct cfi_module *open_module(const struct unwind_module *from)
{
	struct cfi_module *module = calloc(1, sizeof(*module));

	if (!module)
		return NULL;
	module->from = from;
	module->has_file = from->elf_fd >= 0 &&
			   image_open(&module->file, NULL, from->elf_fd,
				      from->base);
	return module;
}

/* To make them may take long, which is no time of the walk's. */
static bool open_frames(struct cfi *cfi, const struct unwind_module *from,
			struct table *table)
{
	int64_t began_ms = clock_monotonic_ms();
	const void *bytes;
	size_t len = 0;

	bytes = from->frames ? from->frames(from->opaque, &len) : NULL;
	cfi->waited_ms += clock_monotonic_ms() - began_ms;
	if (!bytes)
		return false;
	table_open_frames(table, bytes, len, from->base);
	return true;
}

static bool open_table(struct cfi *cfi, const struct unwind_module *from,
		       enum source source, struct table *table)
{
	switch (source) {
	case SOURCE_MEMORY:
		return table_open_eh_frame(table, cfi->memory, -1, from->base);
	case SOURCE_FILE:
		return from->elf_fd >= 0 &&
		       table_open_eh_frame(table, NULL, from->elf_fd,
					   from->base);
	case SOURCE_DEBUG_FRAME:
		return from->elf_fd >= 0 &&
		       table_open_debug_frame(table, from->elf_fd, from->base);
	case SOURCE_DEBUG_FILE:
		return from->debug_fd >= 0 &&
		       table_open_debug_frame(table, from->debug_fd,
					      from->base);
	default:
		return open_frames(cfi, from, table);
	}
}

/* NULL where MODULE has nothing there. */
static struct table *get_table(struct cfi *cfi, struct cfi_module *module,
			       enum source source)
{
	struct table *table = &module->tables[source];

	if (!module->tried[source]) {
		module->tried[source] = true;
		module->has[source] = open_table(cfi, module->from, source,
						 table);
	}
	return module->has[source] ? table : NULL;
}

static struct cfi_module *get_module(struct cfi *cfi, size_t module)
{
	assert(module < cfi->nmodules);
	if (!cfi->opened[module])
		cfi->opened[module] = open_module(&cfi->modules[module]);
	return cfi->opened[module];
}

static uint8_t *put(uint8_t *to, const void *from, size_t len)
{
	memcpy(to, from, len);
	return to + len;
}

static uint8_t *put_uleb(uint8_t *to, uint64_t value)
{
	do {
		uint8_t byte = value & 0x7f;

		value >>= 7;
		*to++ = (uint8_t)(byte | (value ? 0x80 : 0));
	} while (value);
	return to;
}

static uint8_t *put_sleb(uint8_t *to, int64_t value)
{
	for (;;) {
		uint8_t byte = value & 0x7f;

		value >>= 7;
		if ((value == 0 && !(byte & 0x40)) ||
		    (value == -1 && byte & 0x40)) {
			*to++ = byte;
			return to;
		}
		*to++ = byte | 0x80;
	}
}

/* The length of the entry that began at AT and ends before TO. */
static void put_length(uint8_t *at, const uint8_t *to)
{
	uint32_t len = (uint32_t)(to - at - 4);

	memcpy(at, &len, sizeof(len));
}

static uint8_t *put_cie(uint8_t *at, const struct cie *cie)
{
	/* No augmentation: addresses are eight bytes, and absolute. Before the
	 * CIE's own program comes what libdw has to be told. */
	static const uint8_t head[] = { 0, 0, 0, 0, 0, 0, 0, 0, 3, '\0' };
	uint8_t *to = put(at, head, sizeof(head));

	to = put_uleb(to, cie->code_align);
	to = put_sleb(to, cie->data_align);
	to = put_uleb(to, cie->return_register);
	to = put(to, arch_cfi_defaults, arch_cfi_defaults_len);
	to = put(to, cie->program, cie->program_len);
	put_length(at, to);
	return to;
}

static uint8_t *put_fde(uint8_t *at, const uint8_t *cie, const struct fde *fde)
{
	uint32_t back = (uint32_t)(at + 4 - cie);
	uint8_t *to = at + 4;

	to = put(to, &back, sizeof(back));
	to = put(to, &fde->start, sizeof(fde->start));
	to = put(to, &fde->len, sizeof(fde->len));
	to = put(to, fde->program, fde->program_len);
	put_length(at, to);
	return to;
}

static void put_head(uint8_t *mini, const struct fde *fde, uint64_t fde_at)
{
	struct mini_head head = {
		.ehdr = {
			.e_ident = { ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3,
				     ELFCLASS64, ELFDATA2LSB, EV_CURRENT },
			.e_type = ET_DYN,
			.e_machine = MACHINE_ELF,
			.e_version = EV_CURRENT,
			.e_phoff = offsetof(struct mini_head, phdr),
			.e_ehsize = sizeof(Elf64_Ehdr),
			.e_phentsize = sizeof(Elf64_Phdr),
			.e_phnum = 1,
		},
		.phdr = {
			.p_type = PT_GNU_EH_FRAME,
			.p_offset = offsetof(struct mini_head, hdr),
			.p_vaddr = offsetof(struct mini_head, hdr),
			.p_filesz = sizeof(head.hdr),
		},
		.hdr = {
			.version = 1,
			.frame_encoding = ENC_U8,
			.count_encoding = ENC_U4,
			.encoding = ENC_U8,
			.frame = sizeof(head),
			.count = 1,
			.start = fde->start,
			.at = fde_at,
		},
	};

	memcpy(mini, &head, sizeof(head));
}

/* Returns the file's length. */
static size_t write_mini(uint8_t *mini, const struct cie *cie,
			 const struct fde *fde)
{
	static const uint8_t end[64];
	uint8_t *first = mini + sizeof(struct mini_head);
	uint8_t *second = put_cie(first, cie);
	uint8_t *to = put_fde(second, first, fde);

	put_head(mini, fde, (uint64_t)(second - mini));
	put(to, end, sizeof(end));
	return (size_t)(to - mini) + 8;
}

/* Take an expression as it is; it lives on after libdw's handle has gone. */
static bool take_ops(struct row *row, struct rule *rule, enum rule_kind kind,
		     const Dwarf_Op *ops, size_t nops)
{
	Dwarf_Op *copy;

	if (nops == 0 || nops > CFI_MAX_OPS - row->nops)
		return false;
	copy = malloc(nops * sizeof(*copy));
	if (!copy)
		return false;
	memcpy(copy, ops, nops * sizeof(*copy));
	row->nops += (uint32_t)nops;
	rule->kind = kind;
	rule->nops = (uint32_t)nops;
	rule->ops = copy;
	return true;
}

static void set_rule(struct rule *rule, enum rule_kind kind, uint64_t value)
{
	rule->kind = kind;
	rule->value = (int64_t)value;
}

/* libdw words every rule as an expression: the usual ones are CFA, CFA plus n,
 * and either of them as a value. */
static bool take_rule(struct row *row, struct rule *rule, const Dwarf_Op *ops,
		      size_t nops)
{
	bool is_value = nops > 0 && ops[nops - 1].atom == DW_OP_stack_value;
	size_t n = is_value ? nops - 1 : nops;

	if (nops == 0)
		set_rule(rule, ops ? RULE_UNDEFINED : RULE_SAME, 0);
	else if (nops == 1 && ops[0].atom == DW_OP_regx)
		set_rule(rule, RULE_REGISTER, ops[0].number);
	else if (n == 1 && ops[0].atom == DW_OP_call_frame_cfa)
		set_rule(rule, is_value ? RULE_CFA_PLUS : RULE_AT_CFA, 0);
	else if (n == 2 && ops[0].atom == DW_OP_call_frame_cfa &&
		 ops[1].atom == DW_OP_plus_uconst)
		set_rule(rule, is_value ? RULE_CFA_PLUS : RULE_AT_CFA,
			 ops[1].number);
	else
		return take_ops(row, rule, is_value ? RULE_EXPR : RULE_AT_EXPR,
				ops, nops);
	return true;
}

static bool take_cfa(struct row *row, Dwarf_Frame *frame)
{
	Dwarf_Op *ops = NULL;
	size_t nops = 0;

	if (dwarf_frame_cfa(frame, &ops, &nops) != 0 || !ops || nops == 0)
		return false;
	if (nops == 1 && ops[0].atom == DW_OP_bregx) {
		set_rule(&row->cfa, RULE_REGISTER, ops[0].number);
		row->cfa_offset = (int64_t)ops[0].number2;
		return row->cfa.value >= 0 && row->cfa.value < REG_CFI_COUNT;
	}
	for (size_t i = 0; i < nops; i++)
		row->is_plt |= arch_is_pc(&ops[i]);
	return take_ops(row, &row->cfa, RULE_EXPR, ops, nops);
}

static bool take_frame(struct row *row, Dwarf_Frame *frame)
{
	if (!take_cfa(row, frame))
		return false;
	for (int i = 0; i < REG_CFI_COUNT; i++) {
		Dwarf_Op mem[3], *ops;
		size_t nops = 0;

		if (dwarf_frame_register(frame, i, mem, &ops, &nops) != 0 ||
		    !take_rule(row, &row->regs[i], ops, nops))
			return false;
	}
	return true;
}

/* libdw's view of the file of LEN bytes; NULL where it sees nothing in it. */
static Dwarf_CFI *open_mini(struct cfi *cfi, size_t len, Elf **elf_out)
{
	*elf_out = elf_memory((char *)cfi->mini, len);
	return *elf_out ? dwarf_getcfi_elf(*elf_out) : NULL;
}

static void close_mini(Dwarf_CFI *handle, Elf *elf)
{
	dwarf_cfi_end(handle);
	elf_end(elf);
}

static bool execute(Dwarf_CFI *handle, uint64_t pc, struct row *row,
		    uint64_t *end_out)
{
	Dwarf_Frame *frame = NULL;
	bool done = handle && dwarf_cfi_addrframe(handle, pc, &frame) == 0 &&
		    take_frame(row, frame);

	if (frame)
		dwarf_frame_info(frame, NULL, end_out, NULL);
	free(frame);
	return done;
}

/* What a row has of its CIE and FDE. False where the CIE makes no sense. */
static bool take_entry(struct row *row, const struct cie *cie,
		       const struct fde *fde)
{
	row->is_signal = cie->is_signal;
	row->return_register = (uint32_t)cie->return_register;
	row->end = fde->start + fde->len;
	return row->return_register < REG_CFI_COUNT;
}

static bool fill_row(struct cfi *cfi, struct table *table,
		     enum source source, uint64_t pc, struct row *row)
{
	Dwarf_CFI *handle;
	uint64_t end;
	struct cie cie;
	struct fde fde;
	bool done;
	Elf *elf;

	if (!table_find(table, cfi->buffers, pc, &cie, &fde))
		return false;
	handle = open_mini(cfi, write_mini(cfi->mini, &cie, &fde), &elf);
	done = execute(handle, pc, row, &end);
	close_mini(handle, elf);
	row->is_debug = source == SOURCE_DEBUG_FRAME ||
			source == SOURCE_DEBUG_FILE;
	return done && take_entry(row, &cie, &fde);
}

void cfi_each_row(struct cfi *cfi, const struct cie *cie,
		  const struct fde *fde, cfi_take_row *take, void *context)
{
	uint64_t fde_end = fde->start + fde->len, end;
	Dwarf_CFI *handle;
	bool goes_on = true;
	Elf *elf;

	handle = open_mini(cfi, write_mini(cfi->mini, cie, fde), &elf);
	for (uint64_t pc = fde->start; goes_on && pc < fde_end; pc = end) {
		struct row row = { .pc = pc };

		end = fde_end;
		row.has_cfi = execute(handle, pc, &row, &end) &&
			      take_entry(&row, cie, fde);
		if (end <= pc || end > fde_end)
			end = fde_end;
		goes_on = take(context, pc, end, row.has_cfi ? &row : NULL);
		clear_row(&row);
	}
	close_mini(handle, elf);
}

/* Look PC up in all that the module has, best first. */
static void find_row(struct cfi *cfi, size_t module, uint64_t pc,
		     struct row *row)
{
	struct cfi_module *from = get_module(cfi, module);

	clear_row(row);
	for (int i = 0; from && i < SOURCE_COUNT && !row->has_cfi; i++) {
		enum source source = (enum source)i;
		struct table *table = get_table(cfi, from, source);

		if (!table)
			continue;
		row->has_cfi = fill_row(cfi, table, source, pc, row);
		if (!row->has_cfi)
			clear_row(row);
	}
	row->pc = pc;
}

const struct row *cfi_row(struct cfi *cfi, size_t module, uint64_t pc)
{
	struct row **slot = &cfi->rows[memory_hash(pc, CFI_ROWS_BITS)];

	if (!*slot)
		*slot = calloc(1, sizeof(**slot));
	if (!*slot)
		return NULL;
	if ((*slot)->pc != pc || pc == 0)
		find_row(cfi, module, pc, *slot);
	return (*slot)->has_cfi ? *slot : NULL;
}

bool cfi_is_covered(struct cfi *cfi, size_t module)
{
	struct cfi_module *from = get_module(cfi, module);

	for (int i = 0; from && i < SOURCE_COUNT; i++) {
		const struct table *table =
			get_table(cfi, from, (enum source)i);

		if (table && (table->count >= CFI_FEW_ENTRIES ||
			      table->index_len >= CFI_FEW_ENTRIES))
			return true;
	}
	return false;
}

size_t cfi_file_bytes(struct cfi *cfi, size_t module, uint64_t address,
		      void *to, size_t len)
{
	const struct cfi_module *from = get_module(cfi, module);

	if (!from || !from->has_file)
		return 0;
	return image_read(&from->file, address, to, len);
}
