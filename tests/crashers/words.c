/* Deaths for which a report has words: `words NAME [ARGUMENT]`. Each faults in
 * a function of its own, or is called from one, so that frames are known. */
#include <stdint.h>
#include <stddef.h>
#include <elf.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Every call leaves a frame. */
#define DEATH                                                                  \
	__attribute__((noinline, noclone,                                      \
		       optimize("no-optimize-sibling-calls"))) static void

enum { PAGE = 4096 };

static volatile int zero, number = 100;
static volatile uintptr_t null;
static char data[64] = { (char)0xc3 }; /* ret, if it could run */
static const char constant[64] = "constant";

DEATH jump(const volatile void *to)
{
	((void (*)(void))(uintptr_t)to)();
}

static char *map(size_t size, int protection)
{
	char *at = mmap(NULL, size, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (at == MAP_FAILED)
		exit(99);
	memset(at, 0x90, size); /* nop */
	if (mprotect(at, size, protection))
		exit(98);
	return at;
}

DEATH call_null(void)
{
	jump((void *)null);
}

DEATH call_small(void)
{
	jump((void *)(null + 0x18));
}

DEATH jump_heap(void)
{
	char *volatile at = malloc(64);

	at[0] = (char)0xc3;
	jump(at);
}

DEATH jump_stack(void)
{
	volatile char code[16] = { (char)0xc3 };

	jump(code);
}

DEATH jump_data(void)
{
	jump(data);
}

DEATH jump_unmapped(void)
{
	char *at = map(PAGE, PROT_NONE);

	munmap(at, PAGE);
	jump(at + 0x123);
}

DEATH jump_wild(void)
{
	jump((void *)0x4141414141414141);
}

/* As a smashed stack does. */
DEATH return_wild(void)
{
	__asm__ volatile("movabs $0x4242424242424242, %%rax\n\t"
			 "push %%rax\n\tret" ::: "rax");
}

/* No page follows the last instruction, and none comes before the first. */
DEATH last_byte(void)
{
	char *at = map(3 * PAGE, PROT_READ | PROT_EXEC);

	munmap(at + 2 * PAGE, PAGE);
	mprotect(at + PAGE, PAGE, PROT_READ | PROT_WRITE);
	at[2 * PAGE - 1] = (char)0xf4; /* hlt */
	mprotect(at + PAGE, PAGE, PROT_READ | PROT_EXEC);
	jump(at + 2 * PAGE - 1);
}

DEATH first_byte(void)
{
	char *at = map(2 * PAGE, PROT_READ | PROT_WRITE);

	munmap(at, PAGE);
	at[PAGE] = (char)0xf4;
	mprotect(at + PAGE, PAGE, PROT_READ | PROT_EXEC);
	jump(at + PAGE);
}

DEATH write_code(void)
{
	*(volatile char *)(uintptr_t)write_code = 1;
}

DEATH write_constant(void)
{
	*(volatile char *)(uintptr_t)constant = 'C';
}

DEATH write_unmapped(void)
{
	char *at = map(PAGE, PROT_NONE);

	munmap(at, PAGE);
	*(volatile char *)at = 1;
}

DEATH read_guarded(void)
{
	char *at = map(PAGE, PROT_NONE);

	zero = *(volatile char *)at;
}

DEATH read_wild(void)
{
	zero = *(volatile int *)0x4141414141414141;
}

DEATH past_end(void)
{
	char name[] = "past-end.XXXXXX";
	int fd = mkstemp(name);
	volatile char *at;

	if (fd < 0 || ftruncate(fd, 100) || unlink(name))
		exit(97);
	at = mmap(NULL, 2 * PAGE, PROT_READ, MAP_SHARED, fd, 0);
	zero = at[PAGE];
}

DEATH misaligned_vector(void)
{
	static char buffer[64] __attribute__((aligned(16)));

	__asm__ volatile("movaps (%0), %%xmm0" ::"r"(buffer + 1) : "xmm0");
}

/* With alignment checks on, as few programs have them. */
DEATH misaligned_checked(void)
{
	__asm__ volatile("pushf\n\torl $0x40000, (%%rsp)\n\tpopf\n\t"
			 "movl 1(%0), %%eax" ::"r"(data) : "rax");
}

DEATH privileged(void)
{
	__asm__ volatile("cli");
}

DEATH port(void)
{
	__asm__ volatile("outb %%al, $0x80" ::);
}

DEATH divide_register(void)
{
	int by = zero;

	__asm__ volatile("idivl %0" ::"r"(by), "a"(1), "d"(0) : "cc");
}

DEATH divide_overflow(void)
{
	__asm__ volatile("idivl %0" ::"r"(-1), "a"(0x80000000), "d"(-1)
			 : "cc");
}

DEATH divide_memory(void)
{
	number = number / zero;
}

DEATH trap(void)
{
	__builtin_trap();
}

DEATH bad_opcode(void)
{
	__asm__ volatile(".byte 0x06"); /* push es, gone since x86-64 */
}

DEATH breakpoint(void)
{
	__asm__ volatile("int3");
}

DEATH forbidden_call(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
			 offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getpriority, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { 4, code };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program))
		exit(96);
	syscall(SYS_getpriority, PRIO_PROCESS, 0);
}

