/* Units, abbreviations, forms and ranges, of DWARF that is written here byte by
 * byte. */
#include <zstd.h>

#include "dwarf_image.h"

/* Units */

static void heads(void)
{
	for (unsigned version = 2; version <= 5; version++)
		for (unsigned width = 4; width <= 8; width += 4) {
			struct image image = { 0 };
			struct writer *info = image_section(&image, "info");
			size_t start;

			put_usual_abbrevs(&image);
			start = put_length(info, width);
			put_unit_head(info, version, width, DW_UT_compile, 0);
			writer_uleb(info, USUAL_UNIT);
			put_function(info, "f", 0x1000, 0x10);
			end_length(info, width, start);
			check_tree(&image, "f 1000-1010\n");
			image_fini(&image);
		}
}

/* What lies behind the end of a unit is not its own. */
static void cut_heads(void)
{
	for (unsigned len = 0; len < 12; len++) {
		struct image image = { 0 };
		struct writer *info = image_section(&image, "info");
		struct unit *unit;
		size_t start;

		put_usual_abbrevs(&image);
		start = put_usual_unit(&image);
		put_function(info, "f", 0x1000, 0x10);
		writer_patch_u32(info, start - 4, len);
		if (CHECK(image_open(&image, false, NULL) != NULL))
			while ((unit = dwarf_file_next(image.dwarf)) != NULL)
				CHECK_NUMBER(tree_of(unit)->nscopes, 0);
		image_fini(&image);
	}
}

static void other_heads(void)
{
	struct image image = { 0 };
	struct writer *info = image_section(&image, "info");
	size_t start;

	put_usual_abbrevs(&image);
	writer_zero(info, 12); /* as linkers pad */
	start = put_length(info, 4);
	put_unit_head(info, 6, 4, DW_UT_compile, 0);
	writer_uleb(info, USUAL_UNIT);
	put_function(info, "tomorrow", 0x1000, 0x10);
	end_length(info, 4, start);
	start = put_usual_unit(&image);
	info->bytes[start + 6] = 4; /* bytes of an address */
	put_function(info, "small", 0x1000, 0x10);
	end_length(info, 4, start);
	start = put_usual_unit(&image);
	put_function(info, "f", 0x1000, 0x10);
	end_length(info, 4, start);
	check_tree(&image, "f 1000-1010\n");
	image_fini(&image);
}

static void units_by_offset(void)
{
	struct image image = { 0 };
	struct writer *info = image_section(&image, "info");
	struct dwarf_file *dwarf;
	size_t end[3];

	put_usual_abbrevs(&image);
	for (int i = 0; i < 3; i++) {
		end_length(info, 4, put_usual_unit(&image));
		end[i] = info->len;
	}
	dwarf = image_open(&image, false, NULL);
	if (CHECK(dwarf != NULL)) {
		CHECK_NUMBER(dwarf_file_unit(dwarf, end[1])->end, end[2]);
		CHECK_NUMBER(dwarf_file_unit(dwarf, end[1] - 1)->end, end[1]);
		CHECK_NUMBER(dwarf_file_unit(dwarf, 0)->end, end[0]);
		CHECK(dwarf_file_unit(dwarf, end[2]) == NULL);
		CHECK(dwarf_file_unit(dwarf, UINT64_MAX) == NULL);
	}
	image_fini(&image);
}

/* Abbreviations */

