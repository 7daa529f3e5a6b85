/* dl_iterate_phdr: the shim comes last, not first. AddressSanitizer's shared
 * runtime does not start the program where another library is the first in
 * this list; for anyone else the order says nothing. */
#include <link.h>
#include <stddef.h>

#include "../preload.h"
#include "../signal/zone.h"
#include "interpose.h"

typedef int visit_fn(struct dl_phdr_info *, size_t, void *);
typedef int real_dl_iterate_phdr_fn(visit_fn *, void *);

EXPORT int dl_iterate_phdr(visit_fn *visit, void *data);

extern const ElfW(Ehdr) __ehdr_start __attribute__((visibility("hidden")));

REAL(real_dl_iterate_phdr, "dl_iterate_phdr");

/* A walk through all objects but ours, which is kept for the end. */
struct walk {
	visit_fn *visit;
	void *data;
	struct dl_phdr_info own;
	size_t own_bytes; /* 0: not met */
};

static int visit_others(struct dl_phdr_info *info, size_t size, void *data)
{
	struct walk *walk = data;

	if (info->dlpi_addr != (uintptr_t)&__ehdr_start ||
	    size > sizeof(walk->own))
		return walk->visit(info, size, walk->data);
	zone_copy(&walk->own, info, size);
	walk->own_bytes = size;
	return 0;
}

int walk_objects(visit_fn *visit, void *data)
{
	real_dl_iterate_phdr_fn *real = (real_dl_iterate_phdr_fn *)
		real_address(&real_dl_iterate_phdr);

	return real(visit, data);
}

EXPORT int dl_iterate_phdr(visit_fn *visit, void *data)
{
	struct walk walk = { .visit = visit, .data = data };
	int result = walk_objects(visit_others, &walk);

	if (result == 0 && walk.own_bytes)
		result = visit(&walk.own, walk.own_bytes, data);
	return result;
}
