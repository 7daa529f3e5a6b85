/* Symbols that the modules of the dead process export, looked up in its memory
 * by their own hash tables. Nothing read here is trusted: it may point
 * anywhere. */
#include <elf.h>
#include <string.h>

#include "../../lib/report/bytes.h"
#include "crash.h"

enum {
	MAX_HEADERS = 64,
	MAX_DYNAMIC = 256,
	MAX_CHAIN = 1024,
	MAX_NAME = 64,
	DYNAMIC_SIZE = 16, /* of an Elf64_Dyn, */
	SYMBOL_SIZE = 24,  /* and an Elf64_Sym */
};

/* Tables of a module, by address. */
struct tables {
	uint64_t symbols, strings, hash;
};

uint64_t crash_read_u64(struct crash *crash, uint64_t address)
{
	uint8_t bytes[8];
	struct reader r;

	reader_init(&r, bytes, crash_read(crash, address, bytes, 8));
	return reader_u64(&r);
}

uint32_t crash_read_u32(struct crash *crash, uint64_t address)
{
	uint8_t bytes[4];
	struct reader r;

	reader_init(&r, bytes, crash_read(crash, address, bytes, 4));
	return reader_u32(&r);
}

/* Where the dynamic section of MODULE is, and what its addresses are relative
 * to; 0 if it has none. */
static uint64_t find_dynamic(struct crash *crash, const struct module *module,
			     uint64_t *bias_out)
{
	uint8_t bytes[64 + MAX_HEADERS * 56];
	struct reader r;
	uint16_t count;
	uint64_t first = UINT64_MAX, dynamic = 0;

	reader_init(&r, bytes,
		    crash_read(crash, module->base, bytes, sizeof(bytes)));
	reader_skip(&r, 56);
	count = reader_u16(&r);
	r.pos = r.bad ? r.pos : 64; /* where every linker puts the headers */
	for (uint16_t i = 0; i < count && i < MAX_HEADERS && !r.bad; i++) {
		uint32_t type = reader_u32(&r);
		uint64_t address;

		reader_skip(&r, 12);
		address = reader_u64(&r);
		reader_skip(&r, 32);
		if (type == PT_LOAD && address < first)
			first = address;
		if (type == PT_DYNAMIC && !r.bad)
			dynamic = address;
	}
	*bias_out = module->base - (first & ~4095ull);
	return dynamic ? *bias_out + dynamic : 0;
}

/* glibc's linker has made these pointers absolute, musl's has not. */
static struct tables read_tables(struct crash *crash, uint64_t dynamic,
				 uint64_t bias)
{
	uint8_t bytes[MAX_DYNAMIC * DYNAMIC_SIZE];
	struct tables tables = { 0 };
	struct reader r;

	reader_init(&r, bytes,
		    crash_read(crash, dynamic, bytes, sizeof(bytes)));
	while (!r.bad) {
		uint64_t tag = reader_u64(&r), value = reader_u64(&r);

		if (tag == DT_NULL)
			break;
		if (value < bias)
			value += bias;
		if (tag == DT_SYMTAB)
			tables.symbols = value;
		else if (tag == DT_STRTAB)
			tables.strings = value;
		else if (tag == DT_GNU_HASH)
			tables.hash = value;
	}
	return tables;
}

static bool is_named(struct crash *crash, const struct tables *tables,
		     uint64_t symbol, const char *name)
{
	uint32_t at = crash_read_u32(crash, symbol);
	char text[MAX_NAME];
	size_t size = strlen(name) + 1;

	return size <= sizeof(text) &&
	       crash_read(crash, tables->strings + at, text, size) == size &&
	       memcmp(text, name, size) == 0;
}

/* Address of the entry for NAME by DT_GNU_HASH, 0 if it is not there. */
static uint64_t find_symbol(struct crash *crash, const struct tables *tables,
			    const char *name)
{
	uint32_t nbuckets = crash_read_u32(crash, tables->hash);
	uint32_t first = crash_read_u32(crash, tables->hash + 4);
	uint32_t bloom = crash_read_u32(crash, tables->hash + 8);
	uint64_t buckets = tables->hash + 16 + 8ull * bloom;
	uint64_t chains = buckets + 4ull * nbuckets;
	uint32_t hash = 5381, symbol;

	for (const char *at = name; *at; at++)
		hash = hash * 33 + (uint8_t)*at;
	if (!nbuckets)
		return 0;
	symbol = crash_read_u32(crash, buckets + 4ull * (hash % nbuckets));
	for (int i = 0; i < MAX_CHAIN && symbol >= first && symbol; i++) {
		uint32_t link = crash_read_u32(crash, chains +
						      4ull * (symbol - first));
		uint64_t at = tables->symbols + (uint64_t)symbol * SYMBOL_SIZE;

		if ((link | 1) == (hash | 1) &&
		    is_named(crash, tables, at, name))
			return at;
		if (link & 1)
			break;
		symbol++;
	}
	return 0;
}

bool crash_symbol(struct crash *crash, const struct module *module,
		  const char *name, struct exported *out)
{
	uint64_t bias, dynamic = find_dynamic(crash, module, &bias), at;
	struct tables tables;

	if (!dynamic)
		return false;
	tables = read_tables(crash, dynamic, bias);
	at = tables.hash ? find_symbol(crash, &tables, name) : 0;
	if (!at)
		return false;
	out->address = bias + crash_read_u64(crash, at + 8);
	out->size = crash_read_u64(crash, at + 16);
	return true;
}
