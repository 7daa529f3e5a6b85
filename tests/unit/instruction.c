/* What the decoder makes of instructions, held against objdump's reading of
 * the same bytes. */
#include "../../lib/report/instruction.h"

#include "test.h"

/* Each register holds its number times 0x1000; rip 0x400000. */
static struct registers usual(void)
{
	struct registers r = { .valid = (1u << REG_COUNT) - 1 };

	for (unsigned i = 0; i < REG_COUNT; i++)
		r.value[i] = i * 0x1000;
	r.value[R_RIP] = 0x400000;
	r.value[R_FS_BASE] = 0x7000000;
	return r;
}

struct sample {
	const char *assembly; /* as objdump prints it */
	const char *bytes;
	size_t len;
	struct instruction is;
};
#define BYTES(text) text, sizeof(text) - 1
#define MEMORY(at) { .has_address = true, .address = (at) }
#define VECTOR(at) \
	{ .is_vector = true, .has_address = true, .address = (at) }

static const struct sample samples[] = {
	{ "mov (%rax),%eax", BYTES("\x8b\x00"), MEMORY(0) },
	{ "mov 0x10(%rbx),%rax", BYTES("\x48\x8b\x43\x10"), MEMORY(0x3010) },
	{ "mov -0x8(%rbp),%rdi", BYTES("\x48\x8b\x7d\xf8"), MEMORY(0x5ff8) },
	{ "mov %eax,0x12345678(%r13)",
	  BYTES("\x41\x89\x85\x78\x56\x34\x12"), MEMORY(0x12352678) },
	{ "mov (%r12),%rax", BYTES("\x49\x8b\x04\x24"), MEMORY(0xc000) },
	{ "mov 0x20(%rsp,%rcx,8),%eax", BYTES("\x8b\x44\xcc\x20"),
	  MEMORY(0x7000 + 8 * 0x2000 + 0x20) },
	{ "mov 0x100(,%rdx,4),%eax", BYTES("\x8b\x04\x95\x00\x01\x00\x00"),
	  MEMORY(4 * 0x1000 + 0x100) },
	{ "mov 0x10(%rip),%eax", BYTES("\x8b\x05\x10\x00\x00\x00"),
	  MEMORY(0x400016) },
	{ "movl $1,0x10(%rip)",
	  BYTES("\xc7\x05\x10\x00\x00\x00\x01\x00\x00\x00"),
	  MEMORY(0x40001a) },
	{ "mov %fs:0x28,%rax",
	  BYTES("\x64\x48\x8b\x04\x25\x28\x00\x00\x00"), MEMORY(0x7000028) },
	{ "mov (%eax),%eax", BYTES("\x67\x8b\x00"), MEMORY(0) },
	{ "lock cmpxchg %ecx,(%rdi)", BYTES("\xf0\x0f\xb1\x0f"),
	  VECTOR(0x5000) },
	{ "movaps 0x1(%rsi),%xmm0", BYTES("\x0f\x28\x46\x01"),
	  VECTOR(0x4001) },
	{ "movdqa (%r8,%r9,1),%xmm9", BYTES("\x66\x47\x0f\x6f\x0c\x08"),
	  VECTOR(0x8000 + 0x9000) },
	{ "vmovdqu (%rdi),%ymm1", BYTES("\xc5\xfe\x6f\x0f"), VECTOR(0x5000) },
	{ "vpshufb 0x8(%r10),%xmm1,%xmm2",
	  BYTES("\xc4\xc2\x71\x00\x52\x08"), VECTOR(0xa008) },
	{ "vmovdqu64 (%rsi),%zmm16", BYTES("\x62\xe1\xfe\x48\x6f\x06"),
	  VECTOR(0x4000) },
	{ "vmovdqu64 0x40(%rsi),%zmm16, whose address is scaled",
	  BYTES("\x62\xe1\xfe\x48\x6f\x46\x01"), { .is_vector = true } },
	{ "movabs 0x4141414141414141,%eax",
	  BYTES("\xa1\x41\x41\x41\x41\x41\x41\x41\x41"),
	  MEMORY(0x4141414141414141) },
	{ "push %rax", BYTES("\x50"), MEMORY(0x7000) },
	{ "rep stos %eax,(%rdi)", BYTES("\xf3\xab"), MEMORY(0x5000) },
	{ "ret", BYTES("\xc3"), { .kind = INSTRUCTION_JUMP,
	  .has_address = true, .address = 0x7000 } },
	{ "call *%rdx", BYTES("\xff\xd2"), { .kind = INSTRUCTION_JUMP,
	  .has_target = true, .target = 0x1000 } },
	{ "jmp *%r11", BYTES("\x41\xff\xe3"), { .kind = INSTRUCTION_JUMP,
	  .has_target = true, .target = 0xb000 } },
	{ "call *0x18(%rax)", BYTES("\xff\x50\x18"),
	  { .kind = INSTRUCTION_JUMP, .has_address = true, .address = 0x18 } },
	{ "idiv %ecx", BYTES("\xf7\xf9"), { .kind = INSTRUCTION_DIVIDE,
	  .has_divisor = true, .divisor = 0x2000 } },
	{ "div %r9", BYTES("\x49\xf7\xf1"), { .kind = INSTRUCTION_DIVIDE,
	  .has_divisor = true, .divisor = 0x9000 } },
	{ "div %cl", BYTES("\xf6\xf1"), { .kind = INSTRUCTION_DIVIDE,
	  .has_divisor = true, .divisor = 0 } },
	{ "div %ch", BYTES("\xf6\xf5"), { .kind = INSTRUCTION_DIVIDE,
	  .has_divisor = true, .divisor = 0x20 } },
	{ "idivl -0x4(%rbp)", BYTES("\xf7\x7d\xfc"),
	  { .kind = INSTRUCTION_DIVIDE, .has_address = true,
	    .address = 0x5ffc } },
	{ "hlt", BYTES("\xf4"), { .kind = INSTRUCTION_PRIVILEGED,
	  .name = "hlt" } },
	{ "in (%dx),%al", BYTES("\xec"), { .kind = INSTRUCTION_PRIVILEGED,
	  .name = "in" } },
	{ "out %al,$0x80", BYTES("\xe6\x80"),
	  { .kind = INSTRUCTION_PRIVILEGED, .name = "out" } },
	{ "rdmsr", BYTES("\x0f\x32"), { .kind = INSTRUCTION_PRIVILEGED,
	  .name = "rdmsr" } },
	{ "ud2", BYTES("\x0f\x0b"), { .kind = INSTRUCTION_UNDEFINED,
	  .name = "ud2" } },
	{ "add %eax,%ebx", BYTES("\x01\xc3"), { 0 } },
	{ "nop", BYTES("\x90"), { 0 } },
};

