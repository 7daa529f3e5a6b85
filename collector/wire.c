/* Bodies of messages, through the bounded reader and writer. Any role; a
 * sender is trusted to be ours, not to be well. */
#include "wire.h"

#include <string.h>

void wire_put_slice(struct writer *w, struct slice slice)
{
	writer_u32(w, (uint32_t)slice.len);
	writer_bytes(w, slice.bytes, slice.len);
}

struct slice wire_get_slice(struct reader *r)
{
	struct slice slice = { .len = reader_u32(r) };

	slice.bytes = (const char *)reader_take(r, slice.len);
	if (slice.bytes == NULL)
		slice.len = 0;
	return slice;
}

struct slice slice_of(const char *text)
{
	return (struct slice){ text, text != NULL ? strlen(text) : 0 };
}

bool slice_is(struct slice slice, const char *text)
{
	return slice.len == strlen(text) &&
	       memcmp(slice.bytes, text, slice.len) == 0;
}

void slice_copy(struct slice slice, char *to, size_t cap)
{
	size_t len = slice.len < cap ? slice.len : cap - 1;

	if (len > 0)
		memcpy(to, slice.bytes, len);
	to[len] = '\0';
}

static void get_bytes(struct reader *r, uint8_t *to, size_t len)
{
	const uint8_t *from = reader_take(r, len);

	if (from != NULL)
		memcpy(to, from, len);
}

void wire_put_hit(struct writer *w, const struct hit *hit)
{
	writer_bytes(w, hit->id, sizeof(hit->id));
	writer_bytes(w, hit->fingerprint, sizeof(hit->fingerprint));
	writer_u64(w, (uint64_t)hit->time_ms);
	writer_u32(w, hit->count);
	writer_u32(w, hit->signal);
	writer_u8(w, hit->canary);
	wire_put_slice(w, hit->exe);
	wire_put_slice(w, hit->build_id);
	wire_put_slice(w, hit->host);
	wire_put_slice(w, hit->release);
	writer_u32(w, (uint32_t)hit->ntags);
	for (size_t i = 0; i < hit->ntags; i++) {
		wire_put_slice(w, hit->tags[i].key);
		wire_put_slice(w, hit->tags[i].value);
	}
}

bool wire_get_hit(struct reader *r, struct hit *out)
{
	memset(out, 0, offsetof(struct hit, tags));
	get_bytes(r, out->id, sizeof(out->id));
	get_bytes(r, out->fingerprint, sizeof(out->fingerprint));
	out->time_ms = (int64_t)reader_u64(r);
	out->count = reader_u32(r);
	out->signal = reader_u32(r);
	out->canary = reader_u8(r) != 0;
	out->exe = wire_get_slice(r);
	out->build_id = wire_get_slice(r);
	out->host = wire_get_slice(r);
	out->release = wire_get_slice(r);
	out->ntags = reader_count(r, WIRE_TAGS, 8);
	for (size_t i = 0; i < out->ntags; i++) {
		out->tags[i].key = wire_get_slice(r);
		out->tags[i].value = wire_get_slice(r);
	}
	return !r->bad;
}

void wire_put_body(struct writer *w, const struct body *body)
{
	wire_put_hit(w, &body->hit);
	writer_u8(w, body->has_id);
	writer_bytes(w, body->digest, sizeof(body->digest));
	writer_u64(w, body->size);
	writer_u8(w, (uint8_t)body->tier);
	writer_u8(w, body->complete);
	wire_put_slice(w, body->file);
	wire_put_slice(w, body->reason);
	wire_put_slice(w, body->document);
}

bool wire_get_body(struct reader *r, struct body *out)
{
	if (!wire_get_hit(r, &out->hit))
		return false;
	out->has_id = reader_u8(r) != 0;
	get_bytes(r, out->digest, sizeof(out->digest));
	out->size = reader_u64(r);
	out->tier = reader_u8(r);
	out->complete = reader_u8(r) != 0;
	out->file = wire_get_slice(r);
	out->reason = wire_get_slice(r);
	out->document = wire_get_slice(r);
	return !r->bad && reader_left(r) == 0;
}

void wire_put_refusal(struct writer *w, unsigned status, const char *why)
{
	writer_u16(w, (uint16_t)status);
	wire_put_slice(w, slice_of(why));
}

void wire_put_admin(struct writer *w, const struct admin *admin)
{
	writer_u8(w, (uint8_t)admin->verb);
	wire_put_slice(w, admin->group);
	wire_put_slice(w, admin->status);
	writer_u8(w, admin->has_note);
	wire_put_slice(w, admin->note);
	wire_put_slice(w, admin->other);
	wire_put_slice(w, admin->who);
}

