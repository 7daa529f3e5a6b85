/* The page cache in front of the memory reader. Runs in the helper, the
 * command line and the symbolizer. Trusts nothing: addresses are whatever a
 * dead program left in its registers. */
#include "memory.h"

#include <stdlib.h>
#include <string.h>

#define NO_PAGE 1u /* no page begins there */

bool memory_init(struct memory *memory, unwind_read *read, void *context)
{
	memory->bytes = malloc(MEMORY_PAGES * sizeof(*memory->bytes));
	if (!memory->bytes)
		return false;
	for (size_t i = 0; i < MEMORY_PAGES; i++)
		memory->pages[i].address = NO_PAGE;
	memory->read = read;
	memory->context = context;
	return true;
}

void memory_fini(struct memory *memory)
{
	free(memory->bytes);
	memory->bytes = NULL;
}

/* The place of the cache that holds the page of ADDRESS. */
static size_t get_page(struct memory *memory, uint64_t address)
{
	uint64_t start = address & ~(uint64_t)(MEMORY_PAGE - 1);
	size_t i = memory_hash(start / MEMORY_PAGE, MEMORY_PAGES_BITS);
	struct memory_page *page = &memory->pages[i];

	if (page->address == start)
		return i;
	page->address = start;
	page->len = memory->read(memory->context, start, memory->bytes[i],
				 MEMORY_PAGE);
	if (page->len > MEMORY_PAGE)
		page->len = 0;
	return i;
}

/* A stack window of a report may begin in the middle of a page, and then the
 * page as a whole cannot be read: ask for the bytes themselves. */
static size_t copy_from_page(struct memory *memory, uint64_t address,
			     void *to, size_t len)
{
	size_t i = get_page(memory, address), n;
	size_t skip = (size_t)(address % MEMORY_PAGE);

	if (memory->pages[i].len < skip + len) {
		n = memory->read(memory->context, address, to, len);
		return n <= len ? n : 0;
	}
	memcpy(to, memory->bytes[i] + skip, len);
	return len;
}

size_t memory_copy(struct memory *memory, uint64_t address, void *to,
		   size_t len)
{
	uint8_t *bytes = to;
	size_t done = 0;

	while (done < len) {
		size_t room = MEMORY_PAGE - (size_t)(address % MEMORY_PAGE);
		size_t want = len - done < room ? len - done : room;
		size_t n = copy_from_page(memory, address, bytes + done, want);

		done += n;
		address += n;
		if (n < want || address == 0)
			break;
	}
	return done;
}

bool memory_u64(struct memory *memory, uint64_t address, uint64_t *value_out)
{
	uint64_t value;

	if (memory_copy(memory, address, &value, sizeof(value)) !=
	    sizeof(value))
		return false;
	*value_out = value;
	return true;
}
