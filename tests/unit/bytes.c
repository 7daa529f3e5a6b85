/* The bounded reader and writer: the floor that every decoder stands on. */
#include "../../lib/report/bytes.h"
#include "test.h"

static void reads_little_endian(void)
{
	static const uint8_t bytes[] = {
		1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15,
	};
	struct reader r;

	reader_init(&r, bytes, sizeof(bytes));
	CHECK_NUMBER(reader_u8(&r), 1);
	CHECK_NUMBER(reader_u16(&r), 0x0302);
	CHECK_NUMBER(reader_u32(&r), 0x07060504);
	CHECK_NUMBER(reader_u64(&r), 0x0f0e0d0c0b0a0908);
	CHECK_NUMBER(reader_left(&r), 0);
	CHECK(!r.bad);
}

static void a_short_read_is_sticky(void)
{
	static const uint8_t bytes[] = { 1, 2, 3, 4 };
	struct reader r;

	reader_init(&r, bytes, sizeof(bytes));
	CHECK_NUMBER(reader_u64(&r), 0);
	CHECK(r.bad);
	CHECK_NUMBER(reader_u8(&r), 0);
	CHECK_NUMBER(reader_left(&r), 0);
	CHECK(reader_take(&r, 1) == NULL);
	CHECK(reader_take(&r, 0) == NULL);
}

static void takes_no_more_than_there_is(void)
{
	static const uint8_t bytes[] = { 1, 2, 3, 4 };
	struct reader r;

	reader_init(&r, bytes, sizeof(bytes));
	CHECK(reader_take(&r, 3) == bytes);
	CHECK(reader_take(&r, SIZE_MAX) == NULL);
	CHECK(r.bad);
}

static void ranges_lie_within_their_buffer(void)
{
	static const uint8_t bytes[] = { 1, 2, 3, 4 };
	struct reader r, at;

	reader_init(&r, bytes, sizeof(bytes));
	reader_skip(&r, 3);
	at = reader_at(&r, 1, 2);
	CHECK_NUMBER(reader_u16(&at), 0x0302);
	CHECK_NUMBER(reader_left(&at), 0);
	at = reader_at(&r, 4, 0);
	CHECK(!at.bad && !r.bad);
	at = reader_at(&r, UINT64_MAX, 2);
	CHECK(at.bad && r.bad);
	CHECK_NUMBER(reader_u8(&at), 0);
	reader_init(&r, bytes, sizeof(bytes));
	at = reader_at(&r, 1, UINT64_MAX);
	CHECK(at.bad && r.bad);
	reader_init(&r, bytes, sizeof(bytes));
	at = reader_at(&r, 3, 2);
	CHECK(at.bad && r.bad);
}

static void counts_are_bounded(void)
{
	static const uint8_t bytes[] = { 3, 0, 0, 0, 1, 1, 2, 2, 3, 3, 0 };
	struct reader r;

	reader_init(&r, bytes, sizeof(bytes));
	CHECK_NUMBER(reader_count(&r, 3, 2), 3);
	CHECK(!r.bad);
	reader_init(&r, bytes, sizeof(bytes));
	CHECK_NUMBER(reader_count(&r, 2, 2), 0);
	CHECK(r.bad);
	reader_init(&r, bytes, sizeof(bytes));
	CHECK_NUMBER(reader_count(&r, 3, 3), 0);
	CHECK(r.bad);
}

static void an_empty_buffer_is_fine(void)
{
	struct reader r, at;

	reader_init(&r, NULL, 0);
	at = reader_at(&r, 0, 0);
	CHECK(!r.bad && !at.bad);
	CHECK(reader_take(&r, 0) == NULL);
	CHECK(!r.bad);
}

static void writes_what_is_read(void)
{
	struct writer w;
	struct reader r;

	writer_init(&w, 100);
	writer_u8(&w, 1);
	writer_u16(&w, 0x0203);
	CHECK_NUMBER(writer_align(&w, 8), 8);
	CHECK_NUMBER(writer_align(&w, 8), 8);
	writer_u32(&w, 0x04050607);
	writer_u64(&w, 0x08090a0b0c0d0e0f);
	writer_patch_u32(&w, 8, 0x77777777);
	reader_init(&r, w.bytes, w.len);
	CHECK_NUMBER(reader_u8(&r), 1);
	CHECK_NUMBER(reader_u16(&r), 0x0203);
	CHECK_NUMBER(reader_u32(&r), 0);
	reader_skip(&r, 1);
	CHECK_NUMBER(reader_u32(&r), 0x77777777);
	CHECK_NUMBER(reader_u64(&r), 0x08090a0b0c0d0e0f);
	CHECK(!r.bad && !w.bad);
	writer_fini(&w);
}

static void writes_up_to_its_limit(void)
{
	static const uint8_t bytes[5000];
	struct writer w;

	writer_init(&w, 10000);
	writer_bytes(&w, bytes, 5000);
	writer_bytes(&w, bytes, 5000);
	CHECK(!w.bad);
	CHECK_NUMBER(w.len, 10000);
	CHECK(w.cap <= 10000);
	writer_u8(&w, 1);
	CHECK(w.bad);
	CHECK_NUMBER(w.len, 10000);
	/* Sticky: nothing is written behind a hole. */
	w.len = 0;
	writer_u8(&w, 1);
	CHECK_NUMBER(w.len, 0);
	writer_fini(&w);
}

static void a_small_limit_holds(void)
{
	const uint8_t bytes[90] = { 0 };
	struct writer w;

	writer_init(&w, 100);
	writer_bytes(&w, bytes, sizeof(bytes));
	for (int i = 0; i < 3; i++)
		writer_u32(&w, 1);
	writer_bytes(&w, bytes, sizeof(bytes));
	CHECK(w.bad);
	CHECK_NUMBER(w.len, 98);
	writer_fini(&w);
}

int main(void)
{
	static const struct test tests[] = {
		{ "numbers are read little-endian", reads_little_endian },
		{ "after a short read everything is 0",
		  a_short_read_is_sticky },
		{ "no more is taken than there is",
		  takes_no_more_than_there_is },
		{ "a range lies within its buffer, or both are bad",
		  ranges_lie_within_their_buffer },
		{ "a count is bounded by its limit and by what is left",
		  counts_are_bounded },
		{ "an empty buffer is no mistake", an_empty_buffer_is_fine },
		{ "what is written can be read", writes_what_is_read },
		{ "a writer stops at its limit and stays stopped",
		  writes_up_to_its_limit },
		{ "a small limit holds for every way to write",
		  a_small_limit_holds },
	};

	return TEST_RUN(tests);
}
