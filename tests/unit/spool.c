/* The spool on disk: complete or absent, bounded, and nobody's fool. */
#include "../../lib/spool/spool.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../../lib/report/uuid.h"
#include "test.h"

static char dir[64];
static struct error err;

static struct spool open_spool(void)
{
	struct spool spool = { .dir = -1 };
	struct spool_where where = { .spool = dir };

	snprintf(dir, sizeof(dir), "/tmp/epitaph-unit.XXXXXX");
	if (!mkdtemp(dir))
		exit(1);
	CHECK(spool_open(&where, &spool, &err));
	return spool;
}

static void remove_spool(struct spool *spool)
{
	char ids[64][37], path[256];
	size_t n = spool_list(spool, SPOOL_REPORTS, ids, 64);

	for (size_t i = 0; i < n; i++)
		spool_remove(spool, ids[i]);
	spool_close(spool);
	snprintf(path, sizeof(path), "%s/refused", dir);
	rmdir(path);
	snprintf(path, sizeof(path), "%s/.lock-%u", dir, geteuid());
	unlink(path);
	CHECK_NUMBER(rmdir(dir), 0); /* nothing left behind */
}

static void make_id(int64_t time_ms, char id_out[37])
{
	uint8_t random[10] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, (uint8_t)time_ms };

	uuid_format(time_ms, random, id_out);
}

static void test_round(void)
{
	struct spool spool = open_spool();
	char ids[4][37], id[37];
	struct writer out;

	for (int64_t t = 3; t > 0; t--) {
		make_id(1700000000000 + t, id);
		CHECK(spool_put(&spool, id, id, sizeof(id), 1 << 20, &err));
	}
	CHECK_NUMBER(spool_list(&spool, SPOOL_REPORTS, ids, 4), 3);
	CHECK(strcmp(ids[0], ids[1]) < 0 && strcmp(ids[1], ids[2]) < 0);
	writer_init(&out, 100);
	CHECK(spool_get(&spool, ids[2], &out, &err));
	CHECK_STRING((const char *)out.bytes, ids[2]);
	writer_fini(&out);
	remove_spool(&spool);
}

static void test_bound(void)
{
	struct spool spool = open_spool();
	char ids[16][37], id[37];
	uint8_t body[100] = { 0 };

	for (int64_t t = 0; t < 10; t++) {
		make_id(1700000000000 + t, id);
		CHECK(spool_put(&spool, id, body, sizeof(body), 350, &err));
	}
	CHECK_NUMBER(spool_list(&spool, SPOOL_REPORTS, ids, 16), 3);
	make_id(1700000000009, id);
	CHECK_STRING(ids[2], id); /* the newest stays */
	CHECK(!spool_put(&spool, id, body, sizeof(body), 50, &err));
	CHECK_NUMBER(err.code, ERR_TOO_LARGE);
	remove_spool(&spool);
}

static void test_strangers(void)
{
	struct spool spool = open_spool();
	char ids[4][37], id[37], path[256], victim[256];
	struct writer out;

	make_id(1700000000000, id);
	snprintf(victim, sizeof(victim), "%s/victim", dir);
	snprintf(path, sizeof(path), "%s/%s.dmp.gz", dir, id);
	CHECK(close(open(victim, O_CREAT | O_WRONLY, 0600)) == 0);
	CHECK(symlink(victim, path) == 0);
	CHECK_NUMBER(spool_list(&spool, SPOOL_REPORTS, ids, 4), 0);
	writer_init(&out, 100);
	CHECK(!spool_get(&spool, id, &out, &err));
	unlink(path);
	CHECK(mkfifo(path, 0600) == 0);
	CHECK_NUMBER(spool_list(&spool, SPOOL_REPORTS, ids, 4), 0);
	CHECK(!spool_get(&spool, id, &out, &err)); /* and does not hang */
	CHECK_NUMBER(err.code, ERR_REFUSED);
	writer_fini(&out);
	unlink(path);
	unlink(victim);
	remove_spool(&spool);
}

static void test_refused_link(void)
{
	struct spool spool = open_spool();
	char id[37], path[256], elsewhere[64] = "/tmp/epitaph-unit.XXXXXX";

	CHECK(mkdtemp(elsewhere) != NULL);
	snprintf(path, sizeof(path), "%s/refused", dir);
	CHECK(symlink(elsewhere, path) == 0);
	make_id(1700000000000, id);
	CHECK(spool_put(&spool, id, "x", 1, 100, &err));
	spool_refuse(&spool, id);
	CHECK_NUMBER(rmdir(elsewhere), 0); /* still empty */
	unlink(path);
	remove_spool(&spool);
}

static void test_sweep(void)
{
	struct timespec old[2] = { { 1700000000, 0 }, { 1700000000, 0 } };
	struct spool spool = open_spool();
	char ids[4][37], begun[256], dead[256];

	snprintf(begun, sizeof(begun), "%s/.a.part", dir);
	snprintf(dead, sizeof(dead), "%s/.b.part", dir);
	CHECK(close(open(begun, O_CREAT | O_WRONLY, 0600)) == 0);
	CHECK(close(open(dead, O_CREAT | O_WRONLY, 0600)) == 0);
	CHECK(utimensat(AT_FDCWD, dead, old, 0) == 0);
	CHECK_NUMBER(spool_list(&spool, SPOOL_REPORTS, ids, 4), 0);
	CHECK(access(dead, F_OK) < 0);
	CHECK_NUMBER(unlink(begun), 0); /* may still be in the writing */
	remove_spool(&spool);
}

static void test_lock(void)
{
	struct spool spool = open_spool();
	int first = -1, second = -1;

	CHECK(spool_lock(&spool, &first));
	CHECK(!spool_lock(&spool, &second));
	spool_unlock(first);
	CHECK(spool_lock(&spool, &second));
	spool_unlock(second);
	remove_spool(&spool);
}

static void test_world_writable(void)
{
	struct spool_where where = { .spool = dir };
	struct spool spool;

	snprintf(dir, sizeof(dir), "/tmp/epitaph-unit.XXXXXX");
	CHECK(mkdtemp(dir) != NULL);
	CHECK(chmod(dir, 0777) == 0);
	CHECK(!spool_open(&where, &spool, &err));
	CHECK(strstr(err.text, dir) != NULL);
	rmdir(dir);
}

static void test_refuse(void)
{
	struct spool spool = open_spool();
	char ids[4][37], id[37], path[256];

	make_id(1700000000000, id);
	CHECK(spool_put(&spool, id, "x", 1, 100, &err));
	spool_refuse(&spool, id);
	CHECK_NUMBER(spool_list(&spool, SPOOL_REPORTS, ids, 4), 0);
	snprintf(path, sizeof(path), "%s/refused/%s.dmp.gz", dir, id);
	CHECK_NUMBER(unlink(path), 0);
	remove_spool(&spool);
}

static const struct test tests[] = {
	{ "what was put is listed by age and read back", test_round },
	{ "past its limit the spool drops the oldest", test_bound },
	{ "links and pipes in the spool are passed over", test_strangers },
	{ "a link in place of refused/ is not followed", test_refused_link },
	{ "what a killed helper left half written goes", test_sweep },
	{ "two shippers do not hold the lock at once", test_lock },
	{ "a directory that anybody may change is no spool",
	  test_world_writable },
	{ "a refused report is kept apart", test_refuse },
};

int main(void)
{
	return TEST_RUN(tests);
}
