/* Go's table of functions, which its runtime needs for its own stack traces:
 * src/runtime/symtab.go and src/debug/gosym of Go describe it, and
 * golang.org/s/go12symtab how it began. Runs in the process that can be lost;
 * trusts nothing in the table. Offsets are looked at in readers alone, and what
 * is followed in a loop gets shorter or is counted.
 *
 * It has a header, an index of functions by address, and for each function a
 * record: its name, and tables that give file, line and inlined call for each
 * range of its code. A function's calls that were inlined are in a tree of its
 * own outside of the table, below the address "go.func.*", which only the
 * runtime's module data knows. */
#include "gopclntab.h"

#include <stdlib.h>
#include <string.h>

#include "loaded.h"

enum {
	WORD = 8,            /* bytes of a pointer */
	MAX_STEPS = 1 << 20, /* of a function's table: more than a MiB of code
	                      * takes */
	MAX_VARINT = 5,      /* bytes of a number of 32 bits */
	MAX_TEXT = 1 << 16,  /* bytes of a name that is shown */
	MAX_TRIES = 16,      /* headers that look right; one is usual */
	MAX_MODULES_SEEN = 16, /* and the same of module data */
};

/* Offsets in what differs little between the versions. */
enum {
	TEXT_START = 8 + 2 * WORD, /* header: what addresses count from */
	AT_NAME = 0, /* record of a function, behind its address */
	AT_FILES = 16,
	AT_LINES = 20,
	AT_NTABLES = 24,
	AT_UNIT = 28,
	MODULE_NAMES = 8, /* module data */
	MODULE_UNITS = 32,
	MODULE_TEXT = 176,
};

/* Numbers of a function's own tables and data. */
enum {
	PCDATA_INLINED = 2,
	FUNCDATA_TREE = 3,
};

#define NOTHING UINT32_MAX /* an offset that leads nowhere */

/* What differs. Between Go 1.2 and 1.17 the trees of inlined calls moved and
 * changed while the magic stayed, so those are not read. */
struct format {
	uint32_t magic;
	uint8_t entry_len;  /* of each half of an entry of the index, and of
	                     * the address that begins a record */
	uint8_t record_len; /* to the lists of tables and data */
	bool has_parts;     /* the header says where names, files, ... are */
	bool has_text;      /* and what addresses count from */
	uint8_t call_len;   /* of a call in the tree; 0: they are not read */
	uint8_t call_name, call_from;
	uint8_t call_pad, call_pad_len; /* zeros in it */
	uint16_t module_trees;
};

static const struct format formats[] = {
	/* Go 1.2, 1.16, 1.18 and 1.20 */
	{ .magic = 0xfffffffb, .entry_len = 8, .record_len = 40 },
	{ .magic = 0xfffffffa, .entry_len = 8, .record_len = 44,
	  .has_parts = true },
	{ .magic = 0xfffffff0, .entry_len = 4, .record_len = 40,
	  .has_parts = true, .has_text = true, .call_len = 20,
	  .call_name = 12, .call_from = 16, .call_pad = 3, .call_pad_len = 1,
	  .module_trees = 304 },
	{ .magic = 0xfffffff1, .entry_len = 4, .record_len = 44,
	  .has_parts = true, .has_text = true, .call_len = 16,
	  .call_name = 4, .call_from = 8, .call_pad = 1, .call_pad_len = 3,
	  .module_trees = 320 },
};

struct gopclntab {
	struct loaded loaded;
	const struct format *format;
	uint64_t address; /* of the table */
	uint8_t quantum;  /* bytes that a step over code counts in */
	uint64_t text;    /* what the index counts from */
	uint64_t trees;   /* go.func.*; 0: not known */
	size_t len;       /* functions */
	unsigned tries;   /* of headers, while it is looked for */
	/* Each from where it begins to the end of the table. */
	struct reader all, index, records, names, units, files, values;
};

