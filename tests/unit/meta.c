/* The JSON stream: strict about what it knows, indifferent to the rest, and
 * bounded before jansson sees it. */
#include "../../lib/report/bytes.h"
#include "../../lib/report/meta.h"
#include "mutate.h"
#include "sample.h"
#include "test.h"

/* A report with threads and modules, into which a stream may be decoded. */
static void make(struct report *r)
{
	report_init(r, NULL);
	sample_modules(r);
	r->nthreads = 1;
	r->threads = report_alloc(r, sizeof(struct thread));
	r->threads[0].tid = 7;
}

static bool decodes(const char *json, size_t len, struct error *err)
{
	struct report r;
	bool ok;

	make(&r);
	ok = meta_decode(json, len, &r, err);
	report_free(&r);
	return ok;
}

static void refuses(const char *json, enum error_code code, const char *text)
{
	struct error err = { ERR_NONE, "" };

	CHECK(!decodes(json, strlen(json), &err));
	CHECK_NUMBER(err.code, code);
	if (!CHECK(strstr(err.text, text) != NULL))
		printf("# %s: %s\n", json, err.text);
}

static void refuses_wrong_types(void)
{
	refuses("[]", ERR_BAD_DATA, "not in an object");
	refuses("{\"id\":1}", ERR_BAD_DATA, "\"id\" is not a string");
	refuses("{\"tier\":\"1\"}", ERR_BAD_DATA, "\"tier\" is not an int");
	refuses("{\"tier\":6}", ERR_BAD_DATA, "\"tier\" is not within");
	refuses("{\"tier\":1.0}", ERR_BAD_DATA, "\"tier\" is not an int");
	refuses("{\"complete\":0}", ERR_BAD_DATA, "not true or false");
	refuses("{\"host\":[]}", ERR_BAD_DATA, "\"host\" is not an object");
	refuses("{\"process\":{\"pid\":-1}}", ERR_BAD_DATA, "not within");
	refuses("{\"process\":{\"pid\":4294967296}}", ERR_BAD_DATA,
		"not within");
	refuses("{\"process\":{\"args\":[1]}}", ERR_BAD_DATA,
		"not an array of strings");
	refuses("{\"process\":{\"args\":[null]}}", ERR_BAD_DATA,
		"not an array of strings");
	refuses("{\"process\":{\"tags\":{\"a\":1}}}", ERR_BAD_DATA,
		"not an object of strings");
	refuses("{\"time_ms\":-1}", ERR_BAD_DATA, "not within");
	refuses("{\"time_ms\":253402300800000}", ERR_BAD_DATA, "not within");
	refuses("{\"signal\":{\"address\":16}}", ERR_BAD_DATA,
		"not a string");
	refuses("{\"threads\":[1]}", ERR_BAD_DATA, "an array of objects");
}

static void refuses_wrong_text(void)
{
	refuses("", ERR_BAD_DATA, "JSON");
	refuses("{", ERR_BAD_DATA, "JSON");
	refuses("{}x", ERR_BAD_DATA, "JSON");
	refuses("{\"a\":1,\"a\":2}", ERR_BAD_DATA, "JSON");
	refuses("{\"a\":\"\xff\"}", ERR_BAD_DATA, "JSON");
	refuses("{\"a\":\"\\u0000\"}", ERR_BAD_DATA, "JSON");
	refuses("{\"id\":\"../../../../etc/passwd\"}", ERR_BAD_DATA,
		"not a UUIDv7");
	refuses("{\"fingerprint\":{\"exact\":\"00\"}}", ERR_BAD_DATA,
		"not a fingerprint");
	refuses("{\"signal\":{\"address\":\"16\"}}", ERR_BAD_DATA,
		"not a hex");
	refuses("{\"signal\":{\"address\":\"0x\"}}", ERR_BAD_DATA,
		"not a hex");
	refuses("{\"signal\":{\"address\":\"0x00000000000000001\"}}",
		ERR_BAD_DATA, "not a hex");
	refuses("{\"epitaph\":2}", ERR_UNSUPPORTED, "version 2");
}

