/* What a report says: the model that the helper fills, the minidump codec
 * carries, and the collector and symbolizer read. Nothing here knows a
 * process, a file or a socket.
 *
 * Ownership: everything a report points to lives in its own arena and goes
 * with report_free(). Strings are UTF-8 as far as their origin was; printers
 * escape them. NULL means "not known", never "empty". */
#ifndef EPITAPH_REPORT_REPORT_H
#define EPITAPH_REPORT_REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "error.h"
#include "machine.h"

enum {
	MAX_THREADS = 4096,         /* crash_record's table, and then some */
	MAX_MODULES = 8192,         /* java has 400; a plugin host 2,000 */
	MAX_UNLOADED = 256,         /* Windows keeps 64; Apache closes 100 */
	MAX_FRAMES = 1024,          /* 512 of each end of a deep stack */
	MAX_MEMORY_RANGES = 16384,  /* a stack window and extras per thread */
	MAX_BUILD_ID = 64,          /* SHA-1 is 20; lld can be told others */
	MAX_XSTATE = 16384,         /* AVX-512 with AMX is 11,008 */
	MAX_STRING = 65536,
	MAX_STREAMS = 256,
	MAX_JIT = 1024,             /* compiled functions that frames are in */
	MAX_JIT_NAME = 512,         /* bytes; .NET's have all parameters */
	MAX_JIT_SIZE = 1 << 30,     /* bytes of code */
};
#define MAX_REPORT_BYTES ((size_t)128 << 20) /* unpacked; contract.md */
#define MAX_SENT_BYTES ((size_t)32 << 20)    /* as sent; contract.md */

struct build_id {
	uint8_t len; /* 0: the module has none */
	uint8_t bytes[MAX_BUILD_ID];
};

struct registers {
	uint64_t value[REG_COUNT];
	uint64_t valid; /* bit i: value[i] is known */
};

/* Name of REG as a report shows it ("rip"); NULL past REG_COUNT. */
const char *register_name(enum reg reg);

/* Why a frame is believed, best first. The names are contract.md's. */
enum trust {
	TRUST_CONTEXT, TRUST_SHSTK, TRUST_LEAF, TRUST_CFI, TRUST_CFI_DEBUG,
	TRUST_SIGFRAME, TRUST_PLT, TRUST_PROLOGUE, TRUST_FRAME_POINTER,
	TRUST_CFI_SCAN, TRUST_SCAN,
	TRUST_COUNT,
};

const char *trust_name(enum trust trust);
/* False, with *trust_out untouched, for a name that is none. */
bool trust_from_name(const char *name, enum trust *trust_out);

struct frame {
	uint64_t pc;     /* as on the stack: a return address unless trust is
	                  * TRUST_CONTEXT or TRUST_SIGFRAME */
	uint64_t cfa;    /* 0: not known */
	uint64_t offset; /* pc - module base; 0 without a module */
	int32_t module;  /* index into report.modules, -1: in none of them; it
	                  * may be in an unloaded one, report_frame_module() */
	enum trust trust;
	bool corrupt_ra; /* where its table says that its return address is
	                  * lies what is no code, or not what the shadow
	                  * stack has: it was written over. What follows
	                  * are guesses, unless they are TRUST_SHSTK */
};

/* True where FRAME's pc is the instruction itself; otherwise it is a return
 * address, and the call is at pc - 1. */
bool frame_is_exact(const struct frame *frame);

/* The address of that instruction, or one within that call. */
uint64_t frame_place(const struct frame *frame);

struct memory_range {
	uint64_t address;
	uint64_t len;
	const uint8_t *bytes;
};

struct thread {
	uint32_t tid;
	const char *name; /* NULL: not known */
	bool crashed;
	bool has_registers;
	struct registers registers;
	const uint8_t *fpstate; /* 512 bytes of FXSAVE, or NULL */
	const uint8_t *xstate;  /* what follows it in XSAVE order, or NULL */
	size_t xstate_len;
	struct memory_range stack; /* len 0: none kept */
	struct frame *frames;      /* as the crash-time helper saw them */
	size_t nframes;
	uint64_t depth;        /* true number of frames, folded ones included */
	const char *truncated; /* why the walk stopped early, or NULL */
};

struct module {
	const char *path;
	struct build_id build_id;
	uint64_t base; /* where file offset 0 is, or would be, mapped */
	uint64_t size; /* to the end of its last mapping; never 0 */
};

/* Code that the program made while it ran, and gave a name. */
struct jit_region {
	uint64_t start;
	uint64_t size; /* 1 to MAX_JIT_SIZE */
	const char *name;
};

struct tag {
	const char *key;
	const char *value;
};

