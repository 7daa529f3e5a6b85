/* Mappings of a dead process of which there is no /proc/PID/maps: its modules
 * by way of the dynamic linker, and the stacks that its registers point to. No
 * heap is known then, nor what else is mapped. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "../../lib/proc/linkmap.h"
#include "../../lib/proc/user.h"
#include "../../lib/report/bytes.h"
#include "crash.h"

enum {
	MAX_TEXT = 16 << 20,
	AUXV_WORDS = 128,
	PAGE = 4096,
};
/* How much stack there may be between a thread's sp and its end. */
#define MAX_STACK ((uint64_t)1 << 30)

/* The stack at SP: up to the argument count in the main thread, up to the TCB
 * in others. */
static void put_stack(struct crash *crash, uint64_t sp, uint64_t tcb,
		      struct writer *out)
{
	uint64_t argc = crash->record->main_stack_end;
	uint64_t start = sp & ~(uint64_t)(PAGE - 1), end = 0;
	char line[128];
	int len;

	if (argc > sp && argc - sp < MAX_STACK)
		end = argc;
	else if (tcb > sp && tcb - sp < MAX_STACK)
		end = tcb;
	if (!end)
		return;
	end = (end + PAGE - 1) & ~(uint64_t)(PAGE - 1);
	len = snprintf(line, sizeof(line),
		       "%" PRIx64 "-%" PRIx64 " rw-p 00000000 00:00 0 %s\n",
		       start, end, argc > sp ? "[stack]" : "");
	writer_bytes(out, line, (size_t)len);
}

static void put_stacks(struct crash *crash, struct writer *out)
{
	const struct crash_record *record = crash->record;
	struct registers r;

	registers_from_gregs(record->gregs, record->tcb, &r);
	put_stack(crash, r.value[R_SP], record->tcb, out);
	for (uint32_t i = 0; i < record->nthreads; i++) {
		if (record->threads[i].state != THREAD_STOPPED)
			continue;
		user_registers(record->threads[i].regs, &r);
		put_stack(crash, r.value[R_SP], r.value[R_THREAD], out);
	}
}

bool crash_guess_maps(struct crash *crash, struct error *err)
{
	uint64_t auxv[AUXV_WORDS];
	struct writer text;
	size_t n = crash_read(crash, crash->record->auxv, auxv, sizeof(auxv));

	writer_init(&text, MAX_TEXT);
	linkmap_text(auxv, n / sizeof(auxv[0]), crash_read, crash, &text);
	put_stacks(crash, &text);
	writer_u8(&text, '\0');
	if (text.bad) {
		writer_fini(&text);
		return fail(err, ERR_NO_MEMORY, "maps: out of memory");
	}
	crash->maps_text = (char *)text.bytes;
	return maps_parse(crash->maps_text, text.len - 1, &crash->maps, err);
}
