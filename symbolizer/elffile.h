/* One ELF file, opened and known for what it is. Process: the child that can
 * be lost. */
#ifndef EPITAPH_SYMBOLIZER_ELFFILE_H
#define EPITAPH_SYMBOLIZER_ELFFILE_H

#include <stdbool.h>
#include <stdint.h>

#include <gelf.h>

#include "../lib/report/report.h"

struct elf_file {
	Elf *elf;
	int fd;     /* -1 for an image in memory, or nothing open */
	char *path; /* malloc'd */
	struct build_id build_id;
	bool has_code;  /* a binary, not just its debug information */
	bool has_dwarf; /* .debug_info */
	bool has_symtab;
	bool is_go; /* some of it is Go's */
};

/* Open PATH, a regular file. *OUT is for elf_file_close(). */
bool elf_file_open(const char *path, struct elf_file *out, struct error *err);

/* The same for an image of LEN bytes that stays where it is. */
bool elf_file_memory(const char *name, void *image, size_t len,
		     struct elf_file *out, struct error *err);

#define ELF_FILE_NONE ((struct elf_file){ .fd = -1 })

/* FILE is ELF_FILE_NONE afterwards; it may be that before, too. */
void elf_file_close(struct elf_file *file);

/* The address that file offset 0 has in FILE's own numbering: what is added to
 * a module offset to get the address that symbols and DWARF speak of. */
uint64_t elf_file_base(const struct elf_file *file);

/* Contents of the section NAME as they lie in the file; NULL if there is none
 * or it has none. Borrowed. */
const void *elf_file_section(const struct elf_file *file, const char *name,
			     size_t *len_out);

/* Where the section NAME begins, in FILE's own numbering. */
bool elf_file_section_address(const struct elf_file *file, const char *name,
			      uint64_t *address_out);

#endif
