/* GCC may emit calls to memcpy and memset even in freestanding code; the zone
 * brings its own, byte by byte through `rep`, which needs no vector register
 * and no indirect function. Hidden: the program keeps its libc's. */
#include "zone.h"

void *memcpy(void *restrict to, const void *restrict from, size_t len);
void *memset(void *to, int byte, size_t len);

void *zone_copy(void *to, const void *from, size_t len)
{
	void *at = to;

	__asm__ volatile("rep movsb"
			 : "+D"(at), "+S"(from), "+c"(len)
			 :
			 : "memory");
	return to;
}

void *zone_fill(void *to, int byte, size_t len)
{
	void *at = to;

	__asm__ volatile("rep stosb"
			 : "+D"(at), "+c"(len)
			 : "a"(byte)
			 : "memory");
	return to;
}

void *memcpy(void *restrict to, const void *restrict from, size_t len)
{
	return zone_copy(to, from, len);
}

void *memset(void *to, int byte, size_t len)
{
	return zone_fill(to, byte, len);
}
