/* Modules that the program has unloaded, from what the shim noted each time it
 * was about to close some. The dead program may have overwritten that: texts
 * end where they have to, and what makes no sense is left out. */
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "crash.h"

_Static_assert((int)RECORD_MODULES == (int)MAX_UNLOADED &&
		       (int)RECORD_BUILD_ID == (int)MAX_BUILD_ID,
	       "a report has room for all that is noted");

/* The latest seen first; of those seen at once the order says nothing. */
static int compare_seen(const void *a, const void *b)
{
	const struct noted_module *x = a, *y = b;

	if (x->seen != y->seen)
		return x->seen > y->seen ? -1 : 1;
	return x->base < y->base ? -1 : x->base > y->base;
}

static bool makes_sense(const struct noted_module *noted)
{
	return noted->seen && noted->size && noted->size <= INT64_MAX &&
	       noted->base <= UINT64_MAX - noted->size &&
	       noted->id_len <= MAX_BUILD_ID;
}

/* A path below where the program was when it crashed, which may be another
 * place than where it was when it loaded the library; a file is believed by
 * its build-id alone. */
static const char *whole_path(const struct crash *crash, const char *path,
			      struct report *report)
{
	char text[PATH_MAX + sizeof(((struct noted_module *)0)->path)];
	ssize_t n = -1;

	if (strchr(path, '/') && path[0] != '/' && !crash->raw)
		n = readlink("/proc/self/cwd", text, PATH_MAX - 1);
	if (n <= 0)
		return report_string(report, path, strlen(path));
	while (strncmp(path, "./", 2) == 0)
		path += 2;
	text[n] = '/';
	memcpy(text + n + 1, path, strlen(path) + 1);
	return report_string(report, text, strlen(text));
}

/* Whether MODULE is there still, or again. */
static bool is_loaded(const struct report *report, const struct module *module)
{
	int32_t number = report_find_module(report, module->base);
	const struct module *there = report_module(report, number);

	return there && there->base == module->base &&
	       (!there->build_id.len || !module->build_id.len ||
		build_id_equal(&there->build_id, &module->build_id));
}

/* Whether code of no file, made by the program, lies where MODULE was: what is
 * in no module runs that. */
static bool is_replaced(const struct crash *crash, const struct report *report,
			const struct module *module)
{
	for (size_t i = 0; i < crash->maps.len; i++) {
		const struct map *map = &crash->maps.entries[i];

		if (map->exec && map->end > module->base &&
		    map->start < module->base + module->size &&
		    report_find_module(report, map->start) < 0)
			return true;
	}
	return false;
}

static void take_module(const struct crash *crash, struct noted_module *noted,
			struct report *report)
{
	struct module module = {
		.base = noted->base,
		.size = noted->size,
		.build_id.len = noted->id_len,
	};

	memcpy(module.build_id.bytes, noted->id, noted->id_len);
	if (is_loaded(report, &module) || is_replaced(crash, report, &module))
		return;
	noted->path[sizeof(noted->path) - 1] = '\0';
	module.path = whole_path(crash, noted->path, report);
	if (module.path)
		report->unloaded[report->nunloaded++] = module;
}

void crash_unloaded(struct crash *crash, struct report *report)
{
	uint64_t n = crash->record->nnoted;
	struct noted_module *noted;

	if (!n || n > RECORD_MODULES)
		return;
	noted = calloc(n, sizeof(*noted));
	report->unloaded = report_alloc(report,
					n * sizeof(*report->unloaded));
	if (noted && report->unloaded &&
	    crash_read(crash, crash->record->noted, noted,
		       n * sizeof(*noted)) == n * sizeof(*noted)) {
		qsort(noted, n, sizeof(*noted), compare_seen);
		for (uint64_t i = 0; i < n; i++) {
			if (makes_sense(&noted[i]))
				take_module(crash, &noted[i], report);
		}
	}
	free(noted);
}