static void refuses_wrong_frames(void)
{
	static const char *const wrong[] = {
		"1", "[]", "[\"0x1\",\"0x2\",0]",
		"[\"0x1\",\"0x2\",0,\"cfi\",1]",
		"[\"0x1\",\"0x2\",0,\"cfi\",\"so\"]",
		"[\"0x1\",\"0x2\",0,\"cfi\",\"corrupt_ra\",1]",
		"[\"0x1\",\"0x2\",3,\"cfi\"]",
		"[\"0x1\",\"0x2\",-2,\"cfi\"]", "[\"0x1\",\"0x2\",0,\"luck\"]",
		"[1,\"0x2\",0,\"cfi\"]", "[\"0x1\",\"0x2\",4294967296,\"cfi\"]",
		"[\"0x1\",-1,0,\"cfi\"]", "[\"0x1\",1073741825,0,\"cfi\"]",
		"[\"0x1\",1.5,0,\"cfi\"]", "[\"0x1\",null,0,\"cfi\"]",
	};
	char json[256];

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		snprintf(json, sizeof(json),
			 "{\"threads\":[{\"tid\":7,\"frames\":[%s]}]}",
			 wrong[i]);
		refuses(json, ERR_BAD_DATA, "not an array of frames");
	}
}

static void refuses_wrong_functions(void)
{
	static const char *const wrong[] = {
		"1", "[]", "[\"0x1\",2]", "[\"0x1\",2,\"f\",4]",
		"[1,2,\"f\"]", "[\"1\",2,\"f\"]", "[\"0x1\",\"0x2\",\"f\"]",
		"[\"0x1\",0,\"f\"]", "[\"0x1\",-1,\"f\"]",
		"[\"0x1\",1073741825,\"f\"]", "[\"0x1\",2.5,\"f\"]",
		"[\"0x1\",2,\"\"]", "[\"0x1\",2,3]", "[\"0x1\",2,null]",
	};
	char json[256];

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		snprintf(json, sizeof(json), "{\"jit\":[%s]}", wrong[i]);
		refuses(json, ERR_BAD_DATA, "not an array of functions");
	}
	refuses("{\"jit\":{}}", ERR_BAD_DATA, "not an array");
}

static void refuses_wrong_modules(void)
{
	static const char *const wrong[] = {
		"1", "[]", "{}", "{\"base\":\"0x1\"}", "{\"size\":1}",
		"{\"base\":null,\"size\":1}",
	};
	char json[256];

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		snprintf(json, sizeof(json), "{\"unloaded\":[%s]}", wrong[i]);
		refuses(json, ERR_BAD_DATA, "not an array of modules");
	}
	refuses("{\"unloaded\":{}}", ERR_BAD_DATA, "not an array");
	refuses("{\"unloaded\":[{\"base\":1,\"size\":1}]}", ERR_BAD_DATA,
		"\"base\" is not a string");
	refuses("{\"unloaded\":[{\"base\":\"0x1\",\"size\":0}]}",
		ERR_BAD_DATA, "\"size\" is not within its range");
	refuses("{\"unloaded\":[{\"base\":\"0x1\",\"size\":\"1\"}]}",
		ERR_BAD_DATA, "\"size\" is not an integer");
	refuses("{\"unloaded\":[{\"path\":7}]}", ERR_BAD_DATA,
		"\"path\" is not a string");
	refuses("{\"unloaded\":[{\"build_id\":\"0\"}]}", ERR_BAD_DATA,
		"\"build_id\" is not hexadecimal");
}

/* N unloaded modules, which are right. */
static bool decodes_modules(size_t n, struct error *err)
{
	static const char module[] = "{\"base\":\"0x1\",\"size\":1},";
	struct writer w;
	bool ok;

	writer_init(&w, 1 << 20);
	writer_bytes(&w, "{\"unloaded\":[", 13);
	for (size_t i = 0; i < n; i++)
		writer_bytes(&w, module, sizeof(module) - 1);
	w.len--; /* the last comma */
	writer_bytes(&w, "]}", 2);
	ok = decodes((const char *)w.bytes, w.len, err);
	writer_fini(&w);
	return ok;
}

static void holds_to_the_limit_of_modules(void)
{
	struct error err = { ERR_NONE, "" };

	CHECK(decodes_modules(MAX_UNLOADED, &err));
	CHECK_STRING(err.text, "");
	CHECK(!decodes_modules(MAX_UNLOADED + 1, &err));
	CHECK_STRING(err.text,
		     "\"unloaded\" is not within the limit of modules");
}

/* N functions with names of LEN bytes, which are right. */
static bool decodes_functions(size_t n, size_t len, struct error *err)
{
	struct writer w;
	bool ok;

	writer_init(&w, 16 << 20);
	writer_bytes(&w, "{\"jit\":[", 8);
	for (size_t i = 0; i < n; i++) {
		writer_bytes(&w, "[\"0x1\",1,\"", 10);
		for (size_t k = 0; k < len; k++)
			writer_u8(&w, 'f');
		writer_bytes(&w, "\"],", 3);
	}
	w.len--; /* the last comma */
	writer_bytes(&w, "]}", 2);
	ok = decodes((const char *)w.bytes, w.len, err);
	writer_fini(&w);
	return ok;
}

