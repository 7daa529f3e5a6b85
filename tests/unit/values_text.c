/* Values as text: what gdb 13 prints of the same bytes and types. */
#include "values_image.h"

/* Writes a type, and says where it is. */
typedef uint32_t make_type(struct writer *info);

/* What a variable of the type is shown as that holds the LEN bytes. */
static void check_in(uint8_t language, make_type *make, const void *bytes,
		     size_t len, const char *wanted)
{
	static const uint8_t here[] = { DW_OP_fbreg, 0 };
	struct image image = { 0 };
	struct writer *info = image_section(&image, "info");
	struct values_thread thread;
	struct code *code;
	uint32_t type;
	size_t start;
	char *text;

	put_values_abbrevs(&image);
	start = put_values_unit(&image, 5, language);
	type = make(info);
	put_code(info, "f", CODE_AT, CODE_LEN);
	put_named(info, A_VARIABLE, "x", type);
	put_block(info, here, sizeof(here));
	writer_u16(info, 0);
	end_length(info, 4, start);
	code = image_open(&image, false, NULL) ? code_of(image.dwarf) : NULL;
	values_thread_init(&thread, code, 8);
	memcpy(values_stack + CFA - STACK_AT, bytes, len);
	text = values_text(&thread, 0);
	CHECK(strncmp(text, "*x=", 3) == 0);
	CHECK_STRING(text + 3, wanted);
	free(text);
	code_close(code);
	image_fini(&image);
}

static void check(make_type *make, const void *bytes, size_t len,
		  const char *wanted)
{
	check_in(DW_LANG_C11, make, bytes, len, wanted);
}

#define CHECK_VALUE(make, type, wanted, ...)                                   \
	check(make, (const type[]){ __VA_ARGS__ },                             \
	      sizeof((const type[]){ __VA_ARGS__ }), wanted)

/* Base types */

static uint32_t int_type(struct writer *info)
{
	return put_base(info, "int", DW_ATE_signed, 4);
}

static uint32_t ulong_type(struct writer *info)
{
	return put_base(info, "unsigned long", DW_ATE_unsigned, 8);
}

static uint32_t int128_type(struct writer *info)
{
	return put_base(info, "__int128", DW_ATE_signed, 16);
}

static uint32_t char_type(struct writer *info)
{
	return put_base(info, "char", DW_ATE_signed_char, 1);
}

static uint32_t byte_type(struct writer *info)
{
	return put_base(info, "unsigned char", DW_ATE_unsigned_char, 1);
}

static uint32_t wide_type(struct writer *info)
{
	return put_named(info, A_TYPEDEF, "wchar_t", int_type(info));
}

static uint32_t bool_type(struct writer *info)
{
	return put_base(info, "_Bool", DW_ATE_boolean, 1);
}

static uint32_t float_type(struct writer *info)
{
	return put_base(info, "float", DW_ATE_float, 4);
}

static uint32_t double_type(struct writer *info)
{
	return put_base(info, "double", DW_ATE_float, 8);
}

static uint32_t long_double_type(struct writer *info)
{
	return put_base(info, "long double", DW_ATE_float, 16);
}

static uint32_t complex_type(struct writer *info)
{
	return put_base(info, "complex double", DW_ATE_complex_float, 16);
}

static uint32_t odd_type(struct writer *info)
{
	return put_base(info, "int24", DW_ATE_lo_user, 3);
}

static void numbers(void)
{
	CHECK_VALUE(int_type, int32_t, "-5", -5);
	CHECK_VALUE(ulong_type, uint64_t, "18446744073709551615", UINT64_MAX);
	CHECK_VALUE(int128_type, uint64_t,
		    "-170141183460469231731687303715884105728", 0,
		    UINT64_C(1) << 63);
	CHECK_VALUE(int128_type, uint64_t, "18446744073709551616", 0, 1);
	CHECK_VALUE(bool_type, uint8_t, "true", 1);
	CHECK_VALUE(bool_type, uint8_t, "77", 77);
	CHECK_VALUE(float_type, float, "0.100000001", 0.1f);
	CHECK_VALUE(double_type, double, "0.10000000000000001", 0.1);
	CHECK_VALUE(double_type, double, "-inf", -1.0 / 0.0);
	CHECK_VALUE(double_type, uint64_t, "-nan(0x8000000000000)",
		    UINT64_C(0xfff8000000000000));
	CHECK_VALUE(long_double_type, long double, "0.100000000000000000001",
		    0.1L);
	CHECK_VALUE(complex_type, double, "1.5 + -2i", 1.5, -2);
	CHECK_VALUE(odd_type, uint32_t, "<not understood>", 1);
}

