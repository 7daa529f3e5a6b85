/* Functions, what was inlined into them, whom they call, and what all of them
 * are called: of DWARF that is written here byte by byte. */
#include "dwarf_image.h"

/* Scopes */

static void nested_scopes(void)
{
	struct image image = { 0 };
	struct writer *info = image_section(&image, "info");
	uint32_t inner, middle;
	size_t start;

	put_usual_abbrevs(&image);
	start = put_usual_unit(&image);
	inner = put_function(info, "inner", 0, 0);
	writer_u8(info, 0);
	middle = put_function(info, "middle", 0, 0);
	put_inlined(info, inner, 0x1000, 0x10, 7); /* in no code */
	writer_u16(info, 0);
	put_function(info, "f", 0x1000, 0x100);
	put_inlined(info, middle, 0x1010, 0x20, 30);
	put_inlined(info, inner, 0x1018, 8, 20);
	writer_u16(info, 0);
	put_inlined(info, middle, 0, 0, 31); /* optimized away, */
	put_inlined(info, inner, 0x1040, 8, 20); /* and this within */
	writer_u16(info, 0);
	put_inlined(info, inner, 0x1050, 8, 32);
	writer_u16(info, 0);
	put_function(info, "g", 0x2000, 0x10);
	end_length(info, 4, start);
	check_tree(&image, "f 1000-1100\n"
			   ". middle @1:30 1010-1030\n"
			   ". . inner @1:20 1018-1020\n"
			   ". inner @1:32 1050-1058\n"
			   "g 2000-2010\n");
	image_fini(&image);
}

/* GNU C's: a function in another has code of its own. */
static void nested_functions(void)
{
	struct image image = { 0 };
	struct writer *info = image_section(&image, "info");
	size_t start;

	put_usual_abbrevs(&image);
	start = put_usual_unit(&image);
	put_function(info, "f", 0x1000, 0x10);
	put_function(info, "nested", 0x1080, 0x10);
	writer_u16(info, 0);
	end_length(info, 4, start);
	check_tree(&image, "f 1000-1010\nnested 1080-1090\n");
	image_fini(&image);
}

/* What is too deep in a function costs no other one. */
static void deep_scopes(void)
{
	struct image image = { 0 };
	struct writer *info = image_section(&image, "info");
	struct unit *unit;
	size_t start;
	uint32_t f;

	put_usual_abbrevs(&image);
	start = put_usual_unit(&image);
	f = put_function(info, "f", 0x1000, 0x1000);
	for (uint64_t i = 0; i < 1000; i++)
		put_inlined(info, f, 0x1000 + i, 0x1000 - i, 1);
	writer_zero(info, 1001);
	put_function(info, "g", 0x3000, 0x10);
	end_length(info, 4, start);
	unit = image_open(&image, false, NULL) ? dwarf_file_next(image.dwarf)
					       : NULL;
	if (CHECK(unit != NULL)) {
		const struct tree *tree = tree_of(unit);

		CHECK_NUMBER(tree->nfunctions, 2);
		CHECK_NUMBER(tree->functions[tree->nfunctions - 1].low, 0x3000);
		CHECK(tree->ninlines > 200 && tree->ninlines < TREE_MAX_DEPTH);
	}
	image_fini(&image);
}

/* A few bytes for each of many DIEs that all have the same long list. */
static void shared_ranges(void)
{
	enum { RANGES = 4000, FUNCTIONS = 4000 };
	struct image image = { 0 };
	struct writer *info = image_section(&image, "info");
	struct writer *abbrev = image_section(&image, "abbrev");
	struct writer *lists = image_section(&image, "rnglists");
	size_t start = put_length(info, 4);
	struct unit *unit;

	put_abbrev(abbrev, 1, DW_TAG_compile_unit, true, DW_AT_low_pc,
		   DW_FORM_addr, 0);
	put_abbrev(abbrev, 2, DW_TAG_subprogram, false, DW_AT_ranges,
		   DW_FORM_sec_offset, 0);
	put_unit_head(info, 5, 4, DW_UT_compile, 0);
	writer_uleb(info, 1);
	writer_u64(info, 0x1000);
	for (unsigned i = 0; i < FUNCTIONS; i++) {
		writer_uleb(info, 2);
		writer_u32(info, 0);
	}
	end_length(info, 4, start);
	for (unsigned i = 0; i < RANGES; i++) {
		writer_u8(lists, DW_RLE_offset_pair);
		writer_uleb(lists, 2 * i);
		writer_uleb(lists, 2 * i + 1);
	}
	writer_u8(lists, DW_RLE_end_of_list);
	unit = image_open(&image, false, NULL) ? dwarf_file_next(image.dwarf)
					       : NULL;
	if (CHECK(unit != NULL)) {
		size_t n = tree_of(unit)->nfunctions;

		CHECK(n >= RANGES && n <= info->len + lists->len);
	}
	image_fini(&image);
}