static void holds_to_the_limits_of_functions(void)
{
	struct error err = { ERR_NONE, "" };

	CHECK(decodes_functions(MAX_JIT, 3 * MAX_JIT_NAME, &err));
	CHECK_STRING(err.text, "");
	CHECK(!decodes_functions(MAX_JIT + 1, 1, &err));
	CHECK_STRING(err.text,
		     "\"jit\" is not within the limit of functions");
	CHECK(!decodes_functions(1, 3 * MAX_JIT_NAME + 1, &err));
	CHECK_STRING(err.text, "\"jit\" is not an array of functions");
}

/* Where two overlap the first counts: the newest. */
static void finds_a_function(void)
{
	static const char json[] =
		"{\"jit\":[[\"0x1010\",16,\"new\"],[\"0x1000\",64,\"old\"],"
		"[\"0xffffffffffffffff\",9,\"end\"]]}";
	struct report report;

	make(&report);
	if (CHECK(meta_decode(json, sizeof(json) - 1, &report, NULL)) &&
	    CHECK_NUMBER(report.njit, 3)) {
		CHECK(!report_find_jit(&report, 0xfff));
		CHECK(report_find_jit(&report, 0x1000) == &report.jit[1]);
		CHECK(report_find_jit(&report, 0x1010) == &report.jit[0]);
		CHECK(report_find_jit(&report, 0x1020) == &report.jit[1]);
		CHECK(!report_find_jit(&report, 0x1040));
		CHECK(report_find_jit(&report, UINT64_MAX) == &report.jit[2]);
		CHECK(!report_find_jit(&report, 0));
	}
	report_free(&report);
}

/* One thread of N frames, which are right. */
static bool decodes_frames(size_t n, struct error *err)
{
	static const char start[] = "{\"threads\":[{\"tid\":7,\"frames\":[";
	static const char frame[] = "[\"0x1001\",\"0x2\",0,\"cfi\"],";
	struct writer w;
	bool ok;

	writer_init(&w, 1 << 20);
	writer_bytes(&w, start, sizeof(start) - 1);
	for (size_t i = 0; i < n; i++)
		writer_bytes(&w, frame, sizeof(frame) - 1);
	w.len--; /* the last comma */
	writer_bytes(&w, "]}]}", 4);
	ok = decodes((const char *)w.bytes, w.len, err);
	writer_fini(&w);
	return ok;
}

/* The first from sp, which the JSON may be the one to know. */
static void reads_a_cfa_by_its_distance(void)
{
	static const char json[] =
		"{\"threads\":[{\"tid\":7,"
		"\"registers\":{\"rsp\":\"0x1000\"},\"frames\":["
		"[\"0x1\",16,0,\"context\"],[\"0x1\",0,0,\"cfi\"],"
		"[\"0x1\",1073741824,0,\"cfi\"],[\"0x1\",\"0x20\",0,\"cfi\"],"
		"[\"0x1\",8,0,\"cfi\"],[\"0x1\",\"0x0\",0,\"cfi\"],"
		"[\"0x1\",8,0,\"cfi\",\"corrupt_ra\"]]}]}";
	static const uint64_t cfas[] = { 0x1010, 0x1010, 0x40001010, 0x20,
					 0x28, 0, 0 };
	struct error err = { ERR_NONE, "" };
	struct report report;

	make(&report);
	if (CHECK(meta_decode(json, sizeof(json) - 1, &report, &err)) &&
	    CHECK_NUMBER(report.threads[0].nframes, 7)) {
		for (size_t i = 0; i < 7; i++)
			CHECK_NUMBER(report.threads[0].frames[i].cfa, cfas[i]);
		CHECK(!report.threads[0].frames[5].corrupt_ra);
		CHECK(report.threads[0].frames[6].corrupt_ra);
	}
	report_free(&report);
}

static void holds_to_the_limit_of_frames(void)
{
	struct error err = { ERR_NONE, "" };

	CHECK(decodes_frames(MAX_FRAMES, &err));
	CHECK_STRING(err.text, "");
	CHECK(!decodes_frames(MAX_FRAMES + 1, &err));
	CHECK_STRING(err.text,
		     "\"frames\" is not within the limit of frames");
}

static void ignores_what_it_does_not_know(void)
{
	static const char json[] =
		"{\"epitaph\":1,\"novel\":{\"x\":[1,2.5,null]},\"tier\":null,"
		"\"threads\":[{\"tid\":8,\"frames\":7},{\"frames\":[]}]}";
	struct error err = { ERR_NONE, "" };

	if (!CHECK(decodes(json, sizeof(json) - 1, &err)))
		printf("# %s\n", err.text);
}