struct function {
	uint64_t entry, end;
	const char *name;
	uint32_t files, lines; /* offsets of tables; 0: it has none */
	uint32_t inlined;      /* and of the one with numbers of calls */
	uint32_t unit;         /* where its files begin in that list */
	struct reader tree;    /* bad: it has none */
};

/* Reading */

/* OF from OFFSET on. */
static struct reader from(const struct reader *of, uint64_t offset)
{
	struct reader copy = *of;

	return reader_at(&copy, offset,
			 offset < of->len ? of->len - offset : 0);
}

/* 0 where there are no four bytes. */
static uint32_t number_at(const struct reader *of, uint64_t offset)
{
	struct reader r = from(of, offset);

	return reader_u32(&r);
}

/* The text that ends with a NUL; NULL where none is, or an empty one. */
static const char *text_at(const struct reader *of, uint64_t offset)
{
	struct reader r = from(of, offset);
	size_t left = reader_left(&r) < MAX_TEXT ? reader_left(&r) : MAX_TEXT;
	const char *text = (const char *)reader_take(&r, left);
	size_t len = text ? strnlen(text, left) : 0;

	return len > 0 && len < left ? text : NULL;
}

static uint32_t varint(struct reader *r)
{
	uint32_t value = 0;

	for (unsigned i = 0; i < MAX_VARINT; i++) {
		uint8_t byte = reader_u8(r);

		value |= (uint32_t)(byte & 0x7f) << 7 * i;
		if (byte < 0x80)
			return value;
	}
	r->bad = true;
	return 0;
}

/* What the table at OFFSET, of a function that begins at ENTRY, says of
 * ADDRESS; -1 where that is nothing. Each step has a difference of the value,
 * and how far that value reaches. */
static int32_t value_at(const struct gopclntab *table, uint32_t offset,
			uint64_t entry, uint64_t address)
{
	struct reader r = from(&table->values, offset);
	uint64_t reached = entry;
	uint32_t value = UINT32_MAX;

	for (unsigned i = 0; offset != 0 && i < MAX_STEPS; i++) {
		uint32_t difference = varint(&r);
		uint64_t distance = varint(&r);

		if (r.bad || (difference == 0 && i > 0))
			break;
		value += difference & 1 ? ~(difference >> 1) : difference >> 1;
		reached += distance * table->quantum;
		if (address < reached)
			return (int32_t)value;
	}
	return -1;
}

/* Functions */

/* Where function NUMBER begins; for the number behind the last, where that
 * ends. */
static uint64_t entry_of(const struct gopclntab *table, size_t number)
{
	size_t len = table->format->entry_len;
	struct reader r = from(&table->index, 2 * len * number);

	return len == WORD ? reader_u64(&r) : reader_u32(&r) + table->text;
}

static uint64_t record_of(const struct gopclntab *table, size_t number)
{
	size_t len = table->format->entry_len;
	struct reader r = from(&table->index, 2 * len * number + len);

	return len == WORD ? reader_u64(&r) : reader_u32(&r);
}

/* The number of the function at ADDRESS. */
static bool find_function(const struct gopclntab *table, uint64_t address,
			  size_t *number_out)
{
	size_t low = 0, high = table->len;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (entry_of(table, middle) <= address)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == 0 || address >= entry_of(table, low))
		return false;
	*number_out = low - 1;
	return true;
}

/* The tree of the function RECORD, and the table with the place in it: both are
 * in lists behind what all functions have, of which the last byte is the length
 * of the second. */
static void find_tree(const struct gopclntab *table,
		      const struct reader *record, struct function *out)
{
	const struct format *format = table->format;
	uint64_t ntables = number_at(record, format->entry_len + AT_NTABLES);
	uint64_t data = format->record_len + 4 * ntables;
	struct reader ndata = from(record, format->record_len - 1u);
	uint32_t offset;

	if (table->trees == 0 || ntables <= PCDATA_INLINED ||
	    reader_u8(&ndata) <= FUNCDATA_TREE ||
	    data + 4 * (FUNCDATA_TREE + 1) > record->len)
		return;
	offset = number_at(record, data + 4 * FUNCDATA_TREE);
	if (offset == NOTHING)
		return;
	out->inlined = number_at(record, format->record_len +
					 4 * PCDATA_INLINED);
	out->tree = loaded_at(&table->loaded, table->trees + offset);
}

