/* libFuzzer's way into DWARF: the input is an ELF file, an index is made of it,
 * and some addresses are looked up there. */
#include "../../symbolizer/index/index.h"
#include "../../symbolizer/index/make.h"
#include "fuzz.h"

#include <stdlib.h>
#include <string.h>

enum { DWARF_LEVELS = 8, DWARF_AT = 0x1000, DWARF_LEN = 0x200 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct module_files files = {
		.code = ELF_FILE_NONE, .debug = ELF_FILE_NONE,
	};
	struct elf_file none = ELF_FILE_NONE;
	uint8_t *image = malloc(size + 1);
	struct index *index = NULL;
	struct writer out;
	char why[MAKE_WHY];

	memcpy(image, data, size);
	writer_init(&out, 1 << 26);
	if (elf_file_memory("image", image, size, &files.debug, NULL) &&
	    make_index(&files, &none, NULL, &out, why)) {
		index = index_memory(out.bytes, out.len, NULL);
		if (!index)
			abort(); /* what is written can be read */
	}
	for (uint64_t at = 0; index && at < DWARF_LEN; at++) {
		struct level levels[DWARF_LEVELS];
		struct index_symbol symbol;

		index_levels(index, DWARF_AT + at, levels, DWARF_LEVELS);
		index_symbol(index, DWARF_AT + at, &symbol);
	}
	if (index && index_is_damaged(index))
		abort();
	index_close(index);
	writer_fini(&out);
	elf_file_close(&files.debug);
	free(image);
	return 0;
}
