/* gzip: what comes out is bounded, and everything wrong with a stream has its
 * error. */
#include "../../lib/report/gzip.h"
#include "mutate.h"
#include "test.h"

/* Of sanitizer/allocator_interface.h, which gcc does not bring. */
int __sanitizer_install_malloc_and_free_hooks(
	void (*on_malloc)(const volatile void *, size_t),
	void (*on_free)(const volatile void *));
size_t __sanitizer_get_allocated_size(const volatile void *at);

enum { LIMIT = 1 << 20 };

static struct writer pack(const void *bytes, size_t len)
{
	struct writer w;

	writer_init(&w, (size_t)64 << 20);
	CHECK(gzip_pack(bytes, len, 6, &w, NULL));
	CHECK(gzip_is(w.bytes, w.len));
	return w;
}

static void unpack_fails(const void *bytes, size_t len, enum error_code code)
{
	struct error err = { ERR_NONE, "" };
	struct writer out;

	writer_init(&out, LIMIT);
	writer_bytes(&out, "before", 6);
	CHECK(!gzip_unpack(bytes, len, &out, &err));
	CHECK_NUMBER(err.code, code);
	CHECK_NUMBER(out.len, 6);
	writer_fini(&out);
}

static void unpacks_what_it_packed(void)
{
	static uint8_t bytes[300000];
	struct writer packed, out;

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(i * i >> 3);
	packed = pack(bytes, sizeof(bytes));
	writer_init(&out, LIMIT);
	CHECK(gzip_unpack(packed.bytes, packed.len, &out, NULL));
	CHECK_BYTES(out.bytes, out.len, bytes, sizeof(bytes));
	writer_fini(&out);
	writer_fini(&packed);
}

static void unpacks_nothing(void)
{
	struct writer packed = pack("", 0), out;

	writer_init(&out, LIMIT);
	CHECK(gzip_unpack(packed.bytes, packed.len, &out, NULL));
	CHECK_NUMBER(out.len, 0);
	writer_fini(&out);
	writer_fini(&packed);
}

/* What is allocated now, and the most it ever was. */
static size_t allocated, allocated_peak;

static void count_malloc(const volatile void *at, size_t size)
{
	(void)at;
	allocated += size;
	if (allocated > allocated_peak)
		allocated_peak = allocated;
}

static void count_free(const volatile void *at)
{
	if (at != NULL)
		allocated -= __sanitizer_get_allocated_size(at);
}

static void refuses_a_bomb(void)
{
	static const size_t large = (size_t)64 << 20;
	struct writer zeros, bomb;

	writer_init(&zeros, large);
	writer_zero(&zeros, large);
	bomb = pack(zeros.bytes, zeros.len);
	writer_fini(&zeros);
	CHECK(bomb.len < 100000);
	CHECK(__sanitizer_install_malloc_and_free_hooks(count_malloc,
							count_free) > 0);
	unpack_fails(bomb.bytes, bomb.len, ERR_TOO_LARGE);
	/* The limit, its half while that grows, and zlib's own 48 KiB. */
	CHECK(allocated_peak > LIMIT / 2);
	CHECK(allocated_peak < LIMIT + LIMIT / 2 + 65536);
	CHECK_NUMBER(allocated, 0);
	writer_fini(&bomb);
}

static void fills_its_limit_exactly(void)
{
	static uint8_t zeros[LIMIT + 1];
	struct writer packed = pack(zeros, LIMIT), out;

	writer_init(&out, LIMIT);
	CHECK(gzip_unpack(packed.bytes, packed.len, &out, NULL));
	CHECK_NUMBER(out.len, LIMIT);
	writer_fini(&out);
	writer_fini(&packed);
	packed = pack(zeros, LIMIT + 1);
	unpack_fails(packed.bytes, packed.len, ERR_TOO_LARGE);
	writer_fini(&packed);
}

static void refuses_gzip_within_gzip(void)
{
	struct writer inner = pack("x", 1);
	struct writer outer = pack(inner.bytes, inner.len);

	unpack_fails(outer.bytes, outer.len, ERR_UNSUPPORTED);
	writer_fini(&inner);
	writer_fini(&outer);
}

