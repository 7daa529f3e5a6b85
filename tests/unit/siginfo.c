/* Words for signals. */
#include "../../lib/report/siginfo.h"
#include "test.h"

static const char maps[] =
	"00400000-00401000 r--p 00000000 08:01 7                  /bin/x y\n"
	"00401000-00402000 r-xp 00001000 08:01 7                  /bin/x y\n"
	"00402000-00403000 rw-p 00002000 08:01 7                  /bin/x y\n"
	"not a line of maps\n"
	"00a00000-00a10000 rw-p 00000000 00:00 0                  [heap]\n"
	"7f0000000000-7f0000001000 ---p 00000000 00:00 0 \n"
	"7f0000001000-7f0000801000 rw-p 00000000 00:00 0 \n"
	"7f0000901000-7f0000902000 ---p 00000000 00:00 0 \n"
	"7f0000a00000-7f0000a10000 rw-p 00000000 00:00 0 \n"
	"7f0001000000-7f0001002000 r--s 00000000 08:01 9          /tmp/m\n"
	"7ffc00000000-7ffc00800000 rw-p 00000000 00:00 0          [stack]";

/* It reaches into memory that is mapped now. */
static struct module gone = { .path = "/opt/p.so", .base = 0x9fe000,
			      .size = 0x3000 };

/* A crash to describe; what is 0 is as usual. */
struct crash {
	int signal, code;
	bool has_address;
	uint64_t address, pc, sp, error;
	bool has_error;
	const char *reason;
};

enum { READ = 4, WRITE = 6, FETCH = 0x14 }; /* error codes of user mode */

static void describe(const struct crash *c, const char *maps_text)
{
	struct thread t = { .crashed = true };
	struct report r;

	report_init(&r, NULL);
	t.registers.value[R_RIP] = c->pc ? c->pc : 0x401234;
	t.registers.value[R_RSP] = c->sp ? c->sp : 0x7ffc00700000;
	t.registers.value[R_RAX] = 41;
	t.registers.valid = 1u << R_RIP | 1u << R_RSP | 1u << R_RAX;
	r.pid = 10;
	r.signal = c->signal;
	r.code = c->code;
	r.has_address = c->has_address;
	r.address = c->address;
	r.maps = maps_text;
	r.maps_len = maps_text != NULL ? strlen(maps_text) : 0;
	r.threads = &t;
	r.nthreads = 1;
	r.unloaded = &gone;
	r.nunloaded = 1;
	CHECK_STRING(signal_reason(&r, c->error, c->has_error), c->reason);
	report_free(&r);
}

static void describe_all(const struct crash *crashes, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct crash c = crashes[i];

		c.has_address = true;
		c.has_error = c.error != 0;
		describe(&c, maps);
	}
}
#define DESCRIBE(crashes)                                                      \
	describe_all(crashes, sizeof(crashes) / sizeof((crashes)[0]))

static void says_what_null_was_for(void)
{
	static const struct crash crashes[] = {
		{ 11, 1, .address = 0, .error = READ,
		  .reason = "null pointer read at 0x0" },
		{ 11, 1, .address = 0x10, .error = WRITE,
		  .reason = "null pointer write at 0x10" },
		{ 11, 1, .address = 0xffff, .error = 0,
		  .reason = "null pointer access at 0xffff" },
		{ 11, 1, .address = 0x18, .pc = 0x18, .error = FETCH,
		  .reason = "null pointer call at 0x18" },
	};
	struct crash call = { 11, 1, true, 0, 0, 0, FETCH, true,
			      "call to null" };

	DESCRIBE(crashes);
	describe(&call, maps);
}

