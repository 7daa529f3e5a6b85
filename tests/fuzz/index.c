/* libFuzzer's way into an index, past its checksums, and back out as a symbol
 * file: of the input two bytes say
 * how many of the rest are before the strings, which begin at a chunk. */
#include "../../symbolizer/index/index.h"
#include "../../symbolizer/symwrite.h"
#include "../unit/index_repair.h"
#include "fuzz.h"

#include <stdlib.h>
#include <string.h>

enum { INDEX_LEVELS = 8, INDEX_AT = 0x1000, INDEX_LEN = 0x100, INDEX_FEW = 8 };

static void ask_index(struct index *index, uint64_t address)
{
	struct level levels[INDEX_LEVELS];
	struct index_symbol symbol;
	struct index_tail tails[INDEX_FEW];
	struct index_alias aliases[INDEX_MAX_ALIASES];
	uint64_t at;
	size_t n = index_levels(index, address, levels, INDEX_LEVELS);

	for (size_t i = 0; i < n; i++)
		if ((levels[i].function && !*levels[i].function) ||
		    levels[i].line > INT32_MAX)
			abort();
	if (index_symbol(index, address, &symbol) && !symbol.name)
		abort();
	index_entry(index, address, &at);
	index_call(index, address, &at);
	index_tails(index, address, tails, INDEX_FEW);
	n = index_aliases(index, address, aliases);
	for (size_t i = 0; i < n; i++)
		if (!*aliases[i].name)
			abort();
}

/* All of it, as a symbol file. */
static void write_index(struct index *index)
{
	const struct sym_id id = { .age = 0 };
	struct symrules_left left = { 0 };
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);

	if (!out || !symwrite(index, &id, "fuzz", out, &left, NULL))
		abort();
	fclose(out);
	if (strncmp(text, "MODULE ", 7) != 0)
		abort();
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t tables = size < 2 ? 0 : (size_t)data[0] | (size_t)data[1] << 8;
	uint8_t *bytes;
	struct index *index;

	if (tables > INDEX_CHUNK || size < 2 + tables + 2 * sizeof(uint32_t))
		return 0;
	size -= 2 + tables;
	bytes = calloc(1, INDEX_CHUNK + size);
	memcpy(bytes, data + 2, tables);
	memcpy(bytes + INDEX_CHUNK, data + 2 + tables, size);
	index_repair(bytes, INDEX_CHUNK + size);
	index = index_memory(bytes, INDEX_CHUNK + size, NULL);
	for (uint64_t at = 0; index && at < INDEX_LEN; at++)
		ask_index(index, INDEX_AT + at);
	if (index) {
		ask_index(index, UINT64_MAX);
		write_index(index);
	}
	index_close(index);
	free(bytes);
	return 0;
}