/* By codes that are no row of numbers, out of order. */
static void sparse_abbrevs(void)
{
	struct image image = { 0 };
	struct writer *info = image_section(&image, "info");
	struct writer *abbrev = image_section(&image, "abbrev");
	size_t start = put_length(info, 4);

	put_abbrev(abbrev, 900, DW_TAG_subprogram, false, DW_AT_name,
		   DW_FORM_string, DW_AT_low_pc, DW_FORM_addr, DW_AT_high_pc,
		   DW_FORM_data1, 0);
	put_abbrev(abbrev, 7, DW_TAG_compile_unit, true, 0);
	put_unit_head(info, 4, 4, 0, 0);
	writer_uleb(info, 7);
	writer_uleb(info, 900);
	put_text(info, "f");
	writer_u64(info, 0x1000);
	writer_u8(info, 0x10);
	writer_uleb(info, 8); /* there is none: the end */
	writer_uleb(info, 900);
	put_text(info, "g");
	writer_u64(info, 0x2000);
	writer_u8(info, 0x10);
	end_length(info, 4, start);
	check_tree(&image, "f 1000-1010\n");
	image_fini(&image);
}

/* As many attributes as one table may have, and one more. */
static void too_many_attributes(void)
{
	struct sizes sizes = { 4, 4, 8 };
	struct abbrevs abbrevs;
	struct writer table;
	struct reader r;

	writer_init(&table, IMAGE_MAX);
	for (uint64_t code = 1; code <= ABBREV_MAX_ATTRS / 0xffff + 1; code++) {
		writer_uleb(&table, code);
		writer_u16(&table, DW_TAG_subprogram);
		for (int i = 0; i < 0xffff; i++) {
			writer_u8(&table, DW_AT_name);
			writer_u8(&table, DW_FORM_data1);
		}
		writer_u16(&table, 0);
	}
	reader_init(&r, table.bytes, table.len);
	abbrevs_read(&r, 0, &sizes, &abbrevs);
	CHECK_NUMBER(abbrevs.len, ABBREV_MAX_ATTRS / 0xffff);
	abbrevs_fini(&abbrevs);
	writer_fini(&table);
}

/* Forms */

/* A function with an attribute of FORM, HEX, before its name. */
static void form_has_length(unsigned form, const char *hex, unsigned version)
{
	struct image image = { 0 };
	struct writer *info = image_section(&image, "info");
	struct writer *abbrev = image_section(&image, "abbrev");
	size_t start = put_length(info, 4);
	unsigned byte;

	put_abbrev(abbrev, 1, DW_TAG_compile_unit, true, 0);
	put_abbrev(abbrev, 2, DW_TAG_subprogram, false, DW_AT_decl_line, form,
		   DW_AT_name, DW_FORM_string, DW_AT_low_pc, DW_FORM_addr,
		   DW_AT_high_pc, DW_FORM_data1, 0);
	put_unit_head(info, version, 4, DW_UT_compile, 0);
	writer_uleb(info, 1);
	writer_uleb(info, 2);
	for (; sscanf(hex, "%2x", &byte) == 1; hex += 2)
		writer_u8(info, (uint8_t)byte);
	put_text(info, "f");
	writer_u64(info, 0x1000);
	writer_u8(info, 0x10);
	end_length(info, 4, start);
	check_tree(&image, "f 1000-1010\n");
	if (!test_holds)
		printf("# form %#x\n", form);
	image_fini(&image);
}

