/* Files of any size that is allowed, and reports in them. */
#ifndef EPITAPH_CLI_INPUT_H
#define EPITAPH_CLI_INPUT_H

#include <stdbool.h>
#include <stddef.h>

#include "../../lib/report/bytes.h"
#include "../../lib/report/report.h"

/* Append all of PATH ("-": stdin) to OUT, at most OUT's limit. */
bool input_read(const char *path, struct writer *out, struct error *err);

/* Append the minidump in PATH to OUT, unpacked where it is gzip. */
bool input_minidump(const char *path, struct writer *out, struct error *err);

/* Decode the report in PATH. *OUT is for report_free(). */
bool input_report(const char *path, struct report *out, struct error *err);

#endif
