/* An interpreter for the programs that seccomp takes: classic BPF over a system
 * call's number and arguments, without loops. Runs in the program's ordinary
 * context, on a filter that nobody vouches for. */
#include "filter.h"

#include <stdbool.h>

struct machine {
	const struct seccomp_data *call;
	uint32_t a, x;
	uint32_t memory[BPF_MEMWORDS];
	bool bad;
};

/* What load INSTRUCTION yields. */
static uint32_t load(struct machine *m, const struct sock_filter *instruction)
{
	uint32_t k = instruction->k;

	switch (BPF_MODE(instruction->code)) {
	case BPF_ABS:
		if (k % 4 || k >= sizeof(*m->call))
			break;
		return ((const uint32_t *)(const void *)m->call)[k / 4];
	case BPF_LEN:
		return sizeof(*m->call);
	case BPF_IMM:
		return k;
	case BPF_MEM:
		if (k >= BPF_MEMWORDS)
			break;
		return m->memory[k];
	default:
		break;
	}
	m->bad = true;
	return 0;
}

static uint32_t compute(struct machine *m, uint16_t code, uint32_t k)
{
	uint32_t operand = BPF_SRC(code) == BPF_X ? m->x : k;

	switch (BPF_OP(code)) {
	case BPF_ADD: return m->a + operand;
	case BPF_SUB: return m->a - operand;
	case BPF_MUL: return m->a * operand;
	case BPF_AND: return m->a & operand;
	case BPF_OR: return m->a | operand;
	case BPF_XOR: return m->a ^ operand;
	case BPF_LSH: return m->a << (operand & 31);
	case BPF_RSH: return m->a >> (operand & 31);
	case BPF_NEG: return -m->a;
	case BPF_DIV:
		if (operand)
			return m->a / operand;
		break;
	default:
		break;
	}
	m->bad = true;
	return 0;
}

/* How many instructions JUMP leaves out. */
static uint32_t jump(struct machine *m, const struct sock_filter *jump)
{
	uint32_t operand = BPF_SRC(jump->code) == BPF_X ? m->x : jump->k;
	bool holds = false;

	switch (BPF_OP(jump->code)) {
	case BPF_JA: return jump->k;
	case BPF_JEQ: holds = m->a == operand; break;
	case BPF_JGT: holds = m->a > operand; break;
	case BPF_JGE: holds = m->a >= operand; break;
	case BPF_JSET: holds = m->a & operand; break;
	default: m->bad = true; break;
	}
	return holds ? jump->jt : jump->jf;
}

static void store(struct machine *m, uint32_t k, uint32_t value)
{
	if (k >= BPF_MEMWORDS)
		m->bad = true;
	else
		m->memory[k] = value;
}

uint32_t filter_answer(const struct sock_filter *filter, size_t n,
		       const struct seccomp_data *call)
{
	struct machine m = { .call = call };

	/* Jumps go forward only, so this ends. */
	for (size_t at = 0; at < n && n <= FILTER_MAX && !m.bad; at++) {
		const struct sock_filter *now = &filter[at];

		switch (BPF_CLASS(now->code)) {
		case BPF_LD: m.a = load(&m, now); break;
		case BPF_LDX: m.x = load(&m, now); break;
		case BPF_ST: store(&m, now->k, m.a); break;
		case BPF_STX: store(&m, now->k, m.x); break;
		case BPF_ALU: m.a = compute(&m, now->code, now->k); break;
		case BPF_JMP: at += jump(&m, now); break;
		case BPF_RET:
			return BPF_RVAL(now->code) == BPF_A ? m.a : now->k;
		case BPF_MISC:
			if (BPF_MISCOP(now->code) == BPF_TAX)
				m.x = m.a;
			else
				m.a = m.x;
			break;
		default: m.bad = true; break;
		}
	}
	return SECCOMP_RET_KILL_PROCESS;
}
