/* From DWARF to STACK CFI. Runs in the process that can be lost; the tables are
 * read and executed by lib/unwind, which trusts no byte of them.
 *
 * Both languages are postfix, and nearly all that programs say has a word in
 * either. Breakpad's has no words for a stack's order (dup, swap), for bits,
 * and for comparisons: of these what linkers and compilers write is said by
 * arithmetic. It has none for a signal's frame either; symframes.c knows one by
 * its rules. */
#include "symrules.h"

#include <dwarf.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "../lib/unwind/cfi.h"

enum {
	TEXT = 256,          /* of a rule, with its NUL */
	CFA = REG_CFI_COUNT, /* a number for what is none of the registers */
	NTARGETS = REG_CFI_COUNT + 1,
};

struct text {
	char bytes[TEXT];
	size_t len;
	bool bad; /* it is too long, or there are no words for it */
};

/* What is said of each target in one place; "": nothing. */
struct saying {
	struct text of[NTARGETS];
	size_t lost; /* rules that could not be said */
};

struct target {
	char name[8];
	int number;
};

struct work {
	struct cfi cfi;
	struct target targets[NTARGETS];
	FILE *out;
	struct symrules_left *left;
	struct saying usual; /* where nothing is said of a target */
	struct saying *now, *last;
	struct writer rows; /* of the record that was begun, but for its head */
	uint64_t start, end; /* of that; the same: there is none */
};

/* Texts */

static void clear(struct text *text)
{
	text->bytes[0] = '\0';
	text->len = 0;
	text->bad = false;
}