static void form_lengths(void)
{
	static const struct {
		unsigned form;
		const char *hex;
	} forms[] = {
		{ DW_FORM_flag_present, "" },
		{ DW_FORM_data1, "01" },
		{ DW_FORM_flag, "01" },
		{ DW_FORM_ref1, "01" },
		{ DW_FORM_strx1, "01" },
		{ DW_FORM_addrx1, "01" },
		{ DW_FORM_data2, "0102" },
		{ DW_FORM_ref2, "0102" },
		{ DW_FORM_strx2, "0102" },
		{ DW_FORM_addrx2, "0102" },
		{ DW_FORM_strx3, "010203" },
		{ DW_FORM_addrx3, "010203" },
		{ DW_FORM_data4, "01020304" },
		{ DW_FORM_ref4, "01020304" },
		{ DW_FORM_strx4, "01020304" },
		{ DW_FORM_addrx4, "01020304" },
		{ DW_FORM_strp, "01020304" },
		{ DW_FORM_line_strp, "01020304" },
		{ DW_FORM_sec_offset, "01020304" },
		{ DW_FORM_strp_sup, "01020304" },
		{ DW_FORM_ref_sup4, "01020304" },
		{ DW_FORM_ref_addr, "01020304" },
		{ DW_FORM_GNU_ref_alt, "01020304" },
		{ DW_FORM_GNU_strp_alt, "01020304" },
		{ DW_FORM_addr, "0102030405060708" },
		{ DW_FORM_data8, "0102030405060708" },
		{ DW_FORM_ref8, "0102030405060708" },
		{ DW_FORM_ref_sig8, "0102030405060708" },
		{ DW_FORM_ref_sup8, "0102030405060708" },
		{ DW_FORM_data16, "0102030405060708090a0b0c0d0e0f10" },
		{ DW_FORM_string, "616200" },
		{ DW_FORM_udata, "8001" },
		{ DW_FORM_sdata, "ff7e" },
		{ DW_FORM_ref_udata, "8001" },
		{ DW_FORM_strx, "8001" },
		{ DW_FORM_addrx, "8001" },
		{ DW_FORM_loclistx, "8001" },
		{ DW_FORM_rnglistx, "8001" },
		{ DW_FORM_GNU_addr_index, "8001" },
		{ DW_FORM_GNU_str_index, "8001" },
		{ DW_FORM_block1, "02aabb" },
		{ DW_FORM_block2, "0200aabb" },
		{ DW_FORM_block4, "02000000aabb" },
		{ DW_FORM_block, "02aabb" },
		{ DW_FORM_exprloc, "02aabb" },
		{ DW_FORM_indirect, "0b01" },     /* data1 */
		{ DW_FORM_indirect, "0a02aabb" }, /* block1 */
	};

	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++)
		form_has_length(forms[i].form, forms[i].hex, 5);
	form_has_length(DW_FORM_ref_addr, "0102030405060708", 2);
}

/* A function with one attribute of FORM, HEX, in a unit that has the bases of
 * the tables for strings and addresses. Behind the tables' heads: strings
 * "zero" to "four", addresses 0x1000, 0x2000 ... */
static bool read_attribute(struct image *image, struct image *alt,
			   unsigned name, unsigned form, const char *hex,
			   struct die *out)
{
	static const char strings[] = "zero\0one\0two\0three\0four";
	static const uint8_t at[] = { 0, 5, 9, 13, 19 };
	struct writer *info = image_section(image, "info");
	struct writer *abbrev = image_section(image, "abbrev");
	struct writer *offsets = image_section(image, "str_offsets");
	struct writer *addresses = image_section(image, "addr");
	size_t start = put_length(info, 4), die;
	struct unit *unit;
	unsigned byte;

	put_abbrev(abbrev, 1, DW_TAG_compile_unit, true, DW_AT_str_offsets_base,
		   DW_FORM_sec_offset, DW_AT_addr_base, DW_FORM_sec_offset, 0);
	put_abbrev(abbrev, 2, DW_TAG_subprogram, false, name, form, 0);
	put_unit_head(info, 5, 4, DW_UT_compile, 0);
	writer_uleb(info, 1);
	writer_u32(info, 8);
	writer_u32(info, 8);
	die = info->len;
	writer_uleb(info, 2);
	for (; sscanf(hex, "%2x", &byte) == 1; hex += 2)
		writer_u8(info, (uint8_t)byte);
	end_length(info, 4, start);
	writer_zero(offsets, 8);
	writer_zero(addresses, 8);
	for (uint32_t i = 0; i < sizeof(at); i++) {
		writer_u32(offsets, at[i]);
		writer_u64(addresses, 0x1000 * (i + 1));
	}
	writer_bytes(image_section(image, "str"), strings, sizeof(strings));
	writer_bytes(image_section(image, "line_str"), "line\0of", 8);
	unit = image_open(image, false, alt) ? dwarf_file_next(image->dwarf)
					     : NULL;
	return CHECK(unit != NULL) && CHECK(unit_die(unit, die, out));
}

