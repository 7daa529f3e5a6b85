/* The store role: the only process that writes. It takes everything that has
 * queued since the last commit into one transaction, and answers only once
 * that is on disk; what queues meanwhile is the next one. */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../lib/report/clock.h"
#include "log.h"
#include "role.h"
#include "store.h"

enum {
	MAX_PEERS = 64,
	PEER_OUT = 64 << 20,
	MAX_BATCH = 50000,       /* operations in one transaction */
	MAX_WANTS = 16,          /* jobs one peer may ask for at once */
	TIDY_MS = 2000,
	REVISIT_MS = 50,         /* between some such reports and the next */
	JOBS_MS = 500,           /* how often jobs that wait are looked at */
	MAX_COMMIT_AGE_MS = 60000,
};

struct peer {
	struct channel channel;
	unsigned wants; /* jobs */
	bool had_jobs;
};

/* An answer that waits for the commit. */
struct answer {
	struct peer *peer;
	enum message_type type;
	uint64_t tag;
	size_t at, len; /* in writer.answers_text */
};

struct writer_role {
	struct role *role;
	struct store *store;
	int listener;
	struct peer peers[MAX_PEERS];
	struct answer answers[MAX_BATCH];
	size_t nanswers;
	struct writer text;
	size_t operations;
	struct stats batch; /* counted once it is committed */
	bool in_transaction;
	bool revisits; /* reports may lack what has arrived */
	int64_t revisited_ms, tidied_ms, jobs_ms, longest_ms;
};

static void add_stat(struct writer_role *w, enum statistic stat, uint64_t n)
{
	w->batch.value[stat] += n;
}

/* Queue an answer: LEN bytes at BODY. */
static void answer(struct writer_role *w, struct peer *peer,
		   enum message_type type, uint64_t tag, const void *body,
		   size_t len)
{
	struct answer *a = &w->answers[w->nanswers++];

	*a = (struct answer){ peer, type, tag, w->text.len, len };
	writer_bytes(&w->text, body, len);
}

static bool take_hits(struct writer_role *w, struct peer *peer,
		      const struct message *message, struct error *err)
{
	struct store *store = w->store;
	static struct hit hit;
	static uint8_t verdicts[WIRE_MAX_HITS];
	struct reader r;
	unsigned verdict;
	size_t n;

	reader_init(&r, message->body, message->len);
	n = reader_count(&r, WIRE_MAX_HITS, 1);
	for (size_t i = 0; i < n; i++) {
		if (!wire_get_hit(&r, &hit))
			return fail(err, ERR_BAD_DATA, "hits cut short");
		if (!store->ops->hit(store, &hit, &verdict, err))
			return false;
		verdicts[i] = (uint8_t)verdict;
		if (hit.canary)
			continue;
		if ((verdict & HIT_COUNTED) != 0)
			add_stat(w, STAT_HITS, hit.count);
		else if ((verdict & (HIT_TOO_OLD | HIT_TOO_NEW)) == 0)
			add_stat(w, STAT_HITS_SAME_ID, 1);
		if ((verdict & HIT_WANTED) != 0)
			add_stat(w, STAT_WANTED, 1);
	}
	w->operations += n;
	answer(w, peer, MSG_HITS_DONE, message->tag, verdicts, n);
	return true;
}

static bool take_report(struct writer_role *w, struct peer *peer,
			const struct message *message, struct error *err)
{
	static struct body body;
	struct report_done done;
	struct reader r;

	reader_init(&r, message->body, message->len);
	if (!wire_get_body(&r, &body))
		return fail(err, ERR_BAD_DATA, "report cut short");
	if (!w->store->ops->report(w->store, &body, &done, err))
		return false;
	if (!body.hit.canary && done.verdict == REPORT_NEW)
		add_stat(w, STAT_REPORTS, 1);
	if (!body.hit.canary && done.verdict == REPORT_SAME)
		add_stat(w, STAT_REPORTS_SAME, 1);
	w->jobs_ms = 0;
	answer(w, peer, MSG_REPORT_DONE, message->tag, &done, sizeof(done));
	return true;
}

static bool take_admin(struct writer_role *w, struct peer *peer,
		       const struct message *message, struct error *err)
{
	struct admin admin;
	struct admin_done done;
	struct reader r;

	reader_init(&r, message->body, message->len);
	if (!wire_get_admin(&r, &admin))
		return fail(err, ERR_BAD_DATA, "wish cut short");
	if (!w->store->ops->admin(w->store, &admin, &done, err))
		return false;
	answer(w, peer, MSG_ADMIN_DONE, message->tag, &done, sizeof(done));
	return true;
}

