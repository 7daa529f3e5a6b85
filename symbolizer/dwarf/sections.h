/* The debug sections of one ELF file, unpacked. .debug_info, most of all there
 * is, is unpacked by a thread of its own while others read what has come so
 * far. Process: one that can be lost. */
#ifndef EPITAPH_DWARF_SECTIONS_H
#define EPITAPH_DWARF_SECTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../../lib/report/bytes.h"
#include "../elffile.h"

enum section_kind {
	SECTION_INFO, SECTION_ABBREV, SECTION_LINE, SECTION_STR,
	SECTION_LINE_STR, SECTION_RANGES, SECTION_RNGLISTS, SECTION_ADDR,
	SECTION_STR_OFFSETS,
	SECTION_CU_INDEX, /* of a package: which unit has what of the others */
	SECTION_LOC, SECTION_LOCLISTS, /* unpacked once they are asked for: only
	                                * values need them */
	SECTION_COUNT,
};

/* Of one section, unpacked: chromium's .debug_info is 3 GB. Memory is used only
 * as it is written to. */
#define SECTION_MAX ((uint64_t)16 << 30)

struct sections;

/* FILE must outlive the result. SPLIT: the sections of a .dwo file or of a
 * package of these, whose names end in that. NULL where FILE has no
 * .debug_info, or without memory. */
struct sections *sections_open(const struct elf_file *file, bool split);

/* Bytes of a section. */
struct section_part {
	uint64_t at, len;
};

/* Of each section of WHOLE, which must outlive the result, one part. NULL
 * where that does not lie within its section, or without memory. */
struct sections *sections_part(struct sections *whole,
			       const struct section_part parts[SECTION_COUNT]);
void sections_close(struct sections *sections);

/* All of section KIND: empty where there is none, cut short where it cannot be
 * unpacked to its end. For SECTION_INFO it waits until all is there. */
struct reader sections_get(struct sections *sections, enum section_kind kind);

/* .debug_info with at least its first LEN bytes, or all of it where there are
 * fewer. Waits for them. */
struct reader sections_info(struct sections *sections, uint64_t len);

/* Nobody asks for .debug_info before OFFSET again: give its memory back. */
void sections_drop(struct sections *sections, uint64_t offset);

/* A section's R from OFFSET on; bad where that is not in it. */
static inline struct reader section_from(struct reader r, uint64_t offset)
{
	if (offset > r.len)
		r.bad = true;
	else
		r.pos = (size_t)offset;
	return r;
}

#endif