/* N times OPEN, then N times CLOSE, within an object. */
static void nested_is_refused(size_t n, const char *open, const char *close,
			      size_t step, enum error_code code)
{
	struct error err = { ERR_NONE, "" };
	struct writer w;

	writer_init(&w, (size_t)32 << 20);
	writer_bytes(&w, "{\"a\":[", 6);
	for (size_t i = 0; i < n; i += step) {
		for (size_t k = 0; k < step; k++)
			writer_bytes(&w, open, strlen(open));
		for (size_t k = 0; k < step; k++)
			writer_bytes(&w, close, strlen(close));
		writer_bytes(&w, ",", 1);
	}
	writer_bytes(&w, "1]}", 3);
	CHECK(!decodes((const char *)w.bytes, w.len, &err));
	CHECK_NUMBER(err.code, code);
	writer_fini(&w);
}

static void refuses_what_would_grow(void)
{
	nested_is_refused(100000, "[", "]", 100000, ERR_BAD_DATA);
	nested_is_refused(8, "[", "]", 8, ERR_BAD_DATA);
	nested_is_refused(20000, "{", "}", 1, ERR_TOO_LARGE);
	nested_is_refused(200000, "[", "]", 1, ERR_TOO_LARGE);
	nested_is_refused(1100000, "0", "0", 1, ERR_TOO_LARGE);
	nested_is_refused(9000000, "0", "0", 1, ERR_TOO_LARGE);
}

static void brackets_in_strings_do_not_count(void)
{
	static const char json[] =
		"{\"message\":\"[[[[[[[[[[{{{{{{{{{{\\\"[[[[[[\\\\\"}";
	struct error err = { ERR_NONE, "" };

	if (!CHECK(decodes(json, sizeof(json) - 1, &err)))
		printf("# %s\n", err.text);
}

static void keeps_all_64_bits(void)
{
	struct report a, b;
	size_t len = 0;
	char *json;

	make(&a);
	make(&b);
	a.address = UINT64_MAX;
	a.has_address = true;
	a.uptime_ms = INT64_MAX;
	json = meta_encode(&a, &len);
	if (CHECK(json != NULL && meta_decode(json, len, &b, NULL))) {
		CHECK_NUMBER(b.address, UINT64_MAX);
		CHECK_NUMBER(b.uptime_ms, INT64_MAX);
	}
	free(json);
	report_free(&a);
	report_free(&b);
}

static size_t decoded, refused;

static void try_mutation(const uint8_t *bytes, size_t len)
{
	struct error err = { ERR_NONE, "" };

	if (decodes((const char *)bytes, len, &err)) {
		decoded++;
		return;
	}
	refused++;
	CHECK(err.code != ERR_NONE && err.code != ERR_NO_MEMORY);
}

static void mutations_do_no_harm(void)
{
	struct report r;
	size_t len = 0;
	char *json;

	sample_make(&r);
	json = meta_encode(&r, &len);
	mutate_all((const uint8_t *)json, len, try_mutation);
	printf("# %zu bytes: %zu mutations decoded, %zu refused\n", len,
	       decoded, refused);
	CHECK(decoded > len && refused > len);
	free(json);
	report_free(&r);
}

int main(void)
{
	static const struct test tests[] = {
		{ "a known key of the wrong type is refused",
		  refuses_wrong_types },
		{ "text that is wrong in itself is refused",
		  refuses_wrong_text },
		{ "frames that are wrong are refused", refuses_wrong_frames },
		{ "unloaded modules that are wrong are refused",
		  refuses_wrong_modules },
		{ "unloaded modules above the limit are refused",
		  holds_to_the_limit_of_modules },
		{ "compiled functions that are wrong are refused",
		  refuses_wrong_functions },
		{ "compiled functions above the limits are refused",
		  holds_to_the_limits_of_functions },
		{ "of compiled functions the first counts", finds_a_function },
		{ "a frame's CFA may be the distance from the one below",
		  reads_a_cfa_by_its_distance },
		{ "frames above the limit are refused",
		  holds_to_the_limit_of_frames },
		{ "unknown keys, threads and nulls are ignored",
		  ignores_what_it_does_not_know },
		{ "text that would grow in memory is refused",
		  refuses_what_would_grow },
		{ "brackets within strings do not count",
		  brackets_in_strings_do_not_count },
		{ "numbers keep all their 64 bits", keeps_all_64_bits },
		{ "no mutation of a stream does harm", mutations_do_no_harm },
	};

	return TEST_RUN(tests);
}
