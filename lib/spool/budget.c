/* The table of counted crashes, after the crash. Runs in the crash-time helper,
 * sandboxed, and in `epitaph flush`, which as root reads the tables of others:
 * nothing in one is believed, and nothing but one is written to. */
#include "budget.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "../report/clock.h"
#include "../report/uuid.h"
#include "slots.h"

enum {
	LOCK_TRIES = 100, /* a millisecond each; who has it has it for less */
	HIT_COUNT = 1000000, /* crashes that one hit may stand for */
	MAX_TABLES = 4096,
};

struct table {
	int fd;
	int dir;
	char name[32];
};

/* Its owner may hold it for ever; then it is left. */
static bool lock(const struct table *table)
{
	for (int i = 0; i < LOCK_TRIES; i++) {
		if (flock(table->fd, LOCK_EX | LOCK_NB) == 0)
			return true;
		poll(NULL, 0, 1);
	}
	return false;
}

static void unlock(const struct table *table)
{
	flock(table->fd, LOCK_UN);
}

static bool is_table(int fd, uint32_t uid)
{
	uint64_t magic;
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISREG(st.st_mode) &&
	       st.st_uid == uid && st.st_nlink == 1 &&
	       pread(fd, &magic, sizeof(magic), 0) == sizeof(magic) &&
	       magic == SLOTS_MAGIC;
}

static bool open_table(const struct spool *spool, uint32_t uid,
		       struct table *out)
{
	if (uid != geteuid() && geteuid() != 0)
		return false;
	out->dir = spool->dir;
	snprintf(out->name, sizeof(out->name), SLOTS_NAME "%u", uid);
	out->fd = openat(spool->dir, out->name,
			 O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (out->fd < 0)
		return false;
	if (is_table(out->fd, uid))
		return true;
	close(out->fd);
	return false;
}

static bool read_slot(const struct table *table, uint32_t i,
		      struct slot *slot_out)
{
	off_t at = SLOTS_AT + (off_t)i * (off_t)sizeof(*slot_out);

	return pread(table->fd, slot_out, sizeof(*slot_out), at) ==
	       sizeof(*slot_out);
}

static bool write_slot(const struct table *table, uint32_t i,
		       const struct slot *slot)
{
	off_t at = SLOTS_AT + (off_t)i * (off_t)sizeof(*slot);

	return pwrite(table->fd, slot, sizeof(*slot), at) == sizeof(*slot);
}

static off_t hit_at(uint32_t i)
{
	return HITS_AT + (off_t)i * HIT_BYTES;
}

/* The hit of REPORT, without what least tells one from another where it is too
 * long. */
static bool make_hit(const struct report *report, char hit_out[HIT_BYTES],
		     size_t *len_out)
{
	static const char *const spare[] = { "tags", "release", "exe" };
	struct writer whole;
	bool made;
	size_t len;
	json_t *hit;

	writer_init(&whole, SHIP_MAX_RESPONSE);
	made = ship_hit_json(report, &whole);
	len = whole.len;
	if (made && len <= HIT_BYTES)
		memcpy(hit_out, whole.bytes, len);
	hit = made && len > HIT_BYTES
		      ? json_loadb((char *)whole.bytes, len, 0, NULL)
		      : NULL;
	writer_fini(&whole);
	for (size_t i = 0; hit && len > HIT_BYTES &&
			   i < sizeof(spare) / sizeof(*spare); i++) {
		json_object_del(hit, spare[i]);
		len = json_dumpb(hit, hit_out, HIT_BYTES, JSON_COMPACT);
	}
	json_decref(hit);
	*len_out = len;
	return made && len > 0 && len <= HIT_BYTES;
}

static void keep_in(const struct table *table, uint32_t i, uint64_t key,
		    const char *hit, size_t len)
{
	struct slot slot;

	if (!read_slot(table, i, &slot) || slot.key != key)
		return;
	/* Crashes that only wait for a hit may have this one. */
	if (slot.hit_len && (slot.untold || slot.pending))
		return;
	if (pwrite(table->fd, hit, len, hit_at(i)) != (ssize_t)len)
		return;
	slot.hit_len = (uint32_t)len;
	write_slot(table, i, &slot);
}

void budget_keep(struct spool *spool, uint32_t uid, uint32_t slot, uint64_t key,
		 const struct report *report)
{
	char hit[HIT_BYTES];
	struct table table;
	size_t len;

	if (!key || slot >= SLOTS_COUNT || !make_hit(report, hit, &len) ||
	    !open_table(spool, uid, &table))
		return;
	if (lock(&table))
		keep_in(&table, slot, key, hit, len);
	close(table.fd);
}

/* Put what is untold of slot I under an id. False where there is nothing. */
static bool take_slot(const struct table *table, uint32_t i,
		      struct slot *slot_out)
{
	uint64_t time_ms = (uint64_t)clock_wall_ms();
	uint8_t *id = slot_out->pending_id;
	bool taken = false;

