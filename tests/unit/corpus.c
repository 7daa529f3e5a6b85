/* The fuzz targets over the corpus that is kept of them, so that what a fuzzer
 * once found stays found, on machines without one. */
#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include "test.h"

/* Each target's one function, under a name of its own. */
#define LLVMFuzzerTestOneInput fuzz_core
#include "../fuzz/core.c"
#undef LLVMFuzzerTestOneInput
#undef EPITAPH_TESTS_FUZZ_FUZZ_H
#define LLVMFuzzerTestOneInput fuzz_dwarf
#include "../fuzz/dwarf.c"
#undef LLVMFuzzerTestOneInput
#undef EPITAPH_TESTS_FUZZ_FUZZ_H
#define LLVMFuzzerTestOneInput fuzz_gzip
#include "../fuzz/gzip.c"
#undef LLVMFuzzerTestOneInput
#undef EPITAPH_TESTS_FUZZ_FUZZ_H
#define LLVMFuzzerTestOneInput fuzz_hitscan
#include "../fuzz/hitscan.c"
#undef LLVMFuzzerTestOneInput
#undef EPITAPH_TESTS_FUZZ_FUZZ_H
#define LLVMFuzzerTestOneInput fuzz_index
#include "../fuzz/index.c"
#undef LLVMFuzzerTestOneInput
#undef EPITAPH_TESTS_FUZZ_FUZZ_H
#define LLVMFuzzerTestOneInput fuzz_maps
#include "../fuzz/maps.c"
#undef LLVMFuzzerTestOneInput
#undef EPITAPH_TESTS_FUZZ_FUZZ_H
#define LLVMFuzzerTestOneInput fuzz_memory_of
#include "../fuzz/memory.c"
#undef LLVMFuzzerTestOneInput
#undef EPITAPH_TESTS_FUZZ_FUZZ_H
#define LLVMFuzzerTestOneInput fuzz_meta
#include "../fuzz/meta.c"
#undef LLVMFuzzerTestOneInput
#undef EPITAPH_TESTS_FUZZ_FUZZ_H
#define LLVMFuzzerTestOneInput fuzz_minidump
#include "../fuzz/minidump.c"
#undef LLVMFuzzerTestOneInput
#undef EPITAPH_TESTS_FUZZ_FUZZ_H
#define LLVMFuzzerTestOneInput fuzz_package
#include "../fuzz/package.c"
#undef LLVMFuzzerTestOneInput
#undef EPITAPH_TESTS_FUZZ_FUZZ_H
#define LLVMFuzzerTestOneInput fuzz_perfmap
#include "../fuzz/perfmap.c"
#undef LLVMFuzzerTestOneInput
#undef EPITAPH_TESTS_FUZZ_FUZZ_H
#define LLVMFuzzerTestOneInput fuzz_prologue
#include "../fuzz/prologue.c"
#undef LLVMFuzzerTestOneInput
#undef EPITAPH_TESTS_FUZZ_FUZZ_H
#define LLVMFuzzerTestOneInput fuzz_reason
#include "../fuzz/reason.c"
#undef LLVMFuzzerTestOneInput
#undef EPITAPH_TESTS_FUZZ_FUZZ_H
#define LLVMFuzzerTestOneInput fuzz_sym
#include "../fuzz/sym.c"
#undef LLVMFuzzerTestOneInput
#undef EPITAPH_TESTS_FUZZ_FUZZ_H
#define LLVMFuzzerTestOneInput fuzz_unwind
#include "../fuzz/unwind.c"
#undef LLVMFuzzerTestOneInput
#undef EPITAPH_TESTS_FUZZ_FUZZ_H
#define LLVMFuzzerTestOneInput fuzz_values
#include "../fuzz/values.c"

static void replay_file(const char *path,
			int (*target)(const uint8_t *data, size_t size))
{
	static uint8_t bytes[1 << 20];
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t len = fd < 0 ? -1 : read(fd, bytes, sizeof(bytes));
	uint8_t *exact;

	if (fd >= 0)
		close(fd);
	if (!CHECK(len >= 0))
		return;
	/* Of exactly that size, so that reading on is noticed. */
	exact = malloc(len > 0 ? (size_t)len : 1);
	memcpy(exact, bytes, (size_t)len);
	target(exact, (size_t)len);
	free(exact);
}

/* Every file of the corpus NAME; at least one, or nothing was tested. */
static void replay(const char *name,
		   int (*target)(const uint8_t *data, size_t size))
{
	char path[4096];
	struct dirent *entry;
	size_t n = 0;
	DIR *dir;

	snprintf(path, sizeof(path), TESTS "/fuzz/corpus/%s", name);
	dir = opendir(path);
	if (!CHECK(dir != NULL))
		return;
	while ((entry = readdir(dir)) != NULL) {
		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), TESTS "/fuzz/corpus/%s/%s", name,
			 entry->d_name);
		replay_file(path, target);
		n++;
	}
	closedir(dir);
	CHECK(n > 0);
}

static void replays_core(void)
{
	replay("core", fuzz_core);
}

static void replays_dwarf(void)
{
	replay("dwarf", fuzz_dwarf);
}

static void replays_gzip(void)
{
	replay("gzip", fuzz_gzip);
}

static void replays_hitscan(void)
{
	replay("hitscan", fuzz_hitscan);
}

static void replays_index(void)
{
	replay("index", fuzz_index);
}

static void replays_maps(void)
{
	replay("maps", fuzz_maps);
}

static void replays_memory(void)
{
	replay("memory", fuzz_memory_of);
}

static void replays_meta(void)
{
	replay("meta", fuzz_meta);
}

static void replays_minidump(void)
{
	replay("minidump", fuzz_minidump);
}

static void replays_package(void)
{
	replay("package", fuzz_package);
}

static void replays_perfmap(void)
{
	replay("perfmap", fuzz_perfmap);
}

static void replays_prologue(void)
{
	replay("prologue", fuzz_prologue);
}

static void replays_reason(void)
{
	replay("reason", fuzz_reason);
}

static void replays_sym(void)
{
	replay("sym", fuzz_sym);
}

static void replays_unwind(void)
{
	replay("unwind", fuzz_unwind);
}

static void replays_values(void)
{
	replay("values", fuzz_values);
}

int main(void)
{
	static const struct test tests[] = {
		{ "the cores' corpus does no harm", replays_core },
		{ "DWARF's corpus does no harm", replays_dwarf },
		{ "gzip's corpus does no harm", replays_gzip },
		{ "the hits' corpus does no harm", replays_hitscan },
		{ "the index's corpus does no harm", replays_index },
		{ "the maps' corpus does no harm", replays_maps },
		{ "a dead process's memory does no harm", replays_memory },
		{ "the JSON stream's corpus does no harm", replays_meta },
		{ "the minidump's corpus does no harm", replays_minidump },
		{ "the packages' corpus does no harm", replays_package },
		{ "perf's maps' corpus does no harm", replays_perfmap },
		{ "the corpus of code without tables does no harm",
		  replays_prologue },
		{ "the reason's corpus does no harm", replays_reason },
		{ "the symbol files' corpus does no harm", replays_sym },
		{ "the unwinder's corpus does no harm", replays_unwind },
		{ "the values' corpus does no harm", replays_values },
	};

	return TEST_RUN(tests);
}
