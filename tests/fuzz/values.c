/* libFuzzer's way into values: the input is an ELF file with DWARF, and for
 * some of its addresses the variables of a thread that is there are evaluated,
 * with memory that holds its own addresses. */
#include "../../symbolizer/values/code.h"
#include "../../symbolizer/values/variables.h"
#include "fuzz.h"

#include <stdlib.h>
#include <string.h>

enum {
	VALUES_AT = 0x1000, VALUES_LEN = 0x200, VALUES_STEP = 8,
	VALUES_STACK = 0x7000, VALUES_STACK_LEN = 0x400,
};

static size_t values_memory(void *context, uint64_t address, void *to,
			    size_t len)
{
	uint8_t *bytes = to;

	(void)context;
	if (address < VALUES_STACK ||
	    address >= VALUES_STACK + VALUES_STACK_LEN)
		return 0;
	if (len > VALUES_STACK + VALUES_STACK_LEN - address)
		len = (size_t)(VALUES_STACK + VALUES_STACK_LEN - address);
	for (size_t i = 0; i < len; i++)
		bytes[i] = (uint8_t)((address + i) >> 8 * ((address + i) % 8));
	return len;
}

static bool values_stays(void *context, uint64_t address)
{
	(void)context;
	(void)address;
	return false;
}

static void values_at(struct code *code, uint64_t pc, struct writer *out)
{
	struct target_frame frames[2] = { { .is_exact = true } };
	const struct target target = {
		.read = values_memory, .read_constant = values_memory,
		.reenters = values_stays, .frames = frames, .nframes = 2,
	};

	for (size_t i = 0; i < 2; i++) {
		for (size_t k = 0; k < REG_CFI_COUNT; k++)
			frames[i].registers.value[k] = VALUES_STACK + 64 * k;
		frames[i].registers.valid = i == 0 ? UINT64_MAX : 0xf0c8;
		frames[i].cfa = VALUES_STACK + 256 * (i + 1);
		frames[i].pc = pc + 0x20 * i;
		frames[i].has_function = code_function(code, frames[i].pc,
						       &frames[i].function);
	}
	out->len = 0;
	if (frames[0].has_function)
		variables_write(&target, 0, out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct elf_file file = ELF_FILE_NONE;
	struct dwarf_file *dwarf = NULL;
	uint8_t *image = malloc(size + 1);
	struct code *code = NULL;
	struct writer out;

	memcpy(image, data, size);
	writer_init(&out, 1 << 24);
	if (elf_file_memory("image", image, size, &file, NULL))
		dwarf = dwarf_file_open(&file, false, NULL);
	if (dwarf)
		code = code_of(dwarf);
	for (uint64_t at = 0; code && at < VALUES_LEN; at += VALUES_STEP)
		values_at(code, VALUES_AT + at, &out);
	code_close(code);
	dwarf_file_close(dwarf);
	writer_fini(&out);
	elf_file_close(&file);
	free(image);
	return 0;
}