static void add(struct text *text, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static void add(struct text *text, const char *format, ...)
{
	size_t room = TEXT - text->len;
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(text->bytes + text->len, room, format, args);
	va_end(args);
	if (n < 0 || (size_t)n >= room)
		text->bad = true;
	else
		text->len += (size_t)n;
}

static void add_register(struct text *text, uint64_t number)
{
	if (number < REG_CFI_COUNT)
		add(text, "$%s ", register_name((enum reg)number));
	else
		text->bad = true;
}

/* Expressions */

struct translation {
	struct text *text;
	const Dwarf_Op *ops;
	size_t nops;
	size_t depth;
	uint64_t limit; /* what was pushed last is below it; 0: not known */
};

/* The constant that OP pushes. */
static bool is_constant(const Dwarf_Op *op, int64_t *out)
{
	if (op->atom >= DW_OP_lit0 && op->atom <= DW_OP_lit31) {
		*out = op->atom - DW_OP_lit0;
		return true;
	}
	*out = (int64_t)op->number;
	return op->atom == DW_OP_addr ||
	       (op->atom >= DW_OP_const1u && op->atom <= DW_OP_consts);
}

static bool is_power(uint64_t value)
{
	return value != 0 && (value & (value - 1)) == 0;
}

/* A constant VALUE and OP behind it, where Breakpad has other words for the
 * two. */
static bool add_by_constant(struct translation *t, int64_t value,
			    const Dwarf_Op *op)
{
	uint64_t limit = t->limit;

	if (t->depth == 0)
		return false;
	t->limit = 0;
	if (op->atom == DW_OP_and && value >= 0 &&
	    is_power((uint64_t)value + 1)) {
		t->limit = (uint64_t)value + 1;
		add(t->text, "%" PRIu64 " %% ", t->limit);
	} else if (op->atom == DW_OP_and && is_power(-(uint64_t)value)) {
		add(t->text, "%" PRId64 " @ ", -value);
	} else if (op->atom == DW_OP_shl && value >= 0 && value < 62) {
		add(t->text, "%" PRId64 " * ", INT64_C(1) << value);
	} else if (op->atom == DW_OP_ge && value >= 0 &&
		   (uint64_t)value <= limit) {
		/* It becomes 1 once LIMIT is reached. */
		add(t->text, "%" PRId64 " + %" PRId64 " / ",
		    (int64_t)limit - value, (int64_t)limit);
	} else {
		t->limit = limit;
		return false;
	}
	return true;
}

/* What symframes.c makes of Breakpad's @. */
static bool is_align(const Dwarf_Op *ops, size_t n)
{
	return n >= 4 && ops[0].atom == DW_OP_over &&
	       ops[1].atom == DW_OP_swap && ops[2].atom == DW_OP_mod &&
	       ops[3].atom == DW_OP_minus;
}

static char binary_operator(uint8_t atom)
{
	switch (atom) {
	case DW_OP_plus: return '+';
	case DW_OP_minus: return '-';
	case DW_OP_mul: return '*';
	case DW_OP_div: return '/';
	case DW_OP_mod: return '%';
	default: return '\0';
	}
}

static void add_operator(struct translation *t, char operator, size_t takes)
{
	if (operator == '\0' || t->depth < takes) {
		t->text->bad = true;
		return;
	}
	add(t->text, "%c ", operator);
	t->depth -= takes - 1;
}

static void add_sum(struct translation *t, uint64_t number, int64_t offset)
{
	add_register(t->text, number);
	if (offset != 0)
		add(t->text, "%" PRId64 " + ", offset);
	t->depth++;
}

/* An operation that stands for itself. */
static void add_one(struct translation *t, const Dwarf_Op *op)
{
	switch (op->atom) {
	case DW_OP_bregx:
		add_sum(t, op->number, (int64_t)op->number2);
		break;
	case DW_OP_call_frame_cfa:
		add(t->text, ".cfa ");
		t->depth++;
		break;
	case DW_OP_plus_uconst:
		add(t->text, "%" PRIu64 " + ", op->number);
		t->text->bad |= t->depth == 0;
		break;
	case DW_OP_deref:
		add_operator(t, '^', 1);
		break;
	case DW_OP_nop:
	case DW_OP_stack_value:
		break;
	default:
		add_operator(t, binary_operator(op->atom), 2);
	}
}

/* The operations from number AT on that belong together; how many. */
static size_t add_some(struct translation *t, size_t at)
{
	const Dwarf_Op *op = &t->ops[at];
	size_t left = t->nops - at;
	int64_t value;

	if (is_constant(op, &value)) {
		if (left > 1 && add_by_constant(t, value, &op[1]))
			return 2;
		add(t->text, "%" PRId64 " ", value);
		t->depth++;
		t->limit = 0;
		return 1;
	}
	t->limit = 0;
	if (is_align(op, left)) {
		add_operator(t, '@', 2);
		return 4;
	}
	if (op->atom >= DW_OP_breg0 && op->atom <= DW_OP_breg31)
		add_sum(t, (uint64_t)op->atom - DW_OP_breg0,
			(int64_t)op->number);
	else
		add_one(t, op);
	return 1;
}

static bool translate(const Dwarf_Op *ops, size_t nops, struct text *text)
{
	struct translation t = { .text = text, .ops = ops, .nops = nops };

	clear(text);
	for (size_t i = 0; i < nops && !text->bad;)
		i += add_some(&t, i);
	return !text->bad && t.depth == 1;
}

/* libdw pushes the CFA before a register's expression, which seldom wants it;
 * then it is not there at the end. */
static void say_expression(const struct rule *rule, struct text *text)
{
	bool has_cfa = rule->ops[0].atom == DW_OP_call_frame_cfa;

	text->bad = !(has_cfa && translate(rule->ops + 1, rule->nops - 1,
					   text)) &&
		    !translate(rule->ops, rule->nops, text);
}

/* Rules */

static void say_rule(const struct rule *rule, int reg, struct text *text)
{
	clear(text);
	switch (rule->kind) {
	case RULE_UNDEFINED:
		add(text, ".undef ");
		break;
	case RULE_SAME:
		add_register(text, (uint64_t)reg);
		break;
	case RULE_AT_CFA:
		add(text, ".cfa %" PRId64 " + ^ ", rule->value);
		break;
	case RULE_CFA_PLUS:
		add(text, ".cfa %" PRId64 " + ", rule->value);
		break;
	case RULE_REGISTER:
		add_register(text, (uint64_t)rule->value);
		break;
	case RULE_AT_EXPR:
		say_expression(rule, text);
		add(text, "^ ");
		break;
	case RULE_EXPR:
		say_expression(rule, text);
		break;
	}
}

static void say_cfa(const struct row *row, struct text *text)
{
	clear(text);
	if (row->cfa.kind == RULE_EXPR) {
		say_expression(&row->cfa, text);
		return;
	}
	add_register(text, (uint64_t)row->cfa.value);
	add(text, "%" PRId64 " + ", row->cfa_offset);
}

/* False where there are no words for what nothing goes without. */
static bool say_row(const struct row *row, struct saying *out)
{
	const struct rule *ra = &row->regs[row->return_register];

	out->lost = 0;
	say_cfa(row, &out->of[CFA]);
	for (int i = 0; i < REG_CFI_COUNT; i++) {
		struct text *text = &out->of[i];

		say_rule(i == R_PC ? ra : &row->regs[i], i, text);
		if (text->bad && i != R_PC) {
			clear(text);
			add(text, ".undef ");
			out->lost++;
		}
	}
	return !out->of[CFA].bad && !out->of[R_PC].bad;
}

/* Records */

static int by_name(const void *left, const void *right)
{
	const struct target *a = left, *b = right;

	return strcmp(a->name, b->name);
}

/* In the order in which dump_syms has them. */
static void name_targets(struct target *targets)
{
	for (int i = 0; i < NTARGETS; i++) {
		targets[i].number = i;
		if (i == CFA || i == R_PC)
			snprintf(targets[i].name, sizeof(targets[i].name), "%s",
				 i == CFA ? ".cfa" : ".ra");
		else
			snprintf(targets[i].name, sizeof(targets[i].name),
				 "$%s", register_name((enum reg)i));
	}
	qsort(targets, NTARGETS, sizeof(*targets), by_name);
}

static void put_text(struct work *work, const char *text, size_t len)
{
	writer_bytes(&work->rows, text, len);
}

/* Its rule, before a line's end or another. */
static void put_target(struct work *work, const struct target *target)
{
	const struct text *text = &work->now->of[target->number];

	put_text(work, " ", 1);
	put_text(work, target->name, strlen(target->name));
	put_text(work, ": ", 2);
	put_text(work, text->bytes, text->len - 1);
}

/* What is said now and is not as in BEFORE; NULL: what is not as usual, the CFA
 * and the return address. */
static void put_changes(struct work *work, const struct saying *before)
{
	const struct saying *than = before ? before : &work->usual;

	for (size_t i = 0; i < NTARGETS; i++) {
		int number = work->targets[i].number;
		bool is_needed = !before && (number == CFA || number == R_PC);

		if (is_needed || strcmp(work->now->of[number].bytes,
					than->of[number].bytes) != 0)
			put_target(work, &work->targets[i]);
	}
	put_text(work, "\n", 1);
}

static void end_record(struct work *work)
{
	if (work->start < work->end && !work->rows.bad) {
		fprintf(work->out, "STACK CFI INIT %" PRIx64 " %" PRIx64,
			work->start, work->end - work->start);
		fwrite(work->rows.bytes, 1, work->rows.len, work->out);
	}
	work->rows.len = 0;
	work->start = work->end;
}

static void put_row(struct work *work, uint64_t start)
{
	size_t before = work->rows.len;
	char head[48];
	int n = snprintf(head, sizeof(head), "STACK CFI %" PRIx64, start);

	put_text(work, head, (size_t)n);
	put_changes(work, work->last);
	/* Rules may change back before anything is done by them. */
	if (work->rows.len == before + (size_t)n + 1)
		work->rows.len = before;
}

/* A cfi_take_row. What follows a row that cannot be said begins anew. */
static bool take_row(void *context, uint64_t start, uint64_t end,
		     const struct row *row)
{
	struct work *work = context;
	struct saying *now = work->now;

	if (!row || !say_row(row, now)) {
		work->left->rows++;
		end_record(work);
		return true;
	}
	work->left->rules += now->lost;
	if (work->start == work->end) {
		work->start = start;
		put_changes(work, NULL);
	} else {
		put_row(work, start);
	}
	work->now = work->last;
	work->last = now;
	work->end = end;
	return true;
}

static bool take_usual(void *context, uint64_t start, uint64_t end,
		       const struct row *row)
{
	struct work *work = context;

	(void)start;
	(void)end;
	if (row)
		say_row(row, &work->usual);
	return false;
}

/* What holds where nothing is said of a register. */
static void find_usual(struct work *work)
{
	static const uint8_t program[] = { DW_CFA_def_cfa, R_SP, 8 };
	static const struct cie cie = {
		.code_align = 1, .data_align = 1, .return_register = R_PC,
		.program = program, .program_len = sizeof(program),
	};
	static const struct fde fde = {
		.start = 1, .len = 1, .program = program,
	};

	cfi_each_row(&work->cfi, &cie, &fde, take_usual, work);
}

static void put_all(struct work *work, const void *frames, size_t len)
{
	struct table_buffers *buffers = work->cfi.buffers;
	uint64_t next = 0, at;
	struct table table;
	struct cie cie;
	struct fde fde;

	table_open_frames(&table, frames, len, 0);
	while (table_next(&table, buffers, &next, &at, &cie, &fde)) {
		if (!entry_check_program(cie.program, cie.program_len) ||
		    !entry_check_program(fde.program, fde.program_len)) {
			work->left->rows++;
			continue;
		}
		work->start = work->end = 0;
		cfi_each_row(&work->cfi, &cie, &fde, take_row, work);
		end_record(work);
	}
	table_close(&table);
}

void symrules_write(const void *frames, size_t len, FILE *out,
		    struct symrules_left *left)
{
	struct work *work = calloc(1, sizeof(*work));
	struct saying *sayings = calloc(2, sizeof(*sayings));

	if (!work || !sayings || !cfi_init(&work->cfi, NULL, NULL, 0)) {
		free(sayings);
		free(work);
		return;
	}
	name_targets(work->targets);
	work->now = &sayings[0];
	work->last = &sayings[1];
	work->out = out;
	work->left = left;
	writer_init(&work->rows, (size_t)64 << 20);
	find_usual(work);
	put_all(work, frames, len);
	writer_fini(&work->rows);
	cfi_fini(&work->cfi);
	free(sayings);
	free(work);
}
