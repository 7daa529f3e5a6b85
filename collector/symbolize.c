/* The symbolize role: asks the store for reports that have no names yet and
 * gives each to a disposable `epitaph symbolize --json`. It does not open
 * reports; what the child prints is measured, parsed as JSON and boiled down
 * to the few fields that group it. */
#include <inttypes.h>
#include <jansson.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../lib/report/fingerprint.h"
#include "../lib/report/gzip.h"
#include "child.h"
#include "../lib/report/clock.h"
#include "log.h"
#include "program.h"
#include "role.h"
#include "text.h"
#include "wire.h"

enum {
	MAX_JOBS = 2,
	DEADLINE_MS = 60000,
	CPU_S = 60,
	MAX_OUTPUT = WIRE_MAX_DOCUMENT,
	LOOK_MS = 5000, /* for a program that is not there */
	STORE_OUT = 64 << 20,
};

#define JOB_FILE ((uint64_t)2 << 30) /* of an index */

struct running {
	struct child child;
	struct job job;
};

struct symbolize_role {
	struct role *role;
	struct channel store;
	struct running jobs[MAX_JOBS];
	unsigned asked;  /* jobs asked for and not come yet */
	bool off;        /* no program */
	int64_t looked_ms;
};

struct order {
	const struct settings *settings;
	const struct job *job;
};

static void be_the_child(void *context)
{
	const struct order *order = context;
	const struct settings *settings = order->settings;
	char path[CONFIG_PATH + WIRE_FILE + 2], timeout[16], max[24];
	char *argv[PROGRAM_ARGS] = {
		"epitaph", "symbolize", "--json", path,
		"--debuginfod-timeout", timeout, "--debuginfod-max", max,
	};
	size_t n = 8;

	snprintf(path, sizeof(path), "%s/%s", settings->data,
		 order->job->file);
	snprintf(timeout, sizeof(timeout), "%u", settings->debuginfod_s);
	snprintf(max, sizeof(max), "%" PRIu64, settings->max_symbols);
	for (uint32_t i = 0; i < settings->ndebuginfod; i++) {
		argv[n++] = "--debuginfod";
		argv[n++] = (char *)(uintptr_t)settings->debuginfod[i];
	}
	child_limit(RLIMIT_CPU, CPU_S);
	program_exec(settings, argv, JOB_FILE);
}

/* The outcome and, where it is none to be proud of, why. */
static enum job_outcome judge(const struct child *child, char *why, size_t cap)
{
	const char *said = child->complaint;

	why[0] = '\0';
	if (child->late || (WIFSIGNALED(child->status) &&
			    WTERMSIG(child->status) == SIGXCPU)) {
		snprintf(why, cap, "no end in %d s", DEADLINE_MS / 1000);
		return JOB_DEADLINE;
	}
	if (child->flooded) {
		snprintf(why, cap, "more than %d bytes of output", MAX_OUTPUT);
		return JOB_FAILED;
	}
	if (WIFSIGNALED(child->status)) {
		snprintf(why, cap, "signal %d: %s", WTERMSIG(child->status),
			 said);
		return JOB_FAILED;
	}
	if (WEXITSTATUS(child->status) == 126 ||
	    WEXITSTATUS(child->status) == 127) {
		snprintf(why, cap, "the program did not start");
		return JOB_OUTAGE;
	}
	if (WEXITSTATUS(child->status) != 0) {
		snprintf(why, cap, "status %d: %s",
			 WEXITSTATUS(child->status), said);
		return JOB_FAILED;
	}
	return JOB_DONE;
}

static struct slice string_member(const json_t *object, const char *key)
{
	return slice_of(json_string_value(json_object_get(object, key)));
}

/* How many frames there are of each module that has no symbols, by build-id.
 * NULL without memory. */
static json_t *count_missing(const json_t *json)
{
	json_t *counts = json_object();
	json_t *each, *frame;
	size_t i, j;

	json_array_foreach(json_object_get(json, "modules"), i, each) {
		struct slice status = string_member(each, "symbols");
		const char *id = json_string_value(
			json_object_get(each, "build_id"));

		if (id != NULL && slice_is(status, "missing"))
			json_object_set_new(counts, id, json_integer(0));
	}
	json_array_foreach(json_object_get(json, "threads"), i, each) {
		json_array_foreach(json_object_get(each, "frames"), j, frame) {
			const char *id = json_string_value(
				json_object_get(frame, "build_id"));
			json_t *count = json_object_get(counts, id);

			if (count != NULL)
				json_integer_set(count,
						 json_integer_value(count) + 1);
		}
	}
	return counts;
}