static void string_is(struct image *alt, unsigned form, const char *hex,
		      const char *wanted)
{
	struct image image = { 0 };
	struct die die;

	if (read_attribute(&image, alt, DW_AT_name, form, hex, &die))
		CHECK_STRING(unit_string(image.dwarf->units[0], &die.name),
			     wanted);
	image_fini(&image);
}

static void strings(void)
{
	struct image alt = { 0 };

	writer_u8(image_section(&alt, "info"), 0);
	writer_bytes(image_section(&alt, "str"), "other\0file", 11);
	image_open(&alt, false, NULL);
	string_is(NULL, DW_FORM_string, "616200", "ab");
	string_is(NULL, DW_FORM_strp, "05000000", "one");
	string_is(NULL, DW_FORM_strp, "06000000", "ne");
	string_is(NULL, DW_FORM_strp, "ffffff7f", NULL);
	string_is(NULL, DW_FORM_line_strp, "05000000", "of");
	string_is(NULL, DW_FORM_strx, "8300", "three");
	string_is(NULL, DW_FORM_strx1, "04", "four");
	string_is(NULL, DW_FORM_strx2, "0400", "four");
	string_is(NULL, DW_FORM_strx3, "040000", "four");
	string_is(NULL, DW_FORM_strx4, "04000000", "four");
	string_is(NULL, DW_FORM_strx4, "05000000", NULL);
	string_is(NULL, DW_FORM_strx4, "ffffffff", NULL);
	string_is(NULL, DW_FORM_GNU_str_index, "02", "two");
	string_is(&alt, DW_FORM_GNU_strp_alt, "06000000", "file");
	string_is(&alt, DW_FORM_strp_sup, "00000000", "other");
	string_is(NULL, DW_FORM_strp_sup, "00000000", NULL);
	string_is(NULL, DW_FORM_data4, "00000000", NULL);
	image_fini(&alt);
}

/* A name that goes on and on is none: every DIE may have it. */
static void endless_string(void)
{
	struct image image = { 0 };
	struct die die;

	for (int i = 0; i < 1 << 18; i++)
		writer_u8(image_section(&image, "line_str"), 'x');
	if (read_attribute(&image, NULL, DW_AT_name, DW_FORM_line_strp,
			   "00000000", &die))
		CHECK_STRING(unit_string(image.dwarf->units[0], &die.name),
			     NULL);
	image_fini(&image);
}

/* WANTED 0: none. */
static void address_is(unsigned form, const char *hex, uint64_t wanted)
{
	struct image image = { 0 };
	uint64_t address = 0;
	struct die die;

	if (read_attribute(&image, NULL, DW_AT_low_pc, form, hex, &die)) {
		bool has = unit_address(image.dwarf->units[0], &die.low,
					&address);

		CHECK_NUMBER(has, wanted != 0);
		CHECK_NUMBER(address, wanted);
	}
	image_fini(&image);
}

static void addresses(void)
{
	address_is(DW_FORM_addr, "8877665544332211", 0x1122334455667788);
	address_is(DW_FORM_addrx, "8300", 0x4000);
	address_is(DW_FORM_addrx1, "04", 0x5000);
	address_is(DW_FORM_addrx2, "0400", 0x5000);
	address_is(DW_FORM_addrx3, "040000", 0x5000);
	address_is(DW_FORM_addrx4, "04000000", 0x5000);
	address_is(DW_FORM_addrx4, "05000000", 0);
	address_is(DW_FORM_addrx, "ffffffffffffffffff01", 0);
	address_is(DW_FORM_GNU_addr_index, "00", 0x1000);
	address_is(DW_FORM_indirect, "01" "8877665544332211",
		   0x1122334455667788);
	address_is(DW_FORM_data8, "8877665544332211", 0);
}

