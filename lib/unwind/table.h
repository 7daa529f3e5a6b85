/* One table of CFI: .eh_frame by the binary search of .eh_frame_hdr, or any
 * other by an index that is built when it is first needed. Says which FDE is
 * for a pc. Used by cfi.c. */
#ifndef EPITAPH_UNWIND_TABLE_H
#define EPITAPH_UNWIND_TABLE_H

#include "entry.h"
#include "image.h"

/* Entries of all the indexes of one unwinder together, 24 bytes each. libjvm's
 * .debug_frame has 80,000 FDEs. A dead process's memory, which may say
 * anything, gets the small one. */
enum { TABLE_MAX_INDEX = 1 << 21, TABLE_MAX_MEMORY_INDEX = 1 << 16 };

struct table_index {
	uint64_t start, end;
	uint64_t at; /* of the FDE */
};

/* What the tables of an unwinder share: scratch space for two entries, and how
 * much index there may still be. */
struct table_buffers {
	size_t index_left, memory_index_left;
	uint8_t cie[ENTRY_MAX];
	uint8_t fde[ENTRY_MAX];
};

struct table {
	struct image image;
	bool is_debug_frame;
	uint64_t abs_bias;   /* to add to pointers that say "absolute": a
	                      * loader did so in memory, nobody in a file */
	uint64_t start, end; /* of the CFI, in the image's addresses */

	/* .eh_frame_hdr; count is 0 where there is none to search. */
	uint64_t hdr;
	uint64_t search;
	uint64_t count;
	uint8_t encoding;

	/* Instead of it, sorted by start. */
	struct table_index *index;
	size_t index_len;
	bool has_index;
};

/* Open .eh_frame of the image at BASE, from MEMORY or, where that is NULL,
 * from FD. False where it has none; then there is nothing to close. */
bool table_open_eh_frame(struct table *table, struct memory *memory, int fd,
			 uint64_t base);

/* The same for the section .eh_frame of FD, all of it, and without a search
 * table. */
bool table_open_eh_frame_section(struct table *table, int fd, uint64_t base);

/* The same for the section .debug_frame of FD. */
bool table_open_debug_frame(struct table *table, int fd, uint64_t base);

/* The same for LEN bytes in that form, borrowed, whose addresses count from
 * BASE. */
void table_open_frames(struct table *table, const void *bytes, size_t len,
		       uint64_t base);

void table_close(struct table *table);

/* The first FDE at *NEXT (the table's start, to begin with) or behind it that
 * makes sense, and its CIE: *AT_OUT is where it is, *NEXT behind it. Programs
 * lie in BUFFERS, and are not checked. False at the end, or where what follows
 * makes no sense; then *NEXT is all that may have changed. */
bool table_next(const struct table *table, struct table_buffers *buffers,
		uint64_t *next, uint64_t *at_out, struct cie *cie_out,
		struct fde *fde_out);

/* Find, parse and check the FDE for PC (an address of the process), and its
 * CIE. The programs they point to lie in BUFFERS. */
bool table_find(struct table *table, struct table_buffers *buffers,
		uint64_t pc, struct cie *cie_out, struct fde *fde_out);

#endif
