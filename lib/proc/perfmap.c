/* Reading of /tmp/perf-PID.map. Runs in the helper, once the dead process's
 * memory has been let go, and in `epitaph stack`, once the process goes on.
 * Later lines count before earlier ones, because code is replaced, so the file
 * is read backwards: what is found first counts, and once all places have a
 * name, or the time is over, nothing that was found was outdated. */
#include "perfmap.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "../report/clock.h"
#include "pid.h"

enum {
	CHUNK = 65536,
	MAX_LINE = 1024, /* two numbers and MAX_JIT_NAME; the rest is cut off */
	MAX_DIGITS = 16,
	PATH_LEN = 4096,
	STATUS_LEN = 4096,
	NS_PER_S = 1000000000,
	CLOCK_SLACK_S = 2,    /* seconds are cut, files have the last tick's */
};

/* What is wanted */

static int compare_places(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static bool is_wanted(const struct frame *frame, const struct maps *maps)
{
	const struct map *map;

	if (frame->module >= 0)
		return false;
	map = maps_find(maps, frame_place(frame));
	return map && map->exec;
}

static void add_places(const struct thread *thread, const struct maps *maps,
		       struct perfmap *out)
{
	for (size_t i = 0; i < thread->nframes; i++) {
		const struct frame *frame = &thread->frames[i];

		if (is_wanted(frame, maps))
			out->places[out->nplaces++] = frame_place(frame);
	}
}

static size_t count_candidates(const struct report *report)
{
	size_t n = 0;

	for (size_t i = 0; i < report->nthreads; i++) {
		const struct thread *thread = &report->threads[i];

		for (size_t k = 0; k < thread->nframes; k++)
			n += thread->frames[k].module < 0;
	}
	return n;
}

bool perfmap_want(const struct report *report, const struct maps *maps,
		  struct perfmap *out)
{
	size_t n = count_candidates(report), kept = 0;

	*out = (struct perfmap){ .fd = -1 };
	if (n > 0)
		out->places = malloc(n * sizeof(*out->places));
	if (!out->places)
		return false;
	for (size_t i = 0; i < report->nthreads; i++)
		add_places(&report->threads[i], maps, out);
	qsort(out->places, out->nplaces, sizeof(*out->places),
	      compare_places);
	for (size_t i = 0; i < out->nplaces; i++) {
		if (kept == 0 || out->places[kept - 1] != out->places[i])
			out->places[kept++] = out->places[i];
	}
	out->nplaces = kept;
	return kept > 0;
}

/* Whose it is */

/* Number INDEX behind LABEL in TEXT; the last one there is, if that is fewer.
 * False where there is none. */
static bool number_behind(const char *text, const char *label, int index,
			  uint32_t *out)
{
	const char *at = strstr(text, label);
	char *end;

	if (!at)
		return false;
	at += strlen(label);
	for (int i = 0; i <= index; i++) {
		unsigned long number;

		at += strspn(at, "\t ");
		number = strtoul(at, &end, 10);
		if (end == at || *at == '\n')
			return i > 0;
		*out = (uint32_t)number;
		at = end;
	}
	return true;
}

/* Seconds since the epoch at BOOT_NS of CLOCK_BOOTTIME; 0: not known. */
static int64_t since_epoch_s(int64_t boot_ns)
{
	struct timespec boot, now;

	if (clock_gettime(CLOCK_BOOTTIME, &boot) != 0 ||
	    clock_gettime(CLOCK_REALTIME, &now) != 0)
		return 0;
	return now.tv_sec - boot.tv_sec + boot_ns / NS_PER_S;
}

bool perfmap_owner_of(pid_t pid, char *root, size_t size,
		      struct perfmap_owner *out)
{
	char status[STATUS_LEN];
	enum { LAST = 64, EFFECTIVE = 1 }; /* namespaces are 32 deep */
	int64_t boot_ns;
	uint32_t uid;

	if (!pid_read(pid, "status", status, sizeof(status)) ||
	    !pid_began(pid, &boot_ns) ||
	    !number_behind(status, "\nNSpid:", LAST, &out->pid) ||
	    !number_behind(status, "\nUid:", EFFECTIVE, &uid))
		return false;
	snprintf(root, size, "/proc/%d/root", pid);
	out->root = root;
	out->uid = uid;
	out->began_s = since_epoch_s(boot_ns);
	return true;
}

bool perfmap_open(struct perfmap *map, const struct perfmap_owner *owner)
{
	char path[PATH_LEN];
	struct stat st;
	int fd;

	if (snprintf(path, sizeof(path), "%s/tmp/perf-%u.map", owner->root,
		     owner->pid) >= (int)sizeof(path))
		return false;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK |
				O_NOCTTY);
	if (fd < 0)
		return false;
	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) ||
	    (st.st_uid != 0 && st.st_uid != owner->uid) ||
	    st.st_mtime < owner->began_s - CLOCK_SLACK_S) {
		close(fd);
		return false;
	}
	map->is_open = true;
	map->fd = fd;
	map->len = (uint64_t)st.st_size;
	return true;
}

/* A line */

