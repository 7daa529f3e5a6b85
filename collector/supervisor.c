/* The supervisor: a table of what happens to a role in which state. It reads
 * nothing from the network and parses nothing but fixed-size messages, so that
 * it has no reason to fail. Every row and column is decided: see actions[]. */
#include "supervisor.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../lib/report/clock.h"
#include "log.h"
#include "prepare.h"
#include "role.h"
#include "text.h"

enum {
	MAX_UNITS = ROLE_KINDS + CONFIG_WORKERS,
	BACK_OFF_FIRST_MS = 100,
	BACK_OFF_MAX_MS = 3000,
	STEADY_MS = 5000,      /* up for so long, the back-off starts anew */
	/* A role that cannot stay up gets here in 36 s; one that somebody
	 * kills by hand does not. Then it is the service manager's turn. */
	INTENSITY = 16,
	INTENSITY_MS = 60000,
	START_DEADLINE_MS = 30000,
	STOP_DEADLINE_MS = 15000,
	/* Without a heartbeat a role hangs. A slow disk can hold the store up
	 * for long; an ingest worker has nothing to wait for, and meanwhile
	 * connections land on it. */
	SILENCE_MS = 30000,
	INGEST_SILENCE_MS = 8000,
	BOARD_EVERY_MS = 200,
	CONTROL_LIMIT = 1 << 20,
};

enum state { DOWN, WAITING, STARTING, UP, STOPPING, STATES };
enum event { EVENT_START, EVENT_READY, EVENT_EXIT, EVENT_STOP, EVENT_TIMEOUT,
	     EVENTS };

static const char *const state_names[STATES] = {
	"down", "waiting", "starting", "up", "stopping",
};

/* One process that has to run. */
struct unit {
	enum role_kind kind;
	uint32_t index;
	enum state state;
	pid_t pid; /* 0: none */
	struct channel control;
	int64_t deadline_ms; /* of the state; 0: none */
	int64_t up_since_ms;
	int64_t back_off_ms;
	int64_t exits_ms[INTENSITY]; /* a ring of its last exits */
	size_t nexits;
	struct stats base;    /* of its earlier processes */
	struct stats current;
};

struct supervisor {
	struct settings *settings;
	struct unit units[MAX_UNITS];
	size_t nunits;
	struct board board;
	int64_t board_ms;
	bool board_changed;
	bool announced;
	bool draining;
	int status;
	int signals; /* signalfd */
};

typedef void action(struct supervisor *s, struct unit *unit);

static void dispatch(struct supervisor *s, struct unit *unit,
		     enum event event);

/* What has to run before what: a unit is started when all of a lower phase
 * are up, and stopped when all of a higher one are down. */
static int phase_of(const struct unit *unit)
{
	switch (unit->kind) {
	case ROLE_STORE:
		return 0;
	case ROLE_INGEST:
		return 2;
	case ROLE_CANARY:
		return 3;
	default:
		return 1;
	}
}

static void in_child(struct unit *unit, int control)
{
	char *argv[] = { "epitaphd", "-P", NULL, NULL };
	char name[32];
	sigset_t none;

	text_copy(name, sizeof(name), role_name(unit->kind));
	argv[2] = name;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (control == ROLE_CONTROL_FD ||
	    dup2(control, ROLE_CONTROL_FD) == ROLE_CONTROL_FD)
		execv("/proc/self/exe", argv);
	_exit(127);
}

static bool send_setup(struct supervisor *s, struct unit *unit)
{
	static struct role_setup setup;

	setup.index = unit->index;
	setup.settings = *s->settings;
	return channel_send(&unit->control, MSG_SETUP, 0, &setup,
			    sizeof(setup)) &&
	       channel_flush(&unit->control);
}

static void spawn(struct supervisor *s, struct unit *unit)
{
	int pair[2] = { -1, -1 };
	pid_t pid = -1;

	unit->state = STARTING;
	unit->deadline_ms = clock_monotonic_ms() + START_DEADLINE_MS;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0)
		pid = fork();
	if (pid == 0) {
		/* Descriptor 3 may be anything here; dup2 closes it, and loses
		 * close-on-exec for the copy alone. */
		in_child(unit, pair[1] == ROLE_CONTROL_FD ? dup(pair[1])
							  : pair[1]);
	}
	if (pair[1] >= 0)
		close(pair[1]);
	if (pid < 0) {
		log_event(LOG_ERROR, "role did not start", "%s: %s",
			  role_name(unit->kind), strerror(errno));
		if (pair[0] >= 0)
			close(pair[0]);
		dispatch(s, unit, EVENT_EXIT);
		return;
	}
	unit->pid = pid;
	channel_init(&unit->control, pair[0], MESSAGE_BIT(MSG_READY) |
		     MESSAGE_BIT(MSG_STATS) | MESSAGE_BIT(MSG_CANARY),
		     CONTROL_LIMIT);
	if (!send_setup(s, unit))
		kill(pid, SIGKILL);
}

