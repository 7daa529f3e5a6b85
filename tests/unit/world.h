/* A dead process made by hand: one ELF image with code and unwind tables, a
 * stack, and a shadow stack for who wants one. Functions are 256 bytes each, by
 * number; all is written by the test that includes this. */
#ifndef EPITAPH_TESTS_UNIT_WORLD_H
#define EPITAPH_TESTS_UNIT_WORLD_H

#include <dwarf.h>
#include <elf.h>

#include "../../lib/unwind/unwind.h"
#include "test.h"

#if defined(MACHINE_AARCH64) || defined(__aarch64__)
#include "world_aarch64.h"
#else
#include "world_x86_64.h"
#endif

enum {
	WORLD_BASE = 0x400000,
	WORLD_CODE = 0x1000,   /* offsets in the image */
	WORLD_FRAMES = 0x3000,
	WORLD_IMAGE = 0x4000,
	WORLD_FUNCTION = 0x100,
	WORLD_STACK_LEN = 0x1000,
	WORLD_SHADOW_WORDS = 128,
	WORLD_MAX_FDES = 32,
};
#define WORLD_STACK UINT64_C(0x7ffc00000000)
#define WORLD_SHADOW UINT64_C(0x7ff000000000)

struct world {
	uint8_t image[WORLD_IMAGE];
	uint8_t stack[WORLD_STACK_LEN];
	uint64_t shadow[WORLD_SHADOW_WORDS];
	size_t at;        /* where the next entry of .eh_frame goes */
	size_t cie;       /* the one that the next FDE belongs to */
	size_t hdr, frame;
	size_t end;       /* of .eh_frame */
	struct {
		uint32_t start, at;
	} fdes[WORLD_MAX_FDES]; /* offsets in the image */
	size_t nfdes;
	size_t image_len; /* what can be read of it */
};

static inline uint64_t function_at(int number, unsigned offset)
{
	return (uint64_t)WORLD_BASE + WORLD_CODE +
	       (uint64_t)number * WORLD_FUNCTION + offset;
}

static inline size_t world_region(const uint8_t *bytes, size_t len,
				  uint64_t start, uint64_t address, void *to,
				  size_t want)
{
	uint64_t skip = address - start;

	if (address < start || skip >= len)
		return 0;
	if (want > len - skip)
		want = len - (size_t)skip;
	memcpy(to, bytes + skip, want);
	return want;
}

/* An unwind_read. */
static inline size_t world_read(void *context, uint64_t address, void *to,
				size_t len)
{
	struct world *w = context;
	size_t n = world_region(w->image, w->image_len, WORLD_BASE, address,
				to, len);

	if (n == 0)
		n = world_region((const uint8_t *)w->shadow, sizeof(w->shadow),
				 WORLD_SHADOW, address, to, len);
	if (n == 0)
		n = world_region(w->stack, sizeof(w->stack), WORLD_STACK,
				 address, to, len);
	return n;
}

static inline void world_put(struct world *w, const void *bytes, size_t len)
{
	memcpy(w->image + w->at, bytes, len);
	w->at += len;
}

static inline void world_u8(struct world *w, unsigned value)
{
	w->image[w->at++] = (uint8_t)value;
}

static inline void world_u32(struct world *w, uint64_t value)
{
	uint32_t v = (uint32_t)value;

	world_put(w, &v, sizeof(v));
}

/* Close the entry that began at AT. */
static inline void world_end_entry(struct world *w, size_t at)
{
	uint32_t len;

	while ((w->at - at) % 4 != 0)
		world_u8(w, DW_CFA_nop);
	len = (uint32_t)(w->at - at - 4);
	memcpy(w->image + at, &len, sizeof(len));
}

/* A CIE; AUGMENTATION is "zR" or "zRS". */
static inline void world_cie(struct world *w, const char *augmentation)
{
	w->cie = w->at;
	world_u32(w, 0);
	world_u32(w, 0);
	world_u8(w, 1);
	world_put(w, augmentation, strlen(augmentation) + 1);
	world_u8(w, WORLD_CODE_ALIGN);
	world_u8(w, 0x78); /* data alignment: -8 */
	world_u8(w, WORLD_RETURN);
	world_u8(w, 1);
	world_u8(w, DW_EH_PE_pcrel | DW_EH_PE_sdata4);
	world_put(w, world_rules, sizeof(world_rules));
	world_end_entry(w, w->cie);
}

/* An FDE of the last CIE for function NUMBER, from OFFSET in it on. */
static inline void world_fde_at(struct world *w, int number, unsigned offset,
				const uint8_t *program, size_t len)
{
	uint32_t start = (uint32_t)(WORLD_CODE + number * WORLD_FUNCTION +
				    (int)offset);
	size_t at = w->at;

	w->fdes[w->nfdes].start = start;
	w->fdes[w->nfdes].at = (uint32_t)at;
	w->nfdes++;
	world_u32(w, 0);
	world_u32(w, w->at - w->cie);
	world_u32(w, start - w->at);
	world_u32(w, WORLD_FUNCTION - offset);
	world_u8(w, 0);
	world_put(w, program, len);
	world_end_entry(w, at);
}

#define WORLD_FDE(w, number, ...)                                              \
	do {                                                                   \
		static const uint8_t program_[] = { __VA_ARGS__ };             \
		world_fde_at(w, number, 0, program_, sizeof(program_));        \
	} while (0)

