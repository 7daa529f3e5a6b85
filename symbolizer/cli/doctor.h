/* What `epitaph doctor` looks at. */
#ifndef EPITAPH_CLI_DOCTOR_H
#define EPITAPH_CLI_DOCTOR_H

#include <stdbool.h>
#include <stddef.h>

#include "cli.h"

enum finding { FINDING_OK, FINDING_WARN, FINDING_FAIL };

/* One line of the output. */
struct check {
	const char *name;
	enum finding finding;
	char text[512];   /* what was seen */
	char advice[512]; /* what to do about it; "" where nothing is */
};

enum { DOCTOR_MAX_CHECKS = 32 };

struct doctor {
	struct cli_options options;
	struct check checks[DOCTOR_MAX_CHECKS];
	size_t nchecks;
	int tier;          /* of the probe's report; 0: there was none */
	bool is_complete;
};

/* Add a line. */
struct check *doctor_add(struct doctor *doctor, const char *name,
			 enum finding finding, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
void doctor_advise(struct check *check, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* doctor_host.c: kernel, ptrace, namespaces, limits. */
void doctor_check_host(struct doctor *doctor);

/* doctor_probe.c: the shim, the helper, a real crash of a child under them,
 * and the symbols of its report. */
void doctor_check_probe(struct doctor *doctor);

/* doctor_collector.c: reachable, ready, token. */
void doctor_check_collector(struct doctor *doctor);

/* doctor_child.c: run a copy of this program under SHIM that crashes, with
 * SPOOL for its report; the signal that it died of, 0 for none. */
int doctor_crash_child(const char *shim, const char *spool);

/* What that child does: die of a write through a null pointer. */
_Noreturn void doctor_crash(void);

#endif