static void characters(void)
{
	CHECK_VALUE(char_type, int8_t, "97 'a'", 'a');
	CHECK_VALUE(char_type, int8_t, "-61 '\\303'", -61);
	CHECK_VALUE(char_type, int8_t, "0 '\\000'", 0);
	CHECK_VALUE(char_type, int8_t, "10 '\\n'", '\n');
	CHECK_VALUE(char_type, int8_t, "39 '\\''", '\'');
	CHECK_VALUE(char_type, int8_t, "34 '\"'", '"');
	CHECK_VALUE(byte_type, uint8_t, "200 '\\310'", 200);
	CHECK_VALUE(wide_type, int32_t, "233 L'\303\251'", 0xe9);
}

/* Arrays */

static uint32_t put_array_of(struct writer *info, uint32_t type,
			     unsigned count)
{
	uint32_t at = put_reference_to(info, A_ARRAY, type);

	writer_uleb(info, A_RANGE);
	writer_sleb(info, (int64_t)count - 1);
	writer_u8(info, 0);
	return at;
}

static uint32_t four_ints(struct writer *info)
{
	return put_array_of(info, int_type(info), 4);
}

static uint32_t two_by_two(struct writer *info)
{
	uint32_t at = put_reference_to(info, A_ARRAY, int_type(info));

	for (int i = 0; i < 2; i++) {
		writer_uleb(info, A_RANGE);
		writer_sleb(info, 1);
	}
	writer_u8(info, 0);
	return at;
}

static uint32_t twelve_bytes(struct writer *info)
{
	return put_array_of(info, byte_type(info), 12);
}

static uint32_t twelve_shorts(struct writer *info)
{
	return put_array_of(info, put_base(info, "short", DW_ATE_signed, 2),
			    12);
}

static uint32_t too_many_ints(struct writer *info)
{
	return put_array_of(info, int_type(info), 60000);
}

static uint32_t beyond_the_stack(struct writer *info)
{
	uint32_t type = int_type(info);
	uint32_t at = put_sized(info, A_STRUCT, "sparse", 96);

	put_named(info, A_MEMBER, "x", type);
	writer_u8(info, 0);
	writer_u8(info, 0);
	return put_array_of(info, at, 4);
}

static uint32_t no_ints(struct writer *info)
{
	return put_array_of(info, int_type(info), 0);
}

static void arrays(void)
{
	CHECK_VALUE(four_ints, int32_t, "{1, 2, 2, -3}", 1, 2, 2, -3);
	CHECK_VALUE(two_by_two, int32_t, "{{1, 2}, {3, 4}}", 1, 2, 3, 4);
	CHECK_VALUE(twelve_shorts, int16_t, "{7 <repeats 11 times>, 8}", 7, 7,
		    7, 7, 7, 7, 7, 7, 7, 7, 7, 8);
	CHECK_VALUE(twelve_shorts, int16_t,
		    "{1, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 8}", 1, 7, 7, 7, 7, 7,
		    7, 7, 7, 7, 7, 8);
	CHECK_VALUE(too_many_ints, int32_t, "<too large>", 1);
	CHECK_VALUE(no_ints, int32_t, "0x7040", 1);
	check(beyond_the_stack, "", 0,
	      "{{x = 1128415552}, {x = -1549622880}, <not captured>, "
	      "<not captured>}");
}

static void strings(void)
{
	check(twelve_bytes, "abc\0\0\0\0\0\0\0\0", 12,
	      "\"abc\\000\\000\\000\\000\\000\\000\\000\\000\"");
	check(twelve_bytes, "aaaaaaaaaaab", 12,
	      "'a' <repeats 11 times>, \"b\"");
	check(twelve_bytes, "b\0aaaaaaaaaa", 12, "\"b\\000aaaaaaaaaa\"");
	check(twelve_bytes, "\t\"\\\177\001" "12\303\251\303x", 12,
	      "\"\\t\\\"\\\\\\177\\00112\303\251\\303x\"");
}

/* Pointers */

static uint32_t to_char(struct writer *info)
{
	uint32_t constant = put_reference_to(info, A_CONST, char_type(info));

	return put_reference_to(info, A_POINTER, constant);
}

static uint32_t to_int(struct writer *info)
{
	return put_reference_to(info, A_POINTER, int_type(info));
}

static uint32_t to_code(struct writer *info)
{
	return put_reference_to(info, A_POINTER,
				put_reference_to(info, A_SUBROUTINE,
						 int_type(info)));
}

static uint32_t to_void(struct writer *info)
{
	uint32_t at = (uint32_t)info->len;

	writer_uleb(info, A_VOID_POINTER);
	return at;
}

static uint32_t reference(struct writer *info)
{
	return put_reference_to(info, A_REFERENCE, four_ints(info));
}

