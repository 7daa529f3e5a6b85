/* Parsing and checking of CIEs and FDEs. Runs in the helper, the command line
 * and the symbolizer. Trusts no byte. */
#include "arch.h"
#include "entry.h"

#include <dwarf.h>
#include <string.h>

size_t encoded_size(uint8_t encoding)
{
	switch (encoding & 0x0f) {
	case ENC_U2:
	case ENC_S2:
		return 2;
	case ENC_U4:
	case ENC_S4:
		return 4;
	case ENC_ABS8:
	case ENC_U8:
	case ENC_S8:
		return 8;
	default:
		return 0;
	}
}

static uint64_t take_fixed(struct reader *r, uint8_t format)
{
	switch (format) {
	case ENC_U2:
		return reader_u16(r);
	case ENC_S2:
		return (uint64_t)(int64_t)(int16_t)reader_u16(r);
	case ENC_U4:
		return reader_u32(r);
	case ENC_S4:
		return (uint64_t)(int64_t)(int32_t)reader_u32(r);
	case ENC_ABS8:
	case ENC_U8:
	case ENC_S8:
		return reader_u64(r);
	default:
		r->bad = true;
		return 0;
	}
}

uint64_t reader_encoded(struct reader *r, uint8_t encoding, uint64_t field,
			uint64_t datarel)
{
	uint64_t value = take_fixed(r, encoding & 0x0f);

	switch (encoding & 0xf0) {
	case 0:
		return value;
	case ENC_PCREL:
		return value + field;
	case ENC_DATAREL:
		return value + datarel;
	default: /* text- and function-relative, aligned, indirect */
		r->bad = true;
		return 0;
	}
}

bool entry_head(struct reader *r, uint64_t at, bool is_debug_frame,
		struct entry_head *head_out)
{
	struct entry_head head = { 0 };
	size_t width = 4;
	uint64_t len = reader_u32(r);
	uint64_t cie_id = is_debug_frame ? UINT32_MAX : 0;

	if (len == UINT32_MAX) {
		width = 8;
		len = reader_u64(r);
		cie_id = is_debug_frame ? UINT64_MAX : 0;
	}
	if (r->bad || len > UINT32_MAX)
		return false;
	if (len == 0) {
		*head_out = head;
		return true;
	}
	head.size = len + (width == 8 ? 12 : 4);
	head.id_at = at + r->pos;
	head.id = width == 8 ? reader_u64(r) : reader_u32(r);
	head.body = r->pos;
	head.is_cie = head.id == cie_id;
	head.cie_at = is_debug_frame ? head.id : head.id_at - head.id;
	if (r->bad || len <= width)
		return false;
	*head_out = head;
	return true;
}

/* The augmentation's data, by its letters. A letter that we do not know ends
 * it, which is what its length is there for. */
static void parse_augmentation(struct reader *r, const char *letters,
			       struct cie *cie)
{
	uint8_t encoding;

	for (; *letters && !r->bad; letters++) {
		switch (*letters) {
		case 'R':
			cie->encoding = reader_u8(r);
			break;
		case 'L':
			reader_u8(r);
			break;
		case 'P':
			encoding = reader_u8(r);
			if (encoding == ENC_OMIT)
				break;
			if (encoded_size(encoding) == 0)
				r->bad = true;
			reader_skip(r, encoded_size(encoding));
			break;
		case 'S':
			cie->is_signal = true;
			break;
		case 'B':
		case 'G':
			break;
		default:
			return;
		}
	}
}

/* The augmentation string with its NUL; NULL where it is longer than any that
 * has a meaning. */
static const char *take_string(struct reader *r)
{
	const uint8_t *start = reader_take(r, 1);

	for (size_t n = 0; start && n < ENTRY_MAX_AUGMENTATION; n++) {
		if (start[n] == '\0')
			return (const char *)start;
		if (!reader_take(r, 1))
			return NULL;
	}
	return NULL;
}

/* The bytes that are left are the program. */
static const uint8_t *take_program(struct reader *r, size_t *len_out)
{
	*len_out = reader_left(r);
	return reader_take(r, *len_out);
}

/* After the letter z comes a length, and behind that many bytes the program.
 * Without z only the empty augmentation has a known layout. */
static void parse_block(struct reader *r, const char *letters, struct cie *cie)
{
	uint64_t len;
	struct reader block;

	if (letters[0] == '\0')
		return;
	if (letters[0] != 'z') {
		r->bad = true;
		return;
	}
	cie->has_augmentation = true;
	len = reader_uleb(r);
	block = reader_at(r, r->pos, len);
	if (r->bad)
		return;
	parse_augmentation(&block, letters + 1, cie);
	r->bad |= block.bad;
	reader_skip(r, (size_t)len);
}

bool entry_cie(struct reader *r, struct cie *cie_out)
{
	struct cie cie = { .encoding = ENC_ABS8 };
	uint8_t version = reader_u8(r);
	const char *letters = take_string(r);

	if (!letters || (version != 1 && version != 3 && version != 4))
		return false;
	if (version == 4 && (reader_u8(r) != 8 || reader_u8(r) != 0))
		return false; /* sizes of an address and of a segment */
	cie.code_align = reader_uleb(r);
	cie.data_align = reader_sleb(r);
	cie.return_register = version == 1 ? reader_u8(r) : reader_uleb(r);
	parse_block(r, letters, &cie);
	cie.program = take_program(r, &cie.program_len);
	if (r->bad || cie.return_register > ENTRY_MAX_REGISTER)
		return false;
	*cie_out = cie;
	return true;
}

bool entry_fde(struct reader *r, const struct cie *cie, uint64_t at,
	       struct fde *fde_out)
{
	struct fde fde;

