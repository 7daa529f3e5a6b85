/* Writes the first inputs of each fuzz target's corpus: `seed DIR`. What the
 * fuzzers found since is kept beside them, as are ELF files that compilers made
 * of a few lines, for the target `dwarf`. */
#include <stdio.h>
#include <sys/stat.h>

#include "../../lib/report/gzip.h"
#include "../../lib/report/meta.h"
#include "../../lib/report/minidump.h"
#include "../../symbolizer/index/build.h"
#include "../../symbolizer/index/format.h"
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

/* One function with another name and two inlined into it, a symbol, and a tail
 * call. */
static void tell_index(struct build *build)
{
	const struct build_call calls[] = {
		{ .caller = 0x1000, .return_pc = 0x1008, .callee = 0x1040 },
		{ .caller = 0x1040, .return_pc = 0x1050, .callee = 0x1000,
		  .is_tail = true },
	};
	struct symtab symtab = { .symbols = calloc(1, sizeof(struct symbol)),
				 .len = 1 };
	uint32_t scope = build_scope(build, build_function(build, "f", true),
				     0x1000);

	for (uint32_t i = 0; i < 3; i++) {
		const struct build_row row = {
			0x1000 + 16 * i, 16, scope,
			build_file(build, i ? "b.h" : "a.c"), 100 * i,
		};

		build_add(build, &row);
		scope = build_inlined(build, scope,
				      build_function(build, "g", false),
				      build_file(build, "a.c"), i);
	}
	symtab.symbols[0] = (struct symbol){ 0x1000, 0x1100, "f", "a.c", 1, 0,
					     true };
	symtab_finish(&symtab);
	build_symbols(build, &symtab);
	symtab_fini(&symtab);
	build_folded(build, 0x1000, "h", BUILD_LINKAGE);
	build_entry(build, 0x1000, false);
	build_entry(build, 0x1040, true);
	build_call(build, &calls[0]);
	build_call(build, &calls[1]);
}

/* As tests/fuzz/index.c reads it. */
static void put_index(const char *dir)
{
	const struct build_module module = { .base = 0x1000, .source = "f" };
	struct build *build = build_new();
	size_t tables = INDEX_CHUNK;
	struct writer index, w;

	writer_init(&index, 1 << 20);
	writer_init(&w, 1 << 20);
	tell_index(build);
	if (!build_write(build, &module, &index))
		abort();
	while (index.bytes[tables - 1] == 0)
		tables--;
	writer_u16(&w, (uint16_t)tables);
	writer_bytes(&w, index.bytes, tables);
	writer_bytes(&w, index.bytes + INDEX_CHUNK, index.len - INDEX_CHUNK);
	put(dir, "index", "sample", w.bytes, w.len);
	build_free(build);
	writer_fini(&index);
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
	put_index(argv[1]);
	report.threads[0].tid = 7;
	json = meta_encode(&report, &len);
	put(argv[1], "meta", "sample", json, len);
	free(json);
	writer_fini(&dump);
	report_free(&report);
	return 0;
}
