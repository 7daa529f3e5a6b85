/* Frames that tail calls left out, inferred as gdb does ("Tail call frames" in
 * its manual). Runs in any process; the index may be anybody's, so the depth
 * and the ways tried are bounded.
 *
 * The call site that returns to the outer frame says which function it called.
 * If that is the inner frame's, nothing is missing. Else the tail calls of that
 * function, and of those that they lead to, are followed. What all ways to the
 * inner frame's function begin and end with has been gone through. Wherever one
 * of those calls goes to an unknown place (through a pointer, to another
 * file), that could be another way, so nothing is said. */
#include "tailcall.h"

enum {
	MAX_TAILS = 128, /* of one function */
	MAX_TRIES = 1024,
	MAX_REACHED = 64, /* functions */
};

struct way {
	uint64_t pcs[TAILCALL_MAX]; /* outermost first */
	size_t len;
};

struct search {
	struct index *index;
	uint64_t wanted; /* where the inner function begins */
	struct way way;  /* where the search is */
	struct way best; /* the first that led there */
	size_t outer, inner; /* how many of the best one's first and last all
	                      * others share */
	size_t tries_left;
	bool unknown; /* there may be ways that are not seen: give up */
};

static size_t smaller(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* The way that the search is on has led there. */
static void arrive(struct search *search)
{
	const struct way *way = &search->way, *best = &search->best;
	size_t n = 0;

	if (best->len == 0) {
		search->best = *way;
		search->outer = search->inner = way->len;
		return;
	}
	search->outer = smaller(search->outer, way->len);
	search->inner = smaller(search->inner, way->len);
	while (n < search->outer && way->pcs[n] == best->pcs[n])
		n++;
	search->outer = n;
	for (n = 0; n < search->inner; n++)
		if (way->pcs[way->len - 1 - n] !=
		    best->pcs[best->len - 1 - n])
			break;
	search->inner = n;
	if (search->outer == 0 && search->inner == 0)
		search->unknown = true;
}

static bool is_on(const struct way *way, uint64_t pc)
{
	for (size_t i = 0; i < way->len; i++)
		if (way->pcs[i] == pc)
			return true;
	return false;
}

static void follow(struct search *search, uint64_t entry);

static void try_tail(struct search *search, const struct index_tail *tail)
{
	if (search->tries_left == 0 || tail->return_pc == 0) {
		search->unknown = true;
		return;
	}
	search->tries_left--;
	if (is_on(&search->way, tail->return_pc))
		return;
	if (search->way.len == TAILCALL_MAX || tail->callee == 0) {
		search->unknown = true;
		return;
	}
	search->way.pcs[search->way.len++] = tail->return_pc;
	if (tail->callee == search->wanted)
		arrive(search);
	else if (tail->is_end)
		search->unknown = true;
	else
		follow(search, tail->callee);
	search->way.len--;
}

/* Go on with the tail calls of the function at ENTRY. */
static void follow(struct search *search, uint64_t entry)
{
	struct index_tail tails[MAX_TAILS];
	size_t n = index_tails(search->index, entry, tails, MAX_TAILS);

	if (n == MAX_TAILS)
		search->unknown = true;
	for (size_t i = 0; i < n && !search->unknown; i++)
		try_tail(search, &tails[i]);
}

/* What is certain of the ways found, innermost first. */
static size_t collect(const struct search *search, uint64_t pcs[TAILCALL_MAX])
{
	const struct way *best = &search->best;
	size_t outer = search->outer, n = 0;

	if (search->unknown)
		return 0;
	for (size_t i = 0; i < search->inner; i++)
		pcs[n++] = best->pcs[best->len - 1 - i];
	if (outer > best->len - search->inner)
		outer = best->len - search->inner;
	while (outer-- > 0)
		pcs[n++] = best->pcs[outer];
	return n;
}

/* Where the function at INNER begins; by its symbol where nothing else says. */
static uint64_t entry_of(struct index *index, uint64_t inner)
{
	struct index_symbol symbol;
	uint64_t entry;

	if (index_entry(index, inner, &entry))
		return entry;
	return index_symbol(index, inner, &symbol) ? symbol.start : 0;
}

size_t tailcall_between(struct index *index, uint64_t return_pc,
			uint64_t inner, uint64_t pcs[TAILCALL_MAX])
{
	struct search search = { .index = index, .tries_left = MAX_TRIES };
	uint64_t callee;

	if (!index_call(index, return_pc, &callee))
		return 0;
	search.wanted = entry_of(index, inner);
	if (search.wanted == 0)
		return 0;
	if (callee != search.wanted)
		follow(&search, callee);
	return collect(&search, pcs);
}

/* Functions that may follow by tail calls, each once. */
struct reached {
	uint64_t entries[MAX_REACHED];
	size_t len;
	bool unknown;
};

static void reach(struct reached *reached, uint64_t entry)
{
	for (size_t i = 0; i < reached->len; i++)
		if (reached->entries[i] == entry)
			return;
	if (entry == 0 || reached->len == MAX_REACHED)
		reached->unknown = true;
	else
		reached->entries[reached->len++] = entry;
}

bool tailcall_reenters(struct index *index, uint64_t inner)
{
	struct index_tail tails[MAX_TAILS];
	struct reached reached = { .len = 0 };
	uint64_t entry = entry_of(index, inner), at = entry;

	for (size_t done = 0;; at = reached.entries[done++]) {
		size_t n = index_tails(index, at, tails, MAX_TAILS);

		if (n == MAX_TAILS || at == 0)
			return true;
		for (size_t i = 0; i < n; i++) {
			if (tails[i].callee == entry)
				return true;
			reach(&reached, tails[i].callee);
		}
		if (reached.unknown)
			return true;
		if (done == reached.len)
			return false;
	}
}
