/* What an index says, as text. */
#ifndef EPITAPH_TESTS_UNIT_INDEX_SAYS_H
#define EPITAPH_TESTS_UNIT_INDEX_SAYS_H

#include "../../symbolizer/index/index.h"
#include "test.h"

enum { SAYS_LEVELS = 16 };

/* The answer at ADDRESS in OUT, innermost first: "f a.c:3 < main b.c:10~", of
 * which ~ is for approximate. */
static inline const char *index_says(struct index *index, uint64_t address,
				     char *out, size_t cap)
{
	struct level levels[SAYS_LEVELS];
	size_t n = index_levels(index, address, levels, SAYS_LEVELS), len = 0;

	out[0] = '\0';
	for (size_t i = 0; i < n && len < cap; i++)
		len += (size_t)snprintf(
			out + len, cap - len, "%s%s %s:%u%s",
			i > 0 ? " < " : "",
			levels[i].function ? levels[i].function : "?",
			levels[i].file ? levels[i].file : "?", levels[i].line,
			levels[i].approximate ? "~" : "");
	return out;
}

static inline void check_at(struct index *index, uint64_t address,
			    const char *wanted)
{
	char text[512];

	if (!CHECK_STRING(index_says(index, address, text, sizeof(text)),
			  wanted))
		printf("# at %#" PRIx64 "\n", address);
}

#endif
