/* From STACK CFI to DWARF. Runs in the process that can be lost; the rules may
 * say anything. The usual ones, a register plus a number for the CFA and a word
 * below the CFA for the rest, have instructions of their own in DWARF (section
 * 6.4.2); any other postfix expression becomes a DWARF expression. */
#include "symframes.h"

#include <dwarf.h>
#include <string.h>

#include "../lib/unwind/entry.h"

enum {
	MAX_TOKENS = 64,    /* of an expression; dump_syms writes four */
	MAX_CODE = 1024,    /* bytes of one */
	AT_CIE = 4,         /* in an FDE: which one it has, */
	AT_LEN = 16,        /* and how much code it is for */
	TARGET_CFA = -1,
	TARGET_UNKNOWN = -2, /* a register that we do not follow */
};

struct maker {
	const struct sym *sym;
	struct writer *out;
	struct sym_trouble *trouble;
	uint32_t signal_cie; /* where it is; the other is at 0 */
	size_t start; /* of the FDE that is being written */
	bool has_cfa, has_ra;
	bool is_cfa_kept, is_ra_kept; /* in memory that a register leads to */
};

/* A rule in its tokens. */
struct expression {
	struct sym_token tokens[MAX_TOKENS];
	size_t n;
};

/* Bytes */

static void put_uleb(struct writer *out, uint64_t value)
{
	do {
		uint8_t byte = value & 0x7f;

		value >>= 7;
		writer_u8(out, (uint8_t)(byte | (value ? 0x80 : 0)));
	} while (value);
}

static void put_sleb(struct writer *out, int64_t value)
{
	for (;;) {
		uint8_t byte = value & 0x7f;

		value >>= 7;
		if ((value == 0 && !(byte & 0x40)) ||
		    (value == -1 && byte & 0x40)) {
			writer_u8(out, byte);
			return;
		}
		writer_u8(out, byte | 0x80);
	}
}

/* The length of the entry that began at AT. */
static void end_entry(struct writer *out, size_t at)
{
	writer_patch_u32(out, at, (uint32_t)(out->len - at - 4));
}

/* Code and data are counted in bytes. AUGMENTATION begins with z: each entry
 * has the length of its own, which has nothing. */
static void put_cie(struct writer *out, const char *augmentation)
{
	static const uint8_t head[] = { 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 3 };
	size_t at = out->len;

	writer_bytes(out, head, sizeof(head));
	writer_bytes(out, augmentation, strlen(augmentation) + 1);
	put_uleb(out, 1);
	put_uleb(out, 1);
	put_uleb(out, R_PC);
	put_uleb(out, 0);
	end_entry(out, at);
}

static void put_advance(struct writer *out, uint32_t by)
{
	if (by < 0x40) {
		writer_u8(out, (uint8_t)(DW_CFA_advance_loc | by));
	} else {
		writer_u8(out, DW_CFA_advance_loc4);
		writer_u32(out, by);
	}
}

static void add_trouble(struct maker *m, const struct sym_rule *rule,
			const char *why)
{
	sym_add_trouble(m->trouble, rule->number, why);
}

/* Expressions */

static bool is_name(const struct sym_token *token, const char *name)
{
	return token->kind == SYM_NAME && strcmp(token->name, name) == 0;
}

static bool is_operator(const struct sym_token *token, char operator)
{
	return token->kind == SYM_OPERATOR && token->operator == operator;
}

/* A register of those that CFI can recover, or TARGET_UNKNOWN. */
static int register_number(const char *name)
{
	for (int i = 0; i < REG_CFI_COUNT; i++)
		if (strcmp(register_name((enum reg)i), name) == 0)
			return i;
	return TARGET_UNKNOWN;
}

static int target_number(const char *name)
{
	if (strcmp(name, ".cfa") == 0)
		return TARGET_CFA;
	return strcmp(name, ".ra") == 0 ? R_PC : register_number(name);
}

/* True for "WHAT", "WHAT n +" and "WHAT n -", WHAT being the first token; the
 * distance then goes to *OUT. */
static bool is_sum(const struct sym_token *tokens, size_t n, int64_t *out)
{
	if (n == 1) {
		*out = 0;
		return true;
	}
	if (n != 3 || tokens[1].kind != SYM_NUMBER)
		return false;
	*out = is_operator(&tokens[2], '-') ? -tokens[1].number
					    : tokens[1].number;
	return is_operator(&tokens[2], '-') || is_operator(&tokens[2], '+');
}

/* True for "REGISTER n + ^". */
static bool is_kept_by_register(const struct expression *e)
{
	int64_t offset;

	return register_number(e->tokens[0].name) >= 0 &&
	       is_operator(&e->tokens[e->n - 1], '^') &&
	       is_sum(e->tokens, e->n - 1, &offset);
}

/* What takes two values: as DWARF divides, signed, which differs from
 * Breakpad's where no address of a program is. */
