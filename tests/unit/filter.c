/* The interpreter of seccomp filters, against the kernel's rules. */
#include "../../shim/interpose/filter.h"

#include <errno.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "test.h"

enum { PROGRAMS = 300, BODY = 24 };

static const struct seccomp_data some_call = {
	.nr = SYS_getppid,
	.arch = 0xc000003e,
	.args = { 1, 0xffffffff00000002, 0x8000000080000000, 4, 5, 6 },
};

static uint32_t answer(const struct sock_filter *filter, size_t n)
{
	return filter_answer(filter, n, &some_call);
}

static void reads_the_call(void)
{
	for (uint32_t at = 0; at < 64; at += 4) {
		struct sock_filter filter[] = {
			BPF_STMT(BPF_LD | BPF_W | BPF_ABS, at),
			BPF_STMT(BPF_RET | BPF_A, 0),
		};
		uint32_t word;

		memcpy(&word, (const char *)&some_call + at, 4);
		CHECK_NUMBER(answer(filter, 2), word);
	}
}

static void refuses_what_is_no_filter(void)
{
	static const struct sock_filter wrong[][2] = {
		{ BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 64),
		  BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW) },
		{ BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 2),
		  BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW) },
		{ BPF_STMT(BPF_LD | BPF_MEM, BPF_MEMWORDS),
		  BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW) },
		{ BPF_STMT(BPF_ST, 0xffffffff),
		  BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW) },
		{ BPF_STMT(BPF_LD | BPF_B | BPF_IND, 0),
		  BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW) },
		{ BPF_STMT(BPF_ALU | BPF_DIV | BPF_K, 0),
		  BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW) },
		{ BPF_JUMP(BPF_JMP | BPF_JA, 0xffffffff, 0, 0),
		  BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW) },
		{ BPF_STMT(BPF_MISC | BPF_TAX, 0),
		  BPF_STMT(BPF_MISC | BPF_TXA, 0) },
	};

	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++)
		CHECK_NUMBER(answer(wrong[i], 2), SECCOMP_RET_KILL_PROCESS);
	CHECK_NUMBER(answer(wrong[0], 0), SECCOMP_RET_KILL_PROCESS);
}

static uint32_t seed = 1;

static uint32_t any(uint32_t n)
{
	seed = seed * 1664525 + 1013904223;
	return (seed >> 8) % n;
}

static struct sock_filter any_instruction(uint32_t left)
{
	static const uint16_t computing[] = { BPF_ADD, BPF_SUB, BPF_MUL,
					      BPF_AND, BPF_OR, BPF_XOR,
					      BPF_LSH, BPF_RSH };
	static const uint16_t jumping[] = { BPF_JEQ, BPF_JGT, BPF_JGE,
					    BPF_JSET };
	static const uint8_t words[] = { 0, 4, 16, 20, 24, 28, 32, 36, 40 };
	uint16_t source = any(2) ? BPF_X : BPF_K;
	uint32_t k = any(3) ? any(32) : any(1 << 24) << 8;

	switch (any(8)) {
	case 0: return (struct sock_filter)BPF_STMT(
		BPF_LD | BPF_W | BPF_ABS, words[any(sizeof(words))]);
	case 1: return (struct sock_filter)BPF_STMT(BPF_LD | BPF_IMM, k);
	case 2: return (struct sock_filter)BPF_STMT(BPF_LDX | BPF_IMM, k);
	case 3: return (struct sock_filter)BPF_STMT(
		BPF_MISC | (any(2) ? BPF_TAX : BPF_TXA), 0);
	case 4: return (struct sock_filter)BPF_STMT(
		any(2) ? BPF_ST : BPF_STX, any(4));
	case 5: return (struct sock_filter)BPF_STMT(BPF_ALU | BPF_NEG, 0);
	case 6: return (struct sock_filter)BPF_JUMP(
		BPF_JMP | jumping[any(4)] | source, k, (uint8_t)any(left),
		(uint8_t)any(left));
	default: return (struct sock_filter)BPF_STMT(
		BPF_ALU | computing[any(8)] | source,
		source == BPF_K ? k % 32 : 0);
	}
}

/* What the kernel makes of FILTER, which ends in an errno. */
static int ask_kernel(struct sock_filter *filter, size_t n)
{
	struct sock_fprog program = { (unsigned short)n, filter };
	int ends[2], value = -1;
	pid_t pid;

	if (pipe(ends) || (pid = fork()) < 0)
		return -1;
	if (pid == 0) {
		prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
		if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program))
			_exit(1);
		errno = 0;
		syscall(some_call.nr, some_call.args[0], some_call.args[1],
			some_call.args[2], some_call.args[3],
			some_call.args[4], some_call.args[5]);
		value = errno;
		_exit(write(ends[1], &value, sizeof(value)) < 0);
	}
	close(ends[1]);
	if (read(ends[0], &value, sizeof(value)) != sizeof(value))
		value = -1;
	close(ends[0]);
	waitpid(pid, NULL, 0);
	return value;
}

static void agrees_with_the_kernel(void)
{
	for (int i = 0; i < PROGRAMS; i++) {
		struct sock_filter filter[BODY + 8] = {
			BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0),
			BPF_JUMP(BPF_JMP | BPF_JEQ, SYS_getppid, 1, 0),
			BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
			BPF_STMT(BPF_LDX | BPF_IMM, 3),
		};
		size_t n = 4;

		for (uint32_t left = BODY; left > 0; left--)
			filter[n++] = any_instruction(left);
		filter[n++] = (struct sock_filter)BPF_STMT(
			BPF_ALU | BPF_AND | BPF_K, 0xfff);
		filter[n++] = (struct sock_filter)BPF_STMT(
			BPF_ALU | BPF_OR | BPF_K, SECCOMP_RET_ERRNO);
		filter[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_A, 0);
		if (!CHECK_NUMBER(answer(filter, n),
				  SECCOMP_RET_ERRNO |
					  (uint32_t)ask_kernel(filter, n)))
			printf("# program %d\n", i);
	}
}

int main(void)
{
	static const struct test tests[] = {
		{ "a filter reads number and arguments", reads_the_call },
		{ "what is no filter kills", refuses_what_is_no_filter },
		{ "the kernel's answer is ours, for 300 filters",
		  agrees_with_the_kernel },
	};

	return TEST_RUN(tests);
}
