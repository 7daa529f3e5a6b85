/* Steps through a program, knows its stack by following calls and returns, and
 * holds our unwinder against it at each instruction:
 *
 *     oracle [-cf] [-s MISTAKES] PROGRAM [ARG...]
 *
 * From the program's own entry on; with -f, from the first instruction of its
 * interpreter. With -c the unwinder has the shadow stack that a processor
 * would have kept. Prints, tab-separated, how the program ended, then for
 * right, wrong and no CFI: stacks, exact ones, those whose pcs are all true,
 * true frames, frames in exact prefixes; and for each level of trust: frames,
 * untrue ones, and of these those behind another mistake, by wrong CFI, and
 * behind a jump that was no call. -s shows as many mistakes. */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/personality.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "oracle.h"

enum { INSTRUCTION_MAX = 15, BREAKPOINT = 0xcc };

struct run {
	struct target target;
	struct judge judge;
	struct shadow shadow;
	struct user_regs_struct regs;
	bool jumped; /* to where it is */
	bool stale;  /* what is mapped has changed */
	int sig;     /* to be delivered with the next step */
	int status;
};

static void get_regs(struct run *run)
{
	if (ptrace(PTRACE_GETREGS, run->target.pid, NULL, &run->regs) != 0)
		give_up("registers");
}

static bool is_prefix(uint8_t byte)
{
	return byte == 0x66 || byte == 0x67 || byte == 0xf2 || byte == 0xf3 ||
	       byte == 0x2e || byte == 0x36 || byte == 0x3e || byte == 0x26 ||
	       byte == 0x64 || byte == 0x65;
}

static enum instruction_is classify(struct run *run, bool *jump_out)
{
	uint8_t code[INSTRUCTION_MAX + 1] = { 0 };
	size_t i = 0;

	target_read(&run->target, run->regs.rip, code, INSTRUCTION_MAX);
	while (i < INSTRUCTION_MAX - 2 && is_prefix(code[i]))
		i++;
	if ((code[i] & 0xf0) == 0x40)
		i++;
	*jump_out = code[i] == 0xe9 || code[i] == 0xeb ||
		    (code[i] == 0xff && (code[i + 1] >> 3 & 7) == 4);
	if (code[i] == 0xe8 ||
	    (code[i] == 0xff && (code[i + 1] >> 3 & 7) == 2))
		return IS_CALL;
	return code[i] == 0x0f && code[i + 1] == 0x05 ? IS_SYSCALL : IS_OTHER;
}

static bool changes_maps(uint64_t number)
{
	return number == SYS_mmap || number == SYS_munmap ||
	       number == SYS_mprotect || number == SYS_mremap ||
	       number == SYS_brk;
}

static void look_again(struct run *run)
{
	second_free(run->judge.second);
	target_look(&run->target);
	run->judge.second = second_new(run->target.pid);
	run->stale = false;
}

static void judge_here(struct run *run)
{
	static struct truth truth[MAX_DEPTH + 1];
	static struct frame frames[MAX_FRAMES];
	size_t n = shadow_frames(&run->shadow, run->regs.rip, run->jumped,
				 truth);
	size_t shown = run->judge.shown, ours;

	if (run->target.has_shadow)
		run->target.nshadow = shadow_words(&run->shadow,
						   run->target.shadow);
	ours = target_unwind(&run->target, &run->regs, frames, MAX_FRAMES);
	judge_stack(&run->judge, truth, n, frames, ours);
	if (run->judge.shown > shown)
		fprintf(stderr, "  pc %llx sp %llx\n", run->regs.rip,
			run->regs.rsp);
}

/* One instruction, or the delivery of a signal. False at the end. */
static bool step(struct run *run)
{
	struct user_regs_struct before = run->regs;
	bool is_jump, delivered = run->sig != 0;
	enum instruction_is is = classify(run, &is_jump);
	int sig;

	if (is == IS_SYSCALL && changes_maps(before.rax))
		run->stale = true;
	if (ptrace(PTRACE_SINGLESTEP, run->target.pid, NULL,
		   (long)run->sig) != 0 ||
	    waitpid(run->target.pid, &run->status, __WALL) < 0)
		give_up("step");
	if (!WIFSTOPPED(run->status))
		return false;
	sig = WSTOPSIG(run->status);
	run->sig = sig == SIGTRAP ? 0 : sig;
	get_regs(run);
	if (delivered && shadow_signal(&run->shadow, &run->target, &before,
				       &run->regs, run->jumped)) {
		run->jumped = false;
		return true;
	}
	/* A signal that comes before an instruction, or because of it. */
	if (sig != SIGTRAP && run->regs.rip == before.rip)
		return true;
	shadow_step(&run->shadow, &run->target, is, &before, &run->regs);
	run->jumped = is_jump;
	return true;
}

