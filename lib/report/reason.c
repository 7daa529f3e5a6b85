/* The sentence that says what a fault was. Runs in the helper at crash time;
 * the maps text, the code and the stack that it looks into are of a hostile or
 * broken process. */
#include "siginfo.h"

#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "bytes.h"
#include "instruction.h"

enum {
	/* Nothing is mapped below vm.mmap_min_addr, which is 64 KiB: such an
	 * address is an offset from a null pointer. */
	NULL_LIMIT = 65536,
	/* How far from the stack pointer a stack overflow may fault: the red
	 * zone, a push, and the locals of one large frame. */
	STACK_REACH = 65536,
	/* Under the main thread's stack nothing is mapped for at least its
	 * limit, usually 8 MiB, so frames may have leapt that far. */
	MAIN_STACK_REACH = 16 << 20,
	MAX_SENTENCE = 512,
};

enum { CODE_CPERR = 10 }; /* SEGV_CPERR, since glibc 2.39 */

/* The page fault's error code; Intel SDM volume 3, 4.7. */
enum {
	FAULT_WRITE = 1 << 1,
	FAULT_FETCH = 1 << 4,
};

/* One line of the maps text. */
struct mapping {
	uint64_t start, end;
	bool read, write, exec;
	const char *path; /* not terminated */
	size_t path_len;
};

/* What the sentence is made from. */
struct fault {
	struct report *report;
	uint64_t address, pc, sp;
	bool has_pc, has_sp, has_access;
	bool write, fetch;
	/* The mapping that holds ADDRESS, and the first one above it; their
	 * end is 0 where there is none. */
	struct mapping at, above;
};

static uint64_t take_hex(struct reader *r, char stop)
{
	uint64_t v = 0;
	int c;

	while ((c = reader_u8(r)) != stop && !r->bad) {
		if (c >= '0' && c <= '9')
			v = v << 4 | (uint64_t)(c - '0');
		else if (c >= 'a' && c <= 'f')
			v = v << 4 | (uint64_t)(c - 'a' + 10);
		else
			r->bad = true;
	}
	return v;
}

/* "start-end rwxp offset dev inode   path", without the newline. */
static bool parse_mapping(struct reader *line, struct mapping *m)
{
	uint64_t start = take_hex(line, '-'), end = take_hex(line, ' ');
	const char *mode = (const char *)reader_take(line, 5);

	for (int fields = 0; fields < 3 && !line->bad; fields++) {
		while (reader_u8(line) != ' ' && !line->bad)
			continue;
	}
	if (line->bad || start >= end)
		return false;
	m->start = start;
	m->end = end;
	m->read = mode[0] == 'r';
	m->write = mode[1] == 'w';
	m->exec = mode[2] == 'x';
	m->path_len = reader_left(line);
	m->path = (const char *)reader_take(line, m->path_len);
	while (m->path_len > 0 && m->path[0] == ' ') {
		m->path++;
		m->path_len--;
	}
	return true;
}

static void take_mapping(struct fault *f, const struct mapping *m)
{
	if (f->address >= m->start && f->address < m->end)
		f->at = *m;
	if (m->start > f->address &&
	    (f->above.end == 0 || m->start < f->above.start))
		f->above = *m;
}

/* The only place here that reads text from outside. */
static void find_mappings(struct fault *f)
{
	const struct report *report = f->report;
	const char *text = report->maps;
	size_t left = text != NULL ? report->maps_len : 0;

	while (left > 0) {
		const char *newline = memchr(text, '\n', left);
		size_t len = newline != NULL ? (size_t)(newline - text) : left;
		struct mapping m = { 0 };
		struct reader line;

		reader_init(&line, text, len);
		if (parse_mapping(&line, &m))
			take_mapping(f, &m);
		len += newline != NULL;
		text += len;
		left -= len;
	}
}

__attribute__((format(printf, 2, 3)))
static const char *say(struct report *report, const char *format, ...)
{
	char text[MAX_SENTENCE];
	va_list args;
	int len;

	va_start(args, format);
	len = vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (len < 0)
		return NULL;
	return report_string(report, text, strlen(text));
}

/* The mapping's path for a sentence, in TEXT. */
static const char *mapping_name(const struct mapping *m, char *text,
				size_t size)
{
	int len = m->path_len < 256 ? (int)m->path_len : 256;

	if (len == 0)
		return "anonymous memory";
	snprintf(text, size, "%.*s", len, m->path);
	return text;
}

static const char *verb(const struct fault *f)
{
	if (f->fetch)
		return "call";
	if (!f->has_access)
		return "access";
	return f->write ? "write" : "read";
}

/* "write to", "read from": what goes before a place. */
static const char *verb_of_place(const struct fault *f)
{
	if (!f->has_access)
		return "access to";
	return f->write ? "write to" : "read from";
}