/* Siblings */

/* A type whose DW_AT_sibling is DISTANCE behind where it should be; its child
 * makes no sense. */
static void sibling_leads(int distance, const char *wanted)
{
	struct image image = { 0 };
	struct writer *info = image_section(&image, "info");
	struct writer *abbrev = image_section(&image, "abbrev");
	size_t start, at;

	put_usual_abbrevs(&image);
	abbrev->len--;
	put_abbrev(abbrev, 5, DW_TAG_array_type, true, DW_AT_byte_size,
		   DW_FORM_data2, DW_AT_sibling, DW_FORM_ref4, 0);
	start = put_usual_unit(&image);
	writer_uleb(info, 5);
	writer_u16(info, 16);
	at = info->len;
	writer_u32(info, 0);
	writer_uleb(info, 0x7f); /* no such abbreviation */
	writer_patch_u32(info, at,
			 (uint32_t)(info->len - start + 4) +
				 (uint32_t)distance);
	put_function(info, "f", 0x1000, 0x10);
	end_length(info, 4, start);
	check_tree(&image, wanted);
	image_fini(&image);
}

static void siblings(void)
{
	sibling_leads(0, "f 1000-1010\n");
	sibling_leads(-5, ""); /* into its own attributes */
	sibling_leads(-1000, "");
	sibling_leads(1000, "");
}

/* Names */

enum {
	UNIT = 1, NAMESPACE, ANONYMOUS, CLASS, UNION, DECLARED, DEFINED, NAMED,
	CLONE, LINKED, FOREIGN,
};

static void put_name_abbrevs(struct image *image)
{
	struct writer *w = image_section(image, "abbrev");

	put_abbrev(w, UNIT, DW_TAG_compile_unit, true, 0);
	put_abbrev(w, NAMESPACE, DW_TAG_namespace, true, DW_AT_name,
		   DW_FORM_string, 0);
	put_abbrev(w, ANONYMOUS, DW_TAG_namespace, true, 0);
	put_abbrev(w, CLASS, DW_TAG_class_type, true, DW_AT_name,
		   DW_FORM_string, 0);
	put_abbrev(w, UNION, DW_TAG_union_type, true, 0);
	put_abbrev(w, DECLARED, DW_TAG_subprogram, false, DW_AT_name,
		   DW_FORM_string, DW_AT_declaration, DW_FORM_flag_present, 0);
	put_abbrev(w, DEFINED, DW_TAG_subprogram, true, DW_AT_low_pc,
		   DW_FORM_addr, DW_AT_high_pc, DW_FORM_data1,
		   DW_AT_specification, DW_FORM_ref4, 0);
	put_abbrev(w, NAMED, DW_TAG_subprogram, true, DW_AT_low_pc,
		   DW_FORM_addr, DW_AT_high_pc, DW_FORM_data1, DW_AT_name,
		   DW_FORM_string, 0);
	put_abbrev(w, CLONE, DW_TAG_subprogram, false, DW_AT_low_pc,
		   DW_FORM_addr, DW_AT_high_pc, DW_FORM_data1,
		   DW_AT_abstract_origin, DW_FORM_ref_addr, 0);
	put_abbrev(w, LINKED, DW_TAG_subprogram, false, DW_AT_low_pc,
		   DW_FORM_addr, DW_AT_high_pc, DW_FORM_data1,
		   DW_AT_abstract_origin, DW_FORM_ref_addr,
		   DW_AT_linkage_name, DW_FORM_string, 0);
	put_abbrev(w, FOREIGN, DW_TAG_subprogram, false, DW_AT_low_pc,
		   DW_FORM_addr, DW_AT_high_pc, DW_FORM_data1,
		   DW_AT_abstract_origin, DW_FORM_GNU_ref_alt, 0);
	writer_u8(w, 0);
}

static size_t begin_names(struct image *image)
{
	struct writer *info = image_section(image, "info");
	size_t start = put_length(info, 4);

	put_unit_head(info, 4, 4, 0, 0);
	writer_uleb(info, UNIT);
	return start;
}