static void pointers(void)
{
	CHECK_VALUE(to_int, uint64_t, "0x7040", 0x7040);
	CHECK_VALUE(to_void, uint64_t, "0x0", 0);
	CHECK_VALUE(to_char, uint64_t, "0x0", 0);
	CHECK_VALUE(to_char, uint64_t, "0x8", 8);
	CHECK_VALUE(to_char, uint64_t, "0x553000 \"constant\"", CONSTANT_AT);
	CHECK_VALUE(to_char, uint64_t, "0x70fd \"\\375\\376\\377\"...",
		    STACK_AT + 253);
	CHECK_VALUE(to_code, uint64_t, "0x551000 <f>", BIAS + CODE_AT);
	CHECK_VALUE(to_code, uint64_t, "0x551004 <f+4>", BIAS + CODE_AT + 4);
	CHECK_VALUE(to_code, uint64_t, "0x123", 0x123);
	CHECK_VALUE(reference, uint64_t,
		    "@0x7080: {-2088599168, -2021227132, -1953855096, "
		    "-1886483060}",
		    0x7080);
	CHECK_VALUE(reference, uint64_t, "@0x10: <not captured>", 0x10);
}

/* Enumerations */

static void put_enumerator(struct writer *info, const char *name, int64_t value)
{
	writer_uleb(info, A_ENUMERATOR);
	put_text(info, name);
	writer_sleb(info, value);
}

static uint32_t color(struct writer *info)
{
	uint32_t at = put_sized(info, A_ENUM, "color", 4);

	put_enumerator(info, "RED", 0);
	put_enumerator(info, "GREEN", 5);
	put_enumerator(info, "NONE", -1);
	writer_u8(info, 0);
	return at;
}

static uint32_t flags(struct writer *info)
{
	uint32_t at = put_sized(info, A_ENUM, "flags", 4);

	put_enumerator(info, "READ", 1);
	put_enumerator(info, "WRITE", 2);
	put_enumerator(info, "STORE", 2);
	put_enumerator(info, "RUN", 8);
	writer_u8(info, 0);
	return at;
}

static uint32_t numbers_enum(struct writer *info)
{
	uint32_t at = put_sized(info, A_ENUM, "numbers", 4);

	put_enumerator(info, "ONE", 1);
	put_enumerator(info, "THREE", 3);
	writer_u8(info, 0);
	return at;
}

static void enumerations(void)
{
	CHECK_VALUE(color, int32_t, "GREEN", 5);
	CHECK_VALUE(color, int32_t, "NONE", -1);
	CHECK_VALUE(color, int32_t, "-7", -7);
	CHECK_VALUE(flags, int32_t, "WRITE", 2);
	CHECK_VALUE(flags, int32_t, "(READ | WRITE)", 3);
	CHECK_VALUE(flags, int32_t, "(READ | RUN | unknown: 0x20)", 41);
	CHECK_VALUE(flags, int32_t, "(unknown: 0x20)", 32);
	CHECK_VALUE(flags, int32_t, "0", 0);
	CHECK_VALUE(numbers_enum, int32_t, "5", 5);
}

/* Structures */

static void put_field(struct writer *info, const char *name, uint32_t type,
		      uint8_t at)
{
	put_named(info, A_MEMBER, name, type);
	writer_u8(info, at);
}

static uint32_t point(struct writer *info)
{
	uint32_t type = int_type(info);
	uint32_t at = put_sized(info, A_STRUCT, "point", 8);

	put_field(info, "x", type, 0);
	put_field(info, "y", type, 4);
	writer_u8(info, 0);
	return at;
}

static uint32_t shape(struct writer *info)
{
	uint32_t inner = point(info), type = int_type(info);
	uint32_t at = put_sized(info, A_STRUCT, "shape", 16);

	put_field(info, "p", inner, 0);
	put_field(info, "", inner, 0);
	put_named(info, A_BITS, "low", type);
	writer_u8(info, 3);
	writer_u8(info, 64);
	put_named(info, A_BITS, "high", type);
	writer_u8(info, 5);
	writer_u8(info, 67);
	put_field(info, "beyond", inner, 12);
	writer_u8(info, 0);
	return at;
}

static uint32_t derived(struct writer *info)
{
	uint32_t base = point(info), type = int_type(info);
	uint32_t at = put_sized(info, A_STRUCT, "derived", 12);

	writer_uleb(info, A_BASE_CLASS);
	writer_u32(info, base);
	writer_u8(info, 0);
	put_field(info, "z", type, 8);
	writer_u8(info, 0);
	return at;
}

static uint32_t empty(struct writer *info)
{
	uint32_t at = put_sized(info, A_STRUCT, "empty", 1);

	writer_u8(info, 0);
	return at;
}

/* Holds itself, as no C type can. */
static uint32_t endless(struct writer *info)
{
	uint32_t at = put_sized(info, A_STRUCT, "endless", 4);

	put_field(info, "e", at, 0);
	put_field(info, "f", at, 0);
	writer_u8(info, 0);
	return at;
}