/* Whether ADDRESS lies right under STACK: in the guard page of a thread's, or
 * under the main thread's, which its limit keeps from growing. */
static bool is_under_stack(const struct fault *f, const struct mapping *stack)
{
	static const char main_stack[] = "[stack]";
	const struct mapping *at = &f->at;
	uint64_t distance = stack->start - f->address;

	if (!stack->write || at->read || at->write || at->exec)
		return false;
	if (at->end != 0)
		return at->end == stack->start;
	if (stack->path_len == sizeof(main_stack) - 1 &&
	    memcmp(stack->path, main_stack, stack->path_len) == 0)
		return distance <= MAIN_STACK_REACH;
	return distance <= STACK_REACH;
}

/* A fault right under a stack whose low end the stack pointer has reached. */
static bool is_stack_overflow(const struct fault *f)
{
	if (!f->has_sp || f->fetch || !is_under_stack(f, &f->above))
		return false;
	/* Above sp it is a local of a frame that is larger than what was
	 * left; below it a push, a call, or the red zone. */
	return f->address >= f->sp || f->sp - f->address <= STACK_REACH;
}

/* Nothing is mapped there now; a library may have been. */
static const char *describe_unmapped(const struct fault *f)
{
	const struct module *gone = report_find_unloaded(f->report,
							 f->address);
	const char *what = f->fetch ? "jump to" : verb_of_place(f);

	if (gone != NULL && gone->path != NULL)
		return say(f->report, "%s unloaded %.256s at 0x%" PRIx64, what,
			   gone->path, f->address);
	return say(f->report, "%s unmapped address 0x%" PRIx64, what,
		   f->address);
}

static const char *describe_jump(const struct fault *f)
{
	char name[300];

	if (f->address == 0)
		return say(f->report, "call to null");
	if (f->address < NULL_LIMIT)
		return say(f->report, "null pointer call at 0x%" PRIx64,
			   f->address);
	if (f->at.end == 0)
		return describe_unmapped(f);
	return say(f->report,
		   "jump to non-executable address 0x%" PRIx64 " in %s",
		   f->address, mapping_name(&f->at, name, sizeof(name)));
}

static const char *describe_access(const struct fault *f)
{
	char name[300];

	if (f->address < NULL_LIMIT)
		return say(f->report, "null pointer %s at 0x%" PRIx64, verb(f),
			   f->address);
	if (f->at.end == 0)
		return describe_unmapped(f);
	if (f->has_access && f->write && !f->at.write && f->at.read)
		return say(f->report,
			   "write to read-only mapping %s at 0x%" PRIx64,
			   mapping_name(&f->at, name, sizeof(name)),
			   f->address);
	return say(f->report, "%s protected mapping %s at 0x%" PRIx64,
		   verb_of_place(f), mapping_name(&f->at, name, sizeof(name)),
		   f->address);
}

/* Where the maps text is missing, the code still tells mapped from not. */
static const char *describe_without_maps(const struct fault *f)
{
	if (f->address < NULL_LIMIT)
		return f->fetch ? describe_jump(f) : describe_access(f);
	if (f->report->code != SEGV_ACCERR)
		return describe_unmapped(f);
	if (f->fetch)
		return say(f->report, "jump to non-executable address "
			   "0x%" PRIx64, f->address);
	return say(f->report, "%s protected address 0x%" PRIx64,
		   verb_of_place(f), f->address);
}

/* Bits 63 to 47 all the same: what the CPU can translate. (With five-level
 * page tables it is bit 56, and we say too little, not too much.) */
static bool is_canonical(uint64_t address)
{
	uint64_t top = address >> 47;

	return top == 0 || top == 0x1ffff;
}

/* LEN bytes at ADDRESS of what REPORT keeps of the memory: how many there are,
 * and where. */
static size_t find_memory(const struct memory_range *range, uint64_t address,
			  const uint8_t **bytes_out)
{
	if (range->bytes == NULL || address < range->address ||
	    address - range->address >= range->len)
		return 0;
	*bytes_out = range->bytes + (address - range->address);
	return (size_t)(range->len - (address - range->address));
}

static size_t find_bytes(const struct report *report, uint64_t address,
			 const uint8_t **bytes_out)
{
	const struct thread *t = report_crashed_thread(report);
	size_t n = t != NULL ? find_memory(&t->stack, address, bytes_out) : 0;

	for (size_t i = 0; n == 0 && i < report->nmemory; i++)
		n = find_memory(&report->memory[i], address, bytes_out);
	return n;
}

/* The word at ADDRESS, where the report has it. */
static bool read_word(const struct report *report, uint64_t address,
		      unsigned width, uint64_t *word_out)
{
	const uint8_t *bytes = NULL;
	size_t len = find_bytes(report, address, &bytes);

	if (len < width)
		return false;
	*word_out = 0;
	memcpy(word_out, bytes, width); /* little-endian, as we are */
	return true;
}

