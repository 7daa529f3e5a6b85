/* The units of one file's DWARF, and what the attributes of their DIEs say.
 * DWARF 2 to 5, GNU's split units and dwz's references before DWARF 5 had its
 * own. Process: one that can be lost. */
#ifndef EPITAPH_DWARF_UNIT_H
#define EPITAPH_DWARF_UNIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "abbrev.h"
#include "attr.h"
#include "die.h"
#include "sections.h"

struct tree;

struct dwarf_file {
	struct sections *sections;
	struct reader abbrev, line, str, line_str, ranges, rnglists, addr,
		str_offsets;
	struct dwarf_file *alt; /* dwz's common file, or NULL */
	struct unit **units;    /* by offset */
	size_t nunits, units_cap;
	uint64_t next;          /* where the unit behind the last begins */
	bool keeps_all;         /* its functions refer to other units */
	size_t nunread;         /* units whose DIEs cannot be read */
	bool folds;             /* its linker may have made functions one, and
	                         * then leaves the DIEs of all but one without
	                         * a place */
	bool is_ahead;          /* ahead.h reads its units: nobody else may */
	struct unit *near;      /* where dwarf_file_unit() looks first */
};

struct unit {
	struct dwarf_file *file;
	uint64_t offset, end; /* in .debug_info */
	uint64_t dies;        /* where its first DIE is */
	uint8_t type;         /* DW_UT_* */
	struct sizes sizes;
	uint64_t abbrev_offset;
	struct abbrevs abbrevs; /* of list NULL: not read, or given back */
	struct tree *tree;      /* tree.h; NULL: not walked, or given back */

	/* What its own DIE says. */
	const char *comp_dir;
	const char *dwo_name;    /* of the split unit that it stands for */
	uint64_t dwo_id;
	bool has_dwo_id, has_lines;
	bool is_assembler;       /* its functions are but its symbols */
	uint64_t line_offset;
	uint64_t base;           /* DW_AT_low_pc */
	uint64_t str_offsets_base, addr_base, rnglists_base, ranges_base;

	/* A split unit has its addresses where its skeleton is, or itself. */
	const struct unit *skeleton;
};

enum { DWARF_MAX_UNITS = 1 << 20 };

/* A place in a file's .debug_info. */
struct die_ref {
	struct dwarf_file *file;
	uint64_t offset;
};

/* SPLIT: FILE is a .dwo. FILE, and ALT, must outlive it. NULL where there is no
 * DWARF. */
struct dwarf_file *dwarf_file_open(const struct elf_file *file, bool split,
				   struct dwarf_file *alt);
/* The same for SECTIONS, which are the result's then, or NULL. */
struct dwarf_file *dwarf_file_of(struct sections *sections,
				 struct dwarf_file *alt);
void dwarf_file_close(struct dwarf_file *file);

/* The next unit of FILE, read as far as its own DIE, or NULL behind the last.
 * It stays as long as FILE does. */
struct unit *dwarf_file_next(struct dwarf_file *file);

/* The unit that holds OFFSET; reads units up to there. NULL if none does, or
 * where another thread reads the units and it is not the one that is near. */
struct unit *dwarf_file_unit(struct dwarf_file *file, uint64_t offset);

/* UNIT is done with: give back what was read of it, unless its file keeps
 * all. */
void unit_release(struct unit *unit);

/* Nobody will read DIEs of FILE before OFFSET again: give back their memory,
 * unless FILE keeps all. */
void dwarf_file_drop(struct dwarf_file *file, uint64_t offset);

/* UNIT's DIEs, for a reader that stands at its first; empty where they cannot
 * be read. */
struct reader unit_dies(struct unit *unit);

/* The attributes that R is at, of a DIE that ABBREV is of. */
void unit_read_die(const struct unit *unit, struct reader *r,
		   const struct abbrev *abbrev, struct die *out);
/* Passes over them. */
void unit_skip_die(const struct unit *unit, struct reader *r,
		   const struct abbrev *abbrev);

/* What the DIE at OFFSET of UNIT is, with *R_OUT at its attributes; NULL where
 * there is none, or the end of a list of children. */
const struct abbrev *unit_abbrev_at(struct unit *unit, uint64_t offset,
				    struct reader *r_out);

/* Read the DIE at OFFSET. False where there is none that makes sense. */
bool unit_die(struct unit *unit, uint64_t offset, struct die *out);

/* What an attribute stands for; false, or NULL, where it stands for nothing of
 * that kind. Texts are the file's; one that is too long is none. */
const char *unit_string(const struct unit *unit, const struct attr *attr);
bool unit_address(const struct unit *unit, const struct attr *attr,
		  uint64_t *out);
bool unit_reference(const struct unit *unit, const struct attr *attr,
		    struct die_ref *out);

/* Entry INDEX of a table of SIZE-byte numbers at BASE of SECTION. */
bool unit_table_entry(struct reader section, uint64_t base, uint64_t index,
		      int size, uint64_t *out);

/* The unit that has UNIT's addresses: itself, or its skeleton. */
static inline const struct unit *unit_holder(const struct unit *unit)
{
	return unit->skeleton ? unit->skeleton : unit;
}

#endif