struct line {
	uint64_t start, size;
	const char *name;
	size_t name_len;
};

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)(c | 0x20);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* A hexadecimal number at *AT, with 0x (the JDK's) or without, and the space
 * behind it, which has to be there. */
static bool take_number(const char **at, const char *end, uint64_t *out)
{
	const char *p = *at;
	uint64_t value = 0;
	int digits = 0;

	if (end - p > 2 && p[0] == '0' && (p[1] | 0x20) == 'x')
		p += 2;
	for (; p < end && hex_digit(*p) >= 0; p++) {
		if (++digits > MAX_DIGITS)
			return false;
		value = value << 4 | (uint64_t)hex_digit(*p);
	}
	if (digits == 0 || p == end || (*p != ' ' && *p != '\t'))
		return false;
	while (p < end && (*p == ' ' || *p == '\t'))
		p++;
	*out = value;
	*at = p;
	return true;
}

/* The name up to END, or to what has no place in one, without half a character
 * where it is cut. */
static size_t name_len(const char *name, const char *end)
{
	size_t len = strnlen(name, (size_t)(end - name));

	if (len > MAX_JIT_NAME) {
		len = MAX_JIT_NAME;
		while (len > 0 && (name[len] & 0xc0) == 0x80)
			len--;
	}
	while (len > 0 && (name[len - 1] == ' ' || name[len - 1] == '\r'))
		len--;
	return len;
}

/* "START SIZE NAME". A size that no function has would take all names away
 * from those before it. */
static bool parse_line(const char *text, size_t len, struct line *out)
{
	const char *at = text, *end = text + len;

	if (!take_number(&at, end, &out->start) ||
	    !take_number(&at, end, &out->size) ||
	    out->size == 0 || out->size > MAX_JIT_SIZE)
		return false;
	out->name = at;
	out->name_len = name_len(at, end);
	return out->name_len > 0;
}

/* The file, backwards */

struct reading {
	struct perfmap *map;
	struct report *report;
	uint64_t at; /* what lies behind it in the file has been read */
	uint64_t least;
	size_t rest; /* bytes of a line that begins before AT */
};

/* The bytes before AT of the file end at CHUNK, and there the rest of the line
 * begins that goes on behind them. */
static char buffer[CHUNK + MAX_LINE];

static bool is_done(const struct reading *in)
{
	return in->map->nplaces == 0 || in->report->njit == MAX_JIT;
}

/* The first place at ADDRESS or above it. */
static size_t first_place(const struct perfmap *map, uint64_t address)
{
	size_t low = 0, high = map->nplaces;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (map->places[middle] < address)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* How many places LINE names; they are taken out. */
static size_t take_places(struct perfmap *map, const struct line *line)
{
	size_t first = first_place(map, line->start), behind = first;

	while (behind < map->nplaces &&
	       map->places[behind] - line->start < line->size)
		behind++;
	if (behind > first) {
		memmove(map->places + first, map->places + behind,
			(map->nplaces - behind) * sizeof(*map->places));
		map->nplaces -= behind - first;
	}
	return behind - first;
}

static void take_line(struct reading *in, const char *text, size_t len)
{
	struct report *report = in->report;
	struct jit_region *region;
	struct line line;

	if (is_done(in) || !parse_line(text, len, &line) ||
	    take_places(in->map, &line) == 0)
		return;
	region = &report->jit[report->njit];
	region->start = line.start;
	region->size = line.size;
	region->name = report_string(report, line.name, line.name_len);
	report->njit += region->name != NULL;
}

/* The lines of the buffer from START on, the last first. What is before the
 * first newline is the rest of a line that begins further up. */
static void take_lines(struct reading *in, const char *start)
{
	const char *end = buffer + CHUNK + in->rest, *newline;

	while ((newline = memrchr(start, '\n', (size_t)(end - start)))) {
		take_line(in, newline + 1, (size_t)(end - newline - 1));
		end = newline;
	}
	in->rest = (size_t)(end - start);
	if (in->rest > MAX_LINE)
		in->rest = MAX_LINE;
	memmove(buffer + CHUNK, start, in->rest);
}

/* LEN bytes of the file at AT. */
static bool read_at(const struct perfmap *map, char *to, size_t len,
		    uint64_t at)
{
	while (len > 0) {
		ssize_t n = pread(map->fd, to, len, (off_t)at);

		if (n <= 0)
			return false; /* it was cut meanwhile */
		to += n;
		at += (uint64_t)n;
		len -= (size_t)n;
	}
	return true;
}

/* The chunk before the ones that were read. */
static bool take_chunk(struct reading *in)
{
	uint64_t left = in->at - in->least;
	size_t n = left < CHUNK ? (size_t)left : CHUNK;
	char *start = buffer + CHUNK - n;

	if (!read_at(in->map, start, n, in->at - n))
		return false;
	in->at -= n;
	take_lines(in, start);
	return true;
}

void perfmap_read(struct perfmap *map, int64_t deadline_ms,
		  struct report *report)
{
	struct reading in = { .map = map, .report = report, .at = map->len };
	size_t most = map->nplaces < MAX_JIT ? map->nplaces : MAX_JIT;

	if (!map->is_open || most == 0)
		return;
	report->jit = report_alloc(report, most * sizeof(*report->jit));
	if (!report->jit)
		return;
	if (map->len > PERFMAP_MAX_TEXT)
		in.least = map->len - PERFMAP_MAX_TEXT;
	while (in.at > in.least && !is_done(&in)) {
		if (clock_monotonic_ms() >= deadline_ms || !take_chunk(&in))
			return;
	}
	if (in.at == 0)
		take_line(&in, buffer + CHUNK, in.rest);
}

void perfmap_close(struct perfmap *map)
{
	if (map->is_open)
		close(map->fd);
	free(map->places);
	*map = (struct perfmap){ .fd = -1 };
}