static void step_all(struct run *run)
{
	uint64_t pc = 0, sp = 0;

	look_again(run);
	do {
		if (run->stale)
			look_again(run);
		/* Rounds of a string instruction are one stack. */
		if (run->regs.rip != pc || run->regs.rsp != sp)
			judge_here(run);
		pc = run->regs.rip;
		sp = run->regs.rsp;
	} while (step(run));
}

static uint64_t entry_of(pid_t pid)
{
	char path[64];
	Elf64_auxv_t aux[64];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/auxv", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, aux, sizeof(aux));
	if (fd >= 0)
		close(fd);
	for (ssize_t i = 0; i < n / (ssize_t)sizeof(aux[0]); i++)
		if (aux[i].a_type == AT_ENTRY)
			return aux[i].a_un.a_val;
	give_up(path);
}

/* Run to the program's entry, where its stack is empty. */
static void run_to_entry(struct run *run)
{
	pid_t pid = run->target.pid;
	uint64_t entry = entry_of(pid);
	long word = ptrace(PTRACE_PEEKTEXT, pid, entry, NULL);

	ptrace(PTRACE_POKETEXT, pid, entry, (word & ~0xffL) | BREAKPOINT);
	ptrace(PTRACE_CONT, pid, NULL, NULL);
	if (waitpid(pid, &run->status, __WALL) < 0 ||
	    !WIFSTOPPED(run->status) || WSTOPSIG(run->status) != SIGTRAP)
		give_up("it does not come to its entry");
	ptrace(PTRACE_POKETEXT, pid, entry, word);
	get_regs(run);
	run->regs.rip = entry;
	ptrace(PTRACE_SETREGS, pid, NULL, &run->regs);
}

static void start(struct run *run, char **argv)
{
	run->target.pid = fork();
	if (run->target.pid < 0)
		give_up("fork");
	if (run->target.pid == 0) {
		personality(ADDR_NO_RANDOMIZE);
		ptrace(PTRACE_TRACEME, 0, NULL, NULL);
		execv(argv[0], argv);
		_exit(98);
	}
	if (waitpid(run->target.pid, &run->status, __WALL) < 0 ||
	    !WIFSTOPPED(run->status))
		give_up(argv[0]);
	ptrace(PTRACE_SETOPTIONS, run->target.pid, NULL,
	       (long)PTRACE_O_EXITKILL);
	get_regs(run);
}

static void print_tally(const char *name, const struct tally *tally)
{
	printf("%s\t%" PRIu64 "\t%" PRIu64 "\t%" PRIu64 "\t%" PRIu64 "\t%"
	       PRIu64 "\n", name, tally->stacks, tally->exact, tally->pcs,
	       tally->frames, tally->prefix);
	for (int i = 0; i < TRUST_COUNT; i++) {
		const struct level *level = &tally->levels[i];

		if (level->frames > 0)
			printf("%s\t%s\t%" PRIu64 "\t%" PRIu64 "\t%" PRIu64
			       "\t%" PRIu64 "\t%" PRIu64 "\n",
			       name, trust_name((enum trust)i), level->frames,
			       level->untrue, level->derived,
			       level->wrong_cfi, level->jumped);
	}
}

int main(int argc, char **argv)
{
	static struct run run;
	bool is_full = false;
	int option;

	run.judge.target = &run.target;
	while ((option = getopt(argc, argv, "+cfs:")) != -1) {
		if (option == 'c')
			run.target.has_shadow = true;
		else if (option == 'f')
			is_full = true;
		else if (option == 's')
			run.judge.show = strtoul(optarg, NULL, 10);
		else
			return 2;
	}
	if (optind == argc)
		return 2;
	unsetenv("DEBUGINFOD_URLS");
	start(&run, argv + optind);
	if (!is_full)
		run_to_entry(&run);
	step_all(&run);
	printf("status\t%d\n", run.status);
	print_tally("right", &run.judge.tallies[STACK_RIGHT]);
	print_tally("wrong", &run.judge.tallies[STACK_WRONG]);
	print_tally("none", &run.judge.tallies[STACK_NONE]);
	second_free(run.judge.second);
	target_forget(&run.target);
	return 0;
}
