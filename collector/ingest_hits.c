/* Hits in an ingest worker: scanned, gathered over one turn of the loop,
 * handed to the store as one message, and answered when that is committed. */
#include "ingest.h"

#include <stdlib.h>
#include <string.h>

#include "../lib/report/clock.h"
#include "hitscan.h"
#include "text.h"

static struct batch *gathering(struct ingest *in)
{
	if (in->gathering != NULL)
		return in->gathering;
	in->gathering = calloc(1, sizeof(*in->gathering));
	writer_init(&in->hits, WIRE_MAX_HITS_BYTES);
	writer_u32(&in->hits, 0); /* how many; known at the end */
	return in->gathering;
}

static bool add_entry(struct batch *batch, struct request *request)
{
	if (batch->len == batch->cap) {
		size_t cap = batch->cap == 0 ? 64 : 2 * batch->cap;
		void *grown = realloc(batch->entries,
				      cap * sizeof(*batch->entries));

		if (grown == NULL)
			return false;
		batch->entries = grown;
		batch->cap = cap;
	}
	request->batch = batch;
	request->batch_at = batch->len;
	batch->entries[batch->len].request = request;
	batch->entries[batch->len].nhits = request->nids;
	batch->len++;
	batch->nhits += request->nids;
	return true;
}

static void batch_free(struct ingest *in, struct batch *batch)
{
	for (size_t i = 0; i < batch->len; i++) {
		if (batch->entries[i].request != NULL)
			batch->entries[i].request->batch = NULL;
	}
	in->waiting_hits -= batch->nhits;
	free(batch->entries);
	free(batch);
}

void hits_forget(struct request *request)
{
	if (request->batch != NULL)
		request->batch->entries[request->batch_at].request = NULL;
	request->batch = NULL;
}

static bool add_id(struct request *request, const uint8_t id[16])
{
	/* Doubled whenever the number is a power of two. */
	if ((request->nids & (request->nids - 1)) == 0) {
		size_t cap = request->nids == 0 ? 1 : 2 * request->nids;
		void *grown = realloc(request->ids, cap * 16);

		if (grown == NULL)
			return false;
		request->ids = grown;
	}
	memcpy(request->ids[request->nids++], id, 16);
	return true;
}

/* A clock that is ahead must not keep a group at the top for ever. */
static void settle_time(struct hit *hit, int64_t now_ms)
{
	if (hit->time_ms > now_ms || hit->time_ms <= 0)
		hit->time_ms = now_ms;
}

/* Append all hits of REQUEST to OUT, or refuse it: all of them, or none. */
static bool scan(struct request *request, struct writer *out)
{
	static struct hit hit;
	int64_t now_ms = clock_wall_ms();
	struct hitscan scan;
	enum hitscan_result result;
	struct error err;

	hitscan_init(&scan, (char *)request->body.bytes, request->body.len);
	while ((result = hitscan_next(&scan, now_ms, &hit, &err)) ==
	       HITSCAN_HIT) {
		hit.canary = request->canary;
		settle_time(&hit, now_ms);
		wire_put_hit(out, &hit);
		if (request->nids == WIRE_MAX_HITS / 2) {
			request_error(request, 413, "too large", "limit is "
				      "10000 hits in one request");
			return false;
		}
		if (!add_id(request, hit.id) || out->bad) {
			request_error(request, 503, "busy", "no memory");
			return false;
		}
	}
	if (result == HITSCAN_BAD)
		request_error(request, 400, "malformed", err.text);
	else if (request->nids == 0)
		request_error(request, 400, "malformed", "no hit in it");
	return result == HITSCAN_END && request->nids > 0;
}

