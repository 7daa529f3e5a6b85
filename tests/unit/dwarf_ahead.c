/* Units that a thread reads ahead. */
#include "../../symbolizer/dwarf/ahead.h"

#include <zstd.h>

#include "dwarf_image.h"

enum { UNITS = 200, CODE = 0x1000, SIZE = 0x10 };

/* A file of UNITS units, each with one function. */
static bool open_units(struct image *image)
{
	struct writer *info = image_section(image, "info");

	put_usual_abbrevs(image);
	for (uint64_t i = 0; i < UNITS; i++) {
		size_t start = put_usual_unit(image);

		put_function(info, "f", CODE + i * SIZE, SIZE);
		writer_zero(info, 2);
		end_length(info, 4, start);
	}
	return CHECK(image_open(image, false, NULL) != NULL);
}

enum { PLACED = 29 }; /* bytes of a unit */

static void put_placed_abbrevs(struct image *image)
{
	put_abbrev(image_section(image, "abbrev"), 1, DW_TAG_compile_unit,
		   true, DW_AT_low_pc, DW_FORM_addr, DW_AT_high_pc,
		   DW_FORM_data8, 0);
}

/* A unit of SIZE bytes of code at LOW; where it begins, for end_length(). */
static size_t put_placed_unit(struct writer *info, uint64_t low)
{
	size_t start = put_length(info, 4);

	put_unit_head(info, 4, 4, DW_UT_compile, 0);
	writer_uleb(info, 1);
	writer_u64(info, low);
	writer_u64(info, SIZE);
	writer_zero(info, 1);
	end_length(info, 4, start);
	return start;
}

/* Take up to MOST units: how many there were, each the next. */
static size_t take(struct ahead *ahead, size_t most)
{
	struct ahead_unit from;
	size_t n = 0;

	while (n < most && ahead_next(ahead, &from)) {
		const struct tree *tree = tree_of(from.unit);

		CHECK_NUMBER(tree->nfunctions, 1);
		CHECK_NUMBER(tree->functions[0].low, CODE + n * SIZE);
		ahead_done(&from);
		n++;
	}
	return n;
}

static void in_order(void)
{
	for (int keeps_all = 0; keeps_all < 2; keeps_all++) {
		struct image image = { 0 };
		struct ahead *ahead;

		if (open_units(&image)) {
			image.dwarf->keeps_all = keeps_all;
			ahead = ahead_open(image.dwarf, NULL);
			CHECK_NUMBER(take(ahead, SIZE_MAX), UNITS);
			CHECK_NUMBER(take(ahead, SIZE_MAX), 0);
			ahead_close(ahead);
		}
		image_fini(&image);
	}
}

/* Whatever the thread is at. */
static void stops_early(void)
{
	for (size_t n = 0; n < UNITS; n += 7) {
		struct image image = { 0 };
		struct ahead *ahead;

		if (open_units(&image)) {
			ahead = ahead_open(image.dwarf, NULL);
			CHECK_NUMBER(take(ahead, n), n);
			ahead_close(ahead);
			CHECK(!image.dwarf->is_ahead);
		}
		image_fini(&image);
	}
}

/* Units that do not say where they are come, too. */
static void only_some(void)
{
	struct ahead_only only = {
		.addresses = {
			CODE + 70 * SIZE + 5, CODE + 3 * SIZE,
			CODE + 3 * SIZE + 1,
		},
		.n = 3,
	};
	struct image image = { 0 };
	struct writer *info = image_section(&image, "info");
	struct ahead_unit from;
	struct ahead *ahead;
	char found[64] = "";

	put_placed_abbrevs(&image);
	for (uint64_t i = 0; i < UNITS; i++)
		put_placed_unit(info, i == 50 ? 0 : CODE + i * SIZE);
	if (CHECK(image_open(&image, false, NULL) != NULL)) {
		ahead = ahead_open(image.dwarf, &only);
		while (ahead_next(ahead, &from)) {
			snprintf(found + strlen(found),
				 sizeof(found) - strlen(found), "%zu ",
				 (size_t)from.unit->offset / PLACED);
			ahead_done(&from);
		}
		CHECK_STRING(found, "3 50 70 ");
		CHECK(ahead_found_all(&only));
		ahead_close(ahead);
	}
	image_fini(&image);
}

/* What INFO has, packed. */
static void pack(struct image *image)
{
	struct writer *info = image_section(image, "info"), plain = *info;
	size_t room = ZSTD_compressBound(plain.len), len;
	void *packed = malloc(room);

	len = ZSTD_compress(packed, room, plain.bytes, plain.len, 1);
	writer_init(info, IMAGE_MAX);
	writer_u64(info, 2); /* ELFCOMPRESS_ZSTD */
	writer_u64(info, plain.len);
	writer_u64(info, 1);
	writer_bytes(info, packed, len);
	for (size_t i = 0; i < image->nsections; i++)
		if (strcmp(image->sections[i].name, ".debug_info") == 0)
			image->sections[i].flags = SHF_COMPRESSED;
	free(packed);
	writer_fini(&plain);
}

/* Memory of what is behind goes, but not of the unit that somebody has, however
 * far the thread has come since. */
static void keeps_what_is_read(void)
{
	struct ahead_only only = {
		.addresses = { CODE + 5 * SIZE, CODE - 1 }, /* nowhere */
		.n = 2,
	};
	struct image image = { 0 };
	struct writer *info = image_section(&image, "info");
	struct ahead_unit from;
	struct ahead *ahead;
	struct die die;

	put_placed_abbrevs(&image);
	for (uint64_t i = 0; i < 16; i++) {
		size_t start = put_placed_unit(info, CODE + i * SIZE);

		writer_zero(info, 1 << 20);
		end_length(info, 4, start);
	}
	pack(&image);
	if (CHECK(image_open(&image, false, NULL) != NULL)) {
		ahead = ahead_open(image.dwarf, &only);
		CHECK(ahead_next(ahead, &from));
		ahead_close(ahead); /* it goes on to the end */
		CHECK(unit_die(from.unit, from.unit->dies, &die));
		CHECK_NUMBER(die.low.value, CODE + 5 * SIZE);
		ahead_done(&from);
	}
	image_fini(&image);
}

/* Those who have a unit ask for others in vain, as these may be in the hands of
 * the thread. */
static void other_units(void)
{
	struct image image = { 0 };
	struct ahead_unit from;
	struct ahead *ahead;

	if (open_units(&image)) {
		ahead = ahead_open(image.dwarf, NULL);
		if (CHECK(ahead_next(ahead, &from))) {
			image.dwarf->near = from.unit;
			CHECK(dwarf_file_unit(image.dwarf, from.unit->dies) ==
			      from.unit);
			CHECK(dwarf_file_unit(image.dwarf, from.unit->end) ==
			      NULL);
			ahead_done(&from);
		}
		ahead_close(ahead);
		CHECK(dwarf_file_unit(image.dwarf, from.unit->end) != NULL);
	}
	image_fini(&image);
}

static const struct test tests[] = {
	{ "units come in their order, with a thread and without", in_order },
	{ "nobody need take them all", stops_early },
	{ "units that have no code that is asked for are passed over",
	  only_some },
	{ "DIEs of a unit stay as long as somebody has it",
	  keeps_what_is_read },
	{ "units that the thread has are nobody's", other_units },
};

int main(void)
{
	return TEST_RUN(tests);
}