static bool read_function(const struct gopclntab *table, size_t number,
			  struct function *out)
{
	const struct format *format = table->format;
	struct reader record = from(&table->records, record_of(table, number));
	size_t at = format->entry_len;
	uint32_t name;

	if (reader_left(&record) < format->record_len)
		return false;
	memset(out, 0, sizeof(*out));
	out->entry = entry_of(table, number);
	out->end = entry_of(table, number + 1);
	name = number_at(&record, at + AT_NAME);
	if (name > 0 || format->has_parts)
		out->name = text_at(&table->names, name);
	out->files = number_at(&record, at + AT_FILES);
	out->lines = number_at(&record, at + AT_LINES);
	if (format->has_parts)
		out->unit = number_at(&record, at + AT_UNIT);
	out->tree.bad = true;
	if (format->call_len > 0)
		find_tree(table, &record, out);
	return out->name != NULL;
}

/* Where code is from */

/* The file that FUNCTION calls by NUMBER: that counts from the first of its
 * unit, or, before Go 1.16, from the first of all, which is none. */
static const char *file_of(const struct gopclntab *table,
			   const struct function *function, int32_t number)
{
	uint64_t at = (uint64_t)function->unit + (uint32_t)number;
	struct reader r;
	uint32_t offset;

	if (!table->format->has_parts)
		return number > 0 ? text_at(&table->all,
					    number_at(&table->files, 4 * at))
				  : NULL;
	if (number < 0 || function->unit == NOTHING)
		return NULL;
	r = from(&table->units, 4 * at);
	offset = reader_u32(&r);
	return r.bad || offset == NOTHING ? NULL
					  : text_at(&table->files, offset);
}

static void set_place(const struct gopclntab *table,
		      const struct function *function, uint64_t address,
		      struct level *level)
{
	int32_t line = value_at(table, function->lines, function->entry,
				address);

	memset(level, 0, sizeof(*level));
	level->file = file_of(table, function,
			      value_at(table, function->files,
				       function->entry, address));
	if (level->file && line > 0)
		level->line = (uint32_t)line;
}

/* A call that was inlined. */
struct call {
	const char *name; /* of the called function */
	uint64_t from;    /* an address where the caller's own place is that of
	                   * the call */
};

/* The call NUMBER of FUNCTION's tree. Where the module data is not what it is
 * taken for, this reads anything: what is believed are only names that begin
 * where one can, and places inside of the function. */
static bool read_call(const struct gopclntab *table,
		      const struct function *function, int32_t number,
		      struct call *out)
{
	const struct format *format = table->format;
	struct reader call = from(&function->tree,
				  (uint64_t)format->call_len *
					  (uint32_t)number);
	uint32_t name = number_at(&call, format->call_name);
	struct reader before = from(&table->names, name > 0 ? name - 1 : 0);
	struct reader pad = from(&call, format->call_pad);

	if (reader_left(&call) < format->call_len ||
	    (name > 0 && (reader_u8(&before) != 0 || before.bad)))
		return false;
	for (unsigned i = 0; i < format->call_pad_len; i++)
		if (reader_u8(&pad) != 0)
			return false;
	out->name = text_at(&table->names, name);
	out->from = function->entry + number_at(&call, format->call_from);
	return out->name && out->from < function->end;
}

/* The calls that are inlined at ADDRESS of FUNCTION: innermost first, each a
 * level, and the place of the function itself in the last. Their number, or 0
 * where the tree makes no sense. A call is listed behind the one around it. */