static void implicit_constants(void)
{
	struct image image = { 0 };
	struct writer *info = image_section(&image, "info");
	struct writer *abbrev = image_section(&image, "abbrev");
	size_t start = put_length(info, 4);

	put_abbrev(abbrev, 1, DW_TAG_compile_unit, true, 0);
	writer_uleb(abbrev, 2);
	writer_uleb(abbrev, DW_TAG_subprogram);
	writer_u8(abbrev, 0);
	writer_uleb(abbrev, DW_AT_high_pc);
	writer_uleb(abbrev, DW_FORM_implicit_const);
	writer_sleb(abbrev, 0x10);
	writer_uleb(abbrev, DW_AT_low_pc);
	writer_uleb(abbrev, DW_FORM_addr);
	writer_uleb(abbrev, DW_AT_name);
	writer_uleb(abbrev, DW_FORM_string);
	writer_u16(abbrev, 0);
	writer_u8(abbrev, 0);
	put_unit_head(info, 5, 4, DW_UT_compile, 0);
	writer_uleb(info, 1);
	for (unsigned i = 1; i < 3; i++) {
		writer_uleb(info, 2);
		writer_u64(info, 0x1000 * i);
		put_text(info, "f");
	}
	end_length(info, 4, start);
	check_tree(&image, "f 1000-1010\nf 2000-2010\n");
	image_fini(&image);
}

/* Ranges */

/* A unit that begins at BASE, and in it a function whose ranges are at offset 0
 * of the section, or, in VERSION 5 with FORM rnglistx, number 0 of its lists;
 * FILL writes them. */
static void ranges_are(unsigned version, unsigned form, uint64_t base,
		       void fill(struct writer *lists), const char *wanted)
{
	struct image image = { 0 };
	struct writer *info = image_section(&image, "info");
	struct writer *abbrev = image_section(&image, "abbrev");
	struct writer *addresses_ = image_section(&image, "addr");
	size_t start = put_length(info, 4);

	put_abbrev(abbrev, 1, DW_TAG_compile_unit, true, DW_AT_low_pc,
		   DW_FORM_addr, DW_AT_rnglists_base, DW_FORM_sec_offset, 0);
	put_abbrev(abbrev, 2, DW_TAG_subprogram, false, DW_AT_name,
		   DW_FORM_string, DW_AT_ranges, form, 0);
	writer_u8(abbrev, 0);
	put_unit_head(info, version, 4, DW_UT_compile, 0);
	writer_uleb(info, 1);
	writer_u64(info, base);
	writer_u32(info, 12);
	writer_uleb(info, 2);
	put_text(info, "f");
	put_offset(info, form == DW_FORM_rnglistx ? 1 : 4, 0);
	if (form == DW_FORM_rnglistx)
		info->len -= 3;
	end_length(info, 4, start);
	for (unsigned i = 1; i < 5; i++)
		writer_u64(addresses_, 0x1000 * i);
	fill(image_section(&image, version < 5 ? "ranges" : "rnglists"));
	check_tree(&image, wanted);
	image_fini(&image);
}

static void put_pair(struct writer *w, uint64_t low, uint64_t high)
{
	writer_u64(w, low);
	writer_u64(w, high);
}

static void old_list(struct writer *w)
{
	put_pair(w, 0x10, 0x20);
	put_pair(w, 0x30, 0x30);            /* of no length */
	put_pair(w, UINT64_MAX, 0x5000);    /* the base is */
	put_pair(w, 0, 0x8);
	put_pair(w, UINT64_MAX, 1);         /* dropped, as lld says it */
	put_pair(w, 0x10, 0x20);
	put_pair(w, UINT64_MAX, UINT64_MAX - 1);
	put_pair(w, 0x10, 0x20);
	put_pair(w, UINT64_MAX, 0);         /* clang: absolute ones follow */
	put_pair(w, 0x6000, 0x6010);
	put_pair(w, 1, 1);                  /* dropped, as bfd says it */
	put_pair(w, 0, 0);
	put_pair(w, 0x7000, 0x7010);        /* behind the end */
}

