/* A real crash of a child under the shim, into a spool of its own, and what
 * can be said of its report. */
#include "doctor.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "../../lib/report/siginfo.h"
#include "../../lib/spool/spool.h"
#include "../symbolize.h"
#include "input.h"
#include "install.h"

enum {
	WAIT_MS = 5000, /* the report comes after the death, by milliseconds */
	STEP_MS = 5,
};

static bool find_shim(struct doctor *doctor, char shim[PATH_MAX])
{
	struct check *check;
	struct error err;

	if (install_find("libepitaph.so", shim, &err)) {
		doctor_add(doctor, "shim", FINDING_OK, "%s", shim);
		return true;
	}
	check = doctor_add(doctor, "shim", FINDING_FAIL, "%s", err.text);
	doctor_advise(check, "install it there (make install)");
	return false;
}

static void check_helper(struct doctor *doctor)
{
	const char *set = getenv("EPITAPH_HELPER");
	struct check *check;
	char path[PATH_MAX];
	struct error err;

	if (set && *set)
		snprintf(path, sizeof(path), "%s", set);
	else if (!install_find("epitaph-helper", path, &err))
		snprintf(path, sizeof(path), "epitaph-helper");
	if (access(path, X_OK) == 0) {
		doctor_add(doctor, "helper", FINDING_OK, "%s", path);
		return;
	}
	check = doctor_add(doctor, "helper", FINDING_WARN, "%.400s: %s; the "
			   "shim's own copy is used", path, strerror(errno));
	doctor_advise(check, "it belongs beside libepitaph.so, or where "
		      "EPITAPH_HELPER says: epitaph flush needs it for raw "
		      "records");
}

static void check_spool(struct doctor *doctor)
{
	struct spool_where where = {
		.spool = doctor->options.spool ? doctor->options.spool
					       : getenv("EPITAPH_SPOOL"),
		.state_home = getenv("XDG_STATE_HOME"),
		.home = getenv("HOME"),
	};
	struct check *check;
	struct spool spool;
	struct error err;

	if (spool_open(&where, &spool, &err)) {
		doctor_add(doctor, "spool", FINDING_OK, "%.480s", spool.path);
		spool_close(&spool);
		return;
	}
	check = doctor_add(doctor, "spool", FINDING_FAIL, "%s", err.text);
	doctor_advise(check, "mkdir -m 1733 /var/spool/epitaph as root, or "
		      "set EPITAPH_SPOOL");
}

/* The path of a report in DIR, if there is one. */
static bool find_report(const char *dir, char path[PATH_MAX])
{
	struct dirent *entry;
	bool found = false;
	DIR *handle = opendir(dir);

	if (handle == NULL)
		return false;
	while (!found && (entry = readdir(handle)) != NULL) {
		const char *dot = strchr(entry->d_name, '.');

		if (dot && dot != entry->d_name && !strcmp(dot, ".dmp.gz"))
			found = snprintf(path, PATH_MAX, "%s/%s", dir,
					 entry->d_name) < PATH_MAX;
	}
	closedir(handle);
	return found;
}

static bool wait_for_report(const char *dir, char path[PATH_MAX])
{
	const struct timespec step = { 0, STEP_MS * 1000000 };

	for (int waited = 0; waited < WAIT_MS; waited += STEP_MS) {
		if (find_report(dir, path))
			return true;
		nanosleep(&step, NULL);
	}
	return false;
}

static void check_tier(struct doctor *doctor, const struct report *report)
{
	const struct thread *thread = report_crashed_thread(report);
	bool good = report->tier == 1 && report->complete;
	struct check *check;

	doctor->tier = report->tier;
	doctor->is_complete = report->complete;
	check = doctor_add(doctor, "probe", good ? FINDING_OK : FINDING_FAIL,
			   "a child crashed: tier %d, %s, %zu frames, "
			   "%" PRId64 " us frozen, %" PRId64 " us in all",
			   report->tier,
			   report->complete ? "complete" : "incomplete",
			   thread ? thread->nframes : 0, report->frozen_us,
			   report->total_us);
	if (!good)
		doctor_advise(check, "%s", report->tier_reason
				? report->tier_reason
				: "see what failed above");
}