struct report {
	char id[37];     /* UUIDv7 in text, made at the crash */
	int64_t time_ms; /* since the epoch */
	int tier;        /* 1..5 of design.md; 0: not one of ours */
	const char *tier_reason;
	bool complete;
	bool sanitized; /* of stacks, words that might tell something are 0 */

	const char *host, *kernel, *arch;

	uint32_t pid;
	uint32_t uid;
	bool has_uid;
	const char *exe;
	const char **args;
	size_t nargs;
	const char *cgroup;
	int64_t uptime_ms; /* -1: not known */
	const char *release;
	struct tag *tags, *annotations;
	size_t ntags, nannotations;
	const char **breadcrumbs;
	size_t nbreadcrumbs;

	int signal;       /* of the first fault */
	int death_signal; /* what the process died of, where it differs; or 0 */
	int code;         /* si_code */
	bool has_address;
	uint64_t address;
	bool has_sender;
	uint32_t sender_pid, sender_uid;
	const char *sender_name; /* NULL: it was gone */
	const char *reason;  /* "null pointer write at 0x10" */
	const char *message; /* text of abort, assert, terminate */

	char exact[33];      /* 32 hex digits, or "" */

	struct thread *threads; /* the crashing one first */
	size_t nthreads;
	struct module *modules; /* by base */
	size_t nmodules;
	struct module *unloaded; /* that had been closed, the newest first: it
	                          * counts where two overlap */
	size_t nunloaded;
	struct jit_region *jit; /* the newest first: it counts where two
	                         * overlap, because code is replaced */
	size_t njit;
	struct memory_range *memory; /* besides the stacks */
	size_t nmemory;

	/* Text or bytes of /proc/PID/{maps,auxv,cmdline}; NULL: not there. */
	const char *maps;
	size_t maps_len;
	const uint8_t *auxv;
	size_t auxv_len;
	const uint8_t *cmdline;
	size_t cmdline_len;

	/* Differences of CLOCK_MONOTONIC, microseconds; -1: not measured. */
	int64_t frozen_us, unwind_us, total_us;

	struct arena *arena; /* owns all that is pointed to above */
};

/* An empty report whose arena is ready. False only without memory. */
bool report_init(struct report *report, struct error *err);
void report_free(struct report *report);

/* SIZE zeroed bytes, or a copy, that live as long as REPORT; NULL without
 * memory, or where SIZE is above MAX_REPORT_BYTES. */
void *report_alloc(struct report *report, size_t size);
void *report_copy(struct report *report, const void *bytes, size_t len);
char *report_string(struct report *report, const char *text, size_t len);

/* THREAD's stack pointer; 0 where it is not known. */
uint64_t thread_sp(const struct thread *thread);

/* The thread that crashed, or NULL. */
const struct thread *report_crashed_thread(const struct report *report);

/* Index of the module whose [base, base+size) holds ADDRESS, or -1. */
int32_t report_find_module(const struct report *report, uint64_t address);

/* The unloaded module that ADDRESS was in, or NULL. Only where no module that
 * is loaded holds it. */
const struct module *report_find_unloaded(const struct report *report,
					  uint64_t address);

/* All modules have one numbering: those that are loaded, by base, then the
 * unloaded ones. Number of the one that FRAME is in, and how far from its
 * base; or -1, and *OFFSET_OUT is untouched. */
int32_t report_frame_module(const struct report *report,
			    const struct frame *frame, uint64_t *offset_out);
size_t report_module_count(const struct report *report);
/* The module of that number; NULL past the last one and for -1. */
const struct module *report_module(const struct report *report,
				   int32_t number);
bool report_is_unloaded(const struct report *report, int32_t number);

/* The compiled function that ADDRESS is in, or NULL. */
const struct jit_region *report_find_jit(const struct report *report,
					 uint64_t address);

/* Lower-case hex of ID into TEXT_OUT, which holds 2 * MAX_BUILD_ID + 1. */
void build_id_format(const struct build_id *id, char *text_out);
/* False unless TEXT is an even number of hex digits, at most MAX_BUILD_ID
 * bytes of them and at least one. */
bool build_id_parse(const char *text, struct build_id *id_out);
bool build_id_equal(const struct build_id *a, const struct build_id *b);

/* The note in which Go's linker says which build a program is. Before Go 1.24
 * it writes no build-id besides. */
#define GO_NOTE_NAME "Go\0" /* and the NUL behind it */
enum { GO_NOTE_NAME_LEN = 4, GO_NOTE_TYPE = 4 };

/* What stands for the build-id where there is only Go's own, the LEN bytes of
 * TEXT: the first twenty bytes of its SHA-256, since itself, 83 characters as
 * a rule, is too long for one. None where LEN is 0. */
void build_id_from_go(const void *text, size_t len, struct build_id *id_out);

#endif