static bool take_job_done(struct writer_role *w, const struct message *message,
			  struct error *err)
{
	static const enum statistic stats[] = {
		[JOB_DONE] = STAT_JOBS_DONE, [JOB_FAILED] = STAT_JOBS_FAILED,
		[JOB_DEADLINE] = STAT_JOBS_DEADLINE,
		[JOB_OUTAGE] = STAT_JOBS_OUTAGE,
	};
	struct job_done done;
	struct reader r;
	bool quarantined;

	reader_init(&r, message->body, message->len);
	if (!wire_get_job_done(&r, &done))
		return fail(err, ERR_BAD_DATA, "job cut short");
	if (!w->store->ops->finish(w->store, &done, &quarantined, err))
		return false;
	add_stat(w, stats[done.outcome], 1);
	if (quarantined) {
		add_stat(w, STAT_QUARANTINED, 1);
		log_event(LOG_WARN, "report quarantined", "%.*s",
			  done.detail.len > 200 ? 200 : (int)done.detail.len,
			  done.detail.len > 0 ? done.detail.bytes : "");
	}
	w->jobs_ms = 0;
	/* It may lack what has arrived while it ran. */
	w->revisits |= done.nlacks > 0;
	return true;
}

static bool take_arrived(struct writer_role *w, struct peer *peer,
			 const struct message *message, struct error *err)
{
	const uint8_t is_noted = 1;
	struct build_id id;

	memcpy(&id, message->body, sizeof(id));
	if (id.len > MAX_BUILD_ID)
		return fail(err, ERR_BAD_DATA, "build-id of %u bytes", id.len);
	if (!w->store->ops->arrived(w->store, &id, err))
		return false;
	w->revisits = true;
	add_stat(w, STAT_SYMBOLS, 1);
	answer(w, peer, MSG_ARRIVED_DONE, message->tag, &is_noted,
	       sizeof(is_noted));
	return true;
}

static bool take_message(struct writer_role *w, struct peer *peer,
			 const struct message *message, struct error *err)
{
	w->operations++;
	switch (message->type) {
	case MSG_HITS:
		return take_hits(w, peer, message, err);
	case MSG_REPORT:
		return take_report(w, peer, message, err);
	case MSG_ADMIN:
		return take_admin(w, peer, message, err);
	case MSG_ARRIVED:
		return take_arrived(w, peer, message, err);
	case MSG_JOB_DONE:
		return take_job_done(w, message, err);
	case MSG_JOB_WANT:
		if (peer->wants < MAX_WANTS)
			peer->wants++;
		peer->had_jobs = true;
		w->jobs_ms = 0;
		return true;
	default:
		return fail(err, ERR_BAD_DATA, "message %d", message->type);
	}
}

/* The same answer, for a transaction that was rolled back. */
static void refuse(struct writer_role *w, struct peer *peer,
		   enum message_type type, uint64_t tag)
{
	struct report_done report = { .verdict = REPORT_FAILED };
	struct admin_done admin = { .status = 503, .why = "not now" };
	const uint8_t is_noted = 0;

	if (type == MSG_HITS || type == MSG_HITS_DONE)
		answer(w, peer, MSG_HITS_DONE, tag, NULL, 0);
	else if (type == MSG_REPORT || type == MSG_REPORT_DONE)
		answer(w, peer, MSG_REPORT_DONE, tag, &report, sizeof(report));
	else if (type == MSG_ADMIN || type == MSG_ADMIN_DONE)
		answer(w, peer, MSG_ADMIN_DONE, tag, &admin, sizeof(admin));
	else if (type == MSG_ARRIVED || type == MSG_ARRIVED_DONE)
		answer(w, peer, MSG_ARRIVED_DONE, tag, &is_noted,
		       sizeof(is_noted));
	/* A job that could not be handed out is still wanted; one whose end
	 * could not be noted is claimed again when its worker asks. */
	else if (type == MSG_JOB)
		peer->wants++;
}

static void refuse_all(struct writer_role *w)
{
	size_t n = w->nanswers;

	w->nanswers = 0;
	w->text.len = 0;
	for (size_t i = 0; i < n; i++) {
		struct answer a = w->answers[i];

		refuse(w, a.peer, a.type, a.tag);
	}
}

static bool begin(struct writer_role *w, struct error *err)
{
	if (w->in_transaction)
		return true;
	if (!w->store->ops->begin(w->store, clock_wall_ms(), err))
		return false;
	w->in_transaction = true;
	return true;
}