/* Start what is down and may start now, or stop what is up and must stop now:
 * phase by phase, the next one when the one before has got there. */
static void advance(struct supervisor *s)
{
	for (int step = 0; step <= 3; step++) {
		int phase = s->draining ? 3 - step : step;
		enum state goal = s->draining ? DOWN : UP;
		bool there = true;

		for (size_t i = 0; i < s->nunits; i++) {
			struct unit *unit = &s->units[i];

			if (phase_of(unit) != phase || unit->state == goal)
				continue;
			there = false;
			dispatch(s, unit, s->draining ? EVENT_STOP
						      : EVENT_START);
		}
		if (!there)
			return;
	}
}

static void start_draining(struct supervisor *s, int status)
{
	if (s->draining)
		return;
	s->draining = true;
	s->status = status;
	s->board.draining = true;
	s->board_changed = true;
	s->board_ms = 0;
	log_event(LOG_INFO, "draining", "exit status will be %d", status);
}

/* True where UNIT has exited too often lately. */
static bool is_too_intense(struct unit *unit, int64_t now)
{
	size_t slot = unit->nexits % INTENSITY;
	bool full = unit->nexits >= INTENSITY;
	int64_t oldest = unit->exits_ms[slot];

	unit->exits_ms[slot] = now;
	unit->nexits++;
	return full && now - oldest < INTENSITY_MS;
}

static void back_off(struct supervisor *s, struct unit *unit)
{
	int64_t now = clock_monotonic_ms();

	if (unit->up_since_ms != 0 && now - unit->up_since_ms >= STEADY_MS)
		unit->back_off_ms = 0;
	unit->up_since_ms = 0;
	unit->back_off_ms = unit->back_off_ms == 0 ? BACK_OFF_FIRST_MS
						   : unit->back_off_ms * 2;
	if (unit->back_off_ms > BACK_OFF_MAX_MS)
		unit->back_off_ms = BACK_OFF_MAX_MS;
	unit->state = WAITING;
	unit->deadline_ms = now + unit->back_off_ms;
	s->board.restarts[unit->kind]++;
	s->board_changed = true;
	log_event(LOG_WARN, "role will be restarted", "%s %u in %lld ms",
		  role_name(unit->kind), unit->index,
		  (long long)unit->back_off_ms);
	if (is_too_intense(unit, now)) {
		log_event(LOG_ERROR, "role does not stay up", "%s: %d exits "
			  "in %d s, giving up", role_name(unit->kind),
			  (int)INTENSITY, (int)INTENSITY_MS / 1000);
		start_draining(s, EXIT_FAILURE);
	}
}

static int64_t silence_ms(const struct unit *unit)
{
	return unit->kind == ROLE_INGEST ? INGEST_SILENCE_MS : SILENCE_MS;
}

static void mark_up(struct supervisor *s, struct unit *unit)
{
	unit->state = UP;
	unit->up_since_ms = clock_monotonic_ms();
	unit->deadline_ms = unit->up_since_ms + silence_ms(unit);
	log_event(LOG_INFO, "role is up", "%s %u, pid %d",
		  role_name(unit->kind), unit->index, (int)unit->pid);
	channel_send(&unit->control, MSG_BOARD, 0, &s->board,
		     sizeof(s->board));
}

static void mark_down(struct supervisor *s, struct unit *unit)
{
	(void)s;
	unit->state = DOWN;
	unit->deadline_ms = 0;
}

static void terminate(struct supervisor *s, struct unit *unit)
{
	(void)s;
	unit->state = STOPPING;
	unit->deadline_ms = clock_monotonic_ms() + STOP_DEADLINE_MS;
	channel_send(&unit->control, MSG_DRAIN, 0, NULL, 0);
}

static void kill_hard(struct supervisor *s, struct unit *unit)
{
	log_event(LOG_ERROR, "role killed", "%s %u, %s, is past its deadline",
		  role_name(unit->kind), unit->index,
		  state_names[unit->state]);
	/* It did not finish: so neither did we. */
	if (s->draining)
		s->status = EXIT_FAILURE;
	unit->deadline_ms = 0;
	kill(unit->pid, SIGKILL);
}

