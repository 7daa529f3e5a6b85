/* CONTEXT_AMD64 byte by byte: a round trip alone would not notice a register
 * in the wrong place, but lldb would. */
#include "../../lib/report/context.h"
#include "sample.h"
#include "test.h"

enum { SIZE = 1232, FLAGS = 0x30, FLOAT = 0x100 };

/* A thread with every register, and 100 bytes of xstate. */
static void make(struct report *r, struct thread *t)
{
	report_init(r, NULL);
	memset(t, 0, sizeof(*t));
	sample_registers(&t->registers, 1);
	t->fpstate = sample_bytes(r, 512, 2);
	t->xstate = sample_bytes(r, 100, 3);
	t->xstate_len = 100;
}

static struct writer encode(const struct thread *t)
{
	struct writer w;

	writer_init(&w, 65536);
	context_encode(t, &w);
	return w;
}

static bool decode(const struct writer *w, struct thread *t, struct error *err)
{
	struct reader r;

	memset(t, 0, sizeof(*t));
	reader_init(&r, w->bytes, w->len);
	return context_decode(&r, t, err);
}

static uint64_t number_at(const struct writer *w, size_t offset, size_t len)
{
	uint64_t v = 0;

	for (size_t i = len; i-- > 0;)
		v = v << 8 | w->bytes[offset + i];
	return v;
}

static void registers_are_in_their_places(void)
{
	/* From winnt.h's CONTEXT for x64. */
	static const struct {
		enum reg reg;
		size_t offset, len;
	} places[] = {
		{ R_CS, 0x38, 2 },  { R_DS, 0x3a, 2 },  { R_ES, 0x3c, 2 },
		{ R_FS, 0x3e, 2 },  { R_GS, 0x40, 2 },  { R_SS, 0x42, 2 },
		{ R_EFLAGS, 0x44, 4 },
		{ R_RAX, 0x78, 8 }, { R_RCX, 0x80, 8 }, { R_RDX, 0x88, 8 },
		{ R_RBX, 0x90, 8 }, { R_RSP, 0x98, 8 }, { R_RBP, 0xa0, 8 },
		{ R_RSI, 0xa8, 8 }, { R_RDI, 0xb0, 8 }, { R_R8, 0xb8, 8 },
		{ R_R9, 0xc0, 8 },  { R_R10, 0xc8, 8 }, { R_R11, 0xd0, 8 },
		{ R_R12, 0xd8, 8 }, { R_R13, 0xe0, 8 }, { R_R14, 0xe8, 8 },
		{ R_R15, 0xf0, 8 }, { R_RIP, 0xf8, 8 },
	};
	struct report report;
	struct thread t;
	struct writer w;

	make(&report, &t);
	w = encode(&t);
	CHECK_NUMBER(w.len, SIZE + 100);
	CHECK_NUMBER(number_at(&w, FLAGS, 4), 0x10000f);
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++)
		CHECK_NUMBER(number_at(&w, places[i].offset, places[i].len),
			     t.registers.value[places[i].reg]);
	CHECK_BYTES(w.bytes + 0x34, 4, t.fpstate + 24, 4); /* MXCSR */
	CHECK_BYTES(w.bytes + FLOAT, 512, t.fpstate, 512);
	CHECK_BYTES(w.bytes + SIZE, 100, t.xstate, 100);
	writer_fini(&w);
	report_free(&report);
}

static void flags_say_what_is_there(void)
{
	struct thread t = { 0 }, found;
	struct writer w;

	t.registers.valid = 1u << R_RIP | 1u << R_RBX;
	t.registers.value[R_RIP] = 0x1234;
	t.registers.value[R_RCX] = 0x5678; /* not valid: not written */
	w = encode(&t);
	CHECK_NUMBER(w.len, SIZE);
	CHECK_NUMBER(number_at(&w, FLAGS, 4), 0x100003);
	CHECK_NUMBER(number_at(&w, 0x80, 8), 0);
	if (CHECK(decode(&w, &found, NULL))) {
		CHECK_NUMBER(found.registers.valid, context_valid(&t));
		CHECK_NUMBER(found.registers.value[R_RIP], 0x1234);
		CHECK(found.registers.valid >> R_RDX & 1);
		CHECK(!(found.registers.valid >> R_DS & 1));
		CHECK(!(found.registers.valid >> R_FS_BASE & 1));
		CHECK(found.fpstate == NULL && found.xstate == NULL);
	}
	writer_fini(&w);
}

static void other_machines_are_unsupported(void)
{
	struct error err = { ERR_NONE, "" };
	struct report report;
	struct thread t, found;
	struct writer w;

	make(&report, &t);
	w = encode(&t);
	w.len = SIZE - 1;
	CHECK(!decode(&w, &found, &err));
	CHECK_NUMBER(err.code, ERR_UNSUPPORTED);
	CHECK_STRING(err.text,
		     "a context of 1231 bytes is not one of x86-64");
	w.len = SIZE;
	writer_patch_u32(&w, FLAGS, 0x400007); /* ARM64's */
	CHECK(!decode(&w, &found, &err));
	CHECK_NUMBER(err.code, ERR_UNSUPPORTED);
	writer_fini(&w);
	report_free(&report);
}

static void xstate_has_its_limits(void)
{
	struct report report;
	struct thread t, found;
	struct writer w;

	make(&report, &t);
	w = encode(&t);
	/* Windows has a structure of its own there, and says so. */
	writer_patch_u32(&w, FLAGS, 0x10004f);
	CHECK(decode(&w, &found, NULL));
	CHECK(found.fpstate != NULL && found.xstate == NULL);
	writer_patch_u32(&w, FLAGS, 0x10000f);
	writer_zero(&w, MAX_XSTATE - 100);
	CHECK(decode(&w, &found, NULL));
	CHECK_NUMBER(found.xstate_len, MAX_XSTATE);
	writer_u8(&w, 0);
	CHECK(decode(&w, &found, NULL));
	CHECK_NUMBER(found.xstate_len, 0);
	writer_fini(&w);
	report_free(&report);
}

static void wide_registers_are_in_their_places(void)
{
	static const uint8_t fpstate[512];

	CHECK(context_wide_register(fpstate, 17) == fpstate + 160); /* xmm0 */
	CHECK(context_wide_register(fpstate, 32) == fpstate + 400); /* xmm15 */
	CHECK(context_wide_register(fpstate, 33) == fpstate + 32);  /* st0 */
	CHECK(context_wide_register(fpstate, 40) == fpstate + 144); /* st7 */
	CHECK(context_wide_register(fpstate, 16) == NULL);
	CHECK(context_wide_register(fpstate, 41) == NULL);
	CHECK(context_wide_register(NULL, 17) == NULL);
}

int main(void)
{
	static const struct test tests[] = {
		{ "every register is in its place",
		  registers_are_in_their_places },
		{ "the flags say what is there", flags_say_what_is_there },
		{ "contexts of other machines are unsupported",
		  other_machines_are_unsupported },
		{ "xstate is ours and has a limit", xstate_has_its_limits },
		{ "vector and floating point registers are in theirs",
		  wide_registers_are_in_their_places },
	};

	return TEST_RUN(tests);
}
