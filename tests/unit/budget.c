/* The counts of a crash loop on their way to the collector: each crash once,
 * whatever the table says. */
#include "../../lib/spool/budget.h"

#include <fcntl.h>
#include <jansson.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "../../lib/spool/slots.h"
#include "sample.h"
#include "test.h"

static char dir[64], table[128];
static struct error err;

/* A collector: what it answers, and what it has been told. */
static int answer = 200;
static uint64_t told;
static unsigned hits;
static char last_id[37];

static bool post(void *context, const char *path, const char *type,
		 const char *encoding, const char *token, const void *body,
		 size_t len, struct response *response_out, struct error *e)
{
	json_t *hit = json_loadb(body, len, JSON_REJECT_DUPLICATES, NULL);
	const char *id = json_string_value(json_object_get(hit, "id"));

	(void)context;
	(void)type;
	(void)encoding;
	(void)token;
	if (answer == 0) {
		json_decref(hit);
		return fail(e, ERR_UNAVAILABLE, "nobody there");
	}
	CHECK_STRING(path, "/api/v1/hits");
	CHECK(id != NULL && strlen(id) == 36);
	hits++;
	if (answer == 200 && id && strcmp(id, last_id) != 0)
		told += (uint64_t)json_integer_value(
			json_object_get(hit, "count"));
	snprintf(last_id, sizeof(last_id), "%s", id ? id : "");
	json_decref(hit);
	response_out->status = answer;
	response_out->len = (size_t)snprintf(response_out->body,
					     sizeof(response_out->body),
					     "{\"want\":[]}");
	return true;
}

static const struct shipper shipper = { .post = post };

static struct spool open_spool(void)
{
	struct spool spool = { .dir = -1 };
	struct spool_where where = { .spool = dir };

	snprintf(dir, sizeof(dir), "/tmp/epitaph-unit.XXXXXX");
	if (!mkdtemp(dir))
		exit(1);
	snprintf(table, sizeof(table), "%s/" SLOTS_NAME "%u", dir, geteuid());
	CHECK(spool_open(&where, &spool, &err));
	answer = 200;
	told = hits = 0;
	last_id[0] = '\0';
	return spool;
}

static void remove_spool(struct spool *spool)
{
	spool_close(spool);
	unlink(table);
	CHECK_NUMBER(rmdir(dir), 0);
}

static void write_at(int64_t at, const void *bytes, size_t len)
{
	int fd = open(table, O_WRONLY | O_CREAT, 0600);

	CHECK(fd >= 0 && pwrite(fd, bytes, len, at) == (ssize_t)len);
	close(fd);
}

static int64_t slot_at(uint32_t i)
{
	return SLOTS_AT + (int64_t)i * (int64_t)sizeof(struct slot);
}

/* As the witness leaves it: a table in which slot I has COUNT crashes of KEY
 * to be told, in a window that is over. */
static void count_crashes(uint32_t i, uint64_t key, uint32_t count)
{
	uint64_t magic = SLOTS_MAGIC;
	struct slot slot = { .key = key, .untold = count, .window_ms = 1,
			     .last_ms = 1700000000000 };

	write_at(0, &magic, sizeof(magic));
	write_at(slot_at(i), &slot, sizeof(slot));
}

static struct slot read_slot(uint32_t i)
{
	struct slot slot = { 0 };
	int fd = open(table, O_RDONLY);

	CHECK(fd >= 0 && pread(fd, &slot, sizeof(slot), slot_at(i)) ==
				 sizeof(slot));
	close(fd);
	return slot;
}

static void keep(struct spool *spool, uint32_t i, uint64_t key)
{
	struct report report;

	sample_make(&report);
	budget_keep(spool, geteuid(), i, key, &report);
	report_free(&report);
}

static struct budget_count ship(struct spool *spool, bool reached)
{
	struct budget_count count = { 0 };

	CHECK_NUMBER(budget_ship(&shipper, spool, INT64_MAX, &count, &err),
		     reached);
	return count;
}

