/* Functions that are left by a jump, and which of them may be entered again by
 * one: by the tail calls that an index has. */
#include "../../symbolizer/index/build.h"
#include "../../symbolizer/index/index.h"
#include "../../symbolizer/tailcall.h"
#include "test.h"

/* Functions 0x1000 apart, all of whose calls are tail calls. */
static void tell(struct build *build)
{
	static const struct build_call calls[] = {
		{ 0x1000, 0x1010, 0x2000, 0, true }, /* a goes on to b, */
		{ 0x2000, 0x2010, 0x3000, 0, true }, /* b to c, */
		{ 0x3000, 0x3010, 0x2000, 0, true }, /* and c to b again */
		{ 0x4000, 0x4010, 0x4000, 0, true }, /* d to itself */
		{ 0x5000, 0x5010, 0, 0, true },      /* e to who knows */
		{ 0x6000, 0x6010, 0x5000, 0, true }, /* f to e */
	};

	for (uint64_t at = 0x1000; at <= 0x7000; at += 0x1000) {
		uint32_t function = build_function(build, "f", false);
		const struct build_row row = {
			at, 0x20, build_scope(build, function, at),
			build_file(build, "f.c"), 1,
		};

		build_add(build, &row);
		build_entry(build, at, true);
	}
	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
		build_call(build, &calls[i]);
}

static void comes_back(void)
{
	const struct build_module module = { .source = "module" };
	struct build *build = build_new();
	struct index *index;
	struct writer out;

	writer_init(&out, 1 << 20);
	tell(build);
	CHECK(build_write(build, &module, &out));
	build_free(build);
	index = index_memory(out.bytes, out.len, NULL);
	if (CHECK(index != NULL)) {
		CHECK(!tailcall_reenters(index, 0x1008));
		CHECK(tailcall_reenters(index, 0x2008));
		CHECK(tailcall_reenters(index, 0x3008));
		CHECK(tailcall_reenters(index, 0x4008));
		CHECK(tailcall_reenters(index, 0x5008));
		CHECK(tailcall_reenters(index, 0x6008));
		CHECK(!tailcall_reenters(index, 0x7008));
		CHECK(tailcall_reenters(index, 0x9008)); /* of no function */
	}
	index_close(index);
	writer_fini(&out);
}

int main(void)
{
	static const struct test tests[] = {
		{ "a function that tail calls may lead back to is known",
		  comes_back },
	};

	return TEST_RUN(tests);
}