static inline void world_headers(struct world *w, bool has_hdr)
{
	Elf64_Ehdr ehdr = {
		.e_ident = { 0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB,
			     EV_CURRENT },
		.e_type = ET_EXEC,
		.e_machine = MACHINE_ELF,
		.e_version = EV_CURRENT,
		.e_phoff = sizeof(Elf64_Ehdr),
		.e_ehsize = sizeof(Elf64_Ehdr),
		.e_phentsize = sizeof(Elf64_Phdr),
		.e_phnum = has_hdr ? 2 : 1,
	};
	Elf64_Phdr phdrs[2] = {
		{ .p_type = PT_LOAD, .p_vaddr = WORLD_BASE,
		  .p_filesz = WORLD_IMAGE, .p_memsz = WORLD_IMAGE },
		{ .p_type = PT_GNU_EH_FRAME, .p_offset = w->hdr,
		  .p_vaddr = WORLD_BASE + w->hdr,
		  .p_filesz = 12 + 8 * w->nfdes },
	};

	memcpy(w->image, &ehdr, sizeof(ehdr));
	memcpy(w->image + sizeof(ehdr), phdrs, sizeof(phdrs));
}

/* Begin: .eh_frame is to stand at FRAME of the image. */
static inline void world_init(struct world *w, size_t frame)
{
	memset(w, 0, sizeof(*w));
	memset(w->image + WORLD_CODE, WORLD_FILL, WORLD_FRAMES - WORLD_CODE);
	w->frame = w->at = frame;
	w->image_len = sizeof(w->image);
}

/* All FDEs, which were added by address, are there: write .eh_frame_hdr at HDR
 * of the image, with a search table if HAS_TABLE, and the ELF headers. */
static inline void world_finish(struct world *w, size_t hdr, bool has_table)
{
	world_u32(w, 0); /* terminator */
	w->end = w->at;
	w->hdr = w->at = hdr;
	world_u8(w, 1);
	world_u8(w, DW_EH_PE_pcrel | DW_EH_PE_sdata4);
	world_u8(w, has_table ? DW_EH_PE_udata4 : DW_EH_PE_omit);
	world_u8(w, has_table ? DW_EH_PE_datarel | DW_EH_PE_sdata4 :
				DW_EH_PE_omit);
	world_u32(w, w->frame - w->at);
	world_u32(w, w->nfdes);
	for (size_t i = 0; i < w->nfdes; i++) {
		world_u32(w, w->fdes[i].start - hdr);
		world_u32(w, w->fdes[i].at - hdr);
	}
	world_headers(w, true);
}

/* Put a call before ADDRESS, which is then a return address. */
static inline uint64_t world_call(struct world *w, uint64_t address)
{
	memcpy(w->image + (address - WORLD_BASE) - sizeof(world_call_code),
	       world_call_code, sizeof(world_call_code));
	return address;
}

static inline void world_code(struct world *w, uint64_t address,
			      const void *bytes, size_t len)
{
	memcpy(w->image + (address - WORLD_BASE), bytes, len);
}

/* The word at offset AT of the stack. */
static inline void world_push(struct world *w, size_t at, uint64_t value)
{
	memcpy(w->stack + at, &value, sizeof(value));
}

static inline uint64_t stack_at(size_t at)
{
	return WORLD_STACK + at;
}

struct walk {
	struct frame frames[64];
	struct unwind_result result;
};

static inline struct unwind *world_unwind(struct world *w, int elf_fd,
					  int debug_fd)
{
	const struct unwind_module module = {
		.base = WORLD_BASE, .end = WORLD_BASE + WORLD_IMAGE,
		.elf_fd = elf_fd, .debug_fd = debug_fd,
	};
	/* Behind it, executable memory that is in no module. */
	const struct unwind_range code[] = {
		{ WORLD_BASE + WORLD_CODE, WORLD_BASE + WORLD_FRAMES },
		{ 0x900000, 0x901000 },
	};

	return unwind_new(&module, 1, code, 2, world_read, w);
}

static inline struct registers world_registers(uint64_t pc, size_t sp)
{
	struct registers regs = { .valid = REG_ALL };

	regs.value[R_PC] = pc;
	regs.value[R_SP] = stack_at(sp);
	return regs;
}

static inline void world_walk(struct world *w, const struct registers *regs,
			      struct walk *out)
{
	struct unwind *unwind = world_unwind(w, -1, -1);

	unwind_thread(unwind, regs, out->frames, 64, &out->result);
	unwind_free(unwind);
}

/* What a frame has to be. */
struct wanted {
	uint64_t pc;
	enum trust trust;
};

static inline void check_walk(const struct walk *walk,
			      const struct wanted *wanted, size_t n,
			      const char *truncated)
{
	CHECK_NUMBER(walk->result.nframes, n);
	CHECK_NUMBER(walk->result.depth, n);
	CHECK_STRING(walk->result.truncated, truncated);
	for (size_t i = 0; i < n && i < walk->result.nframes; i++) {
		const struct frame *frame = &walk->frames[i];

		CHECK_NUMBER(frame->pc, wanted[i].pc);
		CHECK_STRING(trust_name(frame->trust),
			     trust_name(wanted[i].trust));
		if (frame->module >= 0)
			CHECK_NUMBER(frame->offset, frame->pc - WORLD_BASE);
	}
}

#define CHECK_WALK(walk, truncated, ...)                                       \
	do {                                                                   \
		const struct wanted wanted_[] = { __VA_ARGS__ };               \
		check_walk(walk, wanted_,                                      \
			   sizeof(wanted_) / sizeof(wanted_[0]), truncated);   \
	} while (0)

#endif
