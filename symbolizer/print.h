/* A symbolized report as contract.md's JSON, and that JSON as text for people:
 * one document, whether it was made here or came from a collector. What came
 * from outside is escaped here: a name cannot drive the terminal. */
#ifndef EPITAPH_SYMBOLIZER_PRINT_H
#define EPITAPH_SYMBOLIZER_PRINT_H

#include <stdbool.h>
#include <stdio.h>

#include <jansson.h>

#include "symbolize.h"

/* contract.md's `symbolize --json` document; the caller owns it. NULL without
 * memory. */
json_t *print_report_json(const struct report *report,
			  const struct symbolized *symbolized);

/* Its "threads" (and one of them) and its "modules", for `epitaph stack`. */
json_t *print_thread_json(const struct report *report,
			  const struct symbolized *symbolized,
			  const struct thread *thread);
json_t *print_threads_json(const struct report *report,
			   const struct symbolized *symbolized);
json_t *print_modules_json(const struct report *report,
			   const struct symbolized *symbolized);

/* A string that may not be UTF-8: what is not becomes U+FFFD. NULL is null. */
json_t *print_json_text(const char *text);

struct print_style {
	bool color;
	bool all_threads; /* false: the crashing one */
};

/* Header and stacks of DOCUMENT, which may be anybody's: what is missing or of
 * another type is left out. */
void print_report_text(FILE *to, const json_t *document,
		       const struct print_style *style);

/* "thread 12 (name), crashed" and its frames. */
void print_thread_text(FILE *to, const struct report *report,
		       const struct symbolized *symbolized,
		       const struct thread *thread,
		       const struct print_style *style);

/* "no symbols for ..." for each of DOCUMENT's modules, loaded or not, that a
 * frame of its threads is in and whose symbols are missing. */
void print_missing_text(FILE *to, const json_t *document);

/* TEXT with control characters and broken UTF-8 as \xNN. */
void print_escaped(FILE *to, const char *text);

#endif
