/* What the addresses of an ELF file hold once it is loaded: the bytes of its
 * segments, and pointers as relocation leaves them. Process: the child that can
 * be lost. */
#ifndef EPITAPH_SYMBOLIZER_LOADED_H
#define EPITAPH_SYMBOLIZER_LOADED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../lib/report/bytes.h"
#include "elffile.h"

enum { LOADED_MAX_SEGMENTS = 32 }; /* linkers make four to twelve */

struct segment {
	uint64_t address;    /* of the file's own numbering */
	struct reader bytes; /* that the file has of it */
	bool is_code;
};

struct loaded {
	struct segment segments[LOADED_MAX_SEGMENTS];
	size_t nsegments;
	struct reader relocations; /* Elf64_Rela; empty: there are none */
	uint32_t relative;         /* type of those that add where it is */
};

/* False where FILE, which must outlive *OUT, is not of 64 bits and little
 * endian, or has no segments. */
bool loaded_init(const struct elf_file *file, struct loaded *out);

/* The segment that holds ADDRESS, or NULL. */
const struct segment *loaded_segment(const struct loaded *loaded,
				     uint64_t address);

/* What is there from ADDRESS to the end of its segment; bad where nothing
 * is. */
struct reader loaded_at(const struct loaded *loaded, uint64_t address);

/* The pointer at ADDRESS. Linear in the number of relocations. */
bool loaded_pointer(const struct loaded *loaded, uint64_t address,
		    uint64_t *value_out);

/* Addresses of aligned pointers to VALUE, outside of code, at most MAX; their
 * number. Looks at all of the file. */
size_t loaded_find(const struct loaded *loaded, uint64_t value,
		   uint64_t *addresses_out, size_t max);

#endif
