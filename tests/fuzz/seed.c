/* Writes the first inputs of each fuzz target's corpus: `seed DIR`. What the
 * fuzzers found since is kept beside them. */
#include <stdio.h>
#include <sys/stat.h>

#include "../../lib/report/gzip.h"
#include "../../lib/report/meta.h"
#include "../../lib/report/minidump.h"
#include "../unit/sample.h"

static void put(const char *dir, const char *target, const char *name,
		const void *bytes, size_t len)
{
	char path[4096];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", dir, target);
	mkdir(path, 0777);
	snprintf(path, sizeof(path), "%s/%s/%s", dir, target, name);
	file = fopen(path, "w");
	if (file == NULL || fwrite(bytes, 1, len, file) != len ||
	    fclose(file) != 0) {
		perror(path);
		exit(1);
	}
}

static void put_gzip(const char *dir, const struct writer *dump)
{
	struct writer once, twice;

	writer_init(&once, MAX_REPORT_BYTES);
	writer_init(&twice, MAX_REPORT_BYTES);
	if (!gzip_pack(dump->bytes, dump->len, 6, &once, NULL) ||
	    !gzip_pack(once.bytes, once.len, 6, &twice, NULL))
		abort();
	put(dir, "gzip", "sample", once.bytes, once.len);
	put(dir, "gzip", "twice", twice.bytes, twice.len);
	writer_fini(&once);
	writer_fini(&twice);
	writer_init(&once, MAX_REPORT_BYTES);
	if (!gzip_pack("", 0, 6, &once, NULL))
		abort();
	put(dir, "gzip", "empty", once.bytes, once.len);
	writer_fini(&once);
}

static void put_reason(const char *dir, const struct report *report)
{
	struct writer w;

	writer_init(&w, MAX_REPORT_BYTES);
	writer_u8(&w, 11);
	writer_u8(&w, 1);
	writer_u64(&w, 0x7ffffffddff8);
	writer_bytes(&w, report->maps, report->maps_len);
	put(dir, "reason", "stack-overflow", w.bytes, w.len);
	writer_fini(&w);
}

int main(int argc, char **argv)
{
	struct report report;
	struct writer dump;
	size_t len = 0;
	char *json;

	if (argc != 2) {
		fprintf(stderr, "usage: seed DIR\n");
		return 2;
	}
	sample_make(&report);
	writer_init(&dump, MAX_REPORT_BYTES);
	if (!minidump_encode(&report, &dump, NULL))
		abort();
	put(argv[1], "minidump", "sample", dump.bytes, dump.len);
	put_gzip(argv[1], &dump);
	put_reason(argv[1], &report);
	report.threads[0].tid = 7;
	json = meta_encode(&report, &len);
	put(argv[1], "meta", "sample", json, len);
	free(json);
	writer_fini(&dump);
	report_free(&report);
	return 0;
}
