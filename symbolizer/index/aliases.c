/* Names of functions that were made one. Linkers leave two kinds of traces:
 * gold has the DWARF of all of them point to the one that it kept; lld and mold
 * leave what describes the others without an address, as they do with functions
 * that are gone for good, but their symbols are at the one's address. Runs in
 * the process that can be lost. */
#include "aliases.h"

#include <stdlib.h>
#include <string.h>

#include "../array.h"
#include "format.h"
#include "index.h"

/* What the function that begins at ENTRY is called. */
struct owner {
	uint64_t entry;
	uint32_t name;
};

void aliases_folded(struct aliases *aliases, uint64_t entry, uint32_t name,
		    bool is_linkage)
{
	struct pack_alias *more = array_grow(aliases->kept, aliases->nkept,
					     &aliases->kept_cap, sizeof(*more));

	if (!more) {
		aliases->bad = true;
		return;
	}
	aliases->kept = more;
	more[aliases->nkept++] = (struct pack_alias){ entry, name, is_linkage };
}

static uint64_t hash_of(const char *name)
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325);

	for (; *name; name++)
		hash = (hash ^ (uint8_t)*name) * UINT64_C(0x100000001b3);
	return hash;
}

void aliases_dropped(struct aliases *aliases, const char *name, uint64_t size)
{
	struct dropped_function *more =
		array_grow(aliases->dropped, aliases->ndropped,
			   &aliases->dropped_cap, sizeof(*more));

	if (!more) {
		aliases->bad = true;
		return;
	}
	aliases->dropped = more;
	more[aliases->ndropped++] = (struct dropped_function){
		hash_of(name), size,
	};
}

static int by_hash(const void *left, const void *right)
{
	const struct dropped_function *a = left, *b = right;

	if (a->hash != b->hash)
		return a->hash < b->hash ? -1 : 1;
	return a->size < b->size ? -1 : a->size > b->size;
}

/* What was dropped and still has a symbol, of its size, was made one with what
 * is there. */
static bool find_symbols(struct aliases *aliases, const struct pack *pack)
{
	if (aliases->ndropped == 0)
		return true;
	if (!array_sort(aliases->dropped, aliases->ndropped,
			sizeof(*aliases->dropped), by_hash))
		return false;
	for (size_t i = 0; i < pack->nsymbols; i++) {
		const struct pack_symbol *symbol = &pack->symbols[i];
		const char *name = (const char *)pack->strings->bytes.bytes +
				   symbol->name;
		const struct dropped_function wanted = {
			hash_of(name), symbol->size,
		};

		if (symbol->size > 0 &&
		    bsearch(&wanted, aliases->dropped, aliases->ndropped,
			    sizeof(wanted), by_hash))
			aliases_folded(aliases, symbol->start, symbol->name,
				       true);
	}
	return !aliases->bad;
}

static int by_owner(const void *left, const void *right)
{
	const struct owner *a = left, *b = right;

	return a->entry < b->entry ? -1 : a->entry > b->entry;
}

static int by_entry(const void *left, const void *right)
{
	const struct pack_alias *a = left, *b = right;

	if (a->entry != b->entry)
		return a->entry < b->entry ? -1 : 1;
	return a->name < b->name ? -1 : a->name > b->name;
}

static struct owner *find_owners(const struct pack *pack, size_t *n_out)
{
	struct owner *owners = malloc((pack->nscopes + 1) * sizeof(*owners));
	size_t n = 0;

	for (size_t i = 1; owners && i < pack->nscopes; i++) {
		const struct pack_scope *scope = &pack->scopes[i];

		if (scope->parent == 0)
			owners[n++] = (struct owner){
				scope->entry,
				pack->functions[scope->function].name,
			};
	}
	if (owners && !array_sort(owners, n, sizeof(*owners), by_owner)) {
		free(owners);
		owners = NULL;
	}
	*n_out = n;
	return owners;
}

/* Take out what is no other name of a function that is there. */
static void keep_others(struct aliases *aliases, const struct owner *owners,
			size_t nowners)
{
	size_t owner = 0, kept = 0, same = 0;

	for (size_t i = 0; i < aliases->nkept; i++) {
		struct pack_alias alias = aliases->kept[i];
		const struct pack_alias *last = kept ? &aliases->kept[kept - 1]
						     : NULL;

		while (owner < nowners && owners[owner].entry < alias.entry)
			owner++;
		if (owner == nowners || owners[owner].entry != alias.entry ||
		    owners[owner].name == alias.name || alias.name == 0)
			continue;
		same = last && last->entry == alias.entry ? same : 0;
		if ((same > 0 && last->name == alias.name) ||
		    same == INDEX_MAX_ALIASES)
			continue;
		same++;
		aliases->kept[kept++] = alias;
	}
	aliases->nkept = kept;
}

bool aliases_finish(struct aliases *aliases, const struct pack *pack)
{
	struct owner *owners;
	size_t n;

	if (!find_symbols(aliases, pack))
		return false;
	if (aliases->nkept == 0)
		return !aliases->bad;
	owners = find_owners(pack, &n);
	if (!owners || !array_sort(aliases->kept, aliases->nkept,
				   sizeof(*aliases->kept), by_entry)) {
		free(owners);
		return false;
	}
	keep_others(aliases, owners, n);
	free(owners);
	return !aliases->bad;
}

void aliases_fini(struct aliases *aliases)
{
	free(aliases->dropped);
	free(aliases->kept);
	memset(aliases, 0, sizeof(*aliases));
}
