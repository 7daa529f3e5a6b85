/* From registers and memory to frames, through CFI. Knows no process and does
 * no I/O of its own: memory and module bytes come from the readers that it is
 * given. Used by the crash-time helper, `epitaph stack` and the symbolizer.
 *
 * CFI is evaluated as DWARF 5 section 6.4 says, its tables read by libdw. */
#ifndef EPITAPH_UNWIND_UNWIND_H
#define EPITAPH_UNWIND_UNWIND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../report/report.h"

/* Copy up to LEN bytes at ADDRESS of the dead (or stopped) process. Returns
 * how many, counted from the first: 0 where nothing is readable there. */
typedef size_t unwind_read(void *context, uint64_t address, void *to,
			   size_t len);

/* CFI that the caller has of something else than ELF files, in the form of
 * .debug_frame and with addresses that count from the module's base: *LEN_OUT
 * bytes that stay until unwind_free(), or NULL. OPAQUE is the module's. */
typedef const void *unwind_frames(void *opaque, size_t *len_out);

/* One executable or library. The unwinder builds what it needs (an image of
 * its program headers and of .eh_frame_hdr and .eh_frame) the first time a pc
 * falls into it, by the memory reader, so a deleted or replaced file does no
 * harm. */
struct unwind_module {
	uint64_t base; /* where file offset 0 is mapped */
	uint64_t end;
	/* For what the memory reader has not got: a descriptor of the file,
	 * or of its debug file, or -1. Borrowed. The first is for .eh_frame,
	 * code and .debug_frame, the second for .debug_frame; they are read
	 * only where memory had no answer for a pc. Who gives one has made
	 * sure that it is of the same build. */
	int elf_fd;
	int debug_fd;
	/* Asked for once, where none of these had an answer; NULL: there is
	 * nothing else. */
	unwind_frames *frames;
	void *opaque; /* for the caller */
};

/* A range of executable memory, for the checks on return addresses. */
struct unwind_range {
	uint64_t start, end;
};

struct unwind;

/* MODULES must be sorted by base and not overlap; CODE likewise. Both are
 * copied. CONTEXT is handed to READ. NULL without memory. */
struct unwind *unwind_new(const struct unwind_module *modules, size_t nmodules,
			  const struct unwind_range *code, size_t ncode,
			  unwind_read *read, void *context);
void unwind_free(struct unwind *unwind);

struct unwind_result {
	size_t nframes;
	uint64_t depth;        /* frames walked, stored or not */
	const char *truncated; /* static text: why it stopped early, or NULL */
};

/* Walk one thread from REGISTERS into FRAMES (room for MAX). Frame 0 is the
 * registers themselves, with TRUST_CONTEXT. `module` is the index into
 * MODULES. Where the shadow stack's pointer is among REGISTERS, and the memory
 * reader has what it points to, that decides about return addresses. Bounded in
 * time and memory on any input. */
void unwind_thread(struct unwind *unwind, const struct registers *registers,
		   struct frame *frames, size_t max,
		   struct unwind_result *result_out);

/* The same for the first MAX frames alone, and the registers of each, into
 * EACH: those that are valid are as they were when the frame was left. */
void unwind_registers(struct unwind *unwind, const struct registers *registers,
		      struct frame *frames, struct registers *each, size_t max,
		      struct unwind_result *result_out);

/* Where the call that returns to ADDRESS leads, through a stub perhaps; 0 where
 * its instruction does not say. */
uint64_t unwind_call_target(struct unwind *unwind, uint64_t address);

#endif
