/* Words where both sides are aligned, else bytes. In assembly, so that the
 * compiler makes neither a call to memcpy nor vectors of it. */
#include "zone.h"

static bool is_aligned(const void *at)
{
	return (uintptr_t)at % sizeof(uint64_t) == 0;
}

void *zone_copy(void *to, const void *from, size_t len)
{
	const uint8_t *source = from;
	uint8_t *at = to;

	if (is_aligned(to) && is_aligned(from)) {
		for (; len >= 8; len -= 8, at += 8, source += 8)
			__asm__ volatile("ldr x9, [%1]\n\t"
					 "str x9, [%0]"
					 :
					 : "r"(at), "r"(source)
					 : "x9", "memory");
	}
	for (; len; len--, at++, source++)
		__asm__ volatile("ldrb w9, [%1]\n\t"
				 "strb w9, [%0]"
				 :
				 : "r"(at), "r"(source)
				 : "x9", "memory");
	return to;
}

void *zone_fill(void *to, int byte, size_t len)
{
	uint8_t *at = to;

	for (; len; len--, at++)
		__asm__ volatile("strb %w1, [%0]"
				 :
				 : "r"(at), "r"(byte)
				 : "memory");
	return to;
}