static const char *put_binary(struct writer *code, char operator)
{
	switch (operator) {
	case '+':
		writer_u8(code, DW_OP_plus);
		return NULL;
	case '-':
		writer_u8(code, DW_OP_minus);
		return NULL;
	case '*':
		writer_u8(code, DW_OP_mul);
		return NULL;
	case '/':
		writer_u8(code, DW_OP_div);
		return NULL;
	case '%':
		writer_u8(code, DW_OP_mod);
		return NULL;
	case '@': /* down to a multiple */
		writer_u8(code, DW_OP_over);
		writer_u8(code, DW_OP_swap);
		writer_u8(code, DW_OP_mod);
		writer_u8(code, DW_OP_minus);
		return NULL;
	default:
		return "an operator that is none";
	}
}

/* What pushes a value. */
static const char *put_value(struct writer *code, const struct sym_token *token,
			     int target)
{
	int number;

	if (token->kind == SYM_NUMBER) {
		writer_u8(code, DW_OP_consts);
		put_sleb(code, token->number);
		return NULL;
	}
	if (is_name(token, ".cfa")) {
		writer_u8(code, DW_OP_call_frame_cfa);
		return target == TARGET_CFA ? "a CFA made of itself" : NULL;
	}
	number = register_number(token->name);
	if (number < 0)
		return "a register that is none";
	writer_u8(code, (uint8_t)(DW_OP_breg0 + number));
	put_sleb(code, 0);
	return NULL;
}

/* The expression E for TARGET. Returns what cannot be said, or NULL. */
static const char *compile(struct writer *code, const struct expression *e,
			   int target)
{
	const char *why = NULL;
	size_t depth = 0;

	for (size_t i = 0; i < e->n && why == NULL; i++) {
		const struct sym_token *token = &e->tokens[i];

		if (token->kind != SYM_OPERATOR) {
			why = put_value(code, token, target);
			depth++;
		} else if (token->operator == '^') {
			writer_u8(code, DW_OP_deref);
			why = depth < 1 ? "an operator without values" : NULL;
		} else {
			why = depth < 2 ? "an operator without values"
					: put_binary(code, token->operator);
			depth--;
		}
	}
	if (why == NULL && depth != 1)
		why = "an expression of several values";
	return why;
}

/* Rules */

static void put_instruction(struct writer *out, uint8_t opcode, int reg,
			    int64_t offset)
{
	writer_u8(out, opcode);
	put_uleb(out, (uint64_t)reg);
	put_sleb(out, offset);
}

/* As an expression, whatever it is. */
static const char *put_expression(struct maker *m, const struct expression *e,
				  int target)
{
	struct writer code;
	const char *why;

	writer_init(&code, MAX_CODE);
	why = compile(&code, e, target);
	if (why == NULL && code.bad)
		why = "an expression too long";
	if (why == NULL) {
		if (target == TARGET_CFA) {
			writer_u8(m->out, DW_CFA_def_cfa_expression);
		} else {
			writer_u8(m->out, DW_CFA_val_expression);
			put_uleb(m->out, (uint64_t)target);
		}
		put_uleb(m->out, code.len);
		writer_bytes(m->out, code.bytes, code.len);
	}
	writer_fini(&code);
	return why;
}

static const char *put_cfa(struct maker *m, const struct expression *e)
{
	int reg = register_number(e->tokens[0].name);
	int64_t offset;

	m->has_cfa = true;
	m->is_cfa_kept = is_kept_by_register(e);
	if (e->tokens[0].kind != SYM_NAME || reg < 0 ||
	    !is_sum(e->tokens, e->n, &offset))
		return put_expression(m, e, TARGET_CFA);
	put_instruction(m->out, DW_CFA_def_cfa_sf, reg, offset);
	return NULL;
}

static void put_undefined(struct maker *m, int reg)
{
	writer_u8(m->out, DW_CFA_undefined);
	put_uleb(m->out, (uint64_t)reg);
}

/* The value of another register, or of the same. */
static void put_copy(struct maker *m, int reg, int from)
{
	writer_u8(m->out, from == reg ? DW_CFA_same_value : DW_CFA_register);
	put_uleb(m->out, (uint64_t)reg);
	if (from != reg)
		put_uleb(m->out, (uint64_t)from);
}

static const char *put_register(struct maker *m, const struct expression *e,
				int reg)
{
	const struct sym_token *first = &e->tokens[0];
	bool is_saved = is_operator(&e->tokens[e->n - 1], '^');
	bool is_cfa = is_name(first, ".cfa");
	int64_t offset;

	if (reg == R_PC) {
		m->has_ra = true;
		m->is_ra_kept = is_kept_by_register(e);
	}
	for (size_t i = 0; i < e->n; i++)
		if (is_name(&e->tokens[i], ".undef")) {
			put_undefined(m, reg);
			return NULL;
		}
	if (is_cfa && is_saved && is_sum(e->tokens, e->n - 1, &offset))
		put_instruction(m->out, DW_CFA_offset_extended_sf, reg,
				offset);
	else if (is_cfa && is_sum(e->tokens, e->n, &offset))
		put_instruction(m->out, DW_CFA_val_offset_sf, reg, offset);
	else if (e->n == 1 && register_number(first->name) >= 0)
		put_copy(m, reg, register_number(first->name));
	else
		return put_expression(m, e, reg);
	return NULL;
}

