/* A set of ranges of addresses: open addressing, linear probing. */
#include "known.h"

#include <stdlib.h>
#include <string.h>

enum { FIRST_SLOTS = 1 << 12 };

static struct known_place *find_slot(struct known_place *slots, size_t nslots,
				     uint64_t low, uint64_t high)
{
	size_t i = (size_t)((low ^ high << 32) *
			    UINT64_C(0x9e3779b97f4a7c15) >> 32) & (nslots - 1);

	while (slots[i].low != 0 &&
	       (slots[i].low != low || slots[i].high != high))
		i = (i + 1) & (nslots - 1);
	return &slots[i];
}

bool known_has(const struct known *known, uint64_t low, uint64_t high)
{
	return known->nslots > 0 &&
	       find_slot(known->slots, known->nslots, low, high)->low != 0;
}

static bool double_slots(struct known *known)
{
	size_t nslots = known->nslots ? known->nslots * 2 : FIRST_SLOTS;
	struct known_place *slots = calloc(nslots, sizeof(*slots));

	if (!slots)
		return false;
	for (size_t i = 0; i < known->nslots; i++) {
		const struct known_place *from = &known->slots[i];

		if (from->low != 0)
			*find_slot(slots, nslots, from->low, from->high) =
				*from;
	}
	free(known->slots);
	known->slots = slots;
	known->nslots = nslots;
	return true;
}

void known_add(struct known *known, uint64_t low, uint64_t high)
{
	struct known_place *slot;

	if (known->n * 2 >= known->nslots && !double_slots(known))
		return;
	slot = find_slot(known->slots, known->nslots, low, high);
	known->n += slot->low == 0;
	*slot = (struct known_place){ low, high };
}

void known_fini(struct known *known)
{
	free(known->slots);
	memset(known, 0, sizeof(*known));
}
