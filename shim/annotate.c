/* The board that include/epitaph.h writes on, in zero pages that are touched
 * only by programs which use it. The helper reads it after the crash. */
#include "annotate.h"

#include <stddef.h>

#include "../include/epitaph.h"

static struct epitaph_board board;

uint64_t annotate_address(void)
{
	return (uint64_t)(uintptr_t)&board;
}

void (*annotate_answer(int sig, void (*handler)(int)))(int)
{
	if (sig != 0 || handler != EPITAPH_ASK)
		return NULL;
	board.size = sizeof(board);
	board.version = EPITAPH_VERSION;
	return (void (*)(int))(uintptr_t)&board;
}
