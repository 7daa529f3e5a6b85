/* Report ids: RFC 9562's own example, and what is no id. */
#include "../../lib/report/uuid.h"
#include "test.h"

static void formats_the_rfcs_example(void)
{
	/* RFC 9562, appendix A.6: 2022-02-22 19:22:22 UTC. */
	static const uint8_t random[10] = {
		0x0c, 0xc3, 0x18, 0xc4, 0xdc, 0x0c, 0x0c, 0x07, 0x39, 0x8f,
	};
	char text[37];

	uuid_format(0x017f22e279b0, random, text);
	CHECK_STRING(text, "017f22e2-79b0-7cc3-98c4-dc0c0c07398f");
}

static void parses_what_it_formats(void)
{
	static const uint8_t random[10] = { 0xff, 0xff, 0xff, 0xff, 0xff,
					    0xff, 0xff, 0xff, 0xff, 0xff };
	char text[37];
	int64_t time_ms = 0;

	uuid_format(1763640000123, random, text);
	CHECK(uuid_parse(text, &time_ms));
	CHECK_NUMBER(time_ms, 1763640000123);
}

static void sorts_by_time(void)
{
	static const uint8_t low[10], high[10] = { 0xff, 0xff, 0xff };
	char earlier[37], later[37];

	uuid_format(1763640000123, high, earlier);
	uuid_format(1763640000124, low, later);
	CHECK(strcmp(earlier, later) < 0);
}

static void refuses_what_is_no_id(void)
{
	static const char *const wrong[] = {
		"",
		"017f22e2-79b0-7cc3-98c4-dc0c0c07398",
		"017f22e2-79b0-7cc3-98c4-dc0c0c07398f0",
		"017F22E2-79b0-7cc3-98c4-dc0c0c07398f",
		"017f22e2-79b0-4cc3-98c4-dc0c0c07398f",
		"017f22e2-79b0-7cc3-58c4-dc0c0c07398f",
		"017f22e2079b0-7cc3-98c4-dc0c0c07398f",
		"017f22e279b0-7cc3-98c4-dc0c0c07398f-",
		"../../../../../../../../../../etc/pw",
		"017f22e2-79b0-7cc3-98c4-dc0c0c07398g",
	};
	int64_t time_ms = 42;

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		if (!CHECK(!uuid_parse(wrong[i], &time_ms)))
			printf("# %s\n", wrong[i]);
	}
	CHECK_NUMBER(time_ms, 42);
}

int main(void)
{
	static const struct test tests[] = {
		{ "the RFC's example is formatted as there",
		  formats_the_rfcs_example },
		{ "an id's time is read back", parses_what_it_formats },
		{ "ids sort by their time", sorts_by_time },
		{ "text that is no UUIDv7 is refused", refuses_what_is_no_id },
	};

	return TEST_RUN(tests);
}