static void old_ranges(void)
{
	ranges_are(4, DW_FORM_sec_offset, 0x1000, old_list,
		   "f 1010-1020 5000-5008 6000-6010\n");
	ranges_are(2, DW_FORM_data4, 0x1000, old_list,
		   "f 1010-1020 5000-5008 6000-6010\n");
}

static void new_list(struct writer *w)
{
	writer_u8(w, DW_RLE_offset_pair);
	writer_uleb(w, 0x10);
	writer_uleb(w, 0x20);
	writer_u8(w, DW_RLE_base_addressx);
	writer_uleb(w, 1);
	writer_u8(w, DW_RLE_offset_pair);
	writer_uleb(w, 0);
	writer_uleb(w, 0x80);
	writer_u8(w, DW_RLE_startx_endx);
	writer_uleb(w, 2);
	writer_uleb(w, 3);
	writer_u8(w, DW_RLE_startx_length);
	writer_uleb(w, 3);
	writer_uleb(w, 0x10);
	writer_u8(w, DW_RLE_start_end);
	put_pair(w, 0x6000, 0x6010);
	writer_u8(w, DW_RLE_start_length);
	writer_u64(w, 0x7000);
	writer_uleb(w, 0x10);
	writer_u8(w, DW_RLE_base_address);
	writer_u64(w, 0x8000);
	writer_u8(w, DW_RLE_offset_pair);
	writer_uleb(w, 1);
	writer_uleb(w, 2);
	writer_u8(w, DW_RLE_end_of_list);
	writer_u8(w, DW_RLE_start_end);
	put_pair(w, 0x9000, 0x9010);
}

static void new_ranges(void)
{
	ranges_are(5, DW_FORM_sec_offset, 0x500, new_list,
		   "f 510-520 2000-2080 3000-4000 4000-4010 6000-6010 "
		   "7000-7010 8001-8002\n");
}

/* What a linker has dropped it leaves at 0, or at the end. */
static void dropped_list(struct writer *w)
{
	static const uint64_t tombstones[] = {
		0, UINT64_MAX, UINT64_MAX - 1, UINT32_MAX,
	};

	for (size_t i = 0; i < 4; i++) {
		writer_u8(w, DW_RLE_start_length);
		writer_u64(w, tombstones[i]);
		writer_uleb(w, 0x10);
		writer_u8(w, DW_RLE_base_address);
		writer_u64(w, tombstones[i]);
		writer_u8(w, DW_RLE_offset_pair);
		writer_uleb(w, 0x1000);
		writer_uleb(w, 0x1010);
	}
	writer_u8(w, DW_RLE_start_length);
	writer_u64(w, UINT64_MAX - 0x100);
	writer_uleb(w, 0x200); /* beyond the end */
	writer_u8(w, DW_RLE_end_of_list);
}

static void dropped_ranges(void)
{
	ranges_are(5, DW_FORM_sec_offset, 0, dropped_list, "");
}

static void indexed_list(struct writer *w)
{
	writer_zero(w, 12);
	writer_u32(w, 4); /* number 0 is behind the offsets */
	writer_u8(w, DW_RLE_start_length);
	writer_u64(w, 0x7000);
	writer_uleb(w, 0x10);
	writer_u8(w, 0x40); /* no such kind: the end */
	writer_u8(w, DW_RLE_start_length);
	writer_u64(w, 0x8000);
	writer_uleb(w, 0x10);
}

static void indexed_ranges(void)
{
	ranges_are(5, DW_FORM_rnglistx, 0, indexed_list, "f 7000-7010\n");
}

/* Sections */