static bool find_instruction(const struct fault *f, struct instruction *out)
{
	const struct thread *t = report_crashed_thread(f->report);
	const uint8_t *bytes = NULL;
	size_t len;

	if (t == NULL || !f->has_pc)
		return false;
	len = find_bytes(f->report, f->pc, &bytes);
	return len > 0 && instruction_decode(bytes, len, &t->registers, out);
}

/* Where an indirect jump, a call or a return was to go. */
static bool find_target(const struct report *report,
			const struct instruction *code, uint64_t *target_out)
{
	if (code->kind != INSTRUCTION_JUMP)
		return false;
	if (code->has_target)
		*target_out = code->target;
	return code->has_target ||
	       (code->has_address &&
		read_word(report, code->address, 8, target_out));
}

/* A general protection fault comes without an address: the instruction says
 * what it was about. */
static const char *describe_by_code(const struct fault *f)
{
	struct instruction code;
	uint64_t target;

	if (!find_instruction(f, &code))
		return NULL;
	if (code.kind == INSTRUCTION_PRIVILEGED)
		return say(f->report, "privileged instruction %s", code.name);
	if (code.has_address && !is_canonical(code.address))
		return say(f->report, "access to non-canonical address "
			   "0x%" PRIx64, code.address);
	if (find_target(f->report, &code, &target) && !is_canonical(target))
		return say(f->report, "jump to non-canonical address "
			   "0x%" PRIx64, target);
	if (code.has_address && code.is_vector && code.address % 16 != 0)
		return say(f->report, "misaligned access at 0x%" PRIx64,
			   code.address);
	return NULL;
}

/* Without the code, the register that the instruction went through may still
 * hold the address. */
static const char *describe_protection(const struct fault *f)
{
	const char *text = describe_by_code(f);
	const struct thread *t = report_crashed_thread(f->report);

	for (unsigned i = 0; t != NULL && i < REG_CFI_COUNT; i++) {
		uint64_t v = t->registers.value[i];

		if (text != NULL || !(t->registers.valid >> i & 1) ||
		    is_canonical(v))
			continue;
		text = say(f->report,
			   "access to a non-canonical address (%s is "
			   "0x%" PRIx64 ")", register_name((enum reg)i), v);
	}
	if (text == NULL)
		text = say(f->report, "general protection fault, at an "
				      "unknown address");
	return text;
}

/* By the processor, which holds returns against the shadow stack. The address
 * that comes with it is zero. */
static const char *describe_control(const struct fault *f)
{
	struct instruction code;

	if (find_instruction(f, &code) && code.kind == INSTRUCTION_JUMP &&
	    code.has_address && code.address == f->sp)
		return say(f->report, "return to an address that is not the "
				      "shadow stack's");
	return say(f->report, "control protection fault");
}

static const char *describe_segv(const struct fault *f)
{
	if (!f->report->has_address)
		return describe_protection(f);
	if (f->report->code == CODE_CPERR)
		return describe_control(f);
	if (f->report->code == SEGV_PKUERR)
		return say(f->report,
			   "%s memory refused by its protection key at "
			   "0x%" PRIx64, verb_of_place(f), f->address);
	if (is_stack_overflow(f))
		return say(f->report, "stack overflow at 0x%" PRIx64,
			   f->address);
	if (f->report->maps == NULL)
		return describe_without_maps(f);
	return f->fetch ? describe_jump(f) : describe_access(f);
}

static const char *describe_bus(const struct fault *f)
{
	char name[300];

	switch (f->report->code) {
	case SI_KERNEL: /* #SS: the address went through rsp or rbp */
		return describe_protection(f);
	case BUS_ADRALN:
		return say(f->report, "misaligned access at 0x%" PRIx64,
			   f->address);
	case BUS_ADRERR:
		if (f->at.path_len == 0)
			break;
		return say(f->report,
			   "access past the end of mapped file %s at "
			   "0x%" PRIx64,
			   mapping_name(&f->at, name, sizeof(name)),
			   f->address);
	case BUS_MCEERR_AR:
	case BUS_MCEERR_AO:
		return say(f->report, "hardware memory error at 0x%" PRIx64,
			   f->address);
	}
	return say(f->report, "no memory behind address 0x%" PRIx64,
		   f->address);
}

/* The processor has one fault for both. */
static const char *describe_divide(const struct fault *f)
{
	struct instruction code;
	uint64_t divisor;

	if (find_instruction(f, &code) && code.kind == INSTRUCTION_DIVIDE) {
		divisor = code.divisor;
		if (code.has_divisor ||
		    (code.has_address && read_word(f->report, code.address,
						   code.width, &divisor)))
			return say(f->report, divisor == 0
						      ? "integer divide by zero"
						      : "integer quotient "
							"overflow");
	}
	return say(f->report, "integer divide by zero or quotient overflow");
}