	if (!read_slot(table, i, slot_out) || !slot_out->key)
		return false;
	if (slot_out->pending || !slot_out->untold || !slot_out->hit_len)
		return slot_out->pending || slot_out->untold;
	if (!lock(table))
		return false;
	if (read_slot(table, i, slot_out) && !slot_out->pending &&
	    getrandom(id + 6, 10, GRND_NONBLOCK) == 10) {
		for (int byte = 0; byte < 6; byte++)
			id[byte] = (uint8_t)(time_ms >> (40 - 8 * byte));
		slot_out->pending = slot_out->untold < HIT_COUNT
					    ? slot_out->untold
					    : HIT_COUNT;
		slot_out->untold -= slot_out->pending;
		taken = write_slot(table, i, slot_out);
	}
	unlock(table);
	return taken;
}

/* What SLOT had pending has been dealt with. */
static bool settle_slot(const struct table *table, uint32_t i,
			const struct slot *slot)
{
	struct slot now;
	bool settled = false;

	if (!lock(table))
		return false;
	if (read_slot(table, i, &now) && now.key == slot->key &&
	    memcmp(now.pending_id, slot->pending_id, sizeof(now.pending_id)) ==
		    0) {
		now.pending = 0;
		settled = write_slot(table, i, &now);
	}
	unlock(table);
	return settled;
}

static void pending_id(const struct slot *slot, char text_out[37])
{
	int64_t time_ms = 0;

	for (int i = 0; i < 6; i++)
		time_ms = time_ms << 8 | slot->pending_id[i];
	uuid_format(time_ms, slot->pending_id + 6, text_out);
}

/* The hit that is kept for slot I, as one of SLOT's pending crashes. */
static bool read_hit(const struct table *table, uint32_t i,
		     const struct slot *slot, const char *id,
		     struct writer *out)
{
	char text[HIT_BYTES];
	ssize_t len;

	if (slot->hit_len > sizeof(text))
		return false;
	len = pread(table->fd, text, slot->hit_len, hit_at(i));
	return len == (ssize_t)slot->hit_len &&
	       ship_counted_json(text, (size_t)len, id, slot->last_ms,
				 slot->pending, out);
}

/* Tell what slot I has counted. */
static enum ship_outcome ship_slot(const struct shipper *shipper,
				   const struct table *table, uint32_t i,
				   struct budget_count *count,
				   struct error *err)
{
	enum ship_outcome outcome = SHIP_REFUSED;
	struct writer hit;
	struct slot slot;
	bool wanted;
	char id[37];

	if (!take_slot(table, i, &slot))
		return SHIP_DONE;
	if (!slot.hit_len) {
		count->nameless += slot.untold;
		return SHIP_DONE;
	}
	pending_id(&slot, id);
	writer_init(&hit, SHIP_MAX_RESPONSE);
	if (read_hit(table, i, &slot, id, &hit))
		outcome = ship_hit(shipper, hit.bytes, hit.len, id, &wanted,
				   err);
	else
		fail(err, ERR_BAD_DATA, "%s: slot %u: no hit", table->name, i);
	writer_fini(&hit);
	if (outcome == SHIP_LATER)
		count->later += (uint64_t)slot.pending + slot.untold;
	else if (settle_slot(table, i, &slot))
		*(outcome == SHIP_DONE ? &count->told : &count->refused) +=
			slot.pending;
	return outcome;
}

static bool is_idle(const struct slot *slot)
{
	int64_t ms = clock_wall_ms() - slot->window_ms;

	return !slot->untold && !slot->pending &&
	       (ms < 0 || ms > SLOTS_WINDOW_S * 1000);
}

/* Take TABLE away if no crash of it is untold, or counts towards a budget. A
 * witness that has it open sees that it has no name any more. */
static void sweep(const struct table *table)
{
	struct slot slot;
	bool idle = true;

	if (!lock(table))
		return;
	for (uint32_t i = 0; i < SLOTS_COUNT && idle; i++) {
		if (!read_slot(table, i, &slot))
			break; /* the file ends here */
		idle = !slot.key || is_idle(&slot);
	}
	if (idle)
		unlinkat(table->dir, table->name, 0);
	unlock(table);
}

static bool ship_table(const struct shipper *shipper, struct spool *spool,
		       uint32_t uid, int64_t deadline_ms,
		       struct budget_count *count, struct error *err)
{
	enum ship_outcome outcome = SHIP_DONE;
	struct table table;

	if (!open_table(spool, uid, &table))
		return true;
	for (uint32_t i = 0; i < SLOTS_COUNT && outcome != SHIP_LATER; i++) {
		if (clock_monotonic_ms() >= deadline_ms)
			break;
		outcome = ship_slot(shipper, &table, i, count, err);
	}
	if (outcome != SHIP_LATER)
		sweep(&table);
	close(table.fd);
	return outcome != SHIP_LATER;
}

/* Users whose tables are in SPOOL. */
static size_t list_users(struct spool *spool, uint32_t *users, size_t max)
{
	int fd = openat(spool->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	struct dirent *d;
	size_t n = 0;

	if (!dir) {
		if (fd >= 0)
			close(fd);
		return 0;
	}
	while (n < max && (d = readdir(dir))) {
		const char *number = d->d_name + sizeof(SLOTS_NAME) - 1;
		char *end;

		if (strncmp(d->d_name, SLOTS_NAME, sizeof(SLOTS_NAME) - 1) != 0)
			continue;
		users[n] = (uint32_t)strtoul(number, &end, 10);
		n += end > number && !*end;
	}
	closedir(dir);
	return n;
}

bool budget_ship(const struct shipper *shipper, struct spool *spool,
		 int64_t deadline_ms, struct budget_count *count_out,
		 struct error *err)
{
	uint32_t *users = malloc(MAX_TABLES * sizeof(*users));
	struct budget_count count = { 0 };
	bool reached = true;
	size_t n = 1;

	if (!users)
		return fail(err, ERR_NO_MEMORY, "out of memory");
	users[0] = geteuid();
	if (users[0] == 0)
		n = list_users(spool, users, MAX_TABLES);
	for (size_t i = 0; i < n && reached; i++)
		reached = ship_table(shipper, spool, users[i], deadline_ms,
				     &count, err);
	free(users);
	*count_out = count;
	return reached;
}
