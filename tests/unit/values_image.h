/* A unit with variables, and a stopped thread of two frames to read them from:
 * what the tests of values share. */
#ifndef EPITAPH_TESTS_UNIT_VALUES_IMAGE_H
#define EPITAPH_TESTS_UNIT_VALUES_IMAGE_H

#include "../../symbolizer/values/code.h"
#include "../../symbolizer/values/format.h"
#include "../../symbolizer/values/found.h"
#include "../../symbolizer/values/variables.h"
#include "dwarf_image.h"

enum {
	CODE_AT = 0x1000, CODE_LEN = 0x100,   /* f */
	CALLER_AT = 0x2000,                   /* g, which calls f */
	RETURN_PC = 0x2010,
	BIAS = 0x550000,                      /* of the module, loaded */
	STACK_AT = 0x7000, STACK_LEN = 256,
	CFA = STACK_AT + 64,
	CONSTANT_AT = BIAS + 0x3000,          /* what never changes */
};

/* Codes of abbreviations. */
enum {
	A_UNIT = 1, A_BASE, A_FUNCTION, A_PARAMETER, A_VARIABLE, A_CONSTANT,
	A_CALL, A_PASSED, A_POINTER, A_STRUCT, A_MEMBER, A_BITS, A_ARRAY,
	A_RANGE, A_ENUM, A_ENUMERATOR, A_CONST, A_TYPEDEF, A_LISTED, A_LOST,
	A_VOID_POINTER, A_SUBROUTINE, A_BASE_CLASS, A_REFERENCE, A_BLOCK,
};

static uint8_t values_stack[STACK_LEN];
static uint8_t values_fpstate[512];

static inline void put_values_abbrevs(struct image *image)
{
	struct writer *w = image_section(image, "abbrev");

	put_abbrev(w, A_UNIT, DW_TAG_compile_unit, true, DW_AT_language,
		   DW_FORM_data1, DW_AT_low_pc, DW_FORM_addr, DW_AT_high_pc,
		   DW_FORM_data8, 0);
	put_abbrev(w, A_BASE, DW_TAG_base_type, false, DW_AT_name,
		   DW_FORM_string, DW_AT_encoding, DW_FORM_data1,
		   DW_AT_byte_size, DW_FORM_data1, 0);
	put_abbrev(w, A_FUNCTION, DW_TAG_subprogram, true, DW_AT_name,
		   DW_FORM_string, DW_AT_low_pc, DW_FORM_addr, DW_AT_high_pc,
		   DW_FORM_data8, DW_AT_frame_base, DW_FORM_exprloc,
		   DW_AT_call_all_calls, DW_FORM_flag_present, 0);
	put_abbrev(w, A_PARAMETER, DW_TAG_formal_parameter, false, DW_AT_name,
		   DW_FORM_string, DW_AT_type, DW_FORM_ref4, DW_AT_location,
		   DW_FORM_exprloc, 0);
	put_abbrev(w, A_VARIABLE, DW_TAG_variable, false, DW_AT_name,
		   DW_FORM_string, DW_AT_type, DW_FORM_ref4, DW_AT_location,
		   DW_FORM_exprloc, 0);
	put_abbrev(w, A_CONSTANT, DW_TAG_variable, false, DW_AT_name,
		   DW_FORM_string, DW_AT_type, DW_FORM_ref4,
		   DW_AT_const_value, DW_FORM_sdata, 0);
	put_abbrev(w, A_CALL, DW_TAG_call_site, true, DW_AT_call_return_pc,
		   DW_FORM_addr, DW_AT_call_origin, DW_FORM_ref4, 0);
	put_abbrev(w, A_PASSED, DW_TAG_call_site_parameter, false,
		   DW_AT_location, DW_FORM_exprloc, DW_AT_call_value,
		   DW_FORM_exprloc, 0);
	put_abbrev(w, A_POINTER, DW_TAG_pointer_type, false, DW_AT_type,
		   DW_FORM_ref4, 0);
	put_abbrev(w, A_STRUCT, DW_TAG_structure_type, true, DW_AT_name,
		   DW_FORM_string, DW_AT_byte_size, DW_FORM_data1, 0);
	put_abbrev(w, A_MEMBER, DW_TAG_member, false, DW_AT_name,
		   DW_FORM_string, DW_AT_type, DW_FORM_ref4,
		   DW_AT_data_member_location, DW_FORM_data1, 0);
	put_abbrev(w, A_BITS, DW_TAG_member, false, DW_AT_name,
		   DW_FORM_string, DW_AT_type, DW_FORM_ref4, DW_AT_bit_size,
		   DW_FORM_data1, DW_AT_data_bit_offset, DW_FORM_data1, 0);
	put_abbrev(w, A_ARRAY, DW_TAG_array_type, true, DW_AT_type,
		   DW_FORM_ref4, 0);
	put_abbrev(w, A_RANGE, DW_TAG_subrange_type, false,
		   DW_AT_upper_bound, DW_FORM_sdata, 0);
	put_abbrev(w, A_ENUM, DW_TAG_enumeration_type, true, DW_AT_name,
		   DW_FORM_string, DW_AT_byte_size, DW_FORM_data1, 0);
	put_abbrev(w, A_ENUMERATOR, DW_TAG_enumerator, false, DW_AT_name,
		   DW_FORM_string, DW_AT_const_value, DW_FORM_sdata, 0);
	put_abbrev(w, A_CONST, DW_TAG_const_type, false, DW_AT_type,
		   DW_FORM_ref4, 0);
	put_abbrev(w, A_TYPEDEF, DW_TAG_typedef, false, DW_AT_name,
		   DW_FORM_string, DW_AT_type, DW_FORM_ref4, 0);
	put_abbrev(w, A_LISTED, DW_TAG_variable, false, DW_AT_name,
		   DW_FORM_string, DW_AT_type, DW_FORM_ref4, DW_AT_location,
		   DW_FORM_sec_offset, 0);
	put_abbrev(w, A_LOST, DW_TAG_variable, false, DW_AT_name,
		   DW_FORM_string, DW_AT_type, DW_FORM_ref4, 0);
	put_abbrev(w, A_VOID_POINTER, DW_TAG_pointer_type, false, 0);
	put_abbrev(w, A_SUBROUTINE, DW_TAG_subroutine_type, false, DW_AT_type,
		   DW_FORM_ref4, 0);
	put_abbrev(w, A_BASE_CLASS, DW_TAG_inheritance, false, DW_AT_type,
		   DW_FORM_ref4, DW_AT_data_member_location, DW_FORM_data1, 0);
	put_abbrev(w, A_REFERENCE, DW_TAG_reference_type, false, DW_AT_type,
		   DW_FORM_ref4, 0);
	put_abbrev(w, A_BLOCK, DW_TAG_lexical_block, true, DW_AT_low_pc,
		   DW_FORM_addr, DW_AT_high_pc, DW_FORM_data8, 0);
	writer_u8(w, 0);
}