#pragma GCC diagnostic ignored "-Winfinite-recursion"
DEATH recurse(volatile char *above)
{
	volatile char frame[256];

	frame[0] = *above;
	recurse(frame);
	frame[1] = frame[0];
}

DEATH overflow(void)
{
	volatile char top = 1;

	recurse(&top);
}

/* Four MiB a frame: it leaps over any guard. */
DEATH recurse_wide(volatile char *above)
{
	volatile char frame[4 << 20];

	frame[0] = *above;
	recurse_wide(frame);
	frame[1] = frame[0];
}

DEATH overflow_wide(void)
{
	volatile char top = 1;

	recurse_wide(&top);
}

static void *overflow_there(void *unused)
{
	overflow();
	return unused;
}

DEATH overflow_thread(void)
{
	pthread_t thread;

	pthread_create(&thread, NULL, overflow_there, NULL);
	pthread_join(thread, NULL);
}

static const char *argument;

/* Map the library that begins at OFFSET of FD, as a linker would that loads
 * from archives: its entry point. It needs no relocation. */
static void *load_at(int fd, off_t offset)
{
	Elf64_Ehdr header;
	Elf64_Phdr segments[16];
	char *base;

	if (pread(fd, &header, sizeof(header), offset) != sizeof(header) ||
	    header.e_phnum > 16 ||
	    pread(fd, segments, sizeof(segments),
		  offset + (off_t)header.e_phoff) != sizeof(segments))
		exit(95);
	base = mmap(NULL, 1 << 20, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		    0);
	for (int i = 0; i < header.e_phnum; i++) {
		const Elf64_Phdr *s = &segments[i];
		size_t skip = s->p_vaddr % PAGE;
		int protection = (s->p_flags & PF_R ? PROT_READ : 0) |
				 (s->p_flags & PF_W ? PROT_WRITE : 0) |
				 (s->p_flags & PF_X ? PROT_EXEC : 0);

		if (s->p_type == PT_LOAD &&
		    mmap(base + s->p_vaddr - skip, s->p_filesz + skip,
			 protection, MAP_PRIVATE | MAP_FIXED, fd,
			 offset + (off_t)(s->p_offset - skip)) == MAP_FAILED)
			exit(94);
	}
	return base + header.e_entry;
}

/* The second of two libraries that are in one file, one after the other. */
DEATH in_archive(void)
{
	int fd = open(argument, O_RDONLY);
	void *first = load_at(fd, 2 * PAGE);
	off_t end = lseek(fd, 0, SEEK_END);

	jump(first); /* returns */
	jump(load_at(fd, end / 2));
}

/* Holds a secret, which its argument is but for one bit in each byte, wherever
 * a function may hold one, when it dies. */
