/* A table of texts, each of which is in it once: open addressing, linear
 * probing. */
#include "strings.h"

#include <stdlib.h>
#include <string.h>

#include "format.h"

enum { FIRST_SLOTS = 1 << 14 };

void strings_init(struct strings *strings)
{
	memset(strings, 0, sizeof(*strings));
	writer_init(&strings->bytes, UINT32_MAX - 1);
	writer_u8(&strings->bytes, 0);
}

void strings_fini(struct strings *strings)
{
	writer_fini(&strings->bytes);
	free(strings->slots);
	memset(strings, 0, sizeof(*strings));
}

/* Eight bytes at a time; names that differ in one place only spread by the
 * multiplication. */
static uint64_t hash(const char *text, size_t len)
{
	uint64_t h = len * UINT64_C(0x9e3779b97f4a7c15);

	while (len > 0) {
		size_t n = len < 8 ? len : 8;
		uint64_t word = 0;

		memcpy(&word, text, n);
		h = (h ^ word) * UINT64_C(0xff51afd7ed558ccd);
		h ^= h >> 32;
		text += n;
		len -= n;
	}
	return h;
}

/* Where TEXT is, or is to go. */
static uint32_t *find_slot(const struct strings *strings, uint32_t *slots,
			   size_t nslots, const char *text, size_t len)
{
	size_t i = hash(text, len) & (nslots - 1);

	while (slots[i] != 0) {
		const char *has = (const char *)strings->bytes.bytes +
				  slots[i] - 1;

		if (strncmp(has, text, len) == 0 && has[len] == '\0')
			break;
		i = (i + 1) & (nslots - 1);
	}
	return &slots[i];
}

static bool double_slots(struct strings *strings)
{
	size_t nslots = strings->nslots ? strings->nslots * 2 : FIRST_SLOTS;
	uint32_t *slots = calloc(nslots, sizeof(*slots));

	if (!slots)
		return false;
	for (size_t i = 0; i < strings->nslots; i++) {
		const char *text;

		if (strings->slots[i] == 0)
			continue;
		text = (const char *)strings->bytes.bytes +
		       strings->slots[i] - 1;
		*find_slot(strings, slots, nslots, text, strlen(text)) =
			strings->slots[i];
	}
	free(strings->slots);
	strings->slots = slots;
	strings->nslots = nslots;
	return true;
}

/* Add TEXT, all of it in one chunk; where it is then. */
static uint32_t append(struct strings *strings, const char *text, size_t len)
{
	size_t left = INDEX_CHUNK - strings->bytes.len % INDEX_CHUNK;
	uint32_t at;

	if (len + 1 > left)
		writer_zero(&strings->bytes, left);
	at = (uint32_t)strings->bytes.len;
	writer_bytes(&strings->bytes, text, len);
	writer_u8(&strings->bytes, 0);
	return at;
}

uint32_t strings_add(struct strings *strings, const char *text)
{
	size_t len = strnlen(text, INDEX_CHUNK - 1);
	uint32_t *slot;

	if (len == 0 || strings->bytes.bad)
		return 0;
	if (strings->n * 2 >= strings->nslots && !double_slots(strings)) {
		strings->bytes.bad = true;
		return 0;
	}
	slot = find_slot(strings, strings->slots, strings->nslots, text, len);
	if (*slot == 0) {
		uint32_t at = append(strings, text, len);

		if (strings->bytes.bad)
			return 0;
		*slot = at + 1;
		strings->n++;
	}
	return *slot - 1;
}
