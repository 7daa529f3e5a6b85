/* On AArch64 nothing is read off code yet: a frame record is kept where there
 * is no CFI. Runs in the helper, the command line and the symbolizer. */
#include "prologue.h"

bool prologue_find(struct unwind *unwind, uint64_t start, uint64_t pc,
		   struct prologue *out)
{
	(void)unwind, (void)start, (void)pc, (void)out;
	return false;
}

uint64_t prologue_start(struct unwind *unwind, uint64_t from, uint64_t below)
{
	(void)unwind, (void)from, (void)below;
	return 0;
}