bool wire_get_admin(struct reader *r, struct admin *out)
{
	unsigned verb = reader_u8(r);

	out->verb = (enum admin_verb)verb;
	out->group = wire_get_slice(r);
	out->status = wire_get_slice(r);
	out->has_note = reader_u8(r) != 0;
	out->note = wire_get_slice(r);
	out->other = wire_get_slice(r);
	out->who = wire_get_slice(r);
	return !r->bad && reader_left(r) == 0 && verb <= ADMIN_SPLIT;
}

void wire_put_get(struct writer *w, const struct get *get)
{
	writer_u8(w, get->canary);
	writer_u8(w, get->accepts_gzip);
	wire_put_slice(w, get->path);
	wire_put_slice(w, get->q);
	wire_put_slice(w, get->status);
	wire_put_slice(w, get->limit);
	wire_put_slice(w, get->after);
}

bool wire_get_get(struct reader *r, struct get *out)
{
	out->canary = reader_u8(r) != 0;
	out->accepts_gzip = reader_u8(r) != 0;
	out->path = wire_get_slice(r);
	out->q = wire_get_slice(r);
	out->status = wire_get_slice(r);
	out->limit = wire_get_slice(r);
	out->after = wire_get_slice(r);
	return !r->bad && reader_left(r) == 0;
}

void wire_put_page(struct writer *w, const struct page *page)
{
	writer_u16(w, (uint16_t)page->status);
	writer_u8(w, page->gzipped);
	writer_u8(w, page->remove);
	writer_u8(w, page->as_core);
	wire_put_slice(w, page->type);
	wire_put_slice(w, page->name);
	wire_put_slice(w, page->file);
	wire_put_slice(w, page->body);
}

bool wire_get_page(struct reader *r, struct page *out)
{
	out->status = reader_u16(r);
	out->gzipped = reader_u8(r) != 0;
	out->remove = reader_u8(r) != 0;
	out->as_core = reader_u8(r) != 0;
	out->type = wire_get_slice(r);
	out->name = wire_get_slice(r);
	out->file = wire_get_slice(r);
	out->body = wire_get_slice(r);
	return !r->bad && reader_left(r) == 0;
}

void wire_put_job_done(struct writer *w, const struct job_done *done)
{
	writer_bytes(w, done->id, sizeof(done->id));
	writer_u8(w, (uint8_t)done->outcome);
	writer_u8(w, done->has_semantic);
	writer_bytes(w, done->semantic, sizeof(done->semantic));
	wire_put_slice(w, done->title);
	wire_put_slice(w, done->reason);
	wire_put_slice(w, done->signal);
	wire_put_slice(w, done->detail);
	wire_put_slice(w, done->document);
	writer_u8(w, done->is_partial);
	writer_u32(w, (uint32_t)done->nlacks);
	for (size_t i = 0; i < done->nlacks; i++) {
		const struct lack *lack = &done->lacks[i];

		wire_put_slice(w, (struct slice){
			(const char *)lack->id.bytes, lack->id.len });
		wire_put_slice(w, lack->path);
		writer_u32(w, lack->frames);
	}
}

static void get_lack(struct reader *r, struct lack *out)
{
	struct slice id = wire_get_slice(r);

	memset(&out->id, 0, sizeof(out->id));
	if (id.len == 0 || id.len > MAX_BUILD_ID) {
		r->bad = true;
		return;
	}
	memcpy(out->id.bytes, id.bytes, id.len);
	out->id.len = (uint8_t)id.len;
	out->path = wire_get_slice(r);
	out->frames = reader_u32(r);
}

bool wire_get_job_done(struct reader *r, struct job_done *out)
{
	unsigned outcome;

	get_bytes(r, out->id, sizeof(out->id));
	outcome = reader_u8(r);
	out->outcome = (enum job_outcome)outcome;
	out->has_semantic = reader_u8(r) != 0;
	get_bytes(r, out->semantic, sizeof(out->semantic));
	out->title = wire_get_slice(r);
	out->reason = wire_get_slice(r);
	out->signal = wire_get_slice(r);
	out->detail = wire_get_slice(r);
	out->document = wire_get_slice(r);
	out->is_partial = reader_u8(r) != 0;
	out->nlacks = reader_count(r, WIRE_LACKS, 12);
	for (size_t i = 0; i < out->nlacks && !r->bad; i++)
		get_lack(r, &out->lacks[i]);
	return !r->bad && reader_left(r) == 0 && outcome <= JOB_OUTAGE;
}
