/* What libFuzzer calls, over and over, with bytes of its choice. Each file
 * here is one target; tests/unit/corpus.c replays their corpus without
 * libFuzzer. */
#ifndef EPITAPH_TESTS_FUZZ_FUZZ_H
#define EPITAPH_TESTS_FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>

/* One input, SIZE bytes. Always 0. Whatever is wrong ends the process. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