/* Where it is. */
static uint32_t put_named(struct writer *info, unsigned abbrev,
			  const char *name)
{
	uint32_t at = (uint32_t)info->len;

	writer_uleb(info, abbrev);
	put_text(info, name);
	return at;
}

/* A function with code; what it is an instance of follows. */
static uint32_t put_code(struct writer *info, unsigned abbrev, uint64_t low)
{
	uint32_t at = (uint32_t)info->len;

	writer_uleb(info, abbrev);
	writer_u64(info, low);
	writer_u8(info, 0x10);
	return at;
}

static void contexts(void)
{
	struct image image = { 0 };
	struct writer *info = image_section(&image, "info");
	uint32_t method, hidden;
	size_t start;

	put_name_abbrevs(&image);
	start = begin_names(&image);
	put_named(info, NAMESPACE, "space");
	put_named(info, CLASS, "Class");
	method = put_named(info, DECLARED, "method");
	writer_u8(info, 0);
	writer_uleb(info, ANONYMOUS);
	writer_uleb(info, UNION);
	hidden = put_named(info, DECLARED, "hidden");
	writer_zero(info, 3);
	put_code(info, DEFINED, 0x1000);
	writer_u32(info, method);
	put_named(info, CLASS, "<lambda(int)>"); /* in that method's body */
	put_code(info, NAMED, 0x1020);
	put_text(info, "operator()");
	writer_zero(info, 3);
	put_code(info, DEFINED, 0x1040);
	writer_u32(info, hidden);
	writer_u8(info, 0);
	put_code(info, NAMED, 0x1060);
	put_text(info, "outer");
	put_code(info, NAMED, 0x1080);
	put_text(info, "nested"); /* in the body of outer, as GNU C has it */
	writer_u16(info, 0);
	end_length(info, 4, start);
	check_tree(&image,
		   "space::Class::method 1000-1010\n"
		   "space::Class::method::{lambda}::operator() 1020-1030\n"
		   "space::(anonymous namespace)::{unnamed}::hidden "
		   "1040-1050\n"
		   "outer 1060-1070\n"
		   "nested 1080-1090\n");
	image_fini(&image);
}

/* References that lead to another unit, to another file, on from there, in a
 * circle, and nowhere. */
static void names_elsewhere(void)
{
	struct image image = { 0 }, alt = { 0 };
	struct writer *info = image_section(&image, "info");
	struct writer *common = image_section(&alt, "info");
	uint32_t origin, shared, clone;
	size_t start;

	put_name_abbrevs(&alt);
	start = begin_names(&alt);
	put_named(common, NAMESPACE, "far");
	shared = put_named(common, DECLARED, "away");
	writer_u16(common, 0);
	end_length(common, 4, start);
	image_open(&alt, false, NULL);
	put_name_abbrevs(&image);
	start = begin_names(&image);
	put_named(info, NAMESPACE, "other");
	origin = put_named(info, DECLARED, "origin");
	end_length(info, 4, start);
	start = begin_names(&image);
	clone = put_code(info, CLONE, 0x1000);
	writer_u32(info, origin);
	put_code(info, CLONE, 0x1020);
	writer_u32(info, clone);
	put_code(info, LINKED, 0x1040);
	writer_u32(info, clone);
	put_text(info, "_Zlinked");
	put_code(info, FOREIGN, 0x1060);
	writer_u32(info, shared);
	clone = put_code(info, CLONE, 0x1080);
	writer_u32(info, clone);
	put_code(info, CLONE, 0x10a0);
	writer_u32(info, 0x7fffffff);
	end_length(info, 4, start);
	check_unit(&image, &alt, 1,
		   "other::origin 1000-1010\n"
		   "other::origin 1020-1030\n"
		   "_Zlinked 1040-1050\n"
		   "far::away 1060-1070\n"
		   "? 1080-1090\n"
		   "? 10a0-10b0\n");
	image_fini(&image);
	image_fini(&alt);
}

/* Names of contexts that add up. */
static void long_names(void)
{
	enum { DEPTH = 200, LONG = 60000 };
	struct image image = { 0 };
	struct writer *info = image_section(&image, "info");
	struct function_name name;
	char *text = malloc(LONG + 1);
	size_t start;
	uint32_t at;

	memset(text, 'n', LONG);
	text[LONG] = '\0';
	put_name_abbrevs(&image);
	start = begin_names(&image);
	for (int i = 0; i < DEPTH; i++)
		put_named(info, NAMESPACE, text);
	at = put_code(info, NAMED, 0x1000);
	put_text(info, "f");
	end_length(info, 4, start);
	if (CHECK(image_open(&image, false, NULL) != NULL)) {
		tree_name((struct die_ref){ image.dwarf, at }, &name);
		CHECK_STRING(name.plain, "f");
		CHECK(name.qualified && strlen(name.qualified) < LONG);
		free(name.qualified);
	}
	free(text);
	image_fini(&image);
}

