/* libFuzzer's way into Breakpad's symbol files: the input is one, plain or
 * gzip'ed, of which an index is made, in which a few addresses are looked up,
 * which is written down again, and whose rules are walked by. */
#include "../../lib/unwind/entry.h"
#include "../../lib/unwind/memory.h"
#include "../../lib/unwind/unwind.h"
#include "../../symbolizer/index/from_sym.h"
#include "../../symbolizer/index/index.h"
#include "../../symbolizer/symfile.h"
#include "../../symbolizer/symframes.h"
#include "../../symbolizer/symwrite.h"
#include "fuzz.h"

#include <stdlib.h>
#include <string.h>

enum {
	SYM_BASE = 0x400000, SYM_END = 0x800000,
	MAX_LEVELS = 8,
	PAGE_WORDS = MEMORY_PAGE / sizeof(uint64_t),
};

static const uint32_t sym_places[] = { 0, 0x10, 0x1004, 0x15b72, 0x161b6 };

static struct writer sym_frames;

/* A string is one, and no longer than any. */
static void check_string(const char *text)
{
	if (text && strlen(text) > MAX_STRING)
		abort();
}

/* What FILE's rules become, in sym_frames. */
static void make_sym_frames(struct sym_file *file)
{
	struct sym sym;

	writer_init(&sym_frames, (size_t)64 << 20);
	if (!sym_file_parse(file, SYM_RULES, &sym, NULL))
		abort();
	symframes_make(&sym, &sym_frames, &sym.trouble);
	if (sym_frames.bad)
		abort();
	sym_free(&sym);
}

/* The index of FILE, in *OUT; false where it cannot be read. */
static bool make_sym_index(struct sym_file *file, struct writer *out)
{
	const struct build_module module = {
		.source = "", .made_of = INDEX_OF_SYM, .frames = &sym_frames,
	};
	struct build *build;
	struct sym sym;

	if (!sym_file_parse(file, SYM_NAMES, &sym, NULL))
		return false;
	make_sym_frames(file);
	build = build_new();
	writer_init(out, (size_t)1 << 30);
	from_sym(&sym, 0, build);
	if (!build_write(build, &module, out))
		abort();
	build_free(build);
	sym_free(&sym);
	writer_fini(&sym_frames);
	return true;
}

static void look_up_in(struct index *index)
{
	size_t n = sizeof(sym_places) / sizeof(sym_places[0]);

	for (size_t i = 0; i < n; i++) {
		struct level levels[MAX_LEVELS];
		struct index_symbol symbol;
		size_t found = index_levels(index, sym_places[i], levels,
					    MAX_LEVELS);

		if (index_symbol(index, sym_places[i], &symbol))
			check_string(symbol.name);
		for (size_t k = 0; k < found; k++) {
			check_string(levels[k].function);
			check_string(levels[k].file);
		}
	}
	if (index_is_damaged(index))
		abort();
}

/* It has to be read again. */
static void write_again(struct index *index)
{
	const struct sym_id id = { .age = 0 };
	struct symrules_left left = { 0 };
	char *text = NULL;
	struct sym sym;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);

	if (!out || !symwrite(index, &id, "fuzz", out, &left, NULL))
		abort();
	fclose(out);
	if (!sym_parse(text, len, SYM_RULES, &sym, NULL) || sym.trouble.n > 0)
		abort();
	sym_free(&sym);
	free(text);
}

/* Whatever the rules were, what is made of them is well formed. */
static void check_frames(void)
{
	struct cie cie;
	size_t at = 0, ncies = 0;

	while (at < sym_frames.len) {
		struct entry_head head;
		struct reader r;
		struct fde fde;

		reader_init(&r, sym_frames.bytes + at, sym_frames.len - at);
		if (!entry_head(&r, at, true, &head) || head.size == 0 ||
		    head.size > ENTRY_MAX || head.is_cie != (ncies < 2))
			abort();
		r.len = (size_t)head.size;
		ncies += head.is_cie;
		if (head.is_cie && !entry_cie(&r, &cie))
			abort();
		if (!head.is_cie &&
		    (!entry_fde(&r, &cie, 0, &fde) ||
		     !entry_check_program(fde.program, fde.program_len)))
			abort();
		at += (size_t)head.size;
	}
}

static const void *get_sym_frames(void *opaque, size_t *len_out)
{
	(void)opaque;
	*len_out = sym_frames.len;
	return sym_frames.bytes;
}

/* Every word holds an address of code, and every page the same. */
static size_t read_anything(void *context, uint64_t address, void *to,
			    size_t len)
{
	static uint64_t words[2 * PAGE_WORDS];

	(void)context;
	if (address >> 47)
		return 0;
	for (size_t i = 0; words[0] == 0 && i < 2 * PAGE_WORDS; i++)
		words[2 * PAGE_WORDS - 1 - i] =
			SYM_BASE + 997 * (i % PAGE_WORDS);
	len = len < MEMORY_PAGE ? len : MEMORY_PAGE;
	memcpy(to, (const char *)words + address % MEMORY_PAGE, len);
	return len;
}

static void walk_by_it(uint64_t pc)
{
	struct unwind_module module = {
		.base = SYM_BASE, .end = SYM_END, .elf_fd = -1, .debug_fd = -1,
		.frames = get_sym_frames,
	};
	struct unwind_range code = { SYM_BASE, SYM_END };
	struct registers regs = { .valid = ~UINT64_C(0) };
	struct unwind_result result;
	struct frame frames[16];
	struct unwind *unwind;

	unwind = unwind_new(&module, 1, &code, 1, read_anything, NULL);
	if (!unwind)
		abort();
	for (size_t i = 0; i < REG_COUNT; i++)
		regs.value[i] = 0x10000 * i;
	regs.value[R_PC] = pc;
	unwind_thread(unwind, &regs, frames, 16, &result);
	unwind_free(unwind);
}

static void use_sym_index(struct index *index)
{
	if (!index)
		abort();
	look_up_in(index);
	write_again(index);
	index_close(index);
}

static void use_sym_frames(void)
{
	check_frames();
	walk_by_it(SYM_BASE + 0x10);
	walk_by_it(SYM_BASE + 0x1004);
	writer_fini(&sym_frames);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sym_file file = { .bytes = data, .len = size };
	struct writer bytes;
	struct sym_id id;

	sym_read_id((const char *)data, size < SYM_HEAD ? size : SYM_HEAD, &id);
	if (make_sym_index(&file, &bytes)) {
		use_sym_index(index_memory(bytes.bytes, bytes.len, NULL));
		writer_fini(&bytes);
		make_sym_frames(&file);
		use_sym_frames();
	}
	sym_file_close(&(struct sym_file){ .unpacked = file.unpacked });
	return 0;
}
