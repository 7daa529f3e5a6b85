/* epitaph symbols take: what a collector runs on an upload. It reads the file
 * itself, as whoever starts it has made a process that can be lost. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <jansson.h>

#include "../intake.h"
#include "symbols.h"

/* HTTP's word for what is wrong. */
static int status_of(const struct error *err)
{
	switch (err->code) {
	case ERR_BAD_DATA:
		return 400;
	case ERR_TOO_LARGE:
		return 413;
	case ERR_UNSUPPORTED:
		return 415;
	default:
		return 503;
	}
}

static json_t *say_taken(const struct intake *taken)
{
	char hex[2 * MAX_BUILD_ID + 1];

	build_id_format(&taken->id, hex);
	return json_pack("{s:s, s:b}", "build_id", hex, "new", taken->is_new);
}

int symbols_take(const char *store, uint64_t max, const char *path)
{
	struct intake_order order = {
		.store = store, .path = path, .moves = true,
		.serves = true,
		.max = max ? max : UINT64_MAX,
	};
	struct intake taken;
	struct error err;
	char *unpacked;
	json_t *said;
	bool ok;

	if (asprintf(&unpacked, "%s.plain", path) < 0)
		return CLI_FAILED;
	order.unpacked = unpacked;
	ok = intake(&order, &taken, &err);
	unlink(unpacked);
	said = ok ? say_taken(&taken)
		  : json_pack("{s:i, s:s}", "status", status_of(&err),
			      "detail", err.text);
	free(unpacked);
	if (said == NULL || json_dumpf(said, stdout, JSON_COMPACT) != 0)
		return CLI_FAILED;
	putchar('\n');
	json_decref(said);
	return fflush(stdout) == 0 ? CLI_DONE : CLI_FAILED;
}