/* The tokens up to the next target, which *TOKEN is left at; its kind is
 * another at the end. */
static const char *take_expression(const struct maker *m,
				   struct sym_text *left,
				   struct sym_token *token,
				   struct expression *e)
{
	bool is_long = false;

	e->n = 0;
	for (;;) {
		token->kind = SYM_NUMBER;
		if (!sym_next_token(m->sym->text, left, token) ||
		    token->kind == SYM_TARGET)
			break;
		is_long |= e->n == MAX_TOKENS;
		if (!is_long)
			e->tokens[e->n++] = *token;
	}
	if (is_long)
		return "an expression too long";
	return e->n == 0 ? "a register without an expression" : NULL;
}

/* One target's rule. Returns why the row is none for it, or NULL. */
static const char *put_rule(struct maker *m, const struct sym_rule *rule,
			    const struct expression *e, int target)
{
	size_t start = m->out->len;
	const char *why;

	if (target == TARGET_UNKNOWN)
		return NULL;
	why = target == TARGET_CFA ? put_cfa(m, e) : put_register(m, e, target);
	if (why == NULL || target == TARGET_CFA || target == R_PC)
		return why;
	m->out->len = start;
	put_undefined(m, target);
	add_trouble(m, rule, why);
	return NULL;
}

static const char *put_row(struct maker *m, const struct sym_rule *rule)
{
	struct sym_text left = rule->rules;
	struct expression e;
	struct sym_token token;

	if (!sym_next_token(m->sym->text, &left, &token) ||
	    token.kind != SYM_TARGET)
		return "no register's name first";
	while (token.kind == SYM_TARGET) {
		int target = target_number(token.name);
		const char *why = take_expression(m, &left, &token, &e);

		if (why == NULL)
			why = put_rule(m, rule, &e, target);
		if (why)
			return why;
	}
	return m->out->len - m->start > ENTRY_MAX
		       ? "more rules than a function may have" : NULL;
}

static const char *put_first_row(struct maker *m, const struct sym_rule *rule)
{
	const char *why = put_row(m, rule);

	if (why == NULL && !m->has_cfa)
		why = "no rule for .cfa";
	if (why == NULL && !m->has_ra)
		why = "no rule for .ra";
	return why;
}

/* The rows behind the first of N. Returns where they end: before what could not
 * be said, or with the function. */
static uint32_t put_changes(struct maker *m, const struct sym_rule *rules,
			    size_t n)
{
	uint32_t start = rules[0].address, at = start;

	for (size_t i = 1; i < n; i++) {
		const struct sym_rule *rule = &rules[i];
		size_t before = m->out->len;
		const char *why;

		if (rule->address <= at ||
		    rule->address - start >= rules[0].size) {
			add_trouble(m, rule, "an address out of order");
			continue;
		}
		put_advance(m->out, rule->address - at);
		why = put_row(m, rule);
		if (why) {
			m->out->len = before;
			add_trouble(m, rule, why);
			return rule->address - start;
		}
		at = rule->address;
	}
	return rules[0].size;
}

/* The FDE of one function's N rules. */
static void put_fde(struct maker *m, const struct sym_rule *rules, size_t n)
{
	struct writer *out = m->out;
	const char *why;

	m->start = out->len;
	m->has_cfa = m->has_ra = m->is_cfa_kept = m->is_ra_kept = false;
	writer_u32(out, 0);
	writer_u32(out, 0);
	writer_u64(out, rules[0].address);
	writer_u64(out, 0);
	writer_u8(out, 0);
	why = put_first_row(m, &rules[0]);
	if (why) {
		out->len = m->start;
		add_trouble(m, &rules[0], why);
		return;
	}
	/* A call leaves its return address below the CFA. What was not called
	 * but interrupted has all registers kept by the kernel. */
	if (m->is_cfa_kept && m->is_ra_kept)
		writer_patch_u32(out, m->start + AT_CIE, m->signal_cie);
	/* Its upper half stays 0. */
	writer_patch_u32(out, m->start + AT_LEN, put_changes(m, rules, n));
	end_entry(out, m->start);
}

void symframes_make(const struct sym *sym, struct writer *out,
		    struct sym_trouble *trouble)
{
	struct maker maker = { .sym = sym, .out = out, .trouble = trouble };

	put_cie(out, "z");
	maker.signal_cie = (uint32_t)out->len;
	put_cie(out, "zS");
	for (size_t i = 0, n; i < sym->nrules; i += n) {
		n = 1;
		while (i + n < sym->nrules && sym->rules[i + n].size == 0)
			n++;
		put_fde(&maker, &sym->rules[i], n);
	}
}