void hits_finish(struct request *request)
{
	struct ingest *in = request->in;
	struct writer own;
	struct batch *batch;

	if (in->store.fd < 0 || in->waiting_hits > INGEST_WAITING_HITS) {
		request_error(request, 503, "busy", "the store cannot take it "
			      "now");
		return;
	}
	writer_init(&own, WIRE_MAX_HITS_BYTES - 4);
	if (!scan(request, &own)) {
		writer_fini(&own);
		return;
	}
	batch = gathering(in);
	if (batch != NULL && (own.len > in->hits.limit - in->hits.len ||
			      batch->nhits + request->nids > WIRE_MAX_HITS)) {
		hits_send(in);
		batch = gathering(in);
	}
	if (batch == NULL || !add_entry(batch, request)) {
		request_error(request, 503, "busy", "no memory");
	} else {
		writer_bytes(&in->hits, own.bytes, own.len);
		in->waiting_hits += request->nids;
		request_wait(request, INGEST_STORE_MS);
	}
	writer_fini(&own);
}

static void refuse_batch(struct ingest *in, struct batch *batch)
{
	for (size_t i = 0; i < batch->len; i++) {
		struct request *request = batch->entries[i].request;

		if (request != NULL && request->state == REQUEST_WAITING)
			request_error(request, 503, "busy",
				      "the store cannot take it now");
	}
	batch_free(in, batch);
}

void hits_send(struct ingest *in)
{
	struct batch *batch = in->gathering;

	if (batch == NULL)
		return;
	in->gathering = NULL;
	writer_patch_u32(&in->hits, 0, (uint32_t)batch->nhits);
	batch->tag = ++in->next_tag;
	if (!in->hits.bad && channel_send(&in->store, MSG_HITS, batch->tag,
					  in->hits.bytes, in->hits.len)) {
		batch->next = in->sent;
		in->sent = batch;
	} else {
		refuse_batch(in, batch);
	}
	writer_fini(&in->hits);
}

static void put_ids(struct writer *out, const char *before,
		    const struct request *request, const uint8_t *verdicts,
		    unsigned bits)
{
	bool first = true;
	char id[37];

	text_put(out, before);
	for (size_t i = 0; i < request->nids; i++) {
		if ((verdicts[i] & bits) == 0)
			continue;
		text_uuid(request->ids[i], id);
		text_format(out, "%s\"%s\"", first ? "" : ",", id);
		first = false;
	}
	text_put(out, "]");
}

static void answer(struct request *request, const uint8_t *verdicts)
{
	unsigned refused = 0;
	struct writer out;

	for (size_t i = 0; i < request->nids; i++)
		refused |= verdicts[i] & (HIT_TOO_OLD | HIT_TOO_NEW);
	if (request->nids == 1 && (refused & HIT_TOO_OLD) != 0) {
		request_error(request, 410, "gone",
			      "the id is older than what is kept");
		return;
	}
	if (request->nids == 1 && (refused & HIT_TOO_NEW) != 0) {
		request_error(request, 400, "malformed",
			      "the id is of a time to come");
		return;
	}
	writer_init(&out, 64 * request->nids * 2 + 256);
	put_ids(&out, "{\"want\":[", request, verdicts, HIT_WANTED);
	/* Of several, those that nobody will take are named. */
	if (refused != 0)
		put_ids(&out, ",\"refused\":[", request, verdicts,
			HIT_TOO_OLD | HIT_TOO_NEW);
	text_put(&out, "}\n");
	request_answer(request, 200, "application/json", out.bytes, out.len);
	writer_fini(&out);
}

void hits_done(struct ingest *in, const struct message *message)
{
	struct batch **link = &in->sent, *batch;
	size_t at = 0;

	while (*link != NULL && (*link)->tag != message->tag)
		link = &(*link)->next;
	batch = *link;
	if (batch == NULL)
		return;
	*link = batch->next;
	if (message->len != batch->nhits) {
		refuse_batch(in, batch);
		return;
	}
	for (size_t i = 0; i < batch->len; i++) {
		struct request *request = batch->entries[i].request;

		if (request != NULL && request->state == REQUEST_WAITING)
			answer(request, message->body + at);
		at += batch->entries[i].nhits;
	}
	batch_free(in, batch);
}

void hits_lost(struct ingest *in)
{
	while (in->sent != NULL) {
		struct batch *batch = in->sent;

		in->sent = batch->next;
		refuse_batch(in, batch);
	}
}