/* Calls */

enum { CALLER = 20, CALL, GNU_CALL, TAIL };

static void put_call_abbrevs(struct writer *w)
{
	put_abbrev(w, CALLER, DW_TAG_subprogram, true, DW_AT_low_pc,
		   DW_FORM_addr, DW_AT_high_pc, DW_FORM_data1,
		   DW_AT_call_all_calls, DW_FORM_flag_present, 0);
	put_abbrev(w, CALL, DW_TAG_call_site, false, DW_AT_call_return_pc,
		   DW_FORM_addr, DW_AT_call_origin, DW_FORM_ref4, 0);
	put_abbrev(w, GNU_CALL, DW_TAG_GNU_call_site, false, DW_AT_low_pc,
		   DW_FORM_addr, DW_AT_abstract_origin, DW_FORM_ref4, 0);
	put_abbrev(w, TAIL, DW_TAG_call_site, true, DW_AT_call_return_pc,
		   DW_FORM_addr, DW_AT_call_tail_call, DW_FORM_flag_present,
		   DW_AT_call_target, DW_FORM_exprloc, 0);
}

static void put_call(struct writer *info, unsigned abbrev, uint64_t return_pc,
		     uint32_t callee)
{
	writer_uleb(info, abbrev);
	writer_u64(info, return_pc);
	if (abbrev == TAIL)
		writer_u16(info, 0x5001); /* DW_OP_reg0 */
	else
		writer_u32(info, callee);
}

static void check_call(const struct call *call, uint64_t return_pc,
		       uint64_t callee, bool is_tail)
{
	CHECK_NUMBER(call->return_pc, return_pc);
	CHECK_NUMBER(call->callee.file ? call->callee.offset : 0, callee);
	CHECK_NUMBER(call->is_tail, is_tail);
}

static void calls(void)
{
	struct image image = { 0 };
	struct writer *info = image_section(&image, "info");
	uint32_t callee;
	size_t start;

	put_usual_abbrevs(&image);
	image_section(&image, "abbrev")->len--;
	put_call_abbrevs(image_section(&image, "abbrev"));
	start = put_usual_unit(&image);
	callee = put_function(info, "callee", 0x1000, 0x10);
	put_call(info, CALL, 0x1008, callee);
	writer_u8(info, 0);
	put_function(info, "abstract", 0, 0);
	put_call(info, CALL, 0x1008, callee); /* in no code */
	writer_u8(info, 0);
	put_code(info, CALLER, 0x2000);
	put_inlined(info, callee, 0x2000, 0x10, 1);
	put_call(info, GNU_CALL, 0x2008, callee);
	writer_u8(info, 0);
	put_call(info, TAIL, 0x2010, 0);
	end_length(info, 4, start);
	check_tree(&image, "callee 1000-1010\n"
			   "? 2000-2010\n"
			   ". callee @1:1 2000-2010\n");
	if (CHECK(image.dwarf->nunits == 1)) {
		const struct tree *tree = tree_of(image.dwarf->units[0]);

		CHECK(!tree->scopes[0].tells_tails);
		CHECK(tree->scopes[1].tells_tails);
		CHECK_NUMBER(tree->scopes[1].entry, 0x2000);
		if (CHECK_NUMBER(tree->ncalls, 3)) {
			check_call(&tree->calls[0], 0x1008, callee, false);
			check_call(&tree->calls[1], 0x2008, callee, false);
			check_call(&tree->calls[2], 0x2010, 0, true);
			CHECK_NUMBER(tree->calls[1].function, 1);
		}
	}
	image_fini(&image);
}

static const struct test tests[] = {
	{ "functions hold what was inlined, where there is code of it",
	  nested_scopes },
	{ "a function within another is one by itself", nested_functions },
	{ "what is too deep costs nothing else", deep_scopes },
	{ "ranges cost no more than bytes say them", shared_ranges },
	{ "siblings lead on, and never back", siblings },
	{ "a name has what it is declared in before it", contexts },
	{ "a name is looked for in other units and files", names_elsewhere },
	{ "a name is bounded", long_names },
	{ "calls are told with who makes them", calls },
};

int main(void)
{
	return TEST_RUN(tests);
}
