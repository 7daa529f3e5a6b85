/* Registers and memory. Runs in the process that can be lost. */
#include "reading.h"

#include "../../lib/report/context.h"

enum { WORD = 8 };

const uint8_t *reading_register(const struct target_frame *frame,
				uint64_t number, size_t *len_out)
{
	if (number >= REG_CFI_COUNT) {
		*len_out = CONTEXT_WIDE;
		return context_wide_register(frame->fpstate, number);
	}
	*len_out = WORD;
	if (!(frame->registers.valid >> number & 1))
		return NULL;
	return (const uint8_t *)&frame->registers.value[number];
}

enum absent reading_no_register(const struct target_frame *frame)
{
	return frame->is_exact ? ABSENT_NOT_CAPTURED : ABSENT_CLOBBERED;
}

size_t reading_memory(const struct evaluation *evaluation, uint64_t address,
		      void *to, size_t len)
{
	const struct target *target = evaluation->target;
	unwind_read *read = evaluation->is_of_past ? target->read_constant
						   : target->read;

	return read(target->context, address, to, len);
}

enum absent reading_no_memory(const struct evaluation *evaluation)
{
	return evaluation->is_of_past ? ABSENT_CLOBBERED : ABSENT_NOT_CAPTURED;
}
