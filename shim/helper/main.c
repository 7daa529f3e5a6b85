/* The crash-time helper: started by the witness when the process is dead or
 * about to be, with an empty environment. Reads what it needs through the
 * witness and says so, writes the report to the spool and says so, ships it.
 * Its worst failure costs a report; the process has died its own death. */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "../../lib/report/clock.h"
#include "../../lib/report/gzip.h"
#include "../../lib/report/minidump.h"
#include "../../lib/spool/budget.h"
#include "../../lib/spool/http.h"
#include "../../lib/spool/ship.h"
#include "../../lib/spool/spool.h"
#include "crash.h"
#include "flush.h"
#include "sandbox.h"

enum {
	LIFE_S = 60,           /* killed by its own alarm after that */
	SHIP_MS = 10000,       /* for all requests together */
	OLDER_REPORTS = 16,    /* shipped after our own, */
	OLDER_RECORDS = 4,     /* and finished */
	GZIP_LEVEL = 5, /* with 25 modules 0.22 ms; 6 is 0.39 ms and 2 % fewer
	                 * bytes, 9 is 3.1 ms and another 2 % */
	CPU_S = 20,
	MEMORY_MIB = 1024,
	MAX_OPEN = 1024,       /* the modules of a raw record */
};

static int progress_fd = -1;
static int flush_fd = -1; /* where `epitaph flush` waits, if it has to */

static void report_progress(enum helper_progress progress)
{
	char byte = (char)progress;

	if (progress_fd < 0 || write(progress_fd, &byte, 1) == 1)
		return;
	if (errno == EPIPE || write(progress_fd, &byte, 1) != 1)
		progress_fd = -1; /* the witness is gone: nobody waits */
}

static void limit(int resource, rlim_t soft)
{
	struct rlimit now;

	if (getrlimit((__rlimit_resource_t)resource, &now) < 0)
		return;
	now.rlim_cur = soft < now.rlim_max ? soft : now.rlim_max;
	setrlimit((__rlimit_resource_t)resource, &now);
}

/* We are in the program's session until the report is safe: what its terminal
 * or its supervisor sends is not for us. */
