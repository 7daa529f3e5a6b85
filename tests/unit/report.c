/* The model: its arena, its look-ups, its names, and errors. */
#include "../../lib/report/report.h"
#include "test.h"

#include <errno.h>

static void arena_memory_is_zeroed_and_aligned(void)
{
	struct report r;

	CHECK(report_init(&r, NULL));
	for (size_t size = 0; size < 100000; size = size * 3 + 1) {
		uint8_t *at = report_alloc(&r, size);

		CHECK(at != NULL && (uintptr_t)at % 16 == 0);
		for (size_t i = 0; at != NULL && i < size; i++)
			test_holds = test_holds && at[i] == 0;
		if (at != NULL)
			memset(at, 0xff, size);
	}
	report_free(&r);
}

static void arena_has_a_limit(void)
{
	struct report r;
	size_t n = 0;

	report_init(&r, NULL);
	CHECK(report_alloc(&r, MAX_REPORT_BYTES + 1) == NULL);
	CHECK(report_alloc(&r, SIZE_MAX) == NULL);
	CHECK(report_string(&r, "", SIZE_MAX) == NULL);
	while (n < 1000 && report_alloc(&r, 1 << 20) != NULL)
		n++;
	CHECK(n >= 250 && n <= 256);
	report_free(&r);
}

static void can_be_freed_twice(void)
{
	struct report r;

	report_init(&r, NULL);
	report_alloc(&r, 10);
	report_free(&r);
	report_free(&r);
	CHECK(r.arena == NULL);
}

static void strings_are_terminated(void)
{
	struct report r;

	report_init(&r, NULL);
	CHECK_STRING(report_string(&r, "abcdef", 3), "abc");
	CHECK_STRING(report_string(&r, NULL, 0), "");
	report_free(&r);
}

static void finds_the_module_of_an_address(void)
{
	struct module modules[] = {
		{ .base = 0x1000, .size = 0x100 },
		{ .base = 0x2000, .size = 0x100 },
		{ .base = 0xfffffffffffff000, .size = 0x1000 },
	};
	struct report r = { .modules = modules, .nmodules = 3 };

	CHECK_NUMBER(report_find_module(&r, 0xfff), -1);
	CHECK_NUMBER(report_find_module(&r, 0x1000), 0);
	CHECK_NUMBER(report_find_module(&r, 0x10ff), 0);
	CHECK_NUMBER(report_find_module(&r, 0x1100), -1);
	CHECK_NUMBER(report_find_module(&r, 0x2000), 1);
	CHECK_NUMBER(report_find_module(&r, UINT64_MAX), 2);
	r.nmodules = 0;
	CHECK_NUMBER(report_find_module(&r, 0x1000), -1);
}

static void finds_the_module_of_a_frame(void)
{
	struct module modules[] = {
		{ .base = 0x1000, .size = 0x100 },
		{ .base = 0x2000, .size = 0x100 },
	};
	struct module unloaded[] = {
		{ .base = 0x2080, .size = 0x100 },
		{ .base = 0x1f00, .size = 0x1000 },
	};
	struct report r = { .modules = modules, .nmodules = 2,
			    .unloaded = unloaded, .nunloaded = 2 };
	static const struct {
		struct frame frame;
		int32_t number;
		uint64_t offset;
	} wanted[] = {
		{ { .pc = 0x1010, .offset = 0x10, .module = 0 }, 0, 0x10 },
		/* A loaded one counts, then the newest. */
		{ { .pc = 0x20f0, .offset = 0xf0, .module = 1 }, 1, 0xf0 },
		{ { .pc = 0x2100, .module = -1 }, 2, 0x80 },
		{ { .pc = 0x2180, .module = -1 }, 3, 0x280 },
		/* A return address belongs to the call before it. */
		{ { .pc = 0x2180, .module = -1, .trust = TRUST_CFI }, 2,
		  0x100 },
		{ { .pc = 0x2f00, .module = -1, .trust = TRUST_CFI }, 3,
		  0x1000 },
		{ { .pc = 0x2f00, .module = -1 }, -1, 7 },
		{ { .pc = 0x1eff, .module = -1 }, -1, 7 },
		{ { .pc = 0, .module = -1, .trust = TRUST_CFI }, -1, 7 },
	};

	for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
		uint64_t offset = 7;

		CHECK_NUMBER(report_frame_module(&r, &wanted[i].frame,
						 &offset), wanted[i].number);
		CHECK_NUMBER(offset, wanted[i].offset);
	}
	CHECK_NUMBER(report_module_count(&r), 4);
	CHECK(report_module(&r, 1) == &modules[1]);
	CHECK(report_module(&r, 3) == &unloaded[1]);
	CHECK(!report_module(&r, 4) && !report_module(&r, -1));
	CHECK(!report_is_unloaded(&r, 1) && report_is_unloaded(&r, 2));
	CHECK(!report_is_unloaded(&r, -1));
}