static size_t inlined_levels(const struct gopclntab *table,
			     const struct function *function,
			     uint64_t address, struct level *levels,
			     size_t max)
{
	int32_t number = INT32_MAX, next;
	size_t n = 0;

	for (;;) {
		struct call call;

		set_place(table, function, address, &levels[n]);
		next = value_at(table, function->inlined, function->entry,
				address);
		if (next < 0)
			return n;
		if (next >= number || n + 1 == max ||
		    !read_call(table, function, next, &call))
			return 0;
		levels[n++].function = call.name;
		number = next;
		address = call.from;
	}
}

size_t gopclntab_levels(const struct gopclntab *table, uint64_t address,
			struct level *levels, size_t max)
{
	struct function function;
	size_t number, n = 0;

	if (max == 0 || !find_function(table, address, &number) ||
	    !read_function(table, number, &function))
		return 0;
	if (!function.tree.bad)
		n = inlined_levels(table, &function, address, levels, max);
	if (n == 0)
		set_place(table, &function, address, &levels[0]);
	levels[n].function = function.name;
	return n + 1;
}

/* Finding the table */

/* Where the parts are, of a header that R has read so far. */
static bool read_parts(struct gopclntab *table, struct reader *r)
{
	struct reader *const parts[] = {
		&table->names, &table->units, &table->files, &table->values,
		&table->records,
	};

	if (!table->format->has_parts) {
		table->names = table->values = table->records = table->all;
		table->index = from(&table->all, r->pos);
		return true;
	}
	reader_skip(r, WORD); /* number of files */
	if (table->format->has_text)
		reader_skip(r, WORD);
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		*parts[i] = from(&table->all, reader_u64(r));
		if (r->bad || parts[i]->bad)
			return false;
	}
	table->index = table->records;
	return true;
}

/* Before Go 1.16 what follows the index says where the files are. */
static void find_old_files(struct gopclntab *table)
{
	uint64_t end = (2ull * table->len + 1) * table->format->entry_len;

	table->files = from(&table->all, number_at(&table->index, end));
}

/* Whether there is a header at TABLE's address; then sets what it says. */
static bool read_header(struct gopclntab *table)
{
	struct reader r = table->all;
	uint32_t magic = reader_u32(&r);
	uint16_t zeros = reader_u16(&r);
	uint8_t word;
	uint64_t len;

	table->quantum = reader_u8(&r);
	word = reader_u8(&r);
	len = reader_u64(&r);
	table->format = NULL;
	for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++)
		if (formats[i].magic == magic)
			table->format = &formats[i];
	if (r.bad || !table->format || zeros != 0 || word != WORD ||
	    (table->quantum != 1 && table->quantum != 4) ||
	    !read_parts(table, &r) ||
	    len >= reader_left(&table->index) / table->format->entry_len / 2)
		return false;
	table->len = (size_t)len;
	if (!table->format->has_parts)
		find_old_files(table);
	return true;
}

static bool points_to(const struct loaded *loaded, uint64_t address,
		      uint64_t target)
{
	uint64_t value;

	return loaded_pointer(loaded, address, &value) && value == target;
}

/* The runtime's module data points to the header, and then to the parts that
 * the header itself says where they are. From it is known what addresses count
 * from, which since Go 1.26 the header does not say, and where the trees
 * are. */
static void use_module(struct gopclntab *table)
{
	const struct loaded *loaded = &table->loaded;
	uint64_t found[MAX_MODULES_SEEN];
	size_t n = loaded_find(loaded, table->address, found,
			       MAX_MODULES_SEEN);

	for (size_t i = 0; i < n; i++) {
		if (!points_to(loaded, found[i] + MODULE_NAMES,
			       table->address + (table->all.len -
						 table->names.len)) ||
		    !points_to(loaded, found[i] + MODULE_UNITS,
			       table->address + (table->all.len -
						 table->units.len)))
			continue;
		if (table->text == 0 &&
		    !loaded_pointer(loaded, found[i] + MODULE_TEXT,
				    &table->text))
			continue;
		if (loaded_pointer(loaded,
				   found[i] + table->format->module_trees,
				   &table->trees))
			return;
	}
}