static void ignore(struct supervisor *s, struct unit *unit)
{
	(void)s;
	(void)unit;
}

static action *const actions[STATES][EVENTS] = {
	/*             START   READY    EXIT       STOP       TIMEOUT */
	[DOWN]     = { spawn,  ignore,  ignore,    ignore,    ignore },
	[WAITING]  = { ignore, ignore,  ignore,    mark_down, spawn },
	[STARTING] = { ignore, mark_up, back_off,  terminate, kill_hard },
	[UP]       = { ignore, ignore,  back_off,  terminate, kill_hard },
	[STOPPING] = { ignore, ignore,  mark_down, ignore,    kill_hard },
};

static void dispatch(struct supervisor *s, struct unit *unit, enum event event)
{
	actions[unit->state][event](s, unit);
}

static void take_message(struct supervisor *s, struct unit *unit,
			 const struct message *message)
{
	/* A role that is UP and silent hangs: every message moves the limit. */
	if (unit->state == UP)
		unit->deadline_ms = clock_monotonic_ms() + silence_ms(unit);
	switch (message->type) {
	case MSG_READY:
		dispatch(s, unit, EVENT_READY);
		advance(s);
		break;
	case MSG_STATS:
		memcpy(&unit->current, message->body, sizeof(unit->current));
		s->board_changed = true;
		break;
	case MSG_CANARY:
		s->board.canary_ms = clock_monotonic_ms();
		s->board_changed = true;
		s->board_ms = 0;
		break;
	default:
		break;
	}
}

/* Take what UNIT has said. False where that was its last word. */
static bool listen_to(struct supervisor *s, struct unit *unit)
{
	bool open = channel_read(&unit->control);
	struct message message;
	enum channel_next next;

	while ((next = channel_next(&unit->control, &message)) ==
	       CHANNEL_MESSAGE)
		take_message(s, unit, &message);
	return open && next != CHANNEL_BROKEN;
}

static void note_exit(struct supervisor *s, struct unit *unit, int status)
{
	bool clean = WIFEXITED(status) && WEXITSTATUS(status) == 0;

	if (unit->state != STOPPING || !clean)
		log_event(clean ? LOG_INFO : LOG_ERROR, "role exited",
			  "%s %u, pid %d, %s %d", role_name(unit->kind),
			  unit->index, (int)unit->pid,
			  WIFSIGNALED(status) ? "signal" : "status",
			  WIFSIGNALED(status) ? WTERMSIG(status)
					      : WEXITSTATUS(status));
	if (s->draining && !clean)
		s->status = EXIT_FAILURE;
	unit->pid = 0;
	channel_fini(&unit->control);
	stats_add(&unit->base, &unit->current, false);
	memset(&unit->current, 0, sizeof(unit->current));
	if (WIFEXITED(status) && WEXITSTATUS(status) == ROLE_PERMANENT)
		start_draining(s, EXIT_FAILURE);
	dispatch(s, unit, EVENT_EXIT);
}

static void reap(struct supervisor *s)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		for (size_t i = 0; i < s->nunits; i++) {
			if (s->units[i].pid != pid)
				continue;
			/* Its last words count. */
			listen_to(s, &s->units[i]);
			note_exit(s, &s->units[i], status);
			break;
		}
	}
}

static void take_signals(struct supervisor *s)
{
	struct signalfd_siginfo info;

	while (read(s->signals, &info, sizeof(info)) == sizeof(info)) {
		if (info.ssi_signo == SIGCHLD)
			reap(s);
		else if (info.ssi_signo != SIGHUP)
			start_draining(s, EXIT_SUCCESS);
	}
}

static void send_board(struct supervisor *s)
{
	int64_t now = clock_monotonic_ms();

	if (!s->board_changed || now - s->board_ms < BOARD_EVERY_MS)
		return;
	memset(&s->board.total, 0, sizeof(s->board.total));
	for (size_t i = 0; i < s->nunits; i++) {
		stats_add(&s->board.total, &s->units[i].base, false);
		stats_add(&s->board.total, &s->units[i].current, true);
	}
	for (size_t i = 0; i < s->nunits; i++) {
		if (s->units[i].state == UP || s->units[i].state == STOPPING)
			channel_send(&s->units[i].control, MSG_BOARD, 0,
				     &s->board, sizeof(s->board));
	}
	s->board_changed = false;
	s->board_ms = now;
}