/* The modules that symbols would help with. Past the limit those count that
 * come first: the program, and what it was linked with. */
static void read_lacks(const json_t *json, struct job_done *done)
{
	json_t *counts = count_missing(json);
	json_t *module;
	size_t i;

	json_array_foreach(json_object_get(json, "modules"), i, module) {
		struct lack *lack = &done->lacks[done->nlacks];
		const char *id = json_string_value(
			json_object_get(module, "build_id"));
		json_int_t frames = json_integer_value(
			json_object_get(counts, id));

		if (done->nlacks == WIRE_LACKS)
			break;
		memset(lack, 0, sizeof(*lack));
		if (frames <= 0 || !build_id_parse(id, &lack->id))
			continue;
		lack->path = string_member(module, "path");
		lack->frames = frames > UINT32_MAX ? UINT32_MAX
						   : (uint32_t)frames;
		done->nlacks++;
		json_object_del(counts, id); /* it may be there twice */
	}
	json_decref(counts);
}

/* Take from the document what groups it. False where it is none. */
static bool read_document(const json_t *json, struct job_done *done)
{
	const json_t *fingerprint = json_object_get(json, "fingerprint");
	struct slice semantic = string_member(fingerprint, "semantic");

	if (!json_is_object(json) ||
	    !json_is_array(json_object_get(json, "threads")))
		return false;
	done->title = string_member(fingerprint, "title");
	done->reason = string_member(json, "reason");
	done->signal = string_member(json_object_get(json, "signal"), "name");
	done->has_semantic = semantic.len == 32 && done->title.len > 0 &&
		text_unhex(semantic.bytes, 16, done->semantic);
	read_lacks(json, done);
	done->is_partial = done->nlacks > 0 && done->has_semantic &&
			   fingerprint_is_partial(done->title.bytes);
	return true;
}

static void send_done(struct symbolize_role *s, const struct job_done *done)
{
	struct writer out;

	writer_init(&out, WIRE_MAX_JOB_DONE);
	wire_put_job_done(&out, done);
	/* Should it not be taken, the store has lost us and the job waits
	 * there again. */
	if (out.bad || !channel_send(&s->store, MSG_JOB_DONE, 0, out.bytes,
				     out.len))
		channel_close(&s->store);
	writer_fini(&out);
}

static void finish(struct symbolize_role *s, struct running *running)
{
	struct child *child = &running->child;
	struct job_done done = { .has_semantic = false };
	struct writer packed;
	struct error err;
	char why[CHILD_STDERR + 64];
	json_t *json = NULL;

	writer_init(&packed, WIRE_MAX_DOCUMENT);
	memcpy(done.id, running->job.id, sizeof(done.id));
	done.outcome = judge(child, why, sizeof(why));
	if (done.outcome == JOB_DONE) {
		json = json_loadb((const char *)child->output.bytes,
				  child->output.len, 0, NULL);
		if (!read_document(json, &done) ||
		    !gzip_pack(child->output.bytes, child->output.len, 6,
			       &packed, &err)) {
			done.outcome = JOB_FAILED;
			snprintf(why, sizeof(why), "its output is no report");
		}
	}
	done.detail = slice_of(why);
	done.document.bytes = (const char *)packed.bytes;
	done.document.len = packed.len;
	if (done.outcome != JOB_DONE)
		log_event(LOG_WARN, "symbolizing failed", "%s, attempt %u: %s",
			  running->job.file, running->job.attempt, why);
	send_done(s, &done);
	json_decref(json);
	writer_fini(&packed);
	child_fini(child);
}

static void start_job(struct symbolize_role *s, const struct job *job)
{
	struct order order = { &s->role->settings, job };
	struct job_done done = { .outcome = JOB_OUTAGE };
	struct error err;

	for (size_t i = 0; i < MAX_JOBS; i++) {
		struct running *running = &s->jobs[i];

		if (running->child.pid != 0)
			continue;
		running->job = *job;
		if (child_start(&running->child, be_the_child, &order,
				MAX_OUTPUT, DEADLINE_MS, &err))
			return;
		log_event(LOG_ERROR, "child did not start", "%s", err.text);
		break;
	}
	memcpy(done.id, job->id, sizeof(done.id));
	send_done(s, &done);
}

