/* Makes a report for tests of the collector, with the codec that the helper
 * uses, so that such tests need no crash. Writes it to stdout, gzipped.
 *
 *   mkreport [--id ID] [--exact HEX] [--signal N] [--exe PATH] [--host NAME]
 *            [--release NAME] [--tag KEY=VALUE] [--offset N]... [--fill BYTES]
 *            [--plain]
 *
 * Frames lie at the OFFSETs of the executable. --fill adds that many bytes of
 * memory, all alike, so that the report unpacks to much more than it is. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "../../lib/report/fingerprint.h"
#include "../../lib/report/gzip.h"
#include "../../lib/report/minidump.h"
#include "../../lib/report/uuid.h"

enum { MAX_OFFSETS = 64, BASE = 0x400000, SIZE = 0x100000 };

struct wish {
	const char *id, *exact, *exe, *host, *release;
	char *tag;
	int signal;
	uint64_t offsets[MAX_OFFSETS];
	size_t noffsets;
	size_t fill;
	bool plain;
};

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static bool parse(int argc, char **argv, struct wish *wish)
{
	static const struct option options[] = {
		{ "id", required_argument, NULL, 'i' },
		{ "exact", required_argument, NULL, 'x' },
		{ "signal", required_argument, NULL, 's' },
		{ "exe", required_argument, NULL, 'e' },
		{ "host", required_argument, NULL, 'h' },
		{ "release", required_argument, NULL, 'r' },
		{ "tag", required_argument, NULL, 't' },
		{ "offset", required_argument, NULL, 'o' },
		{ "fill", required_argument, NULL, 'f' },
		{ "plain", no_argument, NULL, 'p' },
		{ NULL, 0, NULL, 0 },
	};
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == 'i')
			wish->id = optarg;
		else if (c == 'x')
			wish->exact = optarg;
		else if (c == 's')
			wish->signal = (int)strtol(optarg, NULL, 10);
		else if (c == 'e')
			wish->exe = optarg;
		else if (c == 'h')
			wish->host = optarg;
		else if (c == 'r')
			wish->release = optarg;
		else if (c == 't')
			wish->tag = optarg;
		else if (c == 'o' && wish->noffsets < MAX_OFFSETS)
			wish->offsets[wish->noffsets++] =
				strtoull(optarg, NULL, 0);
		else if (c == 'f')
			wish->fill = strtoull(optarg, NULL, 0);
		else if (c == 'p')
			wish->plain = true;
		else
			return false;
	}
	return optind == argc;
}

static bool set_id(struct report *report, const char *id)
{
	uint8_t random[10];

	if (id != NULL) {
		snprintf(report->id, sizeof(report->id), "%s", id);
		return true;
	}
	if (getrandom(random, sizeof(random), 0) != sizeof(random))
		return false;
	uuid_format(report->time_ms, random, report->id);
	return true;
}

static bool set_thread(struct report *report, const struct wish *wish)
{
	struct thread *thread = report_alloc(report, sizeof(*thread));
	struct frame *frames = report_alloc(report, MAX_OFFSETS *
					    sizeof(*frames));

	if (thread == NULL || frames == NULL)
		return false;
	for (size_t i = 0; i < wish->noffsets; i++) {
		frames[i].pc = BASE + wish->offsets[i];
		frames[i].offset = wish->offsets[i];
		frames[i].trust = i == 0 ? TRUST_CONTEXT : TRUST_CFI;
	}
	thread->tid = report->pid;
	thread->name = "main";
	thread->crashed = true;
	thread->has_registers = true;
	thread->registers.value[R_RIP] = frames[0].pc;
	thread->registers.valid = 1u << R_RIP;
	thread->frames = frames;
	thread->nframes = wish->noffsets;
	thread->depth = wish->noffsets;
	report->threads = thread;
	report->nthreads = 1;
	return true;
}

static bool set_module(struct report *report)
{
	struct module *module = report_alloc(report, sizeof(*module));

	if (module == NULL)
		return false;
	module->path = report->exe;
	module->base = BASE;
	module->size = SIZE;
	module->build_id.len = 20;
	memset(module->build_id.bytes, 0xab, 20);
	report->modules = module;
	report->nmodules = 1;
	return true;
}

static bool set_fill(struct report *report, size_t fill)
{
	struct memory_range *range = report_alloc(report, sizeof(*range));

	if (range == NULL)
		return false;
	range->address = 0x10000000;
	range->len = fill;
	range->bytes = report_alloc(report, fill);
	report->memory = range;
	report->nmemory = 1;
	return range->bytes != NULL;
}

static bool set_tag(struct report *report, char *text)
{
	struct tag *tag = report_alloc(report, sizeof(*tag));
	char *equals = strchr(text, '=');

	if (tag == NULL || equals == NULL)
		return false;
	*equals = '\0';
	tag->key = text;
	tag->value = equals + 1;
	report->tags = tag;
	report->ntags = 1;
	return true;
}

static bool fill_in(struct report *report, const struct wish *wish)
{
	report->time_ms = now_ms();
	report->tier = 1;
	report->complete = true;
	report->host = wish->host;
	report->arch = "x86_64";
	report->pid = 4711;
	report->exe = wish->exe;
	report->release = wish->release;
	report->signal = wish->signal;
	if (!set_id(report, wish->id) || !set_thread(report, wish) ||
	    !set_module(report) ||
	    (wish->tag != NULL && !set_tag(report, wish->tag)) ||
	    (wish->fill > 0 && !set_fill(report, wish->fill)))
		return false;
	if (wish->exact != NULL)
		snprintf(report->exact, sizeof(report->exact), "%s",
			 wish->exact);
	else
		fingerprint_exact(report, report->exact);
	return true;
}

static bool put(const struct report *report, bool plain, struct error *err)
{
	struct writer dump, packed;
	bool ok;

	writer_init(&dump, (size_t)1 << 30);
	writer_init(&packed, (size_t)1 << 30);
	ok = minidump_encode(report, &dump, err) &&
	     (plain || gzip_pack(dump.bytes, dump.len, 6, &packed, err));
	if (ok && plain)
		fwrite(dump.bytes, 1, dump.len, stdout);
	else if (ok)
		fwrite(packed.bytes, 1, packed.len, stdout);
	writer_fini(&dump);
	writer_fini(&packed);
	return ok;
}

int main(int argc, char **argv)
{
	struct wish wish = { .exe = "/usr/bin/test-program", .host = "host",
			     .signal = 11 };
	struct error err = { .text = "cannot make the report" };
	struct report report;
	bool ok;

	if (!parse(argc, argv, &wish)) {
		fputs("mkreport: see its source\n", stderr);
		return 2;
	}
	if (wish.noffsets == 0)
		wish.offsets[wish.noffsets++] = 0x1000;
	if (!report_init(&report, &err))
		return 1;
	ok = fill_in(&report, &wish) && put(&report, wish.plain, &err);
	report_free(&report);
	if (!ok)
		fprintf(stderr, "mkreport: %s\n", err.text);
	return ok ? 0 : 1;
}