/* The head of a unit and its own DIE; children follow. */
static inline size_t put_values_unit(struct image *image, unsigned version,
				     uint8_t language)
{
	struct writer *info = image_section(image, "info");
	size_t start = put_length(info, 4);

	put_unit_head(info, version, 4, DW_UT_compile, 0);
	writer_uleb(info, A_UNIT);
	writer_u8(info, language);
	writer_u64(info, CODE_AT);
	writer_u64(info, 0x8000);
	return start;
}

static inline void put_block(struct writer *info, const void *bytes, size_t len)
{
	writer_uleb(info, len);
	writer_bytes(info, bytes, len);
}

/* Where it is, as all of these say, for references within the unit. */
static inline uint32_t put_base(struct writer *info, const char *name,
				uint8_t encoding, uint8_t size)
{
	uint32_t at = (uint32_t)info->len;

	writer_uleb(info, A_BASE);
	put_text(info, name);
	writer_u8(info, encoding);
	writer_u8(info, size);
	return at;
}

static inline uint32_t put_reference_to(struct writer *info, uint64_t code,
					uint32_t type)
{
	uint32_t at = (uint32_t)info->len;

	writer_uleb(info, code);
	writer_u32(info, type);
	return at;
}

static inline uint32_t put_named(struct writer *info, uint64_t code,
				 const char *name, uint32_t type)
{
	uint32_t at = (uint32_t)info->len;

	writer_uleb(info, code);
	put_text(info, name);
	writer_u32(info, type);
	return at;
}

/* A structure or an enumeration, of SIZE bytes; children follow. */
static inline uint32_t put_sized(struct writer *info, uint64_t code,
				 const char *name, uint8_t size)
{
	uint32_t at = (uint32_t)info->len;

	writer_uleb(info, code);
	put_text(info, name);
	writer_u8(info, size);
	return at;
}

/* Children follow. The frame base is the CFA. */
static inline uint32_t put_code(struct writer *info, const char *name,
				uint64_t low, uint64_t len)
{
	static const uint8_t base[] = { DW_OP_call_frame_cfa };
	uint32_t at = (uint32_t)info->len;

	writer_uleb(info, A_FUNCTION);
	put_text(info, name);
	writer_u64(info, low);
	writer_u64(info, len);
	put_block(info, base, sizeof(base));
	return at;
}

