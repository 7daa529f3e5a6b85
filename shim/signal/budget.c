/* Crash loops: how many reports of one kind of crash are made in a minute. The
 * rest is counted, in a file of the spool (lib/spool/slots.h), and told later.
 * In the witness before it starts a helper, or where the raw record would be
 * written. Whatever cannot be had or known here means that there is a report;
 * no file but a plain one of our own user is touched. */
#include <elf.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "../../lib/spool/slots.h"
#include "zone.h"

enum {
	MAX_RANGES = 512,  /* of code; what is beyond is not known */
	MAX_HEADERS = 32,
	NOTE_BYTES = 512,
	LOCK_TRIES = 100,  /* a millisecond apart */
	LATE_S = 10,       /* a crash may be counted after a later one */
	STACK_WORDS = 512, /* looked through for callers, */
	CALLERS = 8,       /* and taken: abort() has four frames in libc and
	                    * libstdc++'s way to it four more */
};

#define NS_PER_MS 1000000ll
#define NS_PER_S 1000000000ll

/* Code that is mapped from a file. */
struct range {
	uint64_t start, end, offset, path;
};

static struct range ranges[MAX_RANGES];
static uint32_t nranges;
static char buffer[4096];
static uint64_t stack[STACK_WORDS];
static struct slot bucket[SLOTS_WAYS];

uint64_t zone_mix(uint64_t hash, uint64_t value)
{
	hash = (hash ^ value) * 0x9e3779b97f4a7c15ull;
	return hash ^ hash >> 32;
}

static void read_ranges(long maps)
{
	struct map_line line = { 0 };
	int64_t at = 0;
	long n;

	nranges = 0;
	while ((n = sys4(pread64, maps, buffer, sizeof(buffer), at)) > 0) {
		for (long i = 0; i < n; i++) {
			if (buffer[i] != '\n') {
				map_take(&line, buffer[i]);
				continue;
			}
			if (line.executable && line.path &&
			    nranges < MAX_RANGES)
				ranges[nranges++] = (struct range){
					line.start, line.end, line.offset,
					line.path,
				};
			line = (struct map_line){ 0 };
		}
		at += n;
	}
}

static const struct range *range_of(uint64_t address)
{
	for (uint32_t i = 0; i < nranges; i++) {
		if (address >= ranges[i].start && address < ranges[i].end)
			return &ranges[i];
	}
	return NULL;
}

/* The build-id among LEN bytes of notes in `buffer`; 0 where there is none. */
static uint64_t find_build_id(size_t len)
{
	size_t at = 0;

	while (len - at > sizeof(Elf64_Nhdr)) {
		const Elf64_Nhdr *note = (const void *)(buffer + at);
		size_t name = ((size_t)note->n_namesz + 3) & ~(size_t)3;
		size_t rest = len - at - sizeof(*note);
		uint64_t id = 1;

		if (name > rest || note->n_descsz > rest - name)
			break;
		at += sizeof(*note) + name;
		if (note->n_type == NT_GNU_BUILD_ID) {
			for (size_t i = 0; i < note->n_descsz; i++)
				id = zone_mix(id, (uint8_t)buffer[at + i]);
			return id;
		}
		at += ((size_t)note->n_descsz + 3) & ~(size_t)3;
		if (at > len)
			break;
	}
	return 0;
}

/* What program this is: by its build-id, or its path. */
static uint64_t program(void)
{
	static Elf64_Phdr headers[MAX_HEADERS];
	uint64_t id = 0, bias = 0, path = 0;
	size_t n = zone.nheaders < MAX_HEADERS ? zone.nheaders : MAX_HEADERS;

	n = copy_safely(zone.headers, headers, n * sizeof(*headers)) /
	    sizeof(*headers);
	for (size_t i = 0; i < n; i++) {
		if (headers[i].p_type == PT_PHDR)
			bias = zone.headers - headers[i].p_vaddr;
	}
	for (size_t i = 0; i < n && !id; i++) {
		size_t len = headers[i].p_memsz < NOTE_BYTES
				     ? headers[i].p_memsz
				     : NOTE_BYTES;

		if (headers[i].p_type == PT_NOTE)
			id = find_build_id(copy_safely(
				bias + headers[i].p_vaddr, buffer, len));
	}
	for (const char *at = zone.record.exe; !id && *at; at++)
		path = zone_mix(path, (uint8_t)*at);
	return id ? id : path;
}

/* Where the program was, the same in every process: pc by its place in its
 * file; and, because all aborts are at one pc, and all bad strings in one
 * strlen, the first words on the stack that point into the code of other
 * files: mostly who called. */
static uint64_t place(uint64_t hash)
{
	uint64_t pc = zone.record.gregs[GREG_PC];
	uint64_t sp = zone.record.gregs[GREG_SP] & ~7ull;
	const struct range *at = range_of(pc), *caller;
	size_t n, taken = 0;

	if (at)
		hash = zone_mix(zone_mix(hash, at->path),
				pc - at->start + at->offset);
	else /* made at run time, or nowhere */
		hash = zone_mix(hash, pc & (ZONE_PAGE - 1));
	n = copy_safely(sp, stack, sizeof(stack)) / sizeof(*stack);
	for (size_t i = 0; i < n && taken < CALLERS; i++) {
		uint64_t word = code_address(stack[i]);

		caller = range_of(word);
		if (!caller || (at && caller->path == at->path))
			continue;
		hash = zone_mix(hash, caller->path);
		hash = zone_mix(hash, word - caller->start + caller->offset);
		taken++;
	}
	return hash;
}