DEATH secret(void)
{
	volatile char text[203];
	uint64_t word;

	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = argument[i % strlen(argument)] ^ 1;
	memcpy(&word, (void *)(uintptr_t)(text + 16), sizeof(word));
	__asm__ volatile("movups (%0), %%xmm0\n\t"
			 "movups (%0), %%xmm9\n\t"
			 "mov %1, %%r12\n\tmov %1, %%rax\n\tmov %1, %%r9\n\t"
			 "movl $1, 16" ::"r"(text), "r"(word)
			 : "xmm0", "xmm9", "r12", "rax", "r9", "memory");
}

/* As a daemon does that locks itself in. */
DEATH locked_in(void)
{
	if (chroot(argument) || chdir("/"))
		exit(92);
	write_code();
}

static pthread_barrier_t deep_down;

/* Of what no packing makes less. */
DEATH descend(uint64_t random, int depth)
{
	volatile uint64_t frame[12];

	for (size_t i = 0; i < 12; i++) {
		random ^= random << 13;
		random ^= random >> 7;
		random ^= random << 17;
		frame[i] = random;
	}
	if (depth > 0) {
		descend(random, depth - 1);
	} else {
		pthread_barrier_wait(&deep_down);
		for (;;)
			pause();
	}
	frame[0] = frame[1];
}

static void *descend_there(void *seed)
{
	descend((uintptr_t)seed * 0x9e3779b97f4a7c15 + 1, 2000);
	return NULL;
}

/* As many threads as the argument says, deep in calls. */
DEATH deep_threads(void)
{
	unsigned n = (unsigned)strtoul(argument, NULL, 10);
	pthread_attr_t attributes;
	pthread_t thread;

	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, 1 << 20);
	pthread_barrier_init(&deep_down, NULL, n + 1);
	for (uintptr_t i = 0; i < n; i++) {
		if (pthread_create(&thread, &attributes, descend_there,
				   (void *)(i + 1)))
			exit(93);
	}
	pthread_barrier_wait(&deep_down);
	write_code();
}

DEATH wait_signal(void)
{
	puts("waiting");
	fflush(stdout);
	for (;;)
		pause();
}

static const struct {
	const char *name;
	void (*death)(void);
} deaths[] = {
	{ "bad-opcode", bad_opcode },
	{ "breakpoint", breakpoint },
	{ "call-null", call_null },
	{ "call-small", call_small },
	{ "deep-threads", deep_threads },
	{ "divide-memory", divide_memory },
	{ "divide-overflow", divide_overflow },
	{ "divide-register", divide_register },
	{ "first-byte", first_byte },
	{ "forbidden-call", forbidden_call },
	{ "in-archive", in_archive },
	{ "jump-data", jump_data },
	{ "jump-heap", jump_heap },
	{ "jump-stack", jump_stack },
	{ "jump-unmapped", jump_unmapped },
	{ "jump-wild", jump_wild },
	{ "last-byte", last_byte },
	{ "locked-in", locked_in },
	{ "misaligned-checked", misaligned_checked },
	{ "misaligned-vector", misaligned_vector },
	{ "overflow", overflow },
	{ "overflow-thread", overflow_thread },
	{ "overflow-wide", overflow_wide },
	{ "past-end", past_end },
	{ "port", port },
	{ "privileged", privileged },
	{ "read-guarded", read_guarded },
	{ "read-wild", read_wild },
	{ "return-wild", return_wild },
	{ "secret", secret },
	{ "trap", trap },
	{ "wait", wait_signal },
	{ "write-code", write_code },
	{ "write-constant", write_constant },
	{ "write-unmapped", write_unmapped },
};

int main(int argc, char **argv)
{
	argument = argc > 2 ? argv[2] : "?";
	for (size_t i = 0; i < sizeof(deaths) / sizeof(*deaths); i++) {
		if (argc > 1 && strcmp(argv[1], deaths[i].name) == 0)
			deaths[i].death();
	}
	fprintf(stderr, "usage: words NAME [ARGUMENT]; NAME is one of:\n");
	for (size_t i = 0; i < sizeof(deaths) / sizeof(*deaths); i++)
		fprintf(stderr, "  %s\n", deaths[i].name);
	return 2;
}
