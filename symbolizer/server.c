/* The memory of servers: a directory for each, named by its URL's hash. A file
 * named by a build-id says what is wrong with that one, `failures` how often in
 * a row the server failed; both count from when they were written. Nothing in
 * them is believed beyond its first byte or number, and losing them costs a
 * request. */
#include "server.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { MODE_DIR = 0755, MODE_FILE = 0644 };

#define FAILURES "failures"

/* FNV-1a. */
static uint64_t hash(const char *text)
{
	uint64_t sum = 0xcbf29ce484222325;

	for (; *text; text++)
		sum = (sum ^ (unsigned char)*text) * 0x100000001b3;
	return sum;
}

/* Nothing is remembered, and nothing is received, for longer than that. */
static void sweep(const char *dir)
{
	DIR *handle = opendir(dir);
	struct dirent *entry;
	struct stat st;

	while (handle && (entry = readdir(handle)) != NULL)
		if (entry->d_name[0] != '.' &&
		    fstatat(dirfd(handle), entry->d_name, &st,
			    AT_SYMLINK_NOFOLLOW) == 0 &&
		    time(NULL) - st.st_mtime > SERVER_BAD_S)
			unlinkat(dirfd(handle), entry->d_name, 0);
	if (handle)
		closedir(handle);
}

bool server_open(const char *dir, const char *url, struct server *out)
{
	if ((size_t)snprintf(out->dir, sizeof(out->dir), "%s/%016" PRIx64, dir,
			     hash(url)) >= sizeof(out->dir))
		return false;
	out->url = url;
	mkdir(out->dir, MODE_DIR);
	if (access(out->dir, W_OK | X_OK) != 0)
		return false;
	sweep(out->dir);
	return true;
}

void server_name(const struct server *server, char *out, size_t cap)
{
	const char *host = strstr(server->url, "://");
	size_t before, len;
	const char *at;

	host = host ? host + 3 : server->url;
	before = (size_t)(host - server->url);
	len = strcspn(host, "/");
	at = memrchr(host, '@', len);
	snprintf(out, cap, "%.*s%s", (int)before, server->url,
		 at ? at + 1 : host);
}

static bool path_of(const struct server *server, const char *name, char *out)
{
	return (size_t)snprintf(out, PATH_MAX, "%s/%s", server->dir, name) <
	       PATH_MAX;
}

/* The start of the file NAME, as text, and how many seconds old it is. False
 * where there is none. */
static bool read_note(const struct server *server, const char *name,
		      char text[16], time_t *age_out)
{
	char path[PATH_MAX];
	struct stat st;
	ssize_t n = 0;
	int fd = -1;

	if (path_of(server, name, path))
		fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW |
				O_NONBLOCK);
	if (fd < 0)
		return false;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
		n = read(fd, text, 15);
	close(fd);
	text[n > 0 ? n : 0] = '\0';
	*age_out = time(NULL) - st.st_mtime;
	return n > 0 && *age_out >= 0; /* or the clock was another */
}

static void write_note(const struct server *server, const char *name,
		       const char *text)
{
	char path[PATH_MAX];
	FILE *file;
	int fd = -1;

	if (path_of(server, name, path))
		fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC |
				O_NOFOLLOW, MODE_FILE);
	file = fd >= 0 ? fdopen(fd, "w") : NULL;
	if (file == NULL) {
		if (fd >= 0)
			close(fd);
		return;
	}
	fputs(text, file);
	fclose(file);
}

static unsigned failures(const struct server *server, time_t *age_out)
{
	char text[16];

	if (!read_note(server, FAILURES, text, age_out))
		return 0;
	return (unsigned)strtoul(text, NULL, 10);
}

bool server_is_down(const struct server *server)
{
	time_t age = 0, pause = SERVER_PAUSE_S;
	unsigned n = failures(server, &age);

	for (unsigned i = SERVER_FAILURES;
	     i < n && pause < SERVER_PAUSE_MAX_S; i++)
		pause *= 2;
	if (pause > SERVER_PAUSE_MAX_S)
		pause = SERVER_PAUSE_MAX_S;
	return n >= SERVER_FAILURES && age < pause;
}

void server_failed(const struct server *server)
{
	char text[16];
	time_t age;

	snprintf(text, sizeof(text), "%u\n", failures(server, &age) % 1000 + 1);
	write_note(server, FAILURES, text);
}

void server_answered(const struct server *server)
{
	char path[PATH_MAX];

	if (path_of(server, FAILURES, path))
		unlink(path);
}

bool server_lacks(const struct server *server, const struct build_id *id)
{
	char hex[2 * MAX_BUILD_ID + 1], text[16];
	time_t age;

	build_id_format(id, hex);
	return read_note(server, hex, text, &age) &&
	       age < (text[0] == 'b' ? SERVER_BAD_S : SERVER_ABSENT_S);
}

void server_note_lack(const struct server *server, const struct build_id *id,
		      enum server_lack lack, const char *why)
{
	char hex[2 * MAX_BUILD_ID + 1], text[512];

	build_id_format(id, hex);
	snprintf(text, sizeof(text), "%s: %s\n",
		 lack == SERVER_BAD ? "bad" : "absent", why);
	write_note(server, hex, text);
}