/* Whether the functions that TABLE lists are where code is. In a PIE of before
 * Go 1.18 they are not: each is left to be relocated. */
static bool has_functions(const struct gopclntab *table)
{
	const struct segment *segment;

	if (table->len == 0 || entry_of(table, 0) >= entry_of(table,
							      table->len))
		return false;
	segment = loaded_segment(&table->loaded, entry_of(table, 0));
	return segment && segment->is_code;
}

/* Whether there is a table at ADDRESS, where BYTES are, that can be read. */
static bool try_table(struct gopclntab *table, uint64_t address,
		      struct reader bytes)
{
	table->address = address;
	table->all = bytes;
	table->text = table->trees = 0;
	if (!read_header(table) || ++table->tries > MAX_TRIES)
		return false;
	if (table->format->has_text &&
	    !loaded_pointer(&table->loaded, address + TEXT_START,
			    &table->text))
		table->text = 0;
	if (table->format->call_len > 0)
		use_module(table);
	return has_functions(table);
}

/* In a PIE that another linker than Go's has made, the table is somewhere in a
 * section with much else: it is found by its first six bytes. */
static bool search(struct gopclntab *table, uint64_t address,
		   struct reader bytes)
{
	for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
		uint8_t start[6] = { 0 };
		size_t at = 0;

		memcpy(start, &formats[i].magic, sizeof(formats[i].magic));
		while (at < bytes.len) {
			const uint8_t *hit = memmem(bytes.bytes + at,
						    bytes.len - at, start,
						    sizeof(start));

			if (hit == NULL)
				break;
			at = (size_t)(hit - bytes.bytes);
			if ((address + at) % WORD == 0 &&
			    try_table(table, address + at, from(&bytes, at)))
				return true;
			at++;
		}
	}
	return false;
}

/* What the table is looked for in: a section of its own, or one of others. */
enum place { NOWHERE, ITS_OWN, AMONG_OTHERS };

static enum place place_of(const struct elf_file *file, const char *section)
{
	if (strcmp(section, ".gopclntab") == 0 ||
	    strcmp(section, ".data.rel.ro.gopclntab") == 0)
		return ITS_OWN;
	return file->is_go && strcmp(section, ".data.rel.ro") == 0
		       ? AMONG_OTHERS : NOWHERE;
}

static bool find_table(struct gopclntab *table, const struct elf_file *file)
{
	Elf_Scn *scn = NULL;
	size_t strings;

	if (elf_getshdrstrndx(file->elf, &strings) != 0)
		return false;
	while ((scn = elf_nextscn(file->elf, scn)) != NULL) {
		enum place place;
		struct reader bytes;
		const char *name;
		GElf_Shdr shdr;

		if (gelf_getshdr(scn, &shdr) == NULL ||
		    shdr.sh_type != SHT_PROGBITS)
			continue;
		name = elf_strptr(file->elf, strings, shdr.sh_name);
		place = name ? place_of(file, name) : NOWHERE;
		if (place == NOWHERE)
			continue;
		bytes = loaded_at(&table->loaded, shdr.sh_addr);
		if (shdr.sh_size < reader_left(&bytes))
			bytes = reader_at(&bytes, 0, shdr.sh_size);
		if (place == ITS_OWN
			    ? try_table(table, shdr.sh_addr, bytes)
			    : search(table, shdr.sh_addr, bytes))
			return true;
	}
	return false;
}

struct gopclntab *gopclntab_open(const struct elf_file *file)
{
	struct gopclntab *table = calloc(1, sizeof(*table));

	if (table && loaded_init(file, &table->loaded) &&
	    find_table(table, file))
		return table;
	free(table);
	return NULL;
}

void gopclntab_close(struct gopclntab *table)
{
	free(table);
}
