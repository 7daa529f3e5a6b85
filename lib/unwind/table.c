/* Which FDE is for a pc. Runs in the helper, the command line and the
 * symbolizer. Trusts no byte of a table, nor that it is sorted. */
#include "table.h"

#include <stdlib.h>

enum { FIRST_READ = 512 }; /* nine of ten entries are shorter */

static bool parse_hdr(struct table *table)
{
	uint8_t bytes[32];
	struct reader r;
	uint64_t hdr = table->image.eh_frame_hdr;
	uint8_t frame_encoding, count_encoding;
	size_t n = image_read(&table->image, hdr, bytes, sizeof(bytes));

	reader_init(&r, bytes, n);
	if (reader_u8(&r) != 1)
		return false;
	frame_encoding = reader_u8(&r);
	count_encoding = reader_u8(&r);
	table->encoding = reader_u8(&r);
	table->start = reader_encoded(&r, frame_encoding, hdr + r.pos, hdr);
	if (r.bad)
		return false;
	table->hdr = hdr;
	if (count_encoding == ENC_OMIT || table->encoding == ENC_OMIT ||
	    encoded_size(table->encoding) == 0)
		return true;
	table->count = reader_encoded(&r, count_encoding, hdr + r.pos, hdr);
	table->search = hdr + r.pos;
	if (r.bad)
		table->count = 0;
	return true;
}

/* A count that the segment cannot hold is not believed; without the search
 * table the index does its work. */
static bool bound_table(struct table *table)
{
	uint64_t hdr_end = image_segment_end(&table->image, table->search);
	uint64_t entry = 2 * encoded_size(table->encoding);

	table->end = image_segment_end(&table->image, table->start);
	if (table->end == 0)
		return false;
	if (table->count > 0 && (hdr_end == 0 || entry == 0 ||
	    table->count > (hdr_end - table->search) / entry))
		table->count = 0;
	return true;
}

static bool open_hdr(struct table *table, struct memory *memory, int fd,
		     uint64_t base)
{
	*table = (struct table){ 0 };
	if (!image_open(&table->image, memory, fd, base) ||
	    table->image.eh_frame_hdr == 0)
		return false;
	table->abs_bias = memory ? 0 : table->image.bias;
	return parse_hdr(table) && bound_table(table);
}

static bool open_section(struct table *table, int fd, uint64_t base,
			 const char *name)
{
	*table = (struct table){ 0 };
	if (!image_open_section(&table->image, fd, base, name))
		return false;
	table->abs_bias = table->image.bias;
	table->start = table->image.section_at;
	table->end = table->start + table->image.section_len;
	return true;
}

bool table_open_eh_frame_section(struct table *table, int fd, uint64_t base)
{
	return open_section(table, fd, base, ".eh_frame");
}

bool table_open_eh_frame(struct table *table, struct memory *memory, int fd,
			 uint64_t base)
{
	/* Some static programs have no header. */
	return open_hdr(table, memory, fd, base) ||
	       (!memory && table_open_eh_frame_section(table, fd, base));
}

bool table_open_debug_frame(struct table *table, int fd, uint64_t base)
{
	if (!open_section(table, fd, base, ".debug_frame"))
		return false;
	table->is_debug_frame = true;
	return true;
}

void table_open_frames(struct table *table, const void *bytes, size_t len,
		       uint64_t base)
{
	*table = (struct table){ .abs_bias = base };
	image_open_bytes(&table->image, bytes, len);
	table->is_debug_frame = true;
	table->end = len;
}

void table_close(struct table *table)
{
	image_close(&table->image);
	free(table->index);
	table->index = NULL;
}

/* Read the whole entry at AT into BUFFER (ENTRY_MAX bytes). *R_OUT is left at
 * its body and ends with it. */
static bool read_entry(const struct table *table, uint64_t at, uint8_t *buffer,
		       struct entry_head *head_out, struct reader *r_out)
{
	struct reader r;
	size_t have;

	if (at < table->start || at >= table->end)
		return false;
	have = image_read(&table->image, at, buffer, FIRST_READ);
	reader_init(&r, buffer, have);
	if (!entry_head(&r, at, table->is_debug_frame, head_out) ||
	    head_out->size > ENTRY_MAX ||
	    head_out->size > table->end - at)
		return false;
	if (head_out->size > have)
		have = image_read(&table->image, at, buffer,
				  (size_t)head_out->size);
	if (head_out->size > have)
		return false;
	reader_init(&r, buffer, (size_t)head_out->size);
	reader_skip(&r, head_out->body);
	*r_out = r;
	return !r.bad;
}

static bool read_cie(const struct table *table, uint64_t at, uint8_t *buffer,
		     struct cie *cie_out)
{
	struct entry_head head;
	struct reader r;

	return read_entry(table, at, buffer, &head, &r) && head.is_cie &&
	       entry_cie(&r, cie_out);
}