static uint64_t find_key(long maps)
{
	uint64_t key;

	read_ranges(maps);
	key = place(zone_mix(program(), (uint64_t)zone.record.signal));
	return key ? key : 1;
}

/* Of the kind KEY; else one that may become it: free, or else the oldest that
 * has nothing left to tell. NULL: there is none. */
static struct slot *find_slot(uint64_t key)
{
	struct slot *found = NULL;

	for (int i = 0; i < SLOTS_WAYS; i++) {
		struct slot *slot = &bucket[i];

		if (slot->key == key)
			return slot;
		if (slot->key && (slot->untold || slot->pending))
			continue;
		if (!found || !slot->key ||
		    (found->key && slot->window_ns < found->window_ns))
			found = slot;
	}
	return found;
}

/* Clocks of this boot and of the world have to agree that it goes on. */
static bool is_in_window(const struct slot *slot)
{
	int64_t ns = zone.record.boot_ns - slot->window_ns;
	int64_t ms = zone.record.time_ns / NS_PER_MS - slot->window_ms;

	return ns > -LATE_S * NS_PER_S && ns < SLOTS_WINDOW_S * NS_PER_S &&
	       ms > -LATE_S * 1000 && ms < SLOTS_WINDOW_S * 1000;
}

/* One more crash of KEY. True where it is to be no more than that. */
static bool count_crash(struct slot *slot, uint64_t key)
{
	if (slot->key != key)
		*slot = (struct slot){ .key = key };
	if (!is_in_window(slot)) {
		slot->window_ns = zone.record.boot_ns;
		slot->window_ms = zone.record.time_ns / NS_PER_MS;
		slot->crashes = 0;
	}
	if (slot->crashes < zone.record.settings.budget) {
		slot->crashes++;
		return false;
	}
	if (slot->untold == UINT32_MAX)
		return false;
	slot->untold++;
	slot->last_ms = zone.record.time_ns / NS_PER_MS;
	return true;
}

static bool look_up(long fd, uint64_t key)
{
	uint32_t first = (uint32_t)(key >> 32) % SLOTS_BUCKETS * SLOTS_WAYS;
	int64_t at = SLOTS_AT + (int64_t)first * (int64_t)sizeof(*bucket);
	struct slot *slot;
	bool counted;

	zone_fill(bucket, 0, sizeof(bucket)); /* the file may end before */
	if (sys4(pread64, fd, bucket, sizeof(bucket), at) < 0)
		return false;
	slot = find_slot(key);
	if (!slot)
		return false;
	counted = count_crash(slot, key);
	at += (slot - bucket) * (int64_t)sizeof(*bucket);
	if (sys4(pwrite64, fd, slot, sizeof(*slot), at) != sizeof(*slot))
		return false;
	zone.record.budget_key = key;
	zone.record.budget_slot = first + (uint32_t)(slot - bucket);
	zone.record.budget_keep = !slot->untold && !slot->pending &&
				  (slot->crashes == 1 || !slot->hit_len);
	return counted;
}

/* Whether FD is a table of ours, once we have its lock. */
static bool is_table(long fd, long dir, const char *name)
{
	uint64_t magic = SLOTS_MAGIC;
	struct stat st;

	if (sys2(fstat, fd, &st) < 0 || !S_ISREG(st.st_mode) ||
	    st.st_uid != (uint32_t)sys0(geteuid) || st.st_nlink != 1)
		return false;
	if (st.st_size == 0)
		return sys4(pwrite64, fd, &magic, sizeof(magic), 0) ==
		       sizeof(magic);
	if (sys4(pread64, fd, &magic, sizeof(magic), 0) == sizeof(magic) &&
	    magic == SLOTS_MAGIC)
		return true;
	sys3(unlinkat, dir, name, 0);
	return false;
}

/* Who has it may have lost the processor, or be held up by the file system,
 * which is writing a report out: a helper of ours would have to wait too. */
static bool lock_table(long fd)
{
	static _Atomic uint32_t never;

	for (int i = 0; i < LOCK_TRIES; i++) {
		long error = sys2(flock, fd, LOCK_EX | LOCK_NB);

		if (error != -11 /* EWOULDBLOCK */)
			return error == 0;
		wait_while(&never, 0, in_ms(1));
	}
	return false;
}

bool over_budget(long dir, long maps)
{
	char name[32];
	bool counted = false;
	uint64_t key;
	long fd;

	if (!zone.record.settings.budget)
		return false;
	key = find_key(maps);
	put_number(put_text(name, name + sizeof(name), SLOTS_NAME),
		   name + sizeof(name), (uint64_t)sys0(geteuid));
	fd = sys4(openat, dir, name,
		  O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);
	if (fd < 0)
		return false;
	if (lock_table(fd) && is_table(fd, dir, name))
		counted = look_up(fd, key);
	sys1(close, fd);
	return counted;
}
