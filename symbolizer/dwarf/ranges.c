/* Ranges of addresses. Runs in the process that can be lost; every offset is
 * anybody's. */
#include "ranges.h"

#include <dwarf.h>

enum { MAX_RANGES = 1 << 20 }; /* of one DIE */

bool ranges_is_dropped(uint64_t low, uint64_t high)
{
	return low <= 1 || low >= high || low >= UINT64_MAX - 4 ||
	       (low >= UINT32_MAX - 4 && low <= UINT32_MAX);
}

/* Where ranges go. */
struct sink {
	const struct unit *unit;
	ranges_each *each;
	void *context;
	uint64_t base;
	bool is_base_dropped, is_over;
};

static void set_base(struct sink *sink, uint64_t base)
{
	sink->base = base;
	sink->is_base_dropped = ranges_is_dropped(base, UINT64_MAX);
}

static void add_range(struct sink *sink, uint64_t low, uint64_t high)
{
	if (!ranges_is_dropped(low, high))
		sink->is_over |= !sink->each(sink->context, low, high);
}

static void add_pair(struct sink *sink, uint64_t low, uint64_t high)
{
	if (!sink->is_base_dropped)
		add_range(sink, sink->base + low, sink->base + high);
}

/* DWARF 2 to 4: section 2.17.3 of the fourth. Behind a base of 0 addresses are
 * absolute. */
static void read_old(struct sink *sink, struct reader r)
{
	for (int i = 0; i < MAX_RANGES && !sink->is_over; i++) {
		uint64_t low = reader_u64(&r), high = reader_u64(&r);

		if (r.bad || (low == 0 && high == 0))
			return;
		if (low != UINT64_MAX) {
			add_pair(sink, low, high);
			continue;
		}
		set_base(sink, high);
		sink->is_base_dropped &= high != 0;
	}
}

static uint64_t next_indexed(struct sink *sink, struct reader *r)
{
	const struct attr attr = {
		.value = reader_uleb(r), .form = DW_FORM_addrx,
	};
	uint64_t address = 0;

	r->bad |= !unit_address(sink->unit, &attr, &address);
	return address;
}

/* DWARF 5: section 2.17.3. */
static void read_list(struct sink *sink, struct reader r)
{
	for (int i = 0; i < MAX_RANGES && !sink->is_over && !r.bad; i++) {
		uint8_t kind = reader_u8(&r);
		uint64_t low, high;

		switch (kind) {
		case DW_RLE_base_addressx:
			set_base(sink, next_indexed(sink, &r));
			continue;
		case DW_RLE_base_address:
			set_base(sink, reader_u64(&r));
			continue;
		case DW_RLE_startx_endx:
			low = next_indexed(sink, &r);
			high = next_indexed(sink, &r);
			break;
		case DW_RLE_startx_length:
			low = next_indexed(sink, &r);
			high = low + reader_uleb(&r);
			break;
		case DW_RLE_start_end:
			low = reader_u64(&r);
			high = reader_u64(&r);
			break;
		case DW_RLE_start_length:
			low = reader_u64(&r);
			high = low + reader_uleb(&r);
			break;
		case DW_RLE_offset_pair:
			low = reader_uleb(&r);
			high = reader_uleb(&r);
			if (!r.bad)
				add_pair(sink, low, high);
			continue;
		default: /* DW_RLE_end_of_list among them */
			return;
		}
		if (!r.bad)
			add_range(sink, low, high);
	}
}

static void read_ranges(struct sink *sink, const struct attr *attr)
{
	const struct unit *unit = sink->unit, *holder = unit_holder(unit);
	const struct dwarf_file *file = unit->file;
	uint64_t offset = attr->value;

	if (unit->sizes.version < 5) {
		if (unit->skeleton)
			offset += holder->ranges_base;
		read_old(sink, section_from(holder->file->ranges, offset));
		return;
	}
	if (attr->form == DW_FORM_rnglistx) {
		if (!unit_table_entry(file->rnglists, unit->rnglists_base,
				      attr->value, unit->sizes.offset, &offset))
			return;
		offset += unit->rnglists_base;
	}
	read_list(sink, section_from(file->rnglists, offset));
}

void ranges_of(const struct unit *unit, const struct die *die,
	       ranges_each *each, void *context)
{
	struct sink sink = {
		.unit = unit, .each = each, .context = context,
		.base = unit_holder(unit)->base,
	};
	uint64_t low, high;

	if (die->ranges.form) {
		read_ranges(&sink, &die->ranges);
		return;
	}
	if (!unit_address(unit, &die->low, &low))
		return;
	if (attr_number(&die->high, &high))
		add_range(&sink, low, low + high);
	else if (unit_address(unit, &die->high, &high))
		add_range(&sink, low, high);
}

static bool take_first(void *context, uint64_t low, uint64_t high)
{
	uint64_t *out = context;

	(void)high;
	*out = low;
	return false;
}

bool ranges_entry(const struct unit *unit, const struct die *die,
		  uint64_t *out)
{
	uint64_t entry = 0;

	if (!unit_address(unit, &die->low, &entry))
		ranges_of(unit, die, take_first, &entry);
	if (ranges_is_dropped(entry, UINT64_MAX))
		return false;
	*out = entry;
	return true;
}