static void names_go_both_ways(void)
{
	enum trust trust = TRUST_COUNT;

	for (unsigned i = 0; i < TRUST_COUNT; i++) {
		CHECK(trust_from_name(trust_name((enum trust)i), &trust));
		CHECK_NUMBER(trust, i);
	}
	CHECK(!trust_from_name("luck", &trust));
	CHECK(trust_name(TRUST_COUNT) == NULL);
	CHECK_STRING(register_name(R_RIP), "rip");
	CHECK_STRING(register_name(R_GS_BASE), "gs_base");
	CHECK(register_name(REG_COUNT) == NULL);
	for (unsigned i = 0; i < REG_COUNT; i++)
		CHECK(register_name((enum reg)i) != NULL);
}

static void build_ids_go_both_ways(void)
{
	char text[2 * MAX_BUILD_ID + 2];
	struct build_id id = { 0 };

	CHECK(build_id_parse("00fFa5", &id));
	CHECK_NUMBER(id.len, 3);
	build_id_format(&id, text);
	CHECK_STRING(text, "00ffa5");
	memset(text, 'a', sizeof(text) - 1);
	text[2 * MAX_BUILD_ID] = '\0';
	CHECK(build_id_parse(text, &id));
	CHECK_NUMBER(id.len, MAX_BUILD_ID);
	text[2 * MAX_BUILD_ID] = 'a';
	text[2 * MAX_BUILD_ID + 1] = '\0';
	CHECK(!build_id_parse(text, &id));
	CHECK(!build_id_parse("", &id));
	CHECK(!build_id_parse("abc", &id));
	CHECK(!build_id_parse("0g", &id));
	CHECK_NUMBER(id.len, MAX_BUILD_ID);
}

static void build_ids_compare(void)
{
	struct build_id a = { 0 }, b = { 0 };

	CHECK(build_id_equal(&a, &b));
	build_id_parse("0102", &a);
	build_id_parse("010203", &b);
	CHECK(!build_id_equal(&a, &b));
	build_id_parse("0102", &b);
	CHECK(build_id_equal(&a, &b));
}

static void errors_gain_context(void)
{
	struct error err = { ERR_NONE, "" };

	CHECK(!fail(&err, ERR_BAD_DATA, "%d threads", 5));
	CHECK(!fail_context(&err, "thread list at %d", 9));
	CHECK_NUMBER(err.code, ERR_BAD_DATA);
	CHECK_STRING(err.text, "thread list at 9: 5 threads");
	errno = ENOENT;
	CHECK(!fail_errno(&err, "open %s", "x"));
	CHECK_NUMBER(err.code, ERR_SYSTEM);
	CHECK_STRING(err.text, "open x: No such file or directory");
	CHECK(!fail(NULL, ERR_BAD_DATA, "nobody wants to know"));
}

static void long_errors_are_cut(void)
{
	struct error err = { ERR_NONE, "" };
	char text[1000];

	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	fail(&err, ERR_BAD_DATA, "%s", text);
	CHECK_NUMBER(strlen(err.text), sizeof(err.text) - 1);
	fail_context(&err, "%s", text);
	CHECK_NUMBER(strlen(err.text), sizeof(err.text) - 1);
	fail_context(&err, "first");
	CHECK(strncmp(err.text, "first: xxx", 10) == 0);
}

int main(void)
{
	static const struct test tests[] = {
		{ "arena memory is zeroed and aligned",
		  arena_memory_is_zeroed_and_aligned },
		{ "the arena has a limit", arena_has_a_limit },
		{ "a report can be freed twice", can_be_freed_twice },
		{ "strings are terminated", strings_are_terminated },
		{ "the module of an address is found",
		  finds_the_module_of_an_address },
		{ "a frame is in a loaded module, or the newest unloaded one",
		  finds_the_module_of_a_frame },
		{ "names of trust and registers go both ways",
		  names_go_both_ways },
		{ "build-ids go both ways", build_ids_go_both_ways },
		{ "build-ids compare with their length", build_ids_compare },
		{ "errors gain context", errors_gain_context },
		{ "long errors are cut", long_errors_are_cut },
	};

	return TEST_RUN(tests);
}
