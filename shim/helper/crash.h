/* A dead process, as the helper sees it: the crash record, and memory that the
 * witness keeps alive. Turned into a report. */
#ifndef EPITAPH_HELPER_CRASH_H
#define EPITAPH_HELPER_CRASH_H

#include <stdint.h>
#include <sys/types.h>

#include "../../lib/proc/maps.h"
#include "../../lib/proc/perfmap.h"
#include "../../lib/report/report.h"
#include "../signal/record.h"
#include "raw.h"

struct crash {
	struct raw *raw;        /* in place of descriptors and witness */
	int mem, maps_fd, proc; /* descriptors from the witness, or -1 */
	pid_t witness;
	uint64_t address;       /* of the record there */
	struct crash_record *record; /* ours; threads as far as there are */
	char *maps_text;             /* that MAPS borrows, cut into pieces, */
	char *maps_whole;            /* and as it was; NULL without /proc */
	size_t maps_len;
	struct maps maps;
	struct perfmap perfmap;      /* frames that want a name from there */
};

/* Copy the record at ADDRESS of the dead process. */
bool crash_open(struct crash *crash, uint64_t address, struct error *err);
/* The same from a raw record of LEN BYTES, which must outlive CRASH. */
bool crash_open_raw(struct crash *crash, const void *bytes, size_t len,
		    struct error *err);
/* Read its maps, after either. */
bool crash_map(struct crash *crash, struct error *err);
/* Whether its memory can still be read; of a raw record, always. */
bool crash_is_there(struct crash *crash);
void crash_close(struct crash *crash);

/* Read LEN bytes at ADDRESS of the dead process; an unwind_read and a
 * maps_read, CONTEXT is a struct crash. */
size_t crash_read(void *context, uint64_t address, void *to, size_t len);

/* One little-endian number at ADDRESS; 0 where there is nothing to read. */
uint64_t crash_read_u64(struct crash *crash, uint64_t address);
uint32_t crash_read_u32(struct crash *crash, uint64_t address);

/* exported.c: the symbol NAME (at most 63 bytes) that MODULE exports. */
struct exported {
	uint64_t address, size;
};
bool crash_symbol(struct crash *crash, const struct module *module,
		  const char *name, struct exported *out);

/* Everything that the report needs of the dead process's memory, frames
 * included, into REPORT (initialised). The witness may go afterwards. */
bool crash_collect(struct crash *crash, struct report *report,
		   struct error *err);

/* What can be said without the dead process: reason, fingerprint, host. */
void crash_conclude(const struct crash *crash, struct report *report);

/* message.c: the text with which libc aborted, in REPORT's arena, or NULL. */
const char *crash_message(struct crash *crash, struct report *report);

/* cxx.c: what an uncaught C++ exception is and says, in REPORT's arena, or NULL
 * where the crashing thread does not die of one. Needs the frames. */
const char *crash_exception(struct crash *crash, struct report *report);

/* rust.c: where and with what the crashing thread panicked, or NULL. */
const char *crash_panic(struct crash *crash, struct report *report);

/* nomaps.c: CRASH's maps where there is no /proc, as far as memory tells. */
bool crash_guess_maps(struct crash *crash, struct error *err);

/* sender.c: the name of who sent the signal, into REPORT. */
void crash_sender(const struct crash *crash, struct report *report);

/* notes.c: what the program wrote by epitaph.h, into REPORT. */
void crash_notes(struct crash *crash, struct report *report);

/* unloaded.c: what the program has unloaded, into REPORT, whose modules are
 * those that are loaded. */
void crash_unloaded(struct crash *crash, struct report *report);

/* jit.c: find frames in code that the program compiled itself, and open the
 * file that may name them; read that, once the memory is no longer needed, into
 * REPORT. Without the former the latter does nothing. */
void crash_open_jit(struct crash *crash, const struct report *report);
void crash_read_jit(struct crash *crash, struct report *report);

/* registers_x86_64.c: as the kernel lays them out, to ours. */
void registers_from_gregs(const uint64_t gregs[RECORD_GREGS],
			  uint64_t tcb, struct registers *out);
/* The same of a thread of whose registers pc and sp alone are known. */
void registers_from_place(const uint64_t regs[USER_WORDS],
			  struct registers *out);
/* The shadow stack's pointer, SHADOW (0: there is none), to REGISTERS. Where it
 * is that of a handler of ours, IN_HANDLER, what the handler has interrupted
 * was at the next signal's token. */
void registers_add_shadow(struct crash *crash, uint64_t shadow,
			  bool in_handler, struct registers *registers);
/* Bytes of the extended state whose first are HEAD; 0: not one. */
size_t xstate_size(const uint8_t head[512]);
/* The page-fault error code in GREGS; false where it was no page fault. */
bool page_fault_error(const uint64_t gregs[RECORD_GREGS],
		      uint64_t *error_out);

/* stacks.c: the window of the stack at REGISTERS that is kept, and its base
 * where that lies apart; either may be empty. */
struct stack_window {
	uint64_t start, len;
	uint64_t base_start, base_len;
};
struct stack_window stack_window(const struct crash *crash,
				 const struct registers *registers,
				 uint64_t wanted);
/* Blank every word of STACK that neither points into code or into the same
 * mapping nor is a small integer. */
void stack_sanitize(const struct crash *crash, uint8_t *bytes, uint64_t start,
		    uint64_t len);
/* Forget those general registers to which the same applies. */
void registers_sanitize(const struct crash *crash,
			struct registers *registers);

#endif