/* Memory */

static inline size_t values_read_constant(void *context, uint64_t address,
					  void *to, size_t len)
{
	static const char text[] = "constant";

	(void)context;
	if (address < CONSTANT_AT || address >= CONSTANT_AT + sizeof(text))
		return 0;
	if (len > CONSTANT_AT + sizeof(text) - address)
		len = CONSTANT_AT + sizeof(text) - address;
	memcpy(to, text + (address - CONSTANT_AT), len);
	return len;
}

static inline size_t values_read(void *context, uint64_t address, void *to,
				 size_t len)
{
	if (address < STACK_AT || address >= STACK_AT + STACK_LEN)
		return values_read_constant(context, address, to, len);
	if (len > STACK_AT + STACK_LEN - address)
		len = STACK_AT + STACK_LEN - address;
	memcpy(to, values_stack + (address - STACK_AT), len);
	return len;
}

static inline const char *values_symbol(void *context, uint64_t address,
					uint64_t *offset_out)
{
	(void)context;
	*offset_out = address - (BIAS + CODE_AT);
	return address >= BIAS + CODE_AT &&
			       address < BIAS + CODE_AT + CODE_LEN
		       ? "f" : NULL;
}

static inline uint64_t values_call(void *context, uint64_t address)
{
	(void)context;
	return address == BIAS + RETURN_PC ? BIAS + CODE_AT : 0;
}

static inline bool values_reenters(void *context, uint64_t address)
{
	(void)context;
	(void)address;
	return false;
}

/* A thread in f, at OFFSET of it, that g has called: registers hold 0x100 and
 * their number, those that calls preserve in both frames. */
struct values_thread {
	struct target target;
	struct target_frame frames[2];
};

static inline void values_thread_init(struct values_thread *thread,
				      struct code *code, uint64_t offset)
{
	static const uint32_t kept = REG_BIT(R_RBX) | REG_BIT(R_RBP) |
				     REG_BIT(R_R12) | REG_BIT(R_RSP);

	memset(thread, 0, sizeof(*thread));
	for (size_t i = 0; i < STACK_LEN; i++)
		values_stack[i] = (uint8_t)i;
	for (size_t f = 0; f < 2; f++) {
		struct target_frame *frame = &thread->frames[f];

		for (size_t i = 0; i < REG_CFI_COUNT; i++)
			frame->registers.value[i] = 0x100 + i;
		frame->registers.valid = f == 0 ? REG_BIT(REG_CFI_COUNT) - 1
						: kept;
		frame->cfa = CFA + 64 * f;
		frame->bias = BIAS;
		frame->is_exact = f == 0;
		frame->pc = BIAS + (f == 0 ? CODE_AT + offset : RETURN_PC);
		frame->has_function = code &&
				      code_function(code, target_place(frame),
						    &frame->function);
	}
	thread->frames[0].fpstate = values_fpstate;
	thread->target = (struct target){
		.read = values_read, .read_constant = values_read_constant,
		.symbol = values_symbol, .call = values_call,
		.reenters = values_reenters, .frames = thread->frames,
		.nframes = 2,
	};
}

/* "name=value" of each variable of frame INDEX, by a comma; values that are not
 * there are why, in <>. Functions are divided by a slash. */
static inline char *values_text(struct values_thread *thread, size_t index)
{
	struct frame_variables frame = { .nfunctions = 0 };
	struct thread_variables found = { &frame, 1 };
	struct report report;
	struct writer bytes;
	struct reader r;
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	report_init(&report, NULL);
	writer_init(&bytes, 1 << 20);
	writer_u32(&bytes, 0); /* which frame of the thread */
	variables_write(&thread->target, index, &bytes);
	reader_init(&r, bytes.bytes, bytes.len);
	found_take(&r, &report, &found);
	CHECK(!r.bad && reader_left(&r) == 0);
	for (size_t i = 0; i < frame.nfunctions; i++) {
		const struct variables *list = &frame.functions[i];

		fprintf(out, "%s", i > 0 ? " / " : "");
		for (size_t k = 0; k < list->n; k++) {
			const struct variable *v = &list->list[k];

			fprintf(out, "%s%s%s=", k > 0 ? ", " : "",
				v->is_argument ? "" : "*", v->name);
			if (v->value)
				fprintf(out, "%s", v->value);
			else
				fprintf(out, "<%s>", absent_name(v->why));
		}
	}
	fclose(out);
	writer_fini(&bytes);
	report_free(&report);
	return text;
}

#endif