static void says_where_an_access_went(void)
{
	static const struct crash crashes[] = {
		{ 11, 1, .address = 0x10000, .error = READ,
		  .reason = "read from unmapped address 0x10000" },
		{ 11, 1, .address = 0x500000, .error = WRITE,
		  .reason = "write to unmapped address 0x500000" },
		{ 11, 2, .address = 0x401010, .error = WRITE | 1,
		  .reason = "write to read-only mapping /bin/x y at "
			    "0x401010" },
		{ 11, 2, .address = 0x401010, .pc = 0x401010,
		  .error = WRITE | 1,
		  .reason = "write to read-only mapping /bin/x y at "
			    "0x401010" },
		{ 11, 2, .address = 0x7f0000000800, .error = READ | 1,
		  .reason = "read from protected mapping anonymous memory at "
			    "0x7f0000000800" },
		{ 11, 4, .address = 0x402010, .error = WRITE,
		  .reason = "write to memory refused by its protection key "
			    "at 0x402010" },
	};

	DESCRIBE(crashes);
}

static void says_where_a_jump_went(void)
{
	static const struct crash crashes[] = {
		{ 11, 1, .address = 0x500000, .pc = 0x500000, .error = FETCH,
		  .reason = "jump to unmapped address 0x500000" },
		{ 11, 2, .address = 0xa00010, .pc = 0xa00010, .error = FETCH,
		  .reason = "jump to non-executable address 0xa00010 in "
			    "[heap]" },
		{ 11, 2, .address = 0x402000, .pc = 0x402000, .error = 0,
		  .reason = "jump to non-executable address 0x402000 in "
			    "/bin/x y" },
	};

	DESCRIBE(crashes);
}

static void says_what_was_unloaded(void)
{
	static const struct crash crashes[] = {
		{ 11, 1, .address = 0x9fe010, .pc = 0x9fe010, .error = FETCH,
		  .reason = "jump to unloaded /opt/p.so at 0x9fe010" },
		{ 11, 1, .address = 0x9fffff, .error = READ,
		  .reason = "read from unloaded /opt/p.so at 0x9fffff" },
		{ 11, 1, .address = 0x9fffff, .error = WRITE,
		  .reason = "write to unloaded /opt/p.so at 0x9fffff" },
		{ 11, 1, .address = 0x9fdfff, .error = READ,
		  .reason = "read from unmapped address 0x9fdfff" },
		/* Something else is there now. */
		{ 11, 2, .address = 0xa00010, .pc = 0xa00010, .error = FETCH,
		  .reason = "jump to non-executable address 0xa00010 in "
			    "[heap]" },
	};
	struct crash c = { 11, 1, .has_address = true, .address = 0x9fe000,
			   .error = FETCH, .has_error = true };

	DESCRIBE(crashes);
	c.reason = "jump to unloaded /opt/p.so at 0x9fe000";
	describe(&c, NULL);
}

static void knows_a_stack_overflow(void)
{
	static const struct crash crashes[] = {
		/* The main thread: a push, and a large frame. */
		{ 11, 1, .address = 0x7ffbfffffff8, .sp = 0x7ffc00000000,
		  .error = WRITE,
		  .reason = "stack overflow at 0x7ffbfffffff8" },
		{ 11, 1, .address = 0x7ffbffc00010, .sp = 0x7ffbffc00000,
		  .error = WRITE,
		  .reason = "stack overflow at 0x7ffbffc00010" },
		/* A thread's guard page. */
		{ 11, 2, .address = 0x7f0000000ff8, .sp = 0x7f0000001000,
		  .error = WRITE,
		  .reason = "stack overflow at 0x7f0000000ff8" },
		{ 11, 2, .address = 0x7f0000000500, .sp = 0x7f0000000480,
		  .error = WRITE,
		  .reason = "stack overflow at 0x7f0000000500" },
	};

	DESCRIBE(crashes);
}