static void roll_back(struct writer_role *w, const struct error *err)
{
	log_event(LOG_ERROR, "transaction failed", "%s", err->text);
	if (w->in_transaction)
		w->store->ops->rollback(w->store);
	w->in_transaction = false;
	memset(&w->batch, 0, sizeof(w->batch));
	w->revisits = true; /* whatever was known of that is not true now */
	w->role->stats.value[STAT_COMMITS_FAILED]++;
	refuse_all(w);
}

static void take_messages(struct writer_role *w, struct peer *peer)
{
	struct message message;
	enum channel_next next = CHANNEL_NONE;
	struct error err;

	while (w->operations < MAX_BATCH - WIRE_MAX_HITS &&
	       w->nanswers < MAX_BATCH - MAX_PEERS * MAX_WANTS &&
	       (next = channel_next(&peer->channel, &message)) ==
	       CHANNEL_MESSAGE) {
		if (begin(w, &err) && take_message(w, peer, &message, &err))
			continue;
		roll_back(w, &err);
		refuse(w, peer, message.type, message.tag);
		return;
	}
	if (next == CHANNEL_BROKEN) {
		log_event(LOG_ERROR, "peer broke the protocol", "closed");
		channel_close(&peer->channel);
	}
}

/* Hand out jobs to those who want some. */
static bool hand_out_jobs(struct writer_role *w, struct error *err)
{
	int64_t now = clock_monotonic_ms();
	bool found = true;
	struct job job;

	if (now - w->jobs_ms < JOBS_MS)
		return true;
	w->jobs_ms = now;
	for (size_t i = 0; found && i < MAX_PEERS; i++) {
		struct peer *peer = &w->peers[i];

		while (found && peer->wants > 0 && peer->channel.fd >= 0) {
			if (!begin(w, err) ||
			    !w->store->ops->claim(w->store, &job, &found, err))
				return false;
			if (!found)
				break;
			peer->wants--;
			answer(w, peer, MSG_JOB, 0, &job, sizeof(job));
		}
	}
	return true;
}

/* Some of the reports that lack what has arrived; never more than that in one
 * transaction, which somebody may wait for. */
static bool revisit(struct writer_role *w, struct error *err)
{
	int64_t now = clock_monotonic_ms();

	if (!w->revisits || now - w->revisited_ms < REVISIT_MS)
		return true;
	w->revisited_ms = now;
	w->jobs_ms = 0;
	return begin(w, err) &&
	       w->store->ops->revisit(w->store, &w->revisits, err);
}

static bool tidy(struct writer_role *w, struct error *err)
{
	int64_t now = clock_monotonic_ms();

	if (now - w->tidied_ms < TIDY_MS)
		return true;
	w->tidied_ms = now;
	return begin(w, err) && w->store->ops->tidy(w->store, err) &&
	       w->store->ops->pending(w->store, &w->role->stats.value[
				      STAT_JOBS_PENDING], err);
}

static void note_commit(struct writer_role *w, int64_t took_us)
{
	struct stats *stats = &w->role->stats;
	uint64_t us = (uint64_t)took_us;
	int64_t now = clock_monotonic_ms();

	stats->value[STAT_COMMITS]++;
	stats->value[STAT_COMMIT_US] += us;
	if (us > stats->value[STAT_COMMIT_MAX_US] ||
	    now - w->longest_ms > MAX_COMMIT_AGE_MS) {
		stats->value[STAT_COMMIT_MAX_US] = us;
		w->longest_ms = now;
	}
	stats->value[STAT_BATCH] = w->operations;
}

static void commit(struct writer_role *w)
{
	int64_t start = clock_monotonic_us();
	struct error err;

	if (!w->in_transaction)
		return;
	if (!w->store->ops->commit(w->store, &err)) {
		roll_back(w, &err);
		return;
	}
	w->in_transaction = false;
	note_commit(w, clock_monotonic_us() - start);
	stats_add(&w->role->stats, &w->batch, true);
	memset(&w->batch, 0, sizeof(w->batch));
}

static void send_answers(struct writer_role *w)
{
	for (size_t i = 0; i < w->nanswers; i++) {
		struct answer *a = &w->answers[i];

		/* One that cannot take its answers is no use to anybody. */
		if (!channel_send(&a->peer->channel, a->type, a->tag,
				  a->len > 0 ? w->text.bytes + a->at : NULL,
				  a->len))
			channel_close(&a->peer->channel);
	}
	w->nanswers = 0;
	w->text.len = 0;
	w->text.bad = false;
	w->operations = 0;
	for (size_t i = 0; i < MAX_PEERS; i++) {
		if (w->peers[i].channel.fd >= 0 &&
		    !channel_flush(&w->peers[i].channel))
			channel_close(&w->peers[i].channel);
	}
}