static const char *describe_ill(const struct fault *f)
{
	struct instruction code;

	if (find_instruction(f, &code) && code.kind == INSTRUCTION_UNDEFINED)
		return say(f->report, "illegal instruction %s at 0x%" PRIx64
			   ", put there on purpose", code.name, f->address);
	return say(f->report, "illegal instruction at 0x%" PRIx64,
		   f->address);
}

static const char *describe_fpe(const struct fault *f)
{
	static const char *const words[] = {
		[FPE_INTOVF] = "integer overflow",
		[FPE_FLTDIV] = "floating-point divide by zero",
		[FPE_FLTOVF] = "floating-point overflow",
		[FPE_FLTUND] = "floating-point underflow",
		[FPE_FLTRES] = "floating-point inexact result",
		[FPE_FLTINV] = "invalid floating-point operation",
	};
	int code = f->report->code;

	if (code == FPE_INTDIV)
		return describe_divide(f);
	if (code < 0 || (size_t)code >= sizeof(words) / sizeof(words[0]) ||
	    words[code] == NULL)
		return NULL;
	return say(f->report, "%s", words[code]);
}

static const char *describe_trap(const struct fault *f)
{
	switch (f->report->code) {
	case SI_KERNEL: /* int3 */
	case TRAP_BRKPT:
		return say(f->report, "breakpoint");
	case TRAP_TRACE:
		return say(f->report, "single step");
	case 4: /* TRAP_HWBKPT */
		return say(f->report, "hardware breakpoint");
	default:
		return NULL;
	}
}

/* Whether the instruction before the pc is "syscall": int 0x80 has numbers of
 * its own. */
static bool is_system_call(const struct fault *f)
{
	uint64_t code;

	return f->has_pc && read_word(f->report, f->pc - 2, 2, &code) &&
	       code == 0x050f;
}

/* seccomp rolls rax back to the system call's number (the kernel's
 * syscall_rollback), so it is still there. */
static const char *describe_sys(const struct fault *f)
{
	const struct thread *t = report_crashed_thread(f->report);
	const char *name;
	uint64_t number;

	if (f->report->code != 1) /* SYS_SECCOMP */
		return NULL;
	if (t == NULL || !(t->registers.valid >> R_CALL & 1))
		return say(f->report, "system call refused by seccomp");
	number = t->registers.value[R_CALL];
	name = is_system_call(f) ? system_call_name(number) : NULL;
	return say(f->report, "system call %" PRIu64 "%s%s%s refused by "
		   "seccomp", number, name ? " (" : "", name ? name : "",
		   name ? ")" : "");
}

static const char *describe_sent(struct report *report)
{
	bool itself = report->has_sender && report->sender_pid == report->pid;

	if (report->signal == SIGABRT && (itself || !report->has_sender) &&
	    report->code == SI_TKILL)
		return say(report, "abort");
	if (!report->has_sender)
		return NULL;
	if (report->sender_name)
		return say(report, "sent by pid %u (%s, uid %u)",
			   report->sender_pid, report->sender_name,
			   report->sender_uid);
	return say(report, "sent by %spid %u (uid %u)",
		   itself ? "the process itself, " : "", report->sender_pid,
		   report->sender_uid);
}

static const char *describe_fault(struct fault *f)
{
	switch (f->report->signal) {
	case SIGSEGV:
		find_mappings(f);
		return describe_segv(f);
	case SIGBUS:
		find_mappings(f);
		return describe_bus(f);
	case SIGFPE:
		return describe_fpe(f);
	case SIGILL:
		return describe_ill(f);
	case SIGTRAP:
		return describe_trap(f);
	case SIGSYS:
		return describe_sys(f);
	default:
		return NULL;
	}
}

const char *signal_reason(struct report *report, uint64_t error_code,
			  bool has_error_code)
{
	const struct thread *t = report_crashed_thread(report);
	struct fault f = { .report = report, .address = report->address };

	if (!signal_is_fault(report->code))
		return describe_sent(report);
	if (t != NULL) {
		f.has_pc = t->registers.valid >> R_PC & 1;
		f.has_sp = t->registers.valid >> R_SP & 1;
		f.pc = t->registers.value[R_PC];
		f.sp = t->registers.value[R_SP];
	}
	f.has_access = has_error_code;
	f.write = has_error_code && error_code & FAULT_WRITE;
	f.fetch = has_error_code && error_code & FAULT_FETCH;
	/* Without NX, or without the code, the pc itself tells; but a write
	 * may go to the very instruction that makes it. */
	if (report->has_address && f.has_pc && f.pc == f.address && !f.write)
		f.fetch = true;
	return describe_fault(&f);
}