static void knows_what_is_no_stack_overflow(void)
{
	static const struct crash crashes[] = {
		/* Somebody else's guard page, from a healthy stack. */
		{ 11, 2, .address = 0x7f0000000ff8, .sp = 0x7ffc00700000,
		  .error = WRITE,
		  .reason = "write to protected mapping anonymous memory at "
			    "0x7f0000000ff8" },
		/* Far below the stack, with sp in its middle. */
		{ 11, 1, .address = 0x7ffbfffffff8, .sp = 0x7ffc00700000,
		  .error = WRITE,
		  .reason = "write to unmapped address 0x7ffbfffffff8" },
		/* A hole that guards nothing. */
		{ 11, 2, .address = 0x7f0000901ff8, .sp = 0x7f0000902000,
		  .error = WRITE,
		  .reason = "write to protected mapping anonymous memory at "
			    "0x7f0000901ff8" },
		/* A stack pointer that points nowhere. */
		{ 11, 1, .address = 0x333333333ff8, .sp = 0x333333334000,
		  .error = WRITE,
		  .reason = "write to unmapped address 0x333333333ff8" },
	};

	DESCRIBE(crashes);
}

static void knows_the_other_faults(void)
{
	static const struct crash crashes[] = {
		{ 7, 2, .address = 0x7f0001001000,
		  .reason = "access past the end of mapped file /tmp/m at "
			    "0x7f0001001000" },
		{ 7, 2, .address = 0x7f0000002000,
		  .reason = "no memory behind address 0x7f0000002000" },
		{ 7, 1, .address = 0x401001,
		  .reason = "misaligned access at 0x401001" },
		{ 7, 4, .address = 0x401001,
		  .reason = "hardware memory error at 0x401001" },
		{ 8, 1, .reason = "integer divide by zero or quotient "
				  "overflow" },
		{ 8, 3, .reason = "floating-point divide by zero" },
		{ 8, 99, .reason = NULL },
		{ 4, 2, .address = 0x401234,
		  .reason = "illegal instruction at 0x401234" },
		{ 5, 0x80, .reason = "breakpoint" },
		{ 5, 1, .reason = "breakpoint" },
		{ 5, 2, .reason = "single step" },
		{ 31, 1, .reason = "system call 41 refused by seccomp" },
		{ 64, 7, .reason = NULL },
	};

	DESCRIBE(crashes);
}

static void knows_a_false_return(void)
{
	static const uint8_t ret[] = { 0xc3 }, other[] = { 0x90 };
	struct thread t = { .crashed = true };
	struct memory_range code = { 0x401234, 1, ret };
	struct report r;

	report_init(&r, NULL);
	t.registers.value[R_RIP] = 0x401234;
	t.registers.value[R_RSP] = 0x7ffc00700000;
	t.registers.valid = REG_BIT(R_RIP) | REG_BIT(R_RSP);
	r.signal = 11;
	r.code = 10;
	r.has_address = true;
	r.maps = maps;
	r.maps_len = strlen(maps);
	r.threads = &t;
	r.nthreads = 1;
	r.memory = &code;
	r.nmemory = 1;
	CHECK_STRING(signal_reason(&r, 0, false), "return to an address that "
		     "is not the shadow stack's");
	code.bytes = other;
	CHECK_STRING(signal_reason(&r, 0, false), "control protection fault");
	report_free(&r);
}

static void says_which_register_is_not_canonical(void)
{
	struct crash c = { 11, 0x80, .sp = 0x4141414141414141 };

	c.reason = "access to a non-canonical address (rsp is "
		   "0x4141414141414141)";
	describe(&c, maps);
	c.sp = 0xffff800000000000;
	c.reason = "general protection fault, at an unknown address";
	describe(&c, maps);
}

static void does_without_maps(void)
{
	struct crash c = { 11, 1, .has_address = true, .address = 0x500000,
			   .error = WRITE, .has_error = true };

	c.reason = "write to unmapped address 0x500000";
	describe(&c, NULL);
	c.code = 2;
	c.reason = "write to protected address 0x500000";
	describe(&c, NULL);
	c.pc = c.address;
	c.error = READ; /* without NX */
	c.reason = "jump to non-executable address 0x500000";
	describe(&c, NULL);
}

static const char *sent(struct report *r, int signal, int code, bool known,
			uint32_t pid)
{
	r->pid = 10;
	r->signal = signal;
	r->code = code;
	r->has_sender = known;
	r->sender_pid = pid;
	r->sender_uid = 1000;
	return signal_reason(r, 0, false);
}