static void announce(struct supervisor *s)
{
	char url[128];

	if (s->announced || s->board.canary_ms == 0)
		return;
	s->announced = true;
	for (uint32_t i = 0; i < s->settings->nlisten; i++) {
		config_url(&s->settings->listen[i], url, sizeof(url));
		printf("listening on %s\n", url);
	}
	if (s->settings->unix_path[0] != '\0')
		printf("listening on http+unix://%s\n",
		       s->settings->unix_path);
	fflush(stdout);
	log_event(LOG_INFO, "ready", "the first test report came back");
}

static void check_deadlines(struct supervisor *s)
{
	int64_t now = clock_monotonic_ms();

	for (size_t i = 0; i < s->nunits; i++) {
		struct unit *unit = &s->units[i];

		if (unit->deadline_ms != 0 && now >= unit->deadline_ms)
			dispatch(s, unit, EVENT_TIMEOUT);
	}
}

static void poll_once(struct supervisor *s)
{
	struct pollfd fds[MAX_UNITS + 1] = {
		{ .fd = s->signals, .events = POLLIN },
	};

	for (size_t i = 0; i < s->nunits; i++) {
		struct unit *unit = &s->units[i];

		channel_flush(&unit->control);
		fds[i + 1].fd = unit->pid != 0 ? unit->control.fd : -1;
		fds[i + 1].events = channel_events(&unit->control);
	}
	if (poll(fds, s->nunits + 1, ROLE_TICK_MS) < 0)
		return;
	for (size_t i = 0; i < s->nunits; i++) {
		struct unit *unit = &s->units[i];

		if (fds[i + 1].fd < 0 || fds[i + 1].revents == 0 ||
		    listen_to(s, unit))
			continue;
		/* Normally it has exited, and is reaped in a moment. */
		channel_close(&unit->control);
		kill(unit->pid, SIGKILL);
	}
	if (fds[0].revents != 0)
		take_signals(s);
}

static bool all_down(const struct supervisor *s)
{
	for (size_t i = 0; i < s->nunits; i++) {
		if (s->units[i].state != DOWN)
			return false;
	}
	return true;
}

static void add_unit(struct supervisor *s, enum role_kind kind, uint32_t index)
{
	struct unit *unit = &s->units[s->nunits++];

	unit->kind = kind;
	unit->index = index;
	channel_init(&unit->control, -1, 0, CONTROL_LIMIT);
}

static bool watch_signals(struct supervisor *s, struct error *err)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	s->signals = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	if (s->signals < 0)
		return fail_errno(err, "watch signals");
	return true;
}

/* The canary's word for ingest and web, so that its reports are told from
 * users' by who sent them and not by what they say. */
static bool make_secret(struct settings *settings, struct error *err)
{
	uint8_t random[16];

	if (getrandom(random, sizeof(random), 0) != sizeof(random))
		return fail_errno(err, "random bytes");
	text_hex(random, sizeof(random), settings->canary_secret);
	return true;
}

static bool start(struct supervisor *s, struct error *err)
{
	if (!prepare_data(s->settings, err) ||
	    !prepare_exposure(s->settings, err) ||
	    !prepare_addresses(s->settings, err) ||
	    !make_secret(s->settings, err) || !watch_signals(s, err))
		return false;
	if (access(s->settings->epitaph, X_OK) < 0)
		log_event(LOG_WARN, "symbolization is off",
			  "there is no program %s", s->settings->epitaph);
	add_unit(s, ROLE_STORE, 0);
	add_unit(s, ROLE_CHECK, 0);
	add_unit(s, ROLE_WEB, 0);
	add_unit(s, ROLE_SYMBOLIZE, 0);
	for (uint32_t i = 0; i < s->settings->workers; i++)
		add_unit(s, ROLE_INGEST, i);
	add_unit(s, ROLE_CANARY, 0);
	return true;
}

int supervisor_run(struct settings *settings)
{
	static struct supervisor s;
	struct error err;

	s.settings = settings;
	log_start("supervisor");
	if (!start(&s, &err)) {
		fprintf(stderr, "epitaphd: %s\n", err.text);
		return EXIT_FAILURE;
	}
	for (;;) {
		advance(&s);
		if (s.draining && all_down(&s))
			break;
		send_board(&s);
		poll_once(&s);
		check_deadlines(&s);
		announce(&s);
	}
	log_event(LOG_INFO, "ended", "status %d", s.status);
	return s.status;
}
