/* Exact fingerprints in memory: a hit costs a look-up here and one row in
 * `seen`; what it adds to its edge, its group and their facets is summed up
 * and written once per transaction. In the store role. */
#include "sqlite.h"

#include <stdlib.h>
#include <string.h>

/* Fingerprints are hashes, so any of their bytes will do. */
static size_t bucket_of(enum edge_kind kind, const uint8_t fp[16])
{
	uint32_t n;

	memcpy(&n, fp, sizeof(n));
	return (n ^ (uint32_t)kind) & (SQLITE_EDGES - 1);
}

static struct edge *cached(struct sqlite *s, enum edge_kind kind,
			   const uint8_t fp[16])
{
	struct edge *edge = s->buckets[bucket_of(kind, fp)];

	while (edge != NULL && (edge->kind != kind ||
				memcmp(edge->fingerprint, fp, 16) != 0))
		edge = edge->next;
	return edge;
}

static void forget_facets(struct sqlite *s)
{
	for (size_t i = 0; i < s->nfacets; i++)
		s->facets[s->facets_used[i]].edge = NULL;
	s->nfacets = 0;
	s->facet_text.len = 0;
	s->facet_text.bad = false;
}

void edge_forget_all(struct sqlite *s)
{
	for (size_t i = 0; i < SQLITE_EDGES; i++) {
		while (s->buckets[i] != NULL) {
			struct edge *edge = s->buckets[i];

			s->buckets[i] = edge->next;
			free(edge->promises);
			free(edge);
		}
	}
	s->nedges = 0;
	s->changed = NULL;
	forget_facets(s);
}

static bool has_promise(const struct sqlite *s, const struct edge *edge)
{
	for (uint32_t i = 0; edge->promises != NULL && i < s->bodies; i++) {
		if (edge->promises[i].until_ms > s->now_ms)
			return true;
	}
	return false;
}

/* Make room, between transactions: keep whom we promised something, unless
 * they are too many themselves. */
static void shrink(struct sqlite *s)
{
	for (size_t i = 0; i < SQLITE_EDGES; i++) {
		struct edge **link = &s->buckets[i];

		while (*link != NULL) {
			struct edge *edge = *link;

			if (has_promise(s, edge)) {
				link = &edge->next;
				continue;
			}
			*link = edge->next;
			free(edge->promises);
			free(edge);
			s->nedges--;
		}
	}
	if (s->nedges > SQLITE_EDGES / 2)
		edge_forget_all(s);
}

static struct edge *cache(struct sqlite *s, enum edge_kind kind,
			  const uint8_t fp[16], struct error *err)
{
	struct edge *edge = calloc(1, sizeof(*edge));
	struct edge **bucket = &s->buckets[bucket_of(kind, fp)];

	if (edge == NULL) {
		fail(err, ERR_NO_MEMORY, "no memory for a fingerprint");
		return NULL;
	}
	edge->kind = kind;
	memcpy(edge->fingerprint, fp, 16);
	edge->next = *bucket;
	*bucket = edge;
	s->nedges++;
	return edge;
}

bool edge_find(struct sqlite *s, enum edge_kind kind, const uint8_t fp[16],
	       struct edge **out, struct error *err)
{
	struct edge *edge = cached(s, kind, fp);
	sqlite3_stmt *find;
	bool row;

	*out = edge;
	if (edge != NULL)
		return true;
	find = sqlite_prepare(s, SQL_EDGE_FIND, err);
	if (find == NULL)
		return false;
	sqlite_int(find, 1, kind);
	sqlite_blob(find, 2, fp, 16);
	if (!sqlite_row(s, find, &row, err))
		return false;
	if (row) {
		edge = cache(s, kind, fp, err);
		if (edge == NULL)
			return false;
		edge->number = sqlite3_column_int64(find, 0);
		edge->group = sqlite3_column_int64(find, 1);
		edge->bodies = (uint32_t)sqlite3_column_int64(find, 2);
		*out = edge;
	}
	sqlite3_reset(find);
	return true;
}

static bool edge_add(struct sqlite *s, const struct hit *hit,
		     enum edge_kind kind, int64_t group, struct error *err)
{
	sqlite3_stmt *add = sqlite_prepare(s, SQL_EDGE_ADD, err);

	if (add == NULL)
		return false;
	sqlite_int(add, 1, kind);
	sqlite_blob(add, 2, hit->fingerprint, 16);
	sqlite_int(add, 3, group);
	sqlite_text(add, 4, slice_of("first crash with this fingerprint"));
	sqlite_text(add, 5, slice_of("collector"));
	sqlite_int(add, 6, s->now_ms);
	sqlite_int(add, 7, hit->time_ms);
	return sqlite_run(s, add, err);
}