	fde.start = reader_encoded(r, cie->encoding, at, 0);
	fde.len = reader_encoded(r, cie->encoding & 0x0f, 0, 0);
	if (cie->has_augmentation) {
		uint64_t len = reader_uleb(r);

		if (len > reader_left(r))
			return false;
		reader_skip(r, (size_t)len);
	}
	fde.program = take_program(r, &fde.program_len);
	if (r->bad || fde.len == 0 || fde.start > UINT64_MAX - fde.len)
		return false;
	*fde_out = fde;
	return true;
}

/* Operands of a CFA instruction: r register, u unsigned, s signed, 1 2 4
 * bytes, e expression. NULL: an instruction that this machine does not have,
 * or (set_loc) that no compiler emits. */
static const char *operands_of(uint8_t opcode)
{
	static const char *const operands[] = {
		[DW_CFA_nop] = "",
		[DW_CFA_advance_loc1] = "1",
		[DW_CFA_advance_loc2] = "2",
		[DW_CFA_advance_loc4] = "4",
		[DW_CFA_offset_extended] = "ru",
		[DW_CFA_restore_extended] = "r",
		[DW_CFA_undefined] = "r",
		[DW_CFA_same_value] = "r",
		[DW_CFA_register] = "rr",
		[DW_CFA_remember_state] = "",
		[DW_CFA_restore_state] = "",
		[DW_CFA_def_cfa] = "ru",
		[DW_CFA_def_cfa_register] = "r",
		[DW_CFA_def_cfa_offset] = "u",
		[DW_CFA_def_cfa_expression] = "e",
		[DW_CFA_expression] = "re",
		[DW_CFA_offset_extended_sf] = "rs",
		[DW_CFA_def_cfa_sf] = "rs",
		[DW_CFA_def_cfa_offset_sf] = "s",
		[DW_CFA_val_offset] = "ru",
		[DW_CFA_val_offset_sf] = "rs",
		[DW_CFA_val_expression] = "re",
		[DW_CFA_GNU_args_size] = "u",
		[DW_CFA_GNU_negative_offset_extended] = "ru",
	};

	if (opcode == ARCH_CFA_INSTRUCTION)
		return "";
	switch (opcode & 0xc0) {
	case DW_CFA_offset:
		return "u";
	case DW_CFA_advance_loc:
	case DW_CFA_restore:
		return "";
	default:
		return opcode < sizeof(operands) / sizeof(operands[0]) ?
			       operands[opcode] : NULL;
	}
}

/* Operands of a DWARF operation that may stand in CFI, in the same letters. */
static const char *operation_operands(uint8_t opcode)
{
	if (opcode >= DW_OP_lit0 && opcode <= DW_OP_lit31)
		return "";
	if (opcode >= DW_OP_breg0 && opcode <= DW_OP_breg31)
		return "s";
	if (opcode >= DW_OP_abs && opcode <= DW_OP_xor)
		return opcode == DW_OP_plus_uconst ? "u" : "";
	if (opcode >= DW_OP_eq && opcode <= DW_OP_ne)
		return "";
	switch (opcode) {
	case DW_OP_deref:
	case DW_OP_dup:
	case DW_OP_drop:
	case DW_OP_over:
	case DW_OP_swap:
	case DW_OP_rot:
	case DW_OP_nop:
	case DW_OP_call_frame_cfa:
	case DW_OP_stack_value:
		return "";
	case DW_OP_const1u:
	case DW_OP_const1s:
	case DW_OP_pick:
	case DW_OP_deref_size:
		return "1";
	case DW_OP_const2u:
	case DW_OP_const2s:
	case DW_OP_bra:
	case DW_OP_skip:
		return "2";
	case DW_OP_const4u:
	case DW_OP_const4s:
		return "4";
	case DW_OP_addr:
	case DW_OP_const8u:
	case DW_OP_const8s:
		return "8";
	case DW_OP_constu:
		return "u";
	case DW_OP_consts:
		return "s";
	case DW_OP_bregx:
		return "rs";
	default:
		return NULL;
	}
}

static bool check_expression(struct reader *r);

static bool check_operand(struct reader *r, char kind)
{
	switch (kind) {
	case 'r':
		return reader_uleb(r) <= ENTRY_MAX_REGISTER;
	case 'u':
		reader_uleb(r);
		return true;
	case 's':
		reader_sleb(r);
		return true;
	case 'e':
		return check_expression(r);
	default:
		reader_skip(r, (size_t)(kind - '0'));
		return true;
	}
}

static bool check_operands(struct reader *r, const char *kinds)
{
	if (!kinds)
		return false;
	for (; *kinds; kinds++)
		if (!check_operand(r, *kinds))
			return false;
	return !r->bad;
}

/* An empty expression is refused too: libdw answers it with a pointer that it
 * never set. */
static bool check_expression(struct reader *r)
{
	uint64_t len = reader_uleb(r);
	struct reader block = reader_at(r, r->pos, len);

	if (r->bad || len == 0)
		return false;
	while (reader_left(&block) > 0)
		if (!check_operands(&block,
				    operation_operands(reader_u8(&block))))
			return false;
	reader_skip(r, (size_t)len);
	return true;
}

bool entry_check_program(const uint8_t *program, size_t len)
{
	struct reader r;
	int remembered = 0;

	reader_init(&r, program, len);
	while (reader_left(&r) > 0) {
		uint8_t opcode = reader_u8(&r);

		if (!check_operands(&r, operands_of(opcode)))
			return false;
		remembered += opcode == DW_CFA_remember_state;
		remembered -= opcode == DW_CFA_restore_state;
		if (remembered < 0 || remembered > ENTRY_MAX_REMEMBER)
			return false;
	}
	return true;
}
