/* what() of an exception is code, and the helper runs none of the dead program.
 * Nearly all of it, though, compiled with optimization or without, does nothing
 * but fetch an address; such code is followed here, instruction by
 * instruction, and any other is left alone. */
#include <string.h>

#include "../../lib/report/bytes.h"
#include "cxx.h"

enum {
	MAX_CODE = 96,
	MAX_BEFORE = 256,
	MAX_CALLS = 6,  /* within each other; c_str() is three, unoptimized */
	MAX_SMALL = 16, /* bytes within a std::string of libstdc++ */
};

/* What a register or the one local variable may hold. */
struct value {
	bool is_known;
	uint64_t address;
};

/* One function that is being followed. */
struct run {
	struct crash *crash;
	struct reader r;
	uint64_t code;
	int depth;
	bool is_over;
	struct value rax, rdi, local;
};

static struct value follow(struct crash *crash, uint64_t code,
			   struct value rdi, int depth);

static bool is_text(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)text[i];

		if (c < 0x20 && c != '\n' && c != '\t')
			return false;
	}
	return len > 0;
}

bool cxx_text(struct crash *crash, uint64_t address, char *text_out)
{
	size_t len = crash_read(crash, address, text_out, MAX_WHAT);
	size_t end = strnlen(text_out, len);

	if (end == len && len < MAX_WHAT)
		return false;
	if (end == MAX_WHAT)
		end--;
	text_out[end] = '\0';
	return is_text(text_out, end);
}

/* pointer, length, and either capacity or the text itself. */
static bool is_gnu_string(struct crash *crash, uint64_t address,
			  uint64_t *text_out)
{
	uint64_t text = crash_read_u64(crash, address);
	uint64_t len = crash_read_u64(crash, address + 8);
	uint64_t cap = crash_read_u64(crash, address + 16);
	char end = 1;

	if (!text || len > UINT32_MAX ||
	    (text == address + 16 ? len >= MAX_SMALL : cap < len) ||
	    crash_read(crash, text + len, &end, 1) != 1 || end)
		return false;
	*text_out = text;
	return true;
}

/* libc++: the lowest bit says whether capacity, length and pointer follow, or,
 * behind twice the length in a byte, the text. */
static bool is_llvm_string(struct crash *crash, uint64_t address,
			   uint64_t *text_out)
{
	uint64_t first = crash_read_u64(crash, address), len;
	char end = 1;

	if (first & 1) {
		len = crash_read_u64(crash, address + 8);
		*text_out = crash_read_u64(crash, address + 16);
		if ((first & ~1ull) <= len)
			return false;
	} else {
		len = (first & 0xff) / 2;
		*text_out = address + 1;
		if (len > 22)
			return false;
	}
	return *text_out && len <= UINT32_MAX &&
	       crash_read(crash, *text_out + len, &end, 1) == 1 && !end;
}

bool cxx_string(struct crash *crash, uint64_t address, char *text_out)
{
	uint64_t text;

	if (!is_gnu_string(crash, address, &text) &&
	    !is_llvm_string(crash, address, &text))
		return false;
	return cxx_text(crash, text, text_out);
}

/* Whether the code goes on with BYTES, which are then behind us. */
static bool take(struct run *run, const char *bytes, size_t len)
{
	if (reader_left(&run->r) < len ||
	    memcmp(run->r.bytes + run->r.pos, bytes, len) != 0)
		return false;
	reader_skip(&run->r, len);
	return true;
}
#define TAKE(run, bytes) take(run, bytes, sizeof(bytes) - 1)

static uint64_t take_i8(struct run *run)
{
	return (uint64_t)(int64_t)(int8_t)reader_u8(&run->r);
}

static uint64_t take_i32(struct run *run)
{
	return (uint64_t)(int64_t)(int32_t)reader_u32(&run->r);
}

static struct value at(struct value base, uint64_t offset)
{
	base.address += offset;
	return base;
}

static struct value load(struct run *run, struct value from)
{
	if (from.is_known)
		from.address = crash_read_u64(run->crash, from.address);
	return from;
}

/* OFFSET from the end of the instruction that it is the last part of. */
static struct value relative(struct run *run, uint64_t offset)
{
	return (struct value){ true, run->code + run->r.pos + offset };
}

/* Instructions that only set up or take down a frame. */
static bool take_frame(struct run *run)
{
	if (TAKE(run, "\xf3\x0f\x1e\xfa") || /* endbr64 */
	    TAKE(run, "\x55") ||             /* push %rbp */
	    TAKE(run, "\x48\x89\xe5") ||     /* mov %rsp,%rbp */
	    TAKE(run, "\x5d") ||             /* pop %rbp */
	    TAKE(run, "\xc9") ||             /* leave */
	    TAKE(run, "\x90"))               /* nop */
		return true;
	if (TAKE(run, "\x48\x83\xec") ||     /* sub $imm8,%rsp */
	    TAKE(run, "\x48\x83\xc4")) {     /* add $imm8,%rsp */
		reader_u8(&run->r);
		return true;
	}
	return false;
}