bool edge_get(struct sqlite *s, const struct hit *hit, struct edge **out,
	      struct error *err)
{
	enum edge_kind kind = hit->canary ? EDGE_CANARY : EDGE_EXACT;
	struct edge *edge;
	int64_t group, number;

	if (!edge_find(s, kind, hit->fingerprint, out, err))
		return false;
	if (*out != NULL)
		return true;
	if (!group_add(s, hit, &group, err) ||
	    !edge_add(s, hit, kind, group, err))
		return false;
	number = sqlite3_last_insert_rowid(s->db);
	edge = cache(s, kind, hit->fingerprint, err);
	if (edge == NULL)
		return false;
	edge->number = number;
	edge->group = group;
	*out = edge;
	return true;
}

/* FNV-1a over what makes a facet. */
static uint32_t hash_facet(const struct edge *edge, enum facet facet,
			   struct slice value)
{
	uint32_t hash = 2166136261u ^ (uint32_t)edge->number ^
			(uint32_t)facet << 24;

	for (size_t i = 0; i < value.len; i++)
		hash = (hash ^ (unsigned char)value.bytes[i]) * 16777619u;
	return hash;
}

/* The slot of that facet, or the free one where it belongs. */
static struct facet_delta *facet_slot(struct sqlite *s, struct edge *edge,
				      enum facet facet, struct slice value,
				      uint32_t hash)
{
	size_t at = hash & (SQLITE_FACETS - 1);

	for (;;) {
		struct facet_delta *d = &s->facets[at];

		if (d->edge == NULL)
			return d;
		if (d->hash == hash && d->edge == edge && d->facet == facet &&
		    d->len == value.len &&
		    memcmp(s->facet_text.bytes + d->at, value.bytes,
			   value.len) == 0)
			return d;
		at = (at + 1) & (SQLITE_FACETS - 1);
	}
}

