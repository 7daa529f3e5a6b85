/* Asking debuginfod servers. Runs in the command line, between two children
 * that read symbols; each download and each look at one is a child of its own,
 * and nothing takes longer than it may. */
#include "debuginfod.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "child.h"
#include "fetch.h"
#include "finder.h"
#include "intake.h"
#include "server.h"
#include "store.h"

enum {
	GRACE_MS = 500,      /* for a child to say that its time is over */
	LOOK_MS = 60000,     /* at what has come: gigabytes are synced */
	WHY = 256,
};

struct debuginfod {
	const struct debuginfod_options *options;
	char dir[PATH_MAX];
	int64_t deadline_ms;
	struct server servers[DEBUGINFOD_MAX_SERVERS];
	bool is_off[DEBUGINFOD_MAX_SERVERS]; /* for this report */
	size_t n;
	char trouble[2 * WHY];
};

bool debuginfod_dir(const char *dir, char *out, size_t cap)
{
	return (size_t)snprintf(out, cap, "%s/debuginfod", dir) < cap;
}

struct debuginfod *debuginfod_begin(const struct debuginfod_options *options,
				    int64_t left_ms)
{
	char store[PATH_MAX], notes[PATH_MAX + 16];
	struct debuginfod *servers;

	if (options == NULL || options->nurls == 0 ||
	    !store_dir(store, sizeof(store)))
		return NULL;
	servers = calloc(1, sizeof(*servers));
	if (servers == NULL)
		return NULL;
	servers->options = options;
	servers->deadline_ms = child_now_ms() + (left_ms < options->within_ms
						 ? left_ms
						 : options->within_ms);
	if (!debuginfod_dir(store, servers->dir, sizeof(servers->dir))) {
		free(servers);
		return NULL;
	}
	snprintf(notes, sizeof(notes), "%s/servers", servers->dir);
	store_make_dirs(notes);
	for (size_t i = 0; i < options->nurls &&
			   servers->n < DEBUGINFOD_MAX_SERVERS; i++)
		servers->n += server_open(notes, options->urls[i],
					  &servers->servers[servers->n]);
	if (servers->n == 0)
		snprintf(servers->trouble, sizeof(servers->trouble),
			 "%.400s: cannot be written to", notes);
	return servers;
}

void debuginfod_end(struct debuginfod *servers)
{
	free(servers);
}

const char *debuginfod_trouble(const struct debuginfod *servers)
{
	return servers->trouble[0] ? servers->trouble : NULL;
}

static void note_trouble(struct debuginfod *servers,
			 const struct server *server, const char *object,
			 const char *why)
{
	char name[128];

	server_name(server, name, sizeof(name));
	snprintf(servers->trouble, sizeof(servers->trouble),
		 "%s: %.150s: %.200s", name, object, why);
}

/* A download */

struct download {
	struct debuginfod *servers;
	const struct server *server;
	const struct build_id *id;
	const char *object;
	bool is_common; /* dwz's file of another that came */
	char path[PATH_MAX + 128];
	char url[4096];
	int fd;
};

/* The child's word for what came of it; a sentence follows it. */
static void say(int fd, char word, const char *why)
{
	child_write(fd, &word, 1);
	child_write(fd, why, strlen(why));
}

static void receive(void *context, int fd)
{
	const struct download *download = context;
	const struct debuginfod *servers = download->servers;
	const struct fetch fetch = {
		.url = download->url, .fd = download->fd,
		.max = servers->options->max_file,
		.within_ms = servers->deadline_ms - child_now_ms(),
	};
	char why[WHY];
	enum fetch_end end;

	if (fetch.within_ms <= 0)
		_exit(1);
	end = fetch_run(&fetch, why, sizeof(why));
	say(fd, (char)end, why);
}

/* What has come may be half of it: whose the common file is, if that is not
 * here, for the parent to ask for. */
static void name_common(const struct download *download, char hex[WHY])
{
	struct elf_file file, common = ELF_FILE_NONE;
	struct finder *finder = finder_new(NULL, 0, NULL);
	char path[PATH_MAX];
	struct build_id id;

	hex[0] = '\0';
	if (!finder || !store_path(download->servers->dir, download->id,
				   STORE_DEBUG, path, sizeof(path)) ||
	    !elf_file_open(path, &file, NULL))
		return;
	if (finder_alt_id(&file, &id) &&
	    !finder_find_alt(finder, &file, &common))
		build_id_format(&id, hex);
}

static void look(void *context, int fd)
{
	const struct download *download = context;
	const struct intake_order order = {
		.store = download->servers->dir, .path = download->path,
		.moves = true, .wanted = download->id,
	};
	struct intake taken;
	struct error err;

	if (intake(&order, &taken, &err)) {
		name_common(download, err.text);
		say(fd, 'd', err.text);
		return;
	}
	say(fd, err.code == ERR_SYSTEM ? 'n' : 'b', err.text);
}

