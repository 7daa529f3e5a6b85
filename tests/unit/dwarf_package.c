/* Packages of split units, written here byte by byte. */
#include "../../symbolizer/dwarf/package.h"
#include "dwarf_image.h"
#include "mutate.h"

enum { UNIT_SPLIT = 1, FUNCTION_SPLIT, SLOTS = 4, MOST_UNITS = 3 };

/* The same slot first, so that others have to be tried. */
static const uint64_t ids[MOST_UNITS] = {
	0x1100000001, 0x2200000001, 0x3300000001,
};
static const char *const functions[MOST_UNITS] = { "one", "two", "three" };

struct piece {
	uint32_t info, abbrev, str_offsets, rnglists;
};

static struct piece ends_of(struct image *image)
{
	return (struct piece){
		(uint32_t)image_section(image, "info.dwo")->len,
		(uint32_t)image_section(image, "abbrev.dwo")->len,
		(uint32_t)image_section(image, "str_offsets.dwo")->len,
		(uint32_t)image_section(image, "rnglists.dwo")->len,
	};
}

/* A unit with ID and one function, its name and its range by indices into its
 * own tables. */
static void put_split_unit(struct image *image, uint64_t id,
			   const char *function, uint64_t low)
{
	struct writer *info = image_section(image, "info.dwo");
	struct writer *abbrev = image_section(image, "abbrev.dwo");
	struct writer *offsets = image_section(image, "str_offsets.dwo");
	struct writer *text = image_section(image, "str.dwo");
	struct writer *ranges = image_section(image, "rnglists.dwo");
	size_t start;

	put_abbrev(abbrev, UNIT_SPLIT, DW_TAG_compile_unit, true, 0);
	put_abbrev(abbrev, FUNCTION_SPLIT, DW_TAG_subprogram, false, DW_AT_name,
		   DW_FORM_strx1, DW_AT_ranges, DW_FORM_rnglistx, 0);
	writer_u8(abbrev, 0);
	start = put_length(offsets, 4);
	writer_u32(offsets, 5); /* version, padding */
	writer_u32(offsets, (uint32_t)text->len);
	end_length(offsets, 4, start);
	put_text(text, function);
	start = put_length(ranges, 4);
	writer_u16(ranges, 5);
	writer_u16(ranges, 8); /* sizes of an address, a segment */
	writer_u32(ranges, 1); /* offsets */
	writer_u32(ranges, 4);
	writer_u8(ranges, DW_RLE_start_length);
	writer_u64(ranges, low);
	writer_uleb(ranges, 0x10);
	writer_u8(ranges, DW_RLE_end_of_list);
	end_length(ranges, 4, start);
	start = put_length(info, 4);
	put_unit_head(info, 5, 4, DW_UT_split_compile, 0);
	writer_u64(info, id);
	writer_uleb(info, UNIT_SPLIT);
	writer_uleb(info, FUNCTION_SPLIT);
	writer_u8(info, 0);
	writer_uleb(info, 0);
	writer_u8(info, 0);
	end_length(info, 4, start);
}

static void put_piece(struct writer *w, const struct piece *piece,
		      const struct piece *less)
{
	writer_u32(w, piece->info - less->info);
	writer_u32(w, piece->abbrev - less->abbrev);
	writer_u32(w, piece->str_offsets - less->str_offsets);
	writer_u32(w, piece->rnglists - less->rnglists);
}

/* The index of N units, of which number I has what lies between ENDS[I] and
 * ENDS[I + 1]. */
static void put_index(struct image *image, const struct piece *ends, uint32_t n)
{
	struct writer *w = image_section(image, "cu_index");
	static const struct piece start = { 0 };
	uint64_t slots[SLOTS] = { 0 };
	uint32_t rows[SLOTS] = { 0 };

	for (uint32_t i = 0; i < n; i++) {
		uint64_t at = ids[i] & (SLOTS - 1);

		while (rows[at] != 0)
			at = (at + ((ids[i] >> 32 & (SLOTS - 1)) | 1)) &
			     (SLOTS - 1);
		slots[at] = ids[i];
		rows[at] = i + 1;
	}
	writer_u32(w, 5);
	writer_u32(w, 4);
	writer_u32(w, n);
	writer_u32(w, SLOTS);
	for (int i = 0; i < SLOTS; i++)
		writer_u64(w, slots[i]);
	for (int i = 0; i < SLOTS; i++)
		writer_u32(w, rows[i]);
	writer_u32(w, DW_SECT_INFO);
	writer_u32(w, DW_SECT_ABBREV);
	writer_u32(w, DW_SECT_STR_OFFSETS);
	writer_u32(w, DW_SECT_RNGLISTS);
	for (uint32_t i = 0; i < n; i++)
		put_piece(w, &ends[i], &start);
	for (uint32_t i = 0; i < n; i++)
		put_piece(w, &ends[i + 1], &ends[i]);
}

