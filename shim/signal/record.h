/* The crash record: what the dying process leaves for the helper, in the shim's
 * own zero pages, reserved and not touched before a crash. The handler fills
 * the first part, the witness the threads; the helper reads both out of the
 * address space that the witness keeps alive. One build makes both ends, and
 * VERSION and SIZE are checked, so the layout is plain C. */
#ifndef EPITAPH_SIGNAL_RECORD_H
#define EPITAPH_SIGNAL_RECORD_H

#include <stdint.h>

#include "arch.h"

#define RECORD_MAGIC 0x3144524350455045ull /* "EPEPCRD1" */

enum {
	RECORD_VERSION = 5,
	RECORD_THREADS = 4096, /* as MAX_THREADS of a report */
	RECORD_XSTATE = 16384, /* 11,008 with AMX */
	RECORD_REASON = 64,
	RECORD_MODULES = 256, /* as MAX_UNLOADED of a report */
	RECORD_BUILD_ID = 64,
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
	uint32_t budget; /* reports of one kind of crash in a minute; 0: all */
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
	THREAD_WAITED, /* was asked to stop, and did not in time */
	THREAD_STOPPED,
	THREAD_GONE,
	THREAD_DENIED, /* may not be traced, and gave no answer to a signal */
	THREAD_PLACED, /* did not stop in time, but pc and sp are known */
};

struct crash_thread {
	int32_t tid;
	uint32_t state;
	char name[16];
	/* As ptrace has them; the shadow stack's pointer, where it was not
	 * traced, as the record has its own. */
	uint64_t regs[RECORD_USER];
	uint32_t traced; /* 1: the witness has it to reap */
	uint32_t reaped; /* 1: it is gone, as far as the witness knows */
};

/* A module as it was when the program closed it, or another one. */
struct noted_module {
	uint64_t seen; /* number of the last look that found it; 0: none here */
	uint64_t base, size;
	uint64_t headers; /* where they are tells loaded ones apart */
	uint8_t id_len;
	uint8_t id[RECORD_BUILD_ID];
	/* As the linker knows it; of one that is too long the file's name. */
	char path[415];
};

/* What start and capture write comes first, on one page: each page that is
 * touched for the first time costs 0.5 to 3 us. */
struct crash_record {
	uint64_t magic;
	uint32_t version;
	uint32_t size;
	uint64_t main_stack_end; /* address of the argc word */
	uint64_t auxv, auxv_len; /* address, bytes */
	uint64_t board;          /* address of epitaph.h's annotations */
	int64_t started_ns;      /* CLOCK_BOOTTIME when the shim was loaded */
	uint64_t noted;          /* address of noted modules, */
	uint64_t nnoted;         /* and how many */

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
	uint64_t tcb; /* of the crashing thread: where its thread pointer is */
	uint64_t shadow; /* and where our handler's shadow stack was: a signal's
	                  * token is next above that; 0: it has none */
	uint64_t xstate_at; /* in the signal frame, which outlives the process
	                     * as all its memory does; 0: none */
	char tier_reason[RECORD_REASON];
	uint32_t tier;
	uint32_t late; /* 1: the process waits for the report to be durable */
	uint32_t budget_slot; /* where its kind is counted, */
	uint64_t budget_key;  /* and what that is; 0: it is not counted */
	uint32_t budget_keep; /* 1: the slot wants what the hit will say */
	struct crash_settings settings;
	char exe[1024];
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

/* Where no helper could be had the record goes to the spool as ID.raw, and
 * `epitaph-helper --finish` makes a report of it later: pieces, each behind a
 * head, RAW_RECORD first. RAW_END closes it; without, it was cut short. */
enum raw_type {
	RAW_RECORD = 1, /* struct crash_record up to its threads */
	RAW_THREADS,    /* struct crash_thread, nthreads of them */
	RAW_MEMORY,     /* bytes at `address` */
	RAW_MAPS,       /* text of /proc/self/maps, */
	RAW_CMDLINE,    /* cmdline, */
	RAW_CGROUP,     /* cgroup */
	RAW_END,
};

struct raw_head {
	uint32_t type;
	uint32_t len;     /* bytes that follow */
	uint64_t address; /* RAW_MEMORY */
};

/* What the helper writes to ARG_PIPE, a byte each. */
enum helper_progress {
	HELPER_HOLDS = 'w',   /* it needs the memory no longer */
	HELPER_DURABLE = 'd', /* the report is in the spool, */
	HELPER_FAILED = 'f',  /* or cannot be */
};

#endif