static void tell_progress(void *context)
{
	const struct download *download = context;
	const struct debuginfod_options *options = download->servers->options;
	struct stat st;

	if (options->progress && fstat(download->fd, &st) == 0)
		options->progress(options->context, download->object,
				  (uint64_t)st.st_size);
}

/* Run JOB to its end: its word, and why; LOST where there was none. */
static char run(struct download *download, child_job *job, int64_t deadline_ms,
		char lost, char why[WHY])
{
	struct child child = { .idle = tell_progress,
			       .idle_context = download };
	char word = 0, ended[WHY / 2];
	struct error err;
	size_t len = 0;

	if (!child_start(job, download, deadline_ms, &child, &err)) {
		snprintf(why, WHY, "%s", err.text);
		return 'n';
	}
	if (!child_read(&child, &word, 1))
		word = lost;
	while (len + 1 < WHY && child_read(&child, why + len, 1))
		len++;
	why[len] = '\0';
	if (!child_reap(&child, ended, sizeof(ended))) {
		snprintf(why, WHY, "its reader %s", ended);
		return lost;
	}
	return word;
}

/* An empty file, and its name, for one attempt alone. */
static bool open_part(struct download *download)
{
	char hex[2 * MAX_BUILD_ID + 1];
	const char *url = download->server->url;
	size_t len = strlen(url);

	while (len > 0 && url[len - 1] == '/')
		len--;
	build_id_format(download->id, hex);
	snprintf(download->path, sizeof(download->path), "%s/%.40s.%d.part",
		 download->server->dir, hex, (int)getpid());
	unlink(download->path);
	download->fd = open(download->path, O_RDWR | O_CREAT | O_EXCL |
					    O_CLOEXEC | O_NOFOLLOW, 0600);
	return download->fd >= 0 &&
	       (size_t)snprintf(download->url, sizeof(download->url),
				"%.*s/buildid/%s/debuginfo", (int)len, url,
				hex) <
		       sizeof(download->url);
}

static bool get(struct debuginfod *servers, const struct build_id *id,
		const char *object, bool is_common);

/* What came: true where it is what it should be, and in its place. */
static bool take(struct download *download, char why[WHY])
{
	const struct server *server = download->server;
	struct build_id common;
	char word;

	word = run(download, look, child_now_ms() + LOOK_MS, 'b', why);
	if (word == 'b')
		server_note_lack(server, download->id, SERVER_BAD, why);
	if (word != 'd')
		return false;
	store_trim(download->servers->dir, DEBUGINFOD_MAX_BYTES);
	if (!download->is_common && build_id_parse(why, &common))
		get(download->servers, &common, download->object, true);
	return true;
}

/* What SERVER said, or did not, counts for the next reports, too. True where
 * the file is there. */
static bool conclude(struct download *download, char word, char why[WHY])
{
	const struct server *server = download->server;

	switch (word) {
	case FETCH_DONE:
		server_answered(server);
		return take(download, why);
	case FETCH_ABSENT:
		server_answered(server);
		server_note_lack(server, download->id, SERVER_ABSENT, why);
		why[0] = '\0';
		return false;
	case FETCH_TOO_LARGE:
		server_answered(server);
		server_note_lack(server, download->id, SERVER_BAD, why);
		return false;
	case FETCH_SLOW: /* the next report would fare no better */
		server_answered(server);
		server_note_lack(server, download->id, SERVER_ABSENT, why);
		return false;
	case FETCH_FAILED:
		server_failed(server);
		return false;
	default:
		return false;
	}
}

static bool ask(struct debuginfod *servers, size_t which,
		const struct build_id *id, const char *object, bool is_common)
{
	struct download download = {
		.servers = servers, .server = &servers->servers[which],
		.id = id, .object = object, .is_common = is_common, .fd = -1,
	};
	char why[WHY] = "cannot be kept";
	bool done = false;
	char word = 0;

	if (open_part(&download)) {
		word = run(&download, receive, servers->deadline_ms + GRACE_MS,
			   FETCH_FAILED, why);
		done = conclude(&download, word, why);
	}
	if (download.fd >= 0)
		close(download.fd);
	unlink(download.path);
	servers->is_off[which] = word == FETCH_FAILED;
	if (!done && why[0])
		note_trouble(servers, download.server, object, why);
	return done;
}

static bool get(struct debuginfod *servers, const struct build_id *id,
		const char *object, bool is_common)
{
	for (size_t i = 0; i < servers->n; i++) {
		const struct server *server = &servers->servers[i];

		if (child_now_ms() >= servers->deadline_ms)
			return false;
		if (!servers->is_off[i] && !server_is_down(server) &&
		    !server_lacks(server, id) &&
		    ask(servers, i, id, object, is_common))
			return true;
	}
	return false;
}

bool debuginfod_get(struct debuginfod *servers, const struct build_id *id,
		    const char *object)
{
	return get(servers, id, object, false);
}