static bool read_fde(const struct table *table, struct table_buffers *buffers,
		     uint64_t at, struct cie *cie_out, struct fde *fde_out)
{
	struct entry_head head;
	struct reader r;

	if (!read_entry(table, at, buffers->fde, &head, &r) ||
	    head.size == 0 || head.is_cie ||
	    !read_cie(table, head.cie_at, buffers->cie, cie_out) ||
	    !entry_fde(&r, cie_out, at + head.body, fde_out))
		return false;
	if ((cie_out->encoding & 0xf0) == 0)
		fde_out->start += table->abs_bias;
	return true;
}

static bool read_search(const struct table *table, uint64_t i,
			uint64_t *start_out, uint64_t *at_out)
{
	uint8_t bytes[16];
	size_t width = encoded_size(table->encoding);
	uint64_t field = table->search + i * 2 * width;
	uint64_t bias = (table->encoding & 0xf0) ? 0 : table->abs_bias;
	struct reader r;

	reader_init(&r, bytes,
		    image_read(&table->image, field, bytes, 2 * width));
	*start_out = bias + reader_encoded(&r, table->encoding, field,
					   table->hdr);
	*at_out = bias + reader_encoded(&r, table->encoding, field + width,
					table->hdr);
	return !r.bad;
}

/* The last entry that begins at or before PC. */
static bool search_hdr(const struct table *table, uint64_t pc,
		       uint64_t *at_out)
{
	uint64_t low = 0, high = table->count;
	bool found = false;

	while (low < high) {
		uint64_t middle = low + (high - low) / 2;
		uint64_t start, at;

		if (!read_search(table, middle, &start, &at))
			return false;
		if (pc < start) {
			high = middle;
			continue;
		}
		low = middle + 1;
		*at_out = at;
		found = true;
	}
	return found;
}

static int compare_index(const void *a, const void *b)
{
	const struct table_index *x = a, *y = b;

	return x->start < y->start ? -1 : x->start > y->start;
}

/* Room for one more entry, out of what all tables may have. */
static bool grow_index(struct table *table, struct table_buffers *buffers,
		       size_t *cap)
{
	size_t *left = table->image.memory ? &buffers->memory_index_left :
					     &buffers->index_left;
	size_t more = *cap ? *cap : 1024;
	struct table_index *bigger;

	if (table->index_len < *cap)
		return true;
	if (more > *left)
		return false;
	bigger = realloc(table->index, (*cap + more) * sizeof(*bigger));
	if (!bigger)
		return false;
	table->index = bigger;
	*cap += more;
	*left -= more;
	return true;
}

bool table_next(const struct table *table, struct table_buffers *buffers,
		uint64_t *next, uint64_t *at_out, struct cie *cie_out,
		struct fde *fde_out)
{
	while (*next < table->end) {
		uint64_t at = *next;
		struct entry_head head;
		struct reader r;

		reader_init(&r, buffers->fde,
			    image_read(&table->image, at, buffers->fde, 24));
		if (!entry_head(&r, at, table->is_debug_frame, &head) ||
		    head.size == 0 || head.size > table->end - at)
			return false;
		*next = at + head.size;
		if (head.is_cie ||
		    !read_fde(table, buffers, at, cie_out, fde_out))
			continue;
		*at_out = at;
		return true;
	}
	return false;
}

static void build_index(struct table *table, struct table_buffers *buffers)
{
	uint64_t next = table->start, at;
	size_t cap = 0;
	struct cie cie;
	struct fde fde;

	table->has_index = true;
	while (grow_index(table, buffers, &cap) &&
	       table_next(table, buffers, &next, &at, &cie, &fde))
		table->index[table->index_len++] = (struct table_index){
			fde.start, fde.start + fde.len, at
		};
	if (table->index_len > 0)
		qsort(table->index, table->index_len, sizeof(*table->index),
		      compare_index);
}

static bool search_index(const struct table *table, uint64_t pc,
			 uint64_t *at_out)
{
	size_t low = 0, high = table->index_len;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (table->index[middle].start <= pc)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == 0 || pc >= table->index[low - 1].end)
		return false;
	*at_out = table->index[low - 1].at;
	return true;
}

bool table_find(struct table *table, struct table_buffers *buffers,
		uint64_t pc, struct cie *cie_out, struct fde *fde_out)
{
	uint64_t at = 0;

	if (table->count == 0 && !table->has_index)
		build_index(table, buffers);
	if (table->count > 0 ? !search_hdr(table, pc, &at) :
			       !search_index(table, pc, &at))
		return false;
	return read_fde(table, buffers, at, cie_out, fde_out) &&
	       pc >= fde_out->start && pc - fde_out->start < fde_out->len &&
	       entry_check_program(cie_out->program, cie_out->program_len) &&
	       entry_check_program(fde_out->program, fde_out->program_len);
}