static void ignore_signals(void)
{
	static const int sent[] = { SIGHUP,  SIGINT,  SIGQUIT, SIGTERM,
				    SIGPIPE, SIGTSTP, SIGTTIN, SIGTTOU };
	sigset_t none;

	for (size_t i = 0; i < sizeof(sent) / sizeof(*sent); i++)
		signal(sent[i], SIG_IGN);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

/* The program's limits are not ours: as much as its hard limits allow where we
 * need it, bounds of our own where hostile data might take it. */
static void limit_self(void)
{
	alarm(LIFE_S);
	limit(RLIMIT_CORE, 0);
	limit(RLIMIT_CPU, CPU_S);
	limit(RLIMIT_AS, (rlim_t)MEMORY_MIB << 20);
	limit(RLIMIT_FSIZE, RLIM_INFINITY);
	limit(RLIMIT_NOFILE, MAX_OPEN);
	prctl(PR_SET_NAME, "epitaph-helper");
}

/* jansson would open /dev/urandom for this. */
static void seed_json(void)
{
	size_t seed = 0;

	if (getrandom(&seed, sizeof(seed), GRND_NONBLOCK) != sizeof(seed))
		seed = (size_t)clock_monotonic_us();
	json_object_seed(seed | 1);
}

static bool pack(const struct report *report, struct writer *gz_out,
		 struct error *err)
{
	struct writer plain;
	bool done;

	writer_init(&plain, MAX_REPORT_BYTES);
	done = minidump_encode(report, &plain, err) &&
	       gzip_pack(plain.bytes, plain.len, GZIP_LEVEL, gz_out, err);
	writer_fini(&plain);
	return done;
}

static bool open_spool(const struct crash_settings *settings,
		       struct spool *spool_out, struct error *err)
{
	const struct spool_where where = {
		.spool = settings->spool,
		.state_home = settings->state_home,
		.home = settings->home,
	};

	return spool_open(&where, spool_out, err) ||
	       spool_open(&where, spool_out, err);
}

/* Crashes that will only be counted are of this report's kind: in the name of
 * UID, who crashed. */
static void keep_hit(const struct crash_record *record, uint32_t uid,
		     const struct report *report, struct spool *spool)
{
	if (record->budget_key && record->budget_keep)
		budget_keep(spool, uid, record->budget_slot,
			    record->budget_key, report);
}

/* Our own report first, from memory; then what earlier crashes left. */
static void ship(const struct crash_settings *settings,
		 const struct report *report, const struct writer *gz,
		 struct spool *spool)
{
	enum ship_outcome outcome;
	struct ship_count count;
	struct budget_count counted;
	struct error err = { 0 };
	struct http http;
	struct shipper shipper = {
		.post = http_post,
		.context = &http,
		.token = settings->token[0] ? settings->token : NULL,
	};

	if (!http_open(settings->url, clock_monotonic_ms() + SHIP_MS, &http,
		       &err))
		return;
	outcome = ship_report(&shipper, gz->bytes, gz->len, NULL, &err);
	if (outcome == SHIP_DONE)
		spool_remove(spool, report->id);
	else if (outcome == SHIP_REFUSED)
		spool_refuse(spool, report->id);
	if (outcome != SHIP_LATER &&
	    budget_ship(&shipper, spool, http.deadline_ms, &counted, &err))
		ship_spool(&shipper, spool, OLDER_REPORTS, http.deadline_ms,
			   &count, &err);
	http_close(&http);
}

static int descriptor(const char *text)
{
	unsigned long number = strtoul(text, NULL, 10);

	return number < 1024 ? (int)number : -1;
}

static void prepare_shipping(const struct crash_settings *settings)
{
	if (settings->url[0] && !http_can(settings->url))
		flush_fd = flush_prepare(settings);
}

static bool make_report(struct crash *crash, struct report *report,
			struct writer *gz_out, struct error *err)
{
	sandbox_enter();
	if (!crash_map(crash, err) || !crash_collect(crash, report, err))
		return false;
	if (!crash_is_there(crash))
		return fail(err, ERR_NOT_FOUND, "the witness did not wait");
	/* One that waits for the report does not wait for this. */
	if (!crash->record->late)
		report_progress(HELPER_HOLDS);
	crash_read_jit(crash, report);
	crash_conclude(crash, report);
	return pack(report, gz_out, err);
}

/* The same of the raw record ID in SPOOL, whose bytes CRASH then refers to:
 * they go with the process. */
static bool make_from_raw(struct crash *crash, struct spool *spool,
			  const char *id, struct report *report,
			  struct writer *gz_out, struct error *err)
{
	struct writer raw;

	writer_init(&raw, MAX_REPORT_BYTES);
	return spool_take_raw(spool, id, &raw, err) &&
	       crash_open_raw(crash, raw.bytes, raw.len, err) &&
	       make_report(crash, report, gz_out, err) &&
	       (strcmp(report->id, id) == 0 ||
		fail(err, ERR_BAD_DATA, "raw record: it says it is %s",
		     report->id));
}

static bool store(struct spool *spool, const struct report *report,
		  const struct writer *gz, uint64_t max, struct error *err)
{
	/* What fails once may have been a moment's shortage. */
	if (!spool_put(spool, report->id, gz->bytes, gz->len, max, err) &&
	    !spool_put(spool, report->id, gz->bytes, gz->len, max, err))
		return false;
	spool_remove_raw(spool, report->id);
	return true;
}

static void send_report(struct crash *crash, const struct report *report,
			const struct writer *gz, struct spool *spool)
{
	const struct crash_settings *settings = &crash->record->settings;

	if (!settings->url[0])
		return;
	if (flush_fd >= 0)
		flush_order(flush_fd, spool->path, report->id);
	else
		ship(settings, report, gz, spool);
}

/* Make a report of the raw record ID, and keep it. */
static bool finish_raw(struct spool *spool, const char *id,
		       struct error *err)
{
	struct crash crash = { .mem = -1, .maps_fd = -1, .proc = -1 };
	struct report report;
	struct writer gz;

	writer_init(&gz, MAX_REPORT_BYTES);
	if (!report_init(&report, err) ||
	    !make_from_raw(&crash, spool, id, &report, &gz, err) ||
	    !store(spool, &report, &gz, crash.record->settings.spool_max, err))
		return false;
	keep_hit(crash.record, crash.record->uid, &report, spool);
	return true;
}

/* What tier 4 has left before us, now that our own work is done: should that
 * kill us, nothing is lost. */
static void finish_older(struct spool *spool)
{
	char ids[OLDER_RECORDS][37];
	struct error err;
	size_t n = spool_list(spool, SPOOL_RAW, ids, OLDER_RECORDS);

	for (size_t i = 0; i < n; i++)
		finish_raw(spool, ids[i], &err);
}

/* As the witness starts us: the process is dead, or waits for us. Where we are
 * so late that the witness has gone, it has left the record in the spool. */
static bool report_crash(struct crash *crash, uint64_t address,
			 struct error *err)
{
	const struct crash_settings *settings;
	struct crash left = { .mem = -1, .maps_fd = -1, .proc = -1 };
	struct spool spool = { .dir = -1 };
	struct report report;
	struct writer gz;
	bool made, stored;

	writer_init(&gz, MAX_REPORT_BYTES);
	if (!report_init(&report, err) || !crash_open(crash, address, err))
		return false;
	settings = &crash->record->settings;
	prepare_shipping(settings);
	made = make_report(crash, &report, &gz, err);
	if (!made && crash_is_there(crash))
		return false; /* the witness sees to it */
	stored = open_spool(settings, &spool, err);
	if (stored && !made) {
		report_free(&report);
		made = report_init(&report, err) &&
		       make_from_raw(&left, &spool, crash->record->id,
				     &report, &gz, err);
	}
	stored = stored && made &&
		 store(&spool, &report, &gz, settings->spool_max, err);
	if (stored) /* before a namespace that ends with its process 1 */
		keep_hit(crash->record, geteuid(), &report, &spool);
	report_progress(stored ? HELPER_DURABLE : HELPER_FAILED);
	setsid();
	if (stored) {
		send_report(crash, &report, &gz, &spool);
		finish_older(&spool);
	}
	spool_close(&spool);
	writer_fini(&gz);
	report_free(&report);
	return stored;
}

/* As `epitaph flush` starts us, for the raw record ID in the spool at PATH. */
static bool finish_one(const char *path, const char *id, struct error *err)
{
	const struct spool_where where = { .spool = path };
	struct spool spool;

	return spool_open(&where, &spool, err) &&
	       finish_raw(&spool, id, err);
}

static int usage(void)
{
	fprintf(stderr, "epitaph-helper: started by libepitaph.so when a "
			"program crashes, and by `epitaph flush`; see "
			"`epitaph run --help`\n");
	return 2;
}

int main(int argc, char **argv)
{
	struct crash crash = { .mem = -1, .maps_fd = -1, .proc = -1 };
	struct error err = { 0 };
	bool done;

	if (argc == 4 && strcmp(argv[1], "--finish") == 0) {
		limit_self();
		done = finish_one(argv[2], argv[3], &err);
		if (!done)
			fprintf(stderr, "epitaph-helper: %s\n", err.text);
		return done ? 0 : 1;
	}
	if (argc != ARG_COUNT)
		return usage();
	ignore_signals();
	seed_json();
	umask(077); /* the program's own may be anything */
	limit_self();
	crash.witness = (pid_t)strtoul(argv[ARG_WITNESS], NULL, 10);
	crash.mem = descriptor(argv[ARG_MEM]);
	crash.maps_fd = descriptor(argv[ARG_MAPS]);
	crash.proc = descriptor(argv[ARG_PROC]);
	progress_fd = descriptor(argv[ARG_PIPE]);
	done = report_crash(&crash, strtoull(argv[ARG_RECORD], NULL, 10),
			    &err);
	crash_close(&crash);
	return done ? 0 : 1;
}