/* A package of N units. */
static void put_package(struct image *image, uint32_t n)
{
	struct piece ends[MOST_UNITS + 1];

	for (uint32_t i = 0; i < n; i++) {
		ends[i] = ends_of(image);
		put_split_unit(image, ids[i], functions[i],
			       0x1000 * (i + UINT64_C(1)));
	}
	ends[n] = ends_of(image);
	put_index(image, ends, n);
	image_write(image, &image->elf);
}

static struct package *open_bytes(const void *bytes, size_t len)
{
	struct elf_file file;

	return elf_file_memory("package", (void *)bytes, len, &file, NULL)
		       ? package_of(&file) : NULL;
}

/* What the unit with ID has: "one 1000-1010", or "". */
static void tell(const struct package *package, uint64_t id, char *out,
		 size_t cap)
{
	struct dwarf_file *dwarf = package_find(package, id);
	struct unit *unit = dwarf ? dwarf_file_next(dwarf) : NULL;
	const struct tree *tree = unit ? tree_of(unit) : NULL;
	struct function_name name;

	out[0] = '\0';
	if (tree && tree->nfunctions > 0) {
		tree_name((struct die_ref){ dwarf, tree->scopes[0].die },
			  &name);
		snprintf(out, cap, "%s %lx-%lx", name.plain ? name.plain : "?",
			 (unsigned long)tree->functions[0].low,
			 (unsigned long)tree->functions[0].high);
		free(name.qualified);
	}
	dwarf_file_close(dwarf);
}

static void check_found(const struct package *package, uint64_t id,
		       const char *wanted)
{
	char found[64];

	tell(package, id, found, sizeof(found));
	CHECK_STRING(found, wanted);
}

static void units(void)
{
	struct image image = { 0 };
	struct package *package;

	put_package(&image, MOST_UNITS);
	package = open_bytes(image.elf.bytes, image.elf.len);
	if (CHECK(package != NULL)) {
		check_found(package, ids[0], "one 1000-1010");
		check_found(package, ids[1], "two 2000-2010");
		check_found(package, ids[2], "three 3000-3010");
		check_found(package, 0x4400000001, "");
		check_found(package, 0, "");
	}
	package_close(package);
	image_fini(&image);
}

/* Without an end to what is tried: all slots are taken. */
static void full_index(void)
{
	struct image image = { 0 };
	struct writer *index;
	struct package *package;

	put_package(&image, MOST_UNITS);
	writer_fini(&image.elf);
	index = image_section(&image, "cu_index");
	for (size_t at = 16; at < 16 + SLOTS * 12; at++)
		index->bytes[at] = at < 16 + SLOTS * 8 ? 0xee : at % 4 == 0;
	image_write(&image, &image.elf);
	package = open_bytes(image.elf.bytes, image.elf.len);
	if (CHECK(package != NULL)) {
		check_found(package, ids[0], "");
		check_found(package, 0xeeeeeeeeeeeeeeee, "one 1000-1010");
	}
	package_close(package);
	image_fini(&image);
}

static void look_around(const uint8_t *bytes, size_t len)
{
	struct package *package = open_bytes(bytes, len);
	char found[64];

	for (size_t i = 0; package && i < MOST_UNITS; i++)
		tell(package, ids[i], found, sizeof(found));
	package_close(package);
}

static void mutations(void)
{
	struct image image = { 0 };

	put_package(&image, 2);
	mutate_all(image.elf.bytes, image.elf.len, look_around);
	image_fini(&image);
}

static const struct test tests[] = {
	{ "a package has each unit's own piece of all sections", units },
	{ "an index without a free slot is searched once", full_index },
	{ "no mutation of a package does harm", mutations },
};

int main(void)
{
	return TEST_RUN(tests);
}
