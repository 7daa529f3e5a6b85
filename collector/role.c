/* Start and control line of a role; any role but the supervisor runs it. */
#include "role.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../lib/report/clock.h"
#include "log.h"

enum { SETUP_DEADLINE_MS = 10000 };

static const struct {
	const char *name;
	int (*entry)(struct role *role);
} roles[ROLE_KINDS] = {
	[ROLE_STORE] = { "store", store_role },
	[ROLE_CHECK] = { "check", check_role },
	[ROLE_WEB] = { "web", web_role },
	[ROLE_SYMBOLIZE] = { "symbolize", symbolize_role },
	[ROLE_INGEST] = { "ingest", ingest_role },
	[ROLE_CANARY] = { "canary", canary_role },
};

const char *role_name(enum role_kind kind)
{
	return roles[kind].name;
}

bool role_from_name(const char *name, enum role_kind *kind_out)
{
	for (int i = 0; i < ROLE_KINDS; i++) {
		if (strcmp(roles[i].name, name) == 0) {
			*kind_out = (enum role_kind)i;
			return true;
		}
	}
	return false;
}

int role_failed(const struct error *err, bool permanent)
{
	log_event(LOG_ERROR, "role failed", "%s", err->text);
	return permanent ? ROLE_PERMANENT : EXIT_FAILURE;
}

/* A role ends when its supervisor says so, or is gone: a terminal's ^C and a
 * service manager's SIGTERM to the whole group must not pull the store away
 * from under requests that are being answered. A limit on files is like a full
 * disk: an error, not an end. */
static void ignore_signals(void)
{
	static const int ignored[] = { SIGINT, SIGTERM, SIGHUP, SIGPIPE,
				       SIGXFSZ };

	for (size_t i = 0; i < sizeof(ignored) / sizeof(ignored[0]); i++)
		signal(ignored[i], SIG_IGN);
}

static void take_message(struct role *role, const struct message *message)
{
	struct role_setup setup;

	switch (message->type) {
	case MSG_SETUP:
		memcpy(&setup, message->body, sizeof(setup));
		role->index = setup.index;
		role->settings = setup.settings;
		break;
	case MSG_BOARD:
		memcpy(&role->board, message->body, sizeof(role->board));
		break;
	case MSG_DRAIN:
		role->draining = true;
		break;
	default:
		break;
	}
}

/* Everything that has come; false where the supervisor is gone. Sets *SETUP
 * (or NULL) where the setup was among it. */
static bool take_messages(struct role *role, bool *setup)
{
	bool open = channel_read(&role->control);
	struct message message;
	enum channel_next next;

	while ((next = channel_next(&role->control, &message)) ==
	       CHANNEL_MESSAGE) {
		take_message(role, &message);
		if (setup != NULL && message.type == MSG_SETUP)
			*setup = true;
	}
	return open && next != CHANNEL_BROKEN;
}

static bool wait_for_setup(struct role *role)
{
	struct pollfd pfd = { .fd = role->control.fd, .events = POLLIN };
	int64_t end = clock_monotonic_ms() + SETUP_DEADLINE_MS;
	bool setup = false;

	while (!setup) {
		int64_t left = end - clock_monotonic_ms();

		if (left <= 0 || poll(&pfd, 1, (int)left) < 0 ||
		    !take_messages(role, &setup))
			return false;
	}
	return true;
}

int role_main(enum role_kind kind)
{
	static struct role role;
	struct error err;

	role.kind = kind;
	log_start(role_name(kind));
	/* Re-executed through /proc/self/exe, it would be called "exe". */
	prctl(PR_SET_NAME, "epitaphd");
	ignore_signals();
	umask(077);
	close_range(ROLE_CONTROL_FD + 1, ~0U, 0);
	fcntl(ROLE_CONTROL_FD, F_SETFD, FD_CLOEXEC);
	channel_init(&role.control, ROLE_CONTROL_FD,
		     MESSAGE_BIT(MSG_SETUP) | MESSAGE_BIT(MSG_BOARD) |
		     MESSAGE_BIT(MSG_DRAIN), (size_t)1 << 20);
	if (!wait_for_setup(&role)) {
		fail(&err, ERR_UNAVAILABLE, "no supervisor: roles are started "
		     "by epitaphd itself");
		return role_failed(&err, true);
	}
	if (chdir(role.settings.data) < 0) {
		fail_errno(&err, "enter %s", role.settings.data);
		return role_failed(&err, true);
	}
	return roles[kind].entry(&role);
}

void role_ready(struct role *role)
{
	channel_send(&role->control, MSG_READY, 0, NULL, 0);
	channel_flush(&role->control);
}

static void send_stats(struct role *role)
{
	int64_t now = clock_monotonic_ms();
	bool changed = memcmp(&role->stats, &role->sent,
			      sizeof(role->stats)) != 0;

	if (now - role->sent_ms < (changed ? ROLE_TICK_MS / 2
					   : ROLE_HEARTBEAT_MS))
		return;
	role->sent = role->stats;
	role->sent_ms = now;
	channel_send(&role->control, MSG_STATS, 0, &role->stats,
		     sizeof(role->stats));
}

void role_tick(struct role *role)
{
	send_stats(role);
	if (take_messages(role, NULL) && channel_flush(&role->control))
		return;
	log_event(LOG_WARN, "supervisor is gone", "ending");
	_exit(EXIT_FAILURE);
}