static void decodes(void)
{
	struct registers registers = usual();

	for (size_t i = 0; i < sizeof(samples) / sizeof(samples[0]); i++) {
		const struct sample *s = &samples[i];
		struct instruction found;

		CHECK(instruction_decode((const uint8_t *)s->bytes, s->len,
					 &registers, &found));
		CHECK_NUMBER(found.kind, s->is.kind);
		CHECK_STRING(found.name, s->is.name);
		CHECK_NUMBER(found.has_address, s->is.has_address);
		if (s->is.has_address)
			CHECK_NUMBER(found.address, s->is.address);
		CHECK_NUMBER(found.has_divisor, s->is.has_divisor);
		CHECK_NUMBER(found.divisor, s->is.divisor);
		CHECK_NUMBER(found.has_target, s->is.has_target);
		CHECK_NUMBER(found.target, s->is.target);
		if (s->is.is_vector)
			CHECK(found.is_vector);
	}
}

static void wants_all_bytes(void)
{
	struct registers registers = usual();
	struct instruction found;

	for (size_t i = 0; i < sizeof(samples) / sizeof(samples[0]); i++) {
		/* An immediate operand at the end is not looked at. */
		size_t len = samples[i].bytes[0] == '\xc7' ? 6
			: samples[i].bytes[0] == '\xe6' ? 1 : samples[i].len;

		CHECK(!instruction_decode((const uint8_t *)samples[i].bytes,
					  len - 1, &registers, &found));
	}
}

static void knows_what_it_does_not_know(void)
{
	struct registers registers = usual();
	struct instruction found;

	registers.valid = ~(1u << R_RAX);
	CHECK(instruction_decode((const uint8_t *)"\x8b\x00", 2, &registers,
				 &found));
	CHECK(!found.has_address);
	CHECK(instruction_decode((const uint8_t *)"\xff\xd0", 2, &registers,
				 &found));
	CHECK(!found.has_target);
}

/* Every start of three bytes, with what may follow. */
static void survives_anything(void)
{
	struct registers registers = usual();
	uint8_t bytes[8] = { 0, 0, 0, 0x24, 0x25, 0xff, 0xff, 0xff };

	for (uint32_t i = 0; i < 1u << 24; i += 3) {
		struct instruction found;

		bytes[0] = (uint8_t)(i >> 16);
		bytes[1] = (uint8_t)(i >> 8);
		bytes[2] = (uint8_t)i;
		instruction_decode(bytes, i % (sizeof(bytes) + 1), &registers,
				   &found);
	}
	CHECK(true);
}

int main(void)
{
	static const struct test tests[] = {
		{ "operands are where the processor finds them", decodes },
		{ "an instruction that is cut off is none", wants_all_bytes },
		{ "what depends on an unknown register is unknown",
		  knows_what_it_does_not_know },
		{ "any bytes do no harm", survives_anything },
	};

	return TEST_RUN(tests);
}
