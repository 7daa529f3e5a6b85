/* One FDE with its CIE, parsed and checked, so that libdw executes nothing
 * that nobody looked at: 0.188 allocates two gigabytes for a large register
 * number and reads past the end of a cut operand. Used by table.c and cfi.c.
 *
 * Formats: DWARF 5 section 6.4, and the Linux Standard Base for .eh_frame. */
#ifndef EPITAPH_UNWIND_ENTRY_H
#define EPITAPH_UNWIND_ENTRY_H

#include "../report/bytes.h"

enum {
	ENTRY_MAX = 65536,      /* bytes of a CIE or FDE; the longest of
	                         * libLLVM, libjvm and node is 20 K */
	ENTRY_MAX_REGISTER = 143, /* psABI numbers end at 129 */
	ENTRY_MAX_REMEMBER = 64,
	ENTRY_MAX_AUGMENTATION = 8,
};

/* Pointer encodings of .eh_frame (DW_EH_PE_*): format in the low nibble. */
enum {
	ENC_ABS8 = 0x00, ENC_U2 = 0x02, ENC_U4 = 0x03, ENC_U8 = 0x04,
	ENC_S2 = 0x0a, ENC_S4 = 0x0b, ENC_S8 = 0x0c,
	ENC_PCREL = 0x10, ENC_DATAREL = 0x30, ENC_INDIRECT = 0x80,
	ENC_OMIT = 0xff,
};

/* Bytes of a value in ENCODING; 0 for one that has no fixed size. */
size_t encoded_size(uint8_t encoding);

/* The next pointer of R, which stands at address FIELD; DATAREL is the base
 * for that kind. Bad where the encoding is none of ours. */
uint64_t reader_encoded(struct reader *r, uint8_t encoding, uint64_t field,
			uint64_t datarel);

/* The head of an entry: how long it is and what it belongs to. */
struct entry_head {
	uint64_t size;    /* with its length field; 0: the terminator */
	uint64_t id_at;   /* address of the id field */
	uint64_t id;      /* as it stands there */
	bool is_cie;
	uint64_t cie_at;  /* of an FDE */
	size_t body;      /* offset behind the id */
};

/* Read the head of the entry at address AT from R, which begins there. With
 * IS_DEBUG_FRAME addresses are offsets in that section. False where it makes
 * no sense. */
bool entry_head(struct reader *r, uint64_t at, bool is_debug_frame,
		struct entry_head *head_out);

struct cie {
	uint64_t code_align;
	int64_t data_align;
	uint64_t return_register;
	uint8_t encoding;      /* of its FDEs' addresses */
	bool has_augmentation; /* FDEs have a sized block too */
	bool is_signal;
	const uint8_t *program;
	size_t program_len;
};

struct fde {
	uint64_t start, len;
	const uint8_t *program;
	size_t program_len;
};

/* Parse the body of a CIE, R being at it and ending where it ends. */
bool entry_cie(struct reader *r, struct cie *cie_out);

/* The same for an FDE of CIE, whose body is at address AT; its program is not
 * looked at. */
bool entry_fde(struct reader *r, const struct cie *cie, uint64_t at,
	       struct fde *fde_out);

/* True where a CFA program is complete and keeps to our limits. */
bool entry_check_program(const uint8_t *program, size_t len);

#endif
