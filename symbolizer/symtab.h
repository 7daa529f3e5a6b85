/* ELF symbols by address. Process: the child that can be lost. */
#ifndef EPITAPH_SYMBOLIZER_SYMTAB_H
#define EPITAPH_SYMBOLIZER_SYMTAB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "elffile.h"

struct symbol {
	uint64_t start;
	uint64_t end;        /* without a size: where the next begins, or
	                      * its section ends */
	const char *name;    /* in the file's string table */
	const char *file;    /* that a local one is of, or NULL */
	uint16_t section;
	unsigned char rank;  /* smaller is the better name */
	bool sized;
};

struct symtab {
	struct symbol *symbols; /* by start, then rank */
	size_t len;
	uint64_t *reach; /* reach[i]: the largest end of symbols[0..i] */
	void *minidebug; /* unpacked .gnu_debugdata, or NULL */
	struct elf_file minidebug_file;
};

/* Add the functions of FILE's symbol table and dynamic symbols, and of its
 * .gnu_debugdata. Names are borrowed: FILE must stay open. */
void symtab_add(struct symtab *symtab, const struct elf_file *file);

/* Sort; once, after the last symtab_add(). */
void symtab_finish(struct symtab *symtab);

/* The function at ADDRESS, or NULL. One with a size that holds ADDRESS beats
 * one without; the innermost beats the one around it; at one address global
 * beats weak beats local. */
const struct symbol *symtab_find(const struct symtab *symtab,
				 uint64_t address);

/* Where the function NAME begins, the exported one where several have the
 * name. False where none has it, or several do and it is not clear which is
 * meant. Looks at all symbols. */
bool symtab_find_name(const struct symtab *symtab, const char *name,
		      uint64_t *start_out);

void symtab_fini(struct symtab *symtab);

#endif