static void packed_by_zstd(void)
{
	struct image image = { 0 };
	struct writer *info = image_section(&image, "info"), plain;
	char packed[2][256];
	size_t start, len[2];

	put_usual_abbrevs(&image);
	start = put_usual_unit(&image);
	put_function(info, "f", 0x1000, 0x10);
	end_length(info, 4, start);
	/* As a linker with many threads does it: one frame, and another. */
	plain = *info;
	len[0] = ZSTD_compress(packed[0], sizeof(packed[0]), plain.bytes, 20,
			       1);
	len[1] = ZSTD_compress(packed[1], sizeof(packed[1]), plain.bytes + 20,
			       plain.len - 20, 1);
	writer_init(info, IMAGE_MAX);
	writer_u64(info, 2); /* ELFCOMPRESS_ZSTD */
	writer_u64(info, plain.len);
	writer_u64(info, 1);
	writer_bytes(info, packed[0], len[0]);
	writer_bytes(info, packed[1], len[1]);
	image.sections[0].flags = SHF_COMPRESSED;
	check_tree(&image, "f 1000-1010\n");
	writer_fini(&plain);
	image_fini(&image);
}

/* A section that says that it is packed, by nothing that anybody knows. */
static void packed_by_what(void)
{
	for (uint32_t how = 0; how < 4; how++) {
		struct image image = { 0 };
		struct writer *info = image_section(&image, "info");

		put_usual_abbrevs(&image);
		image.sections[0].flags = SHF_COMPRESSED;
		writer_u64(info, how);
		writer_u64(info, 1 << 30); /* bytes when unpacked */
		writer_u64(info, 1);
		writer_u64(info, 0x1000000);
		if (CHECK(image_open(&image, false, NULL) != NULL))
			CHECK(dwarf_file_next(image.dwarf) == NULL);
		image_fini(&image);
	}
}

/* What has been read is given back to the kernel, but not where it is somebody
 * else's memory. */
static void memory_stays(void)
{
	struct image image = { 0 };
	struct writer *info = image_section(&image, "info");
	struct unit *unit;
	void *copy;

	put_usual_abbrevs(&image);
	for (int i = 0; i < 4; i++) {
		size_t start = put_usual_unit(&image);

		for (int j = 0; j < 1 << 20; j++)
			writer_u8(info, (uint8_t)(1 + j % 250));
		end_length(info, 4, start);
	}
	if (CHECK(image_open(&image, false, NULL) != NULL)) {
		copy = malloc(image.elf.len);
		memcpy(copy, image.elf.bytes, image.elf.len);
		while ((unit = dwarf_file_next(image.dwarf)) != NULL) {
			unit_release(unit);
			dwarf_file_drop(image.dwarf, unit->end);
		}
		CHECK(memcmp(copy, image.elf.bytes, image.elf.len) == 0);
		free(copy);
	}
	image_fini(&image);
}

static const struct test tests[] = {
	{ "heads of units are read, DWARF 2 to 5, 32-bit and 64-bit", heads },
	{ "a unit that ends within its head has nothing", cut_heads },
	{ "padding, other versions and other machines' units are passed over",
	  other_heads },
	{ "the unit around an offset is found", units_by_offset },
	{ "abbreviations may have any codes, in any order", sparse_abbrevs },
	{ "a table of too many attributes is cut short", too_many_attributes },
	{ "each form has its length", form_lengths },
	{ "strings are found, whatever their form", strings },
	{ "a string without a near end is none", endless_string },
	{ "addresses are found, whatever their form", addresses },
	{ "constants of abbreviations are read", implicit_constants },
	{ "ranges up to DWARF 4 are read, with other bases", old_ranges },
	{ "ranges of DWARF 5 are read, of all kinds", new_ranges },
	{ "ranges that a linker has dropped are left out", dropped_ranges },
	{ "ranges are found by number", indexed_ranges },
	{ "a section packed by zstd in several frames is read",
	  packed_by_zstd },
	{ "a section that is badly packed has nothing", packed_by_what },
	{ "a file in memory stays as it is", memory_stays },
};

int main(void)
{
	return TEST_RUN(tests);
}