static void refuses_bytes_behind_the_end(void)
{
	struct writer w = pack("hello", 5);

	writer_u8(&w, 0);
	unpack_fails(w.bytes, w.len, ERR_BAD_DATA);
	writer_fini(&w);
	/* A second member is bytes behind the end, too. */
	w = pack("hello", 5);
	CHECK(gzip_pack("again", 5, 6, &w, NULL));
	unpack_fails(w.bytes, w.len, ERR_BAD_DATA);
	writer_fini(&w);
}

static void refuses_every_truncation(void)
{
	struct writer w = pack("hello, hello, hello", 19);

	for (size_t n = 0; n < w.len; n++)
		unpack_fails(w.bytes, n, ERR_BAD_DATA);
	writer_fini(&w);
}

static void refuses_what_is_not_gzip(void)
{
	unpack_fails("MDMP", 4, ERR_BAD_DATA);
	/* zlib's own wrapping is not gzip. */
	unpack_fails("\x78\x9c\x03\x00\x00\x00\x00\x01", 8, ERR_BAD_DATA);
	CHECK(!gzip_is("\x1f", 1));
	CHECK(!gzip_is("MDMP", 4));
}

static void peeks(void)
{
	static uint8_t bytes[100000];
	struct writer packed;
	uint8_t head[64];

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(i * i >> 3);
	packed = pack(bytes, sizeof(bytes));
	CHECK_NUMBER(gzip_peek(packed.bytes, packed.len, head, sizeof(head)),
		     sizeof(head));
	CHECK_BYTES(head, sizeof(head), bytes, sizeof(head));
	CHECK_NUMBER(gzip_peek(packed.bytes, packed.len / 2, head, 10), 10);
	CHECK_NUMBER(gzip_peek(packed.bytes, 10, head, sizeof(head)), 0);
	CHECK_NUMBER(gzip_peek("MDMP", 4, head, sizeof(head)), 0);
	writer_fini(&packed);
	packed = pack("short", 5);
	CHECK_NUMBER(gzip_peek(packed.bytes, packed.len, head, sizeof(head)),
		     5);
	writer_fini(&packed);
}

static size_t unpacked;

static void unpack_mutation(const uint8_t *bytes, size_t len)
{
	struct error err = { ERR_NONE, "" };
	struct writer out;
	uint8_t head[64];

	gzip_peek(bytes, len, head, sizeof(head));
	writer_init(&out, LIMIT);
	if (gzip_unpack(bytes, len, &out, &err))
		unpacked++;
	else
		CHECK(err.code != ERR_NONE && err.code != ERR_NO_MEMORY);
	writer_fini(&out);
}

static void mutations_do_no_harm(void)
{
	static uint8_t bytes[3000];
	struct writer w;

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(i * i >> 5 & 15);
	w = pack(bytes, sizeof(bytes));
	mutate_all(w.bytes, w.len, unpack_mutation);
	/* A changed time or name in the header is still a valid stream. */
	CHECK(unpacked > 0 && unpacked < 8 * w.len);
	writer_fini(&w);
}

int main(void)
{
	static const struct test tests[] = {
		{ "what was packed is unpacked", unpacks_what_it_packed },
		{ "nothing is packed and unpacked", unpacks_nothing },
		{ "a bomb is refused within its limit of memory",
		  refuses_a_bomb },
		{ "the limit itself may be reached, not passed",
		  fills_its_limit_exactly },
		{ "gzip within gzip is unsupported",
		  refuses_gzip_within_gzip },
		{ "bytes behind the end are bad data",
		  refuses_bytes_behind_the_end },
		{ "every truncation is bad data", refuses_every_truncation },
		{ "what is not gzip is bad data", refuses_what_is_not_gzip },
		{ "the first bytes can be had without the rest", peeks },
		{ "no mutation of a stream does harm", mutations_do_no_harm },
	};

	return TEST_RUN(tests);
}
