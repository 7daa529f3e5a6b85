/* The bodies of the collector's messages: written, read, and read when they
 * are damaged. */
#include "../../collector/wire.h"
#include "mutate.h"

static const struct hit a_hit = {
	.id = { 1, 2, 3 }, .fingerprint = { 4, 5, 6 }, .time_ms = -7,
	.count = 8, .signal = 9, .canary = true, .exe = { "exe", 3 },
	.build_id = { "id", 2 }, .host = { "h", 1 }, .release = { NULL, 0 },
	.tags = { { { "k", 1 }, { "v", 1 } }, { { "k2", 2 }, { NULL, 0 } } },
	.ntags = 2,
};

static bool same(struct slice a, struct slice b)
{
	return a.len == b.len && (a.len == 0 ||
				  memcmp(a.bytes, b.bytes, a.len) == 0);
}

static void check_hit(const struct hit *hit)
{
	CHECK_BYTES(hit->id, 16, a_hit.id, 16);
	CHECK_BYTES(hit->fingerprint, 16, a_hit.fingerprint, 16);
	CHECK_NUMBER(hit->time_ms, -7);
	CHECK_NUMBER(hit->count, 8);
	CHECK_NUMBER(hit->signal, 9);
	CHECK(hit->canary);
	CHECK(same(hit->exe, a_hit.exe));
	CHECK(same(hit->build_id, a_hit.build_id));
	CHECK(same(hit->host, a_hit.host));
	CHECK(same(hit->release, a_hit.release));
	if (CHECK_NUMBER(hit->ntags, 2)) {
		CHECK(same(hit->tags[0].value, a_hit.tags[0].value));
		CHECK(same(hit->tags[1].key, a_hit.tags[1].key));
	}
}

static void put_body(struct writer *w)
{
	struct body body = {
		.hit = a_hit, .has_id = true, .digest = { 11 }, .size = 12,
		.tier = 3, .complete = true, .file = { "file", 4 },
		.reason = { "why", 3 }, .document = { "{}", 2 },
	};

	wire_put_body(w, &body);
}

static void try_body(const uint8_t *bytes, size_t len)
{
	static struct body body;
	struct reader r;

	reader_init(&r, bytes, len);
	if (wire_get_body(&r, &body))
		CHECK(body.hit.ntags <= WIRE_TAGS);
}

static void keeps_a_body(void)
{
	static struct body body;
	struct writer w;
	struct reader r;

	writer_init(&w, 4096);
	put_body(&w);
	reader_init(&r, w.bytes, w.len);
	if (CHECK(wire_get_body(&r, &body))) {
		check_hit(&body.hit);
		CHECK(body.has_id && body.complete);
		CHECK_NUMBER(body.digest[0], 11);
		CHECK_NUMBER(body.size, 12);
		CHECK_NUMBER(body.tier, 3);
		CHECK(slice_is(body.file, "file"));
		CHECK(slice_is(body.reason, "why"));
		CHECK(slice_is(body.document, "{}"));
	}
	mutate_all(w.bytes, w.len, try_body);
	writer_fini(&w);
}

static void try_job(const uint8_t *bytes, size_t len)
{
	struct job_done done;
	struct reader r;

	reader_init(&r, bytes, len);
	if (!wire_get_job_done(&r, &done))
		return;
	CHECK(done.outcome <= JOB_OUTAGE && done.nlacks <= WIRE_LACKS);
	for (size_t i = 0; i < done.nlacks; i++)
		CHECK(done.lacks[i].id.len <= MAX_BUILD_ID);
}

static void keeps_a_job(void)
{
	struct job_done done = {
		.id = { 1 }, .outcome = JOB_DEADLINE, .has_semantic = true,
		.semantic = { 2 }, .title = { "t", 1 }, .reason = { "r", 1 },
		.signal = { "s", 1 }, .detail = { "d", 1 },
		.document = { "{}", 2 }, .is_partial = true, .nlacks = 2,
		.lacks = { { { .len = 2, .bytes = { 3, 4 } }, { "p", 1 }, 5 },
			   { { .len = 64, .bytes = { 6 } }, { NULL, 0 }, 7 } },
	}, back;
	struct writer w;
	struct reader r;

	writer_init(&w, 4096);
	wire_put_job_done(&w, &done);
	reader_init(&r, w.bytes, w.len);
	if (CHECK(wire_get_job_done(&r, &back))) {
		CHECK_NUMBER(back.outcome, JOB_DEADLINE);
		CHECK(back.has_semantic && back.semantic[0] == 2);
		CHECK(slice_is(back.title, "t") && slice_is(back.detail, "d"));
		CHECK(slice_is(back.document, "{}"));
		CHECK(back.is_partial);
		CHECK_NUMBER(back.nlacks, 2);
		CHECK(build_id_equal(&back.lacks[0].id, &done.lacks[0].id));
		CHECK(slice_is(back.lacks[0].path, "p"));
		CHECK(build_id_equal(&back.lacks[1].id, &done.lacks[1].id));
		CHECK_NUMBER(back.lacks[1].frames, 7);
	}
	mutate_all(w.bytes, w.len, try_job);
	writer_fini(&w);
}

static void try_page(const uint8_t *bytes, size_t len)
{
	struct page page;
	struct admin admin;
	struct get get;
	struct reader r;

	reader_init(&r, bytes, len);
	wire_get_page(&r, &page);
	reader_init(&r, bytes, len);
	if (wire_get_admin(&r, &admin))
		CHECK(admin.verb <= ADMIN_SPLIT);
	reader_init(&r, bytes, len);
	wire_get_get(&r, &get);
}

static void keeps_the_rest(void)
{
	struct page page = { .status = 404, .gzipped = true,
			     .type = { "t", 1 }, .body = { "b", 1 } }, back;
	struct admin admin = { .verb = ADMIN_MERGE, .group = { "g", 1 },
			       .other = { "o", 1 }, .who = { "w", 1 } }, wish;
	struct writer w;
	struct reader r;

	writer_init(&w, 4096);
	wire_put_page(&w, &page);
	reader_init(&r, w.bytes, w.len);
	CHECK(wire_get_page(&r, &back) && back.status == 404 &&
	      back.gzipped && !back.remove && slice_is(back.body, "b"));
	mutate_all(w.bytes, w.len, try_page);
	w.len = 0;
	wire_put_admin(&w, &admin);
	reader_init(&r, w.bytes, w.len);
	CHECK(wire_get_admin(&r, &wish) && wish.verb == ADMIN_MERGE &&
	      slice_is(wish.other, "o") && wish.status.len == 0);
	mutate_all(w.bytes, w.len, try_page);
	writer_fini(&w);
}

int main(void)
{
	static const struct test tests[] = {
		{ "a body's facts arrive, and damage is survived",
		  keeps_a_body },
		{ "a job's outcome arrives, and damage is survived",
		  keeps_a_job },
		{ "pages and wishes arrive, and damage is survived",
		  keeps_the_rest },
	};

	return TEST_RUN(tests);
}