static int64_t earlier(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

static int64_t later(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

/* Detail is the first thing to go where there is too much of it: a value
 * beyond the table's room is not noted. The count is. */
static void count_facet(struct sqlite *s, struct edge *edge, enum facet facet,
			struct slice value, const struct hit *hit)
{
	uint32_t hash;
	struct facet_delta *d;

	if (value.len == 0 || s->nfacets > SQLITE_FACETS / 2)
		return;
	hash = hash_facet(edge, facet, value);
	d = facet_slot(s, edge, facet, value, hash);
	if (d->edge == NULL) {
		d->at = s->facet_text.len;
		writer_bytes(&s->facet_text, value.bytes, value.len);
		if (s->facet_text.bad)
			return;
		*d = (struct facet_delta){
			.edge = edge, .facet = facet, .hash = hash,
			.at = d->at, .len = value.len,
			.first_ms = hit->time_ms, .last_ms = hit->time_ms,
		};
		s->facets_used[s->nfacets++] = (uint32_t)(d - s->facets);
	}
	d->added += hit->count;
	d->first_ms = earlier(d->first_ms, hit->time_ms);
	d->last_ms = later(d->last_ms, hit->time_ms);
}

static void count_tag(struct sqlite *s, struct edge *edge,
		      const struct hit_tag *tag, const struct hit *hit)
{
	char text[512];
	size_t len = tag->key.len + 1 + tag->value.len;

	if (len > sizeof(text) || tag->key.len == 0)
		return;
	memcpy(text, tag->key.bytes, tag->key.len);
	text[tag->key.len] = '=';
	if (tag->value.len > 0)
		memcpy(text + tag->key.len + 1, tag->value.bytes,
		       tag->value.len);
	count_facet(s, edge, FACET_TAG, (struct slice){ text, len }, hit);
}

bool edge_count(struct sqlite *s, struct edge *edge, const struct hit *hit,
		struct error *err)
{
	(void)err;
	if (!edge->is_changed) {
		edge->is_changed = true;
		edge->next_changed = s->changed;
		s->changed = edge;
		edge->added = 0;
		edge->first_ms = hit->time_ms;
		edge->last_ms = hit->time_ms;
	}
	edge->added += hit->count;
	edge->first_ms = earlier(edge->first_ms, hit->time_ms);
	edge->last_ms = later(edge->last_ms, hit->time_ms);
	count_facet(s, edge, FACET_HOST, hit->host, hit);
	count_facet(s, edge, FACET_RELEASE, hit->release, hit);
	count_facet(s, edge, FACET_EXE, hit->exe, hit);
	count_facet(s, edge, FACET_BUILD_ID, hit->build_id, hit);
	for (size_t i = 0; i < hit->ntags; i++)
		count_tag(s, edge, &hit->tags[i], hit);
	return true;
}

bool edge_want(struct sqlite *s, struct edge *edge, const uint8_t id[16])
{
	struct promise *slot = NULL;
	uint32_t open = 0;

	if (edge->kind == EDGE_CANARY)
		return true;
	if (edge->promises == NULL)
		edge->promises = calloc(s->bodies, sizeof(*edge->promises));
	if (edge->promises == NULL)
		return false;
	for (uint32_t i = 0; i < s->bodies; i++) {
		struct promise *p = &edge->promises[i];

		if (p->until_ms <= s->now_ms) {
			slot = p;
		} else if (memcmp(p->id, id, 16) == 0) {
			p->until_ms = s->now_ms + STORE_PROMISE_MS;
			return true;
		} else {
			open++;
		}
	}
	if (slot == NULL || edge->bodies + open >= s->bodies)
		return false;
	memcpy(slot->id, id, 16);
	slot->until_ms = s->now_ms + STORE_PROMISE_MS;
	return true;
}

void edge_keep_promise(struct sqlite *s, struct edge *edge,
		       const uint8_t id[16])
{
	for (uint32_t i = 0; edge->promises != NULL && i < s->bodies; i++) {
		if (memcmp(edge->promises[i].id, id, 16) == 0)
			edge->promises[i].until_ms = 0;
	}
}

static bool write_count(struct sqlite *s, enum sql which, int64_t number,
			const struct edge *edge, struct error *err)
{
	sqlite3_stmt *update = sqlite_prepare(s, which, err);

	if (update == NULL)
		return false;
	sqlite_int(update, 1, number);
	sqlite_int(update, 2, (int64_t)edge->added);
	sqlite_int(update, 3, edge->first_ms);
	sqlite_int(update, 4, edge->last_ms);
	return sqlite_run(s, update, err);
}

static bool flush_edges(struct sqlite *s, struct error *err)
{
	while (s->changed != NULL) {
		struct edge *edge = s->changed;

		if (!write_count(s, SQL_EDGE_COUNT, edge->number, edge, err) ||
		    !write_count(s, SQL_GROUP_COUNT, edge->group, edge, err))
			return false;
		s->changed = edge->next_changed;
		edge->is_changed = false;
	}
	return true;
}

static bool facet_write(struct sqlite *s, enum sql which,
			const struct facet_delta *d, struct error *err)
{
	sqlite3_stmt *write = sqlite_prepare(s, which, err);
	struct slice value = { (char *)s->facet_text.bytes + d->at, d->len };

	if (write == NULL)
		return false;
	sqlite_int(write, 1, d->edge->number);
	sqlite_int(write, 2, d->facet);
	sqlite_text(write, 3, value);
	sqlite_int(write, 4, (int64_t)d->added);
	sqlite_int(write, 5, d->first_ms);
	sqlite_int(write, 6, d->last_ms);
	return sqlite_run(s, write, err);
}

/* Note in the edge whether it has all the values that are kept of a facet. */
static bool look_if_full(struct sqlite *s, const struct facet_delta *d,
			 struct error *err)
{
	sqlite3_stmt *total = sqlite_prepare(s, SQL_FACET_TOTAL, err);
	bool row;

	if (total == NULL)
		return false;
	sqlite_int(total, 1, d->edge->number);
	sqlite_int(total, 2, d->facet);
	if (!sqlite_row(s, total, &row, err))
		return false;
	if (row && sqlite3_column_int64(total, 0) >= STORE_FACET_VALUES)
		d->edge->full_facets |= 1u << d->facet;
	sqlite3_reset(total);
	return true;
}

static bool flush_facet(struct sqlite *s, const struct facet_delta *d,
			struct error *err)
{
	unsigned bit = 1u << d->facet;

	if (!facet_write(s, SQL_FACET_UPDATE, d, err))
		return false;
	if (sqlite3_changes(s->db) > 0 || (d->edge->full_facets & bit) != 0)
		return true;
	return look_if_full(s, d, err) &&
	       ((d->edge->full_facets & bit) != 0 ||
		facet_write(s, SQL_FACET_ADD, d, err));
}

static bool flush_facets(struct sqlite *s, struct error *err)
{
	for (size_t i = 0; i < s->nfacets; i++) {
		if (!flush_facet(s, &s->facets[s->facets_used[i]], err))
			return false;
	}
	forget_facets(s);
	return true;
}

bool edge_flush(struct sqlite *s, struct error *err)
{
	if (!flush_edges(s, err) || !flush_facets(s, err))
		return false;
	if (s->nedges > SQLITE_EDGES)
		shrink(s);
	return true;
}

void edge_moved(struct sqlite *s, int64_t from, int64_t to)
{
	for (size_t i = 0; i < SQLITE_EDGES; i++) {
		struct edge *edge = s->buckets[i];

		for (; edge != NULL; edge = edge->next) {
			if (edge->group == from)
				edge->group = to;
		}
	}
}
