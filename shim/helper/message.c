/* What libc said before it gave up: assert, malloc corruption, fortify, stack
 * smashing and fatal errors of libc leave their text at __abort_msg (glibc,
 * version GLIBC_PRIVATE), which is looked up in the dead process's libc by its
 * own hash table. Nothing read here is trusted: it may point anywhere. */
#include <elf.h>
#include <string.h>

#include "../../lib/report/bytes.h"
#include "crash.h"

enum {
	MAX_HEADERS = 64,
	MAX_DYNAMIC = 256,
	MAX_CHAIN = 1024,
	MAX_MESSAGE = 1024,
	DYNAMIC_SIZE = 16, /* of an Elf64_Dyn, */
	SYMBOL_SIZE = 24,  /* and an Elf64_Sym */
};

static const char wanted[] = "__abort_msg";

/* Tables of the module, by address. */
struct tables {
	uint64_t symbols, strings, hash;
};

static uint64_t read_u64(struct crash *crash, uint64_t address)
{
	uint8_t bytes[8];
	struct reader r;

	reader_init(&r, bytes, crash_read(crash, address, bytes, 8));
	return reader_u64(&r);
}

static uint32_t read_u32(struct crash *crash, uint64_t address)
{
	uint8_t bytes[4];
	struct reader r;

	reader_init(&r, bytes, crash_read(crash, address, bytes, 4));
	return reader_u32(&r);
}

/* Where the dynamic section of MODULE is; 0 if it has none. */
static uint64_t find_dynamic(struct crash *crash, const struct module *module)
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
	return dynamic ? module->base + dynamic - (first & ~4095ull) : 0;
}

/* glibc's linker has made these pointers absolute. */
static struct tables read_tables(struct crash *crash, uint64_t dynamic)
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
		if (tag == DT_SYMTAB)
			tables.symbols = value;
		else if (tag == DT_STRTAB)
			tables.strings = value;
		else if (tag == DT_GNU_HASH)
			tables.hash = value;
	}
	return tables;
}

static bool is_wanted(struct crash *crash, const struct tables *tables,
		      uint32_t symbol)
{
	uint32_t name = read_u32(crash, tables->symbols +
				 (uint64_t)symbol * SYMBOL_SIZE);
	char text[sizeof(wanted)];

	return crash_read(crash, tables->strings + name, text,
			  sizeof(text)) == sizeof(text) &&
	       memcmp(text, wanted, sizeof(text)) == 0;
}

/* Index of the wanted symbol by DT_GNU_HASH, 0 if it is not there. */
static uint32_t find_symbol(struct crash *crash, const struct tables *tables)
{
	uint32_t nbuckets = read_u32(crash, tables->hash);
	uint32_t first = read_u32(crash, tables->hash + 4);
	uint32_t bloom = read_u32(crash, tables->hash + 8);
	uint64_t buckets = tables->hash + 16 + 8ull * bloom;
	uint64_t chains = buckets + 4ull * nbuckets;
	uint32_t hash = 5381, symbol;

	for (const char *at = wanted; *at; at++)
		hash = hash * 33 + (uint8_t)*at;
	if (!nbuckets)
		return 0;
	symbol = read_u32(crash, buckets + 4ull * (hash % nbuckets));
	for (int i = 0; i < MAX_CHAIN && symbol >= first && symbol; i++) {
		uint32_t link =
			read_u32(crash, chains + 4ull * (symbol - first));

		if ((link | 1) == (hash | 1) &&
		    is_wanted(crash, tables, symbol))
			return symbol;
		if (link & 1)
			break;
		symbol++;
	}
	return 0;
}

static bool is_libc(const char *path)
{
	const char *name = path ? strrchr(path, '/') : NULL;

	return name && (strncmp(name, "/libc.so.", 9) == 0 ||
			strncmp(name, "/libc-2.", 8) == 0);
}

static const char *message_in(struct crash *crash, struct report *report,
			      const struct module *module)
{
	uint64_t dynamic = find_dynamic(crash, module);
	struct tables tables;
	char text[MAX_MESSAGE];
	uint64_t value, message;
	uint32_t symbol;
	size_t len;

	if (!dynamic)
		return NULL;
	tables = read_tables(crash, dynamic);
	symbol = find_symbol(crash, &tables);
	if (!symbol)
		return NULL;
	value = read_u64(crash, tables.symbols +
			 (uint64_t)symbol * SYMBOL_SIZE + 8);
	message = read_u64(crash, module->base + value);
	if (!message)
		return NULL;
	/* struct abort_msg_s: its size, then the text. */
	len = crash_read(crash, message + 4, text, sizeof(text));
	len = strnlen(text, len);
	while (len && text[len - 1] == '\n')
		len--;
	return len ? report_string(report, text, len) : NULL;
}

const char *crash_message(struct crash *crash, struct report *report)
{
	for (size_t i = 0; i < report->nmodules; i++) {
		if (is_libc(report->modules[i].path))
			return message_in(crash, report, &report->modules[i]);
	}
	return NULL;
}