static unsigned busy(const struct symbolize_role *s)
{
	unsigned n = 0;

	for (size_t i = 0; i < MAX_JOBS; i++)
		n += s->jobs[i].child.pid != 0;
	return n;
}

/* Is there a program? It may be installed while we run. */
static bool look(struct symbolize_role *s)
{
	const char *program = s->role->settings.epitaph;
	int64_t now = clock_monotonic_ms();
	bool off;

	if (s->looked_ms != 0 && now - s->looked_ms < LOOK_MS)
		return !s->off;
	s->looked_ms = now;
	off = access(program, X_OK) < 0;
	if (off != s->off)
		log_event(off ? LOG_WARN : LOG_INFO, off ?
			  "symbolization is off" : "symbolization is on",
			  "%s", program);
	s->off = off;
	return !off;
}

static void serve_store(struct symbolize_role *s)
{
	struct message message;
	enum channel_next next;
	struct job job;
	bool open;

	if (s->store.fd < 0) {
		s->asked = 0;
		channel_connect(&s->store, STORE_SOCKET, NULL);
		return;
	}
	open = channel_read(&s->store);
	while ((next = channel_next(&s->store, &message)) == CHANNEL_MESSAGE) {
		memcpy(&job, message.body, sizeof(job));
		job.file[sizeof(job.file) - 1] = '\0';
		if (s->asked > 0)
			s->asked--;
		start_job(s, &job);
	}
	if (!open || next == CHANNEL_BROKEN)
		channel_close(&s->store);
}

static void ask(struct symbolize_role *s)
{
	while (s->store.fd >= 0 && look(s) && busy(s) + s->asked < MAX_JOBS &&
	       channel_send(&s->store, MSG_JOB_WANT, 0, NULL, 0))
		s->asked++;
	if (s->store.fd >= 0 && !channel_flush(&s->store))
		channel_close(&s->store);
}

static void poll_all(struct symbolize_role *s)
{
	enum { CHILDREN = MAX_JOBS * CHILD_FDS };
	struct pollfd fds[CHILDREN + 2];

	for (size_t i = 0; i < MAX_JOBS; i++)
		child_poll(&s->jobs[i].child, fds + i * CHILD_FDS);
	fds[CHILDREN] = (struct pollfd){ s->store.fd,
					 channel_events(&s->store), 0 };
	fds[CHILDREN + 1] = (struct pollfd){ s->role->control.fd, POLLIN, 0 };
	if (poll(fds, CHILDREN + 2, ROLE_TICK_MS) < 0)
		return;
	for (size_t i = 0; i < MAX_JOBS; i++) {
		if (s->jobs[i].child.pid != 0 &&
		    child_step(&s->jobs[i].child))
			finish(s, &s->jobs[i]);
	}
}

/* What is not finished is tried again after the next start, and the attempt
 * does not count: nothing was wrong with the report. */
static void give_back(struct symbolize_role *s)
{
	for (size_t i = 0; i < MAX_JOBS; i++) {
		struct job_done done = { .outcome = JOB_OUTAGE };

		if (s->jobs[i].child.pid == 0)
			continue;
		memcpy(done.id, s->jobs[i].job.id, sizeof(done.id));
		done.detail = slice_of("the collector was stopped");
		send_done(s, &done);
		child_fini(&s->jobs[i].child);
	}
	channel_flush(&s->store);
}

int symbolize_role(struct role *role)
{
	static struct symbolize_role s;

	s.role = role;
	channel_init(&s.store, -1, MESSAGE_BIT(MSG_JOB), STORE_OUT);
	for (size_t i = 0; i < MAX_JOBS; i++) {
		struct child *child = &s.jobs[i].child;

		child->pidfd = child->out = child->errors = -1;
	}
	role_ready(role);
	while (!role->draining) {
		serve_store(&s);
		ask(&s);
		poll_all(&s);
		role_tick(role);
	}
	give_back(&s);
	return EXIT_SUCCESS;
}
