/* Breakpad's symbol files: one module's functions, lines, inlined calls and
 * rules to unwind by, as text (docs/symbol_files.md of Breakpad). This reads
 * the text; index/from_sym.h tells an index of the names in it, and symframes.h
 * makes CFI of the rules. Process: the child that can be lost. */
#ifndef EPITAPH_SYMBOLIZER_SYM_H
#define EPITAPH_SYMBOLIZER_SYM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../lib/report/report.h"

enum {
	SYM_GUID = 16,      /* bytes */
	SYM_DEBUG_ID = 42,  /* of its text: 32 digits, at most 8, and a NUL */
	SYM_HEAD = 4096,    /* of a file, in which its records of identity lie:
	                     * they come first, and are short */
};
#define SYM_MAX_TEXT ((size_t)UINT32_MAX) /* Chromium's is 1 GB */

/* What dump_syms calls a function without a name. */
#define SYM_NO_NAME "<name omitted>"

/* Which build a file is of. */
struct sym_id {
	uint8_t guid[SYM_GUID]; /* a build-id's first bytes, or zeros behind a
	                         * shorter one */
	uint32_t age;           /* 0 but for Windows */
	struct build_id code;   /* all of the build-id, if it says so */
};

/* A piece of the text, not ended by a NUL. Names are cut at MAX_STRING. */
struct sym_text {
	uint32_t at, len;
};

/* Addresses count from the module's base. A file has none above 4 GiB. */

struct sym_function {
	uint32_t address, size;
	struct sym_text name;
	uint32_t line, nlines;      /* its first of the lines, and how many */
	uint32_t inlined, ninlines; /* and of the inlined ranges */
	bool folded; /* others have the same code */
};

struct sym_line {
	uint32_t address, size;
	uint32_t line; /* 0: of none */
	uint32_t file; /* a number of sym.files */
};

#define SYM_NO_FILE UINT32_MAX

/* A range of code that was inlined. One call may have several. */
struct sym_inline {
	uint32_t address, size;
	uint32_t depth;     /* 0: into the function itself */
	uint32_t origin;    /* a number of sym.origins */
	uint32_t call_line;
	uint32_t call_file; /* a number of sym.files; SYM_NO_FILE in an old
	                     * file, which does not say */
	uint32_t call;      /* its number, below sym.ncalls */
};

/* A function without a size. */
struct sym_public {
	uint32_t address;
	struct sym_text name;
	bool folded;
};

/* A number that records refer to, and what it stands for. */
struct sym_entry {
	uint32_t number;
	struct sym_text text;
};

/* STACK CFI. What begins a function's has a size; what has none changes the
 * rules of the one before it from its address on. */
struct sym_rule {
	uint32_t address, size;
	uint32_t number; /* of its line */
	struct sym_text rules;
};

/* A line that makes no sense is left out. */
struct sym_trouble {
	size_t n;
	size_t first;    /* number of the first, from 1 */
	const char *why; /* static text about the first; NULL where n is 0 */
};

enum { SYM_TROUBLE = 256 }; /* bytes of a sentence about it */

/* Everything is in the order in which it is looked up. */
struct sym {
	const char *text;
	struct sym_function *functions; /* by address, none in another */
	size_t nfunctions;
	struct sym_line *lines; /* of one function by address */
	size_t nlines;
	struct sym_inline *inlines; /* of one function by depth, address */
	size_t ninlines, ncalls;
	struct sym_public *publics; /* by address */
	size_t npublics;
	struct sym_entry *files, *origins; /* by number */
	size_t nfiles, norigins;
	struct sym_rule *rules; /* as in the file */
	size_t nrules;
	struct sym_trouble trouble;
};

/* What is to be read; the other lines are skipped and not even checked. */
enum sym_part { SYM_NAMES, SYM_RULES };

/* Read PART of TEXT, LEN bytes that nobody vouches for and that must outlive
 * *OUT, which is for sym_free(). Time and memory are in proportion to LEN.
 * False without memory, or where LEN is above SYM_MAX_TEXT. */
bool sym_parse(const char *text, size_t len, enum sym_part part,
	       struct sym *out, struct error *err);
void sym_free(struct sym *sym);

void sym_add_trouble(struct sym_trouble *trouble, size_t line,
		     const char *why);
/* "" where there is none. */
void sym_say_trouble(const struct sym_trouble *trouble,
		     char text_out[SYM_TROUBLE]);

/* Copy TEXT to *TO, end it with a NUL, and leave *TO behind that. NULL, and
 * nothing is copied, where it is empty. */
const char *sym_copy(const struct sym *sym, struct sym_text text, char **to);

/* What TEXT, the first LEN bytes of a file, says of its identity. False where
 * it does not begin as such a file does. */
bool sym_read_id(const char *text, size_t len, struct sym_id *out);

/* The module's name, of TEXT as for sym_read_id(), as a name that a file could
 * have. False where it is none. */
bool sym_read_name(const char *text, size_t len, char *out, size_t cap);

/* True where a file with the identity HAS is one for a module with the
 * build-id WANTED. */
bool sym_id_matches(const struct build_id *wanted, const struct sym_id *has);

/* The identity of a module with the build-id BUILD_ID. */
void sym_id_of(const struct build_id *build_id, struct sym_id *out);

/* What Breakpad calls the debug id of a module, as its files and the paths in
 * its stores have it. */
void sym_debug_id(const struct sym_id *id, char text_out[SYM_DEBUG_ID]);

/* What rules are made of: postfix expressions, each behind the name of what it
 * is for. */
enum sym_token_kind { SYM_TARGET, SYM_NAME, SYM_NUMBER, SYM_OPERATOR };

enum { SYM_MAX_NAME = 8 }; /* of a register, ".undef" and so on */

struct sym_token {
	enum sym_token_kind kind;
	char name[SYM_MAX_NAME]; /* of a target or a name: without a $ or
	                          * colon; "" where it is too long for one */
	int64_t number;
	char operator;
};

/* The next token of *LEFT, a piece of TEXT that is shortened by it. False
 * where there is none. */
bool sym_next_token(const char *text, struct sym_text *left,
		    struct sym_token *out);

#endif