static const char *basename_of(const char *path)
{
	const char *slash = path ? strrchr(path, '/') : NULL;

	return slash ? slash + 1 : "";
}

/* libc is in every stack, so its debug information is worth most. */
static void check_symbols(struct doctor *doctor, struct report *report)
{
	struct symbolize_options options = {
		.dirs = doctor->options.dirs, .ndirs = doctor->options.ndirs,
		.leaves_nothing = true,
	};
	struct symbolized symbolized;
	struct check *check;
	struct error err;

	if (!symbolize(report, &options, &symbolized, &err)) {
		doctor_add(doctor, "symbols", FINDING_WARN, "%s", err.text);
		return;
	}
	for (size_t i = 0; i < report->nmodules; i++) {
		const struct module_symbols *found = &symbolized.modules[i];

		if (strncmp(basename_of(report->modules[i].path), "libc.so",
			    7) != 0)
			continue;
		if (found->status == SYMBOLS_FOUND) {
			doctor_add(doctor, "symbols", FINDING_OK,
				   "libc's are in %.400s", found->debug);
			return;
		}
		check = doctor_add(doctor, "symbols", FINDING_WARN,
				   "libc's are not there");
		doctor_advise(check, "apt install libc6-dbg, or -S DIR");
		return;
	}
	doctor_add(doctor, "symbols", FINDING_WARN,
		   "the probe's report has no libc");
}

/* Look at the report in PATH. */
static void examine(struct doctor *doctor, const char *path)
{
	struct report report;
	struct error err;

	if (!input_report(path, &report, &err)) {
		doctor_add(doctor, "probe", FINDING_FAIL,
			   "its report cannot be read: %s", err.text);
		return;
	}
	check_tier(doctor, &report);
	check_symbols(doctor, &report);
	report_free(&report);
}

static void crash(struct doctor *doctor, const char *shim, const char *dir)
{
	int signal = doctor_crash_child(shim, dir);
	const char *name = signal_name(signal);
	struct check *check;
	char path[PATH_MAX];

	if (name == NULL || strcmp(name, "SIGSEGV") != 0)
		doctor_add(doctor, "status", FINDING_FAIL,
			   "a child that should die of SIGSEGV died of %s",
			   name ? name : "none");
	else
		doctor_add(doctor, "status", FINDING_OK,
			   "a crash under the shim is the same SIGSEGV");
	if (wait_for_report(dir, path)) {
		examine(doctor, path);
		unlink(path);
		return;
	}
	check = doctor_add(doctor, "probe", FINDING_FAIL,
			   "a child crashed and left no report");
	doctor_advise(check, "run epitaph run -s /tmp/spool -- sh -c "
		      "'kill -SEGV $$' with EPITAPH_STDERR=1");
}

void doctor_check_probe(struct doctor *doctor)
{
	const char *tmp = getenv("TMPDIR");
	char shim[PATH_MAX], dir[PATH_MAX], below[PATH_MAX + 16];

	check_spool(doctor);
	check_helper(doctor);
	if (!find_shim(doctor, shim))
		return;
	snprintf(dir, sizeof(dir), "%.4000s/epitaph-doctor-XXXXXX",
		 tmp && *tmp ? tmp : "/tmp");
	if (mkdtemp(dir) == NULL) {
		doctor_add(doctor, "probe", FINDING_FAIL, "%.400s: %s", dir,
			   strerror(errno));
		return;
	}
	crash(doctor, shim, dir);
	snprintf(below, sizeof(below), "%s/refused", dir);
	rmdir(below);
	snprintf(below, sizeof(below), "%s/.lock", dir);
	unlink(below);
	if (rmdir(dir) != 0)
		cli_failf("doctor", dir, "rmdir: %m");
}