/* A worker that is gone is not at its jobs any more: they wait again. */
static bool release_jobs(struct writer_role *w, struct error *err)
{
	bool gone = false;

	for (size_t i = 0; i < MAX_PEERS; i++) {
		struct peer *peer = &w->peers[i];

		if (peer->channel.fd >= 0 || !peer->had_jobs)
			continue;
		peer->had_jobs = false;
		peer->wants = 0;
		gone = true;
	}
	return !gone || (begin(w, err) &&
			 w->store->ops->release(w->store, err));
}

/* One transaction over everything that has come. */
static void run_batch(struct writer_role *w)
{
	struct error err;

	for (size_t i = 0; i < MAX_PEERS; i++) {
		if (w->peers[i].channel.fd >= 0)
			take_messages(w, &w->peers[i]);
	}
	if (!release_jobs(w, &err) || !revisit(w, &err) ||
	    !hand_out_jobs(w, &err) || !tidy(w, &err))
		roll_back(w, &err);
	commit(w);
	send_answers(w);
}

static void accept_peers(struct writer_role *w)
{
	int fd;

	while ((fd = channel_accept(w->listener)) >= 0) {
		size_t i = 0;

		while (i < MAX_PEERS && (w->peers[i].channel.fd >= 0 ||
					 w->peers[i].had_jobs))
			i++;
		if (i == MAX_PEERS) {
			close(fd);
			continue;
		}
		channel_fini(&w->peers[i].channel);
		channel_init(&w->peers[i].channel, fd, MESSAGE_BIT(MSG_HITS) |
			     MESSAGE_BIT(MSG_REPORT) | MESSAGE_BIT(MSG_ADMIN) |
			     MESSAGE_BIT(MSG_ARRIVED) |
			     MESSAGE_BIT(MSG_JOB_WANT) |
			     MESSAGE_BIT(MSG_JOB_DONE), PEER_OUT);
	}
}

/* True where something may be left to do without waiting. */
static bool has_backlog(const struct writer_role *w)
{
	for (size_t i = 0; i < MAX_PEERS; i++) {
		const struct channel *c = &w->peers[i].channel;

		if (c->fd >= 0 && c->in_len - c->in_pos >= 65536)
			return true;
	}
	return false;
}

static void poll_peers(struct writer_role *w)
{
	struct pollfd fds[MAX_PEERS + 2];

	fds[MAX_PEERS] = (struct pollfd){ w->listener, POLLIN, 0 };
	fds[MAX_PEERS + 1] = (struct pollfd){ w->role->control.fd, POLLIN, 0 };
	for (size_t i = 0; i < MAX_PEERS; i++) {
		fds[i].fd = w->peers[i].channel.fd;
		fds[i].events = channel_events(&w->peers[i].channel);
	}
	if (poll(fds, MAX_PEERS + 2, has_backlog(w) ? 0 : ROLE_TICK_MS) < 0)
		return;
	for (size_t i = 0; i < MAX_PEERS; i++) {
		if (fds[i].fd < 0 || (fds[i].revents & ~POLLOUT) == 0)
			continue;
		if (!channel_read(&w->peers[i].channel))
			channel_close(&w->peers[i].channel);
	}
	if (fds[MAX_PEERS].revents != 0)
		accept_peers(w);
}

int store_role(struct role *role)
{
	static struct writer_role w;
	struct error err;

	w.role = role;
	writer_init(&w.text, (size_t)64 << 20);
	for (size_t i = 0; i < MAX_PEERS; i++)
		channel_init(&w.peers[i].channel, -1, 0, PEER_OUT);
	if (!store_open(&role->settings, &w.store, &err))
		return role_failed(&err, true);
	/* Whoever had claimed jobs before is gone. */
	if (!begin(&w, &err) || !w.store->ops->release(w.store, &err))
		return role_failed(&err, false);
	commit(&w);
	w.listener = channel_listen(STORE_SOCKET, &err);
	if (w.listener < 0)
		return role_failed(&err, true);
	w.revisits = true;
	role_ready(role);
	/* On SIGTERM the roles that send are ended first: when this one is
	 * told, what they sent has been committed and answered. */
	while (!role->draining) {
		poll_peers(&w);
		run_batch(&w);
		role_tick(role);
	}
	w.store->ops->close(w.store);
	return EXIT_SUCCESS;
}