/* Instructions by which an unoptimized function passes its object on. */
static bool take_move(struct run *run)
{
	if (TAKE(run, "\x48\x89\x7d\xf8"))      /* mov %rdi,-8(%rbp) */
		run->local = run->rdi;
	else if (TAKE(run, "\x48\x8b\x45\xf8")) /* mov -8(%rbp),%rax */
		run->rax = run->local;
	else if (TAKE(run, "\x48\x8b\x7d\xf8")) /* mov -8(%rbp),%rdi */
		run->rdi = run->local;
	else if (TAKE(run, "\x48\x89\xc7"))     /* mov %rax,%rdi */
		run->rdi = run->rax;
	else if (TAKE(run, "\x48\x83\xc0"))     /* add $imm8,%rax */
		run->rax = at(run->rax, take_i8(run));
	else if (TAKE(run, "\x48\x83\xc7"))     /* add $imm8,%rdi */
		run->rdi = at(run->rdi, take_i8(run));
	else if (TAKE(run, "\x48\x8d\x47"))     /* lea disp8(%rdi),%rax */
		run->rax = at(run->rdi, take_i8(run));
	else
		return false;
	return true;
}

static bool take_load(struct run *run)
{
	uint64_t offset;

	if (TAKE(run, "\x48\x8d\x05")) {          /* lea disp32(%rip),%rax */
		offset = take_i32(run);
		run->rax = relative(run, offset);
	} else if (TAKE(run, "\xb8")) {           /* mov $imm32,%eax */
		run->rax = (struct value){ true, reader_u32(&run->r) };
	} else if (TAKE(run, "\x48\x8b\x07")) {   /* mov (%rdi),%rax */
		run->rax = load(run, run->rdi);
	} else if (TAKE(run, "\x48\x8b\x47")) {   /* mov disp8(%rdi),%rax */
		run->rax = load(run, at(run->rdi, take_i8(run)));
	} else if (TAKE(run, "\x48\x8b\x87")) {   /* mov disp32(%rdi),%rax */
		run->rax = load(run, at(run->rdi, take_i32(run)));
	} else if (TAKE(run, "\x48\x8b\x00")) {   /* mov (%rax),%rax */
		run->rax = load(run, run->rax);
	} else if (TAKE(run, "\x48\x8b\x40")) {   /* mov disp8(%rax),%rax */
		run->rax = load(run, at(run->rax, take_i8(run)));
	} else {
		return false;
	}
	return true;
}

/* Calls, jumps at the end that stand for one, and the jump of a PLT. */
static bool take_call(struct run *run)
{
	struct value target;
	uint64_t offset;

	if (TAKE(run, "\xe8") || TAKE(run, "\xe9")) { /* call, jmp */
		run->is_over = run->r.bytes[run->r.pos - 1] == 0xe9;
		offset = take_i32(run);
		target = relative(run, offset);
	} else if (TAKE(run, "\xff\x25") ||         /* jmp *disp32(%rip) */
		   TAKE(run, "\xf2\xff\x25")) {
		run->is_over = true;
		offset = take_i32(run);
		target = load(run, relative(run, offset));
	} else {
		return false;
	}
	if (run->r.bad)
		return false;
	run->rax = follow(run->crash, target.address, run->rdi,
			  run->depth + 1);
	run->rdi.is_known = false;
	return run->rax.is_known;
}

/* What the function at CODE returns for its one argument, RDI. */
static struct value follow(struct crash *crash, uint64_t code,
			   struct value rdi, int depth)
{
	static const struct value nothing = { false, 0 };
	uint8_t bytes[MAX_CODE];
	struct run run = {
		.crash = crash,
		.code = code,
		.depth = depth,
		.rdi = rdi,
	};

	if (depth == MAX_CALLS)
		return nothing;
	reader_init(&run.r, bytes,
		    crash_read(crash, code, bytes, sizeof(bytes)));
	while (!run.is_over && !TAKE(&run, "\xc3")) {
		if (reader_left(&run.r) == 0 ||
		    !(take_frame(&run) || take_move(&run) ||
		      take_load(&run) || take_call(&run)))
			return nothing;
	}
	return run.r.bad ? nothing : run.rax;
}

bool cxx_what(struct crash *crash, uint64_t code, uint64_t object,
	      char *text_out)
{
	struct value text =
		follow(crash, code, (struct value){ true, object }, 0);

	return text.is_known && cxx_text(crash, text.address, text_out);
}

/* The address that the instruction at R, which is at CODE in the process, may
 * load: lea disp32(%rip) or mov $imm32. R goes on by a byte. */
static uint64_t loaded_address(struct reader *r, uint64_t code)
{
	struct reader next = *r;
	uint8_t first = reader_u8(r);

	reader_skip(&next, 1);
	if ((first & 0xf8) == 0xb8)
		return reader_u32(&next);
	if ((first & 0xfb) != 0x48 || reader_u8(&next) != 0x8d ||
	    (reader_u8(&next) & 0xc7) != 0x05)
		return 0;
	return code + 7 + (uint64_t)(int64_t)(int32_t)reader_u32(&next);
}

bool cxx_mentions(struct crash *crash, uint64_t pc, const char *words)
{
	uint8_t bytes[MAX_BEFORE];
	uint64_t start = pc - sizeof(bytes);
	char text[32];
	size_t len = strlen(words);
	struct reader r;

	if (len > sizeof(text))
		return false;
	reader_init(&r, bytes,
		    crash_read(crash, start, bytes, sizeof(bytes)));
	while (reader_left(&r) > 0) {
		uint64_t address = loaded_address(&r, start + r.pos);
		const struct map *map =
			address ? maps_find(&crash->maps, address) : NULL;

		if (map && !map->write && map->read &&
		    crash_read(crash, address, text, len) == len &&
		    memcmp(text, words, len) == 0)
			return true;
	}
	return false;
}