static void says_who_sent_it(void)
{
	struct report r;

	report_init(&r, NULL);
	CHECK_STRING(sent(&r, 6, -6, true, 10), "abort");
	CHECK_STRING(sent(&r, 6, -6, false, 0), "abort");
	CHECK_STRING(sent(&r, 6, 0, true, 11), "sent by pid 11 (uid 1000)");
	CHECK_STRING(sent(&r, 6, -6, true, 11), "sent by pid 11 (uid 1000)");
	CHECK_STRING(sent(&r, 11, 0, true, 10),
		     "sent by the process itself, pid 10 (uid 1000)");
	CHECK_STRING(sent(&r, 11, 0, false, 0), NULL);
	report_free(&r);
}

static void reads_broken_maps(void)
{
	static const char *const broken[] = {
		"", "\n", "\n\n\n", "-", "1-2", "1-2 rwxp", "1-2 rwxp 0 0 0",
		"2-1 rwxp 0 0 0 x", "zz-1 rwxp 0 0 0 x",
		"0-ffffffffffffffff rwxp 0 0 0",
		"0-ffffffffffffffff rwxp 0 0 0 ",
		"11111111111111111111111111111111-2 r", "1-2 rwxp 0 0 0 x\n1-",
	};
	struct crash c = { 11, 1, .has_address = true, .address = 0x500000,
			   .error = READ, .has_error = true };

	for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++) {
		bool holds = strstr(broken[i], "-ffff") != NULL &&
			     broken[i][strlen(broken[i]) - 1] == ' ';

		c.reason = holds ? "read from protected mapping anonymous "
				   "memory at 0x500000"
				 : "read from unmapped address 0x500000";
		describe(&c, broken[i]);
	}
}

static void knows_names(void)
{
	CHECK_STRING(signal_name(11), "SIGSEGV");
	CHECK_STRING(signal_name(31), "SIGSYS");
	CHECK_STRING(signal_name(0), NULL);
	CHECK_STRING(signal_name(-1), NULL);
	CHECK_STRING(signal_name(64), NULL);
	for (int i = 1; i < 32; i++)
		CHECK(signal_name(i) != NULL);
	CHECK_STRING(signal_code_name(11, 1), "SEGV_MAPERR");
	CHECK_STRING(signal_code_name(7, 2), "BUS_ADRERR");
	CHECK_STRING(signal_code_name(11, 0x80), "SI_KERNEL");
	CHECK_STRING(signal_code_name(6, -6), "SI_TKILL");
	CHECK_STRING(signal_code_name(6, 0), "SI_USER");
	CHECK_STRING(signal_code_name(6, 1), NULL);
	CHECK_STRING(signal_code_name(11, 1000), NULL);
	CHECK_STRING(signal_code_name(-5, 1), NULL);
	CHECK(signal_is_fault(1) && signal_is_fault(0x80));
	CHECK(!signal_is_fault(0) && !signal_is_fault(-6));
}

int main(void)
{
	static const struct test tests[] = {
		{ "signals and codes have their names", knows_names },
		{ "a null pointer is called so, with what it was for",
		  says_what_null_was_for },
		{ "an access says what it was and where it went",
		  says_where_an_access_went },
		{ "a jump says where it went", says_where_a_jump_went },
		{ "a jump or access to an unloaded library says so",
		  says_what_was_unloaded },
		{ "a stack overflow is called so", knows_a_stack_overflow },
		{ "not every fault under a stack is its overflow",
		  knows_what_is_no_stack_overflow },
		{ "the other faults have sentences", knows_the_other_faults },
		{ "a return that no call vouches for is called so",
		  knows_a_false_return },
		{ "a non-canonical address is found in its register",
		  says_which_register_is_not_canonical },
		{ "without maps the code says what it can",
		  does_without_maps },
		{ "a signal that was sent says by whom", says_who_sent_it },
		{ "broken maps do no harm", reads_broken_maps },
	};

	return TEST_RUN(tests);
}