static void structures(void)
{
	CHECK_VALUE(point, int32_t, "{x = 1, y = -2}", 1, -2);
	CHECK_VALUE(shape, uint32_t,
		    "{p = {x = 1, y = 2}, {x = 1, y = 2}, low = -3, "
		    "high = 10, beyond = <not understood>}",
		    1, 2, 5 | 10 << 3);
	check_in(DW_LANG_C_plus_plus_14, derived,
		 (const int32_t[]){ 1, 2, 3 }, 12,
		 "{<point> = {x = 1, y = 2}, z = 3}");
	CHECK_VALUE(empty, uint8_t, "{<No data fields>}", 1);
}

static void bounds(void)
{
	static const uint8_t here[] = { DW_OP_fbreg, 0 };
	struct image image = { 0 };
	struct writer *info = image_section(&image, "info");
	struct values_thread thread;
	struct code *code;
	uint32_t type;
	size_t start;
	char *text;

	put_values_abbrevs(&image);
	start = put_values_unit(&image, 5, DW_LANG_C11);
	type = endless(info);
	put_code(info, "f", CODE_AT, CODE_LEN);
	put_named(info, A_VARIABLE, "x", type);
	put_block(info, here, sizeof(here));
	writer_u16(info, 0);
	end_length(info, 4, start);
	code = image_open(&image, false, NULL) ? code_of(image.dwarf) : NULL;
	values_thread_init(&thread, code, 8);
	text = values_text(&thread, 0);
	CHECK(strlen(text) < FORMAT_MAX + 16);
	CHECK(strstr(text, "{...}") != NULL);
	CHECK_STRING(text + strlen(text) - 3, "...");
	free(text);
	code_close(code);
	image_fini(&image);
}

/* Names of types */

static void check_name(make_type *make, uint8_t language, const char *wanted)
{
	static const uint8_t here[] = { DW_OP_fbreg, 0 };
	struct image image = { 0 };
	struct writer *info = image_section(&image, "info");
	char name[TYPE_MAX_NAME];
	struct code *code;
	struct node node;
	uint32_t type;
	size_t start;

	put_values_abbrevs(&image);
	start = put_values_unit(&image, 5, language);
	type = make(info);
	put_code(info, "f", CODE_AT, CODE_LEN);
	put_named(info, A_VARIABLE, "x", type);
	put_block(info, here, sizeof(here));
	writer_u16(info, 0);
	end_length(info, 4, start);
	code = image_open(&image, false, NULL) ? code_of(image.dwarf) : NULL;
	if (CHECK(code && code_function(code, CODE_AT, &node) &&
		  node_child(&node, &node))) {
		type_name(&node, name);
		CHECK_STRING(name, wanted);
	}
	code_close(code);
	image_fini(&image);
}

static uint32_t codes(struct writer *info)
{
	return put_array_of(info, to_code(info), 2);
}

static uint32_t to_array(struct writer *info)
{
	return put_reference_to(info, A_POINTER, four_ints(info));
}

static uint32_t constant_pointer(struct writer *info)
{
	uint32_t constant = put_reference_to(info, A_CONST, to_char(info));

	return put_reference_to(info, A_POINTER, constant);
}

static void names(void)
{
	check_name(to_char, DW_LANG_C11, "const char *");
	check_name(constant_pointer, DW_LANG_C11, "const char * const *");
	check_name(to_void, DW_LANG_C11, "void *");
	check_name(to_code, DW_LANG_C11, "int (*)()");
	check_name(codes, DW_LANG_C11, "int (*[2])()");
	check_name(to_array, DW_LANG_C11, "int (*)[4]");
	check_name(two_by_two, DW_LANG_C11, "int [2][2]");
	check_name(point, DW_LANG_C11, "struct point");
	check_name(point, DW_LANG_C_plus_plus_14, "point");
	check_name(color, DW_LANG_C11, "enum color");
	check_name(reference, DW_LANG_C_plus_plus_14, "int (&)[4]");
	check_name(wide_type, DW_LANG_C11, "wchar_t");
}

int main(void)
{
	static const struct test tests[] = {
		{ "numbers have as many digits as tell them apart", numbers },
		{ "a character is shown with its number", characters },
		{ "arrays count what repeats, and end", arrays },
		{ "strings are escaped, and runs in them counted", strings },
		{ "what a pointer leads to is shown where that is text or code",
		  pointers },
		{ "enumerations have names, flags several", enumerations },
		{ "structures have their members, bits and bases", structures },
		{ "a type that holds itself comes to an end", bounds },
		{ "types are called as C declares them", names },
	};

	return TEST_RUN(tests);
}
