/* The zone's stacks, and a page of its own. This object is linked first, so
 * that the stacks lie where zone.h says; scripts/check-zone looks. The page is
 * last: between other pages it would be two more mappings. */
#include "zone.h"

struct zone_stacks zone_stacks __attribute__((aligned(ZONE_PAGE)));
_Atomic uint32_t zone_wiped[ZONE_PAGE / 4]
	__attribute__((aligned(ZONE_PAGE), section(ZONE_LAST)));
