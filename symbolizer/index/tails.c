/* Tail calls and the calls that may lead to them. Runs in the process that can
 * be lost. */
#include "tails.h"

#include <stdlib.h>
#include <string.h>

#include "../array.h"
#include "../symtab.h"
#include "format.h"

/* Where a name leads, if it is clear: of several functions of one name an
 * exported one is meant. */
struct meaning {
	uint32_t name; /* in strings; 0: free */
	bool is_local, is_clear;
	uint64_t start;
};

struct meanings {
	struct meaning *slots;
	size_t nslots; /* a power of two */
};

void tails_entry(struct tails *tails, uint64_t entry, bool tells_tails)
{
	struct tails_entry *more;

	if (entry == 0) /* as of callees that are not known */
		return;
	more = array_grow(tails->entries, tails->nentries,
			  &tails->entries_cap, sizeof(*more));
	if (!more) {
		tails->bad = true;
		return;
	}
	tails->entries = more;
	more[tails->nentries++] = (struct tails_entry){ entry, tells_tails };
}

void tails_call(struct tails *tails, const struct build_call *call)
{
	struct build_call *more = array_grow(tails->calls, tails->ncalls,
					     &tails->calls_cap, sizeof(*more));

	if (!more) {
		tails->bad = true;
		return;
	}
	tails->calls = more;
	more[tails->ncalls++] = *call;
}

/* Names */

static struct meaning *find_meaning(const struct meanings *meanings,
				    uint32_t name)
{
	size_t i = (size_t)(name * UINT64_C(0x9e3779b97f4a7c15) >> 32) &
		   (meanings->nslots - 1);

	while (meanings->slots[i].name != 0 && meanings->slots[i].name != name)
		i = (i + 1) & (meanings->nslots - 1);
	return &meanings->slots[i];
}

static unsigned rank_of(const struct pack_symbol *symbol)
{
	return symbol->file_and_flags >> SYMBOL_RANK_SHIFT & SYMBOL_RANK_MASK;
}

static void add_meaning(struct meanings *meanings,
			const struct pack_symbol *symbol)
{
	bool is_local = rank_of(symbol) >= SYMTAB_RANK_LOCAL;
	struct meaning *at = find_meaning(meanings, symbol->name);

	if (at->name == 0 || (at->is_local && !is_local))
		*at = (struct meaning){ symbol->name, is_local, true,
					symbol->start };
	else if (at->is_local == is_local && at->start != symbol->start)
		at->is_clear = false;
}

static bool find_meanings(const struct pack_symbol *symbols, size_t n,
			  struct meanings *out)
{
	out->nslots = 64;
	while (out->nslots < 2 * n)
		out->nslots *= 2;
	out->slots = calloc(out->nslots, sizeof(*out->slots));
	if (!out->slots)
		return false;
	for (size_t i = 0; i < n; i++)
		if (symbols[i].name != 0 &&
		    rank_of(&symbols[i]) != SYMTAB_RANK_STUB)
			add_meaning(out, &symbols[i]);
	return true;
}

static void resolve(struct tails *tails, const struct meanings *meanings)
{
	for (size_t i = 0; i < tails->ncalls; i++) {
		struct build_call *call = &tails->calls[i];
		const struct meaning *meaning;

		if (call->callee != 0 || call->callee_name == 0)
			continue;
		meaning = find_meaning(meanings, call->callee_name);
		if (meaning->name != 0 && meaning->is_clear)
			call->callee = meaning->start;
	}
}

/* Tables */

static int by_entry(const void *left, const void *right)
{
	const struct tails_entry *a = left, *b = right;

	return a->entry < b->entry ? -1 : a->entry > b->entry;
}

static int by_caller(const void *left, const void *right)
{
	const struct pack_tail *a = left, *b = right;

	if (a->caller != b->caller)
		return a->caller < b->caller ? -1 : 1;
	return a->return_pc < b->return_pc ? -1 : a->return_pc > b->return_pc;
}

static int by_return_pc(const void *left, const void *right)
{
	const struct pack_call *a = left, *b = right;

	return a->return_pc < b->return_pc ? -1 : a->return_pc > b->return_pc;
}

static const struct tails_entry *find_entry(const struct tails *tails,
					    uint64_t entry)
{
	const struct tails_entry key = { .entry = entry };

	return bsearch(&key, tails->entries, tails->nentries, sizeof(key),
		       by_entry);
}

static bool has_tails(const struct tails *tails, uint64_t entry)
{
	size_t low = 0, high = tails->ntails;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (tails->tails[middle].caller < entry)
			low = middle + 1;
		else
			high = middle;
	}
	return low < tails->ntails && tails->tails[low].caller == entry;
}

/* Those of functions that tell of all: of others nothing can be known. */
static bool collect_tails(struct tails *tails)
{
	for (size_t i = 0; i < tails->ncalls; i++) {
		const struct build_call *call = &tails->calls[i];
		const struct tails_entry *caller;
		struct pack_tail *more;

		caller = call->is_tail ? find_entry(tails, call->caller) : NULL;
		if (!caller || !caller->tells_tails)
			continue;
		more = array_grow(tails->tails, tails->ntails,
				  &tails->tails_cap, sizeof(*more));
		if (!more)
			return false;
		tails->tails = more;
		more[tails->ntails++] = (struct pack_tail){
			.caller = call->caller,
			.return_pc = call->return_pc,
			.callee = call->callee |
				  (find_entry(tails, call->callee)
					   ? 0 : TAIL_ENDS),
		};
	}
	return array_sort(tails->tails, tails->ntails, sizeof(*tails->tails),
			  by_caller);
}

static bool collect_calls(struct tails *tails)
{
	tails->kept = malloc((tails->ncalls + 1) * sizeof(*tails->kept));
	if (!tails->kept)
		return false;
	for (size_t i = 0; i < tails->ncalls; i++) {
		const struct build_call *call = &tails->calls[i];

		if (call->is_tail || call->return_pc == 0 ||
		    !has_tails(tails, call->callee))
			continue;
		tails->kept[tails->nkept++] = (struct pack_call){
			call->return_pc, call->callee,
		};
	}
	return array_sort(tails->kept, tails->nkept, sizeof(*tails->kept),
			  by_return_pc);
}

bool tails_finish(struct tails *tails, const struct pack_symbol *symbols,
		  size_t nsymbols)
{
	struct meanings meanings;
	bool done;

	if (tails->bad || !find_meanings(symbols, nsymbols, &meanings))
		return false;
	resolve(tails, &meanings);
	done = array_sort(tails->entries, tails->nentries,
			  sizeof(*tails->entries), by_entry) &&
	       collect_tails(tails) && collect_calls(tails);
	free(meanings.slots);
	return done;
}

void tails_fini(struct tails *tails)
{
	free(tails->entries);
	free(tails->calls);
	free(tails->kept);
	free(tails->tails);
	memset(tails, 0, sizeof(*tails));
}
