/* The crash record: what the dying process leaves for the helper, in the shim's
 * own zero pages, reserved and not touched before a crash. The handler fills
 * the first part, the witness the threads; the helper reads both out of the
 * address space that the witness keeps alive. One build makes both ends, and
 * VERSION and SIZE are checked, so the layout is plain C. */
#ifndef EPITAPH_SIGNAL_RECORD_H
#define EPITAPH_SIGNAL_RECORD_H

#include <stdint.h>

#define RECORD_MAGIC 0x3144524350455045ull /* "EPEPCRD1" */

enum {
	RECORD_VERSION = 1,
	RECORD_THREADS = 4096, /* as MAX_THREADS of a report */
	RECORD_STACK = 49152,  /* from sp; the base is read by the helper */
	RECORD_XSTATE = 16384, /* 11,008 with AMX */
	RECORD_GREGS = 23,     /* gregset_t of x86-64 */
	RED_ZONE = 128,        /* below sp, the callee may use it */
};

/* The environment of the program as the shim saw it at start, copied because
 * programs overwrite their environment to change their title. */
struct crash_settings {
	uint64_t spool_max;
	int64_t stack_bytes; /* -1: the defaults of contract.md */
	uint32_t threads;
	uint32_t deadline_ms;
	uint32_t sanitize;
	uint32_t to_stderr;
	uint32_t capture_first;
	char helper[1024];
	char home[512];
	char state_home[512];
	char url[512];
	char token[2048]; /* tokens that carry claims are long */
	char spool[1024];
	char release[256];
	char tags[1024];
};

enum crash_thread_state {
	THREAD_WAITED, /* seized, but did not stop in time */
	THREAD_STOPPED,
	THREAD_GONE,
	THREAD_DENIED, /* may not be traced */
};

struct crash_thread {
	int32_t tid;
	uint32_t state;
	char name[16];
	uint64_t regs[27]; /* struct user_regs_struct */
	uint64_t reaped; /* 1: the witness need not wait for it any more */
};

/* What start and capture write comes first, on one page: each page that is
 * touched for the first time costs 0.5 to 3 us. */
struct crash_record {
	uint64_t magic;
	uint32_t version;
	uint32_t size;
	uint64_t main_stack_end; /* address of the argc word */
	uint64_t auxv;           /* address */
	uint64_t board;          /* address of epitaph.h's annotations */
	int64_t started_ns;      /* CLOCK_BOOTTIME when the shim was loaded */

	char id[40];
	int64_t time_ns;  /* CLOCK_REALTIME at the crash */
	int64_t fault_ns; /* CLOCK_MONOTONIC: entry of the handler, */
	int64_t ready_ns; /* registers of all threads held, */
	int64_t boot_ns;  /* and CLOCK_BOOTTIME at the crash */
	int32_t pid, tid;
	uint32_t uid;
	int32_t signal;       /* of the first fault */
	int32_t death_signal; /* of the terminal event; often the same */
	uint32_t first_fault; /* 1: registers are older than the death */
	uint8_t siginfo[128]; /* of the first fault */
	char name[16];        /* of the crashing thread */
	uint64_t gregs[RECORD_GREGS];
	uint64_t fs_base; /* of the crashing thread: its TCB */
	char tier_reason[64];
	uint32_t tier;
	uint32_t late; /* 1: the process waits for the report to be durable */
	uint32_t xstate_len;
	uint32_t stack_len;
	uint64_t stack_address;
	struct crash_settings settings;
	char exe[1024];
	uint8_t xstate[RECORD_XSTATE];
	uint8_t stack[RECORD_STACK];
	uint32_t nthreads;
	struct crash_thread threads[RECORD_THREADS];
};

/* The helper's command line: decimal numbers, in this order after argv[0]. */
enum helper_arg {
	ARG_RECORD = 1, /* address of the crash record */
	ARG_WITNESS,    /* pid, for process_vm_readv where there is no /proc */
	ARG_MEM,        /* descriptors: /proc/self/mem, -1 as all ones, */
	ARG_MAPS,       /* /proc/self/maps, */
	ARG_PROC,       /* /proc/self of the witness, */
	ARG_PIPE,       /* and where the helper reports its progress */
	ARG_COUNT,
};

/* What the helper writes to ARG_PIPE, a byte each. */
enum helper_progress {
	HELPER_HOLDS = 'w',   /* it needs the memory no longer */
	HELPER_DURABLE = 'd', /* the report is in the spool, or cannot be */
};

#endif