static void test_once(void)
{
	struct spool spool = open_spool();

	count_crashes(127, 7, 2500000); /* more than one hit may stand for */
	CHECK_NUMBER(ship(&spool, true).nameless, 2500000);
	keep(&spool, 127, 7);
	for (int i = 0; i < 5; i++)
		ship(&spool, true);
	CHECK_NUMBER(hits, 3);
	CHECK_NUMBER(told, 2500000);
	CHECK(access(table, F_OK) < 0); /* nothing is left to tell */
	remove_spool(&spool);
}

static void test_lost_answer(void)
{
	struct spool spool = open_spool();

	count_crashes(3, 7, 5);
	keep(&spool, 3, 7);
	answer = 503;
	CHECK_NUMBER(ship(&spool, false).later, 5);
	CHECK_NUMBER(read_slot(3).pending, 5);
	answer = 0;
	CHECK_NUMBER(ship(&spool, false).later, 5);
	answer = 200;
	CHECK_NUMBER(ship(&spool, true).told, 5);
	CHECK_NUMBER(hits, 2); /* of one id: that of the first */
	CHECK_NUMBER(told, 0);
	remove_spool(&spool);
}

static void test_refused(void)
{
	struct spool spool = open_spool();

	count_crashes(0, 7, 5);
	keep(&spool, 0, 7);
	answer = 410;
	CHECK_NUMBER(ship(&spool, true).refused, 5);
	CHECK_NUMBER(ship(&spool, true).refused, 0);
	remove_spool(&spool);
}

static void test_keep(void)
{
	struct spool spool = open_spool();

	count_crashes(9, 7, 1);
	keep(&spool, 9, 8);
	keep(&spool, SLOTS_COUNT, 7);
	CHECK_NUMBER(read_slot(9).hit_len, 0);
	keep(&spool, 9, 7);
	CHECK(read_slot(9).hit_len > 100);
	remove_spool(&spool);
}

static void test_strangers(void)
{
	struct spool spool = open_spool();
	char other[160];

	count_crashes(0, 7, 5);
	keep(&spool, 0, 7);
	snprintf(other, sizeof(other), "%s/other", dir);
	CHECK_NUMBER(link(table, other), 0);
	ship(&spool, true);
	unlink(table);
	CHECK_NUMBER(symlink(other, table), 0);
	ship(&spool, true);
	unlink(table);
	CHECK_NUMBER(mkfifo(table, 0600), 0);
	ship(&spool, true);
	CHECK_NUMBER(hits, 0);
	unlink(other);
	remove_spool(&spool);
}

/* Every word of slot and hit in turn as it should not be, and the file cut
 * short anywhere: no crash, no hit that is none, an end. */
static void test_nonsense(void)
{
	struct spool spool = open_spool();
	static const uint32_t words[] = { 0, 1, 4097, 0x7fffffff, ~0u };

	for (size_t at = 0; at < sizeof(struct slot) / 4; at++) {
		for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++) {
			count_crashes(5, 7, 5);
			keep(&spool, 5, 7);
			write_at(slot_at(5) + 4 * (int64_t)at, &words[i], 4);
			ship(&spool, true);
		}
	}
	for (off_t len = 0; len < HITS_AT + 6 * HIT_BYTES; len += 61) {
		count_crashes(5, 7, 5);
		keep(&spool, 5, 7);
		CHECK_NUMBER(truncate(table, len), 0);
		ship(&spool, true);
	}
	remove_spool(&spool);
}

static const struct test tests[] = {
	{ "what was counted is told once, and the table goes", test_once },
	{ "what may have arrived is sent again under its id",
	  test_lost_answer },
	{ "what the collector will never take is dropped", test_refused },
	{ "a hit is kept for its own kind alone", test_keep },
	{ "links and pipes in place of the table are let be",
	  test_strangers },
	{ "nonsense in the table does no harm", test_nonsense },
};

int main(void)
{
	return TEST_RUN(tests);
}
