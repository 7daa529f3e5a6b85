/* The sections of an index that is open, read with their checksums: inside of
 * symbolizer/index only. */
#ifndef EPITAPH_INDEX_PARTS_H
#define EPITAPH_INDEX_PARTS_H

#include "../../lib/report/bytes.h"
#include "../../lib/report/report.h"
#include "format.h"

enum {
	KNOWN_SCOPES = 1024, /* read last, by the end of their number: calls
	                      * that lie in each other share their outer ones */
};

struct scope {
	uint64_t function, parent, call_file;
	uint64_t entry; /* where PARENT is 0 */
	bool has_call_file;
	int64_t call_line; /* less the line of the caller */
};

struct known_scope {
	uint64_t number; /* 0: none */
	struct scope scope;
};

struct index {
	const uint8_t *bytes;
	size_t len;
	bool is_mapped;
	struct build_id build_id;
	uint64_t at[INDEX_SECTIONS], section_len[INDEX_SECTIONS];
	uint64_t base, first, sums_at;
	uint32_t source; /* in strings */
	uint32_t made_of;
	uint32_t frames_why; /* in strings */
	bool *checked; /* per chunk */
	bool is_damaged;
	struct known_scope *known; /* KNOWN_SCOPES of them */
	uint64_t near[INDEX_SECTIONS]; /* items before what was found last */
	bool is_sound[INDEX_SECTIONS]; /* as a whole */
};

/* Check chunks FIRST to LAST of INDEX that were not looked at yet. */
bool parts_check(struct index *index, size_t first, size_t last);

/* True where the LEN bytes at AT, which lie before the checksums, are as they
 * were written. */
static inline bool parts_sound(struct index *index, uint64_t at, uint64_t len)
{
	size_t first = (size_t)(at / INDEX_CHUNK);
	size_t last = (size_t)((at + len - 1) / INDEX_CHUNK);

	if (len == 0 || (first == last && index->checked[first]))
		return true;
	return parts_check(index, first, last);
}

/* The bytes [FROM, TO) of SECTION, TO at most its end; bad where they are not
 * there, or damaged. */
static inline struct reader parts_read(struct index *index,
				       enum index_section section,
				       uint64_t from, uint64_t to)
{
	struct reader r = { .bad = true };

	if (to > index->section_len[section])
		to = index->section_len[section];
	if (from > to || !parts_sound(index, index->at[section] + from,
				      to - from))
		return r;
	reader_init(&r, index->bytes + index->at[section] + from,
		    (size_t)(to - from));
	return r;
}

/* Item NUMBER of a table of items of SIZE bytes. */
static inline struct reader parts_item(struct index *index,
				       enum index_section section,
				       uint64_t number, size_t size)
{
	uint64_t n = index->section_len[section] / size;
	struct reader r = { .bad = true };

	if (number >= n)
		return r;
	return parts_read(index, section, number * size, (number + 1) * size);
}

/* The text at OFFSET, which ends in the chunk that it begins in; NULL for the
 * empty one, which is at 0, and where there is none. */
static inline const char *parts_text(struct index *index, uint32_t offset)
{
	uint64_t at = index->at[INDEX_STRINGS] + offset;

	if (offset == 0 || offset >= index->section_len[INDEX_STRINGS] ||
	    !parts_sound(index, at, 1))
		return NULL;
	return (const char *)index->bytes + at;
}

/* Block NUMBER of SECTION, of at most MOST bytes; where it begins is in the
 * last four bytes of an item of TABLE. What is behind it may follow. */
struct reader parts_block(struct index *index, enum index_section section,
			  enum index_section table, size_t size,
			  uint64_t number, uint64_t most);

/* Of a table whose items begin with an address, sorted: how many are at or
 * before ADDRESS. False where the table is damaged: it is checked as a whole,
 * once, since a search goes all over it. Whoever asks for one address often
 * asks for one a little behind it next, so the search begins where the last one
 * ended, by steps that double. */
bool parts_count(struct index *index, enum index_section section,
		 size_t size, uint64_t address, uint64_t *out);

#endif
