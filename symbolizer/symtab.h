/* ELF symbols by address. Process: the child that can be lost. */
#ifndef EPITAPH_SYMBOLIZER_SYMTAB_H
#define EPITAPH_SYMBOLIZER_SYMTAB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "elffile.h"

enum {
	SYMTAB_RANK_LOCAL = 16, /* and above: not exported */
	SYMTAB_RANK_STUB = 31,  /* a stub that jumps to the function */
};

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
	void *minidebug; /* unpacked .gnu_debugdata, or NULL */
	struct elf_file minidebug_file;
};

/* Add the functions of FILE's symbol table and dynamic symbols, and of its
 * .gnu_debugdata. Names are borrowed: FILE must stay open. */
void symtab_add(struct symtab *symtab, const struct elf_file *file);

/* Sort; once, after the last symtab_add(). */
void symtab_finish(struct symtab *symtab);

void symtab_fini(struct symtab *symtab);

#endif
