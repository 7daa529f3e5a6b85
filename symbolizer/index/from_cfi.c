/* From the CFI of ELF files to that of an index. Runs in the process that can
 * be lost; the tables are read by lib/unwind, which trusts no byte of them, and
 * programs are copied as they are, to be checked when they are used.
 *
 * Addresses become four bytes from the module's base, and what is for
 * exceptions alone goes, so that this is not larger than .eh_frame was. */
#include "from_cfi.h"

#include <stdlib.h>
#include <string.h>

#include "../../lib/unwind/table.h"
#include "../array.h"

/* CIEs that the next ones are compared with. A linker has merged those that are
 * the same; without what is for exceptions nearly all are. */
enum { KEPT_CIES = 16 };

struct span {
	uint64_t start, end;
};

struct work {
	struct writer *out;
	struct table_buffers *buffers;
	struct span *spans; /* that were told of */
	size_t nspans, spans_cap;
	size_t nsorted; /* of these, by earlier tables */
	struct {
		size_t at, len; /* in OUT */
	} cies[KEPT_CIES];
	size_t ncies;
};

/* Output */

/* The length of the entry that began at AT. */
static void end_entry(struct writer *out, size_t at)
{
	writer_patch_u32(out, at, (uint32_t)(out->len - at - 4));
}

static void put_cie(struct writer *out, const struct cie *cie)
{
	static const char plain[] = "zR", signal[] = "zRS";
	size_t at = out->len;

	writer_u32(out, 0);
	writer_u32(out, UINT32_MAX);
	writer_u8(out, 3);
	if (cie->is_signal)
		writer_bytes(out, signal, sizeof(signal));
	else
		writer_bytes(out, plain, sizeof(plain));
	writer_uleb(out, cie->code_align);
	writer_sleb(out, cie->data_align);
	writer_uleb(out, cie->return_register);
	writer_uleb(out, 1);
	writer_u8(out, ENC_U4);
	writer_bytes(out, cie->program, cie->program_len);
	end_entry(out, at);
}

/* Where CIE is in OUT; it is added where it is none of the last ones. */
static size_t find_cie(struct work *work, const struct cie *cie)
{
	struct writer *out = work->out;
	size_t at = out->len, len, place = work->ncies % KEPT_CIES;

	put_cie(out, cie);
	len = out->len - at;
	for (size_t i = 0; i < KEPT_CIES && !out->bad; i++) {
		if (work->cies[i].len != len ||
		    memcmp(out->bytes + work->cies[i].at, out->bytes + at,
			   len) != 0)
			continue;
		out->len = at;
		return work->cies[i].at;
	}
	work->cies[place].at = at;
	work->cies[place].len = len;
	work->ncies++;
	return at;
}

static void put_fde(struct work *work, const struct cie *cie,
		    const struct fde *fde)
{
	struct writer *out = work->out;
	size_t cie_at = find_cie(work, cie), at = out->len;

	writer_u32(out, 0);
	writer_u32(out, (uint32_t)cie_at);
	writer_u32(out, (uint32_t)fde->start);
	writer_u32(out, (uint32_t)fde->len);
	writer_uleb(out, 0);
	writer_bytes(out, fde->program, fde->program_len);
	end_entry(out, at);
}

/* Tables */

static bool is_told(const struct work *work, uint64_t address)
{
	size_t low = 0, high = work->nsorted;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (work->spans[middle].start <= address)
			low = middle + 1;
		else
			high = middle;
	}
	return low > 0 && address < work->spans[low - 1].end;
}

static bool add_span(struct work *work, const struct fde *fde)
{
	struct span *more = array_grow(work->spans, work->nspans,
				       &work->spans_cap, sizeof(*more));

	if (!more)
		return false;
	work->spans = more;
	more[work->nspans++] = (struct span){
		fde->start, fde->start + fde->len,
	};
	return true;
}

static int by_start(const void *left, const void *right)
{
	const struct span *a = left, *b = right;

	return a->start < b->start ? -1 : a->start > b->start;
}

/* All of TABLE, which is then closed, but what earlier ones had. */
static void add_table(struct work *work, struct table *table)
{
	uint64_t next = table->start, at;
	struct cie cie;
	struct fde fde;

	while (table_next(table, work->buffers, &next, &at, &cie, &fde)) {
		if (fde.start > UINT32_MAX || fde.len > UINT32_MAX ||
		    is_told(work, fde.start))
			continue;
		put_fde(work, &cie, &fde);
		if (work->out->bad || !add_span(work, &fde))
			break;
	}
	table_close(table);
	if (array_sort(work->spans, work->nspans, sizeof(*work->spans),
		       by_start))
		work->nsorted = work->nspans;
}

void from_cfi(int code_fd, int debug_fd, struct writer *out)
{
	struct work work = { .out = out };
	struct table table;

	work.buffers = malloc(sizeof(*work.buffers));
	if (!work.buffers)
		return;
	if (code_fd >= 0 &&
	    (table_open_eh_frame_section(&table, code_fd, 0) ||
	     table_open_eh_frame(&table, NULL, code_fd, 0)))
		add_table(&work, &table);
	if (code_fd >= 0 && table_open_debug_frame(&table, code_fd, 0))
		add_table(&work, &table);
	if (debug_fd >= 0 && table_open_debug_frame(&table, debug_fd, 0))
		add_table(&work, &table);
	free(work.buffers);
	free(work.spans);
}
